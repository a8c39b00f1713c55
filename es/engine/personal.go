package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"onlineshop/es"
)

// Personal fields of events are sealed with a key of their stream before they are stored,
// and opened where a commit is decoded. So whatever is made of the log's bytes (copies,
// queues, backups) says nothing once the key is destroyed. A snapshot, and a row that such
// a stream is folded into, is sealed as a whole.

// subject is what an aggregate's definition says about personal data; nil: it has none.
type subject struct {
	fields map[string][]string // of events, by name
	sent   map[string][]string // of commands, by name
	erases map[string]bool     // by event
}

func subjectOf(d es.AggregateDefinition) *subject {
	if !d.Personal() {
		return nil
	}
	s := &subject{map[string][]string{}, map[string][]string{}, map[string]bool{}}
	for _, e := range d.Events {
		s.fields[e.Name], s.erases[e.Name] = e.Personal, e.Erases
	}
	for _, c := range d.Commands {
		s.sent[c.Name] = c.Personal
	}
	return s
}

// texts are the personal texts of events that are not sealed.
func (s *subject) texts(events []es.StoredEvent) (texts []string) {
	for _, ev := range events {
		texts = append(texts, personalTexts(ev.Data, s.fields[ev.Type])...)
	}
	return texts
}

// personalTexts are the texts in members of an object.
func personalTexts(data json.RawMessage, names []string) (texts []string) {
	if len(names) > 0 {
		_, _, _ = members(data, names, func(_ string, v jsontext.Value) (jsontext.Value, error) {
			texts = append(texts, textsIn(v)...)
			return v, nil
		})
	}
	return texts
}

// erased reports whether one of the events erases the stream's subject.
func (a *aggregate) erased(events []any) bool {
	return a.subject != nil && slices.ContainsFunc(events, func(e any) bool {
		typ, _, _, err := a.EncodeEvent(e)
		return err == nil && a.subject.erases[typ]
	})
}

// storesPersonal reports whether one of the events has personal data.
func (a *aggregate) storesPersonal(events []any) bool {
	return a.subject != nil && slices.ContainsFunc(events, func(e any) bool {
		typ, _, _, err := a.EncodeEvent(e)
		return err == nil && len(a.subject.fields[typ]) > 0
	})
}

// errSeal is an error of what is sealed, which says nothing about its content.
var errSeal = errors.New("what is sealed can't be opened with the stream's key")

func aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sealValue returns the value, encrypted, as a JSON string. of says what it is, so that it
// can't stand for anything else.
func sealValue(key, value []byte, of ...string) (jsontext.Value, error) {
	gcm, err := aead(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(value)+gcm.Overhead())
	_, _ = rand.Read(nonce) // which does not fail
	box := gcm.Seal(nonce, nonce, value, place(of))
	out := make([]byte, 0, base64.RawStdEncoding.EncodedLen(len(box))+2)
	return append(base64.RawStdEncoding.AppendEncode(append(out, '"'), box), '"'), nil
}

// openValue returns what sealValue was given.
func openValue(key []byte, sealed jsontext.Value, of ...string) (jsontext.Value, error) {
	gcm, err := aead(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < 2 || sealed[0] != '"' {
		return nil, errSeal
	}
	box, err := base64.RawStdEncoding.AppendDecode(nil, sealed[1:len(sealed)-1])
	if err != nil || len(box) < gcm.NonceSize() {
		return nil, errSeal
	}
	value, err := gcm.Open(nil, box[:gcm.NonceSize()], box[gcm.NonceSize():], place(of))
	if err != nil {
		return nil, errSeal
	}
	return value, nil
}

// place is the texts in one that no other texts give.
func place(of []string) (out []byte) {
	for _, s := range of {
		out = append(fmt.Appendf(out, "%d:", len(s)), s...)
	}
	return out
}

// members returns an object with some of its members changed; nil drops one. The others
// stay as they are.
func members(data json.RawMessage, names []string, change func(name string, value jsontext.Value) (jsontext.Value, error)) (out json.RawMessage, changed []string, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	if d.PeekKind() != '{' {
		return data, nil, errors.New("not a JSON object")
	}
	if _, err := d.ReadToken(); err != nil {
		return data, nil, err
	}
	out = append(make(json.RawMessage, 0, len(data)), '{')
	for d.PeekKind() == '"' {
		quoted, err := d.ReadValue()
		if err != nil {
			return data, nil, err
		}
		quoted = bytes.Clone(quoted)
		value, err := d.ReadValue()
		if err != nil {
			return data, nil, err
		}
		var name string
		if err := json.Unmarshal(quoted, &name); err != nil {
			return data, nil, err
		}
		if slices.Contains(names, name) {
			if value, err = change(name, value); err != nil {
				return data, nil, err
			}
			if changed = append(changed, name); value == nil {
				continue
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, quoted...), ':'), value...)
	}
	return append(out, '}'), changed, nil
}

// sealed returns an event with its personal members encrypted.
func (a *aggregate) sealed(s Stream, key []byte, ev es.StoredEvent) (es.StoredEvent, error) {
	names := a.subject.fields[ev.Type]
	if len(names) == 0 {
		return ev, nil
	}
	var err error
	ev.Data, ev.Sealed, err = members(ev.Data, names, func(name string, v jsontext.Value) (jsontext.Value, error) {
		return sealValue(key, v, s.String(), ev.Type, name)
	})
	if err != nil {
		return ev, fmt.Errorf("seal %s of %s: %w", ev.Type, s, err)
	}
	return ev, nil
}

// opener opens the commits of one stream. It asks for the stream's key once, when it meets
// something personal.
type opener struct {
	*Engine
	of     *aggregate
	stream Stream
	key    []byte
	known  bool // of key: nil, if there is none
	erased bool
}

func (e *Engine) opener(s Stream) *opener {
	return &opener{Engine: e, of: e.aggregates[s.Aggregate], stream: s}
}

func (o *opener) ask(ctx context.Context) (err error) {
	if o.known || o.erased {
		return nil
	}
	switch o.key, err = o.Keys.Key(ctx, o.stream, false); {
	case errors.Is(err, ErrErased):
		o.key, o.erased = nil, true
	case err != nil:
		o.noteBroken(ctx, o.stream, err)
		return fmt.Errorf("key of %s: %w", o.stream, err)
	}
	o.known = true
	return nil
}

// open returns the commit as it was before it was sealed. Where its subject is erased, it
// lacks what is personal.
func (o *opener) open(ctx context.Context, c Commit) (Commit, error) {
	if o.of == nil || o.of.subject == nil || c.open || !slices.ContainsFunc(c.Events, o.personal) {
		return c, nil
	}
	if err := o.ask(ctx); err != nil {
		return c, err
	}
	c.Events, c.decoded, c.encoded, c.key, c.open = slices.Clone(c.Events), nil, nil, o.key, true
	noted := subjectsOf(ctx)
	if o.erased {
		c.key = nil
		noted.miss(c.Stream)
	}
	for i, ev := range c.Events {
		var err error
		switch names := o.names(ev); {
		case o.erased:
			ev.Data, ev.Erased, err = members(ev.Data, names, func(string, jsontext.Value) (jsontext.Value, error) { return nil, nil })
		case len(ev.Sealed) > 0 && o.key == nil:
			return c, broken(c.Stream, c.Seq, "the key of its personal data is missing, and nobody destroyed it")
		default:
			c.plain = c.plain || len(ev.Sealed) == 0
			ev.Data, _, err = members(ev.Data, names, func(name string, v jsontext.Value) (jsontext.Value, error) {
				if slices.Contains(ev.Sealed, name) {
					if v, err = openValue(o.key, v, c.Stream.String(), ev.Type, name); err != nil {
						return nil, err
					}
				}
				noted.add(c.Stream, textsIn(v)...)
				return v, nil
			})
		}
		if errors.Is(err, errSeal) {
			return c, broken(c.Stream, c.Seq, "%v", err)
		}
		if ev.Sealed = nil; err == nil { // otherwise decoding tells what is wrong
			c.Events[i] = ev
		}
	}
	return c, nil
}

// names are the personal members of an event: those that were sealed, and those that an
// earlier version stored as they are.
func (o *opener) names(ev es.StoredEvent) []string {
	names := slices.Clone(ev.Sealed)
	for _, n := range o.of.subject.fields[ev.Type] {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func (o *opener) personal(ev es.StoredEvent) bool {
	return len(ev.Sealed) > 0 || len(o.of.subject.fields[ev.Type]) > 0
}

// Opened returns a commit of the log as it was before what is personal was sealed, or
// without that, where its subject is erased. Whoever reads the log itself calls it.
func (e *Engine) Opened(ctx context.Context, c Commit) (Commit, error) {
	return e.opener(c.Stream).open(ctx, c)
}

// lacks reports whether something personal of the commit, as it was opened, is erased.
func (c Commit) lacks() bool {
	return slices.ContainsFunc(c.Events, func(ev es.StoredEvent) bool { return len(ev.Erased) > 0 })
}

// erasure is the follower that destroys what is personal in a stream once its subject is
// erased.
func (e *Engine) erasure(a *aggregate) *follower {
	return &follower{
		name: ConsumerID{KindErasure, a.Name}.String(), plugin: a.plugin, source: a.Name,
		react: func(d delivery) (func(context.Context) error, error) {
			if !a.erased(eventsOf(d.events)) {
				return nil, nil
			}
			return func(ctx context.Context) error { return e.erase(ctx, a, d.stream) }, nil
		},
	}
}

func eventsOf(recorded []es.Recorded[any]) []any {
	out := make([]any, len(recorded))
	for i, r := range recorded {
		out[i] = r.Event
	}
	return out
}

// erase makes what is personal in a stream unreadable, here and in every copy. All of it
// can be done again.
func (e *Engine) erase(ctx context.Context, a *aggregate, s Stream) error {
	if err := e.Keys.Destroy(ctx, s); err != nil {
		return fmt.Errorf("destroy the key of %s: %w", s, err)
	}
	e.cache.drop(s)
	if e.Snapshots != nil { // an earlier version's is not sealed
		if err := e.Snapshots.SaveSnapshot(ctx, s, nil); err != nil {
			return fmt.Errorf("remove the snapshot of %s: %w", s, err)
		}
	}
	for _, m := range a.models {
		if err := e.bring(ctx, m, s.ID, catchUpTo{afresh: true}); err != nil {
			return fmt.Errorf("fold %s of %s without what is erased: %w", s, m.Name, err)
		}
	}
	if e.Forget != nil {
		if err := e.Forget(ctx, s); err != nil {
			return fmt.Errorf("remove what is kept of %s: %w", s, err)
		}
	}
	e.Logger.InfoContext(ctx, "erased what is personal", "stream", s)
	return nil
}

// forgetAgain removes what a side effect has had kept of those who were erased while it ran.
// An attempt that ended before it got here may have read them, and the next one found them
// erased.
func (e *Engine) forgetAgain(ctx context.Context) error {
	if e.Forget == nil {
		return nil
	}
	noted := subjectsOf(ctx)
	for _, s := range Subjects(ctx) {
		switch _, err := e.Keys.Key(ctx, s, false); {
		case errors.Is(err, ErrErased):
			noted.miss(s)
		case err != nil:
			return fmt.Errorf("key of %s: %w", s, err)
		}
	}
	for _, s := range noted.missed() {
		if err := e.Forget(ctx, s); err != nil {
			return fmt.Errorf("remove what is kept of %s: %w", s, err)
		}
	}
	return nil
}

// sealedRows seals rows that streams with personal data are folded into: rows lie in other
// stores than keys, and copies of them last longer.
type sealedRows struct {
	Rows
	engine *Engine
}

// personal reports whether sources of the read model have personal data.
func (m *model) personal() bool { return len(m.subjects) > 0 }

// streamOf is the source's stream that a row is of.
func (m *model) streamOf(source string, row Row) Stream {
	id := row.ID
	if m.Kind != es.ViewRows {
		id, _ = SplitItemID(id)
	}
	return Stream{source, id}
}

func (r sealedRows) seal(ctx context.Context, m *model, row Row) (Row, error) {
	if row.View == nil {
		return row, nil
	}
	for _, source := range m.subjects {
		key, ok := row.keys[source]
		if !ok {
			continue // nothing of it is personal, any more
		}
		if key == nil {
			var err error
			if key, err = r.engine.Keys.Key(ctx, m.streamOf(source, row), true); errors.Is(err, ErrErased) {
				err = ErrUnavailable // it was folded before that
			}
			if err != nil {
				return row, fmt.Errorf("key of row %s of %s: %w", row.ID, row.Model, err)
			}
		}
		sealed, err := sealValue(key, row.View, source, row.Model, row.ID)
		if err != nil {
			return row, fmt.Errorf("seal row %s of %s: %w", row.ID, row.Model, err)
		}
		row.View = json.RawMessage(sealed)
	}
	return row, nil
}

// open returns the row with its view. One that can't be opened, since a subject of it was
// erased meanwhile, has none, and is to be folded afresh.
func (r sealedRows) open(ctx context.Context, row Row) (Row, error) {
	m := r.engine.models[row.Model]
	if m == nil || !m.personal() || len(row.View) == 0 || row.View[0] != '"' {
		return row, nil
	}
	row.keys = map[string][]byte{}
	for _, source := range slices.Backward(m.subjects) {
		if row.View[0] != '"' {
			break
		}
		s := m.streamOf(source, row)
		key, err := r.engine.Keys.Key(ctx, s, false)
		switch {
		case errors.Is(err, ErrErased):
			subjectsOf(ctx).miss(s)
			return Row{Model: row.Model, ID: row.ID, Rev: row.Rev, Owner: row.Owner, shut: true}, nil
		case err != nil:
			r.engine.noteBroken(ctx, s, err)
			return row, fmt.Errorf("key of %s: %w", s, err)
		case key == nil:
			continue // another source's is the seal
		}
		view, err := openValue(key, jsontext.Value(row.View), source, row.Model, row.ID)
		if err != nil && len(m.subjects) == 1 {
			return row, fmt.Errorf("row %s of %s: %w", row.ID, row.Model, err)
		}
		if err == nil {
			row.View, row.keys[source] = json.RawMessage(view), key
			subjectsOf(ctx).add(s, textsIn(view)...)
		}
	}
	if row.View[0] == '"' {
		return row, fmt.Errorf("row %s of %s: %w", row.ID, row.Model, errSeal)
	}
	return row, nil
}

func (r sealedRows) Row(ctx context.Context, model, id string) (Row, error) {
	row, err := r.Rows.Row(ctx, model, id)
	if err != nil {
		return row, err
	}
	return r.open(ctx, row)
}

func (r sealedRows) Put(ctx context.Context, row Row) (lost bool, err error) {
	if m := r.engine.models[row.Model]; m != nil {
		if row, err = r.seal(ctx, m, row); err != nil {
			return false, err
		}
	}
	return r.Rows.Put(ctx, row)
}

func (r sealedRows) PutItems(ctx context.Context, head Row, rows []Row, totals []Total) (lost bool, err error) {
	if m := r.engine.models[head.Model]; m != nil && m.personal() {
		rows = slices.Clone(rows)
		for i := range rows {
			if rows[i], err = r.seal(ctx, m, rows[i]); err != nil {
				return false, err
			}
		}
	}
	return r.Rows.PutItems(ctx, head, rows, totals)
}

func (r sealedRows) List(ctx context.Context, q Query) (rows []Row, next string, err error) {
	if rows, next, err = r.Rows.List(ctx, q); err != nil {
		return nil, "", err
	}
	rows, err = r.all(ctx, q.Model, rows)
	return rows, next, err
}

func (r sealedRows) Items(ctx context.Context, q ItemsQuery) (rows []Row, more bool, err error) {
	if rows, more, err = r.Rows.Items(ctx, q); err != nil {
		return nil, false, err
	}
	rows, err = r.all(ctx, q.Model, rows)
	return rows, more, err
}

// all opens a page of rows, some at a time.
func (r sealedRows) all(ctx context.Context, model string, rows []Row) ([]Row, error) {
	if m := r.engine.models[model]; m == nil || !m.personal() {
		return rows, nil
	}
	rows = slices.Clone(rows)
	errs := make([]error, len(rows))
	var wg sync.WaitGroup
	turns := make(chan struct{}, rowsAtOnce)
	for i := range rows {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			rows[i], errs[i] = r.open(ctx, rows[i])
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// rowsAtOnce is how many rows of a page are opened at a time, each with a key.
const rowsAtOnce = 16

// withKey is the keys that a row is sealed with, and a commit's; nil: one is to be made, since
// what is personal was stored before it was sealed.
func withKey(keys map[string][]byte, source string, c Commit) map[string][]byte {
	if c.key == nil && !c.plain || keys[source] != nil {
		return keys
	}
	if keys = maps.Clone(keys); keys == nil {
		keys = map[string][]byte{}
	}
	keys[source] = c.key
	return keys
}

// subjects are what a piece of work has read of people: in which streams, and the texts that
// an error must not tell.
type subjects struct {
	mu      sync.Mutex
	streams set[Stream]
	erased  set[Stream] // which were asked for, and not read
	texts   set[string]
}

// set is made with what is first put into it: most work reads nothing of people.
type set[T comparable] map[T]struct{}

func (s *set[T]) add(x T) {
	if *s == nil {
		*s = set[T]{}
	}
	(*s)[x] = struct{}{}
}

type subjectsKey struct{}

// noting returns a context that knows what is read of people with it.
func (e *Engine) noting(ctx context.Context) context.Context {
	if !e.personal || subjectsOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, subjectsKey{}, &subjects{})
}

func subjectsOf(ctx context.Context) *subjects {
	s, _ := ctx.Value(subjectsKey{}).(*subjects)
	return s
}

// Subjects are the streams with personal data that a side effect has read so far, of which
// ctx is. Whoever keeps what it makes of them keeps their names with it, so that it goes
// when they are erased.
func Subjects(ctx context.Context) []Stream {
	s := subjectsOf(ctx)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return inOrder(s.streams)
}

func inOrder(streams set[Stream]) []Stream {
	return slices.SortedFunc(maps.Keys(streams), func(a, b Stream) int { return strings.Compare(a.String(), b.String()) })
}

// miss notes that a stream's subject is erased.
func (s *subjects) miss(of Stream) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erased.add(of)
}

// missed are the streams whose subjects were found erased.
func (s *subjects) missed() []Stream {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return inOrder(s.erased)
}

// shortest is how long a text is at least that is taken out of errors: shorter ones are
// parts of other words.
const shortest = 3

func (s *subjects) add(of Stream, texts ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams.add(of)
	for _, t := range texts {
		if len(t) >= shortest {
			s.texts.add(t)
		}
	}
}

// textsIn are the texts and numbers of a JSON value, as they may stand in an error.
func textsIn(v []byte) (texts []string) {
	d := jsontext.NewDecoder(bytes.NewReader(v))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return texts
		}
		if k := t.Kind(); k == '0' || k == '"' && !isName(d) {
			texts = append(texts, t.String())
		}
	}
}

// isName reports whether the token that was read last is a member's name.
func isName(d *jsontext.Decoder) bool {
	kind, n := d.StackIndex(d.StackDepth())
	return kind == '{' && n%2 == 1
}

// discreet returns an error that says nothing of people whose data was read with ctx. It is
// otherwise the same.
func discreet(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	if text := discreetText(ctx, was); text != was {
		return discreetError{err, text}
	}
	return err
}

func discreetText(ctx context.Context, text string) string {
	s := subjectsOf(ctx)
	if s == nil {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	longestFirst := slices.SortedFunc(maps.Keys(s.texts), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, t := range longestFirst {
		forms := []string{t, strings.Trim(fmt.Sprintf("%q", t), `"`)}
		if b, err := json.Marshal(t); err == nil {
			forms = append(forms, strings.Trim(string(b), `"`))
		}
		for _, form := range forms {
			text = strings.ReplaceAll(text, form, "(personal)")
		}
	}
	return text
}

type discreetError struct {
	error
	text string
}

func (d discreetError) Error() string { return d.text }
func (d discreetError) Unwrap() error { return d.error }
