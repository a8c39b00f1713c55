// Package customer is a registered buyer with contact details and account
// status.
package customer

import (
	"context"

	"onlineshop/es"
)

// Commands of a customer.
type (
	Register struct {
		Email   string //es:personal //es:trim //es:email
		Address string //es:personal //es:trim //es:len 1..1000
	}
	UpdateEmail struct {
		Email string //es:personal //es:trim //es:email
	}
	UpdateAddress struct {
		Address string //es:personal //es:trim //es:len 1..1000
	}
	Deactivate struct{} // The customer can't order any more. //es:destructive
	Erase      struct{} // The customer's data is deleted, for good. //es:destructive
)

// Events of a customer.
type (
	Registered     Register
	EmailUpdated   UpdateEmail
	AddressUpdated UpdateAddress
	Deactivated    struct{}
	Erased         struct{} //es:erases
)

// Why a command is rejected.
var (
	ErrAlreadyRegistered  = es.Conflict("CustomerAlreadyRegistered")
	ErrAlreadyDeactivated = es.Conflict("CustomerAlreadyDeactivated")
	ErrErased             = es.Conflict("CustomerErased")
	ErrNotFound           = es.NotFound("CustomerNotFound")
)

// A Command is decided, an Event is folded.
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the zero value until the customer registers.
type State struct {
	Registered, Deactivated, Erased bool
	Email, Address                  string
}

// Who registers owns the customer.
var access = es.AllowOwner(es.Admin)

func (Register) allow() es.Access { return es.AllowSignedIn() }

func (e Registered) evolve(State) State {
	return State{Registered: true, Email: e.Email, Address: e.Address}
}
func (e EmailUpdated) evolve(s State) State   { s.Email = e.Email; return s }
func (e AddressUpdated) evolve(s State) State { s.Address = e.Address; return s }
func (Deactivated) evolve(s State) State      { s.Deactivated = true; return s }
func (Erased) evolve(s State) State           { s.Erased = true; return s }

func (c Register) decide(s State) ([]Event, error) {
	switch {
	case s.Erased:
		return nil, ErrErased
	case s.Deactivated:
		return nil, ErrAlreadyDeactivated
	case s.Registered:
		return nil, ErrAlreadyRegistered
	}
	return []Event{Registered(c)}, nil
}

func (c UpdateEmail) decide(s State) ([]Event, error) {
	return s.change(c.Email == s.Email, EmailUpdated(c))
}

func (c UpdateAddress) decide(s State) ([]Event, error) {
	return s.change(c.Address == s.Address, AddressUpdated(c))
}

func (Deactivate) decide(s State) ([]Event, error) {
	switch {
	case !s.Registered:
		return nil, ErrNotFound
	case s.Erased:
		return nil, ErrErased
	case s.Deactivated:
		return nil, nil
	}
	return []Event{Deactivated{}}, nil
}

func (Erase) decide(s State) ([]Event, error) {
	switch {
	case !s.Registered:
		return nil, ErrNotFound
	case s.Erased:
		return nil, nil
	}
	return []Event{Erased{}}, nil
}

// change is e, or nothing where the customer has that value already.
func (s State) change(same bool, e Event) ([]Event, error) {
	if err := s.active(); err != nil || same {
		return nil, err
	}
	return []Event{e}, nil
}

func (s State) active() error {
	switch {
	case !s.Registered:
		return ErrNotFound
	case s.Erased:
		return ErrErased
	case s.Deactivated:
		return ErrAlreadyDeactivated
	}
	return nil
}

// MayOrder rejects an order of the caller's for the customer: [ErrNotFound],
// also for somebody else's customer, [ErrErased],
// or [ErrAlreadyDeactivated].
func MayOrder(ctx context.Context, r es.Reader, id string) error {
	s, owner, err := Aggregate.Load(ctx, r, id)
	switch {
	case err != nil:
		return err
	case !access.AdmitsOwner(r.Caller(), owner):
		return ErrNotFound
	}
	return s.active()
}
