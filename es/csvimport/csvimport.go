// Package csvimport is for tasks that import CSV files: a row's type, and the command that
// a row is.
//
//	// Row is a row of a file of counts.
//	type Row struct {
//		Count int    `csv:"count"`
//		SKU   string `csv:"sku,key" also:"article|item no"`
//	}
//
//	// Counts sets the stock item of each row to its count.
//	var Counts = csvimport.New("ImportCounts", "CountImport", stockitem.Aggregate, func(r Row) stockitem.Command {
//		return stockitem.Count{Count: r.Count}
//	})
//
// That is the task ImportCounts with the bucket count-imports, the internal aggregate
// CountImport with a run for each file, and the view CountImports of what became of each.
// The plugin gets all of them.
//
// A file is told by its header row, whose order and case don't matter: separators,
// encodings and decimal commas are read as people and spreadsheets write them. It is
// imported in chunks: a chunk's rows are read, their commands sent, and the outcome is
// committed as a checkpoint. Killed anywhere, the import continues at the last one; a row
// that was done after it counts as what it was, since its command's id is the same. A wrong
// row is rejected by itself, in a report with its line, a code and the reason.
package csvimport

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"onlineshop/es"
	"onlineshop/es/csvimport/run"
	"onlineshop/es/naming"
)

// Import is a task that sends a command C of one aggregate for each row R of a file, with
// the aggregate and the view of its runs.
type Import[R, C, E, S any] struct {
	name    string
	runs    es.Aggregate[run.Command, run.Event, run.State]
	into    es.Aggregate[C, E, S]
	command func(R) C
	encode  func(any) (string, []byte, error) // a command
	columns columns
	exports []Export
	exists  *es.Rejection
	same    func(S, C) bool
	verdict func(R, error) *es.Rejection
	refers  map[string]*es.Rejection
	example string
}

// New declares an import: the task's name; the name of its runs, which with an s is their
// view's and, in kebab case, the bucket's; where the commands go to, and which one a row
// is.
//
// R is a struct, with a column for each field: a string, an es.Price, an int or an int64. Its tag
// csv has the column's name, as it is in the command's JSON, and may say that it is
// optional, that white space around it is not meant (trim), and that it is the id that the
// command is for (key). Without a key, or in a row whose optional key is empty, the id is derived
// from the other columns, so that the same row is the same thing in any file. Its tag also
// has other words for the column, in lower case, separated by bars.
func New[R, C, E, S any](task, runs string, into es.Aggregate[C, E, S], command func(R) C) Import[R, C, E, S] {
	return Import[R, C, E, S]{
		name: task, runs: run.NewAggregate(naming.Full(naming.Plugin(into.Name()), runs)), into: into, command: command, encode: into.Definition().EncodeCommand,
		columns: columnsOf(reflect.TypeFor[R]()), refers: map[string]*es.Rejection{},
	}
}

// Unchanged says with which rejection a row is answered whose aggregate is there already,
// and whether that is as the row wants it. Where the id is derived it always is.
func (x Import[R, C, E, S]) Unchanged(exists *es.Rejection, same func(S, C) bool) Import[R, C, E, S] {
	x.exists, x.same = exists, same
	return x
}

// Verdicts says which rejections are about the row, and with Because why, for people: it
// returns nil for others. Those end the call, and the row is tried again. Without it, all
// of the domain's are about the row.
func (x Import[R, C, E, S]) Verdicts(verdict func(R, error) *es.Rejection) Import[R, C, E, S] {
	x.verdict = verdict
	return x
}

// Refers says that a column names something else, and how it is rejected where there is no
// such thing: so is a text that can be no such name.
func (x Import[R, C, E, S]) Refers(column string, unknown *es.Rejection) Import[R, C, E, S] {
	if x.columns.named(column) == nil {
		panic(fmt.Sprintf("import %s has no column %s", x.name, column))
	}
	refers := map[string]*es.Rejection{column: unknown}
	for c, r := range x.refers {
		refers[c] = r
	}
	x.refers = refers
	return x
}

// Example is a file to start from, for people.
func (x Import[R, C, E, S]) Example(text string) Import[R, C, E, S] { x.example = text; return x }

// Exports are those of other programs that are read, too.
func (x Import[R, C, E, S]) Exports(from ...Export) Import[R, C, E, S] { x.exports = from; return x }

// Export is how another program writes such files. It is told by what it calls columns.
type Export struct {
	Of      string            // the program
	Columns map[string]string // what it calls our columns, in lower case
	// Key is the column that has the key, if that is not the one that is called so. In a
	// row where it is empty, that one counts.
	Key string
	// Continues is our column without which a row with a key says more of the row before:
	// it is unchanged.
	Continues string
}

// Aggregate is that of the runs, by the key of the file.
func (x Import[R, C, E, S]) Aggregate() es.Aggregate[run.Command, run.Event, run.State] {
	return x.runs
}

// View is what became of each file.
func (x Import[R, C, E, S]) View() es.ReadModel[run.Import] {
	return run.NewView(naming.Short(x.runs.Name())+"s", x.runs)
}

// Task is what works on the files.
func (x Import[R, C, E, S]) Task() es.Task {
	view := x.View()
	return es.Task{
		Name:     x.name,
		Bucket:   naming.PathSegment(view.Name()),
		OnObject: x.onObject,
		Check:    x.check,
		Sends:    []es.AnyAggregate{x.runs, x.into},
		Reports:  view,
		Example:  x.example,
	}
}

// row is one that a command is sent for.
type row[R, C any] struct {
	R       R
	command C
	line    int64
	id      string
	derived bool // the id, from the row's content
}

// chunk reads up to so many rows and bytes: those that commands are sent for, and what
// becomes of the others: they are wrong, or say more of the one before. io.EOF: they are
// the last.
func (x Import[R, C, E, S]) chunk(f *file, rows int, bytes int64) (send []row[R, C], told []es.CheckedRow, err error) {
	for start := f.offset; len(send)+len(told) < rows && f.offset-start < bytes; {
		r, err := f.next()
		if err != nil {
			return send, told, err
		}
		y, wrong := x.row(f, r)
		switch {
		case wrong != nil && f.more(r):
			told = append(told, es.CheckedRow{Line: r.line, Outcome: es.RowUnchanged})
		case wrong != nil:
			told = append(told, *wrong)
		default:
			send = append(send, y)
		}
	}
	return send, told, nil
}

// row is what a record says, or the first thing that is wrong with it.
func (x Import[R, C, E, S]) row(f *file, r record) (out row[R, C], wrong *es.CheckedRow) {
	for len(r.fields) > f.count && strings.TrimSpace(r.fields[len(r.fields)-1]) == "" {
		r.fields = r.fields[:len(r.fields)-1] // a column without a name
	}
	switch {
	case r.err != nil:
		return out, reject(r.line, "MalformedRow", "the row is not valid CSV: "+r.err.Error())
	case len(r.fields) != f.count:
		return out, reject(r.line, "WrongColumnCount", fmt.Sprintf("the row has %d columns, the header %d", len(r.fields), f.count))
	}
	for i, s := range r.fields {
		if !utf8.ValidString(s) {
			return out, reject(r.line, "InvalidEncoding", fmt.Sprintf("column %d is not valid UTF-8: save the file as CSV in UTF-8, or say how it is encoded, as in shop import --encoding=windows-1252", i+1))
		}
	}
	out.line = r.line
	if out.id = f.key(r.fields); !es.ValidID(out.id) && (out.id != "" || f.keyed()) {
		return out, reject(r.line, "InvalidId", Quoted(out.id)+" is not an id: "+es.IDRule)
	}
	mistyped := f.set(reflect.ValueOf(&out.R).Elem(), r.fields, f.dialect)
	command, err := x.into.Valid(x.command(out.R))
	if err != nil || mistyped != nil {
		return out, x.invalid(out, err, mistyped)
	}
	out.command = command
	if out.derived = out.id == ""; out.derived {
		texts, err := x.content(command, f)
		if err != nil {
			return out, reject(r.line, "InvalidRow", err.Error())
		}
		out.id = derivedID(texts...)
	}
	return out, nil
}

// invalid is the first problem of a row, in the order of the columns.
func (x Import[R, C, E, S]) invalid(y row[R, C], limits error, mistyped map[string]string) *es.CheckedRow {
	detail := map[string]string{}
	if problems := (*es.ValidationError)(nil); errors.As(limits, &problems) {
		for _, p := range problems.List {
			detail[p.Pointer] = p.Detail
		}
	}
	for _, c := range x.columns {
		why := mistyped[c.name]
		if why == "" {
			why = detail["/"+c.name]
		}
		if unknown := x.refers[c.name]; why != "" && unknown != nil {
			if v := x.verdictOn(y.R, unknown); v != nil {
				return reject(y.line, v.Code, v.Detail)
			}
		}
		if why != "" {
			return reject(y.line, "Invalid"+strings.ToUpper(c.name[:1])+c.name[1:], c.name+" "+why)
		}
	}
	return reject(y.line, "InvalidRow", limits.Error()) // of something that is not a column
}

func (x Import[R, C, E, S]) verdictOn(r R, answer error) *es.Rejection {
	if x.verdict != nil {
		return x.verdict(r, answer)
	}
	no := (*es.Rejection)(nil)
	if !errors.As(answer, &no) || no.Status != http.StatusNotFound && no.Status != http.StatusConflict {
		return nil
	}
	return no.Because("%s", cmp.Or(no.Detail, no.Code))
}

// reject keeps the reason short, so that a checkpoint's commit stays small.
func reject(line int64, code, reason string) *es.CheckedRow {
	return &es.CheckedRow{Line: line, Outcome: code, Reason: cut(reason, 300)}
}

// content returns the cells of a row without its key, as its command has them.
func (x Import[R, C, E, S]) content(c C, f *file) ([]string, error) {
	_, payload, err := x.encode(c)
	if err != nil {
		return nil, err
	}
	texts := f.texts[:0]
	for _, col := range f.columns {
		if !col.key {
			texts = append(texts, "")
		}
	}
	f.texts = texts
	d := &f.decoder
	d.Reset(bytes.NewBuffer(payload))
	for _, err = d.ReadToken(); err == nil && d.PeekKind() == '"'; {
		var token jsontext.Token
		if token, err = d.ReadToken(); err != nil {
			break
		}
		cell := f.place(token.String())
		if kind := d.PeekKind(); cell < 0 || kind == '{' || kind == '[' {
			err = d.SkipValue() // not of a cell
		} else if token, err = d.ReadToken(); err == nil {
			texts[cell] = strings.TrimSpace(token.String())
		}
	}
	return texts, err
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

// Write writes rows as a file that can be imported again, to the same rows: every cell is
// in quotes, and one that a spreadsheet would take for a formula begins with an apostrophe,
// which the import takes away.
func (x Import[R, C, E, S]) Write(w io.Writer, rows iter.Seq2[R, error]) error {
	line := []byte{}
	end := func() error {
		line[len(line)-1] = '\n'
		_, err := w.Write(line)
		line = line[:0]
		return err
	}
	cell := func(text string) {
		line = append(append(append(line, '"'), strings.ReplaceAll(text, `"`, `""`)...), '"', ',')
	}
	for _, c := range x.columns {
		cell(c.name)
	}
	if err := end(); err != nil {
		return err
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		v := reflect.ValueOf(&r).Elem()
		for _, c := range x.columns {
			switch from := v.Field(c.field).Addr().Interface().(type) {
			case *string:
				cell(inert(*from))
			case *es.Price:
				cell(from.String())
			case *int:
				cell(strconv.Itoa(*from))
			case *int64:
				cell(strconv.FormatInt(*from, 10))
			}
		}
		if err := end(); err != nil {
			return err
		}
	}
	return nil
}
