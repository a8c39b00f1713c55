package engine_test

import (
	"errors"
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

func TestOneParkedKeyIsRedriven(t *testing.T) {
	l := failed(t)
	hexed := engine.Stream{Aggregate: "Lending.Book", ID: "hexed"}
	l.Curse(false)
	// When one of what is parked is redriven, then that is made good, and the others stay
	if err := l.Engine().RedriveKey(t.Context(), "readmodel:Lending.Books", hexed); err != nil {
		t.Fatal(err)
	}
	l.settle()
	l.thenRow("Lending.Books", "hexed", `{"title":"Hexed","holder":"cursed","loans":1}`)
	if left := l.parked(); len(left) != 3 {
		t.Errorf("parked: %q, want the three others", left)
	}
	// And what is not parked is not found
	if err := l.Engine().RedriveKey(t.Context(), "readmodel:Lending.Books", hexed); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("redrive again: %v", err)
	}
}

func TestAParkedFollowerPassesOverWhatItFailsOnWhenToldTo(t *testing.T) {
	// Given a mapping that is parked on a loan, and another loan after it
	l := failed(t)
	hexed := engine.Stream{Aggregate: "Lending.Book", ID: "hexed"}
	l.lend("hexed", "ann")
	l.settle()
	// When an operator lets it skip
	if err := l.Engine().Skip(t.Context(), "mapping:Lending.Remind", hexed, "ada", "a joke"); err != nil {
		t.Fatal(err)
	}
	l.settle()
	// Then it does nothing about that loan, and goes on with the next
	l.thenEvents("Lending.Reader", platformtest.Cursed)
	l.thenEvents("Lending.Reader", "ann", "Noted dune", "Noted hexed")
	if left := l.parked(); slices.Contains(left, "mapping:Lending.Remind Lending.Book#hexed") {
		t.Errorf("parked: %q", left)
	}
	// And who skipped it, and why, is kept
	list, _, err := l.Engine().ListRejections(t.Context(), "mapping:Lending.Remind", "", 10)
	if err != nil || len(list) != 1 || list[0].Source() != hexed.String() || list[0].Code != engine.CodeSkipped || list[0].User != "ada" || list[0].Detail != "a joke" {
		t.Errorf("rejections: %+v, %v", list, err)
	}
	// And a row can't skip anything
	if err := l.Engine().Skip(t.Context(), "readmodel:Lending.Books", hexed, "ada", "a joke"); !errors.Is(err, engine.ErrCantSkip) {
		t.Errorf("skip of a row: %v", err)
	}
}
