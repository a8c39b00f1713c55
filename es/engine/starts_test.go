package engine_test

import (
	"testing"

	"onlineshop/platform/platformtest"
)

func TestANewFollowerLeavesThePastAlone(t *testing.T) {
	// Given a loan
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	// When a later version has new followers, and the book is lent again
	if err := l.Deploy(platformtest.Library{World: l.World, Later: true}.Plugins(), nil); err != nil {
		t.Fatal(err)
	}
	l.lend("dune", "bob")
	l.settle()
	l.sweep()
	// Then the new mapping acts on the new loan alone, and the one that is declared from
	// the beginning on both
	l.thenEvents("Lending.Reader", "recalled-ann")
	l.thenEvents("Lending.Reader", "recalled-bob", "Noted dune")
	l.thenEvents("Lending.Reader", "recounted-ann", "Noted dune")
	l.thenEvents("Lending.Reader", "recounted-bob", "Noted dune")
	if got := l.Congratulations("applause for dune"); len(got) != 1 || got["applause for dune at 3"] != 1 {
		t.Errorf("applause: %v", got)
	}
}
