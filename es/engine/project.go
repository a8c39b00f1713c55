package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json" // reads three times as fast
	"github.com/go-json-experiment/json/jsontext"

	"onlineshop/es"
)

// Project brings every row that the commit concerns up to date. A failure parks its key.
// An error means that the commit must be projected again. For a commit without events,
// which could not be read on its way, Project reads the log.
func (e *Engine) Project(ctx context.Context, c Commit) error {
	a := e.aggregates[c.Stream.Aggregate]
	if a == nil {
		return nil
	}
	ctx = e.noting(in(ctx, c.Meta.Bulk))
	if opened, err := e.Opened(ctx, c); err == nil {
		c = opened
	} else {
		c.Events = nil // the log is read, which fails likewise, and says so of each row
	}
	c = c.shared()
	want := catchUpTo{source: c.Stream.Aggregate, seq: c.Seq, commit: &c}
	if len(c.Events) == 0 {
		want.commit = nil
	}
	var errs []error
	for _, m := range a.models {
		err := e.traced(ctx, m.consumer, c.Stream, c.Seq, c.Meta, func(ctx context.Context) error { return e.bring(ctx, m, c.Stream.ID, want) })
		if err != nil {
			errs = append(errs, e.failed(ctx, m.consumer, Stream{c.Stream.Aggregate, c.Stream.ID}, err))
		}
	}
	return errors.Join(errs...)
}

// catchUpTo describes how far to project a row.
type catchUpTo struct {
	source string  // project this source to its end, and the others if the row is absent; empty: all
	seq    int64   // a commit of source: a row that has it is up to date
	commit *Commit // the one at seq; may be nil
	afresh bool    // fold everything from the start
	refold bool    // a row that the present code has made is up to date
}

// bring brings a stream's row, or the rows below it, up to date.
func (e *Engine) bring(ctx context.Context, m *model, id string, want catchUpTo) error {
	if m.Kind != es.ViewRows {
		return e.items(ctx, m, id, want)
	}
	_, err := e.row(ctx, m, id, want)
	return err
}

// row keeps a row equal to the canonical fold: the whole stream of each source with the
// row's id, in declared order. Repeated, late, early and lost hints, rebuilds, and reads
// of one's own write all come through here.
func (e *Engine) row(ctx context.Context, m *model, id string, want catchUpTo) (Row, error) {
	// A stream's first commit usually creates the row. The conditional write proves
	// it, which saves the read.
	speculate := want.commit != nil && want.seq == 0 && want.source == m.Sources[0]
	for ; ; speculate = false {
		row, err := Row{Model: m.Name, ID: id}, error(nil)
		if !speculate {
			row, err = e.Rows.Row(ctx, m.Name, id)
		}
		if err != nil {
			return row, fmt.Errorf("read row %s of %s: %w", id, m.Name, err)
		}
		seen := want.refold || want.source != "" && want.seq < row.At[want.source].Next
		if seen && row.View != nil && row.Made == m.declared && !want.afresh {
			return row, nil
		}
		next, changed, err := e.foldRow(ctx, m, id, row, want)
		if err != nil {
			return row, err
		}
		if changed {
			lost, err := e.Rows.Put(ctx, next)
			if err != nil {
				return row, fmt.Errorf("write row %s of %s: %w", id, m.Name, err)
			}
			if lost {
				continue
			}
		}
		return next, nil
	}
}

// foldRow returns the row with what it has missed. An absent row is folded from all its
// logs, so nothing has to be kept for later, whichever source comes first.
func (e *Engine) foldRow(ctx context.Context, m *model, id string, row Row, want catchUpTo) (next Row, changed bool, err error) {
	var view any
	afresh := want.afresh || row.View == nil || row.Made != m.declared
	if !afresh {
		if view, err = m.Decode(row.View); err != nil {
			return row, false, err
		}
		if want.source == "" {
			if afresh, err = e.aheadOfLog(ctx, m, id, row); err != nil {
				return row, false, err
			}
		}
	}
	for {
		next = Row{Model: m.Name, ID: id, Owner: row.Owner, At: map[string]Position{}, Rev: row.Rev + 1, Made: m.declared}
		if next.keys = row.keys; afresh {
			view, next.Owner, next.keys = nil, "", nil
		}
		removed := false
		for _, source := range m.Sources {
			at := row.At[source]
			if afresh {
				at = Position{}
			}
			if !afresh && want.source != "" && want.source != source {
				next.At[source] = at
				continue
			}
			fold := func(c Commit) error {
				events, err := e.aggregates[source].decode(c)
				if err != nil {
					return err
				}
				next.keys = withKey(next.keys, source, c)
				for _, ev := range events {
					was := view
					if view, err = m.apply(source, ev, view); err != nil {
						return err
					}
					if was == nil && view != nil {
						next.Owner = c.Meta.Owner
					}
					if was != nil && view == nil && !afresh {
						removed = true
						return errStop
					}
				}
				at = Position{Next: c.Seq + 1, Version: c.Version}
				return nil
			}
			if want.commit != nil && want.source == source && want.commit.Seq == at.Next {
				err = fold(*want.commit) // nothing lies between, so the hint's commit serves
			} else {
				err = e.commits(ctx, Stream{source, id}, at.Next, fold)
			}
			if removed {
				break
			}
			if err != nil {
				return row, false, err
			}
			next.At[source] = at
		}
		if !removed {
			break
		}
		afresh = true // deleted, and perhaps created again later: fold it like an absent row
	}
	if view == nil {
		// Not made yet: whoever makes it reads these commits too.
		return Row{Model: m.Name, ID: id, At: next.At, Rev: next.Rev}, row.View != nil, nil
	}
	if next.View, err = m.Encode(view); err != nil {
		return row, false, fmt.Errorf("row %s of %s: %w", id, m.Name, err)
	}
	if err = m.index(&next); err != nil {
		return row, false, err
	}
	same := string(next.View) == string(row.View) && maps.Equal(next.At, row.At) && next.Owner == row.Owner && next.Made == row.Made &&
		maps.Equal(next.Indexed, row.Indexed) && maps.Equal(next.Sorted, row.Sorted) && slices.Equal(next.Words, row.Words) // a rebuild fills what was declared since
	return next, !same, nil
}

// aheadOfLog reports whether the row is ahead of one of its logs, which happens when a
// table is restored from a backup.
func (e *Engine) aheadOfLog(ctx context.Context, m *model, id string, row Row) (bool, error) {
	for _, s := range m.Sources {
		if row.At[s].Next == 0 {
			continue
		}
		head, err := e.head(ctx, Stream{s, id})
		if err != nil {
			return false, err
		}
		if head == nil || row.At[s].Next > head.Seq+1 {
			return true, nil
		}
	}
	return false, nil
}

func (m *model) apply(source string, ev es.Recorded[any], row any) (out any, err error) {
	defer Guard(m.consumer, &err)
	return m.Project(source, ev, row), nil
}

// index sets what the row is found by, of its view: the values of index fields, leaving
// out empty ones, the order keys of its sorts, and its words.
func (m *model) index(row *Row) error {
	if len(m.Indexes)+len(m.Sorts)+len(m.Searches) == 0 {
		return nil
	}
	var fields map[string]jsontext.Value
	if err := jsonv2.Unmarshal(row.View, &fields); err != nil {
		return fmt.Errorf("row of %s: %w", m.Name, err)
	}
	text := func(field string) (v string, err error) {
		if raw, ok := fields[field]; ok {
			if err := jsonv2.Unmarshal(raw, &v); err != nil {
				return "", fmt.Errorf("row of %s: index %s: %w", m.Name, field, err)
			}
		}
		return v, nil
	}
	row.Indexed, row.Sorted = map[string]string{}, map[string]string{}
	for _, f := range m.Indexes {
		v, err := text(f)
		if err != nil {
			return err
		}
		if v != "" {
			row.Indexed[f] = v
		}
	}
	for _, f := range m.Sorts {
		key, err := orderKey(m.orders[f], fields[f], row.ID)
		if err != nil {
			return fmt.Errorf("row of %s: sort %s: %w", m.Name, f, err)
		}
		row.Sorted[f] = key
	}
	var searched strings.Builder
	for _, f := range m.Searches {
		v, err := text(f)
		if err != nil {
			return err
		}
		searched.WriteString(v + "\n")
	}
	row.Words = Words(searched.String())
	return nil
}
