package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/wire"
)

// payload has a field of every kind, read as generated code reads it.
type payload struct {
	Name     string
	Price    es.Price
	Count    int64
	Size     uint64
	Weight   float64
	On       bool
	At       time.Time
	Tags     []string
	Inner    inner
	Optional string
}

type inner struct{ X int64 }

func readPayload(v wire.Value) payload {
	f := v.Fields()
	defer f.Done()
	return payload{
		Name:   f.Field("name").String(),
		Price:  wire.Parse(f.Field("price"), es.ParsePrice),
		Count:  f.Field("count").Int(8),
		Size:   f.Field("size").Uint(8),
		Weight: f.Field("weight").Float(64),
		On:     f.Field("on").Bool(),
		At:     f.Field("at").Time(),
		Tags:   wire.List(f.Field("tags"), wire.Value.String),
		Inner: func(v wire.Value) inner {
			f := v.Fields()
			defer f.Done()
			return inner{f.Field("x").Int(64)}
		}(f.Field("inner")),
		Optional: f.Optional("optional").String(),
	}
}

const whole = `{"name":"Ä \"x\"\n","price":9.90,"count":-128,"size":255,"weight":1.5e3,"on":true,` +
	`"at":"2026-01-02T04:04:05.678+01:00","tags":["a","b"],"inner":{"x":1},"optional":"o"}`

var all = payload{
	Name: "Ä \"x\"\n", Price: es.MustPrice("9.9"), Count: -128, Size: 255, Weight: 1500, On: true,
	At: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC), Tags: []string{"a", "b"}, Inner: inner{1}, Optional: "o",
}

func TestReadsWhatIsWellFormed(t *testing.T) {
	without := all
	without.Optional = ""
	for name, c := range map[string]struct {
		body string
		want payload
	}{
		"whole":            {whole, all},
		"in white space":   {" \n\t" + whole + "\r\n", all},
		"escaped":          {strings.Replace(whole, `"Ä \"x\"\n"`, `"\u00c4 \u0022x\u0022\u000a"`, 1), all},
		"without optional": {strings.Replace(whole, `,"optional":"o"`, "", 1), without},
	} {
		got, err := wire.ReadSent([]byte(c.body), false, readPayload)
		if diff := cmp.Diff(c.want, got, samePrice); err != nil || diff != "" {
			t.Errorf("%s: error: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	for name, body := range map[string]string{
		"missing":                    "",
		"white space":                " \n",
		"cut off":                    `{"name":"x"`,
		"no JSON":                    "name=x",
		"data after the value":       whole + " {}",
		"a bracket after the value":  whole + "}",
		"a member twice":             `{"name":"x","name":"y"}`,
		"a member twice, escaped":    `{"name":"x","n\u0061me":"y"}`,
		"a member twice, deep":       `{"inner":{"x":1,"x":2}}`,
		"a lone surrogate":           `{"name":"\ud800"}`,
		"a lone low surrogate":       `{"name":"\udc00x"}`,
		"surrogates in wrong order":  `{"name":"\udc00\ud800"}`,
		"a lone surrogate as a name": `{"\ud800":1}`,
		"invalid UTF-8":              "{\"name\":\"\xff\"}",
		"overlong UTF-8":             "{\"name\":\"\xc0\xaf\"}",
		"a surrogate in UTF-8":       "{\"name\":\"\xed\xa0\x80\"}",
		"UTF-8 cut off":              "{\"name\":\"\xe2\x82\"}",
		"a byte-order mark":          "\uFEFF" + whole,
		"a comment":                  `{"name":"x"/* */}`,
		"a comma too many":           `{"name":"x",}`,
		"single quotes":              `{'name':'x'}`,
		"NaN":                        `{"weight":NaN}`,
		"a leading zero":             `{"count":01}`,
		"a plus sign":                `{"count":+1}`,
		"a raw control character":    "{\"name\":\"\x01\"}",
		"deep nesting":               strings.Repeat("[", 100_000),
	} {
		_, err := wire.ReadSent([]byte(body), false, readPayload)
		if malformed := (*wire.SyntaxError)(nil); !errors.As(err, &malformed) || malformed.Reason == "" {
			t.Errorf("%s: got %v, want *wire.SyntaxError with a reason", name, err)
		}
	}
}

func TestMistakesArePointedAt(t *testing.T) {
	with := func(old, new string) string {
		if !strings.Contains(whole, old) {
			t.Fatalf("the payload has no %s", old)
		}
		return strings.Replace(whole, old, new, 1)
	}
	for name, c := range map[string]struct {
		body     string
		pointers []string
	}{
		"no object":           {`[]`, []string{""}},
		"null":                {`null`, []string{""}},
		"unknown":             {with(`"name"`, `"nick":1,"name"`), []string{"/nick"}},
		"unknown, escaped":    {with(`"name"`, `"a/b~c":1,"name"`), []string{"/a~1b~0c"}},
		"names have a case":   {with(`"name"`, `"Name"`), []string{"/name", "/Name"}},
		"missing":             {with(`"on":true,`, ``), []string{"/on"}},
		"null field":          {with(`true`, `null`), []string{"/on"}},
		"null optional":       {with(`"o"`, `null`), []string{"/optional"}},
		"empty optional":      {with(`"o"`, `""`), []string{"/optional"}},
		"number for string":   {with(`"o"`, `1`), []string{"/optional"}},
		"string for number":   {with(`9.90`, `"9.90"`), []string{"/price"}},
		"price too precise":   {with(`9.90`, `9.90001`), []string{"/price"}},
		"price with exponent": {with(`9.90`, `1e3`), []string{"/price"}},
		"negative price":      {with(`9.90`, `-1`), []string{"/price"}},
		"fraction for int":    {with(`-128`, `1.5`), []string{"/count"}},
		"int out of range":    {with(`-128`, `128`), []string{"/count"}},
		"uint below 0":        {with(`255`, `-1`), []string{"/size"}},
		"uint out of range":   {with(`255`, `256`), []string{"/size"}},
		"float out of range":  {with(`1.5e3`, `1e999`), []string{"/weight"}},
		"bool as string":      {with(`true`, `"true"`), []string{"/on"}},
		"no time":             {with(`2026-01-02T04:04:05.678+01:00`, `yesterday`), []string{"/at"}},
		"time as number":      {with(`"2026-01-02T04:04:05.678+01:00"`, `5`), []string{"/at"}},
		"no list":             {with(`["a","b"]`, `"a"`), []string{"/tags"}},
		"items":               {with(`["a","b"]`, `["a",1,null]`), []string{"/tags/1", "/tags/2"}},
		"nested":              {with(`{"x":1}`, `{"x":"1","y":2}`), []string{"/inner/x", "/inner/y"}},
		"nested no object":    {with(`{"x":1}`, `7`), []string{"/inner"}},
		"everything":          {`{}`, []string{"/name", "/price", "/count", "/size", "/weight", "/on", "/at", "/tags", "/inner"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ReadSent([]byte(c.body), false, readPayload)
			problems := (*wire.ValidationError)(nil)
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want *wire.ValidationError", err)
			}
			var got []string
			for _, p := range problems.List {
				got = append(got, p.Pointer)
				if p.Detail == "" {
					t.Errorf("the problem at %q has no detail", p.Pointer)
				}
			}
			if diff := cmp.Diff(c.pointers, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestAPayloadFreeCommandNeedsNoBody(t *testing.T) {
	for _, body := range []string{"", " ", "{}", " {} "} {
		if _, err := wire.ReadSent([]byte(body), true, wire.Value.Empty); err != nil {
			t.Errorf("body %q: %v", body, err)
		}
	}
	for _, body := range []string{`{"x":1}`, "[]", "null", "{"} {
		if _, err := wire.ReadSent([]byte(body), true, wire.Value.Empty); err == nil {
			t.Errorf("body %q was read as a payload-free command's", body)
		}
	}
}

// What is stored was written by an earlier or later version of the program.
func TestStoredValuesAreReadLeniently(t *testing.T) {
	got, err := wire.ReadStored([]byte(`{"name":"x","later":{"a":[1]},"inner":{},"optional":null}`), readPayload)
	if diff := cmp.Diff(payload{Name: "x"}, got, samePrice); err != nil || diff != "" {
		t.Errorf("error: %v (-want +got):\n%s", err, diff)
	}
	for name, data := range map[string]string{"mistyped": `{"name":1}`, "cut off": `{"name":"x"`, "empty": ``} {
		if _, err := wire.ReadStored([]byte(data), readPayload); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		check func(*wire.ValidationError)
		fine  bool
	}{
		"length in code points":  {func(p *wire.ValidationError) { p.Length("/x", "äöü", 3, 3) }, true},
		"too short":              {func(p *wire.ValidationError) { p.Length("/x", "", 1, 3) }, false},
		"too long":               {func(p *wire.ValidationError) { p.Length("/x", "abcd", 1, 3) }, false},
		"no upper bound":         {func(p *wire.ValidationError) { p.Length("/x", "abcd", 1, -1) }, true},
		"too short, unbounded":   {func(p *wire.ValidationError) { p.Length("/x", "", 1, -1) }, false},
		"enough items":           {func(p *wire.ValidationError) { p.Count("/x", 3, 1, 3) }, true},
		"too few items":          {func(p *wire.ValidationError) { p.Count("/x", 0, 1, 3) }, false},
		"too many items":         {func(p *wire.ValidationError) { p.Count("/x", 4, 1, 3) }, false},
		"one of":                 {func(p *wire.ValidationError) { p.OneOf("/x", "a", "a", "b") }, true},
		"none of":                {func(p *wire.ValidationError) { p.OneOf("/x", "c", "a", "b") }, false},
		"an e-mail address":      {func(p *wire.ValidationError) { p.Email("/x", "ann@example.com") }, true},
		"a name and an address":  {func(p *wire.ValidationError) { p.Email("/x", "Ann <ann@example.com>") }, false},
		"an address in brackets": {func(p *wire.ValidationError) { p.Email("/x", "<ann@example.com>") }, false},
		"no at sign":             {func(p *wire.ValidationError) { p.Email("/x", "ann.example.com") }, false},
		"two at signs":           {func(p *wire.ValidationError) { p.Email("/x", `"a@b"@example.com`) }, false},
		"no domain":              {func(p *wire.ValidationError) { p.Email("/x", "ann@localhost") }, false},
		"a dot too many":         {func(p *wire.ValidationError) { p.Email("/x", "ann@example.com.") }, false},
		"an address too long":    {func(p *wire.ValidationError) { p.Email("/x", strings.Repeat("a", 243)+"@example.com") }, false},
	} {
		var p wire.ValidationError
		c.check(&p)
		if fine := p.Err() == nil; fine != c.fine {
			t.Errorf("%s: %v, want it to be fine: %t", name, p.Err(), c.fine)
		}
	}
}

func TestDistinctKeepsTheFirst(t *testing.T) {
	given := []string{"b", "a", "b", "c", "a"}
	if diff := cmp.Diff([]string{"b", "a", "c"}, wire.Distinct(given)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"b", "a", "b", "c", "a"}, given); diff != "" {
		t.Errorf("the list given has changed:\n%s", diff)
	}
}

func TestWrites(t *testing.T) {
	b := wire.AppendString(wire.AppendName([]byte("{"), "a"), "Ä<\"\n\xff")
	b = wire.AppendList(wire.AppendName(b, "b"), []string{"x", "y"}, wire.AppendString)
	b = wire.AppendList(wire.AppendName(b, "c"), []string(nil), wire.AppendString)
	b = wire.AppendTime(wire.AppendName(b, "d"), time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600)))
	b = wire.AppendFloat(wire.AppendName(b, "e"), 1.5, 64)
	b = append(b, '}')
	want := `{"a":"Ä<\"\n` + "\uFFFD" + `","b":["x","y"],"c":[],"d":"2026-01-02T02:04:05.678Z","e":1.5}`
	if string(b) != want {
		t.Errorf("wrote %s, want %s", b, want)
	}
}

// FuzzReadSent: whatever a user sends, it is read, or answered with a mistake.
func FuzzReadSent(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"inner":{"x":[]},"tags":{"a":1},"at":"2026"}`))
	f.Add([]byte("\xff{}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := wire.ReadSent(body, false, readPayload)
		malformed, problems := (*wire.SyntaxError)(nil), (*wire.ValidationError)(nil)
		if err != nil && !errors.As(err, &malformed) && !errors.As(err, &problems) {
			t.Errorf("got %v, want *wire.SyntaxError or *wire.ValidationError", err)
		}
	})
}

var samePrice = cmp.Comparer(func(a, b es.Price) bool { return a == b })

func TestProblemsAreListedUpToAHundred(t *testing.T) {
	// Given a payload with thousands of members that nobody knows
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	// When it is read
	_, err := wire.ReadSent([]byte("{"+b.String()[1:]+"}"), false, func(v wire.Value) int { v.Fields().Done(); return 0 })
	// Then a hundred are listed, and that there are more
	var problems *wire.ValidationError
	if !errors.As(err, &problems) || len(problems.List) != 101 || problems.List[100].Detail != "there are more problems than are listed" {
		t.Errorf("problems: %v", err)
	}
}
