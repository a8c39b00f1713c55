// Package wire is the runtime of the code that esgen writes: it reads and writes JSON
// without reflection. Do not import it by hand.
//
// One reader serves both what users send (strict: unknown, missing and repeated members
// are problems) and what is stored (lenient: an unknown member is a newer version's, a
// missing one has its zero value).
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// SyntaxError is the error of a body that is not one JSON value in valid UTF-8 with every
// member once.
type SyntaxError struct{ Reason string }

func (m *SyntaxError) Error() string { return m.Reason }

// Problem is one mistake in a well-formed payload.
type Problem struct {
	Pointer string `json:"pointer"` // RFC 6901, e.g. "/price"
	Detail  string `json:"detail"`
}

// ValidationError collects the mistakes in a payload. It keeps at most 100, so that an answer is
// not many times as long as the payload.
type ValidationError struct{ List []Problem }

const maxProblems = 100

// Add adds a problem.
func (p *ValidationError) Add(pointer, format string, args ...any) {
	switch n := len(p.List); {
	case n == maxProblems:
		p.List = append(p.List, Problem{"", "there are more problems than are listed"})
		return
	case n > maxProblems:
		return
	}
	p.List = append(p.List, Problem{pointer, fmt.Sprintf(format, args...)})
}

// Err returns p, or nil if there are no problems.
func (p *ValidationError) Err() error {
	if len(p.List) == 0 {
		return nil
	}
	return p
}

func (p *ValidationError) Error() string {
	var b strings.Builder
	for i, x := range p.List {
		if i > 0 {
			b.WriteString("; ")
		}
		if x.Pointer != "" {
			b.WriteString(x.Pointer + " ")
		}
		b.WriteString(x.Detail)
	}
	return b.String()
}

// Count adds a problem if a list does not have min to max items; max < 0: no bound.
func (p *ValidationError) Count(pointer string, n, min, max int) {
	p.bounds(pointer, n, min, max, "items")
}

func (p *ValidationError) bounds(pointer string, n, min, max int, what string) {
	switch {
	case n < min && max >= 0:
		p.Add(pointer, "must have %d to %d %s, has %d", min, max, what, n)
	case n < min:
		p.Add(pointer, "must have at least %d %s, has %d", min, what, n)
	case max >= 0 && n > max:
		p.Add(pointer, "must have at most %d %s, has %d", max, what, n)
	}
}

// Number is a type that can be bounded.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// AtLeast adds a problem if x is below min.
func AtLeast[N Number](p *ValidationError, pointer string, x, min N) {
	if x < min {
		p.Add(pointer, "must be at least %v, is %v", min, x)
	}
}

// AtMost adds a problem if x is above max.
func AtMost[N Number](p *ValidationError, pointer string, x, max N) {
	if x > max {
		p.Add(pointer, "must be at most %v, is %v", max, x)
	}
}

// Ordered is a number with its own type, such as a price.
type Ordered[T any] interface {
	Compare(T) int
	String() string
}

// AtLeastOrdered adds a problem if x is below min.
func AtLeastOrdered[T Ordered[T]](p *ValidationError, pointer string, x, min T) {
	if x.Compare(min) < 0 {
		p.Add(pointer, "must be at least %s, is %s", min, x)
	}
}

// AtMostOrdered adds a problem if x is above max.
func AtMostOrdered[T Ordered[T]](p *ValidationError, pointer string, x, max T) {
	if x.Compare(max) > 0 {
		p.Add(pointer, "must be at most %s, is %s", max, x)
	}
}

// OneOf adds a problem if s is not one of the values.
func (p *ValidationError) OneOf(pointer, s string, values ...string) {
	if !slices.Contains(values, s) {
		p.Add(pointer, "must be one of %s", strings.Join(values, ", "))
	}
}

// Each returns a copy of list with valid applied to every item. at is the list's JSON
// pointer; each item gets at/<index>.
func Each[T any](list []T, at string, valid func(item T, at string) T) []T {
	list = slices.Clone(list)
	for i := range list {
		list[i] = valid(list[i], fmt.Sprintf("%s/%d", at, i))
	}
	return list
}

// Distinct returns the list without repeats, keeping the first of each.
func Distinct[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(x T) bool {
		defer func() { seen[x] = true }()
		return seen[x]
	})
}

// Value is a JSON value being read. A mistake is added to the problems, and reads as the
// zero value.
type Value struct {
	raw  jsontext.Value // nil: absent, or a mistake that was added already
	at   string         // pointer of what it is in
	name string         // its own name there
	in   *reading
}

// pointer returns the value's JSON pointer. It is only built for problems.
func (v Value) pointer() string {
	if v.at == "" && v.name == "" {
		return ""
	}
	return v.at + "/" + strings.ReplaceAll(strings.ReplaceAll(v.name, "~", "~0"), "/", "~1")
}

type reading struct {
	ValidationError
	stored bool
}

// ReadSent reads a value that a user sent. It returns a [*SyntaxError] if it is not JSON,
// and [*ValidationError] if read finds mistakes. If bare, an empty body stands for {}.
func ReadSent[T any](body []byte, bare bool, read func(Value) T) (t T, err error) {
	body = bytes.Trim(body, " \t\r\n") // JSON has no other white space
	if len(body) == 0 {
		if !bare {
			return t, &SyntaxError{"the body is missing: the command's payload is expected as JSON"}
		}
		body = []byte("{}")
	}
	raw, err := parse(body)
	if err != nil {
		return t, err
	}
	in := &reading{}
	t = read(Value{raw: raw, in: in})
	return t, in.Err()
}

// ReadStored reads a value that the program itself wrote. It returns [*ValidationError] if the
// value is damaged.
func ReadStored[T any](data []byte, read func(Value) T) (t T, err error) {
	in := &reading{stored: true}
	t = read(Value{raw: data, in: in})
	return t, in.Err()
}

func parse(body []byte) (jsontext.Value, error) {
	if i := invalidUTF8(body); i >= 0 {
		return nil, &SyntaxError{fmt.Sprintf("the body is not valid UTF-8 (byte %d)", i)}
	}
	dec := jsontext.NewDecoder(bytes.NewReader(body))
	raw, err := dec.ReadValue()
	if err != nil {
		return nil, &SyntaxError{"the body is not valid JSON: " + explain(err)}
	}
	raw = raw.Clone()
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &SyntaxError{"the body has data after the JSON value"}
	}
	return raw, nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func explain(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		where := fmt.Sprintf(" (byte %d)", syntax.ByteOffset)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fmt.Sprintf("a member is there twice: %s%s", syntax.JSONPointer, where)
		}
		return strings.TrimPrefix(syntax.Err.Error(), "jsontext: ") + where
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

func (v Value) mistaken(want string) {
	if v.raw != nil && !(v.in.stored && v.raw.Kind() == 'n') {
		v.in.Add(v.pointer(), "must be %s", want)
	}
}

// String reads a string.
func (v Value) String() string {
	if v.raw == nil || v.raw.Kind() != '"' {
		v.mistaken("a string")
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v.raw)
	if err != nil {
		v.mistaken("a string")
	}
	return string(b)
}

// Bool reads true or false.
func (v Value) Bool() bool {
	if v.raw != nil && v.raw.Kind() == 't' {
		return true
	}
	if v.raw == nil || v.raw.Kind() != 'f' {
		v.mistaken("true or false")
	}
	return false
}

// Int reads a signed integer of the given size.
func (v Value) Int(bits int) int64 {
	if v.raw == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(v.raw), 10, bits)
	if err != nil {
		v.mistaken(fmt.Sprintf("a whole number of at most %d bits", bits))
		return 0
	}
	return n
}

// Uint reads an unsigned integer of the given size.
func (v Value) Uint(bits int) uint64 {
	if v.raw == nil {
		return 0
	}
	n, err := strconv.ParseUint(string(v.raw), 10, bits)
	if err != nil {
		v.mistaken(fmt.Sprintf("a whole number from 0, of at most %d bits", bits))
		return 0
	}
	return n
}

// Float reads a number that fits the given size.
func (v Value) Float(bits int) float64 {
	if v.raw == nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(v.raw), bits)
	if err != nil || v.raw.Kind() != '0' || math.IsInf(f, 0) {
		v.mistaken("a number")
		return 0
	}
	return f
}

// Parse reads a number with its own type, such as a price.
func Parse[T any](v Value, parse func(string) (T, error)) (t T) {
	if v.raw == nil {
		return t
	}
	p, err := parse(string(v.raw))
	switch {
	case err == nil:
		return p
	case v.raw.Kind() != '0':
		v.mistaken("a number")
	default:
		v.in.Add(v.pointer(), "%s", err)
	}
	return t
}

// Time reads an RFC 3339 time.
func (v Value) Time() time.Time {
	if v.raw == nil {
		return time.Time{}
	}
	s, _ := jsontext.AppendUnquote(nil, v.raw) // empty if it is not a string
	t, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil {
		v.mistaken("a time such as 2006-01-02T15:04:05Z (RFC 3339)")
	}
	return t.UTC()
}

// slice returns the part of v that the decoder has just read. Unlike raw it stays valid
// when the decoder continues.
func (v Value) slice(dec *jsontext.Decoder, raw jsontext.Value) jsontext.Value {
	end := int(dec.InputOffset())
	return v.raw[end-len(raw) : end : end]
}

// decoder returns one that reads the value in place, to be put back.
func (v Value) decoder() *jsontext.Decoder {
	dec := decoders.Get().(*jsontext.Decoder)
	dec.Reset(bytes.NewBuffer(v.raw))
	return dec
}

var decoders = sync.Pool{New: func() any { return new(jsontext.Decoder) }}

// List reads an array whose items item reads.
func List[T any](v Value, item func(Value) T) []T {
	if v.raw == nil || v.raw.Kind() != '[' {
		v.mistaken("an array")
		return nil
	}
	dec := v.decoder()
	defer decoders.Put(dec)
	_, _ = dec.ReadToken()
	list, at := []T{}, v.pointer()
	for dec.PeekKind() != ']' {
		raw, err := dec.ReadValue()
		if err != nil {
			v.mistaken("an array")
			return list
		}
		list = append(list, item(Value{v.slice(dec, raw), at, strconv.Itoa(len(list)), v.in}))
	}
	return list
}

// Fields holds the members of a JSON object being read.
type Fields struct {
	Value
	here    string // the object's own pointer
	members []member
	room    [8]member // for as many as most objects have
}

type member struct {
	name, value []byte // the name without its quotes
	read        bool
}

// Fields reads an object. Call Done when all its fields are read.
func (v Value) Fields() *Fields {
	o := &Fields{Value: v, here: v.pointer()}
	o.members = o.room[:0]
	if v.raw == nil || v.raw.Kind() != '{' {
		v.mistaken("an object")
		o.raw = nil
		return o
	}
	dec := v.decoder()
	defer decoders.Put(dec)
	_, _ = dec.ReadToken()
	for dec.PeekKind() == '"' {
		name, err := dec.ReadValue()
		if err == nil {
			name, err = unquoted(v.slice(dec, name))
		}
		var value jsontext.Value
		if err == nil {
			value, err = dec.ReadValue()
		}
		if err != nil {
			v.in.Add(v.pointer(), "can't be read: %s", explain(err))
			return o
		}
		o.members = append(o.members, member{name: name, value: v.slice(dec, value)})
	}
	if _, err := dec.ReadToken(); err != nil { // the closing brace; stored data may be damaged
		v.in.Add(v.pointer(), "can't be read: %s", explain(err))
	}
	return o
}

// unquoted is what a name stands for: itself, in place, as nearly all do.
func unquoted(name []byte) ([]byte, error) {
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1], nil
	}
	return jsontext.AppendUnquote(nil, name)
}

func (o *Fields) field(name string) (Value, bool) {
	v := Value{at: o.here, name: name, in: o.in}
	i := slices.IndexFunc(o.members, func(m member) bool { return string(m.name) == name })
	if i < 0 {
		return v, false
	}
	m := &o.members[i]
	m.read = true
	if v.raw = m.value; v.raw.Kind() == 'n' && !o.in.stored {
		o.in.Add(v.pointer(), "must not be null")
		v.raw = nil
	}
	return v, true
}

// Field returns a required member.
func (o *Fields) Field(name string) Value {
	v, ok := o.field(name)
	if !ok && o.raw != nil && !o.in.stored {
		o.in.Add(v.pointer(), "is missing")
	}
	return v
}

// Optional returns a member that may be absent. If present it must have a value.
func (o *Fields) Optional(name string) Value {
	v, _ := o.field(name)
	if !o.in.stored && string(v.raw) == `""` {
		o.in.Add(v.pointer(), "must not be empty; leave it out instead")
		v.raw = nil
	}
	return v
}

// Done adds a problem for each unknown member.
func (o *Fields) Done() {
	if o.in.stored {
		return
	}
	for _, m := range o.members {
		if !m.read {
			o.in.Add(Value{at: o.here, name: string(m.name)}.pointer(), "is not a field of this command")
		}
	}
}

// Empty reads an object without members.
func (v Value) Empty() struct{} {
	v.Fields().Done()
	return struct{}{}
}

// AppendEmpty appends an object without members.
func AppendEmpty(b []byte, _ struct{}) []byte { return append(b, "{}"...) }

// AppendName appends the beginning of an object's member: a comma if one is due, the name,
// a colon.
func AppendName(b []byte, name string) []byte {
	if cap(b) < usual { // at the beginning: at once what it needs
		b = slices.Grow(b, usual)
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(AppendString(b, name), ':')
}

// usual is how long most values are at most.
const usual = 192

// AppendString appends s as a JSON string.
func AppendString(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil { // invalid UTF-8: stored as U+FFFD, as strings.ToValidUTF8 has it
		out, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}

// AppendFloat appends a number of the given size. Numbers that JSON does not have become 0.
func AppendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}

// AppendTime appends a time in RFC 3339, UTC, with milliseconds.
func AppendTime(b []byte, t time.Time) []byte {
	return AppendString(b, FormatTime(t))
}

// FormatTime formats t as RFC 3339 in UTC with milliseconds, e.g. 2026-01-02T15:04:05.000Z.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// AppendList appends an array whose items item appends.
func AppendList[T any](b []byte, list []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, x := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, x)
	}
	return append(b, ']')
}
