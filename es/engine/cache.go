package engine

import (
	"container/list"
	"sync"
)

// cache keeps the most recently used aggregate states, bounded by their estimated size.
type cache struct {
	mu    sync.Mutex
	max   int64
	used  int64
	order *list.List // of *slot, most recently used first
	slots map[Stream]*list.Element
}

type slot struct {
	*aggregateState
	stream Stream
	bytes  int64 // as counted in used
}

func newCache(max int64) *cache {
	return &cache{max: max, order: list.New(), slots: map[Stream]*list.Element{}}
}

// folded returns the stream's entry, creating it if there is none.
func (c *cache) folded(a *aggregate, id string) *aggregateState {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stream{a.Name, id}
	if el := c.slots[s]; el != nil {
		c.order.MoveToFront(el)
		return el.Value.(*slot).aggregateState
	}
	f := &aggregateState{of: a, id: id, state: a.Initial, bytes: int64(len(id)) + 400}
	c.slots[s] = c.order.PushFront(&slot{f, s, 0})
	return f
}

// settle updates the entry's size and evicts the least recently used entries.
func (c *cache) settle(f *aggregateState) {
	f.Lock()
	size := f.bytes
	f.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.slots[Stream{f.of.Name, f.id}]; el != nil && el.Value.(*slot).aggregateState == f {
		s := el.Value.(*slot)
		c.used += size - s.bytes
		s.bytes = size
	}
	for c.used > c.max && c.order.Len() > 1 {
		c.remove(c.order.Back())
	}
}

func (c *cache) drop(s Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.slots[s]; el != nil {
		c.remove(el)
	}
}

func (c *cache) remove(el *list.Element) {
	s := c.order.Remove(el).(*slot)
	c.used -= s.bytes
	delete(c.slots, s.stream)
}
