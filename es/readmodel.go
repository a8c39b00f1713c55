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

// View is the type of a row. The generator writes its JSON form and schema as methods,
// and JSONLabel() string where a field names the row for people.
type View interface{ JSONSchema() string }

// ReadModel is a view: one row per aggregate id, folded from the events of one or more
// aggregates.
type ReadModel[V View] struct {
	name    string
	sources []Source[V]
	indexes []string
	sorts   []string
	search  []string
	merges  []Merge
	access  Access
}

// Source is an aggregate that a read model folds, with its projection.
type Source[V any] struct {
	aggregate string
	kind      ViewKind
	project   func(Recorded[any]) Change[V]
	items     func(Recorded[any]) Changes[V]
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

// Sort makes rows listable in the order of each of the fields, given by their JSON names,
// and by ranges of them: texts, numbers, prices, times and booleans.
func (r ReadModel[V]) Sort(fields ...string) ReadModel[V] {
	r.sorts = append(r.sorts[:len(r.sorts):len(r.sorts)], fields...)
	return r
}

// Search makes rows findable by the beginnings of words in the fields of type string,
// given by their JSON names. Case and accents don't matter.
func (r ReadModel[V]) Search(fields ...string) ReadModel[V] {
	r.search = append(r.search[:len(r.search):len(r.search)], fields...)
	return r
}

// Allow sets who may read the rows. Default: any signed-in user.
func (r ReadModel[V]) Allow(a Access) ReadModel[V] { r.access = a; return r }

// From returns a source that folds an aggregate's events of type T, which is one event or
// the whole union, into rows. project must be pure.
func From[C, E, S, T, V any](a Aggregate[C, E, S], project func(Recorded[T]) Change[V]) Source[V] {
	return Source[V]{aggregate: a.rules.Name, kind: ViewRows, project: only[E](a.rules.Name, project)}
}

// Name returns the name within the plugin, e.g. "Products".
func (r ReadModel[V]) Name() string { return r.name }

// Project applies an event of one of the sources to a row, for tests.
func (r ReadModel[V]) Project(aggregate string, e Recorded[any], row *V) *V {
	for _, s := range r.sources {
		if s.aggregate == aggregate && s.project != nil {
			if change := s.project(e); change != nil {
				row = change(row)
			}
		}
	}
	return row
}

// ReadModelDefinition is the type-erased form that the engine runs. An absent row is nil.
type ReadModelDefinition struct {
	Name     string   // "Catalog.Products" once it is in a plugin
	Kind     ViewKind // "": its sources are of several kinds, which does not work
	Sources  []string // aggregates, in declared order, each once
	Indexes  []string // fields by their JSON names
	Sorts    []string // likewise
	Searches []string // likewise
	Merges   []Merge  // of a keyed view, one of each field
	Label    string   // the field that names a row for people, by its JSON name; "": its id does
	Access   Access
	Schema   json.RawMessage
	Code     string // a hash of what its rows are made by; "": not known
	Project  func(aggregate string, e Recorded[any], row any) any
	// ProjectItems is in Project's place where the rows are below aggregates' ids.
	ProjectItems func(aggregate string, e Recorded[any]) []ItemChange
	Encode       func(row any) ([]byte, error)
	Decode       func([]byte) (any, error)
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
		Name: r.name, Indexes: r.indexes, Sorts: r.sorts, Searches: r.search, Merges: r.merges, Access: r.access, Schema: json.RawMessage(zero.JSONSchema()),
		Project: func(aggregate string, e Recorded[any], row any) any {
			return erased(func(v *V) *V { return r.Project(aggregate, e, v) }, row)
		},
		ProjectItems: r.ProjectItems,
		Encode:       json.Marshal,
		Decode: func(b []byte) (any, error) {
			var v V
			if err := json.Unmarshal(b, &v); err != nil {
				return nil, fmt.Errorf("stored row of %s: %w", r.name, err)
			}
			return v, nil
		},
	}
	seen := map[string]bool{}
	if v, ok := any(zero).(interface{ JSONLabel() string }); ok {
		d.Label = v.JSONLabel()
	}
	for i, s := range r.sources {
		if i == 0 {
			d.Kind = s.kind
		} else if s.kind != d.Kind {
			d.Kind = ""
		}
		if !seen[s.aggregate] {
			seen[s.aggregate] = true
			d.Sources = append(d.Sources, s.aggregate)
		}
	}
	return d
}
