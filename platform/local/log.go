package local

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	jsonv2 "github.com/go-json-experiment/json" // reads three times as fast

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
	p := positioned{Commit: c, size: len(events) + len(meta)}
	return s.writer.write(ctx, func(t *tx) error {
		head, err := s.tail.head(t, c.Stream)
		if err != nil {
			return err
		}
		switch {
		case c.Seq > head+1:
			return fmt.Errorf("append to %s at %d: the stream ends before %d, and has no gaps", c.Stream, c.Seq, head+1)
		case c.Seq <= head:
			return s.conflict(t, c)
		}
		p.position = t.next
		_, err = t.exec("INSERT INTO commits (position, aggregate, id, seq, version, events, meta) VALUES (?, ?, ?, ?, ?, ?, ?)",
			p.position, c.Stream.Aggregate, c.Stream.ID, c.Seq, c.Version, text(events), text(meta))
		t.next++
		t.appended[c.Stream] = append(t.appended[c.Stream], location{c.Seq, p.position})
		return err
	}, func() {
		s.tail.add(c.Stream, location{c.Seq, p.position})
		s.feed.add(p)
	})
}

// conflict is the refusal of a commit whose place is taken.
func (s *store) conflict(t *tx, c engine.Commit) error {
	position, err := s.tail.position(t, c.Stream, c.Seq)
	if err != nil {
		return err
	}
	var r commitRow
	if err := t.get(selectCommits+"FROM commits c WHERE position = ?", []any{position}, r.dest()); err != nil {
		return err
	}
	theirs, err := r.commit()
	if err != nil {
		return err
	}
	return &engine.ConflictError{Theirs: theirs.Commit}
}

// Read implements [engine.Log].
func (s *store) Read(ctx context.Context, st engine.Stream, from int64, limit int) (commits []engine.Commit, more bool, err error) {
	if limit == 0 || limit > pageCommits {
		limit = pageCommits
	}
	size := 0
	page := func(p positioned) bool {
		if more = len(commits) == limit || size >= pageBytes; more {
			return false
		}
		size += p.size
		commits = append(commits, p.Commit)
		return true
	}
	// The tail comes first: what leaves it meanwhile is in the database by then.
	tail := s.tail.of(st, from, math.MaxInt64)
	if len(tail) == 0 || tail[0].seq > from {
		to := int64(math.MaxInt64)
		if len(tail) > 0 {
			to = tail[0].seq
		}
		err = s.commits(ctx, fromStreams+"AND i.seq >= ? AND i.seq < ? ORDER BY i.seq LIMIT ?", []any{st.Aggregate, st.ID, from, to, limit + 1}, page)
	}
	if err == nil && !more {
		var cut bool
		cut, err = s.each(ctx, tail[:min(len(tail), limit+1)], page)
		more = more || cut
	}
	return commits, more, err
}

// ReadBackward implements [engine.Log].
func (s *store) ReadBackward(ctx context.Context, st engine.Stream, before int64) (commits []engine.Commit, err error) {
	page := func(p positioned) bool {
		commits, before = append(commits, p.Commit), p.Seq
		return len(commits) < pageBack
	}
	tail := s.tail.of(st, 0, before)
	for i := len(tail) - 1; i >= 0 && len(commits) < pageBack; i-- {
		if err := s.at(ctx, tail[i].position, page); err != nil {
			return nil, err
		}
	}
	if len(commits) < pageBack && before > 0 {
		err = s.commits(ctx, fromStreams+"AND i.seq < ? ORDER BY i.seq DESC LIMIT ?", []any{st.Aggregate, st.ID, before, pageBack}, page)
	}
	return commits, err
}

// each yields the commits at the locations until yield has enough, or, cut, until there is
// a page of bytes. What the feed does not have is read by one query.
func (s *store) each(ctx context.Context, at []location, yield func(positioned) bool) (cut bool, err error) {
	found := make([]positioned, len(at))
	var missing []int64
	for i, l := range at {
		var ok bool
		if found[i], ok = s.feed.at(l.position); !ok {
			missing = append(missing, l.position)
		}
	}
	if missing != nil {
		list, err := json.Marshal(missing)
		if err != nil {
			return false, err
		}
		read := map[int64]positioned{}
		size := 0
		err = s.commits(ctx, "FROM json_each(?) j CROSS JOIN commits c ON c.position = j.value", []any{text(list)}, func(p positioned) bool {
			read[p.position] = p
			size += p.size
			cut = size > pageBytes
			return !cut
		})
		if err != nil {
			return false, err
		}
		for i, l := range at {
			if found[i].position == 0 {
				found[i] = read[l.position]
			}
		}
	}
	for _, p := range found {
		if p.position == 0 && cut {
			return true, nil
		}
		if p.position != 0 && !yield(p) {
			return false, nil
		}
	}
	return false, nil
}

// at yields the commit at a position.
func (s *store) at(ctx context.Context, position int64, yield func(positioned) bool) error {
	if p, ok := s.feed.at(position); ok {
		yield(p)
		return nil
	}
	return s.commits(ctx, "FROM commits c WHERE position = ?", []any{position}, yield)
}

// after are commits behind a position, in the order in which they became
// durable. Those of aggregates that do not concern the caller are there with
// their place only.
func (s *store) after(ctx context.Context, position int64, aggregates map[string]bool) (commits []positioned, err error) {
	size := 0
	err = s.query(ctx, selectCommits+"FROM commits c WHERE position > ? ORDER BY position LIMIT ?", []any{position, pageCommits},
		func(scan func(...any) error) (bool, error) {
			var r commitRow
			if err := scan(r.dest()...); err != nil {
				return false, err
			}
			p := r.positioned
			if aggregates[p.Stream.Aggregate] {
				var err error
				if p, err = r.commit(); err != nil {
					return false, err
				}
			}
			commits = append(commits, p)
			size += p.size
			return size < pageBytes, nil
		})
	return commits, err
}

// Streams implements [engine.Log]. Its cursors are ids.
func (s *store) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	if err := s.index(ctx); err != nil {
		return nil, "", err
	}
	err = s.query(ctx, "SELECT id FROM streams WHERE aggregate = ? AND id > ? AND seq = 0 ORDER BY id LIMIT ?",
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

const (
	selectCommits = "SELECT c.position, c.aggregate, c.id, c.seq, c.version, c.events, c.meta "
	fromStreams   = "FROM streams i JOIN commits c ON c.position = i.position WHERE i.aggregate = ? AND i.id = ? "
)

// commits yields what a query selects until yield has enough.
func (s *store) commits(ctx context.Context, from string, args []any, yield func(positioned) bool) error {
	return s.query(ctx, selectCommits+from, args, func(scan func(...any) error) (bool, error) {
		var r commitRow
		if err := scan(r.dest()...); err != nil {
			return false, err
		}
		p, err := r.commit()
		return err == nil && yield(p), err
	})
}

// positioned is a commit with its place among all of them.
type positioned struct {
	position int64
	engine.Commit
	size int // bytes of its events and metadata
}

// commitRow is a commit as it is stored.
type commitRow struct {
	positioned
	events, meta []byte
}

func (r *commitRow) dest() []any {
	return []any{&r.position, &r.Stream.Aggregate, &r.Stream.ID, &r.Seq, &r.Version, &r.events, &r.meta}
}

func (r *commitRow) commit() (positioned, error) {
	r.size = len(r.events) + len(r.meta)
	if err := jsonv2.Unmarshal(r.events, &r.Events); err != nil {
		return r.positioned, fmt.Errorf("events of %s at %d: %w", r.Stream, r.Seq, err)
	}
	if err := jsonv2.Unmarshal(r.meta, &r.Meta); err != nil {
		return r.positioned, fmt.Errorf("metadata of %s at %d: %w", r.Stream, r.Seq, err)
	}
	return r.positioned, nil
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
