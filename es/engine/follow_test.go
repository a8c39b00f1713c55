package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
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
	engine.Starts
	platformtest.World
	kind string // of the events
	done []string
	sent []engine.Hint
}

func (p *ports) did(what string) { p.done = append(p.done, what) }

var monday = time.Date(2026, 2, 2, 8, 0, 0, 0, time.UTC)

func (p *ports) Now() time.Time { return monday.Add(time.Minute) }

func (p *ports) Cursor(context.Context, string, engine.Stream) (engine.Cursor, error) {
	return engine.Cursor{Next: 1, Parked: true}, nil
}

func (p *ports) Begin(context.Context, string, engine.Beginning) error { return nil }

func (p *ports) Past(context.Context, string, engine.Stream, int64, time.Time) (bool, error) {
	return false, nil
}

func (p *ports) Advance(context.Context, string, engine.Stream, int64, int64) error {
	p.did("cursor moved")
	return nil
}

func (p *ports) Read(_ context.Context, s engine.Stream, from int64, _ int) (commits []engine.Commit, more bool, err error) {
	p.did("log read")
	for seq := from; seq < 3; seq++ {
		commits = append(commits, engine.Commit{
			Stream: s, Seq: seq, Version: seq + 1, Events: []es.StoredEvent{{Type: p.kind, Data: []byte(`{"text":"ann"}`)}}, Meta: engine.Meta{Time: monday},
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

func (p *ports) Park(context.Context, engine.Parked) error { p.did("parked"); return nil }

func (p *ports) Send(_ context.Context, _ time.Duration, hints ...engine.Hint) error {
	p.sent = append(p.sent, hints...)
	return nil
}

// follow has a follower follow the stream.
func (p *ports) follow(t *testing.T, plugins []es.Plugin, follower string) {
	t.Helper()
	e, err := engine.New(engine.Config{Plugins: plugins, Log: p, Cursors: p, Starts: p, Rows: p, Parking: p, Rejections: memory.NewStore(), Schedules: memory.NewStore(), Keys: memory.NewStore(), Hints: p, Bus: p, Clock: p})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Follow(t.Context(), engine.Hint{Follower: follower, Stream: engine.Stream{Aggregate: "Lending.Book", ID: "b"}, Seq: 1}); err != nil {
		t.Fatal(err)
	}
}

// What fails while a parked follower works is parked anew, and must not be ended
// by what that work was about.
func TestAParkingIsReadBeforeTheWorkThatEndsIt(t *testing.T) {
	p := &ports{World: platformtest.NewWorld(), kind: "Lent"}
	p.follow(t, platformtest.Library{World: p}.Plugins(), "effect:Lending.Congratulate")
	if want := []string{"parking read", "log read", "effect", "effect", "cursor moved", "parking ended"}; !slices.Equal(p.done, want) {
		t.Errorf("done: %q, want %q", p.done, want)
	}
}

// A follower that waits for its delay may be parked for a later commit.
func TestAParkedFollowerThatWaitsGoesToTheEndThen(t *testing.T) {
	p := &ports{World: platformtest.NewWorld(), kind: "Lent"}
	plugins := platformtest.Library{World: p}.Plugins()
	plugins[0].Mappings[0] = plugins[0].Mappings[0].After(10 * time.Minute)
	p.follow(t, plugins, "mapping:Lending.Remind")
	if len(p.sent) != 1 || p.sent[0].Seq != engine.StreamEnd {
		t.Errorf("hints: %+v; one for the stream's end was expected", p.sent)
	}
}

// It is listed already, so its pauses grow.
func TestAParkedKeyThatMeetsANewerVersionStaysParked(t *testing.T) {
	p := &ports{World: platformtest.NewWorld(), kind: "Digitised"}
	p.follow(t, platformtest.Library{World: p}.Plugins(), "mapping:Lending.Remind")
	if want := []string{"parking read", "log read", "parked"}; !slices.Equal(p.done, want) {
		t.Errorf("done: %q, want %q", p.done, want)
	}
}
