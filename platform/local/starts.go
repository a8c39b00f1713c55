package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"onlineshop/es/engine"
)

// starts are the positions in the log at which followers began; 0: with the first
// commit. It implements [engine.Starts], whatever the clock said.
type starts struct {
	store *store
	mu    sync.RWMutex
	at    map[string]int64
}

// Folders of earlier versions have no such table.
const createStarts = `CREATE TABLE IF NOT EXISTS starts (
	follower TEXT    PRIMARY KEY,
	position INTEGER NOT NULL -- of the log's last commit before it began
) WITHOUT ROWID`

// Begin implements [engine.Starts]. Followers of an earlier version, which kept no
// starts, are known by what they did.
func (s *starts) Begin(ctx context.Context, _ string, followers []string, _ time.Time) error {
	at := map[string]int64{}
	err := s.store.writer.write(ctx, func(t *tx) error {
		if _, err := t.exec(createStarts); err != nil {
			return err
		}
		for _, f := range followers {
			if _, err := t.exec(`INSERT OR IGNORE INTO starts (follower, position) SELECT ?1, CASE
				WHEN EXISTS (SELECT 1 FROM known WHERE consumer = ?1) OR EXISTS (SELECT 1 FROM cursors WHERE follower = ?1) THEN 0
				ELSE (SELECT coalesce(max(position), 0) FROM commits) END`, f); err != nil {
				return err
			}
			var position int64
			if err := t.get("SELECT position FROM starts WHERE follower = ?", []any{f}, []any{&position}); err != nil {
				return err
			}
			at[f] = position
		}
		return nil
	}, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for f, position := range at {
		s.at[f] = position
	}
	return nil
}

// Past implements [engine.Starts].
func (s *starts) Past(ctx context.Context, follower string, st engine.Stream, seq int64, _ time.Time) (bool, error) {
	s.mu.RLock()
	began := s.at[follower]
	s.mu.RUnlock()
	if began == 0 {
		return false, nil
	}
	position, err := s.store.position(ctx, st, seq)
	return position <= began, err
}

// position is the commit's among all commits.
func (s *store) position(ctx context.Context, st engine.Stream, seq int64) (position int64, err error) {
	if tail := s.tail.of(st, seq, seq+1); len(tail) > 0 && tail[0].seq == seq {
		return tail[0].position, nil
	}
	found, err := s.get(ctx, "SELECT position FROM streams WHERE aggregate = ? AND id = ? AND seq = ?", []any{st.Aggregate, st.ID, seq}, []any{&position})
	if err == nil && !found {
		err = fmt.Errorf("%s has no commit %d", st, seq)
	}
	return position, err
}
