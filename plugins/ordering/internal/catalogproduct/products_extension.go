package catalogproduct

import (
	"onlineshop/es"
	"onlineshop/plugins/catalog/products"
)

// ProductsExtension keeps the replica in step with Catalog.
var ProductsExtension = es.NewExtension("Products_Extension", products.ExtensionPoint, Aggregate, func(e es.Recorded[products.Event]) es.Commands[Command] {
	switch e := e.Event.(type) {
	case products.ProductBecameAvailable:
		return Aggregate.Send(e.ProductID, Sync{e.Name, e.Price})
	case products.ProductPriceChanged:
		return Aggregate.Send(e.ProductID, UpdatePrice{e.Price})
	}
	return nil
})
