package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// startingFollowers are a plugin's followers that keep a start.
type startingFollowers struct {
	names []string
	begun atomic.Bool // their starts are kept
}

// Begin lets followers that are new here begin now: see [Starts]. A platform that
// can't say later which commits were there before calls it first of all.
func (e *Engine) Begin(ctx context.Context) error {
	for _, p := range e.Plugins {
		if err := e.begin(ctx, p.Name, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// Backfills says whether the consumer, where it is new, is to be given what was
// committed before.
func (e *Engine) Backfills(consumer string) bool {
	f := e.followers[consumer]
	return f == nil || !f.start.New
}

// begin keeps the starts of a plugin's followers before any of them follows. It is
// asked for before each commit, and done once.
func (e *Engine) begin(ctx context.Context, plugin string, first time.Time) error {
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

// past says whether a commit is not for the follower, since it was there before.
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
