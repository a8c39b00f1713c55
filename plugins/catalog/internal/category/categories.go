package category

import "onlineshop/es"

// Listing is a row of Categories.
type Listing struct {
	Name     string
	Archived bool
}

// Categories is all category names.
var Categories = es.NewReadModel[Listing]("Categories", es.From(Aggregate, toListing))

func toListing(e es.Recorded[Event]) es.Change[Listing] {
	switch e := e.Event.(type) {
	case Added:
		return es.Set(Listing{Name: e.Name})
	case Renamed:
		return es.Update(func(l Listing) Listing { l.Name = e.Name; return l })
	case Archived:
		return es.Update(func(l Listing) Listing { l.Archived = true; return l })
	}
	return nil
}
