package order

import (
	"context"
	"strings"

	"onlineshop/es"
	"onlineshop/plugins/ordering/internal/catalogproduct"
	"onlineshop/plugins/ordering/internal/customer"
)

// A Command is decided, an Event is folded.
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the zero value until the order is placed.
type State struct {
	Status     Status
	ProductIDs []string
}

// An order belongs to its customer's owner.
var access = es.AllowOwner(es.Admin)

func (Place) allow() es.Access { return es.AllowSignedIn() }
func (Ship) allow() es.Access  { return es.AllowGroups(es.Admin) }

func (e Placed) evolve(State) State    { return State{StatusPlaced, e.ProductIDs} }
func (Shipped) evolve(s State) State   { s.Status = StatusShipped; return s }
func (Cancelled) evolve(s State) State { s.Status = StatusCancelled; return s }

func (c Place) decide(s State) ([]Event, error) {
	switch s.Status {
	case StatusPlaced:
		return nil, ErrAlreadyPlaced
	case StatusShipped:
		return nil, ErrAlreadyShipped
	case StatusCancelled:
		return nil, ErrAlreadyCancelled
	}
	return []Event{Placed(c)}, nil
}

func (Ship) decide(s State) ([]Event, error) {
	switch s.Status {
	case StatusPlaced:
		return []Event{Shipped{}}, nil
	case StatusShipped:
		return nil, nil
	case StatusCancelled:
		return nil, ErrAlreadyCancelled
	}
	return nil, ErrNotFound
}

func (Cancel) decide(s State) ([]Event, error) {
	switch s.Status {
	case StatusPlaced:
		return []Event{Cancelled{s.ProductIDs}}, nil
	case StatusCancelled:
		return nil, nil
	case StatusShipped:
		return nil, ErrAlreadyShipped
	}
	return nil, ErrNotFound
}

// check reads Ordering's own replica of the products, never Catalog.
func (c Place) check(ctx context.Context, r es.Reader) error {
	unknown, err := catalogproduct.Unknown(ctx, r, c.ProductIDs)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		return ErrProductNotAvailable.With("productIds", unknown).
			Because("these products are not available: %s", strings.Join(unknown, ", "))
	}
	return customer.MayOrder(ctx, r, c.CustomerID)
}

func (c Place) owner(ctx context.Context, r es.Reader) (string, error) {
	_, owner, err := customer.Aggregate.Load(ctx, r, c.CustomerID)
	return owner, err
}
