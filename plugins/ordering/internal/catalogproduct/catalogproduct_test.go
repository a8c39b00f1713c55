package catalogproduct_test

import (
	"testing"

	"onlineshop/es"
	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/products"
	. "onlineshop/plugins/ordering/internal/catalogproduct"
)

var (
	price, other = es.MustPrice("9.99"), es.MustPrice("12.5")
	book         = Synced{"Book", price}
)

func TestSync(t *testing.T) {
	estest.Of(t, Aggregate).When(Sync{"Book", price}).Then(book)
	estest.Of(t, Aggregate).Given(book).When(Sync{"Book", price}).ThenNothing()
	estest.Of(t, Aggregate).Given(book).When(Sync{"Tome", price}).Then(Synced{"Tome", price})
	estest.Of(t, Aggregate).Given(book, PriceUpdated{other}).When(Sync{"Book", price}).Then(book)
	t.Run("an empty product is synced too", func(t *testing.T) {
		estest.Of(t, Aggregate).When(Sync{}).Then(Synced{})
		estest.Of(t, Aggregate).Given(Synced{}).When(Sync{}).ThenNothing()
	})
}

func TestUpdatePrice(t *testing.T) {
	estest.Of(t, Aggregate).When(UpdatePrice{other}).ThenNothing()
	estest.Of(t, Aggregate).Given(book).When(UpdatePrice{other}).Then(PriceUpdated{other})
	estest.Of(t, Aggregate).Given(book).When(UpdatePrice{price}).ThenNothing()
	estest.Of(t, Aggregate).Given(book, PriceUpdated{other}).When(UpdatePrice{price}).Then(PriceUpdated{price})
}

func TestProductsExtension(t *testing.T) {
	estest.Extension(t, ProductsExtension).Given(products.ProductBecameAvailable{ProductID: "p1", Name: "Book", Price: price}).
		ThenSends(Aggregate.Command("p1", Sync{"Book", price}))
	estest.Extension(t, ProductsExtension).Given(products.ProductPriceChanged{ProductID: "p1", Price: other}).
		ThenSends(Aggregate.Command("p1", UpdatePrice{other}))
}

func TestAvailableProducts(t *testing.T) {
	estest.RowOf(t, AvailableProducts).Given(Aggregate.Happened("p1", book)).Then(Available{"Book", price})
	estest.RowOf(t, AvailableProducts).Given(Aggregate.Happened("p1", book, PriceUpdated{other})).Then(Available{"Book", other})
}
