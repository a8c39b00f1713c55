package engine_test

import (
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

func (l *library) check() (found []engine.Difference) {
	l.Helper()
	platformtest.Steps(l.T, "check", func(cursor string) (engine.Progress, error) {
		p, err := l.Engine().CheckRows(l.Context(), "Lending.Books", cursor)
		found = append(found, p.Differences...)
		return p, err
	})
	return found
}

func TestACheckTellsWhereRowsAreNotWhatTheLogSays(t *testing.T) {
	// Given rows that are right, and one that is behind its log
	l := newLibrary(t, nil)
	for _, id := range []string{"dune", "emma", "ulysses"} {
		l.acquire(id, id)
	}
	l.settle()
	l.lend("ulysses", "ann")
	l.Drop()
	// Then a check finds nothing
	if found := l.check(); found != nil {
		t.Errorf("found %+v", found)
	}
	// When rows are damaged, taken away and made for nothing
	l.damage("dune", `{"title":"Dune","loans":7,"stars":5}`)
	l.damage("emma", "")
	l.acquire("none", "none")
	l.settle()
	l.deploy("", func() bool { return false }, without("none"))
	before := l.stored("dune") + l.stored("emma") + l.stored("none")
	found := l.check()
	// Then it says where they differ, field by field, and leaves them as they are
	var got []string
	for _, d := range found {
		got = append(got, d.ID+" "+d.Field+" "+string(d.Stored)+" "+string(d.Folded))
	}
	want := []string{
		`dune loans 7 0`, `dune stars 5 `, `dune title "Dune" "dune"`, `emma   {"title":"emma","loans":0}`, `none  {"title":"none","loans":0} `,
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%q, want\n%q", got, want)
	}
	if after := l.stored("dune") + l.stored("emma") + l.stored("none"); after != before {
		t.Errorf("the check changed rows: %s, before %s", after, before)
	}
}

func (l *library) stored(id string) string {
	l.Helper()
	r, err := l.Store.Row(l.Context(), "Lending.Books", id)
	if err != nil {
		l.Fatal(err)
	}
	return string(r.View)
}

func TestACheckTellsOfRowsThatCannotBeFolded(t *testing.T) {
	// Given a row, and a projection that panics
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.settle()
	l.deploy("", func() bool { return false }, func(es.Recorded[any], any) any { panic("no such luck") })
	// Then a check says so, and parks nothing
	found := l.check()
	if len(found) != 1 || found[0].Reason != "readmodel:Lending.Books: panic: no such luck" {
		t.Errorf("found %+v", found)
	}
	if parked, _, err := l.Engine().ListParked(t.Context(), ""); err != nil || len(parked) > 0 {
		t.Errorf("parked: %v, %v", parked, err)
	}
}

func TestARowAsItWas(t *testing.T) {
	// Given a book that was lent twice
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune") // ada's
	l.lend("dune", "ann")
	l.lend("dune", "bob")
	ada, eve := es.Caller{User: "ada"}, es.Caller{User: "eve"}
	at := func(who es.Caller, id string, version int64) string {
		r, err := l.Engine().RowAt(t.Context(), who, "Lending.Books", id, version)
		if err != nil {
			return err.Error()
		}
		return string(r.View)
	}
	// Then its row is told as it was at each version, to its owner alone
	for _, c := range []struct {
		who     es.Caller
		id      string
		version int64
		want    string
	}{
		{ada, "dune", 1, `{"title":"Dune","loans":0}`},
		{ada, "dune", 2, `{"title":"Dune","holder":"ann","loans":1}`},
		{ada, "dune", 3, `{"title":"Dune","holder":"bob","loans":2}`},
		{ada, "dune", 4, `VersionNotReached: dune has version 3, not yet 4`},
		{ada, "emma", 1, `BookNotFound: there is no Book "emma"`},
		{eve, "dune", 1, `BookNotFound: there is no Book "dune"`},
		{eve, "dune", 4, `BookNotFound: there is no Book "dune"`},
	} {
		if got := at(c.who, c.id, c.version); got != c.want {
			t.Errorf("%s at %d for %s is %s, want %s", c.id, c.version, c.who.User, got, c.want)
		}
	}
	// And where there was none at a version, or there is none now, there is none
	l.deploy("", func() bool { return false }, func(e es.Recorded[any], row any) any {
		if e.Version == 2 {
			return nil
		}
		return row
	})
	if got := at(ada, "dune", 2); got != `BookNotFound: there is no Book "dune"` {
		t.Errorf("where it was absent: %s", got)
	}
	l.deploy("", func() bool { return false }, func(e es.Recorded[any], row any) any {
		if e.Version == 3 {
			return nil
		}
		return row
	})
	if got := at(ada, "dune", 1); got != `BookNotFound: there is no Book "dune"` {
		t.Errorf("where it is absent now: %s", got)
	}
}
