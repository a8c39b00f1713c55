package importproducts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/product"
)

// unusableFileError says why a file as a whole can't be imported.
type unusableFileError string

func (u unusableFileError) Error() string { return string(u) }

// file is an uploaded file being read.
type file struct {
	*records
	io.Closer
	columns
}

// open reads the header and goes on at the offset and line of a checkpoint.
func open(ctx context.Context, o es.Object, offset, line int64) (_ *file, err error) {
	if o.Size == 0 {
		return nil, unusableFileError("the file is empty: a header row with the columns name, description and price is needed")
	}
	body, err := o.Open(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", o.Key, err)
	}
	front := make([]byte, 64<<10)
	n, err := io.ReadFull(body, front)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errors.Join(fmt.Errorf("read the beginning of %q: %w", o.Key, err), body.Close())
	}
	d, err := guess(front[:n], o.Charset)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	begin := position{int64(d.skip), 1 + int64(bytes.Count(front[:d.skip], []byte{'\n'}))}
	f := &file{newRecords(io.MultiReader(bytes.NewReader(front[d.skip:n]), body), begin, d), body, columns{}}
	if f.columns, err = header(f.records); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	if d.comma != ',' && f.offset < o.Size {
		if err := f.agree(ctx, o); err != nil {
			return nil, errors.Join(err, body.Close())
		}
	}
	at := f.position
	if offset > f.offset {
		at = position{offset, line}
	} else if d.comma == ',' || f.offset >= o.Size {
		return f, nil
	}
	_ = f.Close() // only its beginning was needed
	if body, err = o.Open(ctx, at.offset); err != nil {
		return nil, fmt.Errorf("open %q at byte %d: %w", o.Key, at.offset, err)
	}
	f.records, f.Closer = newRecords(body, at, f.dialect), body
	return f, nil
}

// agree reads the file for its prices: they have decimal commas where one has and
// none has a point.
func (f *file) agree(ctx context.Context, o es.Object) error {
	body, err := o.Open(ctx, f.offset)
	if err != nil {
		return fmt.Errorf("open %q at byte %d: %w", o.Key, f.offset, err)
	}
	defer body.Close()
	r := newRecords(body, f.position, f.dialect)
	commas, points := false, false
	for {
		x, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read the prices of %q: %w", o.Key, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if x.err == nil && f.price < len(x.fields) {
			text := strings.TrimSpace(x.fields[f.price])
			commas, points = commas || commaPrice.MatchString(text), points || pointPrice.MatchString(text)
		}
	}
	f.decimalComma = commas && !points
	return nil
}

// columns says at which place a row has what; -1: nowhere.
type columns struct {
	count, name, description, price, id, categoryID int
	otherID                                         int      // where an id is, too; -1: nowhere
	known                                           []int    // places of those
	variants                                        bool     // rows of a handle without a title are more of the product before
	from                                            string   // the shop whose export it is; empty: none that is known
	renamed, unread                                 []string // columns with other names than ours, and those that are none of ours
}

func header(r *records) (columns, error) {
	h, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return columns{}, unusableFileError("the file is blank: a header row with the columns name, description and price is needed")
	case err != nil:
		return columns{}, err
	case h.err != nil:
		return columns{}, unusableFileError("the file does not begin with a CSV header row: " + h.err.Error())
	}
	names := slices.Clone(h.fields)
	for len(names) > 1 && clean(names[len(names)-1]) == "" {
		names = names[:len(names)-1] // as spreadsheets leave them
	}
	var missing []string
	c := columns{count: len(names), otherID: -1}
	for i, n := range names {
		if !utf8.ValidString(n) || strings.ContainsRune(n, 0) {
			return c, unusableFileError("the file is not CSV text in UTF-8 or UTF-16: save it as CSV in UTF-8")
		}
		if n = clean(n); n != "" && slices.ContainsFunc(names[:i], func(o string) bool { return clean(o) == n }) {
			return c, unusableFileError(fmt.Sprintf("the header row names the column %s twice", quoted(n)))
		}
	}
	find := func(f string, needed bool) int {
		for _, word := range words[f] {
			for i, n := range names {
				if clean(n) == word || word == "price" && field(n) == "price" {
					c.known = append(c.known, i)
					return i
				}
			}
		}
		if needed {
			missing = append(missing, f)
		}
		return -1
	}
	c.name, c.description, c.price = find("name", true), find("description", true), find("price", true)
	c.id, c.categoryID = find("id", false), find("categoryId", false)
	is := func(place int, word string) bool { return place >= 0 && clean(names[place]) == word }
	switch sku := slices.IndexFunc(names, func(n string) bool { return clean(n) == "sku" }); {
	case is(c.id, "handle") && is(c.name, "title"):
		c.variants, c.from = true, "Shopify"
	case is(c.price, "regular price") && is(c.id, "id") && sku >= 0: // the database's number, where there is no other
		c.id, c.otherID = sku, c.id
		c.known = append(c.known, sku)
		fallthrough
	case is(c.price, "regular price"):
		c.from = "WooCommerce"
	}
	for _, x := range []struct {
		ours  string
		place int
	}{{"name", c.name}, {"description", c.description}, {"price", c.price}, {"id", c.id}, {"categoryId", c.categoryID}} {
		if x.place >= 0 && !strings.EqualFold(clean(names[x.place]), x.ours) {
			c.renamed = append(c.renamed, fmt.Sprintf("%s from %s", x.ours, quoted(strings.TrimSpace(names[x.place]))))
		}
	}
	for i, n := range names {
		if near := nearly(n); near != "" && !slices.Contains(c.known, i) && field(n) == "" {
			return c, unusableFileError(fmt.Sprintf("the header row has the column %s, which is nearly %s: name it so, or otherwise", quoted(n), near))
		}
		if !slices.Contains(c.known, i) && clean(n) != "" {
			c.unread = append(c.unread, quoted(strings.TrimSpace(n)))
		}
	}
	if missing != nil {
		return c, unusableFileError("the header row lacks " + strings.Join(missing, ", ") +
			": the columns name, description and price are needed; it was read as " + r.dialect.String() + ", with the columns " + cut(strings.Join(names, ", "), 120))
	}
	return c, nil
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

// row is a product to be added.
type row struct {
	line    int64
	id      string
	derived bool // the id, from the row's content
	product.Add
}

// chunk reads up to so many rows and bytes: those to be added, and what becomes of
// the others: they are wrong, or say more of a product, which is not for the
// catalogue. io.EOF: they are the last.
func (f *file) chunk(rows int, bytes int64) (add []row, told []es.CheckedRow, err error) {
	for start := f.offset; len(add)+len(told) < rows && f.offset-start < bytes; {
		r, err := f.next()
		if err != nil {
			return add, told, err
		}
		x, wrong := f.row(r, f.dialect)
		switch {
		case wrong != nil && f.more(r):
			told = append(told, es.CheckedRow{Line: x.line, Outcome: es.RowUnchanged})
		case wrong != nil:
			told = append(told, *wrong)
		default:
			add = append(add, x)
		}
	}
	return add, told, nil
}

// more says whether a record says more of a product that stands before it: a variant
// of it, an image.
func (c columns) more(r record) bool {
	return c.variants && r.err == nil && len(r.fields) > max(c.id, c.name) &&
		strings.TrimSpace(r.fields[c.name]) == "" && strings.TrimSpace(r.fields[c.id]) != ""
}

// row is what a record says, or the first thing that is wrong with it.
func (c columns) row(r record, d dialect) (row, *es.CheckedRow) {
	x := row{line: r.line}
	for len(r.fields) > c.count && strings.TrimSpace(r.fields[len(r.fields)-1]) == "" {
		r.fields = r.fields[:len(r.fields)-1] // a column without a name
	}
	switch {
	case r.err != nil:
		return x, x.reject("MalformedRow", "the row is not valid CSV: %s", r.err)
	case len(r.fields) != c.count:
		return x, x.reject("WrongColumnCount", "the row has %d columns, the header %d", len(r.fields), c.count)
	}
	for i, s := range r.fields {
		if !utf8.ValidString(s) {
			return x, x.reject("InvalidEncoding", "column %d is not valid UTF-8: save the file as CSV in UTF-8, or say how it is encoded, as in shop import --encoding=windows-1252", i+1)
		}
	}
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(r.fields[i])
	}
	if x.id = cmp.Or(field(c.id), field(c.otherID)); x.id != "" && !es.ValidID(x.id) {
		return x, x.reject("InvalidId", "%s is not an id: %s", quoted(x.id), es.IDRule)
	}
	text, wrong := d.price(field(c.price))
	price, priceErr := es.ParsePrice(text)
	if wrong != "" {
		priceErr = errors.New(wrong)
	}
	add, err := product.Aggregate.Valid(product.Add{
		Name: r.fields[c.name], Description: r.fields[c.description], Price: price, CategoryID: field(c.categoryID),
	})
	x.Add = add.(product.Add)
	if err != nil || priceErr != nil {
		return x, x.invalid(err, priceErr, field(c.price))
	}
	if x.derived = x.id == ""; x.derived {
		x.id = derivedID(x.Name, strings.TrimSpace(x.Description), x.Price.String(), x.CategoryID)
	}
	return x, nil
}

// invalid is the first problem of a product's details.
func (x row) invalid(limits, priceErr error, price string) *es.CheckedRow {
	detail := map[string]string{}
	if problems := (*es.ValidationError)(nil); errors.As(limits, &problems) {
		for _, p := range problems.List {
			detail[p.Pointer] = p.Detail
		}
	}
	switch {
	case detail["/name"] != "":
		return x.reject("InvalidName", "name %s", detail["/name"])
	case detail["/description"] != "":
		return x.reject("InvalidDescription", "description %s", detail["/description"])
	case priceErr != nil:
		return x.reject("InvalidPrice", "price %s %s", quoted(price), priceErr)
	}
	return x.reject("CategoryNotFound", "there is no category %s", quoted(x.CategoryID))
}

// reject keeps the reason short, so that a checkpoint's commit stays small.
func (x row) reject(code, reason string, args ...any) *es.CheckedRow {
	return &es.CheckedRow{Line: x.line, Outcome: code, Reason: cut(fmt.Sprintf(reason, args...), 300)}
}

// quoted is the beginning of a text in quotes, for people.
func quoted(s string) string { return fmt.Sprintf("%q", cut(s, 100)) }

// cut is s, shortened to at most max characters.
func cut(s string, max int) string {
	if utf8.RuneCountInString(s) <= max {
		return s
	}
	return string([]rune(s)[:max-1]) + "…"
}

// namespace of the ids that are derived from content.
var namespace = uuid.MustParse("b0d232f5-cb81-493b-8576-625fc6b977c9")

// derivedID is the UUIDv5 of the JSON array of the texts. The same row, in any
// file, has the same id: what it is made of must never change.
func derivedID(texts ...string) string {
	array := []byte("[")
	for i, text := range texts {
		if i > 0 {
			array = append(array, ',')
		}
		array, _ = jsontext.AppendQuote(array, text) // it is valid UTF-8
	}
	return uuid.NewSHA1(namespace, append(array, ']')).String()
}
