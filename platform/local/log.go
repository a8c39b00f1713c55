package local

import (
	"cmp"
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
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
	events, meta, err := c.Encode()
	if err != nil {
		return fmt.Errorf("append to %s: %w", c.Stream, err)
	}
	p := &positioned{Commit: c.Lean(), size: len(events) + len(meta)}
	v := record{c.Stream, c.Seq, c.Version, events, meta, c.Hash}.value()
	k := streamKey(c.Stream, c.Seq)
	return s.writer.write(ctx, func(t *tx) error {
		switch taken, err := t.has(k); {
		case err != nil:
			return err
		case taken:
			return s.conflict(t, c)
		}
		if c.Seq > 0 {
			if follows, err := t.has(streamKey(c.Stream, c.Seq-1)); err != nil {
				return err
			} else if !follows {
				return fmt.Errorf("append to %s at %d: the stream ends before %d, and has no gaps", c.Stream, c.Seq, c.Seq-1)
			}
		}
		if err := refused(t, c); err != nil {
			return err
		}
		p.position = t.next
		t.next++
		t.set(commitKey(p.position), v)
		t.set(k, value(nil).number(p.position))
		return nil
	}, func() { s.feed.add(p) })
}

func commitKey(position int64) key { return keyIn(tableCommits).number(position) }

func streamKey(st engine.Stream, seq int64) key { return streamPrefix(st).number(seq) }

func streamPrefix(st engine.Stream) key { return keyIn(tableStreams).text(st.Aggregate).text(st.ID) }

// conflict is the refusal of a commit whose place is taken.
func (s *store) conflict(t *tx, c engine.Commit) error {
	position, err := t.integer(streamKey(c.Stream, c.Seq))
	if err != nil {
		return err
	}
	var theirs *positioned
	var failure error
	if _, err := t.get(commitKey(position), func(f *fields) { theirs, failure = commitOf(f, position) }); err != nil {
		return err
	}
	if failure != nil {
		return failure
	}
	return &engine.ConflictError{Theirs: theirs.Commit}
}

// Read implements [engine.Log].
func (s *store) Read(ctx context.Context, st engine.Stream, from int64, limit int) (commits []engine.Commit, more bool, err error) {
	if limit == 0 || limit > pageCommits {
		limit = pageCommits
	}
	log, err := s.locate(ctx)
	if err != nil {
		return nil, false, err
	}
	defer log.close()
	size := 0
	err = s.scan(ctx, streamPrefix(st), streamKey(st, from), forward, func(_, v []byte) (bool, error) {
		if more = len(commits) == limit || size >= pageBytes; more {
			return false, nil
		}
		p, found, err := log.named(v)
		if found && err == nil {
			size += p.size
			commits = append(commits, p.Commit)
		}
		return found, err
	})
	return commits, more, err
}

// ReadBackward implements [engine.Log].
func (s *store) ReadBackward(ctx context.Context, st engine.Stream, before int64) (commits []engine.Commit, err error) {
	log, err := s.locate(ctx)
	if err != nil {
		return nil, err
	}
	defer log.close()
	err = s.scan(ctx, streamPrefix(st), streamKey(st, before), backward, func(_, v []byte) (bool, error) {
		p, found, err := log.named(v)
		if found && err == nil {
			commits = append(commits, p.Commit)
		}
		return len(commits) < pageBack, err
	})
	return commits, err
}

// located reads commits by their positions, until it is closed.
type located struct {
	*store
	done     func()
	database *pebble.Iterator // nil: the feed has had them all
}

func (s *store) locate(ctx context.Context) (*located, error) {
	done, err := s.reading(ctx)
	return &located{store: s, done: done}, err
}

func (l *located) close() {
	if l.database != nil {
		_ = l.database.Close() // its errors were those of its reads
	}
	l.done()
}

// named is the commit at the position that a value of a stream's names, if it is
// durable.
func (l *located) named(v []byte) (p *positioned, durable bool, err error) {
	f := fields{rest: v}
	position := f.number()
	if err := f.err(); err != nil {
		return nil, false, err
	}
	if position > l.feed.last() {
		return nil, false, nil
	}
	p, found, err := l.at(position)
	if err == nil && !found {
		err = fmt.Errorf("%w: there is no commit %d, which a stream has", pebble.ErrCorruption, position)
	}
	return p, true, err
}

// at is the commit at a position, if there is one.
func (l *located) at(position int64) (p *positioned, found bool, err error) {
	if p, ok := l.feed.at(position); ok {
		return p, true, nil
	}
	if l.database == nil {
		if l.database, err = l.db.NewIter(seeking); err != nil {
			return nil, false, err
		}
	}
	var failure error
	found, err = seek(l.database, commitKey(position), func(f *fields) { p, failure = commitOf(f, position) })
	return p, found, cmp.Or(err, failure)
}

// after are commits behind a position, in the order in which they became
// durable. Those of aggregates that do not concern the caller are there with
// their place only.
func (s *store) after(ctx context.Context, position int64, aggregates map[string]bool) (commits []*positioned, err error) {
	size, end := 0, s.feed.last()
	err = s.scan(ctx, keyIn(tableCommits), commitKey(position+1), forward, func(k, v []byte) (bool, error) {
		at := partsOf(k).number()
		if at > end {
			return false, nil
		}
		f := fields{rest: v}
		r := recordOf(&f)
		if err := f.err(); err != nil {
			return false, err
		}
		p := &positioned{position: at, Commit: engine.Commit{Stream: r.stream}}
		if aggregates[r.stream.Aggregate] {
			if whole, err := r.commit(at); err == nil {
				p = whole
			} else { // it stands for what is in the log, where it is found again and parked
				p.Commit.Seq = r.seq
			}
		}
		commits = append(commits, p)
		size += p.size
		return size < pageBytes && len(commits) < pageCommits, nil
	})
	return commits, err
}

// Streams implements [engine.Log]. Its cursors are ids. A stream whose first commit is not
// durable yet may be among them.
func (s *store) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	prefix := keyIn(tableStreams).text(aggregate)
	done, err := s.reading(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	i, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefix.end()})
	if err != nil {
		return nil, "", s.trouble.unavailable(err)
	}
	defer func() {
		if failure := cmp.Or(err, i.Close()); failure != nil {
			err = s.trouble.unavailable(failure)
		}
	}()
	behind := func(id string) key { return streamPrefix(engine.Stream{Aggregate: aggregate, ID: id}).end() }
	from := prefix
	if cursor != "" {
		from = behind(cursor)
	}
	for i.SeekGE(from) {
		if len(ids) == pageStreams {
			return ids, ids[len(ids)-1], nil
		}
		p := partsOf(i.Key())
		_, id := p.text(), p.text()
		if err := p.err(); err != nil {
			return nil, "", err
		}
		ids, from = append(ids, id), behind(id)
	}
	return ids, "", i.Error()
}

// positioned is a commit with its place among all of them.
type positioned struct {
	position int64
	engine.Commit
	size int // bytes of its events and metadata
}

// record is a commit as it is stored.
type record struct {
	stream       engine.Stream
	seq, version int64
	events, meta []byte
	hash         []byte // empty: of an earlier version
}

// recordOf reads it in place: it is there as long as the value is.
func recordOf(f *fields) (r record) {
	r.stream = engine.Stream{Aggregate: f.text(), ID: f.text()}
	r.seq, r.version = f.number(), f.number()
	r.events, r.meta = f.raw(), f.raw()
	if len(f.rest) > 0 {
		r.hash = f.bytes()
	}
	return r
}

// value is its stored form.
func (r record) value() value {
	v := make(value, 0, len(r.events)+len(r.meta)+len(r.stream.Aggregate)+len(r.stream.ID)+64).
		text(r.stream.Aggregate).text(r.stream.ID).number(r.seq).number(r.version).bytes(r.events).bytes(r.meta)
	if len(r.hash) > 0 {
		v = v.bytes(r.hash)
	}
	return v
}

func commitOf(f *fields, position int64) (*positioned, error) {
	r := recordOf(f)
	if f.bad {
		return nil, f.err()
	}
	return r.commit(position)
}

func (r *record) commit(position int64) (*positioned, error) {
	p := &positioned{position: position, Commit: engine.Commit{Stream: r.stream, Seq: r.seq, Version: r.version, Hash: r.hash}, size: len(r.events) + len(r.meta)}
	if err := p.CheckStored(r.events, r.meta); err != nil {
		return nil, err
	}
	if err := jsonv2.Unmarshal(r.events, &p.Events); err != nil {
		return nil, fmt.Errorf("events of %s at %d: %w", r.stream, r.seq, err)
	}
	if err := jsonv2.Unmarshal(r.meta, &p.Meta); err != nil {
		return nil, fmt.Errorf("metadata of %s at %d: %w", r.stream, r.seq, err)
	}
	return p, nil
}
