package product

import "onlineshop/es"

// Stats is a row of CategoryStats, by category.
type Stats struct {
	Products int
}

// CategoryStats is how many products each category has.
var CategoryStats = es.NewReadModel[Stats]("CategoryStats", es.PartsFrom(Aggregate, toStats)).Sum("products")

func toStats(r es.Recorded[Event]) (parts es.Changes[Stats]) {
	switch e := r.Event.(type) {
	case Added:
		if e.CategoryID != "" {
			parts = parts.Set(e.CategoryID, Stats{Products: 1})
		}
	case CategoryChanged:
		parts = parts.DeleteAll().Set(e.CategoryID, Stats{Products: 1})
	}
	return parts
}
