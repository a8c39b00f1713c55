package order

import (
	"time"

	"onlineshop/es"
)

// Stats is a row of CustomerStats, by customer.
type Stats struct {
	Orders    int
	LastOrder time.Time
}

// CustomerStats is how many orders each customer has, without those that were cancelled,
// and when the last of them was placed.
var CustomerStats = es.NewReadModel[Stats]("CustomerStats", es.PartsFrom(Aggregate, toStats)).
	Sum("orders").Last("lastOrder").Allow(es.AllowGroups(es.Admin))

func toStats(r es.Recorded[Event]) (parts es.Changes[Stats]) {
	switch e := r.Event.(type) {
	case Placed:
		parts = parts.Set(e.CustomerID, Stats{Orders: 1, LastOrder: r.Time})
	case Cancelled:
		parts = parts.DeleteAll()
	}
	return parts
}
