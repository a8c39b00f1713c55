package lending

import "onlineshop/es"

// bookRetiredV1 named the book differently.
type bookRetiredV1 struct {
	ISBN string `json:"isbn"`
}

// reserveBookV1 named it so, too.
type reserveBookV1 struct {
	ISBN   string `json:"isbn"`
	Reader string `json:"reader"`
}

var requestUpcasters = es.Upcasters[Command]{
	es.Upcast("ReserveBook", 1, func(old reserveBookV1) Command { return ReserveBook{old.ISBN, old.Reader} }),
}

var upcasters = es.Upcasters[Event]{
	es.Upcast("BookRetired", 1, func(old bookRetiredV1) Event { return BookRetired{old.ISBN} }),
}
