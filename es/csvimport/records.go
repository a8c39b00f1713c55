package csvimport

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode"
)

// maxRecord is how many bytes a record may have.
const maxRecord = 1 << 20

// position is a place in the file where a record may start.
type position struct {
	offset int64 // bytes from the file's start
	line   int64 // physical line, from 1
}

// record is one CSV record, or a line that can't be read as one.
type record struct {
	line   int64    // physical line of its first character
	fields []string // valid until the next record
	err    error    // why it can't be read
}

// records reads RFC 4180 text record by record. What can't be read costs one
// line, not the rest of the file: after a quote that is never closed, reading
// continues at the line after the one where the record began. So it keeps the
// text from the record's start on, which maxRecord bounds.
type records struct {
	position // of text
	dialect
	in     io.Reader
	text   []byte // read from in and not yet passed on
	atEnd  bool   // in has no more
	buffer []byte // that text lies in

	source bytes.Reader // one record's text, on its way to the parser
	piped  *bufio.Reader
	parser *csv.Reader
}

func newRecords(in io.Reader, p position, d dialect) *records {
	r := &records{in: d.decode(in), dialect: d, position: p, buffer: make([]byte, 64<<10)}
	r.piped = bufio.NewReader(&r.source)
	r.parser = csv.NewReader(r.piped) // which takes a bufio.Reader as it is
	r.parser.FieldsPerRecord = -1
	r.parser.ReuseRecord = true
	r.parser.Comma = d.comma
	return r
}

// Why a line can't be read, for people.
var (
	errTooLong   = fmt.Errorf("it is longer than %d bytes (is a quote left open?)", maxRecord)
	errBareQuote = errors.New("there is a quote inside a field that does not begin with one")
	errQuote     = errors.New("a quoted field is not closed, or continues after its closing quote")
)

// next returns the next record; it skips blank lines. io.EOF: there are no more.
func (r *records) next() (record, error) {
	for {
		whole, firstLine, err := r.measure()
		switch {
		case errors.Is(err, errTooLong):
			rejected := record{line: r.line, err: err}
			return rejected, r.skipLine()
		case err != nil:
			return record{}, err
		case r.blank(r.text[:whole]):
			r.pass(whole)
			continue
		}
		text := r.text[:whole]
		switch exact := isExact(text); {
		case exact && bytes.Contains(text, []byte("\r\n")):
			text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\r\r\n")) // of which the parser drops one
		case !exact && bytes.Contains(text, []byte("\r\r\n")):
			text = bytes.ReplaceAll(text, []byte("\r\r\n"), []byte("\r\n"))
		}
		r.source.Reset(text)
		r.piped.Reset(&r.source)
		out := record{line: r.line}
		out.fields, out.err = r.parser.Read()
		if out.err == nil && firstLine < whole && r.swallows(text, out.fields) {
			out.err = csv.ErrQuote
		}
		if out.err != nil {
			whole = firstLine
			if errors.Is(out.err, csv.ErrBareQuote) {
				out.err = errBareQuote
			} else {
				out.err = errQuote
			}
		}
		r.pass(whole)
		return out, nil
	}
}

// blank says whether a line has nothing but separators and space, as spreadsheets
// leave them.
func (r *records) blank(line []byte) bool {
	return !bytes.ContainsFunc(line, func(c rune) bool { return c != r.comma && !unicode.IsSpace(c) })
}

// isExact says whether a record is as [Import.Write] writes it, every field in quotes:
// then line breaks in it are what somebody wrote, and not the file's.
func isExact(text []byte) bool {
	return len(text) > 2 && text[0] == '"' && bytes.HasSuffix(text, []byte("\"\n"))
}

// swallows says whether a record of several lines has others inside a field: two
// quotes that were left open make one. Then each of its lines is a row by itself.
func (r *records) swallows(text []byte, fields []string) bool {
	if isExact(text) {
		return false
	}
	n := 0
	for line := range bytes.Lines(text) {
		if n++; bytes.Count(line, []byte(string(r.comma))) != len(fields)-1 {
			return false
		}
	}
	return n > 1 && len(fields) > 2
}

// measure says how many bytes the record at the front of text has, up to the
// first line break outside of quotes, and how many its first line.
func (r *records) measure() (whole, firstLine int, err error) {
	quotes := 0
	for {
		at := bytes.IndexByte(r.text[whole:], '\n')
		switch {
		case whole+at >= maxRecord || at < 0 && len(r.text) > maxRecord:
			return 0, 0, errTooLong
		case at >= 0:
			at++
		case !r.atEnd:
			if err := r.fill(); err != nil {
				return 0, 0, err
			}
			continue
		case len(r.text) == 0:
			return 0, 0, io.EOF
		default:
			at = len(r.text) - whole
		}
		quotes += bytes.Count(r.text[whole:whole+at], []byte{'"'})
		whole += at
		if firstLine == 0 {
			firstLine = whole
		}
		if quotes%2 == 0 || r.atEnd && whole == len(r.text) {
			return whole, firstLine, nil
		}
	}
}

// skipLine passes over the line at the front, however long it is.
func (r *records) skipLine() error {
	for {
		if at := bytes.IndexByte(r.text, '\n'); at >= 0 {
			r.pass(at + 1)
			return nil
		}
		r.pass(len(r.text))
		if r.atEnd {
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

func (r *records) pass(n int) {
	r.offset += int64(r.width(r.text[:n]))
	r.line += int64(bytes.Count(r.text[:n], []byte{'\n'}))
	r.text = r.text[n:]
}

// fill reads more text.
func (r *records) fill() error {
	if len(r.text) == len(r.buffer) {
		r.buffer = make([]byte, 2*len(r.buffer))
	}
	kept := copy(r.buffer, r.text)
	n, err := io.ReadAtLeast(r.in, r.buffer[kept:], 1)
	r.text = r.buffer[:kept+n]
	if r.atEnd = errors.Is(err, io.EOF); r.atEnd {
		return nil
	}
	return err
}
