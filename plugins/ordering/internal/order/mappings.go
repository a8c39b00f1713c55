package order

import (
	"time"

	"onlineshop/es"
)

// AutoShip ships an order so long after it was placed, at most 15 minutes. One
// that was cancelled in the meantime stays cancelled.
func AutoShip(shipDelay time.Duration) es.Mapping {
	return es.NewMapping("AutoShip", Aggregate, Aggregate, func(id string, e Event) es.Commands[Command] {
		if _, placed := e.(Placed); placed {
			return Aggregate.Send(id, Ship{})
		}
		return nil
	}).After(shipDelay)
}
