package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"onlineshop/es"
)

// Trace is a commit, what caused it, and what it set off.
type Trace struct {
	Event TraceEvent
	Cause *TraceCause // nil: a person's command
	Then  []Branch
}

// TraceEvent is the first event of a commit.
type TraceEvent struct {
	Stream  Stream
	Version int64           // the aggregate's after the commit
	Type    string          // of the commit's first event
	Data    json.RawMessage // nil: the caller may not see it
	Meta    Meta
}

// TraceCause is the commit that a follower acted on.
type TraceCause struct {
	Follower string
	Stream   Stream
	Version  int64
}

// Branch is what a follower or read model did about a commit. A follower that sent several
// commands has a branch for each.
type Branch struct {
	Follower     string
	State        BranchState
	Milliseconds int64     // from the commit to what followed; of BranchDone with a commit
	Due          time.Time // of BranchDue
	Error        string    // of BranchParked and BranchRejected
	Trace        *Trace    // the commit that followed; nil: there is none
}

// BranchState says how far a branch is.
type BranchState string

// The states of branches.
const (
	BranchDone     BranchState = "done"
	BranchPending  BranchState = "pending" // its turn has not come yet
	BranchDue      BranchState = "due"     // it waits by declaration
	BranchParked   BranchState = "parked"
	BranchRejected BranchState = "rejected" // by the domain, or an operator skipped it
	BranchNone     BranchState = "none"     // the command had nothing to change
)

// A trace ends at some depth, and with so many commits: nothing that the shop does goes
// further.
const (
	traceDepth   = 12
	traceCommits = 200
)

// Trace returns the trace of the commit that brought the aggregate to the version, or
// past it. Nothing is kept for it: a commit's command id says what caused it, and what
// followers send about a commit is a function of it. Callers who are neither in
// [es.Admin] nor the aggregate's owner can't tell it from one that does not exist; of
// others' commits that it set off, they don't see the data.
func (e *Engine) Trace(ctx context.Context, caller es.Caller, s Stream, version int64) (Trace, error) {
	a := e.aggregates[s.Aggregate]
	if a == nil {
		return Trace{}, ErrNotFound.Because("there is no aggregate %s", s.Aggregate)
	}
	var found *Commit
	err := e.commits(ctx, s, 0, func(c Commit) error {
		if c.Version < version {
			return nil
		}
		found = &c
		return errStop
	})
	if err != nil && !errors.Is(err, errStop) {
		return Trace{}, err
	}
	if found == nil || version < 1 || !sees(caller, found.Meta.Owner) {
		return Trace{}, ErrNotFound.Because("there is no version %d of %s", version, s)
	}
	t := tracer{Engine: e, caller: caller, left: traceCommits}
	out, err := t.commit(ctx, *found, 0)
	if err != nil {
		return out, fmt.Errorf("trace of %s: %w", s, err)
	}
	out.Cause, err = e.cause(ctx, *found)
	return out, err
}

// cause is what a commit's command id says.
func (e *Engine) cause(ctx context.Context, c Commit) (*TraceCause, error) {
	follower := c.Meta.Command.Follower()
	if e.followers[follower] == nil {
		return nil, nil // a person's
	}
	s, err := ParseStream(c.Meta.Command.Source())
	if err != nil {
		return nil, err
	}
	cause := &TraceCause{Follower: follower, Stream: s}
	err = e.commitsBy(ctx, s, c.Meta.Command.Seq, 1, func(c Commit) error {
		cause.Version = c.Version
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return cause, err
}

type tracer struct {
	*Engine
	caller es.Caller
	left   int // commits that may still be shown
}

func (t *tracer) commit(ctx context.Context, c Commit, depth int) (Trace, error) {
	t.left--
	c, err := t.Opened(ctx, c)
	if err != nil {
		return Trace{}, err
	}
	out := Trace{Event: TraceEvent{Stream: c.Stream, Version: c.Version, Type: c.Events[0].Type, Meta: c.Meta}}
	if sees(t.caller, c.Meta.Owner) {
		out.Event.Data = c.Events[0].Data
	}
	a := t.aggregates[c.Stream.Aggregate]
	if a == nil || depth == traceDepth || t.left <= 0 {
		return out, nil
	}
	events, err := a.decode(c)
	if err != nil {
		return out, nil //nolint:nilerr // a newer version's: nothing here acts on it
	}
	d := delivery{stream: c.Stream, seq: c.Seq, meta: c.Meta, events: events}
	for _, m := range a.models {
		b, err := t.model(ctx, m, c)
		if err != nil {
			return out, err
		}
		out.Then = append(out.Then, b)
	}
	for _, f := range a.followers {
		if err := t.follower(ctx, f, d, depth, &out); err != nil {
			return out, err
		}
	}
	for _, p := range a.points {
		if err := t.point(ctx, a, p, c, depth, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// model is the branch of a read model.
func (t *tracer) model(ctx context.Context, m *model, c Commit) (Branch, error) {
	id := c.Stream.ID
	if m.Kind != es.ViewRows {
		id = ItemID(id, "")
	}
	row, err := t.Rows.Row(ctx, m.Name, id)
	if err != nil {
		return Branch{}, err
	}
	done := row.At[c.Stream.Aggregate].Next > c.Seq
	if !done && row.View == nil && m.Kind == es.ViewRows { // of an absent row nothing is kept: it may be one that this commit does not make
		_, changed, err := t.foldRow(ctx, m, c.Stream.ID, row, catchUpTo{source: c.Stream.Aggregate, seq: c.Seq})
		done = err == nil && !changed
	}
	return t.branch(ctx, m.consumer, c.Stream, done)
}

// branch is done, parked or pending.
func (t *tracer) branch(ctx context.Context, consumer string, s Stream, done bool) (Branch, error) {
	b := Branch{Follower: consumer, State: BranchDone}
	if done {
		return b, nil
	}
	b.State = BranchPending
	p, err := t.Parking.Parked(ctx, consumer, s)
	if p != nil {
		b.State = BranchParked
		b.Error, _, _ = strings.Cut(p.Error, "\n")
	}
	return b, err
}

// point adds the branches of the extensions that listen at a point.
func (t *tracer) point(ctx context.Context, a *aggregate, p *point, c Commit, depth int, out *Trace) error {
	entry, err := p.entry(a, c)
	if err != nil || entry == nil {
		return nil //nolint:nilerr // what can't be published is parked, and shown there
	}
	for _, name := range t.Listeners(p.Name) {
		f := t.followers[name]
		d := delivery{stream: c.Stream, seq: c.Seq, meta: c.Meta}
		for _, pub := range entry.Events {
			events, err := decode(f.contract.Decode, pub.StoredEvent)
			if err != nil {
				return nil //nolint:nilerr // likewise
			}
			for _, ev := range events {
				d.events = append(d.events, es.Recorded[any]{ID: pub.Key, Event: ev, Time: entry.Time, Meta: entry.told()})
			}
		}
		if err := t.follower(ctx, f, d, depth, out); err != nil {
			return err
		}
	}
	return nil
}

// follower adds the branches of a follower.
func (t *tracer) follower(ctx context.Context, f *follower, d delivery, depth int, out *Trace) error {
	act, err := f.react(d)
	if act == nil && err == nil {
		return nil // it does not concern it
	}
	if past, err := t.past(ctx, f, d); err != nil || past {
		return err
	}
	cur, err := t.Cursors.Cursor(ctx, f.name, d.stream)
	if err != nil {
		return err
	}
	b, err := t.branch(ctx, f.name, d.stream, cur.Next > d.seq)
	if err != nil {
		return err
	}
	delay, _ := f.delayOf(d) // an error: parked
	if due := d.meta.Time.Add(delay); b.State == BranchPending && delay > 0 && due.After(t.Clock.Now()) {
		b.State, b.Due = BranchDue, due
	}
	var commands []sent
	if f.commands != nil {
		if commands, err = f.commands(d); err != nil {
			commands = nil // parked
		}
	}
	if len(commands) == 0 {
		out.Then = append(out.Then, b)
		return nil
	}
	for nr, cmd := range commands {
		one := b
		followed, err := t.decided(ctx, Stream{cmd.Aggregate, cmd.ID}, f.commandID(d, int64(nr)), d.meta.Time)
		switch {
		case err != nil:
			return err
		case followed == nil && b.State == BranchDone:
			if err := t.rejected(ctx, f.commandID(d, int64(nr)), &one); err != nil {
				return err
			}
			if one.State == BranchRejected && f.rejected != nil {
				if err := t.reactions(ctx, f, d, int64(nr), cmd, depth, out); err != nil {
					return err
				}
			}
		case followed != nil:
			trace, err := t.commit(ctx, *followed, depth+1)
			if err != nil {
				return err
			}
			one.State, one.Error, one.Due = BranchDone, "", time.Time{}
			one.Milliseconds = followed.Meta.Time.Sub(d.meta.Time).Milliseconds()
			one.Trace = &trace
		}
		out.Then = append(out.Then, one)
	}
	return nil
}

// reactions adds the branches of what followed from a refused command.
func (t *tracer) reactions(ctx context.Context, f *follower, d delivery, nr int64, c sent, depth int, out *Trace) error {
	no, err := t.Rejections.Rejection(ctx, f.commandID(d, nr))
	if err != nil || no == nil { // skipped
		return err
	}
	commands, id, err := f.reactions(d, nr, c, *no)
	if err != nil {
		return nil //nolint:nilerr // parked
	}
	for n, cmd := range commands {
		id.Index = int64(n)
		b := Branch{Follower: f.name, State: BranchDone}
		switch followed, err := t.decided(ctx, Stream{cmd.Aggregate, cmd.ID}, id, d.meta.Time); {
		case err != nil:
			return err
		case followed == nil:
			if err := t.rejected(ctx, id, &b); err != nil {
				return err
			}
		default:
			trace, err := t.commit(ctx, *followed, depth+1)
			if err != nil {
				return err
			}
			b.Milliseconds, b.Trace = followed.Meta.Time.Sub(d.meta.Time).Milliseconds(), &trace
		}
		out.Then = append(out.Then, b)
	}
	return nil
}

// rejected tells of a command that made no commit whether it was refused or skipped.
func (t *tracer) rejected(ctx context.Context, id CommandID, b *Branch) error {
	b.State = BranchNone
	for _, index := range []int64{id.Index, SkippedIndex} {
		id.Index = index
		r, err := t.Rejections.Rejection(ctx, id)
		if err != nil {
			return fmt.Errorf("rejection of %s: %w", id.Origin, err)
		}
		if r != nil {
			b.State, b.Error = BranchRejected, r.Code
			if sees(t.caller, "") { // the detail may tell of somebody else's
				b.Error = r.answer().Error()
			}
			return nil
		}
	}
	return nil
}

// decided is the commit of a command, looked for from the stream's end to its cause's
// time, before which it can't be; nil: there is none.
func (t *tracer) decided(ctx context.Context, s Stream, id CommandID, since time.Time) (*Commit, error) {
	for before := int64(StreamEnd); ; {
		page, err := t.before(ctx, s, before)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		for _, c := range page {
			if c.Meta.Command == id {
				return &c, nil
			}
			if c.Meta.Time.Before(since) || c.Seq == 0 {
				return nil, nil
			}
			before = c.Seq
		}
	}
}
