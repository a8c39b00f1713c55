package local

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"onlineshop/es/engine"
)

func rowKey(model, id string) key { return keyIn(tableRows).text(model).text(id) }

func indexPrefix(model, field, value string) key {
	return keyIn(tableIndexes).text(model).text(field).text(value)
}

// Row implements [engine.Rows].
func (s *store) Row(ctx context.Context, model, id string) (engine.Row, error) {
	row := engine.Row{Model: model, ID: id}
	_, err := s.get(ctx, rowKey(model, id), func(f *fields) { readRow(f, &row) })
	return row, err
}

// A row's value: its revision, what of it is indexed (a number of fields, and of each its
// name and value; the owner is a field of its own if the model is listed by it, and so are
// its order keys and its words, see sorted.go), its owner, its positions, if it is not
// absent its view, and which code has made it.

func readRow(f *fields, row *engine.Row) {
	row.Rev = f.number()
	row.Indexed = readIndexed(f)
	delete(row.Indexed, ownerField)
	row.Sorted, row.Words = takeSorted(row.Indexed)
	row.Owner = f.text()
	row.At = map[string]engine.Position{}
	for range f.number() {
		source := f.text()
		row.At[source] = engine.Position{Next: f.number(), Version: f.number()}
	}
	if f.bool() {
		row.View = f.bytes()
	}
	if len(f.rest) > 0 { // of an earlier version: none
		row.Made = f.number()
	}
}

func readIndexed(f *fields) (indexed map[string]string) {
	n := f.number()
	if n > 0 {
		indexed = map[string]string{}
	}
	for range n {
		field := f.text()
		indexed[field] = f.text()
	}
	return indexed
}

func rowValue(row engine.Row, fields map[string]string) value {
	v := make(value, 0, len(row.View)+64*(1+len(row.At)+len(fields))).number(row.Rev).number(int64(len(fields)))
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		v = v.text(field).text(fields[field])
	}
	v = v.text(row.Owner).number(int64(len(row.At)))
	for _, source := range slices.Sorted(maps.Keys(row.At)) {
		v = v.text(source).number(row.At[source].Next).number(row.At[source].Version)
	}
	if v = v.bool(row.View != nil); row.View != nil {
		v = v.bytes(row.View)
	}
	if row.Made != 0 {
		v = v.number(row.Made)
	}
	return v
}

// ownerField stands for the owner among a row's indexed fields.
const ownerField = ""

// Put implements [engine.Rows].
func (s *store) Put(ctx context.Context, row engine.Row) (bool, error) {
	indexed := s.indexedOf(row)
	k, v := rowKey(row.Model, row.ID), rowValue(row, indexed)
	var lost bool
	err := s.writer.apply(ctx, func(t *tx) error {
		var rev int64
		var had map[string]string
		if _, err := t.get(k, func(f *fields) { rev, had = f.number(), readIndexed(f) }); err != nil {
			return err
		}
		if lost = rev != row.Rev-1; lost {
			return nil
		}
		t.set(k, v)
		reindex(t, row, had, indexed)
		return nil
	}, nil)
	if err != nil {
		return false, err // where the context has ended, lost may still be written to
	}
	return lost, nil
}

// indexedOf returns what is indexed of a row.
func (s *store) indexedOf(row engine.Row) map[string]string {
	if row.View == nil {
		return nil
	}
	indexed := withSorted(row)
	if s.owned[row.Model] && row.Owner != "" {
		indexed[ownerField] = row.Owner
	}
	return indexed
}

// reindex changes a row's entries in its model's indexes.
func reindex(t *tx, row engine.Row, had, fields map[string]string) {
	now := entries(row.Model, row.ID, fields)
	for _, was := range entries(row.Model, row.ID, had) {
		i := slices.IndexFunc(now, func(e listed) bool { return bytes.Equal(e.key, was.key) })
		switch {
		case i < 0:
			t.unlist(was.key)
		case bytes.Equal(now[i].value, was.value):
			now = slices.Delete(now, i, i+1)
		}
	}
	for _, e := range now {
		t.list(e.key, e.value)
	}
}

// scanned is how many rows a page looks at, of which those without a view are left
// out.
const scanned = 1000

// List implements [engine.Rows]. A query with an owner looks at that owner's rows
// alone: others' are neither in the answer nor in its cursor nor in its time.
func (s *store) List(ctx context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	from, err := after(q)
	if err != nil {
		return nil, "", err
	}
	if q.Owner != "" && !s.owned[q.Model] {
		return nil, "", fmt.Errorf("list %s by owner: it is not listed by owner", q.Model)
	}
	if len(q.Words) > 0 || q.Sort != "" {
		found, err := s.findRare(ctx, q)
		if err != nil {
			return nil, "", err
		}
		if found != nil {
			rows, next = firstPage(q, from, found)
			return rows, next, nil
		}
	}
	if q.Sort != "" {
		return s.listSorted(ctx, q, from)
	}
	prefix := keyIn(tableRows).text(q.Model)
	switch {
	case q.Owner != "":
		prefix = indexPrefix(q.Model, ownerField, q.Owner)
	case q.Field != "":
		prefix = indexPrefix(q.Model, q.Field, q.Value)
	}
	begin := prefix
	if q.Cursor != "" {
		begin = prefix.text(from).end()
	}
	seen, size := 0, 0
	last := from
	err = s.scan(ctx, prefix, begin, forward, func(k, v []byte) (bool, error) {
		if seen == scanned || len(rows) == q.Limit || size >= pageBytes {
			next = cursor(q, last)
			return false, nil
		}
		p := parts{rest: k[len(prefix):]}
		row := engine.Row{Model: q.Model, ID: p.text()}
		if err := p.err(); err != nil {
			return false, err
		}
		seen, last = seen+1, row.ID
		if prefix[0] == tableRows {
			f := fields{rest: v}
			readRow(&f, &row)
			if err := f.err(); err != nil {
				return false, err
			}
		} else if _, err := read(s.db, rowKey(q.Model, row.ID), func(f *fields) { readRow(f, &row) }); err != nil {
			return false, err
		}
		// An index is read a moment before its rows.
		if q.Matches(row) {
			rows = append(rows, row)
			size += len(row.View)
		}
		return true, nil
	})
	return rows, next, err
}

// cursor names the place of the last row of a page, for the next one of the same query.
func cursor(q engine.Query, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(queryHash(q) + id))
}

// after is the place that a query's cursor names, or [engine.ErrCursor].
func after(q engine.Query) (id string, err error) {
	if q.Cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	id, ok := strings.CutPrefix(string(b), queryHash(q))
	if err != nil || !ok {
		return "", engine.ErrCursor
	}
	return id, nil
}

func queryHash(q engine.Query) string {
	h := fnv.New64a()
	h.Write([]byte(q.Identity()))
	return string(h.Sum(nil))
}
