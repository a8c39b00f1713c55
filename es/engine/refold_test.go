package engine_test

import (
	"context"
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// changed is a read model whose projection is another one.
type changed struct {
	es.AnyReadModel
	code    string
	project func(e es.Recorded[any], row any) any
}

func (c changed) Definition() es.ReadModelDefinition {
	d := c.AnyReadModel.Definition()
	before := d.Project
	d.Code, d.Project = c.code, func(aggregate string, e es.Recorded[any], row any) any {
		return c.project(e, before(aggregate, e, row))
	}
	return d
}

// deploy replaces the library by one whose view Books makes something else of events. stale
// says whether the platform has rows to refold.
func (l *library) deploy(code string, stale func() bool, project func(e es.Recorded[any], row any) any) {
	l.Helper()
	l.Drop()
	plugins := platformtest.Library{World: l.World}.Plugins()
	for i, m := range plugins[0].ReadModels {
		if m.Name() == "Books" {
			plugins[0].ReadModels[i] = changed{m, code, project}
		}
	}
	err := l.Deploy(plugins, func(c *engine.Config) {
		c.Refolding = func(_ context.Context, model string) (bool, error) { return model == "Lending.Books" && stale(), nil }
	})
	if err != nil {
		l.Fatal(err)
	}
}

// without makes a row of all books but one.
func without(id string) func(e es.Recorded[any], row any) any {
	return func(e es.Recorded[any], row any) any {
		if e.ID == id {
			return nil
		}
		return row
	}
}

func (l *library) read(id string) (view string) {
	l.Helper()
	r, err := l.Engine().Row(l.Context(), es.Caller{User: "ada"}, "Lending.Books", id, nil)
	if err != nil {
		return err.Error()
	}
	return string(r.View)
}

// damage writes a wrong view into a book's row.
func (l *library) damage(id, view string) {
	l.Helper()
	r, err := l.Store.Row(l.Context(), "Lending.Books", id)
	if err != nil {
		l.Fatal(err)
	}
	if r.View, r.Rev = []byte(view), r.Rev+1; view == "" {
		r.View = nil
	}
	if lost, err := l.Store.Put(l.Context(), r); lost || err != nil {
		l.Fatal(lost, err)
	}
}

func TestARowThatOtherCodeHasMadeIsFoldedAfreshWhereItIsRead(t *testing.T) {
	// Given rows of code that knew nothing of dune
	l := newLibrary(t, nil)
	stale := true
	l.deploy("old", func() bool { return false }, without("dune"))
	for _, id := range []string{"dune", "emma", "ulysses"} {
		l.acquire(id, id)
		l.lend(id, "ann")
	}
	l.settle()
	if got := l.read("dune"); got != `BookNotFound: there is no Book "dune"` {
		t.Fatalf("dune is %s", got)
	}
	// When the code has changed
	l.deploy("new", func() bool { return stale }, without("emma"))
	// Then each row is what the present code makes of it, before it is refolded
	for id, want := range map[string]string{
		"dune": `{"title":"dune","holder":"ann","loans":1}`, "emma": `BookNotFound: there is no Book "emma"`, "ulysses": `{"title":"ulysses","holder":"ann","loans":1}`,
	} {
		if got := l.read(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	// And once that is over, a row costs its own read
	platformtest.Steps(t, "refold", func(cursor string) (engine.Progress, error) {
		return l.Engine().Refold(t.Context(), "Lending.Books", cursor)
	})
	stale = false
	for _, id := range []string{"dune", "emma", "ulysses"} {
		if calls := l.watch(func() { l.read(id) }); !slices.Equal(calls, []string{"Row"}) {
			t.Errorf("%s takes %q", id, calls)
		}
	}
}

func TestACommitOnARowOfOtherCodeFoldsItAfresh(t *testing.T) {
	// Given a row in a shape that the present code can't read
	l := newLibrary(t, nil)
	l.deploy("old", func() bool { return false }, without(""))
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	l.damage("dune", `{"title":"Dune","loans":"one"}`)
	// When the code has changed, and the book is lent again
	l.deploy("new", func() bool { return true }, without(""))
	l.lend("dune", "bob")
	l.settle()
	// Then the row is what the present code makes of all of it
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"bob","loans":2}`)
}

func TestARefoldFoldsWhatOtherCodeHasMadeAlone(t *testing.T) {
	// Given a row of the present code, and one of other code
	l := newLibrary(t, nil)
	l.deploy("old", func() bool { return false }, without(""))
	l.acquire("dune", "Dune")
	l.settle()
	l.deploy("new", func() bool { return true }, without(""))
	l.acquire("emma", "Emma")
	l.settle()
	l.damage("dune", `{"title":"?","loans":9}`)
	l.damage("emma", `{"title":"?","loans":9}`)
	// When the view is refolded
	platformtest.Steps(t, "refold", func(cursor string) (engine.Progress, error) {
		return l.Engine().Refold(t.Context(), "Lending.Books", cursor)
	})
	// Then the other one is left alone: that one may be resumed
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","loans":0}`)
	l.thenRow("Lending.Books", "emma", `{"title":"?","loans":9}`)
}
