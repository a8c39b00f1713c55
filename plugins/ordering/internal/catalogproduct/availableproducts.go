package catalogproduct

import "onlineshop/es"

// Available is a row of AvailableProducts.
type Available struct {
	Name  string
	Price es.Price
}

// AvailableProducts is what can be ordered, and for how much.
var AvailableProducts = es.NewReadModel[Available]("AvailableProducts", es.From(Aggregate, toAvailable))

func toAvailable(e es.Recorded[Event]) es.Change[Available] {
	switch e := e.Event.(type) {
	case Synced:
		return es.Set(Available(e))
	case PriceUpdated:
		return es.Update(func(a Available) Available { a.Price = e.Price; return a })
	}
	return nil
}
