package productdemand_test

import (
	"testing"

	"onlineshop/es/estest"
	"onlineshop/plugins/catalog/internal/product"
	. "onlineshop/plugins/catalog/internal/productdemand"
	"onlineshop/plugins/ordering/orders"
)

func TestRecord(t *testing.T) {
	estest.Of(t, Aggregate).When(Record{"o1"}).Then(Recorded{"o1"})
	estest.Of(t, Aggregate).Given(Recorded{"o1"}).When(Record{"o2"}).Then(Recorded{"o2"})
	estest.Of(t, Aggregate).Given(Recorded{"o1"}).When(Record{"o1"}).ThenNothing()
	estest.Of(t, Aggregate).Given(Recorded{"o1"}, Revoked{"o1"}).When(Record{"o1"}).ThenNothing()
}

func TestRevoke(t *testing.T) {
	estest.Of(t, Aggregate).When(Revoke{"o1"}).ThenNothing()
	estest.Of(t, Aggregate).Given(Recorded{"o1"}).When(Revoke{"o1"}).Then(Revoked{"o1"})
	estest.Of(t, Aggregate).Given(Recorded{"o1"}, Revoked{"o1"}).When(Revoke{"o1"}).ThenNothing()
	estest.Of(t, Aggregate).Given(Recorded{"o1"}).When(Revoke{"o2"}).ThenNothing()
}

func TestOrdersExtension(t *testing.T) {
	estest.Extension(t, OrdersExtension).Given(orders.ItemOrdered{ProductID: "p1", OrderID: "o1"}).
		ThenSends(Aggregate.Command("p1", Record{"o1"}))
	estest.Extension(t, OrdersExtension).Given(orders.ItemOrderCancelled{ProductID: "p1", OrderID: "o1"}).
		ThenSends(Aggregate.Command("p1", Revoke{"o1"}))
}

func TestProductDemands(t *testing.T) {
	book := product.Aggregate.Happened("p1", product.Added{Name: "Book"})
	t.Run("starts at 0", func(t *testing.T) {
		estest.RowOf(t, ProductDemands).Given(book).Then(Demand{Name: "Book"})
	})
	t.Run("counts orders", func(t *testing.T) {
		estest.RowOf(t, ProductDemands).Given(book, Aggregate.Happened("p1", Recorded{"o1"}, Recorded{"o2"}, Revoked{"o1"})).
			Then(Demand{Name: "Book", OrderCount: 1})
	})
	t.Run("follows the name", func(t *testing.T) {
		estest.RowOf(t, ProductDemands).Given(book, product.Aggregate.Happened("p1", product.NameUpdated{Name: "Tome"})).
			Then(Demand{Name: "Tome"})
	})
	t.Run("never falls below 0", func(t *testing.T) {
		estest.RowOf(t, ProductDemands).Given(book, Aggregate.Happened("p1", Revoked{"o1"})).Then(Demand{Name: "Book"})
	})
	t.Run("has no row for a product that is not there", func(t *testing.T) {
		estest.RowOf(t, ProductDemands).Given(Aggregate.Happened("p1", Recorded{"o1"})).ThenAbsent()
	})
	t.Run("is the same in whatever order its sources arrive", func(t *testing.T) {
		estest.Commutes(t, ProductDemands,
			product.Aggregate.Happened("p1", product.Added{Name: "Book"}, product.NameUpdated{Name: "Tome"}, product.PriceUpdated{}),
			Aggregate.Happened("p1", Recorded{"o1"}, Recorded{"o2"}, Revoked{"o1"}, Recorded{"o3"}))
	})
}
