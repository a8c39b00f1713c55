package local

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"onlineshop/es/engine"
)

// unindexed knows where the latest commits of each stream are, those that the table
// streams does not have yet. Streams are written to in no order, so that an entry
// for each commit would change a page of the table for each commit: it is spilled
// in sorted runs of thousands instead. After a crash it is read from the commits.
type unindexed struct {
	mu    sync.RWMutex
	spots map[engine.Stream][]location
	size  int

	// Only the writer's goroutine uses what follows.
	spillFrom int     // commits here that set off a run
	run       []entry // being spilled, sorted
	last      int64   // the latest position in it
	done      int     // entries of run that are in the table
	now       int     // those that the running transaction adds
}

// location is a commit's place in its stream and among all commits.
type location struct{ seq, position int64 }

type entry struct {
	engine.Stream
	location
}

// spillFrom is how many commits in the tail set off a run, unless a test says
// otherwise.
const spillFrom = 8192

// indexMark is the mark of the table streams: it has everything up to there.
const indexMark = "index"

func newTail() *unindexed {
	return &unindexed{spots: map[engine.Stream][]location{}, spillFrom: spillFrom}
}

func (l *unindexed) add(st engine.Stream, s location) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spots[st] = append(l.spots[st], s)
	l.size++
}

// of are the stream's commits in the tail with from <= seq < before.
func (l *unindexed) of(st engine.Stream, from, before int64) []location {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := l.spots[st]
	if len(all) == 0 {
		return nil
	}
	i := min(max(from-all[0].seq, 0), int64(len(all)))
	j := min(max(before-all[0].seq, i), int64(len(all)))
	return slices.Clone(all[i:j])
}

// head is the place of a stream's last commit, that of the running transaction
// included; -1: there is none.
func (l *unindexed) head(t *tx, st engine.Stream) (seq int64, err error) {
	if own := t.appended[st]; len(own) > 0 {
		return own[len(own)-1].seq, nil
	}
	if late := l.late(st); len(late) > 0 {
		return late[len(late)-1].seq, nil
	}
	seq = -1
	err = t.get("SELECT seq FROM streams WHERE aggregate = ? AND id = ? ORDER BY seq DESC LIMIT 1", []any{st.Aggregate, st.ID}, []any{&seq})
	return seq, err
}

// late are the stream's commits in the tail; for the writer, which alone
// changes them.
func (l *unindexed) late(st engine.Stream) []location {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.spots[st]
}

// position is where a commit is that is there.
func (l *unindexed) position(t *tx, st engine.Stream, seq int64) (position int64, err error) {
	for _, known := range [][]location{t.appended[st], l.late(st)} {
		for _, s := range known {
			if s.seq == seq {
				return s.position, nil
			}
		}
	}
	err = t.get("SELECT position FROM streams WHERE aggregate = ? AND id = ? AND seq = ?", []any{st.Aggregate, st.ID, seq}, []any{&position})
	return position, err
}

// spill writes so many entries of a run, and starts a run where the tail has
// grown to a number of commits.
func (l *unindexed) spill(t *tx, entries, from int) error {
	if l.run == nil && l.size >= max(from, 1) {
		l.run = l.sorted()
	}
	end := min(l.done+l.now+entries, len(l.run))
	for _, e := range l.run[l.done+l.now : end] {
		if _, err := t.exec("INSERT OR IGNORE INTO streams (aggregate, id, seq, position) VALUES (?, ?, ?, ?)", e.Aggregate, e.ID, e.seq, e.position); err != nil {
			return err
		}
	}
	l.now = end - l.done
	if l.run == nil || end < len(l.run) {
		return nil
	}
	_, err := t.exec("REPLACE INTO marks (consumer, position) VALUES (?, ?)", indexMark, l.last)
	return err
}

// sorted starts a run of all that is in the tail.
func (l *unindexed) sorted() []entry {
	l.last = 0
	run := make([]entry, 0, l.size)
	for st, spots := range l.spots {
		for _, s := range spots {
			run = append(run, entry{st, s})
			l.last = max(l.last, s.position)
		}
	}
	slices.SortFunc(run, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.ID, b.ID), cmp.Compare(a.seq, b.seq))
	})
	return run
}

// settled says whether the transaction that spilled was committed. A run that is
// in the table whole leaves the tail.
func (l *unindexed) settled(committed bool) {
	if committed {
		l.done += l.now
	}
	l.now = 0
	if l.run == nil || l.done < len(l.run) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.run {
		if spots := l.spots[e.Stream]; len(spots) > 1 {
			l.spots[e.Stream] = spots[1:] // the run has them in order
		} else {
			delete(l.spots, e.Stream)
		}
	}
	l.size -= len(l.run)
	l.run, l.done = nil, 0
}

// loadTail reads what the table streams does not have.
func (s *store) loadTail(ctx context.Context) error {
	mark, err := s.mark(ctx, indexMark)
	if err != nil {
		return err
	}
	return s.query(ctx, "SELECT position, aggregate, id, seq FROM commits WHERE position > ? ORDER BY position", []any{mark}, func(scan func(...any) error) (bool, error) {
		var e entry
		err := scan(&e.location.position, &e.Aggregate, &e.ID, &e.seq)
		s.tail.add(e.Stream, e.location)
		return true, err
	})
}

// index brings the table streams up to date.
func (s *store) index(ctx context.Context) error {
	for range 2 { // the run that is being spilled, and what came after it
		if err := s.writer.write(ctx, func(t *tx) error { return s.tail.spill(t, math.MaxInt32, 0) }, nil); err != nil {
			return err
		}
	}
	return nil
}
