package portable_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es/engine"
	"onlineshop/platform/memory"
	"onlineshop/platform/portable"
)

// desk is a shop in tables, which goes on while it is read.
type desk struct {
	now     time.Time
	commits []portable.Commit
	cursors []portable.Cursor
	starts  []portable.Start
	waits   func(until time.Time)
}

func (d *desk) Now() time.Time { return d.now }

func (d *desk) Sleep(_ context.Context, wait time.Duration) error {
	d.now = d.now.Add(wait)
	d.waits(d.now)
	return nil
}

func (d *desk) Kept(_ context.Context, yield func(portable.Line) error) (err error) {
	for _, c := range d.cursors {
		err = errors.Join(err, yield(portable.Line{Cursor: &c}))
	}
	return err
}

func (d *desk) Starts(_ context.Context, yield func(portable.Start) error) (err error) {
	for _, s := range d.starts {
		err = errors.Join(err, yield(s))
	}
	return err
}

func (d *desk) Cursors(_ context.Context, yield func(portable.Cursor) error) (err error) {
	for _, c := range d.cursors {
		err = errors.Join(err, yield(c))
	}
	return err
}

func (d *desk) Commits(_ context.Context, yield func(portable.Commit) error) (err error) {
	for _, c := range d.commits {
		err = errors.Join(err, yield(c))
	}
	return err
}

func (d *desk) Keys(context.Context, func(portable.Key) error) error { return nil }

// append appends a commit, perhaps one that a follower made of another.
func (d *desk) append(at time.Time, stream string, seq int64, from string) {
	st, _ := engine.ParseStream(stream)
	meta := fmt.Sprintf(`{"time":%q,"command":{"from":%q}}`, at.Format(time.RFC3339Nano), from)
	d.commits = append(d.commits, portable.Commit{Stream: st, Seq: seq, Version: seq + 1, Events: []byte(`[]`), Meta: []byte(meta)})
}

func TestACutByTimeIsAPrefixOfTheHistory(t *testing.T) {
	// Given a shop whose order has been shipped and confirmed, and counted in the same
	// millisecond by a stream whose name comes first
	const margin = time.Second
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	order := engine.Stream{Aggregate: "B.Order", ID: "o"}
	d := &desk{now: noon}
	d.append(noon.Add(-time.Minute), "B.Order#o", 0, "user:ann\nk")
	d.append(noon.Add(-time.Minute), "A.Demand#p", 0, "extension:A.Orders/B.Order#o")
	d.cursors = []portable.Cursor{{"mapping:B.Ship", order, 0}, {"effect:B.Confirm", order, 0}}
	// And which goes on while it is backed up: it ships the order, has somebody new follow,
	// and confirms what is too late for the file
	d.waits = func(until time.Time) {
		d.append(until.Add(-margin), "B.Order#o", 1, "mapping:B.Ship/B.Order#o")
		d.append(until, "B.Order#o", 2, "user:ann\nlate")
		d.cursors = []portable.Cursor{{"mapping:B.Ship", order, 3}, {"effect:B.Confirm", order, 3}, {"effect:B.Confirm", engine.Stream{Aggregate: "B.Order", ID: "late"}, 1}}
		d.starts = []portable.Start{{Follower: "mapping:B.New", Since: until.Add(-margin)}}
	}
	// When it is backed up
	var got []string
	err := portable.ByTime(d, margin, memory.Scratch{})(t.Context(), func(l portable.Line) error {
		switch {
		case l.Commit != nil:
			got = append(got, fmt.Sprint(l.Commit.Stream, " ", l.Commit.Seq))
		case l.Cursor != nil:
			got = append(got, fmt.Sprint(l.Cursor.Consumer, " on ", l.Cursor.Stream, " ", l.Cursor.Next))
		case l.Start != nil:
			got = append(got, fmt.Sprint(l.Start.Follower, " after ", l.Start.After))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Then who sends commands is where it was before, side effects are where they are, as far as
	// the file goes, and who is new is in it
	slices.Sort(got[3:])
	if d := cmp.Diff([]string{
		"mapping:B.Ship on B.Order#o 0",
		// And causes come first
		"B.Order#o 0", "A.Demand#p 0",
		"B.Order#o 1",
		"effect:B.Confirm on B.Order#o 2",
		"mapping:B.New after 2",
	}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
