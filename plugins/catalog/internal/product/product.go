// Package product is a product listing with name, description and price.
package product

import "onlineshop/es"

// Details are what a product is added with.
type Details struct {
	Name        string //es:trim //es:len 1..200
	Description string //es:len 0..10000
	Price       es.Price
	CategoryID  string //es:optional //es:len 1..128 //es:ref Catalog.Categories
}

// Commands of a product.
type (
	Add        Details
	UpdateName struct {
		Name string //es:trim //es:len 1..200
	}
	UpdateDescription struct {
		Description string //es:len 0..10000
	}
	UpdatePrice struct{ Price es.Price }
)

// Events of a product.
type (
	Added              Details
	NameUpdated        UpdateName
	DescriptionUpdated UpdateDescription
	PriceUpdated       UpdatePrice
)

// Why a command is rejected.
var (
	ErrAlreadyExists = es.Conflict("ProductAlreadyExists")
	ErrNotFound      = es.NotFound("ProductNotFound")
)
