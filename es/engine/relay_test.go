package engine_test

import (
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
	"onlineshop/platform/memory"
)

func TestALoanReachesAllThatItConcerns(t *testing.T) {
	// Given a book
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	// When it is lent
	l.lend("dune", "ann")
	l.settle()
	// Then the mapping tells the reader, the extension tells the press, the side effect
	// has run, and the views show it
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenEvents("Press.Article", "dune", "Mentioned ann")
	if got := l.Congratulations("dune"); len(got) != 1 || got["dune at 2"] != 1 {
		t.Errorf("congratulations: %v", got)
	}
	l.thenRow("Lending.Books", "dune", `{"title":"Dune","holder":"ann","loans":1}`)
}

func TestACommitThatDoesNotConcernAFollowerMovesNoCursor(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.settle()
	for _, f := range []string{"mapping:Lending.Remind", "extension:Press.Books_Extension"} {
		if c, err := l.Store.Cursor(t.Context(), f, engine.Stream{Aggregate: "Lending.Book", ID: "dune"}); err != nil || c.Next != 0 {
			t.Errorf("%s is at %d, %v", f, c.Next, err)
		}
	}
}

func TestWhatIsRelayedAgainChangesNothing(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	l.lend("dune", "ann")
	l.settle()
	commits, _, err := l.Store.Read(t.Context(), engine.Stream{Aggregate: "Lending.Book", ID: "dune"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(commits)
	for _, c := range append(commits, commits...) {
		if err := l.Engine().Relay(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	l.settle()
	l.thenEvents("Lending.Reader", "ann", "Noted dune")
	l.thenEvents("Press.Article", "dune", "Mentioned ann")
	if n := l.Congratulations("dune")["dune at 2"]; n != 1 {
		t.Errorf("%d congratulations", n)
	}
}

// tick is the one command and event of two aggregates that count what is done with them.
type tick struct{}

func TestACommitIsDecodedOnceAndAMappingRunOnce(t *testing.T) {
	// Given two aggregates that a mapping connects, and a view of the first
	var decoded, mapped int
	aggregate := func(name string, count *int) es.Aggregate[tick, tick, int] {
		read := func(wire.Value) tick {
			*count++
			return tick{}
		}
		return es.NewAggregate(es.AggregateRules[tick, tick, int]{
			Name: name, Sources: "1", Access: es.AllowSignedIn(),
			Decide:   func(tick, int) ([]tick, error) { return []tick{{}}, nil },
			Evolve:   func(_ tick, n int) int { return n + 1 },
			Encode:   func(tick) (string, []byte, error) { return "Tick", []byte("{}"), nil },
			Wire:     func(tick) (string, int, []byte, error) { return "Ticked", 1, []byte("{}"), nil },
			Commands: []es.CommandType[tick]{{Name: "Tick", Schema: "{}", Read: func(wire.Value) tick { return tick{} }}},
			Events:   []es.EventType[tick]{{Name: "Ticked", Version: 1, Schema: "{}", Read: read}},
		})
	}
	elsewhere := 0
	source, target := aggregate("Clocks.Source", &decoded), aggregate("Clocks.Target", &elsewhere)
	p, err := memory.New([]es.Plugin{{
		Name: "Clocks", Aggregates: []es.AnyAggregate{source, target},
		ReadModels: []es.AnyReadModel{es.NewReadModel("Ticks", es.From(source, func(es.Recorded[tick]) es.Change[ticks] { return es.Set(ticks{}) }))},
		Mappings: []es.Mapping{es.NewMapping("Forward", source, target, func(e es.Recorded[tick]) es.Commands[tick] {
			mapped++
			return target.Send(e.ID, tick{})
		})},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// When the first one ticks
	_, err = p.Engine().Execute(t.Context(), engine.Request{Command: source.Command("a", tick{}), Caller: es.Caller{User: "ann"}})
	if err == nil {
		err = p.Settle(t.Context())
	}
	// Then its commit was decoded once, and the mapping has run once
	if out, _, err2 := p.Engine().History(t.Context(), "Clocks.Target", "a", "", 10); err != nil || err2 != nil || len(out) != 1 {
		t.Fatalf("the target has %d events, %v, %v", len(out), err, err2)
	}
	if decoded != 1 || mapped != 1 {
		t.Errorf("the commit was decoded %d times, the mapping run %d times", decoded, mapped)
	}
}

// ticks is a row without fields.
type ticks struct{}

// JSONSchema implements [es.View].
func (ticks) JSONSchema() string { return `{"type":"object"}` }
