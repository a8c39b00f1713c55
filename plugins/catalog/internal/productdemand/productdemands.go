package productdemand

import (
	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/product"
)

// Demand is a row of ProductDemands.
type Demand struct {
	Name       string
	OrderCount int
}

// ProductDemands is the order count per product. Product makes the row,
// ProductDemand counts in it.
var ProductDemands = es.NewReadModel[Demand]("ProductDemands",
	es.From(product.Aggregate, fromProduct),
	es.From(Aggregate, fromDemand)).Sort("orderCount")

func fromProduct(e es.Recorded[product.Event]) es.Change[Demand] {
	switch e := e.Event.(type) {
	case product.Added:
		return es.Set(Demand{Name: e.Name})
	case product.NameUpdated:
		return es.Update(func(d Demand) Demand { d.Name = e.Name; return d })
	}
	return nil
}

func fromDemand(e es.Recorded[Event]) es.Change[Demand] {
	switch e.Event.(type) {
	case Recorded:
		return es.Update(func(d Demand) Demand { d.OrderCount++; return d })
	case Revoked:
		return es.Update(func(d Demand) Demand { d.OrderCount = max(0, d.OrderCount-1); return d })
	}
	return nil
}
