package local

import (
	"context"

	"onlineshop/es/engine"
)

// Items implements [engine.Rows]. The rows below an ID follow its head in the table.
func (s *store) Items(ctx context.Context, q engine.ItemsQuery) (rows []engine.Row, more bool, err error) {
	done, err := s.reading(ctx)
	if err != nil {
		return nil, false, err
	}
	defer done()
	table := len(keyIn(tableRows).text(q.Model))
	lower := begins(q.Model, q.ID, q.From)
	upper := begins(q.Model, q.ID, q.To)
	if q.To == "" { // the mark that ends the ID is 0 ff in a key: all that begins with that
		upper[len(upper)-2]++
	}
	size := 0
	err = scanBetween(s.db, lower, upper, direction(q.Descending), func(k, v []byte) (bool, error) {
		p := parts{rest: k[table:]}
		row := engine.Row{Model: q.Model, ID: p.text()}
		if err := p.err(); err != nil {
			return false, err
		}
		if of, sub := engine.SplitItemID(row.ID); of != q.ID || sub == "" {
			return true, nil // of one whose ID begins like this one
		}
		if more = len(rows) == q.Limit || size >= pageBytes; more {
			return false, nil
		}
		f := fields{rest: v}
		readRow(&f, &row)
		rows, size = append(rows, row), size+len(row.View)
		return true, f.err()
	})
	return rows, more, s.trouble.noted(err)
}

// begins is where the keys of rows begin whose sub-ids begin with that.
func begins(model, id, sub string) key {
	k := rowKey(model, engine.ItemID(id, sub))
	return k[:len(k)-2]
}

// PutItems implements [engine.Rows], as one operation of the writer's.
func (s *store) PutItems(ctx context.Context, head engine.Row, rows []engine.Row, totals []engine.Total) (bool, error) {
	var lost bool
	err := s.writer.apply(ctx, func(t *tx) error {
		k := rowKey(head.Model, head.ID)
		rev, err := t.integer(k)
		if err != nil {
			return err
		}
		if lost = rev != head.Rev-1; lost {
			return nil
		}
		for _, r := range rows {
			if err := s.putRow(t, r); err != nil {
				return err
			}
		}
		for _, total := range totals {
			if err := addTotal(t, total); err != nil {
				return err
			}
		}
		t.set(k, rowValue(head, nil))
		return nil
	}, nil)
	if err != nil {
		return false, err // as in Put
	}
	return lost, nil
}

// keysField is the index of keys that have totals, whose values are empty.
const keysField = "keys:"

// addTotal adds to a row of sums, and lists its key.
func addTotal(t *tx, total engine.Total) error {
	var row engine.Row
	there, err := t.get(rowKey(total.Model, total.ID), func(f *fields) { readRow(f, &row) })
	if err != nil {
		return err
	}
	if row.View, err = total.AddTo(row.View); err != nil {
		return err
	}
	t.set(rowKey(total.Model, total.ID), rowValue(row, nil))
	if !there {
		id, _ := engine.SplitItemID(total.ID)
		t.list(indexPrefix(total.Model, keysField, "").text(id), nil)
	}
	return nil
}

// Keys implements [engine.Rows].
func (s *store) Keys(ctx context.Context, model, from string, limit int) (keys []string, next string, err error) {
	q := engine.Query{Model: model, Field: keysField, Cursor: from}
	last, err := after(q)
	if err != nil {
		return nil, "", err
	}
	prefix := indexPrefix(model, keysField, "")
	begin := prefix
	if from != "" {
		begin = prefix.text(last).end()
	}
	err = s.scan(ctx, prefix, begin, forward, func(k, _ []byte) (bool, error) {
		if len(keys) == limit {
			next = cursor(q, keys[limit-1])
			return false, nil
		}
		p := parts{rest: k[len(prefix):]}
		keys = append(keys, p.text())
		return true, p.err()
	})
	return keys, next, err
}

// putRow writes a row, or removes one without a view, whatever its revision.
func (s *store) putRow(t *tx, row engine.Row) error {
	k := rowKey(row.Model, row.ID)
	var had, indexed map[string]string
	if _, err := t.get(k, func(f *fields) { f.number(); had = readIndexed(f) }); err != nil {
		return err
	}
	if row.View == nil {
		t.delete(k)
	} else {
		indexed = s.indexedOf(row)
		t.set(k, rowValue(row, indexed))
	}
	reindex(t, row, had, indexed)
	return nil
}
