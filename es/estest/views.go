package estest

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// Reads is the same shop, for what declares that it reads these alone, as a task's Reads
// do: anything else is an error, as it is in a real shop.
func (s *Shop) Reads(reads ...es.Readable) *Shop {
	only := *s
	only.reads = &reads
	return &only
}

// mayRead returns an error if the read model, or the aggregate's ids, are not declared.
func (s *Shop) mayRead(name string) error {
	if s.reads == nil {
		return nil
	}
	views, aggregates := es.ReadsOf(*s.reads)
	for _, v := range views {
		if engine.ViewName(v.Definition()) == name {
			return nil
		}
	}
	for _, a := range aggregates {
		if a.Definition().Name == name {
			return nil
		}
	}
	return fmt.Errorf("it reads %s, which its Reads does not name", name)
}

// Row implements [es.Reader]: it folds what has happened.
func (s *Shop) Row(_ context.Context, view es.AnyReadModel, id string) (any, error) {
	d := view.Definition()
	if err := s.mayRead(engine.ViewName(d)); err != nil {
		return nil, err
	}
	if d.Kind != es.ViewRows {
		return nil, fmt.Errorf("%s has no rows of one id alone that a test's shop can fold", d.Name)
	}
	row, _ := s.fold(d, id)
	return row, nil
}

// below is the rows below a stream, by sub-id, and who owns them.
func (s *Shop) below(d es.ReadModelDefinition, id string) (rows map[string]any, owner string) {
	rows = map[string]any{}
	for _, e := range s.History(d.Sources[0], id) {
		if owner == "" {
			owner = e.Meta.Owner
		}
		applyItems(rows, d.ProjectItems(d.Sources[0], e))
	}
	return rows, owner
}

// fold is the row with its owner; nil: there is none.
func (s *Shop) fold(d es.ReadModelDefinition, id string) (row any, owner string) {
	for _, aggregate := range d.Sources {
		for _, e := range s.History(aggregate, id) {
			was := row
			if row = d.Project(aggregate, e, row); was == nil && row != nil {
				owner = e.Meta.Owner
			}
		}
	}
	return row, owner
}

// List implements [es.Reader]. Rows come in the order that a real shop has, and without a
// sort by their ids.
func (s *Shop) List(_ context.Context, view es.AnyReadModel, q es.Query) iter.Seq2[es.Item[any], error] {
	return func(yield func(es.Item[any], error) bool) {
		rows, err := s.list(view.Definition(), q)
		if err != nil {
			yield(es.Item[any]{}, err)
			return
		}
		for i, row := range rows {
			if q.Limit > 0 && i == q.Limit || !yield(row, nil) {
				return
			}
		}
	}
}

func (s *Shop) list(d es.ReadModelDefinition, query es.Query) (items []es.Item[any], err error) {
	d.Name = engine.ViewName(d)
	if err := s.mayRead(d.Name); err != nil {
		return nil, err
	}
	if d.Kind == es.ViewKeyed {
		return nil, fmt.Errorf("a test's shop does not merge the parts of %s: see PartsOf", d.Name)
	}
	q, err := engine.Selection(d, query)
	if err != nil {
		return nil, err
	}
	var rows []engine.Row
	found := map[string]any{}
	add := func(id string, view any, owner string) error {
		if view == nil {
			return nil
		}
		row := engine.Row{Model: d.Name, ID: id, Owner: owner}
		var err error
		if row.View, err = d.Encode(view); err != nil {
			return err
		}
		if row, err = engine.Indexed(d, row); err == nil && q.Matches(row) {
			rows = append(rows, row)
			found[id] = view
		}
		return err
	}
	for _, id := range s.ids(d.Sources...) {
		if d.Kind == es.ViewRows {
			view, owner := s.fold(d, id)
			if err := add(id, view, owner); err != nil {
				return nil, err
			}
			continue
		}
		below, owner := s.below(d, id)
		for subID, view := range below {
			if err := add(engine.ItemID(id, subID), view, owner); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(rows, func(a, b engine.Row) int { return q.Compare(q.Key(a), q.Key(b)) })
	for _, row := range rows {
		i := es.Item[any]{ID: row.ID, Row: found[row.ID]}
		if d.Kind == es.ViewItems {
			i.ID, i.SubID = engine.SplitItemID(row.ID)
		}
		items = append(items, i)
	}
	return items, nil
}

// IDs implements [es.Reader].
func (s *Shop) IDs(_ context.Context, of es.AnyAggregate) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		name := of.Definition().Name
		if err := s.mayRead(name); err != nil {
			yield("", err)
			return
		}
		for _, id := range s.ids(name) {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// ids are those of the aggregates to which anything has happened, in order.
func (s *Shop) ids(aggregates ...string) (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for of, h := range s.streams {
		if h.version() > 0 && slices.Contains(aggregates, of.aggregate) {
			ids = append(ids, of.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
