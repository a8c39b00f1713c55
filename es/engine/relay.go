package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"onlineshop/es"
)

// Relay sends the hints and entries for one commit: a hint to each follower that
// it concerns, an entry for each extension point where it publishes something.
// An error says that the commit is to be relayed again; repeats do no harm. A
// commit without events, which did not come readable, stands for what the log has.
func (e *Engine) Relay(ctx context.Context, c Commit) error { return e.relay(ctx, c, true, true) }

// RelayEffects and RelayCommands are the two halves of Relay, for a platform
// that lets side effects wait for nobody, and nobody for them.
func (e *Engine) RelayEffects(ctx context.Context, c Commit) error {
	return e.relay(ctx, c, true, false)
}

// RelayCommands is Relay without side effects.
func (e *Engine) RelayCommands(ctx context.Context, c Commit) error {
	return e.relay(ctx, c, false, true)
}

func (e *Engine) relay(ctx context.Context, c Commit, effects, commands bool) error {
	a := e.aggregates[c.Stream.Aggregate]
	if a == nil || len(a.followers)+len(a.points) == 0 {
		return nil
	}
	if err := e.begin(ctx, a.plugin, c.Meta.Time); err != nil {
		return err
	}
	var events []es.Recorded[any]
	c, failure := e.content(ctx, c)
	c = c.shared()
	if failure == nil {
		events, failure = a.decode(c)
	}
	d := delivery{stream: c.Stream, seq: c.Seq, meta: c.Meta, events: events}
	var errs []error
	for _, f := range a.followers {
		if f.skipStale && !effects || !f.skipStale && !commands {
			continue
		}
		if failure != nil {
			errs = append(errs, e.failed(ctx, f.name, c.Stream, failure))
			continue
		}
		act, err := f.react(d)
		if act == nil && err == nil {
			continue
		} // what fails here fails again where it is followed, and is parked there
		past, err := e.past(ctx, f, d)
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil || past {
			continue
		}
		wait := e.delayLeft(ctx, f, d, false)
		h := Hint{Follower: f.name, Stream: c.Stream, Seq: c.Seq, Commit: &c, Waited: wait > 0, act: act}
		if err := e.Hints.Send(ctx, wait, h); err != nil {
			errs = append(errs, fmt.Errorf("hint for %s at %s: %w", f.name, c.Stream, err))
		}
	}
	if commands {
		for _, p := range a.points {
			err := failure
			if err != nil {
				err = e.failed(ctx, p.publisher(), c.Stream, err)
			} else {
				_, err = e.publish(ctx, a, p, c, false)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// content is the commit with its events.
func (e *Engine) content(ctx context.Context, c Commit) (Commit, error) {
	if len(c.Events) > 0 {
		return c, nil
	}
	err := e.commits(ctx, c.Stream, c.Seq, func(stored Commit) error {
		c = stored
		return errStop
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return c, err
}

// publish puts what the commit publishes at the point on the bus; a sweep also
// that it publishes nothing. Without an error, ok is false where it was parked
// instead.
func (e *Engine) publish(ctx context.Context, a *aggregate, p *point, c Commit, swept bool) (ok bool, err error) {
	entry, err := p.entry(a, c)
	switch {
	case err == nil && entry == nil && swept:
		entry = &Entry{Point: p.Name, Stream: c.Stream, Seq: c.Seq, Time: c.Meta.Time, Meta: c.Meta}
	case err == nil && entry == nil:
		return true, nil
	}
	if err == nil {
		entry.Swept = swept
		entry.Prev, err = e.previous(ctx, a, p, c)
	}
	if err == nil {
		err = e.Bus.Publish(ctx, *entry)
		if err != nil { // the bus is transport: what it refuses is tried again
			return false, fmt.Errorf("publish %s at %d on %s: %w", c.Stream, c.Seq, p.Name, err)
		}
		return true, nil
	}
	return false, e.failed(ctx, p.publisher(), c.Stream, err)
}

// entry is what the commit publishes at the point; nil: nothing.
func (p *point) entry(a *aggregate, c Commit) (entry *Entry, err error) {
	defer Guard(fmt.Sprintf("publish %s at %d on %s", c.Stream, c.Seq, p.Name), &err)
	events, err := a.decode(c)
	if err != nil {
		return nil, err
	}
	en := Entry{Point: p.Name, Stream: c.Stream, Seq: c.Seq, Prev: -1, Time: c.Meta.Time, Meta: c.Meta}
	for _, ev := range events {
		for _, pub := range p.publications {
			for _, out := range pub.Apply(c.Stream.ID, ev.Event) {
				typ, version, data, err := p.Encode(out)
				if err != nil {
					return nil, fmt.Errorf("%s at %d: %w", c.Stream, c.Seq, err)
				}
				en.Events = append(en.Events, PublishedEvent{es.NewStoredEvent(typ, version, data), p.Key(out)})
			}
		}
	}
	if en.Events == nil {
		return nil, nil
	}
	return &en, nil
}

// previous is the place of the stream's latest commit before c that published at
// the point; -1: none.
func (e *Engine) previous(ctx context.Context, a *aggregate, p *point, c Commit) (int64, error) {
	for before := c.Seq; before > 0; {
		page, err := e.before(ctx, c.Stream, before)
		if err != nil {
			return 0, err
		}
		if len(page) == 0 {
			break
		}
		for _, b := range page {
			if en, err := p.entry(a, b); err != nil {
				return 0, err
			} else if en != nil {
				return b.Seq, nil
			}
			before = b.Seq
		}
	}
	return -1, nil
}

func (e *Engine) before(ctx context.Context, s Stream, seq int64) ([]Commit, error) {
	page, err := e.Log.ReadBackward(ctx, s, seq)
	if err != nil {
		return nil, fmt.Errorf("read %s before %d: %w", s, seq, err)
	}
	return page, nil
}

// head is the stream's last commit; nil where there is none.
func (e *Engine) head(ctx context.Context, s Stream) (*Commit, error) {
	page, err := e.before(ctx, s, math.MaxInt64)
	if err != nil || len(page) == 0 {
		return nil, err
	}
	return &page[0], nil
}

// Since implements [Publications] for the plugins of this engine.
func (e *Engine) Since(ctx context.Context, name string, s Stream, from int64) (entries []Entry, next int64, more bool, err error) {
	p, a := e.points[name], e.aggregates[s.Aggregate]
	if p == nil || a == nil || p.source != s.Aggregate {
		return nil, 0, false, fmt.Errorf("publications of %s at %s: nothing is published there from it", s, name)
	}
	next = from
	size, prev := 0, from-1
	if from > 0 {
		head, err := e.head(ctx, s)
		switch {
		case err != nil:
			return nil, 0, false, err
		case head == nil:
			return nil, 0, false, nil
		case from > head.Seq+1:
			return nil, head.Seq + 1, false, nil
		}
	}
	err = e.commits(ctx, s, from, func(c Commit) error {
		if size >= maxPage {
			more = true
			return errStop
		}
		next = c.Seq + 1
		en, err := p.entry(a, c)
		if err != nil || en == nil {
			return err
		}
		en.Prev, prev = prev, c.Seq
		for _, ev := range en.Events {
			size += len(ev.Data) + len(ev.Key) + 100
		}
		entries = append(entries, *en)
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return entries, next, more, err
}

// maxPage is about how many bytes of entries one answer holds.
const maxPage = 1 << 20

// delayLeft is how long a follower still has to wait for a commit: never longer
// than its delay, whatever the clocks say. Once it has waited for a commit that
// still is in the future, there is nothing left.
func (e *Engine) delayLeft(ctx context.Context, f *follower, d delivery, waited bool) time.Duration {
	if f.delay == 0 {
		return 0
	}
	now := e.Clock.Now()
	wait := max(0, d.meta.Time.Add(f.delay).Sub(now))
	if wait <= f.delay {
		return wait
	}
	if ahead := wait - f.delay; ahead > clockSkew {
		e.Count(ClockBehind, f.name)
		e.Logger.WarnContext(ctx, "a commit is from the future: check the clocks; its follower waits no longer than its delay",
			"follower", f.name, "stream", d.stream, "seq", d.seq, "committed", d.meta.Time, "now", now)
	}
	if waited {
		return 0
	}
	return f.delay
}

// clockSkew is by how much clocks may differ before it is counted.
const clockSkew = 5 * time.Second
