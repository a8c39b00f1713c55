package local

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"onlineshop/es/engine"
)

// An order key and the words of a row stand among its indexed fields, under names that no
// field has.
const (
	sortedField = "sort:" // with the field's name
	wordsField  = "words:"
	anyField    = "*" // of all rows, where the others are of those with a field's value
)

// withSorted returns the fields of a row as they are stored.
func withSorted(row engine.Row) map[string]string {
	fields := make(map[string]string, len(row.Indexed)+len(row.Sorted)+2)
	for field, value := range row.Indexed {
		fields[field] = value
	}
	for field, k := range row.Sorted {
		fields[sortedField+field] = k
	}
	if len(row.Words) > 0 {
		fields[wordsField] = strings.Join(row.Words, " ")
	}
	return fields
}

// takeSorted takes out what withSorted put in.
func takeSorted(fields map[string]string) (sorted map[string]string, words []string) {
	for field, value := range fields {
		if name, ok := strings.CutPrefix(field, sortedField); ok {
			if sorted == nil {
				sorted = map[string]string{}
			}
			sorted[name] = value
			delete(fields, field)
		}
	}
	words = strings.Fields(fields[wordsField])
	delete(fields, wordsField)
	return sorted, words
}

func sortedPrefix(model, sort, field, value string) key {
	return keyIn(tableSorted).text(model).text(sort).text(field).text(value)
}

// listed is what an index has of a row.
type listed struct {
	key   key
	value value
}

// entries are what the indexes have of a row with those fields. Each sort has an index of
// all rows, and one of those with a field's value, so that a list by both reads nothing
// else. A sorted entry has the row's words: a search passes over it without reading the
// row.
func entries(model, id string, fields map[string]string) (out []listed) {
	if len(fields) == 0 {
		return nil
	}
	sorted := value(nil).text(id).text(fields[wordsField])
	for w := range strings.FieldsSeq(fields[wordsField]) {
		out = append(out, listed{key: keyIn(tableWords).text(model).text(w).text(id)})
	}
	for field, v := range fields {
		name, isSort := strings.CutPrefix(field, sortedField)
		switch {
		case field == wordsField:
		case isSort:
			out = append(out, listed{sortedPrefix(model, name, anyField, "").text(v), sorted})
			for by, of := range fields {
				if by != wordsField && !strings.HasPrefix(by, sortedField) {
					out = append(out, listed{sortedPrefix(model, name, by, of).text(v), sorted})
				}
			}
		default:
			out = append(out, listed{key: indexPrefix(model, field, v).text(id)})
		}
	}
	return out
}

const (
	// rare is how many entries of a word, or of a word's beginning, a search reads. If
	// there are no more, it looks at their rows; otherwise there are so many that it soon
	// has a page of them by going through all rows in order.
	rare = 700
	// passed is how many entries of a sort a page passes over at most. One whose row is read
	// counts for several.
	passed = 15_000
)

// findRare returns the rows that a search finds, in order, where one of its words is rare;
// otherwise nil.
func (s *store) findRare(ctx context.Context, q engine.Query) ([]engine.Row, error) {
	for _, w := range q.Words {
		ids := map[string]bool{}
		read := 0
		beginning := append(keyIn(tableWords).text(q.Model), w...)
		begins := len(keyIn(tableWords).text(q.Model))
		err := s.scan(ctx, beginning, nil, forward, func(k, _ []byte) (bool, error) {
			p := parts{rest: k[begins:]}
			p.text()
			ids[p.text()] = true
			read++
			return read <= rare, p.err()
		})
		if err != nil {
			return nil, err
		}
		if read > rare {
			continue
		}
		found := []engine.Row{}
		for id := range ids {
			row, err := s.Row(ctx, q.Model, id)
			if err != nil {
				return nil, err
			}
			if q.Matches(row) {
				found = append(found, row)
			}
		}
		slices.SortFunc(found, func(a, b engine.Row) int { return q.Compare(q.Key(a), q.Key(b)) })
		return found, nil
	}
	return nil, nil
}

// firstPage returns the page of the rows after that place.
func firstPage(q engine.Query, after string, found []engine.Row) (rows []engine.Row, next string) {
	size := 0
	for _, row := range found {
		if q.Cursor != "" && q.Compare(q.Key(row), after) <= 0 {
			continue
		}
		if len(rows) == q.Limit || size >= pageBytes {
			return rows, cursor(q, q.Key(rows[len(rows)-1]))
		}
		rows = append(rows, row)
		size += len(row.View)
	}
	return rows, ""
}

// listSorted lists rows in the order of a sort.
func (s *store) listSorted(ctx context.Context, q engine.Query, after string) (rows []engine.Row, next string, err error) {
	field, v := anyField, ""
	switch {
	case q.Owner != "":
		field, v = ownerField, q.Owner
	case q.Field != "":
		field, v = q.Field, q.Value
	}
	prefix := slices.Clip(sortedPrefix(q.Model, q.Sort, field, v)) // both bounds begin with it
	var begins [][]byte
	for _, w := range q.Words {
		begins = append(begins, []byte(" "+w))
	}
	done, err := s.reading(ctx)
	if err != nil {
		return nil, "", err
	}
	defer done()
	seen, size := 0, 0
	var last key // of the entry that was seen last, without the prefix
	place := func() string { p := parts{rest: last}; return p.text() }
	for _, span := range q.Spans(after) {
		if next != "" {
			break
		}
		err := scanBetween(s.db, prefix.text(span.From), prefix.text(span.To), direction(q.Descending), func(k, v []byte) (bool, error) {
			if seen >= passed || len(rows) == q.Limit || size >= pageBytes {
				next = cursor(q, place())
				return false, nil
			}
			last, seen = append(last[:0], k[len(prefix):]...), seen+1
			f := fields{rest: v}
			id, words := f.raw(), f.raw()
			if err := f.err(); err != nil {
				return false, err
			}
			for _, w := range begins { // without taking the words apart, which takes longer than all else
				if !bytes.HasPrefix(words, w[1:]) && !bytes.Contains(words, w) {
					return true, nil
				}
			}
			row := engine.Row{Model: q.Model, ID: string(id)}
			seen += passed / scanned
			if _, err := read(s.db, rowKey(q.Model, row.ID), func(f *fields) { readRow(f, &row) }); err != nil {
				return false, err
			}
			// An index is read a moment before its rows.
			if q.Matches(row) && q.Key(row) == place() {
				rows = append(rows, row)
				size += len(row.View)
			}
			return true, nil
		})
		if err := s.trouble.noted(err); err != nil {
			return nil, "", err
		}
	}
	return rows, next, nil
}
