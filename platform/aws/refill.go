package aws

import (
	"bytes"
	"context"
	bigendian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/portable"
)

// OldTables are tables of a plugin as they once were.
type OldTables struct {
	Plugin  string
	Events  string
	Cursors string // empty: none, which is enough where the plugin's own are there
	Keys    string // of personal data, as it is now: whoever was erased stays so; empty: none
}

// TableAt restores a table to an instant with DynamoDB's point-in-time recovery, into one
// whose name it returns. It waits until that is there, which takes from minutes to hours. A
// repeated call returns the same table.
func (p *Platform) TableAt(ctx context.Context, table string, at time.Time) (name string, err error) {
	name = table + "-at-" + at.UTC().Format("20060102T150405Z")
	in := &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: &table, TargetTableName: &name, RestoreDateTime: &at}
	_, err = p.store.db.RestoreTableToPointInTime(ctx, in)
	if there, used := (*types.TableAlreadyExistsException)(nil), (*types.TableInUseException)(nil); err != nil && !errors.As(err, &there) && !errors.As(err, &used) {
		return "", fmt.Errorf("restore the table %s to %s: %w", table, at.UTC().Format(time.RFC3339), err)
	}
	for {
		out, err := p.store.db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			return "", fmt.Errorf("wait for the table %s: %w", name, err)
		}
		if out.Table.TableStatus == types.TableStatusActive {
			return name, nil
		}
		if err := p.clock.Sleep(ctx, 10*time.Second); err != nil {
			return "", err
		}
	}
}

// DropTable deletes a table that [Platform.TableAt] made.
func (p *Platform) DropTable(ctx context.Context, name string) error {
	_, err := p.store.db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
	return failure(err)
}

// Refill copies commits that logs have lost from tables as they once were, and returns how
// many. It first looks whether the two make one history: where a place has different commits,
// or a stream would have a gap, it returns an error and writes nothing. Where the shop is
// empty, what is kept beside the commits is copied before them, from tables of cursors. No
// function may run meanwhile. The scratch must be empty. A call that was interrupted can be
// repeated.
func (p *Platform) Refill(ctx context.Context, scratch portable.Scratch, from []OldTables, tell func(read int64)) (added int64, err error) {
	r := &refill{restore: restore{Platform: p, tables: map[string]*string{}}, scratch: scratch, tell: tell}
	live, err := r.compare(ctx, from)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnchanged, err)
	}
	if live == 0 {
		if err := r.followers(ctx, from); err != nil {
			return 0, err
		}
	}
	err = r.copy(ctx)
	return r.done, err
}

// compare reads both, returns how many commits the shop has, and an error unless the two make
// one history.
func (r *refill) compare(ctx context.Context, from []OldTables) (live int64, err error) {
	p := r.Platform
	for _, x := range p.Plugins {
		if !slices.ContainsFunc(from, func(o OldTables) bool { return o.Plugin == x.Name }) {
			continue
		}
		table, err := p.store.events(x.Name)
		if err == nil {
			err = r.read(ctx, x.Name, table, r.live)
		}
		if err != nil {
			return 0, fmt.Errorf("read the log of %s: %w", x.Name, err)
		}
	}
	live = r.seen
	for _, o := range from {
		if err := r.read(ctx, o.Plugin, &o.Events, r.old); err != nil {
			return 0, fmt.Errorf("read the table %s: %w", o.Events, err)
		}
	}
	if r.conflicts > 0 {
		return 0, fmt.Errorf("%d places have another commit now than in the old tables, such as %s: somebody wrote after the loss, so that there are two histories; restore into a fresh stack, or tables of another time", r.conflicts, r.conflict)
	}
	for _, x := range p.Plugins {
		i := slices.IndexFunc(from, func(o OldTables) bool { return o.Plugin == x.Name })
		if live == 0 && (i < 0 || from[i].Cursors == "") {
			return 0, fmt.Errorf("the stack is empty: it needs the tables of events and of cursors of every plugin, and those of %s are not named", x.Name)
		}
		if live == 0 && from[i].Keys == "" && p.Wiring.Plugins[x.Name].Keys != "" {
			return 0, fmt.Errorf("the stack is empty: without the table of its keys nobody can read the personal data of %s, and that is not named", x.Name)
		}
	}
	return live, r.whole()
}

// refill is a refill in progress. The scratch has a commit by its place, after a letter that
// says whether it is to be written.
type refill struct {
	restore
	scratch   portable.Scratch
	tell      func(int64)
	seen      int64
	conflicts int64
	conflict  string // one of them
}

func (r *refill) ends() portable.Ends { return portable.Ends{Scratch: r.scratch} }

const (
	byPlace = "p"
	isThere = 't'
	missing = 'm'
)

func (r *refill) read(ctx context.Context, plugin string, table *string, each func(key, value []byte, c *portable.Commit) error) error {
	return r.store.eachItem(ctx, table, 0, 1, func(i item) error {
		c, err := storedCommit(plugin, i)
		if err != nil {
			return err
		}
		if err := c.Check(); err != nil {
			return err
		}
		value, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if r.seen++; r.seen%1000 == 0 {
			r.tell(r.seen)
		}
		key := bigendian.BigEndian.AppendUint64(append(append([]byte(byPlace), c.Stream.String()...), 0), uint64(c.Seq))
		return each(key, value, &c)
	})
}

func (r *refill) live(key, value []byte, _ *portable.Commit) error {
	return r.scratch.Set(key, append([]byte{isThere}, value...))
}

func (r *refill) old(key, value []byte, c *portable.Commit) error {
	now, err := r.scratch.Get(key)
	switch {
	case err != nil:
		return err
	case now == nil:
		return r.scratch.Set(key, append([]byte{missing}, value...))
	case !bytes.Equal(now[1:], value):
		r.conflicts++
		r.conflict = fmt.Sprintf("commit %d of %s", c.Seq, c.Stream)
	}
	return nil
}

// each calls do for each commit, stream by stream.
func (r *refill) each(do func(c portable.Commit, missing bool) error) error {
	return r.scratch.Each([]byte(byPlace), func(_, value []byte) error {
		var c portable.Commit
		if err := json.Unmarshal(value[1:], &c); err != nil {
			return err
		}
		return do(c, value[0] == missing)
	})
}

// whole returns an error if a stream would have a gap, and keeps where streams end.
func (r *refill) whole() error {
	last := engine.Commit{Seq: -1}
	return r.each(func(c portable.Commit, _ bool) error {
		this := engine.Commit{Stream: c.Stream, Seq: c.Seq, Version: c.Version, Hash: c.Hash}
		if c.Stream != last.Stream {
			last = engine.Commit{Stream: c.Stream, Seq: -1}
		}
		if c.Seq != last.Seq+1 {
			return fmt.Errorf("%s would have a gap: commit %d is there, and %d is not, in the old tables either: take them as of a later time, the last second before the loss", c.Stream, c.Seq, last.Seq+1)
		}
		if err := this.CheckFollows(last.Link()); err != nil {
			return err
		}
		last = this
		return r.ends().Put(c.Stream, c.Seq+1)
	})
}

// followers copies what is kept beside the commits. Followers that send commands begin at the
// beginning: tables were not written in one instant, and the log of whom they send to knows
// what was done. Side effects have no such log.
func (r *refill) followers(ctx context.Context, from []OldTables) error {
	for _, x := range r.Plugins {
		i := slices.IndexFunc(from, func(o OldTables) bool { return o.Plugin == x.Name })
		var lines []portable.Line
		flush := func() error {
			err := r.Keep(ctx, lines)
			lines = nil
			return err
		}
		yield := func(l portable.Line) error {
			if lines = append(lines, l); len(lines) == 1000 {
				return flush()
			}
			return nil
		}
		err := r.kept(ctx, &from[i].Cursors, func(l portable.Line) error {
			if l.Cursor != nil {
				return nil
			}
			return yield(l)
		})
		err = errors.Join(err, r.store.eachStart(ctx, &from[i].Cursors, func(s portable.Start) error { return yield(portable.Line{Start: &s}) }))
		if from[i].Keys != "" {
			err = errors.Join(err, r.store.eachKey(ctx, &from[i].Keys, func(k portable.Key) error { return yield(portable.Line{Key: &k}) }))
		}
		effects := r.store.eachCursor(ctx, &from[i].Cursors, func(c portable.Cursor) error {
			l, err := r.ends().Effect(c)
			if err != nil || l == nil {
				return err
			}
			return yield(*l)
		})
		if err = errors.Join(err, effects, flush()); err != nil {
			return fmt.Errorf("copy what is kept of followers of %s: %w", x.Name, err)
		}
	}
	return nil
}

func (r *refill) copy(ctx context.Context) error {
	var commits []portable.Commit
	flush := func() error {
		err := r.put(ctx, commits)
		commits = commits[:0]
		return err
	}
	err := r.each(func(c portable.Commit, missing bool) error {
		if !missing {
			return nil
		}
		if commits = append(commits, c); len(commits) == 1000 {
			return flush()
		}
		return nil
	})
	return errors.Join(err, flush())
}

// EmptySnapshots removes all that is in a table of snapshots: one that is ahead of its log
// would leave a gap.
func (p *Platform) EmptySnapshots(ctx context.Context, table string) error {
	return p.store.eachItem(ctx, &table, 0, 1, func(i item) error {
		return again(ctx, func() error {
			_, err := p.store.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: item{wiring.Key: i[wiring.Key]}})
			return failure(err)
		})
	})
}
