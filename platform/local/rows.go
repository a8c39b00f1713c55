package local

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"onlineshop/es/engine"
)

// Row implements [engine.Rows].
func (s *store) Row(ctx context.Context, model, id string) (engine.Row, error) {
	row := engine.Row{Model: model, ID: id}
	err := s.query(ctx, "SELECT id, rev, view, owner, at, indexed FROM rows WHERE model = ? AND id = ?", []any{model, id},
		func(scan func(...any) error) (bool, error) { return false, scanRow(scan, &row) })
	return row, err
}

func scanRow(scan func(...any) error, row *engine.Row) error {
	var at, indexed []byte
	var view sql.RawBytes
	if err := scan(&row.ID, &row.Rev, &view, &row.Owner, &at, &indexed); err != nil {
		return err
	}
	if view != nil {
		row.View = json.RawMessage(append([]byte{}, view...))
	}
	if err := jsonv2.Unmarshal(at, &row.At); err != nil {
		return fmt.Errorf("positions of row %s of %s: %w", row.ID, row.Model, err)
	}
	if indexed != nil {
		if err := json.Unmarshal(indexed, &row.Indexed); err != nil {
			return fmt.Errorf("index of row %s of %s: %w", row.ID, row.Model, err)
		}
		delete(row.Indexed, ownerField)
	}
	return nil
}

// ownerField stands for the owner among a row's indexed fields.
const ownerField = ""

// Put implements [engine.Rows].
func (s *store) Put(ctx context.Context, row engine.Row) (bool, error) {
	at, err := json.Marshal(row.At)
	if err != nil {
		return false, fmt.Errorf("positions of row %s of %s: %w", row.ID, row.Model, err)
	}
	var view any // NULL: absent
	var fields map[string]string
	if row.View != nil {
		view = text(row.View)
		if fields = maps.Clone(row.Indexed); s.owned[row.Model] && row.Owner != "" {
			if fields == nil {
				fields = map[string]string{}
			}
			fields[ownerField] = row.Owner
		}
	}
	var indexed any // NULL: nothing
	if len(fields) > 0 {
		b, err := json.Marshal(fields)
		if err != nil {
			return false, fmt.Errorf("index of row %s of %s: %w", row.ID, row.Model, err)
		}
		indexed = text(b)
	}
	var lost bool
	err = s.writer.write(ctx, func(t *tx) error {
		var rev int64
		var old []byte
		if row.Rev > 1 {
			if err := t.get("SELECT rev, indexed FROM rows WHERE model = ? AND id = ?", []any{row.Model, row.ID}, []any{&rev, &old}); err != nil {
				return err
			}
		}
		if lost = rev != row.Rev-1; lost {
			return nil
		}
		var had map[string]string
		if old != nil {
			if err := json.Unmarshal(old, &had); err != nil {
				return fmt.Errorf("index of row %s of %s: %w", row.ID, row.Model, err)
			}
		}
		n, err := t.exec(`INSERT INTO rows (model, id, rev, view, owner, at, indexed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
			ON CONFLICT DO UPDATE SET rev = ?3, view = ?4, owner = ?5, at = ?6, indexed = ?7 WHERE rev = ?3 - 1`,
			row.Model, row.ID, row.Rev, view, row.Owner, text(at), indexed)
		if lost = n == 0; err != nil || lost {
			return err
		}
		return reindex(t, row, had, fields)
	}, nil)
	if err != nil {
		return false, err // where the context has ended, lost may still be written to
	}
	return lost, nil
}

// reindex changes a row's entries in its model's indexes.
func reindex(t *tx, row engine.Row, had, fields map[string]string) error {
	for field, value := range had {
		if now, ok := fields[field]; ok && now == value {
			continue
		}
		if _, err := t.exec("DELETE FROM rows_by_field WHERE model = ? AND field = ? AND value = ? AND id = ?", row.Model, field, value, row.ID); err != nil {
			return err
		}
	}
	for field, value := range fields {
		if was, ok := had[field]; ok && was == value {
			continue
		}
		// An entry may be left over, of a row that was thrown away.
		if _, err := t.exec("INSERT OR IGNORE INTO rows_by_field (model, field, value, id) VALUES (?, ?, ?, ?)", row.Model, field, value, row.ID); err != nil {
			return err
		}
	}
	return nil
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
	const columns = "SELECT r.id, r.rev, r.view, r.owner, r.at, r.indexed "
	var query string
	var args []any
	indexed := func(field, value string) {
		// A cross join keeps its order: from the index to the rows.
		query = columns + `FROM rows_by_field f CROSS JOIN rows r ON r.model = f.model AND r.id = f.id
			WHERE f.model = ? AND f.field = ? AND f.value = ? AND f.id > ? ORDER BY f.id LIMIT ?`
		args = []any{q.Model, field, value, from, scanned + 1}
	}
	switch {
	case q.Owner != "" && !s.owned[q.Model]:
		return nil, "", fmt.Errorf("list %s by owner: it is not listed by owner", q.Model)
	case q.Owner != "" && q.Field != "":
		query = columns + `FROM rows_by_field o CROSS JOIN rows_by_field f ON f.model = o.model AND f.field = ? AND f.value = ? AND f.id = o.id
			CROSS JOIN rows r ON r.model = o.model AND r.id = o.id
			WHERE o.model = ? AND o.field = '' AND o.value = ? AND o.id > ? ORDER BY o.id LIMIT ?`
		args = []any{q.Field, q.Value, q.Model, q.Owner, from, scanned + 1}
	case q.Owner != "":
		indexed(ownerField, q.Owner)
	case q.Field != "":
		indexed(q.Field, q.Value)
	default:
		query = columns + "FROM rows r WHERE r.model = ? AND r.id > ? ORDER BY r.id LIMIT ?"
		args = []any{q.Model, from, scanned + 1}
	}
	seen, size := 0, 0
	last := from
	err = s.query(ctx, query, args, func(scan func(...any) error) (bool, error) {
		if seen == scanned || len(rows) == q.Limit || size >= pageBytes {
			next = cursor(q, last)
			return false, nil
		}
		row := engine.Row{Model: q.Model}
		if err := scanRow(scan, &row); err != nil {
			return false, err
		}
		seen, last = seen+1, row.ID
		// An index entry that is left over says nothing.
		if row.View != nil && (q.Owner == "" || row.Owner == q.Owner) && (q.Field == "" || row.Indexed[q.Field] == q.Value) {
			rows = append(rows, row)
			size += len(row.View)
		}
		return true, nil
	})
	return rows, next, err
}

// cursor names the last row of a page, for the next one of the same query.
func cursor(q engine.Query, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(queryHash(q) + id))
}

// after is the id that a query's cursor names, or [engine.ErrCursor].
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
	fmt.Fprintf(h, "%q %q %q %q", q.Model, q.Field, q.Value, q.Owner)
	return string(h.Sum(nil))
}
