package product

import "onlineshop/es"

// Listing is a row of Products.
type Listing struct {
	Name        string
	Description string
	Price       es.Price
	CategoryID  string //es:optional
}

// Products is all product listings with current name, description and price.
var Products = es.NewReadModel[Listing]("Products", es.From(Aggregate, toListing)).By("categoryId")

func toListing(e Event) es.Change[Listing] {
	switch e := e.(type) {
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
