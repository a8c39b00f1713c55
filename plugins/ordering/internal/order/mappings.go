package order

import (
	"time"

	"onlineshop/es"
)

// AutoShip ships an order so long after it was placed. One that was cancelled in the
// meantime stays cancelled.
func AutoShip(shipDelay time.Duration) es.Mapping {
	return es.NewMapping("AutoShip", Aggregate, Aggregate, func(e es.Recorded[Placed]) es.Commands[Command] {
		return Aggregate.Send(e.ID, Ship{})
	}).After(shipDelay)
}
