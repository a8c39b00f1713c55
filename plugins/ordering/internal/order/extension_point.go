package order

import (
	"onlineshop/es"
	"onlineshop/plugins/ordering/orders"
)

// Publication tells other plugins about each product of an order.
var Publication = es.Publish(Aggregate, orders.ExtensionPoint, func(id string, e Event) (out []orders.Event) {
	switch e := e.(type) {
	case Placed:
		for _, p := range e.ProductIDs {
			out = append(out, orders.ItemOrdered{ProductID: p, OrderID: id})
		}
	case Cancelled:
		for _, p := range e.ProductIDs {
			out = append(out, orders.ItemOrderCancelled{ProductID: p, OrderID: id})
		}
	}
	return out
})
