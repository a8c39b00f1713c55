package es

import (
	"encoding/json"
	"fmt"
)

// Change is what a projection answers: what becomes of a row. nil leaves it.
type Change[V any] func(row *V) *V

// Set makes the row, or replaces it.
func Set[V any](v V) Change[V] { return func(*V) *V { return &v } }

// Update changes a row that is there.
func Update[V any](f func(V) V) Change[V] {
	return func(r *V) *V {
		if r == nil {
			return nil
		}
		v := f(*r)
		return &v
	}
}

// Delete removes a row.
func Delete[V any]() Change[V] { return func(*V) *V { return nil } }

// View is a row's type; the generator writes its wire form and schema as methods.
type View interface{ JSONSchema() string }

// ReadModel is a view: one row per aggregate id, folded from one or more
// aggregates' events.
type ReadModel[V View] struct {
	name    string
	sources []Source[V]
	indexes []string
	access  Access
}

// Source is one aggregate that a read model folds.
type Source[V any] struct {
	aggregate string
	project   func(Recorded[any]) Change[V]
}

// NewReadModel folds its sources in the order they are listed: an absent row is
// folded from all of the first one's events, then the next one's. Updates of
// different sources to one row must commute (see estest.Commutes). The name is
// the plugin's own, e.g. "Products".
func NewReadModel[V View](name string, sources ...Source[V]) ReadModel[V] {
	return ReadModel[V]{name: name, sources: sources}
}

// By lets the rows be listed by a field of type string, named as in JSON.
func (r ReadModel[V]) By(field string) ReadModel[V] {
	r.indexes = append(r.indexes[:len(r.indexes):len(r.indexes)], field)
	return r
}

// Allow says who may read the rows; any signed-in user where it is not said.
func (r ReadModel[V]) Allow(a Access) ReadModel[V] { r.access = a; return r }

// From folds an aggregate's events into rows.
func From[C, E, S, V any](a Aggregate[C, E, S], project func(E) Change[V]) Source[V] {
	return Source[V]{a.rules.Name, func(r Recorded[any]) Change[V] { return project(r.Event.(E)) }}
}

// FromRecorded is [From] for projections that need an event's envelope.
func FromRecorded[C, E, S, V any](a Aggregate[C, E, S], project func(Recorded[E]) Change[V]) Source[V] {
	return Source[V]{a.rules.Name, func(r Recorded[any]) Change[V] {
		return project(Recorded[E]{r.ID, r.Event.(E), r.Version, r.Time, r.Meta})
	}}
}

// Name is the plugin's own name, e.g. "Products".
func (r ReadModel[V]) Name() string { return r.name }

// Project applies an event of any of its sources; for the engine and for tests.
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

// ReadModelDefinition is the erased form that the engine runs. A row is nil
// where it is absent.
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

// AnyReadModel is a read model of any row type.
type AnyReadModel interface {
	Name() string
	Definition() ReadModelDefinition
}

// Definition is for the engine.
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
