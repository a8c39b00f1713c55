package engine

import (
	"context"
	"time"
)

// Email is an e-mail that the shop sent.
type Email struct {
	ID            string // names it among the others
	From, To      string
	Subject, Text string // Text is empty in a list
	Time          time.Time
}

// Emails reads the e-mails that a platform keeps. Safe for concurrent use.
type Emails interface {
	// ListEmails returns a page of them, newest first. next is the cursor of the
	// following page, empty at the end.
	ListEmails(ctx context.Context, cursor string, limit int) (emails []Email, next string, err error)
	// Email returns one with its text, or [ErrNotFound] if there is none of that id.
	Email(ctx context.Context, id string) (Email, error)
}
