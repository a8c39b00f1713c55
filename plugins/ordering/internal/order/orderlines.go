package order

import (
	"time"

	"onlineshop/es"
)

// Line is a row of OrderLines, below its order.
type Line struct {
	ProductID  string //es:ref Catalog.Products
	CustomerID string //es:ref Ordering.Customers
	PlacedAt   time.Time
}

// OrderLines is what was ordered, a row for each product of an order that was not
// cancelled: by whom, and when.
var OrderLines = es.NewReadModel[Line]("OrderLines", es.ItemsFrom(Aggregate, toLines)).
	By("productId").Allow(es.AllowOwner(es.Admin))

func toLines(r es.Recorded[Event]) (lines es.Changes[Line]) {
	switch e := r.Event.(type) {
	case Placed:
		for _, product := range e.ProductIDs {
			lines = lines.Set(product, Line{product, e.CustomerID, r.Time})
		}
	case Cancelled:
		lines = lines.DeleteAll()
	}
	return lines
}
