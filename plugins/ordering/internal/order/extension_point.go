package order

import (
	"onlineshop/es"
	"onlineshop/plugins/ordering/orders"
)

// Publication tells other plugins about each product of an order.
var Publication = es.Publish(Aggregate, orders.ExtensionPoint, func(r es.Recorded[Event]) (out []orders.Event) {
	switch e := r.Event.(type) {
	case Placed:
		for _, p := range e.ProductIDs {
			out = append(out, orders.ItemOrdered{ProductID: p, OrderID: r.ID})
		}
	case Cancelled:
		for _, p := range e.ProductIDs {
			out = append(out, orders.ItemOrderCancelled{ProductID: p, OrderID: r.ID})
		}
	}
	return out
})
