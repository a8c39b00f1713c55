package es

import (
	"encoding/json"
	"time"
)

// Mapping is an event mapping: it turns one aggregate's events into commands for another
// aggregate, or the same one. It is stateless. If its command is rejected, that is final.
//
// A mapping that is new in a shop with history acts on what is committed from then on,
// unless FromBeginning or Since says otherwise.
type Mapping struct {
	Name           string // within the plugin, e.g. "AutoShip"
	Source, Target string // full names of aggregates
	Delay          time.Duration
	Start          Start
	Apply          func(id string, e any) []Command
}

// Start says which commits a follower starts with.
type Start struct {
	New   bool      // those after the follower was first deployed
	Since time.Time // those from this time on; zero: the first
}

// NewMapping declares an event mapping from source's events to target's commands. f must
// be pure: it may be called again for the same event.
func NewMapping[C, E, S, C2, E2, S2 any](name string, source Aggregate[C, E, S], target Aggregate[C2, E2, S2], f func(id string, e E) Commands[C2]) Mapping {
	return Mapping{Name: name, Source: source.rules.Name, Target: target.rules.Name, Start: Start{New: true}, Apply: func(id string, e any) []Command {
		return erase(target.rules.Name, f(id, e.(E)))
	}}
}

// MaxDelay is the longest delay of a mapping: the longest that SQS offers.
const MaxDelay = 15 * time.Minute

// After delays the commands: the mapping acts on a commit no earlier than d after it was
// made. d is at most [MaxDelay].
func (m Mapping) After(d time.Duration) Mapping { m.Delay = d; return m }

// FromBeginning makes a new mapping act on a shop's whole history.
func (m Mapping) FromBeginning() Mapping { m.Start = Start{}; return m }

// Since makes a new mapping act on what was committed from that time on.
func (m Mapping) Since(t time.Time) Mapping { m.Start = Start{Since: t}; return m }

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
	Decode func(typ string, version int, data []byte) (any, error) // ErrUnknownType
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
		Decode: func(typ string, version int, data []byte) (any, error) {
			return decodeEvent(r.Name, r.Events, r.Upcast, typ, version, data)
		},
	}
}

// Publication maps an aggregate's events to those of an extension point.
type Publication struct {
	Point  PointDefinition
	Source string // full name of the aggregate
	Apply  func(id string, e any) []any
}

// Publish declares which of source's events are published at the extension point, and as
// what. f must be pure.
func Publish[C, E, S, P any](source Aggregate[C, E, S], p Point[P], f func(id string, e E) []P) Publication {
	return Publication{p.Definition(), source.rules.Name, func(id string, e any) (out []any) {
		for _, x := range f(id, e.(E)) {
			out = append(out, x)
		}
		return out
	}}
}

// Extension turns events that another plugin publishes into commands. A new one starts
// with the first event, unless Since says otherwise: that is how a plugin that is deployed
// later catches up.
type Extension struct {
	Name   string // within the plugin, e.g. "Orders_Extension"
	Target string // full name of the aggregate
	Point  PointDefinition
	Start  Start
	Apply  func(e any) []Command
}

// NewExtension declares an extension of an extension point that sends commands to target.
// f must be pure.
func NewExtension[P, C, E, S any](name string, p Point[P], target Aggregate[C, E, S], f func(e P) Commands[C]) Extension {
	return Extension{Name: name, Target: target.rules.Name, Point: p.Definition(), Apply: func(e any) []Command {
		return erase(target.rules.Name, f(e.(P)))
	}}
}

// Since makes a new extension act on what was committed from that time on.
func (x Extension) Since(t time.Time) Extension { x.Start = Start{Since: t}; return x }

// NewStoredEvent returns the stored form of an event, which leaves out version 1.
func NewStoredEvent(typ string, version int, data []byte) StoredEvent {
	if version == 1 {
		version = 0
	}
	return StoredEvent{typ, version, data}
}

// StoredEvent is an event as it is stored and published.
type StoredEvent struct {
	Type    string          `json:"type"`
	Version int             `json:"v,omitempty"` // absent: 1
	Data    json.RawMessage `json:"data"`
}
