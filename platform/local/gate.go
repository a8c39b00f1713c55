package local

import (
	"context"
	"sync"

	"onlineshop/es/engine"
)

// keyed lets one at a time in per key, in the order of arrival.
type keyed[K comparable] struct {
	mu    sync.Mutex
	doors map[K]*door
}

// door is a key that somebody has; those who wait for it stand in line.
type door struct{ line []chan struct{} }

func newKeyed[K comparable]() *keyed[K] { return &keyed[K]{doors: map[K]*door{}} }

// enter waits for its turn, or returns the context's error.
func (k *keyed[K]) enter(ctx context.Context, key K) (leave func(), err error) {
	k.mu.Lock()
	d := k.doors[key]
	if d == nil {
		k.doors[key] = &door{}
		k.mu.Unlock()
		return func() { k.leave(key) }, nil
	}
	turn := make(chan struct{})
	d.line = append(d.line, turn)
	k.mu.Unlock()
	select {
	case <-turn:
		return func() { k.leave(key) }, nil
	case <-ctx.Done():
	}
	k.mu.Lock()
	for i, c := range d.line {
		if c == turn {
			d.line = append(d.line[:i], d.line[i+1:]...)
			k.mu.Unlock()
			return nil, ctx.Err()
		}
	}
	k.mu.Unlock()
	k.leave(key) // the turn came at the same moment
	return nil, ctx.Err()
}

func (k *keyed[K]) leave(key K) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.doors[key]
	if len(d.line) == 0 {
		delete(k.doors, key)
		return
	}
	close(d.line[0])
	d.line = d.line[1:]
}

// gate implements [engine.Gate].
type gate struct{ *keyed[engine.Stream] }

// Enter implements [engine.Gate].
func (g gate) Enter(ctx context.Context, s engine.Stream) (leave func(), err error) {
	return g.enter(ctx, s)
}
