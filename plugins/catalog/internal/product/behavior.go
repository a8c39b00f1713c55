package product

import "onlineshop/es"

// A Command is decided, an Event is folded: a type without its rule is neither.
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is the zero value until the product is added.
type State struct {
	Created bool
	Details
}

var access = es.AllowGroups(es.Admin)

func (e Added) evolve(State) State                { return State{true, Details(e)} }
func (e NameUpdated) evolve(s State) State        { s.Name = e.Name; return s }
func (e DescriptionUpdated) evolve(s State) State { s.Description = e.Description; return s }
func (e PriceUpdated) evolve(s State) State       { s.Price = e.Price; return s }

func (c Add) decide(s State) ([]Event, error) {
	if s.Created {
		return nil, ErrAlreadyExists
	}
	return []Event{Added(c)}, nil
}

func (c UpdateName) decide(s State) ([]Event, error) {
	return s.change(c.Name == s.Name, NameUpdated(c))
}

func (c UpdateDescription) decide(s State) ([]Event, error) {
	return s.change(c.Description == s.Description, DescriptionUpdated(c))
}

func (c UpdatePrice) decide(s State) ([]Event, error) {
	return s.change(c.Price == s.Price, PriceUpdated(c))
}

// change is e, or nothing where the product has that value already.
func (s State) change(same bool, e Event) ([]Event, error) {
	switch {
	case !s.Created:
		return nil, ErrNotFound
	case same:
		return nil, nil
	}
	return []Event{e}, nil
}
