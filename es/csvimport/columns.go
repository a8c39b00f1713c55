package csvimport

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"onlineshop/es"
)

// column is a field of a row's type.
type column struct {
	name     string
	field    int      // of the struct
	words    []string // what a header may call it, in lower case, its name first
	kind     cell
	key      bool // the id of what the row is for
	optional bool
	trim     bool
}

// cell is what a column's cells are.
type cell int

const (
	textCell cell = iota
	priceCell
	wholeCell
)

var cells = map[reflect.Type]cell{
	reflect.TypeFor[string](): textCell, reflect.TypeFor[es.Price](): priceCell, reflect.TypeFor[int](): wholeCell, reflect.TypeFor[int64](): wholeCell,
}

// columns of a file, in the order of the struct's fields.
type columns []column

// columnsOf reads them from a struct's tags. It panics where they say nothing that can
// be read: the first test finds it.
func columnsOf(row reflect.Type) (all columns) {
	keys := 0
	for i := range row.NumField() {
		f := row.Field(i)
		options := strings.Split(f.Tag.Get("csv"), ",")
		c := column{name: options[0], field: i, words: []string{strings.ToLower(options[0])}}
		if also := f.Tag.Get("also"); also != "" {
			c.words = append(c.words, strings.Split(also, "|")...)
		}
		for _, o := range options[1:] {
			switch o {
			case "key":
				c.key = true
				keys++
			case "optional":
				c.optional = true
			case "trim":
				c.trim = true
			default:
				panic(fmt.Sprintf("field %s of %s: a column can be key, optional or trim, not %q", f.Name, row, o))
			}
		}
		kind, known := cells[f.Type]
		if c.kind = kind; !known || c.name == "" || c.key && c.kind != textCell {
			panic(fmt.Sprintf("field %s of %s: a column is a string, an es.Price, an int or an int64, and a key a string, with a tag such as `csv:\"name\"`", f.Name, row))
		}
		if all.named(c.name) != nil {
			panic(fmt.Sprintf("field %s of %s: there are two columns %s", f.Name, row, c.name))
		}
		all = append(all, c)
	}
	if keys > 1 || len(all) == keys {
		panic(fmt.Sprintf("%s has %d columns and %d keys: it needs a column that is none, and at most one key", row, len(all), keys))
	}
	return all
}

// needed is what a header row must have, for people.
func (all columns) needed() string {
	var names []string
	for _, c := range all {
		if !c.optional {
			names = append(names, c.name)
		}
	}
	switch last := len(names) - 1; last {
	case -1:
		return "a column"
	case 0:
		return "the column " + names[0]
	default:
		return "the columns " + strings.Join(names[:last], ", ") + " and " + names[last]
	}
}

// named is the column of that name; nil: there is none.
func (all columns) named(name string) *column {
	for i := range all {
		if all[i].name == name {
			return &all[i]
		}
	}
	return nil
}

// called is the column that a header stands for; nil: none.
func (all columns) called(header string) *column {
	h := clean(header)
	for i := range all {
		if slices.Contains(all[i].words, h) {
			return &all[i]
		}
	}
	if m := inBrackets.FindStringSubmatch(h); len(m) > 1 {
		for i := range all {
			if all[i].kind == priceCell && slices.Contains(all[i].words, m[1]) {
				return &all[i]
			}
		}
	}
	return nil
}

// nearly is the column that a header was most likely meant for; "": none.
func (all columns) nearly(header string) string {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(s))
	}
	h := plain(clean(header))
	for _, c := range all {
		most := len(c.name) / 4 // letters that may differ
		if d := distance(h, plain(c.name)); d <= most {
			return c.name
		}
	}
	return ""
}

// header says at which place a row has what; -1: nowhere.
type header struct {
	columns
	count     int
	places    []int    // by column
	otherKey  int      // where a key is, too
	continues int      // a row without a cell here, but with a key, says more of the one before
	from      string   // the program whose export it is; empty: none that is known
	renamed   []string // columns with other names than ours
	unread    []string // those that are none of ours
}

func (all columns) header(r *records, exports []Export) (header, error) {
	c := header{columns: all, places: make([]int, len(all)), otherKey: -1, continues: -1}
	h, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return c, unusableFileError("the file is blank: a header row with " + all.needed() + " is needed")
	case err != nil:
		return c, err
	case h.err != nil:
		return c, unusableFileError("the file does not begin with a CSV header row: " + h.err.Error())
	}
	names := slices.Clone(h.fields)
	for len(names) > 1 && clean(names[len(names)-1]) == "" {
		names = names[:len(names)-1] // as spreadsheets leave them
	}
	c.count = len(names)
	for i, n := range names {
		if !utf8.ValidString(n) || strings.ContainsRune(n, 0) {
			return c, unusableFileError("the file is not CSV text in UTF-8 or UTF-16: save it as CSV in UTF-8")
		}
		if n = clean(n); n != "" && slices.ContainsFunc(names[:i], func(o string) bool { return clean(o) == n }) {
			return c, unusableFileError(fmt.Sprintf("the header row names the column %s twice", Quoted(n)))
		}
	}
	var missing []string
	for i := range all {
		if c.places[i] = all.find(&all[i], names); c.places[i] < 0 && !all[i].optional {
			missing = append(missing, all[i].name)
		}
	}
	known := slices.Clone(c.places)
	c.tell(names, exports)
	known = append(known, c.places...)
	for i, place := range c.places {
		if place >= 0 && !strings.EqualFold(clean(names[place]), all[i].name) {
			c.renamed = append(c.renamed, fmt.Sprintf("%s from %s", all[i].name, Quoted(strings.TrimSpace(names[place]))))
		}
	}
	for i, n := range names {
		if near := all.nearly(n); near != "" && !slices.Contains(known, i) && all.called(n) == nil {
			return c, unusableFileError(fmt.Sprintf("the header row has the column %s, which is nearly %s: name it so, or otherwise", Quoted(n), near))
		}
		if !slices.Contains(known, i) && clean(n) != "" {
			c.unread = append(c.unread, Quoted(strings.TrimSpace(n)))
		}
	}
	if missing != nil {
		are := " are"
		if strings.HasPrefix(all.needed(), "the column ") {
			are = " is"
		}
		return c, unusableFileError("the header row lacks " + strings.Join(missing, ", ") +
			": " + all.needed() + are + " needed; it was read as " + r.dialect.String() + ", with the columns " + cut(strings.Join(names, ", "), 120))
	}
	return c, nil
}

// find is the place of a column among the headers: its first word that is there counts.
func (all columns) find(c *column, names []string) int {
	for w, word := range c.words {
		for i, n := range names {
			if clean(n) == word || w == 0 && c.kind == priceCell && all.called(n) == c {
				return i
			}
		}
	}
	return -1
}

// tell finds out whether the file is an export of another program's.
func (c *header) tell(names []string, exports []Export) {
	place := func(word string) int {
		return slices.IndexFunc(names, func(n string) bool { return clean(n) == word })
	}
	for _, x := range exports {
		is := len(x.Columns) > 0
		for i, col := range c.columns {
			if word, told := x.Columns[col.name]; told && (c.places[i] < 0 || clean(names[c.places[i]]) != word) {
				is = false
			}
		}
		if !is {
			continue
		}
		c.from = x.Of
		for i, col := range c.columns {
			if at := place(x.Key); col.key && x.Key != "" && at >= 0 && at != c.places[i] {
				c.places[i], c.otherKey = at, c.places[i]
			}
			if col.name == x.Continues {
				c.continues = c.places[i]
			}
		}
		return
	}
}

// hasPrices says whether a decimal comma would matter.
func (c header) hasPrices() bool {
	return slices.ContainsFunc(c.columns, func(x column) bool { return x.kind == priceCell })
}

// note is what a person should know of how the file is read; empty where it is as we
// ask for.
func (f *file) note() string {
	var parts []string
	how := ""
	if f.from != "" {
		how = ", as an export of " + f.from
	}
	if usual := (dialect{comma: ','}).String(); how != "" || f.dialect.String() != usual {
		parts = append(parts, "read as text "+f.dialect.String()+how)
	}
	if f.renamed != nil {
		parts = append(parts, strings.Join(f.renamed, ", "))
	}
	if n := len(f.unread); n > 0 {
		shown := f.unread[:min(n, 10)]
		more := ""
		if n > len(shown) {
			more = fmt.Sprintf(" and %d more", n-len(shown))
		}
		parts = append(parts, "columns that are not read: "+strings.Join(shown, ", ")+more)
	}
	return cut(strings.Join(parts, "; "), 500)
}

// more says whether a record says more of what stands before it, such as a variant of a
// product, or an image.
func (c header) more(r record) bool {
	return c.continues >= 0 && r.err == nil && c.continues < len(r.fields) &&
		strings.TrimSpace(r.fields[c.continues]) == "" && c.key(r.fields) != ""
}

// keyed reports whether each row must have a key.
func (all columns) keyed() bool {
	return slices.ContainsFunc(all, func(c column) bool { return c.key && !c.optional })
}

// key is the id that a row gives; empty: none.
func (c header) key(fields []string) string {
	for i, col := range c.columns {
		if !col.key {
			continue
		}
		for _, place := range []int{c.places[i], c.otherKey} {
			if place >= 0 && place < len(fields) {
				if id := alive(strings.TrimSpace(fields[place])); id != "" {
					return id
				}
			}
		}
	}
	return ""
}

// set fills a row from a record's fields. wrong has, by column, what a cell should have
// been.
func (c header) set(row reflect.Value, fields []string, d dialect) (wrong map[string]string) {
	for i, col := range c.columns {
		if c.places[i] < 0 && !col.key {
			continue
		}
		text := ""
		if c.places[i] >= 0 {
			text = fields[c.places[i]]
		}
		why := ""
		switch into := row.Field(col.field).Addr().Interface().(type) {
		case *string:
			switch {
			case col.key:
				*into = c.key(fields)
				continue
			case col.trim:
				text = strings.TrimSpace(text)
			}
			*into = alive(text)
		case *es.Price:
			if text, why = d.price(strings.TrimSpace(text)); why == "" && (text != "" || !col.optional) {
				var err error
				if *into, err = es.ParsePrice(text); err != nil {
					why = err.Error()
				}
			}
		case *int:
			*into, why = whole[int](text, col.optional)
		case *int64:
			*into, why = whole[int64](text, col.optional)
		}
		if why != "" {
			if wrong == nil {
				wrong = map[string]string{}
			}
			wrong[col.name] = Quoted(strings.TrimSpace(fields[c.places[i]])) + " " + why
		}
	}
	return wrong
}

// whole is a cell as a whole number, or why it is none.
func whole[T int | int64](text string, optional bool) (T, string) {
	text = strings.TrimSpace(text)
	if text == "" && optional {
		return 0, ""
	}
	n, err := strconv.ParseInt(text, 10, reflect.TypeFor[T]().Bits())
	if err != nil {
		return 0, "must be a whole number"
	}
	return T(n), ""
}

// Quoted is the beginning of a text in quotes, for people.
func Quoted(s string) string { return fmt.Sprintf("%q", cut(s, 100)) }

// cut is s, shortened to at most max characters.
func cut(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return string([]rune(s)[:max-1]) + "…"
}
