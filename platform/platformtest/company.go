package platformtest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"
)

// company is scenes that run side by side where it takes long until a platform comes to
// rest. They wait for it together: the platform has come to rest when all of them wait.
// What acts on everything comes when nobody waits for less, and alone, and a sweep last of
// all: it would make good what another scene is to miss.
type company struct {
	settle func(ctx context.Context) error

	mu      sync.Mutex
	over    sync.Cond // a round of settling
	round   bool      // there is one
	members int
	waiting []*waiter // of these
}

// kind is what a scene waits for; a lesser kind comes first.
type kind int

const (
	rest  kind = iota // that the platform has come to rest
	alone             // to do something alone
	sweep             // that it is swept, by one of those who wait for that
)

// waiter is a scene that waits.
type waiter struct {
	ctx   context.Context
	kind  kind
	act   func()        // what it does then; nil: nothing
	turn  chan struct{} // closed when it is its turn to act
	acted chan struct{} // closed when it has, or has failed
	ended chan error    // the round, and how
}

func newCompany(settle func(ctx context.Context) error) *company {
	c := &company{settle: settle}
	c.over.L = &c.mu
	return c
}

// join makes the test one of the company, until its end.
func (c *company) join(t *testing.T) {
	t.Parallel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.round {
		c.over.Wait()
	}
	c.members++
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.members--
		c.next()
	})
}

// wait is called by a member, and returns when the platform has come to rest: after what
// the member does to everything, if it does anything.
func (c *company) wait(ctx context.Context, k kind, act func()) error {
	m := &waiter{ctx, k, act, make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	c.next()
	c.mu.Unlock()
	select {
	case <-m.turn:
	case err := <-m.ended:
		return err
	}
	func() {
		defer close(m.acted) // which may end the test
		act()
	}()
	return <-m.ended
}

// next begins a round if all wait.
func (c *company) next() {
	if c.round || len(c.waiting) == 0 || len(c.waiting) < c.members {
		return
	}
	least := slices.MinFunc(c.waiting, func(a, b *waiter) int { return cmp.Compare(a.kind, b.kind) }).kind
	var now, later []*waiter
	for _, m := range c.waiting {
		if m.kind == least {
			now = append(now, m)
		} else {
			later = append(later, m)
		}
	}
	c.waiting, c.round = later, true
	go c.settleFor(now)
}

// settleFor is a round.
func (c *company) settleFor(waiters []*waiter) {
	ctx := waiters[0].ctx
	err := c.settle(ctx)
	for i, m := range waiters {
		if err == nil && (m.kind == alone || m.kind == sweep && i == 0) {
			close(m.turn)
			<-m.acted
			err = c.settle(ctx)
		}
	}
	c.mu.Lock()
	c.round = false
	c.over.Broadcast()
	c.mu.Unlock()
	for _, m := range waiters {
		m.ended <- err
	}
}
