package es

import (
	"encoding/json"
	"time"
)

// Mapping is an event mapping: it turns one aggregate's events into commands
// for another or the same. Stateless; a rejection of its command is final.
//
// A mapping that is new in a shop with history starts with what is committed
// from then on, unless FromBeginning or Since says otherwise.
type Mapping struct {
	name, source, target string
	delay                time.Duration
	start                Start
	apply                func(id string, e any) []Command
}

// Start says with which commits a follower starts.
type Start struct {
	New   bool      // with those after it first existed in the shop
	Since time.Time // with those from this time on; zero: with the first
}

// NewMapping declares an event mapping from source's events to target's commands.
func NewMapping[C, E, S, C2, E2, S2 any](name string, source Aggregate[C, E, S], target Aggregate[C2, E2, S2], f func(id string, e E) Commands[C2]) Mapping {
	return Mapping{name: name, source: source.rules.Name, target: target.rules.Name, start: Start{New: true}, apply: func(id string, e any) []Command {
		return erase(target.rules.Name, f(id, e.(E)))
	}}
}

// MaxDelay is the longest delay of a mapping: that of an SQS message.
const MaxDelay = 15 * time.Minute

// After delays the commands: a commit is applied no earlier than its time plus d,
// at most [MaxDelay].
func (m Mapping) After(d time.Duration) Mapping { m.delay = d; return m }

// FromBeginning lets a new mapping act on a shop's whole history.
func (m Mapping) FromBeginning() Mapping { m.start = Start{}; return m }

// Since lets a new mapping act on what was committed from that time on.
func (m Mapping) Since(t time.Time) Mapping { m.start = Start{Since: t}; return m }

// Name is the plugin's own name, e.g. "AutoShip".
func (m Mapping) Name() string { return m.name }

// Apply is the mapping's function; for tests.
func (m Mapping) Apply(id string, e any) []Command { return m.apply(id, e) }

func erase[C any](aggregate string, cs Commands[C]) (out []Command) {
	for _, c := range cs {
		out = append(out, Command{aggregate, c.ID, c.Command})
	}
	return out
}

// Point is an extension point: the public contract of what a plugin publishes.
type Point[E any] struct{ rules *PointRules[E] }

// PointRules is what generated code hands to [NewPoint].
type PointRules[E any] struct {
	Name   string // "Catalog.Products"
	Key    func(E) string
	Events []EventType[E]
	Wire   func(E) (typ string, version int, data []byte, err error)
	Upcast Upcasters[E]
}

// NewPoint is called by generated code.
func NewPoint[E any](r PointRules[E]) Point[E] { return Point[E]{&r} }

// Name is the full name, e.g. "Catalog.Products".
func (p Point[E]) Name() string { return p.rules.Name }

// PointDefinition is the erased form that the engine runs.
type PointDefinition struct {
	Name   string
	Events []EventDefinition
	Key    func(any) string
	Encode func(any) (typ string, version int, data []byte, err error)
	Decode func(typ string, version int, data []byte) (any, error) // ErrUnknownType
}

// Definition is for the engine.
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

// Publication maps an aggregate's events to an extension point's.
type Publication struct {
	point  PointDefinition
	source string
	apply  func(id string, e any) []any
}

// Publish declares what of source's events the extension point tells.
func Publish[C, E, S, P any](source Aggregate[C, E, S], p Point[P], f func(id string, e E) []P) Publication {
	return Publication{p.Definition(), source.rules.Name, func(id string, e any) (out []any) {
		for _, x := range f(id, e.(E)) {
			out = append(out, x)
		}
		return out
	}}
}

// Apply is the publication's function; for tests.
func (p Publication) Apply(id string, e any) []any { return p.apply(id, e) }

// Extension turns another plugin's published events into commands. A new one
// starts at the beginning, unless Since says otherwise: that is how a plugin
// that is deployed later catches up.
type Extension struct {
	name, target string
	point        PointDefinition
	start        Start
	apply        func(e any) []Command
}

// NewExtension listens to an extension point and sends to target.
func NewExtension[P, C, E, S any](name string, p Point[P], target Aggregate[C, E, S], f func(e P) Commands[C]) Extension {
	return Extension{name: name, target: target.rules.Name, point: p.Definition(), apply: func(e any) []Command {
		return erase(target.rules.Name, f(e.(P)))
	}}
}

// Since lets a new extension act on what was committed from that time on.
func (x Extension) Since(t time.Time) Extension { x.start = Start{Since: t}; return x }

// Name is the plugin's own name, e.g. "Orders_Extension".
func (x Extension) Name() string { return x.name }

// Apply is the extension's function; for tests.
func (x Extension) Apply(e any) []Command { return x.apply(e) }

// MappingDefinition is the erased form that the engine runs.
type MappingDefinition struct {
	Name, Source, Target string
	Delay                time.Duration
	Start                Start
	Apply                func(id string, e any) []Command
}

// Definition is for the engine.
func (m Mapping) Definition() MappingDefinition {
	return MappingDefinition{m.name, m.source, m.target, m.delay, m.start, m.apply}
}

// PublicationDefinition is the erased form that the engine runs.
type PublicationDefinition struct {
	Point  PointDefinition
	Source string
	Apply  func(id string, e any) []any
}

// Definition is for the engine.
func (p Publication) Definition() PublicationDefinition {
	return PublicationDefinition{p.point, p.source, p.apply}
}

// ExtensionDefinition is the erased form that the engine runs.
type ExtensionDefinition struct {
	Name, Target string
	Point        PointDefinition
	Start        Start
	Apply        func(e any) []Command
}

// Definition is for the engine.
func (x Extension) Definition() ExtensionDefinition {
	return ExtensionDefinition{x.name, x.target, x.point, x.start, x.apply}
}

// NewStoredEvent is an event's stored form, which leaves out version 1.
func NewStoredEvent(typ string, version int, data []byte) StoredEvent {
	if version == 1 {
		version = 0
	}
	return StoredEvent{typ, version, data}
}

// StoredEvent is the wire form of an event.
type StoredEvent struct {
	Type    string          `json:"type"`
	Version int             `json:"v,omitempty"` // absent: 1
	Data    json.RawMessage `json:"data"`
}
