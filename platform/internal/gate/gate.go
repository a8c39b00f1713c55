// Package gate lets work on one key go on one after the other.
package gate

import (
	"context"
	"sync"
)

// Gate lets one at a time in per key, in the order of arrival. One of streams is
// an [engine.Gate].
type Gate[K comparable] struct {
	mu    sync.Mutex
	doors map[K]*door
}

// door is a key that somebody has; those who wait for it stand in line.
type door struct{ line []chan struct{} }

// New makes a gate that nobody is in.
func New[K comparable]() *Gate[K] { return &Gate[K]{doors: map[K]*door{}} }

// TryEnter enters where nobody is in.
func (g *Gate[K]) TryEnter(key K) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doors[key] != nil {
		return nil, false
	}
	g.doors[key] = &door{}
	return func() { g.leave(key) }, true
}

// Enter waits for its turn, or returns the context's error.
func (g *Gate[K]) Enter(ctx context.Context, key K) (leave func(), err error) {
	g.mu.Lock()
	d := g.doors[key]
	if d == nil {
		g.doors[key] = &door{}
		g.mu.Unlock()
		return func() { g.leave(key) }, nil
	}
	turn := make(chan struct{})
	d.line = append(d.line, turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return func() { g.leave(key) }, nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	for i, c := range d.line {
		if c == turn {
			d.line = append(d.line[:i], d.line[i+1:]...)
			g.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	g.mu.Unlock()
	g.leave(key) // the turn came at the same moment
	return nil, ctx.Err()
}

func (g *Gate[K]) leave(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.doors[key]
	if len(d.line) == 0 {
		delete(g.doors, key)
		return
	}
	close(d.line[0])
	d.line = d.line[1:]
}
