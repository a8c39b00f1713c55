package csvimport

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// read is every record of a text from a position on, and where each ended.
func read(t testing.TB, in io.Reader, p position) (all []record, ends []position) {
	t.Helper()
	return readAs(t, in, p, dialect{comma: ','})
}

func readAs(t testing.TB, in io.Reader, p position, d dialect) (all []record, ends []position) {
	t.Helper()
	r := newRecords(in, p, d)
	for {
		before := r.position
		x, err := r.next()
		if errors.Is(err, io.EOF) {
			return all, append(ends, r.position)
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.offset <= before.offset {
			t.Fatalf("the reader stands still at %+v", before)
		}
		x.fields = slices.Clone(x.fields)
		all, ends = append(all, x), append(ends, r.position)
	}
}

// said is a record in short: its line, and its fields or why there are none.
func said(all []record) []string {
	out := []string{}
	for _, r := range all {
		if r.err != nil {
			out = append(out, fmt.Sprintf("%d: %v", r.line, r.err))
		} else {
			out = append(out, fmt.Sprintf("%d: %q", r.line, r.fields))
		}
	}
	return out
}

func TestRecords(t *testing.T) {
	long := strings.Repeat("x", maxRecord)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"none":                         {"", []string{}},
		"lines":                        {"a,b\nc\n", []string{`1: ["a" "b"]`, `2: ["c"]`}},
		"no line break at the end":     {"a\nb", []string{`1: ["a"]`, `2: ["b"]`}},
		"CRLF":                         {"a,b\r\nc,d\r\n", []string{`1: ["a" "b"]`, `2: ["c" "d"]`}},
		"blank lines":                  {"\n \n\ta\n\r\n  \t\nb\n\n", []string{`3: ["\ta"]`, `6: ["b"]`}},
		"empty fields":                 {",x\n\"\"\n", []string{`1: ["" "x"]`, `2: [""]`}},
		"separators alone":             {"a,b\n,,,\n , \nc,d\n", []string{`1: ["a" "b"]`, `4: ["c" "d"]`}},
		"two carriage returns":         {"a,b\r\r\nc,d\r\r\n", []string{`1: ["a" "b"]`, `2: ["c" "d"]`}},
		"two quotes left open":         {"1,\"abc,,1\n2,x,,2\n3,def\",,3\n", []string{"1: " + errQuote.Error(), `2: ["2" "x" "" "2"]`, "3: " + errBareQuote.Error()}},
		"quotes":                       {"\"a,\"\"b\"\"\nc\",d\ne\n", []string{`1: ["a,\"b\"\nc" "d"]`, `3: ["e"]`}},
		"a quote never closed":         {"a\n\"b\nc\nd\n", []string{`1: ["a"]`, "2: " + errQuote.Error(), `3: ["c"]`, `4: ["d"]`}},
		"a quote inside a field":       {"a \"b\nc\n", []string{"1: " + errBareQuote.Error(), `2: ["c"]`}},
		"two bad rows":                 {"\"a\nb\n\"c\nd\n", []string{"1: " + errQuote.Error(), `2: ["b"]`, "3: " + errQuote.Error(), `4: ["d"]`}},
		"a bad row of several lines":   {"\"a\nb\"c\nd\n", []string{"1: " + errQuote.Error(), "2: " + errBareQuote.Error(), `3: ["d"]`}},
		"a line as long as may be":     {long[1:] + "\na\n", []string{fmt.Sprintf("1: [%q]", long[1:]), `2: ["a"]`}},
		"a line that is too long":      {long + "\na\n", []string{"1: " + errTooLong.Error(), `2: ["a"]`}},
		"too long, at the end":         {"a\n" + long + "x", []string{`1: ["a"]`, "2: " + errTooLong.Error()}},
		"far too long":                 {long + long + long + "\na\n", []string{"1: " + errTooLong.Error(), `2: ["a"]`}},
		"a quote left open too long":   {"\"a\nb\n" + long + "\n\"\nd", []string{"1: " + errTooLong.Error(), `2: ["b"]`, "3: " + errTooLong.Error(), "4: " + errQuote.Error(), `5: ["d"]`}},
		"a byte-order mark in between": {"a\n\uFEFFb\n", []string{`1: ["a"]`, `2: ["\ufeffb"]`}},
	} {
		t.Run(name, func(t *testing.T) {
			all, ends := read(t, strings.NewReader(c.text), position{0, 1})
			if diff := cmp.Diff(c.want, said(all)); diff != "" {
				t.Errorf("the records differ (-want +got):\n%.2000s", diff)
			}
			end := position{int64(len(c.text)), 1 + int64(strings.Count(c.text, "\n"))}
			if got := ends[len(ends)-1]; got != end {
				t.Errorf("reading ended at %+v, want %+v", got, end)
			}
		})
	}
}

func TestReadErrorsAreNoRows(t *testing.T) {
	down := errors.New("the line is down")
	r := newRecords(io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(down)), position{0, 1}, dialect{comma: ','})
	if x, err := r.next(); err != nil || x.fields[0] != "a" {
		t.Fatalf("got %+v, %v, want the first row", x, err)
	}
	if x, err := r.next(); !errors.Is(err, down) {
		t.Fatalf("got %+v, %v, want %v", x, err, down)
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	for _, d := range dialects() {
		if d.comma != ';' {
			continue // which one it is makes no difference to memory
		}
		t.Run(d.String(), func(t *testing.T) {
			end := "\n"
			if d.carriage {
				end = "\r"
			}
			long := io.MultiReader(
				io.LimitReader(endless("x"), 6*maxRecord), strings.NewReader(end),
				io.LimitReader(endless("a"+string(d.comma)+"\"b"+end+"c\""+end), 4*maxRecord),
				strings.NewReader("\""), io.LimitReader(endless("a"+end), 2*maxRecord))
			if d.text != nil {
				long = transform.NewReader(long, d.text.NewEncoder())
			}
			r := newRecords(long, position{0, 1}, d)
			for {
				if _, err := r.next(); err != nil {
					break
				}
			}
			if len(r.buffer) > 4*maxRecord {
				t.Errorf("the reader holds %d bytes, want at most 4 MiB", len(r.buffer))
			}
		})
	}
}

// dialects are one of each kind.
func dialects() (all []dialect) {
	for _, comma := range separators {
		all = append(all, dialect{comma: comma}, dialect{comma: comma, carriage: true},
			dialect{comma: comma, text: littleEndian, charset: "UTF-16"}, dialect{comma: comma, text: bigEndian, charset: "UTF-16"},
			dialect{comma: comma, text: charmap.Windows1252, charset: "windows-1252"})
	}
	return all
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	if n == 0 {
		n = copy(p, e[:1])
	}
	return n, nil
}

// FuzzRecords: whatever the text, reading it ends at its end, reads the same in
// small pieces and from the end of any record on, and agrees with encoding/csv
// where that can read all of it.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		"name,description,price\nBook,\"A, \"\"novel\"\"\n\",9.99\n\nPen,,1\n", "\"a\nb\nc", "a\"b\n\"c\"\n", "\r\n\"\r\n\"\r\n", "\xff,\x00\n \n,", "\"\"\"\n\"x\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 2000 {
			t.Skip("resuming everywhere takes too long")
		}
		all, ends := read(t, bytes.NewReader(text), position{0, 1})
		want := said(all)
		if end := (position{int64(len(text)), 1 + int64(bytes.Count(text, []byte("\n")))}); ends[len(ends)-1] != end {
			t.Errorf("reading ended at %+v, want %+v", ends[len(ends)-1], end)
		}
		pieces, _ := read(t, iotest.OneByteReader(bytes.NewReader(text)), position{0, 1})
		if diff := cmp.Diff(want, said(pieces)); diff != "" {
			t.Errorf("read byte by byte, the records differ (-want +got):\n%s", diff)
		}
		for i, p := range ends[:len(ends)-1] {
			rest, _ := read(t, bytes.NewReader(text[p.offset:]), p)
			if diff := cmp.Diff(want[i+1:], said(rest)); diff != "" {
				t.Errorf("read from %+v on, the records differ (-want +got):\n%s", p, diff)
			}
		}
		whole := csv.NewReader(bytes.NewReader(text))
		whole.FieldsPerRecord = -1
		broken := slices.ContainsFunc(all, func(r record) bool { return r.err != nil }) // by our own rules
		if reference, err := whole.ReadAll(); err == nil && !broken && !bytes.Contains(text, []byte("\r\r")) {
			var got [][]string
			for _, r := range all {
				got = append(got, r.fields)
			}
			if diff := cmp.Diff(withoutBlanks(reference), withoutBlanks(got)); diff != "" {
				t.Errorf("the records differ from encoding/csv's (-want +got):\n%s", diff)
			}
		}
	})
}

// FuzzDialects: text of any dialect reads the same in small pieces and from the end
// of any record on, which is where its bytes say.
func FuzzDialects(f *testing.F) {
	f.Add("name;price\nTee 🍵;4,20\n\"zwei\nZeilen\";1\n", uint8(7))
	f.Add("a\tb\rc\td\r\n\"\r\"\t", uint8(11))
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		all := dialects()
		d := all[int(which)%len(all)]
		if len(text) > 1000 || !utf8.ValidString(text) {
			t.Skip("resuming everywhere takes too long, or it is no text")
		}
		if d.text != nil {
			var err error
			if text, err = encoding.ReplaceUnsupported(d.text.NewEncoder()).String(text); err != nil {
				t.Skip(err)
			}
		}
		records, ends := readAs(t, strings.NewReader(text), position{0, 1}, d)
		want := said(records)
		if end := ends[len(ends)-1].offset; end != int64(len(text)) {
			t.Errorf("reading ended at byte %d of %d", end, len(text))
		}
		pieces, _ := readAs(t, iotest.OneByteReader(strings.NewReader(text)), position{0, 1}, d)
		if diff := cmp.Diff(want, said(pieces)); diff != "" {
			t.Errorf("read byte by byte, the records differ (-want +got):\n%s", diff)
		}
		for i, p := range ends[:len(ends)-1] {
			rest, _ := readAs(t, strings.NewReader(text[p.offset:]), p, d)
			if diff := cmp.Diff(want[i+1:], said(rest)); diff != "" {
				t.Errorf("read from %+v on, the records differ (-want +got):\n%s", p, diff)
			}
		}
	})
}

func withoutBlanks(records [][]string) (out [][]string) {
	for _, r := range records {
		if strings.TrimSpace(strings.Join(r, "")) != "" {
			out = append(out, r)
		}
	}
	return out
}

// One core should read far more than 100,000 rows a second.
func BenchmarkRows(b *testing.B) {
	var text strings.Builder
	text.WriteString("name,description,price,categoryId\n")
	const rows = 10_000
	for i := range rows {
		fmt.Fprintf(&text, "Product %d,\"A product, number %d\",%d.99,\n", i, i, i)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		f := &file{records: newRecords(strings.NewReader(text.String()), position{0, 1}, dialect{comma: ','})}
		var err error
		if f.header, err = goods.columns.header(f.records, nil); err != nil {
			b.Fatal(err)
		}
		if add, rejected, err := goods.chunk(f, 2*rows, 1<<40); len(add) != rows || len(rejected) != 0 || !errors.Is(err, io.EOF) {
			b.Fatalf("read %d and rejected %d rows: %v", len(add), len(rejected), err)
		}
	}
	b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func TestNoCellIsAFormula(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "a": "a", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "'a": "'a", "'=1": "''=1", "'": "'",
	} {
		if got := inert(cell); got != want || alive(got) != cell {
			t.Errorf("%q: %q, want %q; and back: %q", cell, got, want, alive(got))
		}
	}
}
