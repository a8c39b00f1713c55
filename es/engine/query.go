package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"onlineshop/es"
)

// readable returns the read model, or the reason why the caller may not read it.
func (e *Engine) readable(caller es.Caller, name string) (*model, error) {
	m := e.models[name]
	if m == nil {
		return nil, ErrNotFound.Because("there is no read model %s", name)
	}
	if !m.Access.Owner && !m.Access.Admits(caller) {
		return nil, ErrForbidden.Because("%s is for %s", name, admitted(m.Access))
	}
	return m, nil
}

// AuthorizeView reports whether the caller may read the read model, leaving ownership of
// rows aside. It returns [ErrForbidden] or [ErrNotFound].
func (e *Engine) AuthorizeView(caller es.Caller, name string) error {
	_, err := e.readable(caller, name)
	return err
}

// Row returns one row. With minVersion it brings the row up to date first, and returns
// [ErrVersionNotReached] if its first source has not reached that version. A row that
// does not exist, or that the caller may not see, is not found.
func (e *Engine) Row(ctx context.Context, caller es.Caller, name, id string, minVersion *int64) (Row, error) {
	m, err := e.readable(caller, name)
	if err != nil {
		return Row{}, err
	}
	var row Row
	if minVersion != nil {
		row, err = e.row(ctx, m, id, catchUpTo{})
	} else {
		row, err = e.Rows.Row(ctx, m.Name, id)
	}
	if err != nil {
		return Row{}, fmt.Errorf("row %s of %s: %w", id, name, err)
	}
	// Callers who see their own rows only can't tell somebody else's row from none.
	if row.View == nil && (minVersion == nil || *minVersion <= row.At[m.Sources[0]].Version || !m.Access.Admits(caller)) {
		return Row{}, notFound(m.Sources[0], id)
	}
	if row.View != nil && !m.Access.AdmitsOwner(caller, row.Owner) {
		return Row{}, notFound(m.Sources[0], id)
	}
	if v := row.At[m.Sources[0]].Version; minVersion != nil && v < *minVersion {
		return Row{}, ErrVersionNotReached.Because("%s has version %d, not yet %d", id, v, *minVersion)
	}
	return row, nil
}

// List returns a page of a read model's rows that the caller may see, or of those whose
// field has the value. next is the cursor of the following page, empty at the end. A
// foreign cursor gives [ErrCursor].
func (e *Engine) List(ctx context.Context, caller es.Caller, q Query) (rows []Row, next string, err error) {
	m, err := e.readable(caller, q.Model)
	if err != nil {
		return nil, "", err
	}
	if q.Field != "" && !slices.Contains(m.Indexes, q.Field) {
		return nil, "", fmt.Errorf("list %s by %s: it has no such index", q.Model, q.Field)
	}
	if !m.Access.Admits(caller) {
		q.Owner = caller.User
	}
	if rows, next, err = e.Rows.List(ctx, q); err != nil {
		return nil, "", fmt.Errorf("list %s: %w", q.Model, err)
	}
	return rows, next, nil
}

// History returns a page of an aggregate's events, oldest first. next is the cursor of
// the following page, empty at the end: a commit's seq, a colon, and an event's version.
// Any other cursor gives [ErrCursor].
func (e *Engine) History(ctx context.Context, aggregate, id, cursor string, limit int) (page []Event, next string, err error) {
	a := e.aggregates[aggregate]
	if a == nil {
		return nil, "", ErrNotFound.Because("there is no aggregate %s", aggregate)
	}
	var seq, version int64
	if cursor != "" {
		if n, err := fmt.Sscanf(cursor, "%d:%d", &seq, &version); n != 2 || err != nil || seq < 0 {
			return nil, "", ErrCursor
		}
	}
	size := 0
	err = e.commitsBy(ctx, Stream{aggregate, id}, seq, limit+1, func(c Commit) error {
		first := c.Version - int64(len(c.Events)) + 1
		for i, s := range c.Events {
			v := first + int64(i)
			if v < version {
				continue
			}
			if len(page) == limit || size > maxPage {
				next = fmt.Sprintf("%d:%d", c.Seq, v)
				return errStop
			}
			size += len(s.Data)
			page = append(page, Event{s, v, c.Meta})
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return page, next, err
}

// Event is one event of a history.
type Event struct {
	es.StoredEvent
	Number int64 // its place in the stream, from 1: the aggregate's version after it
	Meta   Meta
}
