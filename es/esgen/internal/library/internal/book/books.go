package book

import (
	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/shelves"
)

// Card is a row of Books.
type Card struct {
	Title string
	Room  shelves.Room
}

// Books is all books with where they stand.
var Books = es.NewReadModel[Card]("Books", es.From(Aggregate, toCard)).By("title").By("room").Allow(es.AllowSignedIn())

// Shelved is a row of ShelvedBooks: the same as in an event.
type Shelved Move

// ShelvedBooks is where each book stands.
var ShelvedBooks = es.NewReadModel[Shelved]("ShelvedBooks", es.From(Aggregate, func(e es.Recorded[Registered]) es.Change[Shelved] {
	return es.Set(Shelved{e.Event.Shelf})
}))

func toCard(e es.Recorded[Event]) es.Change[Card] {
	switch e := e.Event.(type) {
	case Registered:
		return es.Set(Card{e.Title, e.Shelf.Room})
	case Moved:
		return es.Update(func(c Card) Card { c.Room = e.Shelf.Room; return c })
	case Retired:
		return es.Delete[Card]()
	}
	return nil
}
