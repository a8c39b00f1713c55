// Package email is what a plugin asks for where it has e-mails to send.
package email

import "context"

// Message is an e-mail in plain text.
type Message struct {
	// ID names the message: the same whenever the same one is sent again, in the
	// characters of an aggregate's id. Where messages are kept, a repeat replaces the first.
	ID      string
	To      string // an address
	Subject string
	Text    string
}

// Sender sends messages, on the platform's behalf. It may be called concurrently.
type Sender interface {
	// Send hands the message to whoever delivers it. An error means that it may not have
	// been sent.
	Send(ctx context.Context, m Message) error
}
