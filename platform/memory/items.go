package memory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"onlineshop/es/engine"
)

// Items implements [engine.Rows].
func (s *Store) Items(ctx context.Context, q engine.ItemsQuery) (rows []engine.Row, more bool, err error) {
	err = s.call(ctx, "Items", func() error {
		for k, r := range s.rows {
			if k.model != q.Model || !strings.HasPrefix(k.id, engine.ItemID(q.ID, "")) {
				continue
			}
			if id, sub := engine.SplitItemID(k.id); id == q.ID && sub != "" && sub >= q.From && (q.To == "" || sub < q.To) {
				rows = append(rows, r)
			}
		}
		slices.SortFunc(rows, func(a, b engine.Row) int {
			c := strings.Compare(a.ID, b.ID)
			if q.Descending {
				return -c
			}
			return c
		})
		rows, more = page(min(q.Limit, s.limit()), rows, func(r engine.Row) int { return len(r.View) })
		return nil
	})
	return rows, more, err
}

// PutItems implements [engine.Rows].
func (s *Store) PutItems(ctx context.Context, head engine.Row, rows []engine.Row, totals []engine.Total) (lost bool, err error) {
	err = s.call(ctx, "PutItems", func() error {
		if lost = s.rows[rowKey{head.Model, head.ID}].Rev != head.Rev-1; lost {
			return nil
		}
		for _, r := range append(slices.Clone(rows), head) {
			if k := (rowKey{r.Model, r.ID}); r.View == nil && r.ID != head.ID {
				delete(s.rows, k)
			} else {
				s.put(r)
			}
		}
		for _, t := range totals {
			view, err := t.AddTo(s.rows[rowKey{t.Model, t.ID}].View)
			if err != nil {
				return err
			}
			s.put(engine.Row{Model: t.Model, ID: t.ID, View: view})
		}
		return nil
	})
	return lost, err
}

// Keys implements [engine.Rows].
func (s *Store) Keys(ctx context.Context, model, cursor string, limit int) (keys []string, next string, err error) {
	of := "keys of " + model + " after "
	after, ok := strings.CutPrefix(cursor, of)
	if cursor != "" && !ok {
		return nil, "", engine.ErrCursor
	}
	err = s.call(ctx, "Keys", func() error {
		for k := range s.rows {
			if k.model != model {
				continue
			}
			if key, sub := engine.SplitItemID(k.id); engine.IsTotal(sub) && (cursor == "" || key > after) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		if keys = slices.Compact(keys); len(keys) > limit {
			keys = keys[:limit]
			next = of + keys[limit-1]
		}
		return nil
	})
	return keys, next, err
}

func (s *Store) put(row engine.Row) {
	row.At, row.Indexed, row.Sorted, row.Words = maps.Clone(row.At), maps.Clone(row.Indexed), maps.Clone(row.Sorted), slices.Clone(row.Words)
	s.rows[rowKey{row.Model, row.ID}] = row
}
