package aws

import (
	"context"
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
// [portable.Source]: see [portable.ByTime]. It needs no more than reading the plugins' tables
// of events, cursors, parked keys, and keys of personal data. tell hears how many commits are
// read so far; the scratch, which must be empty, puts them in order.
func (p *Platform) Backup(scratch portable.Scratch, tell func(read int64)) portable.Source {
	return portable.ByTime(&tables{Platform: p, tell: tell}, backupMargin, scratch)
}

// tables are the platform's, to be backed up.
type tables struct {
	*Platform
	tell func(int64)

	mu      sync.Mutex
	scanned int64
}

// Now implements [portable.Tables].
func (t *tables) Now() time.Time { return t.clock.Now() }

// Sleep implements [portable.Tables].
func (t *tables) Sleep(ctx context.Context, d time.Duration) error { return t.clock.Sleep(ctx, d) }

// Kept implements [portable.Tables].
func (t *tables) Kept(ctx context.Context, yield func(portable.Line) error) error {
	return t.eachPlugin("read what is kept of followers of %s: %w", func(plugin string) error {
		cursors, err1 := t.store.cursors(plugin)
		parked, err2 := t.store.parked(plugin)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		return errors.Join(t.kept(ctx, cursors, yield), t.parked(ctx, parked, yield))
	})
}

// Starts implements [portable.Tables].
func (t *tables) Starts(ctx context.Context, yield func(portable.Start) error) error {
	return t.eachPlugin("read when followers of %s began: %w", func(plugin string) error {
		table, err := t.store.cursors(plugin)
		if err != nil {
			return err
		}
		return t.store.eachStart(ctx, table, yield)
	})
}

// Cursors implements [portable.Tables].
func (t *tables) Cursors(ctx context.Context, yield func(portable.Cursor) error) error {
	return t.eachPlugin("read where side effects of %s are: %w", func(plugin string) error {
		table, err := t.store.cursors(plugin)
		if err != nil {
			return err
		}
		return t.store.eachCursor(ctx, table, yield)
	})
}

// Commits implements [portable.Tables].
func (t *tables) Commits(ctx context.Context, yield func(portable.Commit) error) error {
	return t.eachPlugin("read the log of %s: %w", func(plugin string) error {
		table, err := t.store.events(plugin)
		if err != nil {
			return err
		}
		work, ctx := errgroup.WithContext(ctx)
		for segment := range int32(scanSegments) {
			work.Go(func() error {
				return t.store.eachItem(ctx, table, segment, scanSegments, func(i item) error {
					c, err := storedCommit(plugin, i)
					if err != nil {
						return err
					}
					t.count()
					return yield(c)
				})
			})
		}
		return work.Wait()
	})
}

func (t *tables) count() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.scanned++; t.scanned%1000 == 0 {
		t.tell(t.scanned)
	}
}

// Keys implements [portable.Tables].
func (t *tables) Keys(ctx context.Context, yield func(portable.Key) error) error {
	return t.eachPlugin("read the keys of personal data of %s: %w", func(plugin string) error {
		table := t.Wiring.Plugins[plugin].Keys
		if table == "" {
			return nil
		}
		return t.store.eachKey(ctx, &table, yield)
	})
}

// eachPlugin calls do for each plugin; format says what failed.
func (t *tables) eachPlugin(format string, do func(plugin string) error) error {
	for _, x := range t.Plugins {
		if err := do(x.Name); err != nil {
			return fmt.Errorf(format, x.Name, err)
		}
	}
	return nil
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

// kept yields what stands in a table of cursors.
func (p *Platform) kept(ctx context.Context, table *string, yield func(portable.Line) error) error {
	oldest := p.clock.Now().Add(-engine.RejectionsKept)
	return p.store.eachItem(ctx, table, 0, 1, func(i item) error {
		key := text(i, wiring.Key)
		schedule, isSchedule := strings.CutPrefix(key, wiring.SchedulePrefix)
		switch {
		case isSchedule:
			st := engine.ScheduleState{}
			if err := json.Unmarshal([]byte(text(i, attrState)), &st); err != nil {
				return fmt.Errorf("schedule %s: %w", schedule, err)
			}
			st.Name, st.Rev = schedule, number(i, attrRev)
			return yield(portable.Line{Schedule: &st})
		case strings.HasPrefix(key, rejectionPrefix):
			r, err := readRejection(i)
			if err != nil || r.Time.Before(oldest) {
				return err
			}
			return yield(portable.Line{Rejection: &r})
		}
		c, ok, err := readCursor(i)
		if err != nil || !ok {
			return err
		}
		return yield(portable.Line{Cursor: &c})
	})
}

// eachCursor calls yield for the cursors of a table.
func (s *store) eachCursor(ctx context.Context, table *string, yield func(portable.Cursor) error) error {
	return s.eachItem(ctx, table, 0, 1, func(i item) error {
		c, ok, err := readCursor(i)
		if err != nil || !ok {
			return err
		}
		return yield(c)
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

// eachStart calls yield for the starts in a table of cursors.
func (s *store) eachStart(ctx context.Context, table *string, yield func(portable.Start) error) error {
	var i item
	err := again(ctx, func() (err error) {
		i, err = s.get(ctx, table, startsKey)
		return err
	})
	if err != nil {
		return err
	}
	for _, x := range startsOf(i) {
		if err := yield(x); err != nil {
			return err
		}
	}
	return nil
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

func (p *Platform) parked(ctx context.Context, table *string, yield func(portable.Line) error) error {
	return p.store.eachItem(ctx, table, 0, 1, func(i item) error {
		k, err := readParked(i)
		if err != nil {
			return err
		}
		return yield(portable.Line{Parked: &k})
	})
}

// eachKey calls yield for the keys in a table. One is made before the first commit that it is
// for, so that it is there.
func (s *store) eachKey(ctx context.Context, table *string, yield func(portable.Key) error) error {
	return s.eachItem(ctx, table, 0, 1, func(i item) error {
		st, err := engine.ParseStream(text(i, wiring.Key))
		if err != nil {
			return err
		}
		return yield(portable.Key{Stream: st, Key: keyIn(i), Erased: erasedIn(i) != nil})
	})
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
