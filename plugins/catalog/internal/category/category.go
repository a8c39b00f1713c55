// Package category is a named grouping of products, e.g. "Books".
package category

import (
	"context"

	"onlineshop/es"
)

// Commands of a category.
type (
	Add struct {
		Name string //es:trim //es:len 1..200
	}
	Rename  Add
	Archive struct{} // No product can be put in it any more. //es:destructive
)

// Events of a category.
type (
	Added    Add
	Renamed  Rename
	Archived struct{}
)

// Why a command is rejected.
var (
	ErrAlreadyExists   = es.Conflict("CategoryAlreadyExists")
	ErrAlreadyArchived = es.Conflict("CategoryAlreadyArchived")
	ErrNotFound        = es.NotFound("CategoryNotFound")
)

// A Command is decided, an Event is folded.
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the zero value until the category is added.
type State struct {
	Created, Archived bool
	Name              string
}

var access = es.AllowGroups(es.Admin)

func (e Added) evolve(State) State     { return State{Created: true, Name: e.Name} }
func (e Renamed) evolve(s State) State { s.Name = e.Name; return s }
func (Archived) evolve(s State) State  { s.Archived = true; return s }

func (c Add) decide(s State) ([]Event, error) {
	switch {
	case s.Archived:
		return nil, ErrAlreadyArchived
	case s.Created:
		return nil, ErrAlreadyExists
	}
	return []Event{Added(c)}, nil
}

func (c Rename) decide(s State) ([]Event, error) {
	if err := s.active(); err != nil || c.Name == s.Name {
		return nil, err
	}
	return []Event{Renamed(c)}, nil
}

func (Archive) decide(s State) ([]Event, error) {
	switch {
	case !s.Created:
		return nil, ErrNotFound
	case s.Archived:
		return nil, nil
	}
	return []Event{Archived{}}, nil
}

func (s State) active() error {
	switch {
	case !s.Created:
		return ErrNotFound
	case s.Archived:
		return ErrAlreadyArchived
	}
	return nil
}

// MustBeActive rejects with [ErrNotFound] or [ErrAlreadyArchived] what is no
// category that a product can be put in.
func MustBeActive(ctx context.Context, r es.Reader, id string) error {
	s, err := Aggregate.State(ctx, r, id)
	if err != nil {
		return err
	}
	return s.active()
}
