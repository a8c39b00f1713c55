// Package orders is what Ordering promises to other plugins about its orders.
package orders

type (
	// ItemOrdered tells that an order with the product was placed: one per
	// product of the order.
	ItemOrdered struct{ ProductID, OrderID string }
	// ItemOrderCancelled tells that an order with the product was cancelled: one
	// per product of the order.
	ItemOrderCancelled struct{ ProductID, OrderID string }
)

// Event is routed by product.
type Event interface{ key() string }

func (e ItemOrdered) key() string        { return e.ProductID }
func (e ItemOrderCancelled) key() string { return e.ProductID }
