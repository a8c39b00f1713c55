package es

import (
	"context"
	"iter"
)

// Query selects rows of a read model, with the meaning that the same has over HTTP: By is
// a field=value, Sort is sort, the bounds are field.gte and its like, and Search is q. The
// zero value is all rows, in any order.
type Query struct {
	// By is a field that the read model declares with [ReadModel.By], and Is the value
	// that it must have.
	By, Is string
	// Sort is a field that the read model declares with [ReadModel.Sort]; with - before
	// it, from the last value to the first. Rows without the field come last.
	Sort string
	// Bounds of the field that Sort names, of its type: a text, number, [Price], time or
	// boolean. nil: none.
	AtLeast, MoreThan, AtMost, LessThan any
	// Search is words, each of which must begin a word of what the read model declares
	// with [ReadModel.Search].
	Search string
	Limit  int // at most so many rows; 0: all
}

// Item is a row of a read model with its id.
type Item[V any] struct {
	ID    string
	SubID string // of a row below its stream: see [ItemsFrom]
	Row   V
}

// Get reads the row with that id. It is strongly consistent, as [Aggregate.State] is: the
// stored row, with what has been committed since; a row that merges parts is as it is
// stored. Who reads says so in Reads.
func (r ReadModel[V]) Get(ctx context.Context, rd Reader, id string) (row V, found bool, err error) {
	v, err := rd.Row(ctx, r, id)
	if err != nil || v == nil {
		return row, false, err
	}
	return v.(V), true, nil
}

// List yields the rows that the query selects, read page by page as it goes. It is
// eventually consistent: a row may be a moment old, and one that moves in the order
// meanwhile may come twice, or not at all. [ReadModel.Get] has the latest. After an error
// there is nothing more. Who reads says so in Reads.
func (r ReadModel[V]) List(ctx context.Context, rd Reader, q Query) iter.Seq2[Item[V], error] {
	return func(yield func(Item[V], error) bool) {
		for i, err := range rd.List(ctx, r, q) {
			out := Item[V]{ID: i.ID, SubID: i.SubID}
			if err == nil {
				out.Row = i.Row.(V)
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// IDs yields the ids of all aggregates of the kind, in any order, read page by page as it
// goes. One that is made meanwhile may be missing. It reads the plugin's whole log on AWS,
// so a read model's list is cheaper, if there is one. Who reads says so in Reads.
func (a Aggregate[C, E, S]) IDs(ctx context.Context, rd Reader) iter.Seq2[string, error] {
	return rd.IDs(ctx, a)
}

// Readable is what a task or side effect says that it reads: a read model, or an
// aggregate whose ids it lists. The state and history of an aggregate need no saying.
type Readable interface{ readable() }

func (ReadModel[V]) readable()       {}
func (Aggregate[C, E, S]) readable() {}

// ReadsOf returns which of them are read models, and which aggregates.
func ReadsOf(reads []Readable) (views []AnyReadModel, aggregates []AnyAggregate) {
	for _, r := range reads {
		switch r := r.(type) {
		case AnyReadModel:
			views = append(views, r)
		case AnyAggregate:
			aggregates = append(aggregates, r)
		}
	}
	return views, aggregates
}
