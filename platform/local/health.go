package local

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"onlineshop/es/engine"
)

// beat notes that a plugin is alive.
func (s *store) beat(ctx context.Context, plugin string, now time.Time) error {
	return s.writer.write(ctx, func(t *tx) error {
		_, err := t.exec("REPLACE INTO heartbeats (plugin, time) VALUES (?, ?)", plugin, nanos(now))
		return err
	}, nil)
}

func (s *store) lastBeat(ctx context.Context, plugin string) (time.Time, error) {
	var at int64
	found, err := s.get(ctx, "SELECT time FROM heartbeats WHERE plugin = ?", []any{plugin}, []any{&at})
	if err != nil || !found {
		return time.Time{}, err
	}
	return fromNanos(at), nil
}

// Health is what the platform knows about itself and its plugins.
func (p *Platform) Health(ctx context.Context) (engine.Health, error) {
	h, err := p.health(ctx, time.Now())
	if err != nil {
		return h, fmt.Errorf("look after the shop's health: %w", err)
	}
	return h, nil
}

func (p *Platform) health(ctx context.Context, now time.Time) (engine.Health, error) {
	lag, err := p.lag(ctx, now)
	if err != nil {
		return engine.Health{}, err
	}
	heard := map[string]time.Time{}
	for _, x := range p.Plugins {
		if heard[x.Name], err = p.store.lastBeat(ctx, x.Name); err != nil {
			return engine.Health{}, err
		}
	}
	return p.Engine().Health(p.Version, now, heard, func(consumer string) (time.Duration, int) {
		return lag(consumer), p.store.parked.count(consumer)
	}), nil
}

// counts are what operators count, since the platform was opened: side effects
// that failed, keys that were parked.
type counts struct {
	mu sync.Mutex
	of map[counted]int
}

type counted struct{ metric, consumer string }

// add implements [engine.Config].Count.
func (c *counts) add(metric, consumer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[counted]int{}
	}
	c.of[counted{metric, consumer}]++
}

// tell logs them.
func (c *counts) tell(log *slog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range slices.SortedFunc(maps.Keys(c.of), func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.consumer, b.consumer))
	}) {
		log.Warn("counted since the start", "metric", x.metric, "consumer", x.consumer, "times", c.of[x])
	}
}

// lag tells how old the oldest commit is that a follower or read model has not
// seen; 0 where it has seen all. A delay that it declares is no lag.
func (p *Platform) lag(ctx context.Context, now time.Time) (of func(name string) time.Duration, err error) {
	oldest, err := p.later.overdue(ctx, now)
	if err != nil {
		return nil, err
	}
	for _, c := range p.consumers {
		commit, err := c.waiting(ctx)
		if err != nil {
			return nil, err
		}
		if at, ok := oldest[c.name]; commit != nil && (!ok || commit.Meta.Time.Before(at)) {
			oldest[c.name] = commit.Meta.Time
		}
	}
	since := func(name string) time.Duration {
		if at, ok := oldest[name]; ok {
			return max(0, now.Sub(at))
		}
		return 0
	}
	return func(name string) time.Duration { return max(since(name), since(consumerOf(name))) }, nil
}

// consumerOf is the consumer that serves a follower or read model.
func consumerOf(name string) string {
	switch kind, _, _ := strings.Cut(name, ":"); kind {
	case "readmodel":
		return rows
	case "effect":
		return effects
	}
	return commands
}
