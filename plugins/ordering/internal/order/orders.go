package order

import "onlineshop/es"

// Purchase is a row of Orders.
type Purchase struct {
	CustomerID string
	ProductIDs []string
	Status     Status
}

// Orders is all orders with their status.
var Orders = es.NewReadModel[Purchase]("Orders", es.From(Aggregate, toPurchase)).
	By("customerId").Allow(es.AllowOwner(es.Admin))

func toPurchase(e Event) es.Change[Purchase] {
	switch e := e.(type) {
	case Placed:
		return es.Set(Purchase{e.CustomerID, e.ProductIDs, StatusPlaced})
	case Shipped:
		return es.Update(func(p Purchase) Purchase { p.Status = StatusShipped; return p })
	case Cancelled:
		return es.Update(func(p Purchase) Purchase { p.Status = StatusCancelled; return p })
	}
	return nil
}
