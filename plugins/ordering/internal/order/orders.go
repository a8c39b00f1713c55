package order

import (
	"time"

	"onlineshop/es"
)

// Purchase is a row of Orders.
type Purchase struct {
	CustomerID string   //es:ref Ordering.Customers
	ProductIDs []string //es:ref Catalog.Products
	Status     Status
	PlacedAt   time.Time //es:optional
}

// Orders is all orders with their status.
var Orders = es.NewReadModel[Purchase]("Orders", es.From(Aggregate, toPurchase)).
	By("customerId").Sort("placedAt").Allow(es.AllowOwner(es.Admin))

func toPurchase(r es.Recorded[Event]) es.Change[Purchase] {
	switch e := r.Event.(type) {
	case Placed:
		return es.Set(Purchase{e.CustomerID, e.ProductIDs, StatusPlaced, r.Time})
	case Shipped:
		return es.Update(func(p Purchase) Purchase { p.Status = StatusShipped; return p })
	case Cancelled:
		return es.Update(func(p Purchase) Purchase { p.Status = StatusCancelled; return p })
	}
	return nil
}
