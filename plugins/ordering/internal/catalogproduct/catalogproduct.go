// Package catalogproduct is a shadow replica of Catalog's products, with which
// Ordering validates product references without asking Catalog. Only Catalog's
// events drive it.
package catalogproduct

import (
	"context"

	"onlineshop/es"
)

// Commands of a replicated product.
type (
	Sync struct {
		Name  string
		Price es.Price
	}
	UpdatePrice struct{ Price es.Price }
)

// Events of a replicated product.
type (
	Synced       Sync
	PriceUpdated UpdatePrice
)

// A Command is decided, an Event is folded.
//
//es:aggregate CatalogProduct
//es:internal
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the zero value until the product is synced.
type State struct {
	Known bool
	Name  string
	Price es.Price
}

func (e Synced) evolve(State) State         { return State{true, e.Name, e.Price} }
func (e PriceUpdated) evolve(s State) State { s.Price = e.Price; return s }

func (c Sync) decide(s State) ([]Event, error) {
	if s == (State{true, c.Name, c.Price}) {
		return nil, nil
	}
	return []Event{Synced(c)}, nil
}

func (c UpdatePrice) decide(s State) ([]Event, error) {
	if !s.Known || c.Price == s.Price {
		return nil, nil
	}
	return []Event{PriceUpdated(c)}, nil
}

// Unknown is which of the products were never synced.
func Unknown(ctx context.Context, r es.Reader, ids []string) (unknown []string, err error) {
	for _, id := range ids {
		s, err := Aggregate.State(ctx, r, id)
		if err != nil {
			return nil, err
		}
		if !s.Known {
			unknown = append(unknown, id)
		}
	}
	return unknown, nil
}
