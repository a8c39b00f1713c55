package engine_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// lanesOf are the lanes of a stream's commits.
func lanesOf(l *library, aggregate, id string) (bulk []bool) {
	for _, c := range l.Store.Commits(engine.Stream{Aggregate: aggregate, ID: id}) {
		bulk = append(bulk, c.Meta.Bulk)
	}
	return bulk
}

func then(t *testing.T, what string, got []bool, want ...bool) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s is bulk: %v, want %v", what, got, want)
	}
}

// What a loan sets off: a reader is noted by a mapping, an article by another plugin.
func TestWhatARequestSetsOffIsLive(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	then(t, "the loan", lanesOf(l, "Lending.Book", "dune"), false, false)
	then(t, "the mapping's command", lanesOf(l, "Lending.Reader", "ann"), false)
	then(t, "the extension's command", lanesOf(l, "Press.Article", "dune"), false)
}

func TestWhatATaskSetsOffIsBulk(t *testing.T) {
	// Given a task that lends a book
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	book := l.Engine().Plugins[0].Aggregates[slices.IndexFunc(l.Engine().Plugins[0].Aggregates, func(a es.AnyAggregate) bool { return a.Definition().Name == "Lending.Book" })]
	body, _ := json.Marshal(map[string]string{"text": "ann"})
	payload, err := book.Definition().ReadCommand("Lend", body)
	if err != nil {
		t.Fatal(err)
	}
	task := es.Task{Name: "LendAll", Bucket: "loans", OnObject: func(ctx context.Context, _ es.Object, s es.Shop) error {
		return s.Execute(ctx, es.TaskCommand{Command: es.Command{Aggregate: "Lending.Book", ID: "dune", Payload: payload}, MessageID: "1"})[0].Err
	}}
	// When it runs
	if err := l.Engine().OnObject(t.Context(), "Lending", task, es.Object{Key: "k"}, func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	l.settle()
	// Then the loan is bulk work, and so is all that follows
	then(t, "the loan", lanesOf(l, "Lending.Book", "dune"), false, true)
	then(t, "the mapping's command", lanesOf(l, "Lending.Reader", "ann"), true)
	then(t, "the extension's command", lanesOf(l, "Press.Article", "dune"), true)
}

func TestWhatASweepFindsIsBulk(t *testing.T) {
	// Given a loan whose messages were lost
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.Drop()
	if err := l.Deploy(l.Engine().Plugins, nil); err != nil {
		t.Fatal(err)
	}
	// When the library is swept
	l.sweep()
	// Then what that sets off is bulk work
	then(t, "the mapping's command", lanesOf(l, "Lending.Reader", "ann"), true)
	then(t, "the extension's command", lanesOf(l, "Press.Article", "dune"), true)
}
