package engine_test

import (
	"errors"
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

func TestARowEqualsTheFoldOfItsLogsWhateverComesFirst(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	for _, to := range []string{"ann", "bob", "cid"} {
		l.lend("dune", to)
	}
	l.Drop()
	commits, _, err := l.Store.Read(t.Context(), engine.Stream{Aggregate: "Lending.Book", ID: "dune"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The latest commit first, then all of them twice
	slices.Reverse(commits)
	for _, c := range append(commits, commits...) {
		if err := l.Engine().Project(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"cid","loans":3}`)
	}
}

func TestAReaderSeesItsOwnWrite(t *testing.T) {
	// Given a loan that no view has heard of
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.Drop()
	// When the row is asked for at the version that the command answered
	version := int64(2)
	r, err := l.Engine().Row(t.Context(), es.Caller{User: "ada"}, "Lending.Books", "dune", &version)
	// Then it is folded up to there
	if err != nil || string(r.View) != `{"title":"Dune","holder":"ann","loans":1}` {
		t.Errorf("%s, %v", r.View, err)
	}
	// And a version that there is not is said not to be reached
	version = 3
	if _, err := l.Engine().Row(t.Context(), es.Caller{User: "ada"}, "Lending.Books", "dune", &version); !errors.Is(err, engine.ErrVersionNotReached) {
		t.Errorf("at version 3: %v", err)
	}
}

func TestOwnersListTheirOwnRows(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune") // ada's
	if _, err := l.send("emma", "Acquire", "Emma", func(r *engine.Request) { r.Caller.User = "bob" }); err != nil {
		t.Fatal(err)
	}
	l.settle()
	for user, want := range map[string][]string{"ada": {"dune"}, "bob": {"emma"}, "eve": nil} {
		rows, next, err := l.Engine().List(t.Context(), es.Caller{User: user}, engine.Query{Model: "Lending.Books", Limit: 1})
		var got []string
		for _, r := range rows {
			got = append(got, r.ID)
		}
		if err != nil || next != "" || !slices.Equal(got, want) {
			t.Errorf("%s sees %q, next %q, %v, want %q", user, got, next, err, want)
		}
	}
}

func TestARebuildMendsRowsAndSendsNothing(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	// Given a damaged row
	r, err := l.Store.Row(t.Context(), "Lending.Books", "dune")
	if err != nil {
		t.Fatal(err)
	}
	r.View, r.Rev = []byte(`{"title":"?","loans":9}`), r.Rev+1
	if lost, err := l.Store.Put(t.Context(), r); lost || err != nil {
		t.Fatal(lost, err)
	}
	// When the view is rebuilt
	calls := l.watch(func() {
		platformtest.Steps(t, "rebuild", func(cursor string) (engine.Progress, error) {
			return l.Engine().Rebuild(t.Context(), "Lending.Books", cursor)
		})
	})
	// Then the row is what the log says, and nothing else has happened
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"ann","loans":1}`)
	if slices.Contains(calls, "Send") || slices.Contains(calls, "Publish") || slices.Contains(calls, "Append") {
		t.Errorf("calls: %q", calls)
	}
}
