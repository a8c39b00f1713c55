package httpapi

import (
	"slices"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// maxSearch is how many bytes, and maxWords how many words, a search may have.
const maxSearch, maxWords = 256, 10

// selection are the query parameters of a read model's sorts and searches.
func selection(d es.ReadModelDefinition) (out []parameter, err error) {
	orders, err := engine.Orders(d)
	if err != nil {
		return nil, err
	}
	if len(d.Sorts) > 0 {
		out = append(out, sorting(d.Sorts))
	}
	for _, field := range d.Sorts {
		for _, c := range [][2]string{{"gte", "at least"}, {"gt", "more than"}, {"lte", "at most"}, {"lt", "less than"}} {
			out = append(out, comparison(orders[field], field, c[0], c[1]))
		}
	}
	if len(d.Searches) > 0 {
		out = append(out, search(d.Searches))
	}
	return out, nil
}

func sorting(fields []string) parameter {
	var values []string
	for _, f := range fields {
		values = append(values, f, "-"+f)
	}
	return parameter{
		"sort", "the field whose order the rows are in; with -, from the last value to the first. Rows without the field come last",
		map[string]any{"type": "string", "enum": values},
		func(c *call, value string) error {
			if !slices.Contains(values, value) {
				return errMalformed.Because("rows can't be sorted by %q; sort can be %s", value, strings.Join(values, ", "))
			}
			field, descending := strings.CutPrefix(value, "-")
			c.selection.Sort, c.selection.Descending = field, descending
			return nil
		},
	}
}

// comparison is one bound of a range of a field, by which the rows are sorted, too.
func comparison(o engine.Order, field, name, words string) parameter {
	schema := map[string]any{"type": "string", "minLength": 1}
	switch o {
	case engine.ByNumber:
		schema = map[string]any{"type": "number"}
	case engine.ByTime:
		schema = map[string]any{"type": "string", "format": "date-time"}
	case engine.ByTruth:
		schema = map[string]any{"type": "boolean"}
	}
	full := field + "." + name
	return parameter{
		full, "only rows whose " + field + " is " + words + " this; they are sorted by it", schema,
		func(c *call, value string) error {
			if len(value) > 1024 || value == "" {
				return errMalformed.Because("%s needs a value of at most 1,024 bytes", full)
			}
			if c.ranged != "" && c.ranged != field {
				return errMalformed.Because("a range of %s or of %s, not of both", c.ranged, field)
			}
			c.ranged = field
			if err := c.selection.Range(o, name, value); err != nil {
				return errMalformed.Because("%s %s", full, err)
			}
			return nil
		},
	}
}

func search(fields []string) parameter {
	return parameter{
		"q", "only rows that have a word that begins so, for each of these words, in " + strings.Join(fields, " or ") + "; case and accents don't matter",
		map[string]any{"type": "string", "minLength": 1, "maxLength": maxSearch},
		func(c *call, value string) error {
			c.selection.Words = engine.Words(value)
			if n := len(c.selection.Words); n == 0 || n > maxWords || len(value) > maxSearch {
				return errMalformed.Because("q must have 1 to %d words, and at most %d bytes", maxWords, maxSearch)
			}
			return nil
		},
	}
}

// checkSelection holds a range against the sort: rows of a range come in its order.
func (c *call) checkSelection() error {
	switch {
	case c.ranged == "":
	case c.selection.Sort == "":
		c.selection.Sort = c.ranged
	case c.selection.Sort != c.ranged:
		return errMalformed.Because("a range of %s comes sorted by %s, not by %s", c.ranged, c.ranged, c.selection.Sort)
	}
	return nil
}
