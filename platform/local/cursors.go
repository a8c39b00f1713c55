package local

import (
	"context"

	"onlineshop/es/engine"
)

// Cursor implements [engine.Cursors].
func (s *store) Cursor(ctx context.Context, consumer string, st engine.Stream) (engine.Cursor, error) {
	c := engine.Cursor{Parked: s.parked.has(consumer, st)}
	_, err := s.get(ctx, "SELECT next FROM cursors WHERE follower = ? AND aggregate = ? AND id = ?",
		[]any{consumer, st.Aggregate, st.ID}, []any{&c.Next})
	return c, err
}

// Advance implements [engine.Cursors].
func (s *store) Advance(ctx context.Context, consumer string, st engine.Stream, from, to int64) error {
	return s.writer.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO cursors (follower, aggregate, id, next) SELECT ?1, ?2, ?3, ?5
			WHERE ?4 = 0 OR EXISTS (SELECT 1 FROM cursors WHERE follower = ?1 AND aggregate = ?2 AND id = ?3)
			ON CONFLICT DO UPDATE SET next = excluded.next WHERE next = ?4`, consumer, st.Aggregate, st.ID, from, to)
		return err
	}, nil)
}

// Snapshot implements [engine.Snapshots].
func (s *store) Snapshot(ctx context.Context, st engine.Stream) (data []byte, err error) {
	_, err = s.get(ctx, "SELECT data FROM snapshots WHERE aggregate = ? AND id = ?", []any{st.Aggregate, st.ID}, []any{&data})
	return data, err
}

// SaveSnapshot implements [engine.Snapshots].
func (s *store) SaveSnapshot(ctx context.Context, st engine.Stream, data []byte) error {
	return s.writer.write(ctx, func(t *tx) error {
		_, err := t.exec("REPLACE INTO snapshots (aggregate, id, data) VALUES (?, ?, ?)", st.Aggregate, st.ID, data)
		return err
	}, nil)
}

// mark is how far a consumer has seen the log.
func (s *store) mark(ctx context.Context, consumer string) (position int64, err error) {
	_, err = s.get(ctx, "SELECT position FROM marks WHERE consumer = ?", []any{consumer}, []any{&position})
	return position, err
}

// setMarks stores how far consumers have seen the log.
func (s *store) setMarks(ctx context.Context, marks map[string]int64) error {
	return s.writer.write(ctx, func(t *tx) error {
		for consumer, position := range marks {
			if _, err := t.exec("REPLACE INTO marks (consumer, position) VALUES (?, ?)", consumer, position); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}

// registered are the followers, read models and publishers that the log was swept for.
func (s *store) registered(ctx context.Context) (names map[string]bool, err error) {
	names = map[string]bool{}
	return names, s.query(ctx, "SELECT consumer FROM known", nil, func(scan func(...any) error) (bool, error) {
		var name string
		err := scan(&name)
		names[name] = true
		return true, err
	})
}

func (s *store) markRegistered(ctx context.Context, names []string) error {
	return s.writer.write(ctx, func(t *tx) error {
		for _, n := range names {
			if _, err := t.exec("INSERT OR IGNORE INTO known (consumer) VALUES (?)", n); err != nil {
				return err
			}
		}
		return nil
	}, nil)
}
