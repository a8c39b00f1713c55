package book

import (
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/lending"
)

// AutoRetire retires a book that stood there for so long.
func AutoRetire(bookLifetime time.Duration) es.Mapping {
	return es.NewMapping("AutoRetire", Aggregate, Aggregate, func(id string, _ Event) es.Commands[Command] {
		return Aggregate.Send(id, Retire{})
	}).After(bookLifetime)
}

// Publication tells other plugins what can be borrowed.
var Publication = es.Publish(Aggregate, lending.ExtensionPoint, func(id string, e Event) []lending.Event {
	switch e := e.(type) {
	case Registered:
		return []lending.Event{lending.BookRegistered{BookID: id, Title: e.Title}}
	case Retired:
		return []lending.Event{lending.BookRetired{BookID: id}}
	}
	return nil
})

// LendingExtension moves what was registered.
var LendingExtension = es.NewExtension("Lending_Extension", lending.ExtensionPoint, Aggregate, func(e lending.Event) es.Commands[Command] {
	if e, ok := e.(lending.BookRegistered); ok {
		return Aggregate.Send(e.BookID, Move{})
	}
	return nil
}).Since(time.Unix(0, 0))
