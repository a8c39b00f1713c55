package es

// ViewKind is what the rows of a view are.
type ViewKind string

// A view is of one kind.
const (
	ViewRows  ViewKind = "rows"  // one for each aggregate id
	ViewItems ViewKind = "items" // any number below each aggregate id, by sub-ids
	ViewKeyed ViewKind = "keyed" // one for each key, merged of the parts of many aggregates
)

// Changes is the result of a projection into the rows below an aggregate's id: what
// becomes of them, in order. nil leaves all as they are. The events of one commit may
// change at most 100 rows.
type Changes[V any] []itemChange[V]

type itemChange[V any] struct {
	ItemChange
	change Change[V]
}

// Set creates a row, or replaces it.
func (c Changes[V]) Set(subID string, v V) Changes[V] {
	return c.with(ItemChange{SubID: subID, Blind: true}, Set(v))
}

// Update changes a row if it exists.
func (c Changes[V]) Update(subID string, f func(V) V) Changes[V] {
	return c.with(ItemChange{SubID: subID}, Update(f))
}

// Delete removes a row.
func (c Changes[V]) Delete(subID string) Changes[V] {
	return c.with(ItemChange{SubID: subID, Blind: true}, Delete[V]())
}

// UpdateAll changes each row below the aggregate's id.
func (c Changes[V]) UpdateAll(f func(V) V) Changes[V] {
	return c.with(ItemChange{All: true}, Update(f))
}

// DeleteAll removes all rows below the aggregate's id.
func (c Changes[V]) DeleteAll() Changes[V] {
	return c.with(ItemChange{All: true}, Delete[V]())
}

func (c Changes[V]) with(of ItemChange, change Change[V]) Changes[V] {
	return append(c[:len(c):len(c)], itemChange[V]{of, change})
}

// ItemChange is the type-erased form of one of [Changes]. An absent row is nil.
type ItemChange struct {
	SubID string
	All   bool // it is of each row, not of the one with SubID
	Blind bool // Apply does not look at the row
	Apply func(row any) any
}

// ItemsFrom returns a source that folds an aggregate's events of type T, which is one event
// or the whole union, into rows below its id: GET /{plugin}/{view}/{id}/items. project must
// be pure. A read model with such a source has no other.
func ItemsFrom[C, E, S, T, V any](a Aggregate[C, E, S], project func(Recorded[T]) Changes[V]) Source[V] {
	return Source[V]{aggregate: a.rules.Name, kind: ViewItems, items: only[E](a.rules.Name, project)}
}

// PartsFrom returns a source that folds an aggregate's events of type T, which is one event
// or the whole union, into what the aggregate contributes to rows with other ids: its
// changes are of its own parts, and their sub-ids are the rows' keys. A row merges the parts
// of all aggregates at its key, field by field, as [ReadModel.Sum], [ReadModel.First] and
// [ReadModel.Last] say, and costs the same to read with one part or a million. project must
// be pure. A read model with such a source has no other.
func PartsFrom[C, E, S, T, V any](a Aggregate[C, E, S], project func(Recorded[T]) Changes[V]) Source[V] {
	return Source[V]{aggregate: a.rules.Name, kind: ViewKeyed, items: only[E](a.rules.Name, project)}
}

// Sum adds up fields of the parts, given by their JSON names: numbers and prices, exactly.
func (r ReadModel[V]) Sum(fields ...string) ReadModel[V] { return r.merge(MergeSum, fields) }

// First keeps the least of the parts' values of a field: numbers, prices, times, booleans.
func (r ReadModel[V]) First(fields ...string) ReadModel[V] { return r.merge(MergeFirst, fields) }

// Last keeps the greatest of the parts' values of a field, likewise.
func (r ReadModel[V]) Last(fields ...string) ReadModel[V] { return r.merge(MergeLast, fields) }

func (r ReadModel[V]) merge(how string, fields []string) ReadModel[V] {
	r.merges = r.merges[:len(r.merges):len(r.merges)]
	for _, f := range fields {
		r.merges = append(r.merges, Merge{f, how})
	}
	return r
}

// Merge is how one field of the parts at a key becomes the row's.
type Merge struct{ Field, How string }

// How fields are merged.
const (
	MergeSum   = "sum"
	MergeFirst = "first"
	MergeLast  = "last"
)

// ProjectItems returns what an event of one of the sources changes.
func (r ReadModel[V]) ProjectItems(aggregate string, e Recorded[any]) (out []ItemChange) {
	for _, s := range r.sources {
		if s.aggregate != aggregate || s.items == nil {
			continue
		}
		for _, c := range s.items(e) {
			change := c.ItemChange
			change.Apply = func(row any) any { return erased(c.change, row) }
			out = append(out, change)
		}
	}
	return out
}

// erased applies a change to a row of any type.
func erased[V any](change func(*V) *V, row any) any {
	var v *V
	if row != nil {
		c := row.(V)
		v = &c
	}
	if v = change(v); v == nil {
		return nil
	}
	return *v
}
