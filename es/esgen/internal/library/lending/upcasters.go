package lending

import "onlineshop/es"

// bookRetiredV1 named the book differently.
type bookRetiredV1 struct {
	ISBN string `json:"isbn"`
}

var upcasters = es.Upcasters[Event]{
	es.Upcast("BookRetired", 1, func(old bookRetiredV1) Event { return BookRetired{old.ISBN} }),
}
