package engine_test

import (
	"testing"

	"onlineshop/es/engine"
)

func TestASweepMakesUpForWhatWasLost(t *testing.T) {
	// Given loans whose messages were all lost
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.lend("dune", "bob")
	l.Drop()
	// When the library is swept
	l.sweep()
	// Then everybody has caught up
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenEvents("Lending.Reader", "bob", "Noted dune")
	l.thenEvents("Press.Article", "dune", "Mentioned ann", "Mentioned bob")
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"bob","loans":2}`)
	// And another sweep changes nothing
	l.sweep()
	l.thenEvents("Press.Article", "dune", "Mentioned ann", "Mentioned bob")
}

func TestTheNextHintMakesUpForOneThatWasLost(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.Drop()
	l.lend("dune", "bob")
	l.settle()
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenEvents("Press.Article", "dune", "Mentioned ann", "Mentioned bob")
}

func TestASweepResetsACursorBeyondItsLog(t *testing.T) {
	// Given followers whose places are beyond the log, as after it was restored
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.settle()
	s := engine.Stream{Aggregate: "Lending.Book", ID: "dune"}
	for _, f := range []string{"mapping:Lending.Remind", "extension:Press.Books_Extension"} {
		if err := l.Store.Advance(t.Context(), f, s, 0, 99); err != nil {
			t.Fatal(err)
		}
	}
	// When the library is swept, and a book lent
	l.sweep()
	l.lend("dune", "ann")
	l.settle()
	// Then they hear of it
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenEvents("Press.Article", "dune", "Mentioned ann")
}
