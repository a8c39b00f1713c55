// Package order is a confirmed purchase: placed, then shipped or cancelled.
package order

import "onlineshop/es"

// Commands of an order.
type (
	Place struct {
		CustomerID string   //es:len 1..128 //es:ref Ordering.Customers
		ProductIDs []string //es:distinct //es:len 1..100 //es:ref Catalog.Products
	}
	Ship   struct{} // By hand: orders are shipped by themselves, too.
	Cancel struct{} // Only before it is shipped. //es:destructive
)

// Events of an order.
type (
	Placed    Place
	Shipped   struct{}
	Cancelled struct{ ProductIDs []string }
)

// Why a command is rejected.
var (
	ErrAlreadyPlaced       = es.Conflict("OrderAlreadyPlaced")
	ErrAlreadyShipped      = es.Conflict("OrderAlreadyShipped")
	ErrAlreadyCancelled    = es.Conflict("OrderAlreadyCancelled")
	ErrNotFound            = es.NotFound("OrderNotFound")
	ErrProductNotAvailable = es.Conflict("ProductNotAvailable")
)

// Status is how far an order has come.
type Status string

// An order is placed, then either shipped or cancelled.
const (
	StatusPlaced    Status = "placed"
	StatusShipped   Status = "shipped"
	StatusCancelled Status = "cancelled"
)
