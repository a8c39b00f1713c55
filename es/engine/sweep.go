package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"onlineshop/es"
)

// Progress is the result of one step of long work: the number of streams or keys done,
// and the cursor of the next step, empty at the end.
type Progress struct {
	Done    int    `json:"done"`
	Next    string `json:"next,omitempty"`
	Skipped int    `json:"-"` // streams that only a newer version of the program can read

	Differences []Difference `json:"differences,omitempty"` // of [Engine.CheckRows], by the rows' ids
	More        int          `json:"more,omitempty"`        // that are not among them
}

// ErrCursor is the error of a cursor that belongs to something else.
var ErrCursor = errors.New("this cursor belongs to something else; start again without one")

func (e *Engine) hint(ctx context.Context, h Hint) error {
	h.Bulk = IsBulk(ctx)
	if err := e.Hints.Send(ctx, 0, h); err != nil {
		return fmt.Errorf("hint for %s on %s: %w", h.Follower, h.Stream, err)
	}
	return nil
}

// skipNewer skips a stream that only a newer version of the program can read, so that it
// does not hold up the others of its page.
func (e *Engine) skipNewer(ctx context.Context, s Stream, failures ...error) (passed bool, err error) {
	for _, f := range failures {
		if !errors.Is(f, es.ErrUnknownType) {
			err = errors.Join(err, f)
			continue
		}
		passed = true
		e.Count("PassedOver", s.Aggregate)
		e.Logger.ErrorContext(ctx, "passed over: this version of the program can't read it; do it again with one that can", "stream", s, "error", f)
	}
	return passed, err
}

// Sweep brings the consumers of a page of streams up to date, whatever was lost: every
// follower gets a hint, every extension point its latest entry, and every row is folded
// to the end. This is how consumers recover from lost hints, and how a new view or a
// plugin that is deployed later catches up. New mappings and side effects skip what was
// there before them. A foreign cursor gives [ErrCursor].
func (e *Engine) Sweep(ctx context.Context, cursor string) (Progress, error) {
	if err := e.Begin(ctx); err != nil {
		return Progress{}, err
	}
	return e.forEachStream(ctx, cursor, e.names, func(ctx context.Context, a *aggregate, id string) []error {
		s := Stream{a.Name, id}
		var errs []error
		for _, f := range a.followers {
			if err := e.reset(ctx, f, s); err != nil {
				errs = append(errs, e.failed(ctx, f.name, s, err))
				continue
			}
			errs = append(errs, e.hint(ctx, Hint{Follower: f.name, Stream: s, Seq: StreamEnd}))
		}
		for _, p := range a.points {
			_, err := e.republish(ctx, p, s)
			errs = append(errs, err)
		}
		for _, m := range a.models {
			if err := e.bring(ctx, m, id, catchUpTo{}); err != nil {
				errs = append(errs, e.failed(ctx, m.consumer, s, err))
			}
		}
		return errs
	})
}

// reset moves a cursor back if it is beyond the end of its log, which happens when a
// table is restored from a backup. Extensions reset theirs in [Engine.Follow].
func (e *Engine) reset(ctx context.Context, f *follower, s Stream) error {
	cur, err := e.Cursors.Cursor(ctx, f.name, s)
	if err != nil || cur.Next == 0 {
		return err
	}
	head, err := e.head(ctx, s)
	if err != nil || head != nil && cur.Next <= head.Seq+1 {
		return err
	}
	end := int64(0)
	if head != nil {
		end = head.Seq + 1
	}
	return e.Cursors.Advance(ctx, f.name, s, cur.Next, end)
}

// Rebuild folds a page of a read model's rows again from their logs, in place. It runs
// no mapping, publication or side effect. It returns [ErrNotFound] if there is no such
// read model, and [ErrCursor] for a foreign cursor.
func (e *Engine) Rebuild(ctx context.Context, name, cursor string) (Progress, error) {
	return e.refold(ctx, name, cursor, catchUpTo{afresh: true})
}

// Refold is [Engine.Rebuild] of the rows that other code has made, and of those that may
// be missing.
func (e *Engine) Refold(ctx context.Context, name, cursor string) (Progress, error) {
	return e.refold(ctx, name, cursor, catchUpTo{refold: true})
}

func (e *Engine) refold(ctx context.Context, name, cursor string, want catchUpTo) (Progress, error) {
	m := e.models[name]
	if m == nil {
		return Progress{}, ErrNotFound.Because("there is no read model %s", name)
	}
	return e.forEachStream(ctx, cursor, m.Sources, func(ctx context.Context, a *aggregate, id string) []error {
		if err := e.bring(ctx, m, id, want); err != nil {
			return []error{e.failed(ctx, m.consumer, Stream{a.Name, id}, err)}
		}
		return nil
	})
}

// forEachStream calls do for a page of the streams of the aggregates, one aggregate after
// the other. A cursor is the aggregate's index, a colon, and the log's own cursor.
func (e *Engine) forEachStream(ctx context.Context, cursor string, aggregates []string, do func(ctx context.Context, a *aggregate, id string) []error) (Progress, error) {
	ctx = e.noting(Bulk(ctx))
	place, inner, _ := strings.Cut(cursor, ":")
	i := 0
	if cursor != "" {
		var err error
		if i, err = strconv.Atoi(place); err != nil || i < 0 || i >= len(aggregates) {
			return Progress{}, ErrCursor
		}
	}
	a := e.aggregates[aggregates[i]]
	ids, next, err := e.Log.Streams(ctx, a.Name, inner)
	if err != nil {
		return Progress{}, fmt.Errorf("list the streams of %s: %w", a.Name, err)
	}
	errs := make([][]error, len(ids))
	e.parallel(len(ids), func(i int) { errs[i] = do(ctx, a, ids[i]) })
	var out Progress
	for n, id := range ids {
		passed, failure := e.skipNewer(ctx, Stream{a.Name, id}, errs[n]...)
		if passed {
			out.Skipped++
		} else {
			out.Done++
		}
		err = errors.Join(err, failure)
	}
	switch {
	case next != "":
		out.Next = strconv.Itoa(i) + ":" + next
	case i+1 < len(aggregates):
		out.Next = strconv.Itoa(i+1) + ":"
	}
	return out, err
}
