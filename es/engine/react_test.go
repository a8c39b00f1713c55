package engine_test

import (
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// branch is what a trace says of a follower; the n-th, from 0.
func branch(t *testing.T, trace engine.Trace, follower string, n int) engine.Branch {
	t.Helper()
	for _, b := range trace.Then {
		if b.Follower == follower {
			if n == 0 {
				return b
			}
			n--
		}
	}
	t.Fatalf("nothing of %s in %+v", follower, trace.Then)
	return engine.Branch{}
}

func TestATraceShowsWhatFollowedFromARefusal(t *testing.T) {
	// Given a seat that is taken
	l := newLibrary(t, nil)
	l.acquire("emma", "Emma")
	l.lend("emma", "sits-ann")
	l.acquire("dune", "Dune")
	// When another book is lent to who sits there
	l.lend("dune", "sits-ann")
	l.settle()
	// Then the loan's trace has the refusal, and what followed from it
	trace, err := l.Engine().Trace(l.Context(), es.System(), engine.Stream{Aggregate: "Lending.Book", ID: "dune"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	const reserve = "mapping:Lending.Reserve"
	var noted *engine.Trace
	for n := range 2 {
		if b := branch(t, trace, reserve, n); b.Trace != nil {
			noted = b.Trace
		} else if b.State != engine.BranchRejected {
			t.Errorf("the seat: %+v", b)
		}
	}
	want := engine.Stream{Aggregate: "Lending.Reader", ID: "refused-sits-ann"}
	if noted == nil || noted.Event.Stream != want {
		t.Fatalf("what followed: %+v", noted)
	}
	// And that says what it came from
	back, err := l.Engine().Trace(l.Context(), es.System(), want, 1)
	if err != nil {
		t.Fatal(err)
	}
	if c := back.Cause; c == nil || c.Follower != reserve || c.Stream.ID != "dune" || c.Version != 2 {
		t.Errorf("its cause: %+v", c)
	}
}

func TestATraceShowsWhatAnotherPluginWasAsked(t *testing.T) {
	// Given a book that the press wants
	l := newLibrary(t, nil)
	l.acquire("wanted-emma", "Emma")
	l.lend("wanted-emma", "ann")
	l.settle()
	// Then the trace of the loan reaches through the press back to the library
	trace, err := l.Engine().Trace(l.Context(), es.System(), engine.Stream{Aggregate: "Lending.Book", ID: "wanted-emma"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	mentioned := branch(t, trace, "extension:Press.Books_Extension", 0).Trace
	if mentioned == nil {
		t.Fatalf("nothing was mentioned: %+v", trace.Then)
	}
	if noted := branch(t, *mentioned, "extension:Lending.Copies", 0).Trace; noted == nil || noted.Event.Stream.ID != "copies-of-wanted-emma" {
		t.Errorf("nothing was noted: %+v", mentioned.Then)
	}
}
