package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// Preview is what a command would append now.
type Preview struct {
	Version int64            // the aggregate's present one
	Events  []es.StoredEvent // none if there is nothing to change
}

// Preview decides a command as [Engine.Execute] does, with the same rejections, and
// appends nothing. A command that took effect already, by its key, has no events.
func (e *Engine) Preview(ctx context.Context, r Request) (Preview, error) {
	var p Preview
	r.preview = &p
	out, err := e.Execute(ctx, r)
	p.Version = out.Version
	return p, err
}

// State is an aggregate's state as of a version.
type State struct {
	Version int64
	State   json.RawMessage
}

// State folds an aggregate up to a version; nil: to its end. Callers who are neither in
// [es.Admin] nor the aggregate's owner can't tell it from one that does not exist. A
// version that it does not have yet gives [ErrVersionNotReached].
func (e *Engine) State(ctx context.Context, caller es.Caller, aggregate, id string, version *int64) (State, error) {
	a := e.aggregates[aggregate]
	if a == nil {
		return State{}, ErrNotFound.Because("there is no aggregate %s", aggregate)
	}
	s := Stream{aggregate, id}
	var at int64
	var owner string
	state := a.Initial
	err := e.commits(ctx, s, 0, func(c Commit) (err error) {
		if c.Seq == 0 {
			owner = c.Meta.Owner
		}
		defer guardAt("fold", s, c.Seq, &err)
		events, err := a.decode(c)
		for _, ev := range events {
			if version != nil && ev.Version > *version {
				return errStop
			}
			state = a.Evolve(ev.Event, state)
			at = ev.Version
		}
		if err == nil && (version == nil || c.Version <= *version) {
			at = c.Version
		}
		return err
	})
	if err != nil && !errors.Is(err, errStop) {
		return State{}, err
	}
	if at == 0 && (version == nil || *version > 0) || !sees(caller, owner) {
		return State{}, ErrNotFound.Because("there is no %s %q", naming.Short(aggregate), id)
	}
	if version != nil && at < *version {
		return State{}, ErrVersionNotReached.Because("%s has version %d, not yet %d", id, at, *version)
	}
	data, err := a.EncodeState(state)
	if err != nil {
		return State{}, fmt.Errorf("state of %s: %w", s, err)
	}
	return State{at, data}, nil
}

// sees reports whether the caller may see what belongs to the owner.
func sees(c es.Caller, owner string) bool {
	return c.System || c.In(es.Admin) || owner != "" && owner == c.User
}

// Streams returns a page of the ids of an aggregate's streams, of at most limit. next is
// the cursor of the following page, empty at the end. A foreign cursor gives [ErrCursor].
func (e *Engine) Streams(ctx context.Context, aggregate, cursor string, limit int) (ids []string, next string, err error) {
	if e.aggregates[aggregate] == nil {
		return nil, "", ErrNotFound.Because("there is no aggregate %s", aggregate)
	}
	// The log's pages have their own length: a cursor says where in which of them.
	var in struct {
		Page string `json:"page"`
		Skip int    `json:"skip"`
	}
	if cursor != "" {
		if err := json.Unmarshal([]byte(cursor), &in); err != nil || in.Skip < 0 {
			return nil, "", ErrCursor
		}
	}
	for {
		page, following, err := e.Log.Streams(ctx, aggregate, in.Page)
		if err != nil {
			return nil, "", fmt.Errorf("streams of %s: %w", aggregate, err)
		}
		for i, id := range page[min(in.Skip, len(page)):] {
			if len(ids) == limit {
				in.Skip += i
				next, err := json.Marshal(in)
				return ids, string(next), err
			}
			ids = append(ids, id)
		}
		if following == "" {
			return ids, "", nil
		}
		in.Page, in.Skip = following, 0
	}
}
