package productdemand

import (
	"onlineshop/es"
	"onlineshop/plugins/ordering/orders"
)

// OrdersExtension counts what Ordering reports.
var OrdersExtension = es.NewExtension("Orders_Extension", orders.ExtensionPoint, Aggregate, func(e es.Recorded[orders.Event]) es.Commands[Command] {
	switch e := e.Event.(type) {
	case orders.ItemOrdered:
		return Aggregate.Send(e.ProductID, Record{e.OrderID})
	case orders.ItemOrderCancelled:
		return Aggregate.Send(e.ProductID, Revoke{e.OrderID})
	}
	return nil
})
