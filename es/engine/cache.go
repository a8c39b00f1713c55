package engine

import (
	"container/list"
	"hash/maphash"
	"sync"
)

// cache keeps aggregate states, bounded by their estimated size. Those that were used once
// have a small part of it, and those that were used again the rest, the most recently used
// ones of each: a file of which each row is used once displaces nothing, and leaves little
// for the garbage collector to look at. See the 2Q algorithm, Johnson and Shasha, VLDB 1994.
type cache struct {
	mu          sync.Mutex
	once, again recent
	slots       map[Stream]*list.Element
	gone        lately // used once, and evicted
}

// recent is a part of a cache.
type recent struct {
	max, used int64
	order     *list.List // of *slot, most recently used first
}

type slot struct {
	*aggregateState
	stream Stream
	bytes  int64 // as counted in used
	in     *recent
}

// lately is a set of the last streams that were added to it, by their hashes.
type lately struct {
	has   map[uint64]bool
	order []uint64 // a ring, once it is full
	next  int
}

// remembered is how many streams of which nothing else is left a cache knows.
const remembered = 8192

func (l *lately) add(s Stream) {
	h := hash(s)
	if l.has[h] {
		return
	}
	if l.has == nil {
		l.has = map[uint64]bool{}
	}
	l.has[h] = true
	if len(l.order) < remembered {
		l.order = append(l.order, h)
		return
	}
	delete(l.has, l.order[l.next])
	l.order[l.next] = h
	l.next = (l.next + 1) % remembered
}

func (l *lately) had(s Stream) bool { return l.has[hash(s)] }

var seed = maphash.MakeSeed()

func hash(s Stream) uint64 { return maphash.Comparable(seed, s) }

func newCache(max int64) *cache {
	const part = 8 // of the cache is for what was used once
	return &cache{once: recent{max: max / part, order: list.New()}, again: recent{max: max - max/part, order: list.New()}, slots: map[Stream]*list.Element{}}
}

// folded returns the stream's entry, creating it if there is none.
func (c *cache) folded(a *aggregate, id string) *aggregateState {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := Stream{a.Name, id}
	if el := c.slots[st]; el != nil {
		s := el.Value.(*slot)
		if s.in == &c.again {
			s.in.order.MoveToFront(el)
		} else {
			c.remove(el)
			c.put(&c.again, s)
		}
		return s.aggregateState
	}
	f := &aggregateState{of: a, id: id, state: a.Initial, bytes: int64(len(id)) + 400}
	part := &c.once
	if c.gone.had(st) {
		part = &c.again
	}
	c.put(part, &slot{aggregateState: f, stream: st})
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
		s.in.used += size - s.bytes
		s.bytes = size
	}
	for _, r := range []*recent{&c.once, &c.again} {
		for r.used > r.max && r.order.Len() > 1 {
			last := r.order.Back()
			if r == &c.once {
				c.gone.add(last.Value.(*slot).stream)
			}
			c.remove(last)
		}
	}
}

func (c *cache) drop(s Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.slots[s]; el != nil {
		c.remove(el)
	}
}

func (c *cache) put(r *recent, s *slot) {
	s.in = r
	r.used += s.bytes
	c.slots[s.stream] = r.order.PushFront(s)
}

func (c *cache) remove(el *list.Element) {
	s := el.Value.(*slot)
	s.in.order.Remove(el)
	s.in.used -= s.bytes
	delete(c.slots, s.stream)
}
