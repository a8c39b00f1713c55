// Package exportproducts writes the catalogue to a CSV file, every night and when it is
// asked for. Imported again, the file changes nothing.
package exportproducts

import (
	"context"
	"io"
	"time"

	"onlineshop/es"
	"onlineshop/plugins/catalog/internal/product"
	"onlineshop/plugins/catalog/internal/productimport"
)

// Task leaves its files in the bucket of reports.
var Task = es.Task{
	Name:      "ExportProducts",
	Reads:     []es.Readable{product.Products},
	Sends:     []es.AnyAggregate{}, // none
	Schedules: []es.Schedule{{Name: "Nightly", Cron: "0 3 * * *", Run: export}},
}

// export replaces an earlier file of the same day.
func export(ctx context.Context, o es.Occurrence, s es.Shop) error {
	key := "products-" + o.Planned.UTC().Format(time.DateOnly) + ".csv"
	return s.Write(ctx, es.Reports, key, func(w io.Writer) error {
		return productimport.Products.Write(w, func(yield func(productimport.Row, error) bool) {
			for item, err := range product.Products.List(ctx, s, es.Query{}) {
				p := item.Row
				if !yield(productimport.Row{Name: p.Name, Description: p.Description, Price: p.Price, ID: item.ID, CategoryID: p.CategoryID}, err) {
					return
				}
			}
		})
	})
}
