package local

import (
	"cmp"
	"context"
	"encoding/base64"
	"sync"

	"onlineshop/es/engine"
)

// parkedKeys knows what is parked without a query.
type parkedKeys struct {
	mu   sync.RWMutex
	keys map[parkedKey]bool
	of   map[string]int // consumer → keys
}

type parkedKey struct {
	consumer string
	engine.Stream
}

func (p *parkedKeys) has(consumer string, s engine.Stream) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.keys[parkedKey{consumer, s}]
}

func (p *parkedKeys) count(consumer string) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.of[consumer]
}

func (p *parkedKeys) set(consumer string, s engine.Stream, parked bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := parkedKey{consumer, s}
	switch was := p.keys[key]; {
	case parked && !was:
		p.keys[key] = true
		p.of[consumer]++
	case !parked && was:
		delete(p.keys, key)
		p.of[consumer]--
	}
}

func (s *store) loadParked(ctx context.Context) (*parkedKeys, error) {
	p := &parkedKeys{keys: map[parkedKey]bool{}, of: map[string]int{}}
	return p, s.scan(ctx, keyIn(tableParked), nil, forward, func(k, _ []byte) (bool, error) {
		consumer, st, err := parkedOf(k)
		p.set(consumer, st, true)
		return true, err
	})
}

func parkedAt(consumer string, st engine.Stream) key {
	return keyIn(tableParked).text(consumer).text(st.Aggregate).text(st.ID)
}

func parkedOf(k []byte) (consumer string, st engine.Stream, err error) {
	p := partsOf(k)
	consumer, st.Aggregate, st.ID = p.text(), p.text(), p.text()
	return consumer, st, p.err()
}

func parkedValue(p engine.Parked) value {
	return value(nil).text(p.Error).number(nanos(p.Since)).number(nanos(p.Last)).number(int64(p.Attempts))
}

func readParked(f *fields, p *engine.Parked) {
	p.Error, p.Since, p.Last, p.Attempts = f.text(), fromNanos(f.number()), fromNanos(f.number()), int(f.number())
}

// Park implements [engine.Parking].
func (s *store) Park(ctx context.Context, p engine.Parked) error {
	return s.writer.apply(ctx, func(t *tx) error {
		k, was := parkedAt(p.Consumer, p.Stream), engine.Parked{}
		again, err := t.get(k, func(f *fields) { readParked(f, &was) })
		if err != nil {
			return err
		}
		now := p
		if again {
			now.Since, now.Attempts = was.Since, was.Attempts+1
		}
		t.set(k, parkedValue(now))
		return nil
	}, func() { s.parked.set(p.Consumer, p.Stream, true) })
}

// Parked implements [engine.Parking].
func (s *store) Parked(ctx context.Context, consumer string, st engine.Stream) (*engine.Parked, error) {
	if !s.parked.has(consumer, st) {
		return nil, nil
	}
	p := engine.Parked{Consumer: consumer, Stream: st}
	found, err := s.get(ctx, parkedAt(consumer, st), func(f *fields) { readParked(f, &p) })
	if err != nil || !found {
		return nil, err
	}
	return &p, nil
}

// Unpark implements [engine.Parking].
func (s *store) Unpark(ctx context.Context, p engine.Parked) error {
	if !s.parked.has(p.Consumer, p.Stream) {
		return nil
	}
	gone := false
	return s.writer.apply(ctx, func(t *tx) error {
		k, is := parkedAt(p.Consumer, p.Stream), engine.Parked{}
		found, err := t.get(k, func(f *fields) { readParked(f, &is) })
		if gone = found && is.Last.Equal(p.Last) && is.Attempts == p.Attempts; gone {
			t.delete(k)
		}
		return err
	}, func() {
		if gone {
			s.parked.set(p.Consumer, p.Stream, false)
		}
	})
}

// pageParked is how many parked keys a page has.
const pageParked = 100

// ListParked implements [engine.Parking]. Its cursors are the last key of a page.
func (s *store) ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error) {
	var from key
	if cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(cursor)
		if _, _, bad := parkedOf(append(keyIn(tableParked), last...)); err != nil || bad != nil {
			return nil, "", engine.ErrCursor
		}
		from = append(keyIn(tableParked), last...).end()
	}
	var last []byte
	err = s.scan(ctx, keyIn(tableParked), from, forward, func(k, v []byte) (bool, error) {
		if len(parked) == pageParked {
			next = base64.RawURLEncoding.EncodeToString(last[1:])
			return false, nil
		}
		var p engine.Parked
		var err error
		p.Consumer, p.Stream, err = parkedOf(k)
		f := fields{rest: v}
		readParked(&f, &p)
		parked, last = append(parked, p), append(last[:0], k...)
		return true, cmp.Or(err, f.err())
	})
	return parked, next, err
}
