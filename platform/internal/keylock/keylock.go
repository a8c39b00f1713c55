// Package keylock provides a fair mutex per key.
package keylock

import (
	"context"
	"slices"
	"sync"
)

// Locks is a set of mutexes, one per key, each granted in the order of arrival. Locks of
// streams are an [onlineshop/es/engine.StreamLock]. Safe for concurrent use.
type Locks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*lock
}

// lock is a mutex that is held; waiting are those who come next.
type lock struct{ waiting []chan struct{} }

// New returns a set in which nothing is locked.
func New[K comparable]() *Locks[K] { return &Locks[K]{held: map[K]*lock{}} }

// TryLock locks the key if it is free, without waiting.
func (l *Locks[K]) TryLock(key K) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] != nil {
		return nil, false
	}
	l.held[key] = &lock{}
	return func() { l.unlock(key) }, true
}

// Lock waits for the key's turn. It returns the context's error if that ends first.
func (l *Locks[K]) Lock(ctx context.Context, key K) (unlock func(), err error) {
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		l.held[key] = &lock{}
		l.mu.Unlock()
		return func() { l.unlock(key) }, nil
	}
	turn := make(chan struct{})
	k.waiting = append(k.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return func() { l.unlock(key) }, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	if i := slices.Index(k.waiting, turn); i >= 0 {
		k.waiting = slices.Delete(k.waiting, i, i+1)
		l.mu.Unlock()
		return nil, ctx.Err()
	}
	l.mu.Unlock()
	l.unlock(key) // the turn came at the same moment
	return nil, ctx.Err()
}

func (l *Locks[K]) unlock(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.held[key]
	if len(k.waiting) == 0 {
		delete(l.held, key)
		return
	}
	close(k.waiting[0])
	k.waiting = k.waiting[1:]
}
