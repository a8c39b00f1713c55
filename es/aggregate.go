package es

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"onlineshop/es/wire"
)

// Aggregate ties a name to its decider: sealed unions of commands C and events E, and the
// state S that events fold into. The generator writes one per aggregate package. Its
// methods may be called concurrently.
type Aggregate[C, E, S any] struct{ rules *AggregateRules[C, E, S] }

// AggregateRules is what generated code passes to [NewAggregate].
type AggregateRules[C, E, S any] struct {
	Name     string // "Catalog.Product"
	Sources  string // hash of the package's sources: a snapshot of another hash is ignored
	Internal bool   // no HTTP commands
	InPlace  bool   // Evolve may modify the state that it is given
	Access   Access // of commands that don't declare their own
	Decide   func(C, S) ([]E, error)
	// DecideMeta is Decide for rules that take the command's metadata; one of them is set.
	DecideMeta func(C, S, Meta) ([]E, error)
	CheckMeta  bool // some check takes the command's metadata
	Evolve     func(E, S) S
	Check      func(context.Context, Reader, C, Meta) error              // nil: no command reads other aggregates
	Owner      func(context.Context, Reader, C) (string, error)          // nil: the caller who creates the aggregate
	Valid      func(C, *ValidationError) C                               // notes broken limits, and returns the normal form
	Commands   []CommandType[C]                                          // sorted by name
	Events     []EventType[E]                                            // sorted by name
	Encode     func(C) (typ string, data []byte, err error)              // commands
	Wire       func(E) (typ string, version int, data []byte, err error) // events
	Upcast     Upcasters[E]
}

// CommandType is one of an aggregate's commands.
type CommandType[C any] struct {
	Name     string
	Internal bool    // for followers and tasks only
	Access   *Access // nil: the aggregate's
	Schema   string  // JSON Schema 2020-12 of the payload
	Empty    bool    // has no payload
	Read     func(wire.Value) C

	// What a page for people asks.
	Help        string   // one line
	Zero        C        // without values, to ask its rule what it is for
	Creates     bool     // makes the aggregate, although the rule rejects Zero
	Destructive bool     // ends something for good
	Personal    []string // members of the payload that are about the stream's subject
}

// EventType is one of the events of an aggregate or an extension point.
type EventType[E any] struct {
	Name    string
	Version int // of its current shape, from 1
	Schema  string
	Read    func(wire.Value) E

	Personal []string // members that are about the stream's subject: they are stored encrypted
	Erases   bool     // after it, what is personal in the stream is gone for good
}

// NewAggregate returns the aggregate with these rules. Generated code calls it.
func NewAggregate[C, E, S any](r AggregateRules[C, E, S]) Aggregate[C, E, S] {
	if r.DecideMeta == nil && r.Decide != nil {
		r.DecideMeta = func(c C, s S, _ Meta) ([]E, error) { return r.Decide(c, s) }
	}
	return Aggregate[C, E, S]{&r}
}

// Name returns the full name, e.g. "Catalog.Product".
func (a Aggregate[C, E, S]) Name() string { return a.rules.Name }

// Commands are commands for aggregates of one kind, each with its id.
type Commands[C any] []Addressed[C]

// Addressed is a command with the id of the aggregate it is for.
type Addressed[C any] struct {
	ID      string
	Command C
}

// Send returns the command, addressed to the aggregate with that id. Use append to send
// several.
func (a Aggregate[C, E, S]) Send(id string, c C) Commands[C] { return Commands[C]{{id, c}} }

// Command returns the command, addressed to the aggregate with that id, for a task's
// [Shop].
func (a Aggregate[C, E, S]) Command(id string, c C) Command { return Command{a.rules.Name, id, c} }

// Command is a command for an aggregate of any kind.
type Command struct {
	Aggregate, ID string
	Payload       any // of the aggregate's command union
}

// State reads an aggregate's state, strongly consistent. An aggregate that does not exist
// has the zero state. The state is shared: the caller must not modify it. Aggregates that
// evolve in place can't be read.
func (a Aggregate[C, E, S]) State(ctx context.Context, r Reader, id string) (S, error) {
	s, _, err := a.Load(ctx, r, id)
	return s, err
}

// Load is like State and also returns the aggregate's owner, "" if it does not exist.
func (a Aggregate[C, E, S]) Load(ctx context.Context, r Reader, id string) (S, string, error) {
	l, err := r.Load(ctx, a.rules.Name, id)
	if err != nil || l.Version == 0 {
		var zero S
		return zero, "", err
	}
	return l.State.(S), l.Owner, nil
}

// History yields an aggregate's events, the first one first.
func (a Aggregate[C, E, S]) History(ctx context.Context, r Reader, id string) iter.Seq2[Recorded[E], error] {
	return func(yield func(Recorded[E], error) bool) {
		for e, err := range r.Events(ctx, a.rules.Name, id) {
			out := Recorded[E]{ID: e.ID, Version: e.Version, Time: e.Time, Meta: e.Meta}
			if err == nil {
				out.Event = e.Event.(E)
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// Decide runs the command's rule. m is what its commit would have.
func (a Aggregate[C, E, S]) Decide(c C, s S, m Meta) ([]E, error) { return a.rules.DecideMeta(c, s, m) }

// Check runs the command's rule that reads other aggregates, if it has one.
func (a Aggregate[C, E, S]) Check(ctx context.Context, r Reader, c C, m Meta) error {
	if a.rules.Check == nil {
		return nil
	}
	return a.rules.Check(ctx, r, c, m)
}

// Fold returns the state after the events.
func (a Aggregate[C, E, S]) Fold(s S, events ...E) S {
	for _, e := range events {
		s = a.rules.Evolve(e, s)
	}
	return s
}

// Valid returns the command in its normal form (trimmed, repeats dropped). If it breaks a
// limit the error is a [*ValidationError].
func (a Aggregate[C, E, S]) Valid(c C) (C, error) {
	var p ValidationError
	if a.rules.Valid != nil {
		c = a.rules.Valid(c, &p)
	}
	return c, p.Err()
}

// Happened returns history for tests: events of the aggregate with that id.
func (a Aggregate[C, E, S]) Happened(id string, events ...E) Happened {
	h := Happened{Aggregate: a.rules.Name, ID: id, definition: a.Definition()}
	for _, e := range events {
		h.Events = append(h.Events, e)
	}
	return h
}

// Happened is history of one aggregate, for tests that mix aggregates.
type Happened struct {
	Aggregate, ID, Owner string
	Events               []any
	definition           AggregateDefinition
}

// By sets the aggregate's owner.
func (h Happened) By(owner string) Happened { h.Owner = owner; return h }

// Definition returns the definition of the aggregate whose history this is.
func (h Happened) Definition() AggregateDefinition { return h.definition }

// AggregateDefinition is the type-erased form that the engine runs.
type AggregateDefinition struct {
	Name, Sources     string
	Internal, InPlace bool
	Commands          []CommandDefinition
	Events            []EventDefinition
	Initial           any
	Decide            func(c, s any, m Meta) ([]any, error)
	ByMeta            bool // Decide or Check looks at the command's metadata
	Evolve            func(e, s any) any
	Check             func(context.Context, Reader, any, Meta) error
	Owner             func(context.Context, Reader, any) (string, error)
	// ReadCommand reads what a user sent. It returns a *SyntaxError if that is not JSON,
	// and a *ValidationError if it is not such a command.
	ReadCommand   func(name string, body []byte) (any, error)
	EncodeCommand func(any) (typ string, data []byte, err error)
	EncodeEvent   func(any) (typ string, version int, data []byte, err error)
	DecodeEvent   func(typ string, version int, data []byte) ([]any, error) // as today's events; ErrUnknownType
	EncodeState   func(any) ([]byte, error)
	DecodeState   func([]byte) (any, error)
}

// CommandDefinition describes a command.
type CommandDefinition struct {
	Name     string
	Internal bool // for followers and tasks only: for others it does not exist
	Access   Access
	Schema   json.RawMessage
	Empty    bool

	Help             string   // one line for people; may be empty
	Creates, Changes bool     // may be sent where there is no aggregate yet; where there is one
	Destructive      bool     // ends something for good
	Personal         []string // members of the payload that are about the stream's subject
	// Erases names what is gone once the command is accepted: the members of the aggregate's
	// events that are personal. None, where it erases nobody.
	Erases []string
}

// EventDefinition describes an event.
type EventDefinition struct {
	Name    string
	Version int
	Schema  json.RawMessage

	Personal []string // members that are about the stream's subject: they are stored encrypted
	Erases   bool     // after it, what is personal in the stream is gone for good
}

// Personal reports whether the aggregate has personal data: then each stream is of one
// subject, who can be erased.
func (d AggregateDefinition) Personal() bool {
	return slices.ContainsFunc(d.Events, func(e EventDefinition) bool { return len(e.Personal) > 0 })
}

// AnyAggregate is an aggregate of any type.
type AnyAggregate interface{ Definition() AggregateDefinition }

// Definition returns the form that the engine runs.
func (a Aggregate[C, E, S]) Definition() AggregateDefinition {
	r := a.rules
	var zero S
	d := AggregateDefinition{
		Name: r.Name, Sources: r.Sources, Internal: r.Internal, InPlace: r.InPlace,
		Initial: zero,
		ByMeta:  r.CheckMeta || r.Decide == nil,
		Decide: func(c, s any, m Meta) ([]any, error) {
			events, err := r.DecideMeta(c.(C), s.(S), m)
			if err != nil || len(events) == 0 {
				return nil, err
			}
			out := make([]any, len(events))
			for i, e := range events {
				out[i] = e
			}
			return out, nil
		},
		Evolve: func(e, s any) any { return r.Evolve(e.(E), s.(S)) },
		EncodeCommand: func(c any) (string, []byte, error) {
			m, ok := c.(C)
			if !ok {
				return "", nil, fmt.Errorf("%T is not a command of %s", c, r.Name)
			}
			return r.Encode(m)
		},
		EncodeEvent: func(e any) (string, int, []byte, error) {
			m, _ := e.(E) // nil where it is none, which Wire answers with an error
			return r.Wire(m)
		},
		DecodeEvent: func(typ string, version int, data []byte) ([]any, error) {
			return decodeEvent(r.Name, r.Events, r.Upcast, typ, version, data)
		},
		ReadCommand: func(name string, body []byte) (any, error) {
			for _, t := range r.Commands {
				if t.Name == name {
					c, err := wire.ReadSent(body, t.Empty, t.Read)
					if err != nil {
						return nil, err
					}
					return a.Valid(c)
				}
			}
			return nil, fmt.Errorf("%s has no command %q", r.Name, name)
		},
		EncodeState: json.Marshal,
		DecodeState: func(b []byte) (any, error) {
			var s S
			err := json.Unmarshal(b, &s)
			return s, err
		},
	}
	if r.Check != nil {
		d.Check = func(ctx context.Context, rd Reader, c any, m Meta) error { return r.Check(ctx, rd, c.(C), m) }
	}
	if r.Owner != nil {
		d.Owner = func(ctx context.Context, rd Reader, c any) (string, error) { return r.Owner(ctx, rd, c.(C)) }
	}
	erases := r.erasing()
	for _, t := range r.Commands {
		access := r.Access
		if t.Access != nil {
			access = *t.Access
		}
		creates, changes := r.reach(t)
		d.Commands = append(d.Commands, CommandDefinition{t.Name, t.Internal, access, json.RawMessage(t.Schema), t.Empty, t.Help, creates, changes, t.Destructive, t.Personal, erases[t.Name]})
	}
	d.Events = eventDefinitions(r.Events)
	return d
}

// reach tells where a command may be sent. Its rule says so: a command that it accepts
// before anything has happened creates, and changes only what it accepts afterwards, too.
func (r *AggregateRules[C, E, S]) reach(t CommandType[C]) (creates, changes bool) {
	defer func() {
		if recover() != nil { // a rule that relies on values says nothing
			creates, changes = t.Creates, !t.Creates
		}
	}()
	var s S
	events, err := r.DecideMeta(t.Zero, s, Meta{})
	if err != nil || len(events) == 0 {
		return t.Creates, !t.Creates
	}
	for _, e := range events {
		s = r.Evolve(e, s)
	}
	_, err = r.DecideMeta(t.Zero, s, Meta{})
	return true, err == nil
}

// erasing tells which commands erase the stream's subject, and what goes with it. Their rules
// say so: one of the events that they decide on, once there is an aggregate, is marked so.
func (r *AggregateRules[C, E, S]) erasing() map[string][]string {
	marked := map[string]bool{}
	var fields []string
	for _, t := range r.Events {
		marked[t.Name] = t.Erases
		fields = append(fields, t.Personal...)
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	out := map[string][]string{}
	if len(fields) == 0 {
		return out
	}
	for _, made := range r.Commands {
		for _, t := range r.Commands {
			if slices.ContainsFunc(r.after(made, t), func(e E) bool { typ, _, _, err := r.Wire(e); return err == nil && marked[typ] }) {
				out[t.Name] = fields
			}
		}
	}
	return out
}

// after is what a command decides after another one was the first.
func (r *AggregateRules[C, E, S]) after(first, then CommandType[C]) (events []E) {
	defer func() {
		if recover() != nil { // a rule that relies on values says nothing
			events = nil
		}
	}()
	var s S
	made, err := r.DecideMeta(first.Zero, s, Meta{})
	if err != nil || len(made) == 0 {
		return nil
	}
	for _, e := range made {
		s = r.Evolve(e, s)
	}
	events, _ = r.DecideMeta(then.Zero, s, Meta{})
	return events
}

func eventDefinitions[E any](types []EventType[E]) (out []EventDefinition) {
	for _, t := range types {
		out = append(out, EventDefinition{t.Name, t.Version, json.RawMessage(t.Schema), t.Personal, t.Erases})
	}
	return out
}

func decodeEvent[E any](of string, types []EventType[E], up Upcasters[E], typ string, version int, data []byte) ([]any, error) {
	if version == 0 {
		version = 1
	}
	for _, t := range types {
		if t.Name == typ && t.Version == version {
			e, err := wire.ReadStored(data, t.Read)
			if err != nil {
				return nil, fmt.Errorf("event %s of %s: %w", typ, of, err)
			}
			return []any{e}, nil
		}
	}
	for _, u := range up {
		if u.typ == typ && u.version == version {
			events, err := u.read(data)
			if err != nil {
				return nil, fmt.Errorf("event %s (version %d) of %s: %w", typ, version, of, err)
			}
			out := make([]any, len(events))
			for i, e := range events {
				out[i] = e
			}
			return out, nil
		}
	}
	return nil, unknownType(of, typ, version)
}

// Upcasters read events that were stored under earlier shapes and names. The generator
// uses the package's variable called upcasters; for requests of an extension point, the one
// called requestUpcasters.
type Upcasters[E any] []Upcaster[E]

// Upcaster reads an earlier shape of an event.
type Upcaster[E any] struct {
	typ     string
	version int
	read    func([]byte) ([]E, error)
}

// Upcast declares how an event that was stored as typ in that version is read today. old
// is its shape at the time, with JSON names by field name or tag.
func Upcast[Old, E any](typ string, version int, today func(old Old) E) Upcaster[E] {
	return UpcastMany(typ, version, func(old Old) []E { return []E{today(old)} })
}

// UpcastMany is [Upcast] for what is several events today, or none. They share the stored
// event's version, since versions count what is stored.
func UpcastMany[Old, E any](typ string, version int, today func(old Old) []E) Upcaster[E] {
	return Upcaster[E]{typ, version, func(data []byte) ([]E, error) {
		var old Old
		if err := json.Unmarshal(data, &old); err != nil {
			return nil, err
		}
		return today(old), nil
	}}
}
