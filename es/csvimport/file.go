package csvimport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"onlineshop/es"
)

// unusableFileError says why a file as a whole can't be imported.
type unusableFileError string

func (u unusableFileError) Error() string { return string(u) }

// file is an uploaded file being read.
type file struct {
	*records
	io.Closer
	header

	decoder jsontext.Decoder // of commands
	texts   []string         // of one
}

// place is where a column stands among those without the key; -1: nowhere.
func (f *file) place(name string) int {
	n := 0
	for _, c := range f.columns {
		switch {
		case c.key:
		case c.name == name:
			return n
		default:
			n++
		}
	}
	return -1
}

// open reads the header and continues at the offset and line of a checkpoint.
func (all columns) open(ctx context.Context, o es.Object, exports []Export, offset, line int64) (_ *file, err error) {
	if o.Size == 0 {
		return nil, unusableFileError("the file is empty: a header row with " + all.needed() + " is needed")
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
	d, err := all.guess(front[:n], o.Charset)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	begin := position{int64(d.skip), 1 + int64(bytes.Count(front[:d.skip], []byte{'\n'}))}
	f := &file{records: newRecords(io.MultiReader(bytes.NewReader(front[d.skip:n]), body), begin, d), Closer: body}
	if f.header, err = all.header(f.records, exports); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	if d.comma != ',' && f.offset < o.Size && f.hasPrices() {
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
		for i, c := range f.columns {
			if place := f.places[i]; c.kind == priceCell && x.err == nil && place >= 0 && place < len(x.fields) {
				text := strings.TrimSpace(x.fields[place])
				commas, points = commas || commaPrice.MatchString(text), points || pointPrice.MatchString(text)
			}
		}
	}
	f.decimalComma = commas && !points
	return nil
}
