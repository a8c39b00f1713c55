package lending

// ReserveBook asks the library to put a book aside.
//
//es:version 2
type ReserveBook struct {
	BookID string //es:ref Library.Books
	Reader string //es:optional
}

// Command is what other plugins may ask, each of a book.
type Command interface{ to() string }

func (c ReserveBook) to() string { return c.BookID }
