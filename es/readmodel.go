package es

import (
	"encoding/json"
	"fmt"
)

// Change is the result of a projection: what becomes of a row. nil leaves it as it is.
type Change[V any] func(row *V) *V

// Set creates the row, or replaces it.
func Set[V any](v V) Change[V] { return func(*V) *V { return &v } }

// Update changes the row if it exists.
func Update[V any](f func(V) V) Change[V] {
	return func(r *V) *V {
		if r == nil {
			return nil
		}
		v := f(*r)
		return &v
	}
}

// Delete removes the row.
func Delete[V any]() Change[V] { return func(*V) *V { return nil } }

// View is the type of a row. The generator writes its JSON form and schema as methods.
type View interface{ JSONSchema() string }

// ReadModel is a view: one row per aggregate id, folded from the events of one or more
// aggregates.
type ReadModel[V View] struct {
	name    string
	sources []Source[V]
	indexes []string
	access  Access
}

// Source is an aggregate that a read model folds, with its projection.
type Source[V any] struct {
	aggregate string
	project   func(Recorded[any]) Change[V]
}

// NewReadModel declares a read model. The name is unique within the plugin, e.g.
// "Products". An absent row is folded from all events of the first source, then of the
// next one. Updates by different sources to one row must commute: see estest.Commutes.
func NewReadModel[V View](name string, sources ...Source[V]) ReadModel[V] {
	return ReadModel[V]{name: name, sources: sources}
}

// By makes rows listable by a field of type string, given by its JSON name.
func (r ReadModel[V]) By(field string) ReadModel[V] {
	r.indexes = append(r.indexes[:len(r.indexes):len(r.indexes)], field)
	return r
}

// Allow sets who may read the rows. Default: any signed-in user.
func (r ReadModel[V]) Allow(a Access) ReadModel[V] { r.access = a; return r }

// From returns a source that folds an aggregate's events into rows. project must be pure.
func From[C, E, S, V any](a Aggregate[C, E, S], project func(E) Change[V]) Source[V] {
	return Source[V]{a.rules.Name, func(r Recorded[any]) Change[V] { return project(r.Event.(E)) }}
}

// FromRecorded is [From] for projections that need the event's envelope.
func FromRecorded[C, E, S, V any](a Aggregate[C, E, S], project func(Recorded[E]) Change[V]) Source[V] {
	return Source[V]{a.rules.Name, func(r Recorded[any]) Change[V] {
		return project(Recorded[E]{r.ID, r.Event.(E), r.Version, r.Time, r.Meta})
	}}
}

// Name returns the name within the plugin, e.g. "Products".
func (r ReadModel[V]) Name() string { return r.name }

// Project applies an event of one of the sources to a row, for tests.
func (r ReadModel[V]) Project(aggregate string, e Recorded[any], row *V) *V {
	for _, s := range r.sources {
		if s.aggregate == aggregate {
			if change := s.project(e); change != nil {
				row = change(row)
			}
		}
	}
	return row
}

// ReadModelDefinition is the type-erased form that the engine runs. An absent row is nil.
type ReadModelDefinition struct {
	Name    string   // "Catalog.Products" once it is in a plugin
	Sources []string // aggregates, in declared order, each once
	Indexes []string // fields by their JSON names
	Access  Access
	Schema  json.RawMessage
	Project func(aggregate string, e Recorded[any], row any) any
	Encode  func(row any) ([]byte, error)
	Decode  func([]byte) (any, error)
}

// AnyReadModel is a read model with rows of any type.
type AnyReadModel interface {
	Name() string
	Definition() ReadModelDefinition
}

// Definition returns the form that the engine runs.
func (r ReadModel[V]) Definition() ReadModelDefinition {
	var zero V
	d := ReadModelDefinition{
		Name: r.name, Indexes: r.indexes, Access: r.access, Schema: json.RawMessage(zero.JSONSchema()),
		Project: func(aggregate string, e Recorded[any], row any) any {
			var v *V
			if row != nil {
				c := row.(V)
				v = &c
			}
			if v = r.Project(aggregate, e, v); v == nil {
				return nil
			}
			return *v
		},
		Encode: json.Marshal,
		Decode: func(b []byte) (any, error) {
			var v V
			if err := json.Unmarshal(b, &v); err != nil {
				return nil, fmt.Errorf("stored row of %s: %w", r.name, err)
			}
			return v, nil
		},
	}
	seen := map[string]bool{}
	for _, s := range r.sources {
		if !seen[s.aggregate] {
			seen[s.aggregate] = true
			d.Sources = append(d.Sources, s.aggregate)
		}
	}
	return d
}
