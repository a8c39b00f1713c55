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

// heartbeat notes that a plugin is alive.
func (s *store) heartbeat(ctx context.Context, plugin string, now time.Time) error {
	return s.writer.apply(ctx, func(t *tx) error {
		t.set(keyIn(tableHeartbeats).text(plugin), value(nil).number(nanos(now)))
		return nil
	}, nil)
}

// lastBeat is when a plugin was alive; zero: never.
func (s *store) lastBeat(ctx context.Context, plugin string) (at time.Time, err error) {
	_, err = s.get(ctx, keyIn(tableHeartbeats).text(plugin), func(f *fields) { at = fromNanos(f.number()) })
	return at, err
}

// Health is what the platform knows about itself and its plugins.
func (p *Platform) Health(ctx context.Context) (engine.Health, error) {
	now := time.Now()
	h, err := p.health(ctx, now)
	if problems := p.problems.list(); err != nil && len(problems) > 0 { // which is why
		return p.Engine().Health(p.Version, now, problems, nil, func(*engine.ConsumerHealth) {}), nil
	}
	if err != nil {
		return h, fmt.Errorf("collect health: %w", err)
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
	rejected := map[string]int{}
	for _, name := range p.Engine().Consumers() {
		if rejected[name], err = p.Engine().RecentRejections(ctx, name); err != nil {
			return engine.Health{}, err
		}
	}
	problems, err := p.Engine().ScheduleProblems(ctx)
	if err != nil {
		return engine.Health{}, err
	}
	problems = append(append(p.problems.list(), p.counts.clock(now)...), append(p.counts.damaged(now), problems...)...)
	return p.Engine().Health(p.Version, now, problems, heard, func(c *engine.ConsumerHealth) {
		c.LagSeconds, c.Parked = lag(c.Name).Seconds(), p.store.parked.count(c.Name)
		c.Rejected = rejected[c.Name]
		id := engine.ParseConsumer(c.Name)
		if x, stale := p.refolding.get(id.Name); stale && id.Kind == engine.KindReadModel {
			c.Stale, c.Refolded = true, &x.Refolded
		}
		c.Failed = p.counts.recent(engine.SideEffectFailed, c.Name, now) + p.counts.recent(engine.TaskFailed, c.Name, now)
	}), nil
}

// counts are what operators count, since the platform was opened: side effects
// that failed, keys that were parked.
type counts struct {
	mu   sync.Mutex
	of   map[counted]int
	when map[counted][]time.Time // the latest ones, for recent
}

type counted struct{ metric, consumer string }

// countedFor is how long a count is recent, and mostRecent how many are told apart.
const (
	countedFor = 24 * time.Hour
	mostRecent = 1000
)

// add implements [engine.Config].Count.
func (c *counts) add(metric, consumer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.when = map[counted]int{}, map[counted][]time.Time{}
	}
	k := counted{metric, consumer}
	c.of[k]++
	c.when[k] = append(c.when[k], time.Now())
	if drop := len(c.when[k]) - mostRecent; drop > 0 {
		c.when[k] = c.when[k][drop:]
	}
}

// recent is how many there were of a metric in the latest 24 hours, at most
// mostRecent.
func (c *counts) recent(metric, consumer string, now time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.when[counted{metric, consumer}] {
		if now.Sub(at) < countedFor {
			n++
		}
	}
	return n
}

// clock is the problem that commits from the future show, of the latest hour.
func (c *counts) clock(now time.Time) []engine.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	n := 0
	for k, times := range c.when {
		for _, at := range times {
			if k.metric != engine.ClockBehind || now.Sub(at) >= time.Hour {
				continue
			}
			if n++; first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []engine.Problem{{
		Component: "clock", Since: first.UTC(),
		Detail: fmt.Sprintf("the clock is wrong, or was: %d times in the latest hour something was from the future, by the clock; what waits is done after its delay; set the clock, and keep it by NTP", n),
	}}
}

// damaged is the problem that damaged streams are, which were read in the latest 24 hours.
func (c *counts) damaged(now time.Time) []engine.Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first time.Time
	var aggregates []string
	for k, times := range c.when {
		if k.metric != engine.StreamDamaged {
			continue
		}
		i := slices.IndexFunc(times, func(at time.Time) bool { return now.Sub(at) < countedFor })
		if i < 0 {
			continue
		}
		if aggregates = append(aggregates, k.consumer); first.IsZero() || times[i].Before(first) {
			first = times[i]
		}
	}
	if len(aggregates) == 0 {
		return nil
	}
	slices.Sort(aggregates)
	return []engine.Problem{{
		Component: "log", Since: first.UTC(),
		Detail: fmt.Sprintf("some of the log of %s is not what was written: commands on those streams are refused, and nothing is made of them; \"shop verify\" lists them; restore a backup", strings.Join(aggregates, ", ")),
	}}
}

// Counted calls each with how often a metric of a consumer was counted since the platform
// was opened.
func (p *Platform) Counted(each func(metric, consumer string, n int)) {
	p.counts.mu.Lock()
	of := maps.Clone(p.counts.of)
	p.counts.mu.Unlock()
	for k, n := range of {
		each(k.metric, k.consumer, n)
	}
}

// log logs them.
func (c *counts) log(log *slog.Logger) {
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
	switch engine.ParseConsumer(name).Kind {
	case engine.KindReadModel:
		return rows
	case engine.KindSideEffect:
		return effects
	case engine.KindTask:
		return "" // its objects are no commits
	}
	return commands
}
