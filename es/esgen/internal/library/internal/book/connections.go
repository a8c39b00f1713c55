package book

import (
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/lending"
)

// AutoRetire retires a book that stood there for so long.
func AutoRetire(bookLifetime time.Duration) es.Mapping {
	return es.NewMapping("AutoRetire", Aggregate, Aggregate, func(e es.Recorded[Event]) es.Commands[Command] {
		return Aggregate.Send(e.ID, Retire{})
	}).After(bookLifetime)
}

// Publication tells other plugins what can be borrowed.
var Publication = es.Publish(Aggregate, lending.ExtensionPoint, func(r es.Recorded[Event]) []lending.Event {
	switch e := r.Event.(type) {
	case Registered:
		return []lending.Event{lending.BookRegistered{BookID: r.ID, Title: e.Title}}
	case Retired:
		return []lending.Event{lending.BookRetired{BookID: r.ID}}
	}
	return nil
})

// Reservation puts aside what another plugin asks for.
var Reservation = es.Accept("Reservation", lending.Requests, Aggregate, func(e es.Recorded[lending.ReserveBook]) es.Commands[Command] {
	return Aggregate.Send(e.ID, Move{})
})

// Wish asks for a book that was retired: of this library, to have one.
var Wish = es.Ask(Aggregate, lending.Requests, func(e es.Recorded[Retired]) []lending.Command {
	return []lending.Command{lending.ReserveBook{BookID: e.ID}}
})

// LendingExtension moves what was registered.
var LendingExtension = es.NewExtension("Lending_Extension", lending.ExtensionPoint, Aggregate, func(e es.Recorded[lending.BookRegistered]) es.Commands[Command] {
	return Aggregate.Send(e.Event.BookID, Move{})
}).Since(time.Unix(0, 0))
