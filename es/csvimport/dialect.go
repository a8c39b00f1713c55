package csvimport

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	unicodetext "golang.org/x/text/encoding/unicode"
)

// dialect is how a file is written, as its beginning tells.
type dialect struct {
	comma        rune
	carriage     bool              // lines end with a carriage return alone
	decimalComma bool              // prices have a comma before their decimals
	text         encoding.Encoding // nil: UTF-8
	charset      string            // its name
	skip         int               // bytes before the header row: a mark, a line "sep=;"
}

// separators that spreadsheets write, the most usual first.
var separators = []rune{',', ';', '\t', '|'}

func (d dialect) String() string {
	name := map[rune]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "bars"}[d.comma]
	if name == "" {
		name = fmt.Sprintf("%q", d.comma)
	}
	text := "UTF-8"
	if d.text != nil {
		text = d.charset
	}
	s := "separated by " + name + ", in " + text
	if d.decimalComma {
		s += ", with decimal commas"
	}
	return s
}

// Marks of other encodings, and of what is not text.
var (
	littleEndian = unicodetext.UTF16(unicodetext.LittleEndian, unicodetext.IgnoreBOM)
	bigEndian    = unicodetext.UTF16(unicodetext.BigEndian, unicodetext.IgnoreBOM)
	zipped       = map[string]string{"PK\x03\x04": "an Excel workbook (.xlsx) or another zip archive", "\x1f\x8b": "compressed by gzip", "\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)"}
	sepLine      = regexp.MustCompile(`^(?i:"?sep=)(.)"?\r?\n?\r?$`)
)

// guess tells the dialect by the beginning of a file, and by what the uploader says
// of its encoding, where its first bytes don't.
func (all columns) guess(front []byte, charset string) (d dialect, err error) {
	d.comma = ','
	for magic, what := range zipped {
		if bytes.HasPrefix(front, []byte(magic)) {
			return d, unusableFileError("the file is " + what + ": save it as CSV in UTF-8, and upload that")
		}
	}
	switch {
	case bytes.HasPrefix(front, []byte{0xff, 0xfe}):
		d.text, d.charset, d.skip = littleEndian, "UTF-16", 2
	case bytes.HasPrefix(front, []byte{0xfe, 0xff}):
		d.text, d.charset, d.skip = bigEndian, "UTF-16", 2
	case charset != "" && !bytes.HasPrefix(front, []byte("\uFEFF")):
		if d.text, d.charset, err = named(charset); err != nil {
			return d, err
		}
	}
	text := front[d.skip:]
	if d.text != nil {
		whole := len(text)
		if d.charset == "UTF-16" {
			whole &^= 1
		}
		if text, err = d.text.NewDecoder().Bytes(text[:whole]); err != nil {
			return d, unusableFileError("the file is not the UTF-16 that its first bytes say: save it as CSV in UTF-8")
		}
	}
	for bytes.HasPrefix(text, []byte("\uFEFF")) {
		d.skip += d.width([]byte("\uFEFF"))
		text = text[len("\uFEFF"):]
	}
	d.carriage = !bytes.ContainsRune(text, '\n') && bytes.ContainsRune(text, '\r')
	line := firstLine(text, d.carriage)
	if m := sepLine.FindSubmatch(line); m != nil {
		d.comma, _ = utf8.DecodeRune(m[1])
		d.skip += d.width(line)
		return d, nil
	}
	best := 0
	for _, sep := range separators {
		known := 0
		for _, name := range strings.Split(string(line), string(sep)) {
			if all.called(name) != nil {
				known++
			}
		}
		if fields := bytes.Count(line, []byte(string(sep))); known*1000+fields > best {
			best, d.comma = known*1000+fields, sep
		}
	}
	return d, nil
}

func firstLine(text []byte, carriage bool) []byte {
	end := byte('\n')
	if carriage {
		end = '\r'
	}
	if at := bytes.IndexByte(text, end); at >= 0 {
		return text[:at+1]
	}
	return text
}

// named is the encoding that an uploader names; nil: UTF-8.
func named(charset string) (encoding.Encoding, string, error) {
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil, "", unusableFileError(fmt.Sprintf("%s is not an encoding that is known: say windows-1252, or save the file as CSV in UTF-8", Quoted(charset)))
	}
	name, err := htmlindex.Name(e)
	if err != nil {
		return nil, "", err
	}
	if _, ok := e.(*charmap.Charmap); ok {
		return e, name, nil
	}
	if e == unicodetext.UTF8 {
		return nil, "", nil
	}
	return nil, "", unusableFileError(fmt.Sprintf("text in %s is not read: save the file as CSV in UTF-8", name))
}

// width is how many bytes of the file the text takes.
func (d dialect) width(text []byte) (n int) {
	switch d.text.(type) {
	case nil:
		return len(text)
	case *charmap.Charmap:
		return utf8.RuneCount(text)
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if n += 2; r > 0xffff {
			n += 2
		}
		text = text[size:]
	}
	return n
}

// decode reads the file from a place at which a record starts.
func (d dialect) decode(in io.Reader) io.Reader {
	if d.text != nil {
		in = d.text.NewDecoder().Reader(in)
	}
	if d.carriage {
		in = lines{in}
	}
	return in
}

// lines ends lines with line feeds in place of carriage returns.
type lines struct{ io.Reader }

func (l lines) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	for i, c := range b[:n] {
		if c == '\r' {
			b[i] = '\n'
		}
	}
	return n, err
}

var inBrackets = regexp.MustCompile(`^(.*\S)\s*\([^)]*\)$`)

// clean is a header without what nobody sees.
func clean(header string) string {
	return strings.ToLower(strings.TrimSpace(strings.Trim(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r) {
			return -1
		}
		return r
	}, header), `"`)))
}

// distance is how many letters have to be added, dropped, changed or exchanged with
// the next to make one text of the other.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range y {
		rows[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			rows[i+1][j+1] = min(rows[i][j+1]+1, rows[i+1][j]+1, rows[i][j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				rows[i+1][j+1] = min(rows[i+1][j+1], rows[i-1][j-1]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

// Prices as people write them.
var (
	pointPrice    = regexp.MustCompile(`^[+-]?\d+\.\d+$`)
	commaPrice    = regexp.MustCompile(`^[+-]?\d+,\d{1,2}$|^[+-]?\d+,\d{4}$`)
	thousands     = regexp.MustCompile(`^[+-]?\d{1,3}([,.' \x{00a0}\x{202f}]\d{3})+([.,]\d+)?$`)
	withCurrency  = regexp.MustCompile(`\p{Sc}|\p{L}`)
	ambiguousHint = "must be a number such as 1234.50: write it without a separator between thousands, and with a point before the decimals"
)

// price is the text of a price as our numbers are written, or why it is none.
func (d dialect) price(text string) (string, string) {
	points := 0
	other := strings.ContainsFunc(text, func(r rune) bool {
		if r == '.' {
			points++
			return false
		}
		return r < '0' || r > '9'
	})
	if !other && (points == 0 || points == 1 && !d.decimalComma) {
		return text, "" // as most are
	}
	switch {
	case d.decimalComma && commaPrice.MatchString(text):
		return strings.Replace(text, ",", ".", 1), ""
	case strings.Contains(text, ",") || thousands.MatchString(text) && !pointPrice.MatchString(text):
		return text, ambiguousHint
	case d.decimalComma && thousands.MatchString(text):
		return text, ambiguousHint
	case withCurrency.MatchString(text) && strings.ContainsFunc(text, unicode.IsDigit) && !strings.ContainsAny(text, "eE"):
		return text, "must be a number alone: leave out the currency"
	}
	return text, ""
}
