package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// pageRows is how many rows a task or side effect reads at a time.
const pageRows = 200

// reads is what a task or side effect may read beside the state of aggregates.
type reads struct {
	who    string // "task Catalog.ExportProducts"
	views  map[string]*model
	listed map[string]bool // aggregates
}

// readsOf returns what a component of the plugin says that it reads. It returns an error
// if that is not the plugin's.
func (e *Engine) readsOf(plugin, who string, declared []es.Readable) (*reads, error) {
	r := &reads{who: who, views: map[string]*model{}, listed: map[string]bool{}}
	views, aggregates := es.ReadsOf(declared)
	for _, v := range views {
		name := ViewName(v.Definition())
		m := e.models[name]
		if m == nil || naming.Plugin(name) != plugin {
			return nil, fmt.Errorf("%s: it reads %s, which is not a read model of its plugin", who, name)
		}
		r.views[name] = m
	}
	for _, v := range aggregates {
		name := v.Definition().Name
		if a := e.aggregates[name]; a == nil || a.plugin != plugin {
			return nil, fmt.Errorf("%s: it reads %s, which is not an aggregate of its plugin", who, name)
		}
		r.listed[name] = true
	}
	return r, nil
}

// ViewName returns the full name of a read model that is not in a plugin's composition: its
// sources are of its plugin.
func ViewName(d es.ReadModelDefinition) string {
	plugin := ""
	if len(d.Sources) > 0 {
		plugin = naming.Plugin(d.Sources[0])
	}
	return naming.Full(plugin, d.Name)
}

// view returns the read model, if it may be read.
func (r *reads) view(v es.AnyReadModel) (*model, error) {
	name := ViewName(v.Definition())
	if r == nil {
		return nil, fmt.Errorf("read %s: what decides on a command reads the state of aggregates alone", name)
	}
	if m := r.views[name]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("%s: it reads %s, which its Reads does not name", r.who, name)
}

// Row implements [es.Reader].
func (r reader) Row(ctx context.Context, view es.AnyReadModel, id string) (any, error) {
	m, err := r.reads.view(view)
	if err != nil || !es.ValidInternalID(id) {
		return nil, err
	}
	var row Row
	switch m.Kind {
	case es.ViewItems:
		return nil, fmt.Errorf("%s has no row of %q alone: list them", m.Name, id)
	case es.ViewKeyed:
		row, err = r.merge(ctx, m, id)
	default:
		row, err = r.current(ctx, m, id, true)
	}
	for _, source := range m.subjects {
		if !r.people || err != nil {
			break
		}
		s := Stream{source, id}
		if _, gone := r.Keys.Key(ctx, s, false); gone != nil {
			if errors.Is(gone, ErrErased) {
				subjectsOf(ctx).miss(s)
			}
			err = fmt.Errorf("row %s of %s: %w", id, m.Name, gone)
		}
	}
	if err != nil || row.View == nil {
		return nil, err
	}
	return m.Decode(row.View)
}

// current returns the stored row by the present code, and if it is to be the latest, with
// what it has missed: folded and not stored, since a reader writes nothing.
func (r reader) current(ctx context.Context, m *model, id string, latest bool) (Row, error) {
	row, err := r.Rows.Row(ctx, m.Name, id)
	if err == nil && (latest || row.shut || row.Made != m.declared) {
		row, _, err = r.foldRow(ctx, m, id, row, catchUpTo{})
	}
	if err != nil {
		return row, fmt.Errorf("row %s of %s: %w", id, m.Name, err)
	}
	return row, nil
}

// List implements [es.Reader].
func (r reader) List(ctx context.Context, view es.AnyReadModel, q es.Query) iter.Seq2[es.Item[any], error] {
	return func(yield func(es.Item[any], error) bool) {
		m, err := r.reads.view(view)
		if err != nil {
			yield(es.Item[any]{}, err)
			return
		}
		page, err := Selection(m.ReadModelDefinition, q)
		if err != nil {
			yield(es.Item[any]{}, err)
			return
		}
		stale, err := false, error(nil)
		if m.Kind == es.ViewRows {
			stale, err = r.Stale(ctx, m.Name)
		}
		if err != nil {
			yield(es.Item[any]{}, err)
			return
		}
		for left := q.Limit; ; {
			if page.Limit = pageRows; q.Limit > 0 {
				page.Limit = min(left, pageRows)
			}
			rows, next, err := r.Engine.List(ctx, r.caller, page)
			if err != nil {
				yield(es.Item[any]{}, err)
				return
			}
			for _, row := range rows {
				if stale { // other code may have made it
					if row, err = r.current(ctx, m, row.ID, false); err != nil {
						yield(es.Item[any]{}, err)
						return
					}
					if row.View == nil {
						continue
					}
				}
				v, err := m.Decode(row.View)
				i := es.Item[any]{ID: row.ID, Row: v}
				if m.Kind == es.ViewItems {
					i.ID, i.SubID = SplitItemID(row.ID)
				}
				if !yield(i, err) || err != nil {
					return
				}
			}
			left -= len(rows)
			if page.Cursor = next; next == "" || q.Limit > 0 && left <= 0 {
				return
			}
		}
	}
}

// IDs implements [es.Reader].
func (r reader) IDs(ctx context.Context, of es.AnyAggregate) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		name := of.Definition().Name
		switch {
		case r.reads == nil:
			yield("", fmt.Errorf("ids of %s: what decides on a command reads the state of aggregates alone", name))
			return
		case !r.reads.listed[name]:
			yield("", fmt.Errorf("%s: it lists the ids of %s, which its Reads does not name", r.reads.who, name))
			return
		}
		for cursor := ""; ; {
			ids, next, err := r.Log.Streams(ctx, name, cursor)
			if err != nil {
				yield("", fmt.Errorf("ids of %s: %w", name, err))
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			if cursor = next; next == "" {
				return
			}
		}
	}
}

// Selection returns the query as platforms answer it. The error says what the read model
// declares, if it is asked for something else.
func Selection(d es.ReadModelDefinition, q es.Query) (Query, error) {
	fail := func(format string, args ...any) (Query, error) {
		return Query{}, fmt.Errorf("list %s: "+format, append([]any{d.Name}, args...)...)
	}
	out := Query{Model: d.Name, Field: q.By, Value: q.Is}
	switch {
	case q.By == "" && q.Is != "":
		return fail("By says which field is %q", q.Is)
	case q.By != "" && !slices.Contains(d.Indexes, q.By):
		return fail("rows can't be listed by %q; %s", q.By, declared("By", d.Indexes))
	case q.By != "" && q.Is == "":
		return fail("Is says which %s, since rows without one can't be listed by it", q.By)
	}
	orders, err := Orders(d)
	if err != nil {
		return Query{}, err
	}
	out.Sort, out.Descending = strings.CutPrefix(q.Sort, "-")
	if q.Sort != "" && orders[out.Sort] == 0 {
		return fail("rows can't be sorted by %q; %s", out.Sort, declared("Sort", d.Sorts))
	}
	for _, b := range []struct {
		comparison, name string
		value            any
	}{{"gte", "AtLeast", q.AtLeast}, {"gt", "MoreThan", q.MoreThan}, {"lte", "AtMost", q.AtMost}, {"lt", "LessThan", q.LessThan}} {
		if b.value == nil {
			continue
		}
		if out.Sort == "" {
			return fail("%s is of the field that Sort names, and it names none", b.name)
		}
		text, err := asSent(b.value)
		if err == nil {
			err = out.Range(orders[out.Sort], b.comparison, text)
		}
		if err != nil {
			return fail("%s of %s: %v %w", b.name, out.Sort, b.value, err)
		}
	}
	if q.Search == "" {
		return out, nil
	}
	if len(d.Searches) == 0 {
		return fail("rows can't be searched; %s", declared("Search", nil))
	}
	if out.Words = Words(q.Search); len(out.Words) == 0 {
		return fail("there is no word in the search for %q", q.Search)
	}
	return out, nil
}

// declared says what a read model declares by that method, for people.
func declared(method string, fields []string) string {
	if len(fields) == 0 {
		return "the read model declares no " + method
	}
	return "the read model declares " + method + "(" + strings.Join(fields, ", ") + ")"
}

// asSent returns a bound as it is sent over HTTP: the value's JSON, without quotes.
func asSent(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var text string
	if json.Unmarshal(b, &text) == nil {
		return text, nil
	}
	return string(b), nil
}

// Indexed returns a row of the read model with what it is found by.
func Indexed(d es.ReadModelDefinition, row Row) (Row, error) {
	orders, err := Orders(d)
	if err != nil {
		return row, err
	}
	err = (&model{ReadModelDefinition: d, orders: orders}).index(&row)
	return row, err
}
