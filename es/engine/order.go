package engine

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"onlineshop/es"
)

// Order is how the values of a field sort. The engine makes texts of them that sort by
// their bytes as the values do, so that every platform has one order.
type Order int

// Texts sort by what they say without case and accents, and then as they are.
const (
	ByText Order = iota + 1
	ByNumber
	ByTime
	ByTruth // false, true
)

// Orders returns how each field sorts that the read model declares as a sort. It returns
// an error that says what to write instead if rows can't be sorted or searched so.
func Orders(d es.ReadModelDefinition) (map[string]Order, error) {
	of, err := fieldOrders(d)
	if err != nil {
		return nil, err
	}
	var sortable, texts []string
	for name, o := range of {
		if o == 0 {
			continue
		}
		if o == ByText {
			texts = append(texts, name)
		}
		sortable = append(sortable, name)
	}
	slices.Sort(sortable)
	slices.Sort(texts)
	out := map[string]Order{}
	for i, field := range d.Sorts {
		if of[field] == 0 || slices.Contains(d.Sorts[:i], field) {
			return nil, fmt.Errorf("read model %s: rows can't be sorted by %q: name each once of their texts, numbers, prices, times and booleans: %s", d.Name, field, strings.Join(sortable, ", "))
		}
		out[field] = of[field]
	}
	for i, field := range d.Searches {
		if of[field] != ByText || slices.Contains(d.Searches[:i], field) {
			return nil, fmt.Errorf("read model %s: %q can't be searched: name each once of its texts: %s", d.Name, field, strings.Join(texts, ", "))
		}
	}
	return out, nil
}

// fieldOrders is how each field of a row sorts; 0: it does not. Nobody changes it.
func fieldOrders(d es.ReadModelDefinition) (map[string]Order, error) {
	if of, known := ordersOf.Load(string(d.Schema)); known {
		return of.(map[string]Order), nil
	}
	var schema struct {
		Properties map[string]struct{ Type, Format string }
	}
	if err := json.Unmarshal(d.Schema, &schema); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", d.Name, err)
	}
	of := map[string]Order{}
	for name, p := range schema.Properties {
		of[name] = orderOf(p.Type, p.Format)
	}
	ordersOf.Store(string(d.Schema), of)
	return of, nil
}

// ordersOf has what fieldOrders returns, by schema. To read one takes longer than all else
// that is done to a read model at the start.
var ordersOf sync.Map

// orderOf is how values of a JSON Schema's type sort; 0: they don't.
func orderOf(typ, format string) Order {
	switch {
	case typ == "string" && format == "date-time":
		return ByTime
	case typ == "string":
		return ByText
	case typ == "number", typ == "integer":
		return ByNumber
	case typ == "boolean":
		return ByTruth
	}
	return 0
}

// Declared returns a number that changes with the code that makes the rows of a read
// model, and with what they are sorted and searched by, and how: rows that were stored
// with another must be folded again. 0: with none of it.
func Declared(d es.ReadModelDefinition) int64 {
	h := fnv.New64a()
	if d.Code != "" {
		fmt.Fprintf(h, "%s ", d.Code)
	}
	if len(d.Sorts)+len(d.Searches) == 0 {
		if d.Code == "" {
			return 0
		}
		return int64(h.Sum64())
	}
	orders, _ := Orders(d) // New has held it
	fmt.Fprintf(h, "%d %s %s %q %q %v %q", keysVersion, norm.Version, cases.UnicodeVersion, d.Indexes, d.Sorts, orders, d.Searches)
	return int64(h.Sum64())
}

// keysVersion counts changes of what order keys and words are made of.
const keysVersion = 1

// An order key is a mark of whether there is a value, the value as the order has it, and
// the row's id, so that no two rows have the same. In all it has less than 1,024 bytes,
// which is DynamoDB's bound.
const (
	markValue   = "="
	markAbsent  = "~" // after all values
	separator   = "\x00"
	behind      = "\x01" // after the separator: behind all keys that begin with the same value
	maxFolded   = 256    // bytes of a text that decide, without case and accents
	maxAsItIs   = 128    // bytes of it that decide between such that are alike
	maxTie      = 512    // bytes of an id that decide; a longer one's hash does, too
	timeLayout  = "2006-01-02T15:04:05.000000000Z"
	maxExponent = 4000 // of a number, either way; a float64 has 325
)

// value returns the order's text for a value as it is in a row.
func (o Order) value(raw []byte) (string, error) {
	var s string
	if o == ByText || o == ByTime {
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", err
		}
	}
	switch o {
	case ByText:
		return cut(Fold(s), maxFolded) + separator + cut(s, maxAsItIs), nil
	case ByTime:
		return o.bound(s)
	}
	return o.bound(string(raw))
}

// bound returns the text that the order's texts of values are compared with.
func (o Order) bound(s string) (string, error) {
	switch o {
	case ByText:
		return cut(Fold(s), maxFolded), nil
	case ByNumber:
		if key, ok := numberKey(s); ok {
			return key, nil
		}
		return "", errors.New("must be a number, such as 9.99")
	case ByTime:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil || t.UTC().Year() > 9999 || t.UTC().Year() < 0 {
			return "", errors.New("must be a time, such as 2026-01-31T00:00:00Z")
		}
		return t.UTC().Format(timeLayout), nil
	case ByTruth:
		if s == "true" || s == "false" {
			return s, nil // as it happens, in this order
		}
		return "", errors.New("must be true or false")
	}
	return "", fmt.Errorf("unknown order %d", o)
}

// numberKey returns a text that sorts as the decimal number does: its sign, its exponent,
// and its digits; of a negative one, their complements.
func numberKey(s string) (string, bool) {
	if !json.Valid([]byte(s)) || strings.Trim(s, "+-0123456789.eE") != "" {
		return "", false // JSON's other values
	}
	mantissa, negative := strings.CutPrefix(strings.ToLower(s), "-")
	mantissa, e, _ := strings.Cut(mantissa, "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	exponent := len(digits) - len(fraction)
	if e != "" {
		n, err := strconv.Atoi(e)
		if err != nil {
			return "", false
		}
		exponent += n
	}
	if digits = strings.TrimRight(digits, "0"); digits == "" {
		return "1", true
	}
	if exponent < -maxExponent || exponent > maxExponent || len(digits) > maxAsItIs {
		return "", false
	}
	key := fmt.Sprintf("%04d", exponent+maxExponent) + digits
	if !negative {
		return "2" + key, true
	}
	complement := func(r rune) rune { return '0' + '9' - r }
	return "0" + strings.Map(complement, key) + "~", true
}

// cut returns the text's beginning of at most so many bytes.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// orderKey returns the key of a row with that value; nil: it has none.
func orderKey(o Order, raw []byte, id string) (string, error) {
	if raw == nil {
		return markAbsent + tie(id), nil
	}
	value, err := o.value(raw)
	if err != nil {
		return "", err
	}
	return markValue + value + separator + tie(id), nil
}

// tie returns what decides between rows with the same value.
func tie(id string) string {
	if len(id) <= maxTie {
		return id
	}
	return fmt.Sprintf("%s%x", cut(id, maxTie-2*sha256.Size), sha256.Sum256([]byte(id)))
}

// Fold returns the text as it is sorted and searched: without case and accents, in
// Unicode's compatibility form, and with spaces for control characters.
func Fold(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0 {
		return strings.ToLower(strings.Map(noControl, s))
	}
	t := folders.Get().(transform.Transformer)
	defer folders.Put(t)
	folded, _, err := transform.String(t, s)
	if err != nil {
		return strings.ToLower(s) // which none of these returns
	}
	return folded
}

// folders hold transformers that fold: each has kilobytes of buffers.
var folders = sync.Pool{New: func() any {
	return transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), cases.Fold(), runes.Map(noControl))
}}

func noControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// Words returns the words of a text as they are searched, in order, each once.
func Words(s string) []string {
	words := strings.FieldsFunc(Fold(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	slices.Sort(words)
	return slices.Compact(words)
}

// Range narrows a query to rows whose value of the field that they are sorted by is as
// the comparison says: gte, gt, lte or lt. The error says what the value must be.
func (q *Query) Range(o Order, comparison, value string) error {
	key, err := o.bound(value)
	if err != nil {
		return err
	}
	key = markValue + key
	if comparison == "gt" || comparison == "lte" {
		key += behind
	}
	if q.From == "" {
		q.From, q.To = markValue, markAbsent
	}
	if comparison == "gte" || comparison == "gt" {
		q.From = max(q.From, key)
	} else {
		q.To = min(q.To, key)
	}
	return nil
}

// Span is a range of order keys: From and what follows, before To.
type Span struct{ From, To string }

// Spans returns where the rows of a sorted query are that come after that place; empty:
// all. They are in the order in which they are listed, each to be read in the query's
// direction: rows without a value come last.
func (q Query) Spans(after string) (out []Span) {
	all := []Span{{markValue, markAbsent}, {markAbsent, "\x7f"}}
	if q.From != "" {
		all = []Span{{q.From, q.To}}
	}
	for _, s := range all {
		switch {
		case after == "" || s.From[0] > after[0]:
		case s.From[0] < after[0]:
			continue // its rows have been listed
		case q.Descending:
			s.To = min(s.To, after)
		default:
			s.From = max(s.From, after+"\x00")
		}
		if s.From < s.To {
			out = append(out, s)
		}
	}
	return out
}

// Key returns the place of a row in the query's order: its order key, or if it is not
// sorted, its id.
func (q Query) Key(r Row) string {
	if q.Sort == "" {
		return r.ID
	}
	return r.Sorted[q.Sort]
}

// Compare compares two places in the query's order.
func (q Query) Compare(a, b string) int {
	c := strings.Compare(a, b)
	if q.Descending && strings.HasPrefix(a, markAbsent) == strings.HasPrefix(b, markAbsent) {
		return -c
	}
	return c
}

// Matches reports whether the query selects the row.
func (q Query) Matches(r Row) bool {
	key := q.Key(r)
	return r.View != nil && (q.Owner == "" || r.Owner == q.Owner) && (q.Field == "" || r.Indexed[q.Field] == q.Value) &&
		(q.Sort == "" || key != "") && key >= q.From && (q.To == "" || key < q.To) && q.Finds(r.Words)
}

// Finds reports whether each of the query's words is the beginning of one of these.
func (q Query) Finds(words []string) bool {
	for _, w := range q.Words {
		i, _ := slices.BinarySearch(words, w)
		if i == len(words) || !strings.HasPrefix(words[i], w) {
			return false
		}
	}
	return true
}

// Identity names what the query selects, and in which order: what a cursor is good for.
func (q Query) Identity() string {
	s := fmt.Sprintf("%q %q %q %q", q.Model, q.Field, q.Value, q.Owner)
	if q.Sort != "" || len(q.Words) > 0 {
		s += fmt.Sprintf(" %q %t %q %q %q", q.Sort, q.Descending, q.From, q.To, q.Words)
	}
	return s
}
