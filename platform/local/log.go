package local

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"onlineshop/es/engine"
)

// Pages end at so many bytes, and at so many commits or streams.
const (
	pageBytes   = 1 << 20
	pageCommits = 512
	pageStreams = 500
	pageBack    = 8 // backward reads look for something near the end
)

// Append implements [engine.Log].
func (s *store) Append(ctx context.Context, c engine.Commit) error {
	events, err := json.Marshal(c.Events)
	if err != nil {
		return fmt.Errorf("append to %s: %w", c.Stream, err)
	}
	meta, err := json.Marshal(c.Meta)
	if err != nil {
		return fmt.Errorf("append to %s: %w", c.Stream, err)
	}
	p := placed{Commit: c, size: len(events) + len(meta)}
	return s.writer.write(ctx, func(t *tx) error {
		p.position = t.position + 1
		query := insertCommit
		if c.Seq > 0 {
			query = insertNextCommit
		}
		n, err := t.exec(query, p.position, c.Stream.Aggregate, c.Stream.ID, c.Seq, c.Version, text(events), text(meta))
		if err != nil {
			return err
		}
		if n == 0 {
			return refused(t, c)
		}
		t.position = p.position
		return nil
	}, func() { s.feed.add(p) })
}

const (
	insertCommit     = "INSERT INTO commits (position, aggregate, id, seq, version, events, meta) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (aggregate, id, seq) DO NOTHING"
	insertNextCommit = `INSERT INTO commits (position, aggregate, id, seq, version, events, meta) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
		WHERE EXISTS (SELECT 1 FROM commits WHERE aggregate = ?2 AND id = ?3 AND seq = ?4 - 1) ON CONFLICT (aggregate, id, seq) DO NOTHING`
)

// refused says why an append found its place not to be the stream's next.
func refused(t *tx, c engine.Commit) error {
	var r record
	found, err := t.get(selectCommits+"WHERE aggregate = ? AND id = ? AND seq = ?",
		[]any{c.Stream.Aggregate, c.Stream.ID, c.Seq}, r.dest())
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("append to %s at %d: the commit before it is missing, and a stream has no gaps", c.Stream, c.Seq)
	}
	theirs, err := r.commit()
	if err != nil {
		return err
	}
	return &engine.Conflict{Theirs: theirs.Commit}
}

// Read implements [engine.Log].
func (s *store) Read(ctx context.Context, st engine.Stream, from int64) (commits []engine.Commit, more bool, err error) {
	size := 0
	err = s.commits(ctx, "WHERE aggregate = ? AND id = ? AND seq >= ? ORDER BY seq LIMIT ?",
		[]any{st.Aggregate, st.ID, from, pageCommits + 1}, func(p placed) bool {
			if more = len(commits) == pageCommits || size >= pageBytes; more {
				return false
			}
			size += p.size
			commits = append(commits, p.Commit)
			return true
		})
	return commits, more, err
}

// Before implements [engine.Log].
func (s *store) Before(ctx context.Context, st engine.Stream, before int64) (commits []engine.Commit, err error) {
	err = s.commits(ctx, "WHERE aggregate = ? AND id = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
		[]any{st.Aggregate, st.ID, before, pageBack}, func(p placed) bool {
			commits = append(commits, p.Commit)
			return true
		})
	return commits, err
}

// after are commits behind a position, in the order in which they became durable.
func (s *store) after(ctx context.Context, position int64) (commits []placed, err error) {
	size := 0
	err = s.commits(ctx, "WHERE position > ? ORDER BY position LIMIT ?", []any{position, pageCommits}, func(p placed) bool {
		commits = append(commits, p)
		size += p.size
		return size < pageBytes
	})
	return commits, err
}

// Streams implements [engine.Log]. Its cursors are ids.
func (s *store) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	err = s.query(ctx, "SELECT id FROM commits WHERE aggregate = ? AND id > ? AND seq = 0 ORDER BY id LIMIT ?",
		[]any{aggregate, cursor, pageStreams + 1}, func(scan func(...any) error) (bool, error) {
			if len(ids) == pageStreams {
				next = ids[len(ids)-1]
				return false, nil
			}
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return true, err
		})
	return ids, next, err
}

const selectCommits = "SELECT position, aggregate, id, seq, version, events, meta FROM commits "

// commits yields what a query selects until yield has enough.
func (s *store) commits(ctx context.Context, where string, args []any, yield func(placed) bool) error {
	return s.query(ctx, selectCommits+where, args, func(scan func(...any) error) (bool, error) {
		var r record
		if err := scan(r.dest()...); err != nil {
			return false, err
		}
		p, err := r.commit()
		return err == nil && yield(p), err
	})
}

// placed is a commit with its place among all of them.
type placed struct {
	position int64
	engine.Commit
	size int // bytes of its events and metadata
}

// record is a commit as it is stored.
type record struct {
	placed
	events, meta []byte
}

func (r *record) dest() []any {
	return []any{&r.position, &r.Stream.Aggregate, &r.Stream.ID, &r.Seq, &r.Version, &r.events, &r.meta}
}

func (r *record) commit() (placed, error) {
	r.size = len(r.events) + len(r.meta)
	if err := json.Unmarshal(r.events, &r.Events); err != nil {
		return r.placed, fmt.Errorf("events of %s at %d: %w", r.Stream, r.Seq, err)
	}
	if err := json.Unmarshal(r.meta, &r.Meta); err != nil {
		return r.placed, fmt.Errorf("metadata of %s at %d: %w", r.Stream, r.Seq, err)
	}
	return r.placed, nil
}

// text lets the driver bind JSON as text, which SQLite's own tools show.
func text(b []byte) string { return string(b) }

// nanos is a time as it is stored; fromNanos reads it.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
