package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// follower acts on a stream's commits in order: an event mapping, an extension or a side
// effect.
type follower struct {
	name     string // kind:Plugin.Name; also the key of its cursors and the origin of its command ids
	plugin   string
	source   string // aggregate; empty for those of an extension point
	point    string // extension point; empty for those of an aggregate
	contract es.PointDefinition
	accepts  bool   // the point is this plugin's own, and takes requests of others
	target   string // aggregate that is sent to; empty for a side effect
	delay    time.Duration
	due      func(d delivery) (time.Time, error) // when to act on a delivery; nil: after delay
	start    es.Start
	// react returns what the follower does about a delivery, or nil if the delivery does
	// not concern it. Mappings have run when it returns.
	react func(d delivery) (act func(context.Context) error, err error)
	// commands returns what the follower sends about a delivery; nil: it is a side effect.
	commands  func(d delivery) ([]sent, error)
	rejected  *es.Reaction // nil: nothing follows
	skipStale bool         // a side effect: skips commits that are older than a day
}

// delivery is a commit as a follower sees it: the source aggregate's events, or the
// extension point's events that it published.
type delivery struct {
	stream Stream
	seq    int64
	meta   Meta
	events []es.Recorded[any]
	lacks  bool                        // something personal of it is erased
	act    func(context.Context) error // the follower's reaction, if it is known already
}

// sent is a command that a follower sends about an event.
type sent struct {
	es.Command
	about es.Recorded[any]
}

// tooOld is the age at which side effects skip a commit.
const tooOld = 24 * time.Hour

func (e *Engine) mapping(plugin string, d es.Mapping) *follower {
	f := &follower{name: ConsumerID{KindMapping, naming.Full(plugin, d.Name)}.String(), plugin: plugin, source: d.Source, target: d.Target, delay: d.Delay, start: d.Start, rejected: d.Rejected}
	if d.DueAt != nil {
		f.due = func(dl delivery) (latest time.Time, err error) {
			defer Guard(f.name, &err)
			for _, ev := range dl.events {
				if at := d.DueAt(ev); at.After(latest) && len(d.Apply(ev)) > 0 {
					latest = at
				}
			}
			return latest, nil
		}
	}
	e.sends(f, d.Apply)
	return f
}

func (e *Engine) extension(plugin string, d es.Extension) *follower {
	f := &follower{name: ConsumerID{KindExtension, naming.Full(plugin, d.Name)}.String(), plugin: plugin, point: d.Point.Name, target: d.Target, start: d.Start, rejected: d.Rejected}
	f.contract, f.accepts = d.Point, d.Accepts
	e.sends(f, d.Apply)
	return f
}

// hears reports whether the follower listens to what is published at the point.
func (f *follower) hears(point string) bool {
	return f.point != "" && (f.accepts && naming.Short(point) == f.point || !f.accepts && point == f.point)
}

// channel is the point at which what concerns the follower is published of a stream.
func (f *follower) channel(s Stream) string {
	if f.accepts { // see [es.Ask]
		return naming.Full(naming.Plugin(s.Aggregate), f.point)
	}
	return f.point
}

// sends makes f send the commands that the function returns. A command's id is its
// place: follower and stream, commit, number within the commit.
func (e *Engine) sends(f *follower, commands func(es.Recorded[any]) []es.Command) {
	f.commands = func(d delivery) (out []sent, err error) {
		defer Guard(f.name, &err)
		for _, ev := range d.events {
			for _, c := range commands(ev) {
				out = append(out, sent{c, ev})
			}
		}
		return out, nil
	}
	f.react = func(d delivery) (func(context.Context) error, error) {
		out, err := f.commands(d)
		if err != nil || len(out) == 0 {
			return nil, err
		}
		return func(ctx context.Context) error {
			for nr, c := range out {
				refused, err := e.send(ctx, f, d, f.commandID(d, int64(nr)), c.Command)
				if err == nil && refused != nil && f.rejected != nil {
					err = e.react(ctx, f, d, int64(nr), c, *refused)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}, nil
	}
}

// commandID is the id of the command of that number that the follower sends about the
// delivery.
func (f *follower) commandID(d delivery, nr int64) CommandID {
	return CommandID{Origin: f.name + "/" + d.stream.String(), Seq: d.seq, Index: nr}
}

// send sends a follower's command. It returns the command's rejection, if one is kept: that
// is final, whatever another attempt would decide.
func (e *Engine) send(ctx context.Context, f *follower, d delivery, id CommandID, c es.Command) (refused *KeptRejection, err error) {
	a := e.aggregates[c.Aggregate]
	o, err := e.order(a, Request{Command: c, Caller: es.System(), CorrelationID: d.meta.CorrelationID, Traceparent: d.meta.Traceparent})
	if err != nil {
		return nil, err
	}
	o.identify(id)
	o.messageID = fmt.Sprintf("%s/%d/%d", id.Origin, id.Seq, id.Index)
	o.causationID, o.since = d.meta.MessageID, d.meta.Time
	var out Outcome
	if !es.ValidInternalID(c.ID) || !a.Internal && !es.ValidID(c.ID) {
		err = e.reject(ctx, o, anyPlace, ErrInvalidID)
	} else {
		out, err = e.execute(ctx, o)
	}
	if no := (*es.Rejection)(nil); errors.As(err, &no) && no.Code != ErrContention.Code {
		err = nil                              // which is kept, and final
		if no.Code == ErrCommitTooLarge.Code { // except this one, which is the engine's own
			err = e.reject(ctx, o, anyPlace, no)
		}
	}
	if err != nil || f.rejected == nil || len(out.Events) > 0 {
		return nil, err
	}
	// An earlier attempt may have been refused what this one had nothing to change for.
	if refused, err = e.Rejections.Rejection(ctx, id); err != nil {
		return nil, fmt.Errorf("%s: rejection of the command: %w", o.stream, err)
	}
	return refused, nil
}

// reactions are the commands that follow from a refused one, the number nr of the
// delivery's. Their ids derive from its id, so that each takes effect once.
func (f *follower) reactions(d delivery, nr int64, c sent, no KeptRejection) (out []es.Command, id CommandID, err error) {
	defer Guard(f.name+" on a rejection", &err)
	out = f.rejected.Apply(es.Rejected[any]{Recorded: c.about, Command: c.Command, Code: no.Code, Detail: no.Detail})
	return out, CommandID{Origin: fmt.Sprintf("%s/%s%d/%s", f.name, reacts, nr, d.stream), Seq: d.seq}, nil
}

// react sends what follows from a refused command. The follower's cursor passes after it,
// so a crash in between repeats both, and loses neither.
func (e *Engine) react(ctx context.Context, f *follower, d delivery, nr int64, c sent, no KeptRejection) error {
	out, id, err := f.reactions(d, nr, c, no)
	if err != nil {
		return err
	}
	for n, c := range out {
		id.Index = int64(n)
		if _, err := e.send(ctx, f, d, id, c); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) effect(plugin string, d es.SideEffect, reads *reads) *follower {
	f := &follower{name: ConsumerID{KindSideEffect, naming.Full(plugin, d.Name)}.String(), plugin: plugin, source: d.Source, point: d.Point.Name, contract: d.Point, start: d.Start, skipStale: true}
	f.react = func(dl delivery) (func(context.Context) error, error) {
		if !slices.ContainsFunc(dl.events, func(ev es.Recorded[any]) bool { return d.Concerns(ev.Event) }) {
			return nil, nil
		}
		return func(ctx context.Context) error {
			return e.runEffect(ctx, f, d, reader{Engine: e, caller: es.System(), reads: reads, people: true}, dl)
		}, nil
	}
	return f
}

// runEffect runs a side effect for the events that concern it. A failure is logged and
// counted; the only error is that of ctx.
func (e *Engine) runEffect(ctx context.Context, f *follower, d es.SideEffect, r reader, dl delivery) error {
	for _, ev := range dl.events {
		if !d.Concerns(ev.Event) {
			continue
		}
		err := Guarded(f.name, func() error { return d.Run(ctx, r, ev) })
		if ctx.Err() != nil {
			return ctx.Err() // the process is stopping: not a failure of the side effect
		}
		if failed := e.forgetAgain(ctx); failed != nil {
			return failed
		}
		if errors.Is(err, ErrErased) {
			e.Logger.InfoContext(ctx, "side effect passed over: somebody whom it read of is erased", "effect", f.name, "stream", dl.stream, "version", ev.Version)
			continue
		}
		if err = discreet(ctx, err); err != nil {
			e.Count(SideEffectFailed, f.name)
			e.Logger.ErrorContext(ctx, "side effect failed; it is not tried again", "effect", f.name, "stream", dl.stream,
				"version", ev.Version, "error", err, "correlationId", dl.meta.CorrelationID)
		}
	}
	return nil
}

// Follow brings a follower to the end of a stream, or as far as the hint's content
// reaches. Late, early, repeated and lost hints, new followers, sweeps and redrives all
// come through here. A failure parks the key and returns nil. An error means that the
// hint must be delivered again: [ErrUnavailable], [es.ErrUnknownType] or the context's.
func (e *Engine) Follow(ctx context.Context, h Hint) error {
	f := e.followers[h.Follower]
	if f == nil {
		return fmt.Errorf("hint for %s on %s: there is no such follower here: %w", h.Follower, h.Stream, es.ErrUnknownType)
	}
	ctx = e.noting(in(ctx, h.Bulk || h.Entry != nil && h.Entry.Meta.Bulk))
	if err := e.BeginHearing(ctx, h); err != nil {
		return err
	}
	cur, err := e.Cursors.Cursor(ctx, f.name, h.Stream)
	if err != nil {
		return fmt.Errorf("%s: cursor on %s: %w", f.name, h.Stream, err)
	}
	if h.Seq < cur.Next {
		return e.resetExtension(ctx, f, h, cur.Next)
	}
	var parked *Parked
	if cur.Parked || h.Parked {
		if parked, err = e.parked(ctx, f.name, h.Stream); err != nil {
			return err
		}
		h.Commit, h.Entry = nil, nil // later commits have no hint left, so go to the stream's end
	}
	at, failure := cur.Next, error(nil)
	for d, err := range e.deliveries(ctx, f, h, cur.Next) {
		if err != nil {
			failure = err
			break
		}
		act := d.act
		if act == nil {
			if act, failure = f.react(d); failure != nil {
				break
			}
		}
		if act == nil {
			continue
		}
		var past bool
		if past, failure = e.past(ctx, f, d); failure != nil {
			break
		}
		if past {
			continue
		}
		var wait time.Duration
		if wait, failure = e.delayLeft(ctx, f, d, h.Waited && d.seq <= h.Seq); failure != nil {
			break
		}
		if wait > 0 {
			until := d.seq
			if parked != nil {
				until = StreamEnd // the commit that failed is a later one, and has no hint left
			}
			failure = e.Hints.Send(ctx, wait, Hint{Follower: f.name, Stream: h.Stream, Seq: until, Waited: true, Bulk: IsBulk(ctx)})
			break
		}
		if f.skipStale && e.Clock.Now().Sub(d.meta.Time) > tooOld {
			e.Logger.WarnContext(ctx, "side effect passed over: its commit is older than a day", "effect", f.name, "stream", d.stream, "seq", d.seq)
		} else if f.skipStale && d.lacks {
			if failure = e.forgetAgain(ctx); failure != nil {
				break
			}
			e.Logger.InfoContext(ctx, "side effect passed over: the subject of its commit is erased", "effect", f.name, "stream", d.stream, "seq", d.seq)
		} else if failure = e.traced(ctx, f.name, d.stream, d.seq, d.meta, act); failure != nil {
			break
		}
		at = d.seq + 1
	}
	if at > cur.Next {
		if err := e.Cursors.Advance(ctx, f.name, h.Stream, cur.Next, at); err != nil {
			return fmt.Errorf("%s: move cursor on %s to %d: %w", f.name, h.Stream, at, err)
		}
	}
	switch {
	case failure != nil && parked != nil && parked.Attempts > 0:
		return e.failedAgain(ctx, f.name, h.Stream, failure)
	case failure != nil:
		return e.failed(ctx, f.name, h.Stream, failure)
	case parked != nil:
		return e.unpark(ctx, *parked)
	}
	return nil
}

// deliveries yields what the follower has to see from seq next on, in order.
func (e *Engine) deliveries(ctx context.Context, f *follower, h Hint, next int64) iter.Seq2[delivery, error] {
	if f.point != "" {
		return e.published(ctx, f, h, next)
	}
	return func(yield func(delivery, error) bool) {
		one := func(c Commit) error {
			c, err := e.Opened(ctx, c)
			d := delivery{stream: c.Stream, seq: c.Seq, meta: c.Meta, lacks: c.lacks()}
			if err == nil {
				d.events, err = e.aggregates[f.source].decode(c)
			}
			if h.Commit != nil && c.Seq == h.Commit.Seq {
				d.act = h.act
			}
			if !yield(d, err) || err != nil {
				return errStop
			}
			return nil
		}
		if h.Commit != nil && h.Commit.Seq == next {
			_ = one(*h.Commit) // nothing lies between, so the hint's commit serves
			return
		}
		if err := e.commits(ctx, h.Stream, next, one); err != nil && !errors.Is(err, errStop) {
			yield(delivery{}, err)
		}
	}
}
