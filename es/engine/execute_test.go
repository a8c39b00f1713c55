package engine_test

import (
	"errors"
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

func TestACommandAppendsWhatItDecides(t *testing.T) {
	// Given an empty library
	l := newLibrary(t, nil)
	// When a book is acquired, and lent
	first, err := l.send("dune", "Acquire", "Dune", nil)
	second, err2 := l.send("dune", "Lend", "ann", nil)
	// Then each answer tells the version and the events, and the log has them
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if first.Version != 1 || !slices.Equal(first.Events, []string{"Acquired"}) || second.Version != 2 || !slices.Equal(second.Events, []string{"Lent"}) {
		t.Errorf("answers: %+v, %+v", first, second)
	}
	l.thenEvents("Lending.Book", "dune", "Acquired Dune", "Lent ann")
}

func TestACommandCostsOneWrite(t *testing.T) {
	l := newLibrary(t, nil)
	// An append proves that the stream is as it was taken to be: nothing is read.
	if got := l.watch(func() { l.acquire("dune", "Dune") }); !slices.Equal(got, []string{"Append"}) {
		t.Errorf("the first command of a stream calls %q", got)
	}
	if got := l.watch(func() { l.lend("dune", "ann") }); !slices.Equal(got, []string{"Append"}) {
		t.Errorf("the second one calls %q", got)
	}
}

func TestACommandThatChangesNothingWritesNothing(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	var out engine.Outcome
	var err error
	calls := l.watch(func() { out, err = l.send("dune", "Lend", "", nil) })
	if err != nil || out.Version != 1 || len(out.Events) != 0 || slices.Contains(calls, "Append") {
		t.Errorf("%+v, %v, with %q", out, err, calls)
	}
}

func TestARejectionIsConfirmedByAConsistentRead(t *testing.T) {
	// Given a book that this process knows nothing of
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.restart(nil)
	// When a command is sent that would be rejected for a new book
	var err error
	calls := l.watch(func() { _, err = l.send("dune", "Lend", "ann", nil) })
	// Then the log is read first, and the command is accepted
	if err != nil || !slices.Equal(calls, []string{"Snapshot", "Read", "Append"}) {
		t.Errorf("%v, with %q", err, calls)
	}
	// And one that is rejected says so by the domain's code
	var no *es.Rejection
	if _, err := l.send("dune", "Acquire", "Dune again", nil); !errors.As(err, &no) || no.Code != "BookNotInOrder" {
		t.Errorf("%v, want BookNotInOrder", err)
	}
}

func TestWhoLosesARaceDecidesAgainOnTheWinnersCommit(t *testing.T) {
	// Given two processes that know a book
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	other := l.Engine()
	l.restart(nil)
	l.lend("dune", "ann")
	// When the one that has not seen the latest commit decides
	l.use(other)
	var out engine.Outcome
	var err error
	calls := l.watch(func() { out, err = l.send("dune", "Lend", "bob", nil) })
	// Then its append is refused once, and it decides on the commit that came with the
	// refusal, without reading
	if err != nil || out.Version != 3 || !slices.Equal(calls, []string{"Append", "Append"}) {
		t.Errorf("%+v, %v, with %q", out, err, calls)
	}
	l.thenEvents("Lending.Book", "dune", "Acquired Dune", "Lent ann", "Lent bob")
}

func TestIfMatchRefusesAnotherVersion(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	at := func(version int64) func(*engine.Request) { return func(r *engine.Request) { r.IfVersion = &version } }
	if _, err := l.send("dune", "Lend", "ann", at(7)); !errors.Is(err, engine.ErrVersionMismatch) {
		t.Errorf("at version 7: %v", err)
	}
	if _, err := l.send("dune", "Lend", "ann", at(1)); err != nil {
		t.Errorf("at version 1: %v", err)
	}
}
