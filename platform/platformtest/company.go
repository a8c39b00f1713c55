package platformtest

import (
	"context"
	"sync"
	"testing"
)

// company is scenes that run side by side where it takes long until a platform comes to
// rest. They wait for it together: the platform has come to rest when all of them wait.
// What acts on everything, such as a sweep, comes when nobody waits for less, and alone:
// it would make good what another scene is to miss.
type company struct {
	settle func(ctx context.Context) error

	mu      sync.Mutex
	ended   sync.Cond // a round of settling
	round   bool      // there is one
	members int
	waiting []*waiter // of these
}

// waiter is a scene that waits.
type waiter struct {
	ctx   context.Context
	act   func()        // what it does to everything; nil: nothing
	name  string        // of that: of several of one name one acts for all; empty: for itself
	turn  chan struct{} // closed when it is its turn to act
	acted chan struct{} // closed when it has, or has failed
	rest  chan error    // the round's end
}

func newCompany(settle func(ctx context.Context) error) *company {
	c := &company{settle: settle}
	c.ended.L = &c.mu
	return c
}

// join makes the test one of the company, until its end.
func (c *company) join(t *testing.T) {
	t.Parallel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.round {
		c.ended.Wait()
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
func (c *company) wait(ctx context.Context, name string, act func()) error {
	m := &waiter{ctx, act, name, make(chan struct{}), make(chan struct{}), make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, m)
	c.next()
	c.mu.Unlock()
	if act == nil {
		return <-m.rest
	}
	select {
	case <-m.turn:
	case err := <-m.rest:
		return err
	}
	func() {
		defer close(m.acted) // which may end the test
		act()
	}()
	return <-m.rest
}

// next begins a round if all wait.
func (c *company) next() {
	if c.round || len(c.waiting) == 0 || len(c.waiting) < c.members {
		return
	}
	var rest, act []*waiter
	for _, m := range c.waiting {
		if m.act == nil {
			rest = append(rest, m)
		} else {
			act = append(act, m)
		}
	}
	if c.waiting = act; len(rest) == 0 {
		rest, c.waiting = act, nil
	}
	c.round = true
	go c.settleFor(rest)
}

// settleFor is a round.
func (c *company) settleFor(waiters []*waiter) {
	ctx := waiters[0].ctx
	err := c.settle(ctx)
	done := map[string]bool{}
	for _, m := range waiters {
		if err == nil && m.act != nil && !done[m.name] {
			close(m.turn)
			<-m.acted
			err = c.settle(ctx)
			done[m.name] = m.name != ""
		}
	}
	c.mu.Lock()
	c.round = false
	c.ended.Broadcast()
	c.mu.Unlock()
	for _, m := range waiters {
		m.rest <- err
	}
}
