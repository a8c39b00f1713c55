package engine_test

import (
	"slices"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// failed is a library in which all that follows from one loan fails.
func failed(t *testing.T) *library {
	t.Helper()
	l := newLibrary(t, nil)
	l.Curse(true)
	l.acquire("hexed", "Hexed")
	l.lend("hexed", platformtest.Cursed)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	return l
}

func TestWhatFailsIsParkedByStream(t *testing.T) {
	l := failed(t)
	// Each consumer that failed is parked on that stream, and others go on
	want := []string{
		"mapping:Lending.Remind Lending.Book#hexed", "publication:Lending.Books Lending.Book#hexed",
		"readmodel:Lending.Books Lending.Book#hexed", "readmodel:Lending.Shelf Lending.Book#hexed",
	}
	if got := l.parked(); !slices.Equal(got, want) {
		t.Errorf("parked: %q, want %q", got, want)
	}
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"ann","loans":1}`)
}

func TestWhatIsParkedIsRetriedWithBackoffAndMadeGood(t *testing.T) {
	l := failed(t)
	retry := func() int {
		t.Helper()
		n := platformtest.Steps(t, "redrive", func(cursor string) (engine.Progress, error) { return l.Engine().RedriveDue(t.Context(), cursor) })
		l.settle()
		return n
	}
	// Not at once
	if n := retry(); n != 0 {
		t.Errorf("%d keys are retried at once", n)
	}
	// After 10 s, and after a second failure after 20 s more
	l.Clock.Advance(10 * time.Second)
	if n := retry(); n != 4 {
		t.Errorf("%d keys are retried after 10 s, want 4", n)
	}
	l.Curse(false)
	l.Clock.Advance(19 * time.Second)
	if n := retry(); n != 0 {
		t.Errorf("%d keys are retried after 19 s more", n)
	}
	l.Clock.Advance(time.Second)
	if n := retry(); n != 4 {
		t.Errorf("%d keys are retried after 20 s more, want 4", n)
	}
	// Then all is as if nothing had failed
	if left := l.parked(); len(left) > 0 {
		t.Errorf("still parked: %q", left)
	}
	l.thenEvents("Lending.Reader", platformtest.Cursed, "Noted hexed")
	l.thenEvents("Press.Article", "hexed", "Mentioned "+platformtest.Cursed)
	l.thenRow("Lending.Books", "hexed", `{"title":"Hexed","holder":"cursed","loans":1}`)
}

func TestAStoreThatIsBusyParksNothing(t *testing.T) {
	// Given a store that is busy for the next calls
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	busy := 3
	l.Before = func(string) error {
		if busy--; busy >= 0 {
			return engine.ErrUnavailable
		}
		return nil
	}
	// When a book is lent, then the calls are repeated
	l.lend("dune", "ann")
	busy = 25
	l.settle()
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	if left := l.parked(); len(left) > 0 {
		t.Errorf("parked: %q", left)
	}
}
