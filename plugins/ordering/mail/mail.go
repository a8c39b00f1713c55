// Package mail is what Ordering asks of a service that sends e-mails.
package mail

import (
	"context"
	"fmt"
	"strings"
	"time"

	"onlineshop/es/email"
)

// EmailService sends the shop's e-mails.
type EmailService interface {
	// SendOrderConfirmation thanks a customer for an order. An error is logged and
	// counted; the message is not sent again.
	SendOrderConfirmation(ctx context.Context, c OrderConfirmation) error
}

// By returns the service whose e-mails the sender sends.
func By(s email.Sender) EmailService { return service{s} }

type service struct{ sender email.Sender }

func (s service) SendOrderConfirmation(ctx context.Context, c OrderConfirmation) error {
	subject, text := c.Text()
	return s.sender.Send(ctx, email.Message{ID: c.MessageID, To: c.To, Subject: subject, Text: text})
}

// OrderConfirmation is what a confirmation says.
type OrderConfirmation struct {
	// MessageID names the message: the same whenever the same order is confirmed,
	// in the characters of an id, so that it can name a file.
	MessageID  string
	To         string // the customer's e-mail address
	OrderID    string
	ProductIDs []string
	PlacedAt   time.Time
}

// Text is the confirmation as a message in plain text.
func (c OrderConfirmation) Text() (subject, body string) {
	var b strings.Builder
	fmt.Fprintf(&b, "Thank you for your order %s of %s.\n\nYou ordered:\n", c.OrderID, c.PlacedAt.Format("2 January 2006"))
	for _, id := range c.ProductIDs {
		fmt.Fprintf(&b, "- %s\n", id)
	}
	return "Your order " + c.OrderID, b.String()
}
