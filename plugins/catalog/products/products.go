// Package products is what Catalog promises to other plugins about its products.
package products

import "onlineshop/es"

type (
	// ProductBecameAvailable tells of a new product.
	ProductBecameAvailable struct {
		ProductID, Name string
		Price           es.Price
	}
	// ProductPriceChanged tells a product's new price.
	ProductPriceChanged struct {
		ProductID string
		Price     es.Price
	}
)

// Event is routed by product.
type Event interface{ key() string }

func (e ProductBecameAvailable) key() string { return e.ProductID }
func (e ProductPriceChanged) key() string    { return e.ProductID }
