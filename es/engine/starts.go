package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// startingFollowers are a plugin's followers that have a start.
type startingFollowers struct {
	names []string
	begun atomic.Bool // their starts are recorded
}

// Begin records now as the start of followers that have none yet: see [Starts]. A
// platform that can't tell later which commits came before calls it when it opens.
func (e *Engine) Begin(ctx context.Context) error {
	for _, p := range e.Plugins {
		if err := e.BeginWith(ctx, p.Name, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// Backfills reports whether a new consumer gets what was committed before it was there.
func (e *Engine) Backfills(consumer string) bool {
	f := e.followers[consumer]
	return f == nil || !f.start.New
}

// BeginWith records the start of the plugin's followers that have none yet: now, or
// the time of the first commit that reaches them, if that is earlier. A platform that
// relays a batch concurrently calls it with the batch's earliest time before; Relay
// calls it with its commit's. After the first call it does nothing.
func (e *Engine) BeginWith(ctx context.Context, plugin string, first time.Time) error {
	b := e.beginners[plugin]
	if b.begun.Load() || e.Starts == nil {
		return nil
	}
	if err := e.Starts.Begin(ctx, plugin, b.names, first); err != nil {
		return fmt.Errorf("keep when followers of %s begin: %w", plugin, err)
	}
	b.begun.Store(true)
	return nil
}

// BeginHearing is BeginWith for a side effect that hears of an extension point, whose
// plugin may have no commits of its own: with the entry of the hint. Follow calls it; so
// does a platform that is told of the entry before it follows it.
func (e *Engine) BeginHearing(ctx context.Context, h Hint) error {
	f := e.followers[h.Follower]
	if f == nil || f.point == "" || !f.skipStale {
		return nil
	}
	var first time.Time
	if h.Entry != nil && !h.Entry.Swept { // which is an old one
		first = h.Entry.Time
	}
	return e.BeginWith(ctx, f.plugin, first)
}

// past reports whether the commit was made before the follower started.
func (e *Engine) past(ctx context.Context, f *follower, d delivery) (bool, error) {
	if !f.start.New {
		return d.meta.Time.Before(f.start.Since), nil
	}
	past, err := e.Starts.Past(ctx, f.name, d.stream, d.seq, d.meta.Time)
	if err != nil {
		return false, fmt.Errorf("when %s began: %w", f.name, err)
	}
	return past, nil
}
