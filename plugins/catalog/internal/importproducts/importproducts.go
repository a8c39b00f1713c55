// Package importproducts adds a product for each row of an uploaded CSV file.
//
// A file is imported in chunks: a chunk's rows are read, their products added,
// and the outcome is committed to the file's ProductImport as a checkpoint.
// Killed anywhere, the import goes on from the last checkpoint; a row that was
// added after it counts as what it was, since its command's id is the same.
package importproducts

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/category"
	"onlineshop/plugins/catalog/internal/product"
	"onlineshop/plugins/catalog/internal/productimport"
)

// Task imports what is put into the bucket product-imports.
var Task = es.Task{
	Name:     "ImportProducts",
	Bucket:   "product-imports",
	OnObject: onObject,
	Check:    check,
	Sends:    []es.AnyAggregate{productimport.Aggregate, product.Aggregate},
	Reports:  productimport.ProductImports,
}

// A chunk ends at so many rows, each of which may be rejected, or bytes.
const (
	chunkRows  = 500
	chunkBytes = 4 << 20
)

func onObject(ctx context.Context, o es.Object, s es.Shop) error {
	r := run{Object: o, Shop: s, id: derivedID(o.Key, o.ETag, o.Upload)}
	if err := r.send(ctx, productimport.Start{ETag: o.ETag, Upload: o.Upload, Size: o.Size}); err != nil {
		return err
	}
	state, err := productimport.Aggregate.State(ctx, s, o.Key)
	if err != nil || !state.Runs(o.Upload) {
		return err // an upload that was imported or replaced needs nothing more
	}
	r.done = state.Done
	err = r.importRows(ctx)
	if err == nil {
		err = r.finish(ctx)
	}
	var unusable unusableFileError
	switch {
	case errors.Is(err, productimport.ErrMovedOn):
		return nil // another runner goes on
	case errors.Is(err, es.ErrObjectGone):
		return r.send(ctx, productimport.Reject{Upload: o.Upload, Reason: "the file was removed or replaced before it was read to its end"})
	case errors.Is(err, es.ErrUnreadable):
		return r.send(ctx, productimport.Reject{Upload: o.Upload, Reason: cut(err.Error(), 300)})
	case errors.As(err, &unusable):
		return r.send(ctx, productimport.Reject{Upload: o.Upload, Reason: unusable.Error()})
	}
	return err
}

// run is one call's work on a file.
type run struct {
	es.Object
	es.Shop
	id   string                   // of key, ETag and upload
	done productimport.Progressed // the checkpoint
}

func (r *run) send(ctx context.Context, c productimport.Command) error {
	return r.Execute(ctx, es.TaskCommand{Command: productimport.Aggregate.Command(r.Key, c), CorrelationID: r.Key})[0].Err
}

func (r *run) importRows(ctx context.Context) error {
	if r.done.Offset > 0 && r.done.Offset >= r.Size {
		return nil // only the end is missing
	}
	f, err := open(ctx, r.Object, r.done.Offset, r.done.Line)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		rows, told, err := f.chunk(chunkRows, chunkBytes)
		atEnd := errors.Is(err, io.EOF)
		if err != nil && !atEnd {
			return fmt.Errorf("read %q at byte %d: %w", r.Key, f.offset, err)
		}
		if f.offset > r.done.Offset {
			if err := r.checkpoint(ctx, f, rows, told); err != nil {
				return err
			}
		}
		switch {
		case atEnd:
			return nil
		case r.Stopping():
			return es.ErrUnfinished
		}
	}
}

// checkpoint adds the products and commits what became of the rows, those that the
// file itself told of included.
func (r *run) checkpoint(ctx context.Context, f *file, rows []row, told []es.CheckedRow) error {
	results, err := r.add(ctx, rows)
	if err != nil {
		return err
	}
	to := r.done
	to.Offset, to.Line, to.Note = f.offset, f.line, ""
	if r.done.Offset == 0 {
		to.Note = f.note()
	}
	to.Rows += len(results) + len(told)
	for _, x := range inOrder(results, told) {
		switch x.Outcome {
		case es.RowAdded:
			to.Added++
		case es.RowUnchanged:
			to.Unchanged++
		default:
			to.Rejected++
			to.Rejections = append(to.Rejections, productimport.Rejection{Line: x.Line, Code: x.Outcome, Reason: x.Reason})
		}
	}
	if err := r.send(ctx, productimport.Progress{Upload: r.Upload, From: r.done.Offset, To: to}); err != nil {
		return err
	}
	to.Rejections = nil
	r.done = to
	return nil
}

// inOrder is what became of rows in the order of the file.
func inOrder(rows ...[]es.CheckedRow) []es.CheckedRow {
	return slices.SortedFunc(slices.Values(slices.Concat(rows...)), func(a, b es.CheckedRow) int { return cmp.Compare(a.Line, b.Line) })
}

// add adds the rows' products, and returns what became of each.
func (r *run) add(ctx context.Context, rows []row) (results []es.CheckedRow, err error) {
	commands := make([]es.TaskCommand, len(rows))
	for i, x := range rows {
		commands[i] = es.TaskCommand{
			Command:       product.Aggregate.Command(x.id, x.Add),
			MessageID:     r.id + "/" + strconv.FormatInt(x.line, 10),
			CorrelationID: r.Key,
		}
	}
	for i, outcome := range r.Execute(ctx, commands...) {
		rejection, err := r.judge(ctx, rows[i], outcome.Err)
		switch {
		case err != nil:
			return nil, fmt.Errorf("import line %d of %q: %w", rows[i].line, r.Key, err)
		case rejection != nil:
			results = append(results, *rejection)
		case outcome.Err != nil:
			results = append(results, es.CheckedRow{Line: rows[i].line, Outcome: es.RowUnchanged})
		default:
			results = append(results, es.CheckedRow{Line: rows[i].line, Outcome: es.RowAdded})
		}
	}
	return results, nil
}

// check says what an import of the file would make of its rows.
func check(ctx context.Context, o es.Object, s es.Shop) (c es.Check, err error) {
	r := run{Object: o, Shop: s}
	f, err := open(ctx, o, 0, 1)
	if unusable := unusableFileError(""); errors.As(err, &unusable) {
		return es.Check{Refused: unusable.Error()}, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	c.Note = f.note()
	for atEnd := false; !atEnd; {
		rows, told, err := f.chunk(chunkRows, chunkBytes)
		if atEnd = errors.Is(err, io.EOF); err != nil && !atEnd {
			return c, fmt.Errorf("read %q at byte %d: %w", o.Key, f.offset, err)
		}
		results, err := r.add(ctx, rows)
		if err != nil {
			return c, err
		}
		c.Rows = append(c.Rows, inOrder(results, told)...)
	}
	return c, nil
}

// judge says how a row is rejected; nil where its product was added, or is
// there already. Only the domain's own answers are a verdict on a row.
func (r *run) judge(ctx context.Context, x row, answer error) (*es.CheckedRow, error) {
	switch {
	case errors.Is(answer, product.ErrAlreadyExists):
		if x.derived {
			return nil, nil
		}
		s, err := product.Aggregate.State(ctx, r, x.id)
		if err != nil || s.Details == product.Details(x.Add) {
			return nil, err
		}
		return x.reject(product.ErrAlreadyExists.Code, "product %s is already there with other details", x.id), nil
	case errors.Is(answer, category.ErrNotFound):
		return x.reject(category.ErrNotFound.Code, "there is no category %s", quoted(x.CategoryID)), nil
	case errors.Is(answer, category.ErrAlreadyArchived):
		return x.reject(category.ErrAlreadyArchived.Code, "category %s is archived", quoted(x.CategoryID)), nil
	}
	return nil, answer
}

// finish writes the error report, where a row was rejected, and ends the run.
func (r *run) finish(ctx context.Context) error {
	if r.done.Rejected > 0 {
		if err := r.WriteReport(ctx, func(w io.Writer) error { return r.report(ctx, w) }); err != nil {
			return fmt.Errorf("write the error report of %q: %w", r.Key, err)
		}
	}
	return r.send(ctx, productimport.Finish{Upload: r.Upload})
}

// inert is a cell that no spreadsheet takes for a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// report writes the run's rejections as CSV: line,code,reason.
func (r *run) report(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "code", "reason"})
	mine := false
	for recorded, err := range productimport.Aggregate.History(ctx, r, r.Key) {
		if err != nil {
			return err
		}
		switch e := recorded.Event.(type) {
		case productimport.Started:
			mine = e.Upload == r.Upload
		case productimport.Progressed:
			for _, x := range e.Rejections {
				if mine {
					_ = out.Write([]string{strconv.FormatInt(x.Line, 10), x.Code, inert(x.Reason)})
				}
			}
		}
	}
	out.Flush() // its error, if any, is the first that a Write met
	return out.Error()
}
