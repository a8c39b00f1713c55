// Package productimport adds a product for each row of an uploaded CSV file.
package productimport

import (
	"errors"

	"onlineshop/es"
	"onlineshop/es/csvimport"
	"onlineshop/plugins/catalog/internal/category"
	"onlineshop/plugins/catalog/internal/product"
)

// Row is a row of the file.
type Row struct {
	Name        string   `csv:"name" also:"title|product|product name"`
	Description string   `csv:"description" also:"body (html)|short description|details"`
	Price       es.Price `csv:"price" also:"variant price|regular price|unit price"`
	ID          string   `csv:"id,key,optional" also:"sku|handle|product id"`
	CategoryID  string   `csv:"categoryId,trim,optional" also:"category id"`
}

// Products imports what is put into the bucket product-imports.
var Products = csvimport.New("ImportProducts", "ProductImport", product.Aggregate, func(r Row) product.Command {
	return product.Add{Name: r.Name, Description: r.Description, Price: r.Price, CategoryID: r.CategoryID}
}).
	Unchanged(product.ErrAlreadyExists, func(s product.State, c product.Command) bool {
		return s.Details == product.Details(c.(product.Add))
	}).
	Verdicts(verdict).
	Refers("categoryId", category.ErrNotFound).
	Exports(
		csvimport.Export{Of: "Shopify", Columns: map[string]string{"id": "handle", "name": "title"}, Continues: "name"},
		csvimport.Export{Of: "WooCommerce", Columns: map[string]string{"price": "regular price"}, Key: "sku"},
	).
	Example("id,name,description,price\nteapot,Teapot,\"Holds 1.2 l, keeps warm\",24.90\n")

// verdict tells people why a row was rejected.
func verdict(r Row, err error) *es.Rejection {
	switch {
	case errors.Is(err, product.ErrAlreadyExists):
		return product.ErrAlreadyExists.Because("product %s is already there with other details", r.ID)
	case errors.Is(err, category.ErrNotFound):
		return category.ErrNotFound.Because("there is no category %s", csvimport.Quoted(r.CategoryID))
	case errors.Is(err, category.ErrAlreadyArchived):
		return category.ErrAlreadyArchived.Because("category %s is archived", csvimport.Quoted(r.CategoryID))
	}
	return nil
}
