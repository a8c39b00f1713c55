package csvimport

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
	"onlineshop/es/csvimport/run"
)

// A chunk ends at so many rows, each of which may be rejected, or bytes.
const (
	chunkRows  = 500
	chunkBytes = 4 << 20
)

func (x Import[R, C, E, S]) onObject(ctx context.Context, o es.Object, s es.Shop) error {
	r := runner[R, C, E, S]{Import: x, Object: o, Shop: s, id: derivedID(o.Key, o.ETag, o.Upload)}
	if err := r.send(ctx, run.Start{ETag: o.ETag, Upload: o.Upload, Size: o.Size}); err != nil {
		return err
	}
	state, err := x.runs.State(ctx, s, o.Key)
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
	case errors.Is(err, run.ErrMovedOn):
		return nil // another runner continues
	case errors.Is(err, es.ErrObjectGone):
		return r.send(ctx, run.Reject{Upload: o.Upload, Reason: "the file was removed or replaced before it was read to its end"})
	case errors.Is(err, es.ErrUnreadable):
		return r.send(ctx, run.Reject{Upload: o.Upload, Reason: cut(err.Error(), 300)})
	case errors.As(err, &unusable):
		return r.send(ctx, run.Reject{Upload: o.Upload, Reason: unusable.Error()})
	}
	return err
}

// runner is one call's work on a file.
type runner[R, C, E, S any] struct {
	Import[R, C, E, S]
	es.Object
	es.Shop
	id   string         // of key, ETag and upload
	done run.Progressed // the checkpoint
}

func (r *runner[R, C, E, S]) send(ctx context.Context, c run.Command) error {
	return r.Execute(ctx, es.TaskCommand{Command: r.runs.Command(r.Key, c), CorrelationID: r.Key})[0].Err
}

func (r *runner[R, C, E, S]) importRows(ctx context.Context) error {
	if r.done.Offset > 0 && r.done.Offset >= r.Size {
		return nil // only the end is missing
	}
	f, err := r.columns.open(ctx, r.Object, r.exports, r.done.Offset, r.done.Line)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		rows, told, err := r.chunk(f, chunkRows, chunkBytes)
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

// checkpoint sends the rows' commands and commits what became of the rows, those that the
// file itself told of included.
func (r *runner[R, C, E, S]) checkpoint(ctx context.Context, f *file, rows []row[R, C], told []es.CheckedRow) error {
	results, err := r.execute(ctx, rows)
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
			to.Rejections = append(to.Rejections, run.Rejection{Line: x.Line, Code: x.Outcome, Reason: x.Reason})
		}
	}
	if err := r.send(ctx, run.Progress{Upload: r.Upload, From: r.done.Offset, To: to}); err != nil {
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

// execute sends the rows' commands, and returns what became of each.
func (r *runner[R, C, E, S]) execute(ctx context.Context, rows []row[R, C]) (results []es.CheckedRow, err error) {
	commands := make([]es.TaskCommand, len(rows))
	for i, x := range rows {
		commands[i] = es.TaskCommand{
			Command:       r.into.Command(x.id, x.command),
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
		case outcome.Err != nil || len(outcome.Events) == 0:
			results = append(results, es.CheckedRow{Line: rows[i].line, Outcome: es.RowUnchanged})
		default:
			results = append(results, es.CheckedRow{Line: rows[i].line, Outcome: es.RowAdded})
		}
	}
	return results, nil
}

// check says what an import of the file would make of its rows.
func (x Import[R, C, E, S]) check(ctx context.Context, o es.Object, s es.Shop) (c es.Check, err error) {
	r := runner[R, C, E, S]{Import: x, Object: o, Shop: s}
	f, err := x.columns.open(ctx, o, x.exports, 0, 1)
	if unusable := unusableFileError(""); errors.As(err, &unusable) {
		return es.Check{Refused: unusable.Error()}, nil
	}
	if err != nil {
		return c, err
	}
	defer f.Close()
	c.Note = f.note()
	for atEnd := false; !atEnd; {
		rows, told, err := x.chunk(f, chunkRows, chunkBytes)
		if atEnd = errors.Is(err, io.EOF); err != nil && !atEnd {
			return c, fmt.Errorf("read %q at byte %d: %w", o.Key, f.offset, err)
		}
		results, err := r.execute(ctx, rows)
		if err != nil {
			return c, err
		}
		c.Rows = append(c.Rows, inOrder(results, told)...)
	}
	return c, nil
}

// judge says how a row is rejected; nil where its command was accepted, or what it
// says is there already. Only the domain's own answers are a verdict on a row.
func (r *runner[R, C, E, S]) judge(ctx context.Context, x row[R, C], answer error) (*es.CheckedRow, error) {
	if answer == nil {
		return nil, nil
	}
	if r.exists != nil && errors.Is(answer, r.exists) {
		if x.derived {
			return nil, nil
		}
		s, err := r.into.State(ctx, r, x.id)
		if err != nil || r.same(s, x.command) {
			return nil, err
		}
	}
	v := r.verdictOn(x.R, answer)
	if v == nil {
		return nil, answer
	}
	return reject(x.line, v.Code, v.Detail), nil
}

// finish writes the error report, where a row was rejected, and ends the run.
func (r *runner[R, C, E, S]) finish(ctx context.Context) error {
	if r.done.Rejected > 0 {
		if err := r.WriteReport(ctx, func(w io.Writer) error { return r.report(ctx, w) }); err != nil {
			return fmt.Errorf("write the error report of %q: %w", r.Key, err)
		}
	}
	return r.send(ctx, run.Finish{Upload: r.Upload})
}

// report writes the run's rejections as CSV: line,code,reason.
func (r *runner[R, C, E, S]) report(ctx context.Context, w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "code", "reason"})
	mine := false
	for recorded, err := range r.runs.History(ctx, r, r.Key) {
		if err != nil {
			return err
		}
		switch e := recorded.Event.(type) {
		case run.Started:
			mine = e.Upload == r.Upload
		case run.Progressed:
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

// isFormula says whether a spreadsheet may take a cell for a formula.
func isFormula(cell string) bool {
	return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0]))
}

// inert is a cell that no spreadsheet takes for a formula. One that looks as if it were
// made inert already gets another apostrophe, so that [alive] is exact.
func inert(cell string) string {
	if isFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

// alive is the text of which [inert] made a cell.
func alive(cell string) string {
	if strings.HasPrefix(cell, "'") && isFormula(strings.TrimLeft(cell, "'")) {
		return cell[1:]
	}
	return cell
}
