package book

import (
	"context"
	"time"

	"onlineshop/es"
	"onlineshop/es/esgen/internal/library/shelves"
)

// Why a command is rejected.
var (
	ErrAlreadyRegistered = es.Conflict("BookAlreadyRegistered")
	ErrShelfTaken        = es.Conflict("ShelfTaken")
	ErrSunday            = es.Conflict("Sunday")
	ErrUnpublished       = es.Conflict("BookUnpublished")
)

var access = es.AllowGroups("Librarians")

var upcasters = es.Upcasters[Event]{
	es.Upcast("Moved", 1, func(old struct{ Row int8 }) Event {
		return Moved{shelves.Shelf{Room: shelves.Cellar, Row: old.Row}}
	}),
}

func (e Registered) evolve(State) State { return State{Registered: true, Shelf: e.Shelf} }
func (e Moved) evolve(s State) State    { s.Shelf = e.Shelf; return s }
func (Retired) evolve(State) State      { return State{} }

func (c Register) decide(s State) ([]Event, error) {
	if s.Registered {
		return nil, ErrAlreadyRegistered
	}
	return []Event{Registered(c)}, nil
}

func (c Move) decide(State) ([]Event, error) { return []Event{Moved(c)}, nil }
func (Retire) decide(State) ([]Event, error) { return []Event{Retired{}}, nil }

func (Retire) allow() es.Access { return es.AllowOwner() }

// owner is who published the book.
func (c Register) owner(context.Context, es.Reader) (string, error) {
	if c.Publisher == "" {
		return "", ErrUnpublished
	}
	return c.Publisher, nil
}

// check lets a book stand on a Sunday.
func (Retire) check(_ context.Context, _ es.Reader, m es.Meta) error {
	if m.Time.Weekday() == time.Sunday {
		return ErrSunday
	}
	return nil
}

// check refers to Aggregate, whose generated rules refer to check: without an
// interface between them, Go would see an initialization cycle.
func (c Move) check(ctx context.Context, r es.Reader) error {
	s, err := Aggregate.State(ctx, r, "b0")
	if err == nil && s.Shelf == c.Shelf {
		return ErrShelfTaken
	}
	return err
}
