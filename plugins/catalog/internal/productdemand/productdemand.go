// Package productdemand counts the orders of each product. Only Ordering's
// events drive it.
package productdemand

// Commands of a product's demand.
type (
	Record struct{ OrderID string }
	Revoke struct{ OrderID string }
)

// Events of a product's demand.
type (
	Recorded Record
	Revoked  Revoke
)

// A Command is decided, an Event is folded.
//
//es:aggregate ProductDemand
//es:internal
//es:inplace
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

// State is every order seen: true while it counts. It grows with each order, so
// it is changed in place.
type State map[string]bool

func (e Recorded) evolve(s State) State { return s.set(e.OrderID, true) }
func (e Revoked) evolve(s State) State  { return s.set(e.OrderID, false) }

func (s State) set(orderID string, counts bool) State {
	if s == nil {
		s = State{}
	}
	s[orderID] = counts
	return s
}

func (c Record) decide(s State) ([]Event, error) {
	if _, seen := s[c.OrderID]; seen {
		return nil, nil
	}
	return []Event{Recorded(c)}, nil
}

func (c Revoke) decide(s State) ([]Event, error) {
	if !s[c.OrderID] {
		return nil, nil
	}
	return []Event{Revoked(c)}, nil
}
