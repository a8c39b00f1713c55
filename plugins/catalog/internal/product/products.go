package product

import "onlineshop/es"

// Listing is a row of Products.
type Listing struct {
	Name        string
	Description string
	Price       es.Price
	CategoryID  string //es:optional //es:ref Catalog.Categories
}

// Products is all product listings with current name, description and price.
var Products = es.NewReadModel[Listing]("Products", es.From(Aggregate, toListing)).
	By("categoryId").Sort("price", "name").Search("name")

func toListing(e es.Recorded[Event]) es.Change[Listing] {
	switch e := e.Event.(type) {
	case Added:
		return es.Set(Listing(e))
	case NameUpdated:
		return es.Update(func(l Listing) Listing { l.Name = e.Name; return l })
	case DescriptionUpdated:
		return es.Update(func(l Listing) Listing { l.Description = e.Description; return l })
	case PriceUpdated:
		return es.Update(func(l Listing) Listing { l.Price = e.Price; return l })
	case CategoryChanged:
		return es.Update(func(l Listing) Listing { l.CategoryID = e.CategoryID; return l })
	}
	return nil
}
