package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onlineshop/es"
)

// Relay sends the hints and entries of a commit: a hint to each follower that it
// concerns, an entry for each extension point that it publishes to. An error means that
// the commit must be relayed again; repeating it is harmless. For a commit without
// events, which could not be read on its way, Relay reads the log.
func (e *Engine) Relay(ctx context.Context, c Commit) error { return e.relay(ctx, c, true, true) }

// RelayEffects is Relay for side effects only. A platform that calls it and
// RelayCommands separately keeps slow side effects from delaying anything else.
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
	ctx = e.noting(in(ctx, c.Meta.Bulk))
	if err := e.BeginWith(ctx, a.plugin, c.Meta.Time); err != nil {
		return err
	}
	var events []es.Recorded[any]
	c, failure := e.content(ctx, c)
	c = c.shared()
	opened := c // of which nothing leaves this process
	if failure == nil {
		opened, failure = e.Opened(ctx, c)
	}
	if failure == nil {
		events, failure = a.decode(opened)
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
		} // an error: the follower meets it again, and parks the key
		past, err := e.past(ctx, f, d)
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil || past {
			continue
		}
		wait, _ := e.delayLeft(ctx, f, d, false) // an error: as above
		h := Hint{Follower: f.name, Stream: c.Stream, Seq: c.Seq, Commit: &c, Waited: wait > 0, Bulk: IsBulk(ctx), act: act}
		if err := e.Hints.Send(ctx, wait, h); err != nil {
			errs = append(errs, fmt.Errorf("hint for %s at %s: %w", f.name, c.Stream, err))
		}
	}
	for _, p := range a.points {
		to := everybody
		switch {
		case !effects:
			to = others
		case !commands && !e.setsOff(p):
			continue
		case !commands:
			to = sideEffects
		}
		err := failure
		if err != nil {
			err = e.failed(ctx, p.publisher(), c.Stream, err)
		} else {
			_, err = e.publish(ctx, a, p, opened, to, false)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// setsOff reports whether side effects of this engine hear what is published at the point.
func (e *Engine) setsOff(p *point) bool {
	return slices.ContainsFunc(e.Listeners(p.Name), func(name string) bool { return e.followers[name].skipStale })
}

// delayOf returns how long after the commit the follower is to act on it.
func (f *follower) delayOf(d delivery) (time.Duration, error) {
	if f.due == nil {
		return f.delay, nil
	}
	at, err := f.due(d)
	return max(0, at.Sub(d.meta.Time)), err
}

// longestWait bounds a single wait, so that every platform can tell its end in
// nanoseconds. What is due later waits again.
const longestWait = 50 * 365 * 24 * time.Hour

// delayLeft returns how long a follower still has to wait for a commit. That is never
// longer than its delay, whatever the clocks say. If it has waited and the commit is
// still in the future, it is 0.
func (e *Engine) delayLeft(ctx context.Context, f *follower, d delivery, waited bool) (time.Duration, error) {
	delay, err := f.delayOf(d)
	if delay == 0 || err != nil {
		return 0, err
	}
	now := e.Clock.Now()
	wait := max(0, d.meta.Time.Add(delay).Sub(now))
	if wait <= delay {
		return min(wait, longestWait), nil
	}
	if ahead := wait - delay; ahead > clockSkew {
		e.Count(ClockBehind, f.name)
		e.Logger.WarnContext(ctx, "a commit is from the future: check the clocks; its follower waits no longer than its delay",
			"follower", f.name, "stream", d.stream, "seq", d.seq, "committed", d.meta.Time, "now", now)
	}
	if waited && delay <= longestWait {
		return 0, nil
	}
	return min(delay, longestWait), nil
}

// clockSkew is the difference between clocks that is tolerated without being counted.
const clockSkew = 5 * time.Second
