package importproducts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/product"
	"onlineshop/plugins/catalog/internal/productimport"
)

// unusableFile says why a file as a whole can't be imported.
type unusableFile string

func (u unusableFile) Error() string { return string(u) }

// file is an uploaded file being read.
type file struct {
	*records
	io.Closer
	columns
}

// open reads the header and goes on at the offset and line of a checkpoint.
func open(ctx context.Context, o es.Object, offset, line int64) (_ *file, err error) {
	if o.Size == 0 {
		return nil, unusableFile("the file is empty: a header row with the columns name, description and price is needed")
	}
	body, err := o.Open(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("open %q: %w", o.Key, err)
	}
	f := &file{newRecords(body, position{0, 1}), body, columns{}}
	if f.columns, err = header(f.records); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	if offset <= f.offset {
		return f, nil
	}
	_ = body.Close() // only its beginning was needed
	if body, err = o.Open(ctx, offset); err != nil {
		return nil, fmt.Errorf("open %q at byte %d: %w", o.Key, offset, err)
	}
	f.records, f.Closer = newRecords(body, position{offset, line}), body
	return f, nil
}

// columns says at which place a row has what; -1: nowhere.
type columns struct{ count, name, description, price, id, categoryID int }

func header(r *records) (columns, error) {
	if err := r.skipMark(); err != nil {
		return columns{}, err
	}
	h, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return columns{}, unusableFile("the file is blank: a header row with the columns name, description and price is needed")
	case err != nil:
		return columns{}, err
	case h.err != nil:
		return columns{}, unusableFile("the file does not begin with a CSV header row: " + h.err.Error())
	}
	names := slices.Clone(h.fields)
	for i, n := range names {
		if !utf8.ValidString(n) || strings.ContainsRune(n, 0) {
			return columns{}, unusableFile("the file is not CSV text in UTF-8: save it as CSV, separated by commas, in UTF-8")
		}
		names[i] = strings.ToLower(strings.TrimSpace(n))
		if names[i] != "" && slices.Contains(names[:i], names[i]) {
			return columns{}, unusableFile(fmt.Sprintf("the header row names the column %s twice", quoted(names[i])))
		}
	}
	var missing []string
	find := func(name string, needed bool) int {
		i := slices.Index(names, strings.ToLower(name))
		if i < 0 && needed {
			missing = append(missing, name)
		}
		return i
	}
	c := columns{
		len(names), find("name", true), find("description", true), find("price", true),
		find("id", false), find("categoryId", false),
	}
	if missing != nil {
		return c, unusableFile("the header row lacks " + strings.Join(missing, ", ") +
			": the columns name, description and price are needed, separated by commas")
	}
	return c, nil
}

// row is a product to be added.
type row struct {
	line    int64
	id      string
	derived bool // the id, from the row's content
	product.Add
}

// chunk reads up to so many rows and bytes: those to be added, and those that
// are wrong. io.EOF: they are the last.
func (f *file) chunk(rows int, bytes int64) (add []row, rejected []productimport.Rejection, err error) {
	for start := f.offset; len(add)+len(rejected) < rows && f.offset-start < bytes; {
		r, err := f.next()
		if err != nil {
			return add, rejected, err
		}
		x, wrong := f.row(r)
		if wrong != nil {
			rejected = append(rejected, *wrong)
		} else {
			add = append(add, x)
		}
	}
	return add, rejected, nil
}

// row is what a record says, or the first thing that is wrong with it.
func (c columns) row(r record) (row, *productimport.Rejection) {
	x := row{line: r.line}
	switch {
	case r.err != nil:
		return x, x.reject("MalformedRow", "the row is not valid CSV: %s", r.err)
	case len(r.fields) != c.count:
		return x, x.reject("WrongColumnCount", "the row has %d columns, the header %d", len(r.fields), c.count)
	}
	for i, s := range r.fields {
		if !utf8.ValidString(s) {
			return x, x.reject("InvalidEncoding", "column %d is not valid UTF-8", i+1)
		}
	}
	field := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(r.fields[i])
	}
	if x.id = field(c.id); x.id != "" && !es.ValidID(x.id) {
		return x, x.reject("InvalidId", "%s is no id: %s", quoted(x.id), es.IDRule)
	}
	price, priceErr := es.ParsePrice(field(c.price))
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
func (x row) invalid(limits, priceErr error, price string) *productimport.Rejection {
	detail := map[string]string{}
	if problems := (*es.Problems)(nil); errors.As(limits, &problems) {
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
func (x row) reject(code, reason string, args ...any) *productimport.Rejection {
	return &productimport.Rejection{Line: x.line, Code: code, Reason: cut(fmt.Sprintf(reason, args...), 300)}
}

// quoted is the beginning of a text in quotes, for people.
func quoted(s string) string { return fmt.Sprintf("%q", cut(s, 40)) }

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
	return uuid.NewSHA1(namespace, es.AppendList(nil, texts, es.AppendString)).String()
}
