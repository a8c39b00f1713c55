package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// startingFollowers are a plugin's followers that have a start. Commits of the plugin's own
// reach some of them, and the others hear of what is published: what reaches either says
// nothing of what is on its way to the others.
type startingFollowers struct {
	own, hearing followersToBegin
	kept         atomic.Bool // the plugin has a record, whoever is in it
}

type followersToBegin struct {
	names []string
	begun atomic.Bool // their starts are recorded
}

// Begin records now as the start of followers that have none yet: see [Starts]. A
// platform that can't tell later which commits came before calls it when it opens.
func (e *Engine) Begin(ctx context.Context) error {
	for _, p := range e.Plugins {
		b := e.beginners[p.Name]
		if err := e.begin(ctx, p.Name, &b.own, &b.hearing, time.Time{}); err != nil {
			return err
		}
		if len(b.hearing.names) == 0 {
			continue
		}
		if err := e.begin(ctx, p.Name, &b.hearing, &b.own, time.Time{}); err != nil {
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

// BeginWith records the start of the plugin's followers of its own commits that have none
// yet: now, or the time of the first commit that reaches them, if that is earlier. A
// platform that relays a batch concurrently calls it with the batch's earliest time before;
// Relay calls it with its commit's. After the first call it does nothing.
func (e *Engine) BeginWith(ctx context.Context, plugin string, first time.Time) error {
	b := e.beginners[plugin]
	return e.begin(ctx, plugin, &b.own, &b.hearing, first)
}

// BeginHearing is BeginWith for side effects that hear of an extension point: with the
// entries of the hints, which are for followers of one plugin. Where these are extensions,
// which begin with a shop's first commit, they say that a new plugin is there, and all of it
// begins: its side effects may hear of the same later, and are to find no cursor of a plugin
// that has no starts. Follow calls it with its own; a platform that is told of a batch calls
// it with all of that before.
func (e *Engine) BeginHearing(ctx context.Context, hints ...Hint) error {
	first, plugin, effects := time.Time{}, "", false
	for _, h := range hints {
		f := e.followers[h.Follower]
		if f == nil || f.point == "" {
			continue
		}
		plugin, effects = f.plugin, effects || f.skipStale
		if h.Entry == nil || h.Entry.Swept || h.Entry.Time.IsZero() { // an old one; or it has no events
			continue
		}
		if first.IsZero() || h.Entry.Time.Before(first) {
			first = h.Entry.Time
		}
	}
	if plugin == "" {
		return nil
	}
	b := e.beginners[plugin]
	if effects {
		return e.begin(ctx, plugin, &b.hearing, &b.own, first)
	}
	if b.kept.Load() || len(b.own.names)+len(b.hearing.names) == 0 {
		return nil
	}
	return e.keepStarts(ctx, plugin, Beginning{Others: slices.Concat(b.own.names, b.hearing.names), First: first})
}

func (e *Engine) begin(ctx context.Context, plugin string, these, others *followersToBegin, first time.Time) error {
	if these.begun.Load() {
		return nil
	}
	if err := e.keepStarts(ctx, plugin, Beginning{these.names, others.names, first}); err != nil {
		return err
	}
	these.begun.Store(true)
	return nil
}

func (e *Engine) keepStarts(ctx context.Context, plugin string, b Beginning) error {
	if e.Starts == nil {
		return nil
	}
	if err := e.Starts.Begin(ctx, plugin, b); err != nil {
		return fmt.Errorf("keep when followers of %s begin: %w", plugin, err)
	}
	e.beginners[plugin].kept.Store(true)
	return nil
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
