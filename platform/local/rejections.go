package local

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"onlineshop/es/engine"
)

func rejectionKey(id engine.CommandID) key {
	return keyIn(tableRejections).text(id.Origin).number(id.Seq).number(id.Index)
}

func rejectionOrder(follower, order string) key {
	return rejectionsOf(follower).text(order)
}

func rejectionValue(r engine.KeptRejection) value {
	return value(nil).text(r.Target.Aggregate).text(r.Target.ID).text(r.Code).text(r.Detail).number(nanos(r.Time)).text(r.CorrelationID).text(r.User)
}

func readRejection(f *fields, r *engine.KeptRejection) {
	r.Target = engine.Stream{Aggregate: f.text(), ID: f.text()}
	r.Code, r.Detail, r.Time, r.CorrelationID, r.User = f.text(), f.text(), fromNanos(f.number()), f.text(), f.text()
}

func commandValue(id engine.CommandID) value {
	return value(nil).text(id.Origin).number(id.Seq).number(id.Index)
}

func readCommand(f *fields) engine.CommandID {
	return engine.CommandID{Origin: f.text(), Seq: f.number(), Index: f.number()}
}

// rejecting knows which followers have rejections: most have none, and are asked for them
// with each command.
type rejecting struct{ followers sync.Map }

func (r *rejecting) note(follower string)     { r.followers.Store(follower, nil) }
func (r *rejecting) has(follower string) bool { _, some := r.followers.Load(follower); return some }

// loadRejecting finds the followers that have rejections.
func (s *store) loadRejecting(ctx context.Context) error {
	for from := keyIn(tableRejectionOrder); from != nil; {
		begin := from
		from = nil
		err := s.scan(ctx, keyIn(tableRejectionOrder), begin, forward, func(k, _ []byte) (bool, error) {
			p := partsOf(k)
			follower := p.text()
			s.rejecting.note(follower)
			from = rejectionsOf(follower).end()
			return false, p.err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func rejectionsOf(follower string) key { return keyIn(tableRejectionOrder).text(follower) }

// Reject implements [engine.Rejections]. It forgets a few of those that are too old.
func (s *store) Reject(ctx context.Context, r engine.KeptRejection, next int64) (kept bool, err error) {
	forgotten, err := s.oldRejections(ctx, r.Follower(), r.Time.Add(-engine.RejectionsKept))
	if err != nil {
		return false, err
	}
	k := rejectionKey(r.Command)
	s.rejecting.note(r.Follower()) // before anybody can miss it
	err = s.writer.write(ctx, func(t *tx) error {
		kept = false
		there, err := t.has(k)
		if err != nil || there {
			return err
		}
		if next >= 0 {
			if moved, err := t.has(streamKey(r.Target, next)); err != nil {
				return err
			} else if moved {
				return engine.ErrConflict
			}
		}
		t.set(k, rejectionValue(r))
		t.set(rejectionOrder(r.Follower(), r.Order()), commandValue(r.Command))
		for order, id := range forgotten {
			t.delete(rejectionOrder(r.Follower(), order))
			t.delete(rejectionKey(id))
		}
		kept = true
		return nil
	}, nil)
	return kept && err == nil, err
}

// oldRejections are some of a follower's rejections that nobody needs, by their order.
func (s *store) oldRejections(ctx context.Context, follower string, until time.Time) (old map[string]engine.CommandID, err error) {
	const some = 4
	old = map[string]engine.CommandID{}
	latest := engine.KeptRejection{Time: until}.Order()
	err = s.scan(ctx, rejectionsOf(follower), nil, forward, func(k, v []byte) (bool, error) {
		order, id, err := rejectionAt(k, v)
		if err != nil || order >= latest || len(old) == some {
			return false, err
		}
		old[order] = id
		return true, nil
	})
	return old, err
}

func rejectionAt(k, v []byte) (order string, id engine.CommandID, err error) {
	p, f := partsOf(k), fields{rest: v}
	_, order = p.text(), p.text()
	id = readCommand(&f)
	return order, id, cmp.Or(p.err(), f.err())
}

// Rejection implements [engine.Rejections].
func (s *store) Rejection(ctx context.Context, id engine.CommandID) (*engine.KeptRejection, error) {
	if !s.rejecting.has(id.Follower()) {
		return nil, nil
	}
	r := engine.KeptRejection{Command: id}
	found, err := s.get(ctx, rejectionKey(id), func(f *fields) { readRejection(f, &r) })
	if err != nil || !found {
		return nil, err
	}
	return &r, nil
}

// ListRejections implements [engine.Rejections].
func (s *store) ListRejections(ctx context.Context, follower, before string, limit int) (list []engine.KeptRejection, err error) {
	var from key
	if before != "" {
		from = rejectionOrder(follower, before)
	}
	var ids []engine.CommandID
	err = s.scan(ctx, rejectionsOf(follower), from, backward, func(k, v []byte) (bool, error) {
		_, id, err := rejectionAt(k, v)
		ids = append(ids, id)
		return len(ids) < limit, err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		r, err := s.Rejection(ctx, id)
		if err != nil {
			return nil, err
		}
		if r != nil { // it was forgotten meanwhile
			list = append(list, *r)
		}
	}
	return list, nil
}

// refused is why an append of a command that was rejected is refused.
func refused(t *tx, c engine.Commit) error {
	if !c.UnlessRejected {
		return nil
	}
	there, err := t.has(rejectionKey(c.Meta.Command))
	if err == nil && there {
		err = fmt.Errorf("append to %s: %w", c.Stream, engine.ErrRejected)
	}
	return err
}
