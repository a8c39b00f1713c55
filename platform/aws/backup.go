package aws

import (
	"bytes"
	"context"
	bigendian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/sync/errgroup"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/portable"
)

// backupMargin is by how much clocks of functions may differ, and how long a commit may be
// on its way to its table after it got its time.
var backupMargin = 5 * time.Second

// scanSegments is how many parts of a table are read at a time.
const scanSegments = 8

// Backup returns the shop as it was at one instant, while it goes on, as a
// [portable.Source]. It needs no more than reading the plugins' tables of events, cursors,
// parked keys, and keys of personal data. tell hears how many commits are read so far; the
// scratch, which must be empty, puts them in order.
//
// A commit's time is never before its predecessor's, or that of the commit that it follows
// from. So all commits up to some time are a prefix of the shop's history. Cursors of
// followers that send commands are read before that time: what they have passed has come to
// its end in it. Cursors of side effects are read afterwards: nothing is sent again that was
// sent meanwhile.
func (p *Platform) Backup(scratch portable.Scratch, tell func(read int64)) portable.Source {
	return func(ctx context.Context, yield func(portable.Line) error) error {
		b := &backup{Platform: p, scratch: scratch, tell: tell, yield: yield}
		for _, x := range p.Plugins {
			cursors, err1 := p.store.cursors(x.Name)
			parked, err2 := p.store.parked(x.Name)
			err := errors.Join(err1, err2)
			if err == nil {
				err = errors.Join(b.kept(ctx, cursors), b.parked(ctx, parked))
			}
			if err != nil {
				return fmt.Errorf("read what is kept of followers of %s: %w", x.Name, err)
			}
		}
		b.until = p.clock.Now().Add(backupMargin)
		if err := p.clock.Sleep(ctx, 2*backupMargin); err != nil {
			return err
		}
		for _, x := range p.Plugins {
			if err := b.read(ctx, x.Name); err != nil {
				return fmt.Errorf("read the log of %s: %w", x.Name, err)
			}
		}
		if err := b.commits(ctx); err != nil {
			return err
		}
		for _, x := range p.Plugins {
			if table := p.Wiring.Plugins[x.Name].Keys; table != "" {
				if err := b.keys(ctx, &table); err != nil {
					return fmt.Errorf("read the keys of personal data of %s: %w", x.Name, err)
				}
			}
			cursors, err := p.store.cursors(x.Name)
			if err == nil {
				err = b.effects(ctx, cursors)
			}
			if err != nil {
				return fmt.Errorf("read where side effects of %s are: %w", x.Name, err)
			}
		}
		for _, s := range b.starts {
			if err := yield(portable.Line{Start: &s}); err != nil {
				return err
			}
		}
		return nil
	}
}

// backup is a backup in progress.
type backup struct {
	*Platform
	scratch portable.Scratch
	tell    func(int64)
	yield   func(portable.Line) error
	until   time.Time // later commits are not in it
	starts  []portable.Start

	mu      sync.Mutex
	scanned int64
}

// eachItem calls do for each item of a table, strongly consistent.
func (s *store) eachItem(ctx context.Context, table *string, segment, segments int32, do func(item) error) error {
	in := &dynamodb.ScanInput{TableName: table, ConsistentRead: awssdk.Bool(true), Segment: &segment, TotalSegments: &segments}
	for {
		var out *dynamodb.ScanOutput
		err := again(ctx, func() (err error) {
			out, err = s.db.Scan(ctx, in)
			return failure(err)
		})
		if err != nil {
			return err
		}
		for _, i := range out.Items {
			if err := do(i); err != nil {
				return err
			}
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey == nil {
			return nil
		}
	}
}

// again does something until it succeeds, for about a minute: a table is throttled that is
// read or written as fast as it can be.
func again(ctx context.Context, do func() error) (err error) {
	for wait := 100 * time.Millisecond; wait < 30*time.Second; wait *= 2 {
		if err = do(); !errors.Is(err, engine.ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return err
}

// kept yields what stands in a table of cursors, where side effects are excepted.
func (b *backup) kept(ctx context.Context, table *string) error {
	oldest := b.clock.Now().Add(-engine.RejectionsKept)
	return b.store.eachItem(ctx, table, 0, 1, func(i item) error {
		key := text(i, wiring.Key)
		schedule, isSchedule := strings.CutPrefix(key, wiring.SchedulePrefix)
		switch {
		case key == wiring.StartsKey:
			b.starts = append(b.starts, startsOf(i)...)
			return nil
		case isSchedule:
			st := engine.ScheduleState{}
			if err := json.Unmarshal([]byte(text(i, attrState)), &st); err != nil {
				return fmt.Errorf("schedule %s: %w", schedule, err)
			}
			st.Name, st.Rev = schedule, number(i, attrRev)
			return b.yield(portable.Line{Schedule: &st})
		case strings.HasPrefix(key, rejectionPrefix):
			r, err := readRejection(i)
			if err != nil || r.Time.Before(oldest) {
				return err
			}
			return b.yield(portable.Line{Rejection: &r})
		}
		c, ok, err := readCursor(i)
		if err != nil || !ok || engine.ParseConsumer(c.Consumer).Kind == engine.KindSideEffect {
			return err
		}
		return b.yield(portable.Line{Cursor: &c})
	})
}

// readCursor reads an item among the cursors; ok is false if it is another, or only marked
// as parked.
func readCursor(i item) (c portable.Cursor, ok bool, err error) {
	consumer, stream, ok := strings.Cut(text(i, wiring.Key), "\n")
	if !ok || i[attrNext] == nil {
		return c, false, nil
	}
	c = portable.Cursor{Consumer: consumer, Next: number(i, attrNext)}
	c.Stream, err = engine.ParseStream(stream)
	return c, true, err
}

// startsOf are the starts that an item has, by the time.
func startsOf(i item) (out []portable.Start) {
	for follower := range i {
		if strings.Contains(follower, ":") {
			at, _ := time.Parse(time.RFC3339Nano, text(i, follower)) // "" is the beginning
			out = append(out, portable.Start{Follower: follower, Since: at})
		}
	}
	return out
}

func (b *backup) parked(ctx context.Context, table *string) error {
	return b.store.eachItem(ctx, table, 0, 1, func(i item) error {
		k, err := readParked(i)
		if err != nil {
			return err
		}
		return b.yield(portable.Line{Parked: &k})
	})
}

// keys yields the keys in a table. One is made before the first commit that it is for, so
// that it is there.
func (b *backup) keys(ctx context.Context, table *string) error {
	return b.store.eachItem(ctx, table, 0, 1, func(i item) error {
		st, err := engine.ParseStream(text(i, wiring.Key))
		if err != nil {
			return err
		}
		return b.yield(portable.Line{Key: &portable.Key{Stream: st, Key: keyIn(i), Erased: erasedIn(i) != nil}})
	})
}

// effects yields where side effects are, as far as the commits go.
func (b *backup) effects(ctx context.Context, table *string) error {
	return b.store.eachItem(ctx, table, 0, 1, func(i item) error {
		c, ok, err := readCursor(i)
		if err != nil || !ok || engine.ParseConsumer(c.Consumer).Kind != engine.KindSideEffect {
			return err
		}
		end, err := b.scratch.Get(endKey(c.Stream))
		if err != nil || end == nil {
			return err
		}
		c.Next = min(c.Next, int64(bigendian.BigEndian.Uint64(end)))
		return b.yield(portable.Line{Cursor: &c})
	})
}

// Keys of the scratch: a commit's, by its time; of a stream, where its commits end.
const (
	commitsByTime = "c"
	endsOfStreams = "e"
)

func endKey(s engine.Stream) []byte { return []byte(endsOfStreams + s.String()) }

// about is what the metadata says that the order depends on.
type about struct {
	Time    time.Time        `json:"time"`
	Command engine.CommandID `json:"command"`
}

func aboutOf(c *portable.Commit) (a about, err error) {
	if err := json.Unmarshal(c.Meta, &a); err != nil {
		return a, fmt.Errorf("metadata of %s at %d: %w", c.Stream, c.Seq, err)
	}
	return a, nil
}

// read puts the plugin's commits into the scratch, by their time.
func (b *backup) read(ctx context.Context, plugin string) error {
	table, err := b.store.events(plugin)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	for segment := range int32(scanSegments) {
		work.Go(func() error {
			return b.store.eachItem(ctx, table, segment, scanSegments, func(i item) error {
				c, err := storedCommit(plugin, i)
				if err != nil {
					return err
				}
				return b.sortIn(&c)
			})
		})
	}
	return work.Wait()
}

// storedCommit reads an item of a plugin's table of events, as it is.
func storedCommit(plugin string, i item) (c portable.Commit, err error) {
	c = portable.Commit{
		Seq: number(i, wiring.Seq), Version: number(i, attrVersion),
		Events: []byte(text(i, attrEvents)), Meta: []byte(text(i, attrMeta)), Hash: binary(i, attrHash),
	}
	c.Stream, err = engine.ParseStream(naming.Full(plugin, text(i, wiring.Stream)))
	return c, err
}

func (b *backup) sortIn(c *portable.Commit) error {
	b.mu.Lock()
	if b.scanned++; b.scanned%1000 == 0 {
		b.tell(b.scanned)
	}
	b.mu.Unlock()
	a, err := aboutOf(c)
	if err != nil || a.Time.After(b.until) {
		return err
	}
	value, err := json.Marshal(c)
	if err != nil {
		return err
	}
	key := bigendian.BigEndian.AppendUint64([]byte(commitsByTime), uint64(a.Time.UnixMilli()))
	key = bigendian.BigEndian.AppendUint64(append(append(key, c.Stream.String()...), 0), uint64(c.Seq))
	if err := b.scratch.Set(key, value); err != nil {
		return err
	}
	return b.scratch.Set(endKey(c.Stream), bigendian.BigEndian.AppendUint64(nil, uint64(c.Seq+1))) // a stream's are read in order
}

// commits yields what was read, in causal order.
func (b *backup) commits(ctx context.Context) error {
	var group []portable.Commit // of one millisecond
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
			if err := b.yield(portable.Line{Commit: &c}); err != nil {
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
		var c portable.Commit
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
func causalOrder(commits []portable.Commit) []portable.Commit {
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
	out := make([]portable.Commit, 0, len(commits))
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
