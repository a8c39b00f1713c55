// Package lending is what the library promises to other plugins.
package lending

// BookRegistered says that a book can be borrowed.
type BookRegistered struct{ BookID, Title string }

// BookRetired says that it no longer can.
//
//es:version 2
type BookRetired struct {
	BookID string //es:ref Library.Books
}

// Event is routed by book.
type Event interface{ key() string }

func (e BookRegistered) key() string { return e.BookID }
func (e BookRetired) key() string    { return e.BookID }
