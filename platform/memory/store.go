package memory

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"onlineshop/es/engine"
)

// Store keeps everything that an engine stores, in memory. It implements
// [engine.Log], [engine.Cursors], [engine.Starts], [engine.Rows], [engine.Parking],
// [engine.Rejections], [engine.Schedules], [engine.Keys] and [engine.Snapshots]. Safe for concurrent use.
type Store struct {
	// Before, if set, is called before each call of a port with the method's name, e.g.
	// "Append". If it returns an error, the call returns that and does nothing.
	Before func(method string) error
	// Page is how many items a page holds; default 50. A page of commits or rows also
	// ends at about 1 MiB.
	Page int

	mu        sync.Mutex
	log       map[engine.Stream][]engine.Commit
	position  int64                       // of the next commit in the order of all
	positions map[engine.Stream][]int64   // of the stream's commits
	starts    map[string]map[string]int64 // by plugin and follower: the position of the first commit that is for it
	cursors   map[key]int64
	rows      map[rowKey]engine.Row
	parked    map[key]engine.Parked
	rejected  map[engine.CommandID]engine.KeptRejection
	snapshots map[engine.Stream][]byte
	keys      map[engine.Stream][]byte // nil: destroyed
	schedules map[string]engine.ScheduleState
}

// key is a consumer on a stream.
type key struct {
	consumer string
	stream   engine.Stream
}

type rowKey struct{ model, id string }

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		log: map[engine.Stream][]engine.Commit{}, positions: map[engine.Stream][]int64{}, starts: map[string]map[string]int64{},
		cursors: map[key]int64{}, rows: map[rowKey]engine.Row{}, parked: map[key]engine.Parked{}, rejected: map[engine.CommandID]engine.KeptRejection{}, snapshots: map[engine.Stream][]byte{},
		keys:      map[engine.Stream][]byte{},
		schedules: map[string]engine.ScheduleState{},
	}
}

// call runs a method under the lock, unless it is to fail.
func (s *Store) call(ctx context.Context, method string, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Before != nil {
		if err := s.Before(method); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return do()
}

// page returns the first of the items, limit at most, and whether there are more.
func page[T any](limit int, items []T, size func(T) int) (first []T, more bool) {
	const maxBytes = 1 << 20
	bytes := 0
	for n, x := range items {
		if n == limit || n > 0 && bytes >= maxBytes {
			return items[:n], true
		}
		bytes += size(x)
	}
	return items, false
}

// upTo is the smaller of two limits, of which 0 is none.
func upTo(page, limit int) int {
	if limit == 0 {
		return page
	}
	return min(page, limit)
}

// limit is how many items a page holds.
func (s *Store) limit() int { return cmp.Or(s.Page, 50) }

// placeOf is where a commit is in its log, which lacks some only where a test took them.
func placeOf(log []engine.Commit, seq int64) int {
	i, _ := slices.BinarySearchFunc(log, seq, func(c engine.Commit, seq int64) int { return cmp.Compare(c.Seq, seq) })
	return i
}

func sizeOf(c engine.Commit) (n int) {
	for _, e := range c.Events {
		n += len(e.Data)
	}
	return n
}

// Read implements [engine.Log].
func (s *Store) Read(ctx context.Context, st engine.Stream, from int64, limit int) (commits []engine.Commit, more bool, err error) {
	err = s.call(ctx, "Read", func() error {
		log := s.log[st]
		commits, more = page(upTo(s.limit(), limit), slices.Clone(log[placeOf(log, from):]), sizeOf)
		return nil
	})
	return commits, more, err
}

// ReadBackward implements [engine.Log].
func (s *Store) ReadBackward(ctx context.Context, st engine.Stream, before int64) (commits []engine.Commit, err error) {
	err = s.call(ctx, "ReadBackward", func() error {
		log := s.log[st]
		commits = slices.Clone(log[:placeOf(log, before)])
		slices.Reverse(commits)
		commits, _ = page(s.limit(), commits, sizeOf)
		return nil
	})
	return commits, err
}

// Append implements [engine.Log]. It refuses a commit that would leave a gap.
func (s *Store) Append(ctx context.Context, c engine.Commit) error {
	return s.call(ctx, "Append", func() error {
		log := s.log[c.Stream]
		next := int64(0)
		if n := len(log); n > 0 {
			next = log[n-1].Seq + 1
		}
		switch {
		case c.Seq < next:
			return &engine.ConflictError{Theirs: log[placeOf(log, c.Seq)]}
		case c.Seq > next:
			return fmt.Errorf("append to %s at %d: its next place is %d", c.Stream, c.Seq, next)
		}
		if _, rejected := s.rejected[c.Meta.Command]; rejected && c.UnlessRejected {
			return engine.ErrRejected
		}
		s.log[c.Stream] = append(log, c.Detached())
		s.positions[c.Stream] = append(s.positions[c.Stream], s.position)
		s.position++
		return nil
	})
}

// Streams implements [engine.Log]. Its cursors are ids.
func (s *Store) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	err = s.call(ctx, "Streams", func() error {
		for st := range s.log {
			if st.Aggregate == aggregate && st.ID > cursor {
				ids = append(ids, st.ID)
			}
		}
		slices.Sort(ids)
		var more bool
		if ids, more = page(s.limit(), ids, func(string) int { return 0 }); more {
			next = ids[len(ids)-1]
		}
		return nil
	})
	return ids, next, err
}

// Cursor implements [engine.Cursors].
func (s *Store) Cursor(ctx context.Context, consumer string, st engine.Stream) (c engine.Cursor, err error) {
	err = s.call(ctx, "Cursor", func() error {
		k := key{consumer, st}
		_, parked := s.parked[k]
		c = engine.Cursor{Next: s.cursors[k], Parked: parked}
		return nil
	})
	return c, err
}

// Advance implements [engine.Cursors].
func (s *Store) Advance(ctx context.Context, consumer string, st engine.Stream, from, to int64) error {
	return s.call(ctx, "Advance", func() error {
		if k := (key{consumer, st}); s.cursors[k] == from {
			s.cursors[k] = to
		}
		return nil
	})
}

// Begin implements [engine.Starts], by the order of all commits.
func (s *Store) Begin(ctx context.Context, plugin string, b engine.Beginning) error {
	return s.call(ctx, "Begin", func() error {
		known, now := s.starts[plugin], s.position
		if known == nil {
			known = map[string]int64{}
			s.starts[plugin] = known
		}
		for _, f := range b.Followers {
			if _, ok := known[f]; !ok {
				known[f] = now
			}
		}
		return nil
	})
}

// Past implements [engine.Starts].
func (s *Store) Past(ctx context.Context, follower string, st engine.Stream, seq int64, _ time.Time) (past bool, err error) {
	err = s.call(ctx, "Past", func() error {
		plugin := engine.ParseConsumer(follower).Plugin()
		at := s.positions[st]
		past = seq < int64(len(at)) && at[seq] < s.starts[plugin][follower]
		return nil
	})
	return past, err
}

// Row implements [engine.Rows].
func (s *Store) Row(ctx context.Context, model, id string) (r engine.Row, err error) {
	err = s.call(ctx, "Row", func() error {
		var ok bool
		if r, ok = s.rows[rowKey{model, id}]; !ok {
			r = engine.Row{Model: model, ID: id}
		}
		return nil
	})
	return r, err
}

// Put implements [engine.Rows].
func (s *Store) Put(ctx context.Context, row engine.Row) (lost bool, err error) {
	err = s.call(ctx, "Put", func() error {
		k := rowKey{row.Model, row.ID}
		if lost = s.rows[k].Rev != row.Rev-1; !lost {
			s.put(row)
		}
		return nil
	})
	return lost, err
}

// List implements [engine.Rows]. A cursor names the query that it is good for.
func (s *Store) List(ctx context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	of := q.Identity() + " after "
	after, ok := strings.CutPrefix(q.Cursor, of)
	if q.Cursor != "" && !ok {
		return nil, "", engine.ErrCursor
	}
	err = s.call(ctx, "List", func() error {
		for k, r := range s.rows {
			if k.model == q.Model && q.Matches(r) && (q.Cursor == "" || q.Compare(q.Key(r), after) > 0) {
				rows = append(rows, r)
			}
		}
		slices.SortFunc(rows, func(a, b engine.Row) int { return q.Compare(q.Key(a), q.Key(b)) })
		all := len(rows)
		if q.Limit > 0 && all > q.Limit {
			rows = rows[:q.Limit]
		}
		rows, _ = page(len(rows), rows, func(r engine.Row) int { return len(r.View) })
		if len(rows) < all {
			next = of + q.Key(rows[len(rows)-1])
		}
		return nil
	})
	return rows, next, err
}

// Park implements [engine.Parking].
func (s *Store) Park(ctx context.Context, p engine.Parked) error {
	return s.call(ctx, "Park", func() error {
		k := key{p.Consumer, p.Stream}
		if before, ok := s.parked[k]; ok {
			p.Since, p.Attempts = before.Since, before.Attempts+1
		}
		s.parked[k] = p
		return nil
	})
}

// Parked implements [engine.Parking].
func (s *Store) Parked(ctx context.Context, consumer string, st engine.Stream) (p *engine.Parked, err error) {
	err = s.call(ctx, "Parked", func() error {
		if k, ok := s.parked[key{consumer, st}]; ok {
			p = &k
		}
		return nil
	})
	return p, err
}

// Unpark implements [engine.Parking].
func (s *Store) Unpark(ctx context.Context, p engine.Parked) error {
	return s.call(ctx, "Unpark", func() error {
		k := key{p.Consumer, p.Stream}
		if now := s.parked[k]; now.Last.Equal(p.Last) && now.Attempts == p.Attempts {
			delete(s.parked, k)
		}
		return nil
	})
}

// ListParked implements [engine.Parking]. Its cursors are the last key of a page.
func (s *Store) ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error) {
	name := func(p engine.Parked) string { return p.Consumer + " " + p.Stream.String() }
	err = s.call(ctx, "ListParked", func() error {
		for _, p := range s.parked {
			if name(p) > cursor {
				parked = append(parked, p)
			}
		}
		slices.SortFunc(parked, func(a, b engine.Parked) int { return strings.Compare(name(a), name(b)) })
		var more bool
		if parked, more = page(s.limit(), parked, func(engine.Parked) int { return 0 }); more {
			next = name(parked[len(parked)-1])
		}
		return nil
	})
	return parked, next, err
}

// Reject implements [engine.Rejections].
func (s *Store) Reject(ctx context.Context, r engine.KeptRejection, next int64) (kept bool, err error) {
	err = s.call(ctx, "Reject", func() error {
		if _, there := s.rejected[r.Command]; there {
			return nil
		}
		if next >= 0 && int64(len(s.log[r.Target])) > next {
			return engine.ErrConflict
		}
		s.rejected[r.Command], kept = r, true
		return nil
	})
	return kept, err
}

// Rejection implements [engine.Rejections].
func (s *Store) Rejection(ctx context.Context, id engine.CommandID) (r *engine.KeptRejection, err error) {
	err = s.call(ctx, "Rejection", func() error {
		if kept, ok := s.rejected[id]; ok {
			r = &kept
		}
		return nil
	})
	return r, err
}

// ListRejections implements [engine.Rejections].
func (s *Store) ListRejections(ctx context.Context, follower, before string, limit int) (list []engine.KeptRejection, err error) {
	err = s.call(ctx, "ListRejections", func() error {
		for _, r := range s.rejected {
			if r.Follower() == follower && (before == "" || r.Order() < before) {
				list = append(list, r)
			}
		}
		slices.SortFunc(list, func(a, b engine.KeptRejection) int { return strings.Compare(b.Order(), a.Order()) })
		list = list[:min(limit, len(list))]
		return nil
	})
	return list, err
}

// Snapshot implements [engine.Snapshots].
func (s *Store) Snapshot(ctx context.Context, st engine.Stream) (data []byte, err error) {
	err = s.call(ctx, "Snapshot", func() error { data = s.snapshots[st]; return nil })
	return data, err
}

// SaveSnapshot implements [engine.Snapshots].
func (s *Store) SaveSnapshot(ctx context.Context, st engine.Stream, data []byte) error {
	return s.call(ctx, "SaveSnapshot", func() error { s.snapshots[st] = slices.Clone(data); return nil })
}

// Key implements [engine.Keys].
func (s *Store) Key(ctx context.Context, st engine.Stream, make bool) (key []byte, err error) {
	err = s.call(ctx, "Key", func() error {
		kept, known := s.keys[st]
		if known && kept == nil {
			return engine.ErrErased
		}
		if !known && make {
			kept = newKey()
			s.keys[st] = kept
		}
		key = kept
		return nil
	})
	return key, err
}

func newKey() []byte {
	key := make([]byte, engine.KeySize)
	_, _ = rand.Read(key) // which does not fail
	return key
}

// Destroy implements [engine.Keys].
func (s *Store) Destroy(ctx context.Context, st engine.Stream) error {
	return s.call(ctx, "Destroy", func() error { s.keys[st] = nil; return nil })
}

// Schedule implements [engine.Schedules].
func (s *Store) Schedule(ctx context.Context, name string) (st engine.ScheduleState, err error) {
	err = s.call(ctx, "Schedule", func() error {
		st = s.schedules[name]
		st.Name = name
		return nil
	})
	return st, err
}

// PutSchedule implements [engine.Schedules].
func (s *Store) PutSchedule(ctx context.Context, st engine.ScheduleState) (lost bool, err error) {
	err = s.call(ctx, "PutSchedule", func() error {
		if lost = s.schedules[st.Name].Rev != st.Rev-1; !lost {
			s.schedules[st.Name] = st
		}
		return nil
	})
	return lost, err
}

// What follows is for tests: what is stored, and changes to it behind the engine's back.

// Commits returns a stream's commits. The caller must not modify them.
func (s *Store) Commits(st engine.Stream) []engine.Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.log[st])
}

// AllStreams returns every stream that has commits, by name.
func (s *Store) AllStreams() []engine.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Keys(s.log), func(a, b engine.Stream) int {
		return cmp.Or(strings.Compare(a.Aggregate, b.Aggregate), strings.Compare(a.ID, b.ID))
	})
}

// AllRows returns every row, absent ones included, by model and id.
func (s *Store) AllRows() []engine.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.rows), func(a, b engine.Row) int {
		return cmp.Or(strings.Compare(a.Model, b.Model), strings.Compare(a.ID, b.ID))
	})
}

// AllParked returns every parked key, by consumer and stream.
func (s *Store) AllParked() []engine.Parked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.parked), func(a, b engine.Parked) int {
		return cmp.Or(strings.Compare(a.Consumer, b.Consumer), strings.Compare(a.Stream.String(), b.Stream.String()))
	})
}

// AllRejections returns every rejection, oldest first.
func (s *Store) AllRejections() []engine.KeptRejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.rejected), func(a, b engine.KeptRejection) int { return strings.Compare(a.Order(), b.Order()) })
}

// Restore replaces a stream's commits, as from a backup. Its snapshot is gone.
func (s *Store) Restore(st engine.Stream, commits []engine.Commit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log[st], s.positions[st] = slices.Clone(commits), s.positions[st][:len(commits)]
	delete(s.snapshots, st)
}

// ForgetCursors forgets where followers are.
func (s *Store) ForgetCursors() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.cursors)
}

// ForgetKeys forgets the keys, as if there were none yet.
func (s *Store) ForgetKeys() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.keys)
}

// Rewrite changes a stored commit.
func (s *Store) Rewrite(st engine.Stream, seq int, change func(c *engine.Commit)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.log[st][seq].Detached()
	c.Events = slices.Clone(c.Events)
	change(&c)
	s.log[st] = slices.Clone(s.log[st])
	s.log[st][seq] = c
}

// Find returns what has the text, wherever it is stored: for what must not be there.
func (s *Store) Find(text string) (where []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := func(what string, stored any) {
		b, err := json.Marshal(stored)
		if err != nil || bytes.Contains(b, []byte(text)) {
			where = append(where, what)
		}
	}
	for st, commits := range s.log {
		look("log of "+st.String(), commits)
	}
	for k, r := range s.rows {
		look(fmt.Sprintf("row %q of %s", k.id, k.model), r)
	}
	for k, p := range s.parked {
		look("parked "+k.consumer, p)
	}
	for id, r := range s.rejected {
		look("rejection of "+id.Origin, r)
	}
	for st, data := range s.snapshots {
		look("snapshot of "+st.String(), string(unzipped(data)))
	}
	slices.Sort(where)
	return where
}

// unzipped is what a snapshot says, if it can be read.
func unzipped(data []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		return data
	}
	return plain
}
