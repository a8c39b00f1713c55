package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"onlineshop/es"
)

// RowAt returns the row as it was when its only source had that version. It is as absent
// as the present row is, or that one, to callers who may not see both. A version that the
// source does not have yet gives [ErrVersionNotReached].
func (e *Engine) RowAt(ctx context.Context, caller es.Caller, name, id string, version int64) (Row, error) {
	m, err := e.readable(caller, name)
	if err != nil {
		return Row{}, err
	}
	if len(m.Sources) != 1 || m.Kind != es.ViewRows {
		return Row{}, fmt.Errorf("row %s of %s at a version: it is not of one aggregate alone", id, name)
	}
	source := m.Sources[0]
	then, err := e.asOf(ctx, m, id, map[string]int64{source: version})
	if err == nil && !m.Access.Admits(caller) {
		var now Row
		if now, err = e.asOf(ctx, m, id, nil); err == nil && (now.View == nil || !m.Access.AdmitsOwner(caller, now.Owner) || !m.Access.AdmitsOwner(caller, then.Owner) && then.View != nil) {
			return Row{}, notFound(source, id)
		}
	}
	switch at := then.At[source].Version; {
	case err != nil:
		return Row{}, fmt.Errorf("row %s of %s at %d: %w", id, name, version, err)
	case at > 0 && at < version:
		return Row{}, ErrVersionNotReached.Because("%s has version %d, not yet %d", id, at, version)
	case then.View == nil:
		return Row{}, notFound(source, id)
	}
	return then, nil
}

// asOf folds a row from its logs, each up to a version; nil: to their ends.
func (e *Engine) asOf(ctx context.Context, m *model, id string, versions map[string]int64) (Row, error) {
	row := Row{Model: m.Name, ID: id, At: map[string]Position{}, Made: m.declared}
	var view any
	for _, source := range m.Sources {
		until := int64(math.MaxInt64)
		if versions != nil {
			until = versions[source]
		}
		err := e.commits(ctx, Stream{source, id}, 0, func(c Commit) error {
			if c.Version-int64(len(c.Events)) >= until {
				return errStop
			}
			events, err := e.aggregates[source].decode(c)
			for _, ev := range events {
				if err != nil || ev.Version > until {
					break
				}
				was := view
				if view, err = m.apply(source, ev, view); was == nil && view != nil {
					row.Owner = c.Meta.Owner
				}
			}
			row.At[source] = Position{Next: c.Seq + 1, Version: min(c.Version, until)}
			return err
		})
		if err != nil && !errors.Is(err, errStop) {
			return row, err
		}
	}
	if view == nil {
		row.Owner = ""
		return row, nil
	}
	var err error
	if row.View, err = m.Encode(view); err != nil {
		return row, fmt.Errorf("row %s of %s: %w", id, m.Name, err)
	}
	return row, nil
}

// Difference is where a stored row is not what its logs say.
type Difference struct {
	ID     string          `json:"id"`
	Field  string          `json:"field,omitempty"`  // "owner()" is whose the row is; "": the row as a whole
	Stored json.RawMessage `json:"stored,omitempty"` // nil: there is none
	Folded json.RawMessage `json:"folded,omitempty"` // likewise
	Reason string          `json:"reason,omitempty"` // why the row can't be folded
}

// ownerOf stands for a row's owner among its fields.
const ownerOf = "owner()"

// maxDifferences is how many bytes of differences a step tells.
const maxDifferences = 1 << 20

// slack is for how long a row that is not there may be on its way.
const slack = time.Second

// CheckRows compares a page of a read model's rows with what their logs say, up to where
// each is folded, and changes nothing. It returns [ErrNotFound] if there is no such read
// model, and [ErrCursor] for a foreign cursor.
func (e *Engine) CheckRows(ctx context.Context, name, cursor string) (Progress, error) {
	m := e.models[name]
	if m == nil {
		return Progress{}, ErrNotFound.Because("there is no read model %s", name)
	}
	var mu sync.Mutex
	var found []Difference
	progress, err := e.forEachStream(ctx, cursor, m.Sources, func(ctx context.Context, a *aggregate, id string) []error {
		for _, earlier := range m.Sources[:slices.Index(m.Sources, a.Name)] { // with which it has been checked
			if head, err := e.head(ctx, Stream{earlier, id}); err != nil || head != nil {
				return []error{err}
			}
		}
		check := e.checkRow
		if m.Kind != es.ViewRows {
			check = e.checkItems
		}
		differences, err := check(ctx, m, id)
		mu.Lock()
		defer mu.Unlock()
		found = append(found, differences...)
		return []error{err}
	})
	slices.SortStableFunc(found, func(a, b Difference) int { return strings.Compare(a.ID, b.ID) })
	size := 0
	for _, d := range found {
		if size += len(d.ID) + len(d.Stored) + len(d.Folded) + len(d.Reason) + 50; size > maxDifferences {
			progress.More++
			continue
		}
		progress.Differences = append(progress.Differences, d)
	}
	return progress, err
}

func (e *Engine) checkRow(ctx context.Context, m *model, id string) ([]Difference, error) {
	for waited := false; ; waited = true {
		stored, err := e.Rows.Row(ctx, m.Name, id)
		if err != nil {
			return nil, fmt.Errorf("read row %s of %s: %w", id, m.Name, err)
		}
		var versions map[string]int64
		if stored.View != nil {
			versions = map[string]int64{}
			for source, at := range stored.At {
				versions[source] = at.Version
			}
		}
		folded, err := e.asOf(ctx, m, id, versions)
		switch {
		case errors.Is(err, es.ErrUnknownType) || err != nil && transient(err):
			return nil, err
		case err != nil:
			return []Difference{{ID: id, Stored: stored.View, Reason: headline(err)}}, nil
		case stored.View == nil && folded.View != nil && !waited:
			if err := e.Clock.Sleep(ctx, slack); err != nil {
				return nil, err
			}
			continue
		}
		return differences(stored, folded), nil
	}
}

// checkItems compares the rows below a stream, or the parts that it contributes, with its
// log. It does not compare what parts of several streams are merged into.
func (e *Engine) checkItems(ctx context.Context, m *model, id string) (out []Difference, err error) {
	source := m.Sources[0]
	for waited := false; ; waited = true {
		head, err := e.Rows.Row(ctx, m.Name, ItemID(id, ""))
		if err != nil {
			return nil, fmt.Errorf("read the head of %s of %s: %w", id, m.Name, err)
		}
		until := head.At[source].Next
		if until == 0 {
			until = math.MaxInt64
		}
		folded, _, err := e.foldItems(ctx, m, Stream{source, id}, until)
		switch {
		case errors.Is(err, es.ErrUnknownType) || err != nil && transient(err):
			return nil, err
		case err != nil:
			return []Difference{{ID: id, Reason: headline(err)}}, nil
		}
		stored, err := e.storedItems(ctx, m, id, head)
		if err != nil {
			return nil, err
		}
		now, err := e.Rows.Row(ctx, m.Name, head.ID)
		if err != nil {
			return nil, fmt.Errorf("read the head of %s of %s: %w", id, m.Name, err)
		}
		if now.Rev != head.Rev || head.At[source].Next == 0 && len(folded) > 0 && !waited { // they are just being written
			if err := e.Clock.Sleep(ctx, slack); err != nil {
				return nil, err
			}
			continue
		}
		all := maps.Clone(folded)
		maps.Copy(all, stored)
		for _, rowID := range slices.Sorted(maps.Keys(all)) {
			was, is := stored[rowID], folded[rowID]
			if was.ID = strings.ReplaceAll(rowID, itemMark, "/"); m.Kind == es.ViewKeyed { // a part has no owner
				was.Owner, is.Owner = "", ""
			}
			out = append(out, differences(was, is)...)
		}
		return out, nil
	}
}

// storedItems returns the stored rows below a stream, or its parts as they are counted.
func (e *Engine) storedItems(ctx context.Context, m *model, id string, head Row) (map[string]Row, error) {
	stored := map[string]Row{}
	if m.Kind == es.ViewItems {
		return stored, e.eachItem(ctx, ItemsQuery{Model: m.Name, ID: id, Limit: itemsPage}, func(r Row) error {
			stored[r.ID] = r
			return nil
		})
	}
	counted := parts{}
	if head.View != nil {
		if err := json.Unmarshal(head.View, &counted); err != nil {
			return nil, fmt.Errorf("stored parts of %s in %s: %w", id, m.Name, err)
		}
	}
	for key, view := range counted {
		stored[ItemID(id, key)] = Row{View: view}
	}
	return stored, nil
}

// differences compares two rows field by field.
func differences(stored, folded Row) (out []Difference) {
	if stored.View == nil || folded.View == nil {
		if stored.View == nil && folded.View == nil {
			return nil
		}
		return []Difference{{ID: stored.ID, Stored: stored.View, Folded: folded.View}}
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(stored.View, &was) != nil || json.Unmarshal(folded.View, &is) != nil {
		return []Difference{{ID: stored.ID, Stored: json.RawMessage(`"unreadable"`), Folded: folded.View}}
	}
	fields := slices.Sorted(maps.Keys(is))
	for field := range was {
		if _, ok := is[field]; !ok {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	for _, field := range fields {
		if !bytes.Equal(was[field], is[field]) {
			out = append(out, Difference{ID: stored.ID, Field: field, Stored: was[field], Folded: is[field]})
		}
	}
	if stored.Owner != folded.Owner {
		a, _ := json.Marshal(stored.Owner)
		b, _ := json.Marshal(folded.Owner)
		out = append(out, Difference{ID: stored.ID, Field: ownerOf, Stored: a, Folded: b})
	}
	return out
}
