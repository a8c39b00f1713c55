// Package memory is a platform in memory: for tests and examples. It stores nothing on
// disk, its clock stands still unless it is moved, and what a commit sets off happens
// when [Platform.Settle] is called.
package memory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// Platform runs plugins in memory. Safe for concurrent use.
type Platform struct {
	*Store
	*Clock
	engine *engine.Engine

	mu      sync.Mutex
	waiting []message
	objects map[place][]byte
	changes int // of objects
}

// message is a commit, a hint or an entry on its way.
type message struct {
	due     time.Time
	deliver func(context.Context, *engine.Engine) error
	tries   int
}

// New returns a platform that runs the plugins on an empty store. change, if not nil,
// may change the engine's configuration.
func New(plugins []es.Plugin, change func(*engine.Config)) (*Platform, error) {
	p := &Platform{Store: NewStore(), Clock: NewClock()}
	if err := p.Deploy(plugins, change); err != nil {
		return nil, err
	}
	return p, nil
}

// Deploy replaces the plugins, as a new version of the program does: what is stored stays,
// and what is on its way reaches the new ones.
func (p *Platform) Deploy(plugins []es.Plugin, change func(*engine.Config)) error {
	c := engine.Config{
		Plugins: plugins, Log: log{p.Store, p.post}, Cursors: p.Store, Starts: p.Store, Rows: p.Store, Parking: p.Store, Rejections: p.Store, Snapshots: p.Store, Keys: p.Store, Schedules: p.Store,
		Buckets: p, Hints: p, Bus: p, Clock: p.Clock, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	e, err := engine.New(c)
	if err != nil {
		return err
	}
	p.engine = e
	return e.Begin(context.Background())
}

// Engine is the engine that runs the plugins.
func (p *Platform) Engine() *engine.Engine { return p.engine }

// log is the store's, and sets off what follows from a commit.
type log struct {
	*Store
	post func(delay time.Duration, deliver func(context.Context, *engine.Engine) error)
}

// Append implements [engine.Log].
func (l log) Append(ctx context.Context, c engine.Commit) error {
	if err := l.Store.Append(ctx, c); err != nil {
		return err
	}
	l.post(0, func(ctx context.Context, e *engine.Engine) error { return e.Project(ctx, c) })
	l.post(0, func(ctx context.Context, e *engine.Engine) error { return e.Relay(ctx, c) })
	return nil
}

// Send implements [engine.Hints].
func (p *Platform) Send(ctx context.Context, delay time.Duration, hints ...engine.Hint) error {
	return p.call(ctx, "Send", func() error {
		for _, h := range hints {
			p.post(delay, func(ctx context.Context, e *engine.Engine) error { return e.Follow(ctx, h) })
		}
		return nil
	})
}

// Publish implements [engine.Bus].
func (p *Platform) Publish(ctx context.Context, entries ...engine.Entry) error {
	return p.call(ctx, "Publish", func() error {
		for _, en := range entries {
			p.post(0, func(ctx context.Context, e *engine.Engine) error {
				var errs []error
				for _, h := range e.Heard(en) {
					errs = append(errs, e.Follow(ctx, h))
				}
				return errors.Join(errs...)
			})
		}
		return nil
	})
}

func (p *Platform) post(delay time.Duration, deliver func(context.Context, *engine.Engine) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, message{due: p.Now().Add(delay), deliver: deliver})
}

// Drop loses what is on its way, as a crash between two steps does.
func (p *Platform) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = nil
}

// Settle delivers what is on its way, and what that sets off, until nothing is left. It
// moves the clock where something is delayed. A message whose delivery fails is
// delivered again, up to 20 times; then Settle returns its error.
func (p *Platform) Settle(ctx context.Context) error {
	const patience = 20
	for ctx.Err() == nil {
		m, ok := p.next()
		if !ok {
			return nil
		}
		if wait := m.due.Sub(p.Now()); wait > 0 {
			p.Advance(wait)
		}
		if err := m.deliver(ctx, p.engine); err != nil {
			if m.tries++; m.tries == patience {
				return fmt.Errorf("delivered %d times in vain: %w", patience, err)
			}
			p.mu.Lock()
			p.waiting = append(p.waiting, m)
			p.mu.Unlock()
		}
	}
	return ctx.Err()
}

// next takes the message that is due first.
func (p *Platform) next() (m message, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return m, false
	}
	first := 0
	for i, x := range p.waiting {
		if x.due.Before(p.waiting[first].due) {
			first = i
		}
	}
	m = p.waiting[first]
	p.waiting = slices.Delete(p.waiting, first, first+1)
	return m, true
}

// Advance moves the clock.
func (p *Platform) Advance(d time.Duration) { p.Clock.Advance(d) }

// Clock is a clock that stands still unless it is moved. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
	ids int
}

// NewClock returns a clock at 2026-01-02 03:04:05.678 UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)} }

// Now implements [engine.Clock].
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Sleep implements [engine.Clock]: the clock moves on at once.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(d)
	return ctx.Err()
}

// NewID implements [engine.Clock]: "id-1", "id-2" …
func (c *Clock) NewID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	return "id-" + strconv.Itoa(c.ids)
}
