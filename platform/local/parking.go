package local

import (
	"context"
	"encoding/base64"
	"strings"
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
	return p, s.query(ctx, "SELECT consumer, aggregate, id FROM parked", nil, func(scan func(...any) error) (bool, error) {
		var consumer string
		var st engine.Stream
		err := scan(&consumer, &st.Aggregate, &st.ID)
		p.set(consumer, st, true)
		return true, err
	})
}

// Park implements [engine.Parking].
func (s *store) Park(ctx context.Context, p engine.Parked) error {
	return s.writer.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO parked (consumer, aggregate, id, error, since, last, attempts) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET error = excluded.error, last = excluded.last, attempts = attempts + 1`,
			p.Consumer, p.Stream.Aggregate, p.Stream.ID, p.Error, nanos(p.Since), nanos(p.Last), p.Attempts)
		return err
	}, func() { s.parked.set(p.Consumer, p.Stream, true) })
}

// Parked implements [engine.Parking].
func (s *store) Parked(ctx context.Context, consumer string, st engine.Stream) (*engine.Parked, error) {
	if !s.parked.has(consumer, st) {
		return nil, nil
	}
	p := engine.Parked{Consumer: consumer, Stream: st}
	var since, last int64
	found, err := s.get(ctx, "SELECT error, since, last, attempts FROM parked WHERE consumer = ? AND aggregate = ? AND id = ?",
		[]any{consumer, st.Aggregate, st.ID}, []any{&p.Error, &since, &last, &p.Attempts})
	if err != nil || !found {
		return nil, err
	}
	p.Since, p.Last = fromNanos(since), fromNanos(last)
	return &p, nil
}

// Unpark implements [engine.Parking].
func (s *store) Unpark(ctx context.Context, p engine.Parked) error {
	if !s.parked.has(p.Consumer, p.Stream) {
		return nil
	}
	var gone int64
	return s.writer.write(ctx, func(t *tx) (err error) {
		gone, err = t.exec("DELETE FROM parked WHERE consumer = ? AND aggregate = ? AND id = ? AND last = ? AND attempts = ?",
			p.Consumer, p.Stream.Aggregate, p.Stream.ID, nanos(p.Last), p.Attempts)
		return err
	}, func() {
		if gone > 0 {
			s.parked.set(p.Consumer, p.Stream, false)
		}
	})
}

// pageParked is how many parked keys a page has.
const pageParked = 100

// ListParked implements [engine.Parking]. Its cursors are consumer, aggregate and
// id, with a byte between them that is in none of the first two.
func (s *store) ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error) {
	from := []string{"", "", ""}
	if cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		if from = strings.SplitN(string(b), "\n", 3); err != nil || len(from) != 3 {
			return nil, "", engine.ErrCursor
		}
	}
	err = s.query(ctx, `SELECT consumer, aggregate, id, error, since, last, attempts FROM parked
		WHERE (consumer, aggregate, id) > (?, ?, ?) ORDER BY consumer, aggregate, id LIMIT ?`,
		[]any{from[0], from[1], from[2], pageParked + 1}, func(scan func(...any) error) (bool, error) {
			if len(parked) == pageParked {
				l := parked[pageParked-1]
				next = base64.RawURLEncoding.EncodeToString([]byte(l.Consumer + "\n" + l.Stream.Aggregate + "\n" + l.Stream.ID))
				return false, nil
			}
			var p engine.Parked
			var since, last int64
			err := scan(&p.Consumer, &p.Stream.Aggregate, &p.Stream.ID, &p.Error, &since, &last, &p.Attempts)
			p.Since, p.Last = fromNanos(since), fromNanos(last)
			parked = append(parked, p)
			return true, err
		})
	return parked, next, err
}
