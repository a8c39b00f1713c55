package es

import (
	"encoding/json"
	"fmt"
	"time"
)

// Mapping is an event mapping: it turns one aggregate's events into commands for another
// aggregate, or the same one. It is stateless. If its command is rejected, that is final:
// OnRejected says what follows from that.
//
// A mapping that is new in a shop with history acts on what is committed from then on,
// unless FromBeginning or Since says otherwise.
type Mapping struct {
	Name           string // within the plugin, e.g. "AutoShip"
	Source, Target string // full names of aggregates
	Delay          time.Duration
	DueAt          func(Recorded[any]) time.Time // zero is at once; nil: after Delay
	Start          Start
	Apply          func(Recorded[any]) []Command
	Rejected       *Reaction // nil: nothing follows
	events         kind
}

// kind is one type of event, or the union that several are of.
type kind struct {
	of  any // the event; nil: the union
	has func(event any) bool
}

func kindOf[T any]() kind {
	var event T
	return kind{event, func(event any) bool { _, ok := event.(T); return ok }}
}

// Start says which commits a follower starts with.
type Start struct {
	New   bool      // those after the follower was first deployed
	Since time.Time // those from this time on; zero: the first
}

// NewMapping declares an event mapping from source's events of type T, which is one event
// or the whole union, to target's commands. f must be pure: it may be called again for the
// same event.
func NewMapping[C, E, S, C2, E2, S2, T any](name string, source Aggregate[C, E, S], target Aggregate[C2, E2, S2], f func(Recorded[T]) Commands[C2]) Mapping {
	apply := only[E](source.rules.Name, f)
	return Mapping{Name: name, Source: source.rules.Name, Target: target.rules.Name, Start: Start{New: true}, Apply: func(e Recorded[any]) []Command {
		return erase(target.rules.Name, apply(e))
	}, events: kindOf[T]()}
}

// After delays the commands: the mapping acts on a commit no earlier than d after it was
// made, be that seconds or years.
func (m Mapping) After(d time.Duration) Mapping { m.Delay = d; return m }

// Due delays the commands until the time that their event says: see [At]. There is
// nothing to cancel: where things have changed by then, the target's rule says so. Commands
// are sent in the order of their stream, so what is due later holds back what comes after
// it in the same stream. It panics where at is of none of the mapping's events, which would
// all be due at once.
func (m Mapping) Due(at DueTime) Mapping {
	if of := m.events.of; of != nil && !at.events.has(of) {
		panic(fmt.Sprintf("mapping %s is of %T: Due wants an es.At of it, or of its union", m.Name, of))
	}
	if of := at.events.of; of != nil && m.events.of == nil && !m.events.has(of) {
		panic(fmt.Sprintf("mapping %s: %T, which its es.At is of, is not an event of %s", m.Name, of, m.Source))
	}
	m.DueAt = at.at
	return m
}

// DueTime is when a mapping is to act on an event.
type DueTime struct {
	at     func(Recorded[any]) time.Time
	events kind
}

// At is the due time of events of type T, which is one event or the whole union; a zero
// time is at once. Others are due at once. f must be pure.
func At[T any](f func(e Recorded[T]) time.Time) DueTime {
	return DueTime{typed(f), kindOf[T]()}
}

// FromBeginning makes a new mapping act on a shop's whole history.
func (m Mapping) FromBeginning() Mapping { m.Start = Start{}; return m }

// Since makes a new mapping act on what was committed from that time on.
func (m Mapping) Since(t time.Time) Mapping { m.Start = Start{Since: t}; return m }

// mustBe panics where T is none of the union E: what waits for one would wait for ever.
func mustBe[E, T any](of string) {
	var event T
	if _, ok := any(event).(E); !ok && any(event) != nil {
		panic(fmt.Sprintf("%T is not an event of %s", event, of))
	}
}

// only is typed, for a T of the union E.
func only[E, T, R any](of string, f func(Recorded[T]) R) func(Recorded[any]) R {
	mustBe[E, T](of)
	return typed(f)
}

// typed returns f for events of type T: all others give nothing.
func typed[T, R any](f func(Recorded[T]) R) func(Recorded[any]) R {
	return func(e Recorded[any]) (none R) {
		t, ok := e.Event.(T)
		if !ok {
			return none
		}
		return f(Recorded[T]{e.ID, t, e.Version, e.Time, e.Meta})
	}
}

func erase[C any](aggregate string, cs Commands[C]) (out []Command) {
	for _, c := range cs {
		out = append(out, Command{aggregate, c.ID, c.Command})
	}
	return out
}

// Point is an extension point: a plugin's public contract of what it publishes.
type Point[E any] struct{ rules *PointRules[E] }

// PointRules is what generated code passes to [NewPoint].
type PointRules[E any] struct {
	Name   string // "Catalog.Products"
	Key    func(E) string
	Events []EventType[E]
	Wire   func(E) (typ string, version int, data []byte, err error)
	Upcast Upcasters[E]
}

// NewPoint returns the extension point with these rules. Generated code calls it.
func NewPoint[E any](r PointRules[E]) Point[E] { return Point[E]{&r} }

// Name returns the full name, e.g. "Catalog.Products".
func (p Point[E]) Name() string { return p.rules.Name }

// PointDefinition is the type-erased form that the engine runs.
type PointDefinition struct {
	Name   string
	Events []EventDefinition
	Key    func(any) string
	Encode func(any) (typ string, version int, data []byte, err error)
	Decode func(typ string, version int, data []byte) ([]any, error) // as today's events; ErrUnknownType
}

// Definition returns the form that the engine runs.
func (p Point[E]) Definition() PointDefinition {
	r := p.rules
	return PointDefinition{
		Name: r.Name, Events: eventDefinitions(r.Events),
		Key: func(e any) string { return r.Key(e.(E)) },
		Encode: func(e any) (string, int, []byte, error) {
			m, _ := e.(E) // nil where it is none, which Wire answers with an error
			return r.Wire(m)
		},
		Decode: func(typ string, version int, data []byte) ([]any, error) {
			return decodeEvent(r.Name, r.Events, r.Upcast, typ, version, data)
		},
	}
}

// Publication maps an aggregate's events to those of an extension point.
type Publication struct {
	Point  PointDefinition
	Source string // full name of the aggregate
	Apply  func(Recorded[any]) []any
	Asks   bool // it sends requests: see [Ask]
}

// Publish declares which of source's events of type T, which is one event or the whole
// union, are published at the extension point, and as what. f must be pure.
func Publish[C, E, S, P, T any](source Aggregate[C, E, S], p Point[P], f func(Recorded[T]) []P) Publication {
	apply := only[E](source.rules.Name, f)
	return Publication{Point: p.Definition(), Source: source.rules.Name, Apply: func(e Recorded[any]) (out []any) {
		for _, x := range apply(e) {
			out = append(out, x)
		}
		return out
	}}
}

// Extension turns events that another plugin publishes into commands. A new one starts
// with the first event, unless Since says otherwise: that is how a plugin that is deployed
// later catches up.
type Extension struct {
	Name     string // within the plugin, e.g. "Orders_Extension"
	Target   string // full name of the aggregate
	Point    PointDefinition
	Start    Start
	Apply    func(Recorded[any]) []Command
	Rejected *Reaction // nil: nothing follows
	Accepts  bool      // it takes requests of whichever plugin: see [Accept]
}

// NewExtension declares an extension that turns an extension point's events of type T,
// which is one event or the whole union, into target's commands. An event's ID is its key;
// it has no Version, and its Meta no user, owner or cause: those are the publisher's own. f
// must be pure.
func NewExtension[P, C, E, S, T any](name string, p Point[P], target Aggregate[C, E, S], f func(Recorded[T]) Commands[C]) Extension {
	apply := only[P](p.rules.Name, f)
	return Extension{Name: name, Target: target.rules.Name, Point: p.Definition(), Apply: func(e Recorded[any]) []Command {
		return erase(target.rules.Name, apply(e))
	}}
}

// Since makes a new extension act on what was committed from that time on.
func (x Extension) Since(t time.Time) Extension { x.Start = Start{Since: t}; return x }

// NewStoredEvent returns the stored form of an event, which leaves out version 1.
func NewStoredEvent(typ string, version int, data []byte) StoredEvent {
	if version == 1 {
		version = 0
	}
	return StoredEvent{Type: typ, Version: version, Data: data}
}

// StoredEvent is an event as it is stored and published.
type StoredEvent struct {
	Type    string          `json:"type"`
	Version int             `json:"v,omitempty"` // absent: 1
	Data    json.RawMessage `json:"data"`
	// Sealed names the members of Data that hold personal data, which a log has encrypted.
	Sealed []string `json:"sealed,omitempty"`
	// Erased names the members that Data lacks, since their subject was erased. It is not
	// stored.
	Erased []string `json:"-"`
}
