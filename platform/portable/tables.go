package portable

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"onlineshop/es/engine"
)

// Tables are a shop whose parts can't be read at one instant. What a method yields is there
// when it is called, at the latest.
type Tables interface {
	// Kept yields what is kept beside the log: cursors, what is parked, rejections and
	// schedules.
	Kept(ctx context.Context, yield func(Line) error) error
	// Cursors yields the cursors alone.
	Cursors(ctx context.Context, yield func(Cursor) error) error
	// Starts yields when followers began.
	Starts(ctx context.Context, yield func(Start) error) error
	// Commits yields the log in any order, but that of each stream. It may call yield
	// concurrently.
	Commits(ctx context.Context, yield func(Commit) error) error
	// Keys yields the keys of personal data.
	Keys(ctx context.Context, yield func(Key) error) error

	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// ByTime returns the shop as it was at one instant, while it goes on. margin is by how much
// clocks of those who append may differ, and how long a commit may be on its way after it got
// its time. The scratch, which must be empty, puts the commits in order.
//
// A commit's time is never before its predecessor's, or that of the commit that it follows
// from. So all commits up to some time are a prefix of the shop's history. Cursors of
// followers that send commands are read before that time: what they have passed has come to
// its end in it. Cursors of side effects are read afterwards: nothing is sent again that was
// sent meanwhile. So are starts: whoever began before that time is known to have.
func ByTime(from Tables, margin time.Duration, scratch Scratch) Source {
	return func(ctx context.Context, yield func(Line) error) error {
		b := &byTime{scratch: scratch, ends: Ends{scratch}, yield: yield}
		err := from.Kept(ctx, func(l Line) error {
			if l.Cursor != nil && l.Cursor.ofEffect() {
				return nil
			}
			return yield(l)
		})
		if err != nil {
			return err
		}
		b.until = from.Now().Add(margin)
		if err := from.Sleep(ctx, 2*margin); err != nil {
			return err
		}
		if err := from.Commits(ctx, b.sortIn); err != nil {
			return err
		}
		// Whoever has not begun by now began after all of that.
		err = from.Starts(ctx, func(s Start) error {
			b.starts = append(b.starts, s)
			return nil
		})
		if err != nil {
			return err
		}
		if err := b.commits(ctx); err != nil {
			return err
		}
		if err := from.Keys(ctx, func(k Key) error { return yield(Line{Key: &k}) }); err != nil {
			return err
		}
		err = from.Cursors(ctx, func(c Cursor) error {
			l, err := b.ends.Effect(c)
			if err != nil || l == nil {
				return err
			}
			return yield(*l)
		})
		if err != nil {
			return err
		}
		for _, s := range b.starts {
			if err := yield(Line{Start: &s}); err != nil {
				return err
			}
		}
		return nil
	}
}

// ofEffect says whether it is a side effect's.
func (c *Cursor) ofEffect() bool {
	return engine.ParseConsumer(c.Consumer).Kind == engine.KindSideEffect
}

// byTime is a backup in progress.
type byTime struct {
	scratch Scratch
	ends    Ends
	yield   func(Line) error
	until   time.Time // later commits are not in it
	starts  []Start
	sorting sync.Mutex
}

// Ends are where streams end, kept in a scratch.
type Ends struct{ Scratch Scratch }

func endKey(s engine.Stream) []byte { return []byte("e" + s.String()) }

// Of returns the place after the stream's last commit; 0: it has none.
func (e Ends) Of(s engine.Stream) (next int64, err error) {
	v, err := e.Scratch.Get(endKey(s))
	if err != nil || v == nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

// Put notes the place after the stream's last commit.
func (e Ends) Put(s engine.Stream, next int64) error {
	return e.Scratch.Set(endKey(s), binary.BigEndian.AppendUint64(nil, uint64(next)))
}

// Effect is the line that says where a side effect is, as far as the commits go; nil: there is
// nothing to say, or the cursor is another follower's.
func (e Ends) Effect(c Cursor) (*Line, error) {
	if !c.ofEffect() {
		return nil, nil
	}
	end, err := e.Of(c.Stream)
	if err != nil || end == 0 {
		return nil, err
	}
	c.Next = min(c.Next, end)
	return &Line{Cursor: &c}, nil
}

// about is what the metadata says that the order depends on.
type about struct {
	Time    time.Time        `json:"time"`
	Command engine.CommandID `json:"command"`
}

func aboutOf(c *Commit) (a about, err error) {
	if err := json.Unmarshal(c.Meta, &a); err != nil {
		return a, fmt.Errorf("metadata of %s at %d: %w", c.Stream, c.Seq, err)
	}
	return a, nil
}

// commitsByTime begins the scratch's key of a commit, which goes on with its time.
const commitsByTime = "c"

func (b *byTime) sortIn(c Commit) error {
	a, err := aboutOf(&c)
	if err != nil || a.Time.After(b.until) {
		return err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	key := binary.BigEndian.AppendUint64([]byte(commitsByTime), uint64(a.Time.UnixMilli()))
	key = binary.BigEndian.AppendUint64(append(append(key, c.Stream.String()...), 0), uint64(c.Seq))
	b.sorting.Lock()
	defer b.sorting.Unlock()
	if err := b.scratch.Set(key, value); err != nil {
		return err
	}
	return b.ends.Put(c.Stream, c.Seq+1) // a stream's are read in order
}

// commits yields what was read, in causal order.
func (b *byTime) commits(ctx context.Context) error {
	var group []Commit // of one millisecond
	var at []byte
	flush := func() error {
		for _, c := range causalOrder(group) {
			a, err := aboutOf(&c)
			if err != nil {
				return err
			}
			for i, s := range b.starts {
				if a.Time.Before(s.Since) {
					b.starts[i].After++
				}
			}
			if err := b.yield(Line{Commit: &c}); err != nil {
				return err
			}
		}
		group = group[:0]
		return ctx.Err()
	}
	err := b.scratch.Each([]byte(commitsByTime), func(key, value []byte) error {
		if when := key[:len(commitsByTime)+8]; !bytes.Equal(when, at) {
			at = bytes.Clone(when)
			if err := flush(); err != nil {
				return err
			}
		}
		var c Commit
		if err := json.Unmarshal(value, &c); err != nil {
			return err
		}
		group = append(group, c)
		return nil
	})
	if err == nil {
		err = flush()
	}
	return err
}

// causalOrder orders commits of one time: each after its predecessor, and after the commit
// that it follows from.
func causalOrder(commits []Commit) []Commit {
	if len(commits) < 2 {
		return commits
	}
	type place struct {
		stream string
		seq    int64
	}
	at := map[place]int{}
	for i, c := range commits {
		at[place{c.Stream.String(), c.Seq}] = i
	}
	out := make([]Commit, 0, len(commits))
	seen := make([]bool, len(commits))
	var visit func(place)
	visit = func(p place) {
		i, here := at[p]
		if !here || seen[i] {
			return
		}
		seen[i] = true
		visit(place{p.stream, p.seq - 1})
		if a, err := aboutOf(&commits[i]); err == nil {
			visit(place{a.Command.Source(), a.Command.Seq})
		}
		out = append(out, commits[i])
	}
	for _, c := range commits {
		visit(place{c.Stream.String(), c.Seq})
	}
	return out
}
