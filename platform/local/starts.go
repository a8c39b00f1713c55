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

// Begin implements [engine.Starts]. Followers of an earlier version, which kept no
// starts, are known by what they did.
func (s *starts) Begin(ctx context.Context, _ string, b engine.Beginning) error {
	at := map[string]int64{}
	err := s.store.writer.write(ctx, func(t *tx) error {
		for _, f := range b.Followers {
			k := keyIn(tableStarts).text(f)
			var position int64
			began, err := t.get(k, func(f *fields) { position = f.number() })
			if err == nil && !began {
				if position, err = s.beginning(t, f); err == nil {
					t.set(k, value(nil).number(position))
				}
			}
			if err != nil {
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

// beginning is where a follower without a start begins: with the first commit if it was
// here before, otherwise with the next.
func (s *starts) beginning(t *tx, follower string) (position int64, err error) {
	before, err := t.has(keyIn(tableKnown).text(follower))
	if err == nil && !before { // nobody's cursor is in this batch: followers start later
		err = scan(t.db, keyIn(tableCursors).text(follower), nil, forward, func(_, _ []byte) (bool, error) {
			before = true
			return false, nil
		})
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errStore, err)
	}
	if before {
		return 0, nil
	}
	return t.next - 1, nil
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
	found, err := s.get(ctx, streamKey(st, seq), func(f *fields) { position = f.number() })
	if err == nil && !found {
		err = fmt.Errorf("%s has no commit %d", st, seq)
	}
	return position, err
}
