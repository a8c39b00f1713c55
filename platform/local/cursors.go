package local

import (
	"context"

	"onlineshop/es/engine"
)

func cursorKey(follower string, st engine.Stream) key {
	return keyIn(tableCursors).text(follower).text(st.Aggregate).text(st.ID)
}

// Cursor implements [engine.Cursors].
func (s *store) Cursor(ctx context.Context, consumer string, st engine.Stream) (engine.Cursor, error) {
	c := engine.Cursor{Parked: s.parked.has(consumer, st)}
	_, err := s.get(ctx, cursorKey(consumer, st), func(f *fields) { c.Next = f.number() })
	return c, err
}

// Advance implements [engine.Cursors].
func (s *store) Advance(ctx context.Context, consumer string, st engine.Stream, from, to int64) error {
	k := cursorKey(consumer, st)
	return s.writer.apply(ctx, func(t *tx) error {
		if at, err := t.integer(k); err != nil || at != from {
			return err
		}
		t.set(k, value(nil).number(to))
		return nil
	}, nil)
}

func snapshotKey(st engine.Stream) key { return keyIn(tableSnapshots).text(st.Aggregate).text(st.ID) }

// Snapshot implements [engine.Snapshots].
func (s *store) Snapshot(ctx context.Context, st engine.Stream) (data []byte, err error) {
	_, err = s.get(ctx, snapshotKey(st), func(f *fields) { data = f.bytes() })
	return data, err
}

// SaveSnapshot implements [engine.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, st engine.Stream, data []byte) error {
	return s.writer.apply(ctx, func(t *tx) error {
		if data == nil {
			t.delete(snapshotKey(st))
			return nil
		}
		t.set(snapshotKey(st), value(nil).bytes(data))
		return nil
	}, nil)
}

// mark is how far a consumer has seen the log.
func (s *store) mark(ctx context.Context, consumer string) (position int64, err error) {
	_, err = s.get(ctx, keyIn(tableMarks).text(consumer), func(f *fields) { position = f.number() })
	return position, err
}

// setMarks stores how far consumers have seen the log.
func (s *store) setMarks(ctx context.Context, marks map[string]int64) error {
	return s.writer.write(ctx, func(t *tx) error {
		for consumer, position := range marks {
			t.set(keyIn(tableMarks).text(consumer), value(nil).number(position))
		}
		return nil
	}, nil)
}

// registered are the followers, read models and publishers that the log was swept for.
func (s *store) registered(ctx context.Context) (names map[string]bool, err error) {
	names = map[string]bool{}
	return names, s.scan(ctx, keyIn(tableKnown), nil, forward, func(k, _ []byte) (bool, error) {
		p := partsOf(k)
		names[p.text()] = true
		return true, p.err()
	})
}

func (s *store) markRegistered(ctx context.Context, names []string) error {
	return s.writer.apply(ctx, func(t *tx) error {
		for _, n := range names {
			t.set(keyIn(tableKnown).text(n), nil)
		}
		return nil
	}, nil)
}
