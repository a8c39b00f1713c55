package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	jsonv2 "github.com/go-json-experiment/json"

	"onlineshop/es/engine"
	"onlineshop/platform/portable"
)

// Backup is a [portable.Source]: the shop as it is at one instant, while it goes on. A shop
// whose end is lost has none.
func (p *Platform) Backup(ctx context.Context, yield func(portable.Line) error) error {
	if err := p.Lost(); err != nil && !p.toRead {
		return err
	}
	end, err := p.store.reading(ctx)
	if err != nil {
		return err
	}
	defer end()
	now := p.store.db.NewSnapshot()
	defer now.Close()
	b := backup{store: p.store, at: now, yield: yield}
	b.end = p.store.feed.last() // all that anybody has acted on in the snapshot is durable by now
	for _, part := range []func(context.Context) error{b.cursors, b.parked, b.rejections, b.schedules, b.keys, b.commits, b.starts} {
		if err := part(ctx); err != nil {
			return p.store.trouble.noted(err)
		}
	}
	return nil
}

// backup is a backup in progress.
type backup struct {
	store *store
	at    *pebble.Snapshot
	end   int64 // position of the last commit
	yield func(portable.Line) error

	began  []begun
	latest time.Time // of the commits
}

// begun is a follower's start.
type begun struct {
	follower string
	position int64
	after    int64     // how many commits are up to there
	before   time.Time // the latest time of those
	since    time.Time // the earliest time of the others
}

// each calls do for what the table has.
func (b *backup) each(table byte, do func(k, v []byte) error) error {
	return scan(b.at, keyIn(table), nil, forward, func(k, v []byte) (bool, error) { return true, do(k, v) })
}

func (b *backup) cursors(context.Context) error {
	return b.each(tableCursors, func(k, v []byte) error {
		at, f := partsOf(k), fields{rest: v}
		c := portable.Cursor{Consumer: at.text(), Stream: engine.Stream{Aggregate: at.text(), ID: at.text()}, Next: f.number()}
		return cmp.Or(at.err(), f.err(), b.yield(portable.Line{Cursor: &c}))
	})
}

func (b *backup) parked(context.Context) error {
	return b.each(tableParked, func(k, v []byte) (err error) {
		var x engine.Parked
		if x.Consumer, x.Stream, err = parkedOf(k); err != nil {
			return err
		}
		f := fields{rest: v}
		readParked(&f, &x)
		return cmp.Or(f.err(), b.yield(portable.Line{Parked: &x}))
	})
}

func (b *backup) rejections(context.Context) error {
	oldest := time.Now().Add(-engine.RejectionsKept)
	return b.each(tableRejections, func(k, v []byte) error {
		at, f := partsOf(k), fields{rest: v}
		r := engine.KeptRejection{Command: engine.CommandID{Origin: at.text(), Seq: at.number(), Index: at.number()}}
		readRejection(&f, &r)
		if err := cmp.Or(at.err(), f.err()); err != nil || r.Time.Before(oldest) {
			return err
		}
		return b.yield(portable.Line{Rejection: &r})
	})
}

func (b *backup) schedules(context.Context) error {
	return b.each(tableSchedules, func(k, v []byte) error {
		at, f := partsOf(k), fields{rest: v}
		st := engine.ScheduleState{}
		rev, data := f.number(), f.bytes()
		name := at.text()
		if err := cmp.Or(at.err(), f.err()); err != nil {
			return err
		}
		if err := json.Unmarshal(data, &st); err != nil {
			return fmt.Errorf("schedule %s: %w", name, err)
		}
		st.Name, st.Rev = name, rev
		return b.yield(portable.Line{Schedule: &st})
	})
}

// keys are read now: whoever was erased since the snapshot stays so.
func (b *backup) keys(ctx context.Context) error {
	return b.each(tableKeys, func(k, _ []byte) error {
		at := partsOf(k)
		st := engine.Stream{Aggregate: at.text(), ID: at.text()}
		if err := at.err(); err != nil {
			return err
		}
		key, err := b.store.Key(ctx, st, false)
		erased := errors.Is(err, engine.ErrErased)
		if err != nil && !erased {
			return err
		}
		return b.yield(portable.Line{Key: &portable.Key{Stream: st, Key: key, Erased: erased}})
	})
}

// commitsUpTo calls do for the commits up to a position, with how many there are up to each.
func (b *backup) commitsUpTo(ctx context.Context, end int64, do func(position, nr int64, r record) error) error {
	nr := int64(0)
	return scanBetween(b.at, keyIn(tableCommits), commitKey(end).end(), forward, func(k, v []byte) (bool, error) {
		f := fields{rest: v}
		r := recordOf(&f)
		nr++
		return true, cmp.Or(ctx.Err(), f.err(), do(partsOf(k).number(), nr, r))
	})
}

// commits also finds out where starts are in the file, and when.
func (b *backup) commits(ctx context.Context) error {
	err := b.each(tableStarts, func(k, v []byte) error {
		at, f := partsOf(k), fields{rest: v}
		b.began = append(b.began, begun{follower: at.text(), position: f.number()})
		return cmp.Or(at.err(), f.err())
	})
	if err != nil {
		return err
	}
	return b.commitsUpTo(ctx, b.end, func(position, nr int64, r record) error {
		at, err := r.time()
		if err != nil {
			return err
		}
		if at.After(b.latest) {
			b.latest = at
		}
		for i := range b.began {
			s := &b.began[i]
			switch {
			case position <= s.position:
				s.after = nr
				if at.After(s.before) {
					s.before = at
				}
			case s.since.IsZero() || at.Before(s.since):
				s.since = at
			}
		}
		return b.yield(portable.Line{Commit: &portable.Commit{Stream: r.stream, Seq: r.seq, Version: r.version, Events: r.events, Meta: r.meta, Hash: r.hash}})
	})
}

// time is when the commit was made.
func (r record) time() (time.Time, error) {
	var meta struct {
		Time time.Time `json:"time"`
	}
	if err := jsonv2.Unmarshal(r.meta, &meta); err != nil {
		return time.Time{}, fmt.Errorf("metadata of %s at %d: %w", r.stream, r.seq, err)
	}
	return meta.Time, nil
}

// starts tells where followers began. Where the commits before a start are not those before
// a time, because of the clock, cursors say which are.
func (b *backup) starts(ctx context.Context) error {
	next := b.latest.Add(time.Millisecond)
	if now := time.Now().UTC().Truncate(time.Millisecond); now.After(next) {
		next = now
	}
	for _, s := range b.began {
		out := portable.Start{Follower: s.follower, After: s.after}
		if s.after > 0 {
			if out.Since = s.since; s.since.IsZero() {
				out.Since = next
			}
		}
		if err := b.yield(portable.Line{Start: &out}); err != nil {
			return err
		}
		if s.before.Before(out.Since) || s.after == 0 {
			continue
		}
		err := b.commitsUpTo(ctx, s.position, func(_, _ int64, r record) error {
			at, err := r.time()
			if err != nil || at.Before(out.Since) {
				return err
			}
			var next int64
			if _, err := read(b.at, cursorKey(s.follower, r.stream), func(f *fields) { next = f.number() }); err != nil || next > r.seq {
				return err
			}
			return b.yield(portable.Line{Cursor: &portable.Cursor{Consumer: s.follower, Stream: r.stream, Next: r.seq + 1}})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
