package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"onlineshop/es"
)

// reader is the [es.Reader] of checks, side effects and tasks. It is not safe for
// concurrent use unless loaded is nil.
type reader struct {
	*Engine
	caller es.Caller
	// loaded caches what one decision has read, so that its rules read each stream
	// once. nil: no caching.
	loaded map[Stream]es.Loaded
	used   *bool  // set once it has read anything; may be nil
	reads  *reads // beside the state of aggregates; nil: nothing
	// people says that nothing is to be done about those who are erased: reading them gives
	// [ErrErased].
	people bool
}

// use notes that it is read.
func (r reader) use() {
	if r.used != nil {
		*r.used = true
	}
}

func (r reader) Caller() es.Caller { return r.caller }

// Load implements [es.Reader].
func (r reader) Load(ctx context.Context, name, id string) (es.Loaded, error) {
	r.use()
	a := r.aggregates[name]
	switch {
	case a == nil:
		return es.Loaded{}, fmt.Errorf("load %s %q: there is no such aggregate in this plugin", name, id)
	case a.InPlace:
		return es.Loaded{}, fmt.Errorf("load %s %q: it evolves in place and can't be read by others", name, id)
	case !es.ValidInternalID(id):
		return es.Loaded{State: a.Initial}, nil // such an aggregate can't exist
	}
	s := Stream{name, id}
	if l, ok := r.loaded[s]; ok {
		return l, nil
	}
	f := r.cache.folded(a, id)
	err := r.catchUp(ctx, f)
	r.cache.settle(f)
	if err != nil {
		return es.Loaded{}, fmt.Errorf("load %s %q: %w", name, id, err)
	}
	f.Lock()
	defer f.Unlock()
	if f.erased && r.people {
		subjectsOf(ctx).miss(s)
		return es.Loaded{}, fmt.Errorf("load %s %q: %w", name, id, ErrErased)
	}
	if a.subject != nil {
		subjectsOf(ctx).add(s, f.texts...)
	}
	l := es.Loaded{State: f.state, Owner: f.owner, Version: f.version}
	if r.loaded != nil {
		r.loaded[s] = l
	}
	return l, nil
}

// Events implements [es.Reader].
func (r reader) Events(ctx context.Context, name, id string) iter.Seq2[es.Recorded[any], error] {
	return func(yield func(es.Recorded[any], error) bool) {
		r.use()
		a := r.aggregates[name]
		if a == nil {
			yield(es.Recorded[any]{}, fmt.Errorf("events of %s %q: there is no such aggregate in this plugin", name, id))
			return
		}
		err := r.commits(ctx, Stream{name, id}, 0, func(c Commit) error {
			events, err := a.decode(c)
			if err != nil {
				return err
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(es.Recorded[any]{}, err)
		}
	}
}
