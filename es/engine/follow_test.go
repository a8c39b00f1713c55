package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// ports have one stream of two commits, on which a follower is parked, and note
// what is done in which order.
type ports struct {
	engine.Log
	engine.Cursors
	engine.Rows
	engine.Parking
	engine.Hints
	engine.Bus
	engine.Clock
	platformtest.World
	done []string
}

func (p *ports) did(what string) { p.done = append(p.done, what) }

var monday = time.Date(2026, 2, 2, 8, 0, 0, 0, time.UTC)

func (p *ports) Now() time.Time { return monday.Add(time.Hour) }

func (p *ports) Cursor(context.Context, string, engine.Stream) (engine.Cursor, error) {
	return engine.Cursor{Next: 1, Parked: true}, nil
}

func (p *ports) Advance(context.Context, string, engine.Stream, int64, int64) error {
	p.did("cursor moved")
	return nil
}

func (p *ports) Read(_ context.Context, s engine.Stream, from int64) (commits []engine.Commit, more bool, err error) {
	p.did("log read")
	for seq := from; seq < 3; seq++ {
		commits = append(commits, engine.Commit{
			Stream: s, Seq: seq, Version: seq + 1, Events: []es.StoredEvent{{Type: "Lent", Data: []byte(`{"text":"ann"}`)}}, Meta: engine.Meta{Time: monday},
		})
	}
	return commits, false, nil
}

func (p *ports) Congratulate(string, int64) { p.did("effect") }

func (p *ports) Parked(_ context.Context, consumer string, s engine.Stream) (*engine.Parked, error) {
	p.did("parking read")
	return &engine.Parked{Consumer: consumer, Stream: s, Last: monday, Attempts: 3}, nil
}

func (p *ports) Unpark(_ context.Context, k engine.Parked) error {
	if k.Last.Equal(monday) && k.Attempts == 3 {
		p.did("parking ended")
	}
	return nil
}

// What fails while a parked follower works is parked anew, and must not be ended
// by what that work was about.
func TestAParkingIsReadBeforeTheWorkThatEndsIt(t *testing.T) {
	p := &ports{World: platformtest.NewWorld()}
	e, err := engine.New(engine.Config{
		Plugins: platformtest.Library{World: p}.Plugins(), Log: p, Cursors: p, Rows: p, Parking: p, Hints: p, Bus: p, Clock: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Follow(t.Context(), engine.Hint{Follower: "effect:Lending.Congratulate", Stream: engine.Stream{Aggregate: "Lending.Book", ID: "b"}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"parking read", "log read", "effect", "effect", "cursor moved", "parking ended"}; !slices.Equal(p.done, want) {
		t.Errorf("done: %q, want %q", p.done, want)
	}
}
