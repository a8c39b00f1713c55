package engine_test

import (
	"slices"
	"strconv"
	"testing"

	"onlineshop/es/engine"
)

func TestASnapshotSavesReadingTheWholeLog(t *testing.T) {
	// Given a book with twelve commits, of which snapshots are taken every five, on a
	// store with pages of two
	every := func(c *engine.Config) { c.SnapshotEvery = 5 }
	l := newLibrary(t, every)
	l.Page = 2
	l.acquire("dune", "Dune")
	for i := range 11 {
		l.lend("dune", strconv.Itoa(i))
	}
	// When another process decides on it, and the decision needs the state
	l.restart(every)
	calls := l.watch(func() { l.lend("dune", "ann") })
	// Then it reads the snapshot and what came after it
	if want := []string{"Snapshot", "Read", "Append"}; !slices.Equal(calls, want) {
		t.Errorf("calls: %q, want %q", calls, want)
	}
	// And what the snapshot holds is what the log says
	if n := len(l.events("Lending.Book", "dune")); n != 13 {
		t.Errorf("%d events, want 13", n)
	}
}
