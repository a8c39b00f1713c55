package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

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
// other code has made is folded again first. A row that does not exist, or that the caller
// may not see, is not found.
func (e *Engine) Row(ctx context.Context, caller es.Caller, name, id string, minVersion *int64) (Row, error) {
	m, err := e.readable(caller, name)
	if err != nil {
		return Row{}, err
	}
	if m.Kind == es.ViewKeyed && minVersion == nil {
		return e.merged(ctx, m, id)
	}
	if m.Kind != es.ViewRows {
		return Row{}, ErrNotFound.Because("%s has no row of %q alone", name, id)
	}
	var row Row
	if minVersion != nil {
		row, err = e.row(ctx, m, id, catchUpTo{})
	} else {
		row, err = e.made(ctx, m, id)
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

// made returns the stored row, or if other code has made it, what the present code makes
// of its logs.
func (e *Engine) made(ctx context.Context, m *model, id string) (Row, error) {
	row, err := e.Rows.Row(ctx, m.Name, id)
	outdated := row.Made != m.declared || row.shut
	if err == nil && row.View == nil { // other code may have had no row where this one has
		outdated, err = e.Stale(ctx, m.Name)
	}
	if err != nil || !outdated {
		return row, err
	}
	return e.row(ctx, m, id, catchUpTo{})
}

// Stale reports whether rows of the read model are still to be folded by the present code:
// until then a list has what other code has made.
func (e *Engine) Stale(ctx context.Context, model string) (bool, error) {
	if e.Refolding == nil {
		return false, nil
	}
	return e.Refolding(ctx, model)
}

// List returns a page of a read model's rows that the caller may see and the query
// selects. next is the cursor of the following page, empty at the end. A
// foreign cursor gives [ErrCursor].
func (e *Engine) List(ctx context.Context, caller es.Caller, q Query) (rows []Row, next string, err error) {
	m, err := e.readable(caller, q.Model)
	if err != nil {
		return nil, "", err
	}
	if q.Field != "" && !slices.Contains(m.Indexes, q.Field) {
		return nil, "", fmt.Errorf("list %s by %s: it has no such index", q.Model, q.Field)
	}
	if q.Sort != "" && !slices.Contains(m.Sorts, q.Sort) {
		return nil, "", fmt.Errorf("list %s sorted by %s: it has no such sort", q.Model, q.Sort)
	}
	if len(q.Words) > 0 && len(m.Searches) == 0 {
		return nil, "", fmt.Errorf("search %s: it has no text to search", q.Model)
	}
	if q.Sort == "" && (q.Descending || q.From != "" || q.To != "") {
		return nil, "", fmt.Errorf("list a range of %s: it needs a sort", q.Model)
	}
	if m.Kind == es.ViewKeyed {
		return e.listKeys(ctx, m, q)
	}
	if !m.Access.Admits(caller) {
		q.Owner = caller.User
	}
	if rows, next, err = e.Rows.List(ctx, q); err != nil {
		return nil, "", fmt.Errorf("list %s: %w", q.Model, err)
	}
	if m.personal() {
		rows, err = e.listShut(ctx, m, rows)
	}
	return rows, next, err
}

// listShut folds those rows of a page that were sealed with a key that is destroyed: their
// subjects were erased a moment ago.
func (e *Engine) listShut(ctx context.Context, m *model, rows []Row) (out []Row, err error) {
	for _, row := range rows {
		if row.shut && m.Kind == es.ViewRows {
			if row, _, err = e.foldRow(ctx, m, row.ID, row, catchUpTo{}); err != nil {
				return nil, fmt.Errorf("row %s of %s: %w", row.ID, m.Name, err)
			}
		}
		if row.View != nil {
			out = append(out, row)
		}
	}
	return out, nil
}

// Index returns a row with what is stored beside its view: what it is found by, and which
// code has made it.
func (e *Engine) Index(row Row) (Row, error) {
	m := e.models[row.Model]
	if m == nil {
		return row, ErrNotFound.Because("there is no read model %s", row.Model)
	}
	row.Indexed, row.Sorted, row.Words, row.Made = nil, nil, nil, 0
	if row.View == nil {
		return row, nil
	}
	row.Made = m.declared
	err := m.index(&row)
	return row, err
}

// HistoryCursor returns the cursor of the page of an aggregate's [Engine.History] that
// starts with an event's version.
func (e *Engine) HistoryCursor(ctx context.Context, aggregate, id string, version int64) (cursor string, err error) {
	s := Stream{aggregate, id}
	// A commit has at least one event, so the one that has the version is at most there.
	seq := sort.Search(int(version-1), func(i int) bool {
		if err != nil {
			return true
		}
		var c []Commit
		c, _, err = e.Log.Read(ctx, s, int64(i), 1)
		return len(c) == 0 || c[0].Version >= version
	})
	if err != nil {
		return "", fmt.Errorf("find version %d of %s: %w", version, s, err)
	}
	return fmt.Sprintf("%d:%d", seq, version), nil
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
