package order_test

import (
	"fmt"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/estest"
	"onlineshop/plugins/ordering/internal/catalogproduct"
	"onlineshop/plugins/ordering/internal/customer"
	. "onlineshop/plugins/ordering/internal/order"
	"onlineshop/plugins/ordering/orders"
)

var (
	place  = Place{"c1", []string{"p1", "p2"}}
	placed = Placed(place)

	customerOfAnn = customer.Aggregate.Happened("c1", customer.Registered{Email: "ann@example.com", Address: "1 Main St"}).By("ann")
	deactivated   = customer.Aggregate.Happened("c1", customer.Deactivated{})
	p1            = catalogproduct.Aggregate.Happened("p1", catalogproduct.Synced{Name: "Book"})
	p2            = catalogproduct.Aggregate.Happened("p2", catalogproduct.Synced{Name: "Pen"})

	ann   = es.Caller{User: "ann"}
	bob   = es.Caller{User: "bob"}
	admin = es.Caller{User: "root", Groups: []string{es.Admin}}
)

// shop has a customer of ann's, and two products.
func shop(t *testing.T) estest.Scenario[Command, Event, State] {
	return estest.Of(t, Aggregate).With(customerOfAnn, p1, p2)
}

func TestPlace(t *testing.T) {
	t.Run("is the customer's owner's", func(t *testing.T) {
		shop(t).As(ann).When(place).Then(placed).ThenOwnedBy("ann")
	})
	t.Run("belongs to the customer's owner, whoever places it", func(t *testing.T) {
		shop(t).As(admin).When(place).Then(placed).ThenOwnedBy("ann")
		shop(t).As(es.System()).When(place).Then(placed).ThenOwnedBy("ann")
	})
	t.Run("drops repeats and keeps the first", func(t *testing.T) {
		shop(t).When(Place{"c1", []string{"p2", "p1", "p2"}}).Then(Placed{"c1", []string{"p2", "p1"}})
	})
	t.Run("needs 1 to 100 different products", func(t *testing.T) {
		shop(t).When(Place{"c1", nil}).ThenInvalid("/productIds")
		many := Place{CustomerID: "c1"}
		known := []es.Happened{customerOfAnn}
		for i := range 101 {
			many.ProductIDs = append(many.ProductIDs, fmt.Sprint(i))
			known = append(known, catalogproduct.Aggregate.Happened(fmt.Sprint(i), catalogproduct.Synced{Name: "Pen"}))
		}
		estest.Of(t, Aggregate).With(known...).When(many).ThenInvalid("/productIds")
		many.ProductIDs[100] = "0"
		estest.Of(t, Aggregate).With(known...).When(many).Then(Placed{"c1", many.ProductIDs[:100]})
	})
	t.Run("names the products that are not available", func(t *testing.T) {
		shop(t).When(Place{"c1", []string{"p9", "p1", "p8"}}).
			ThenRejected(ErrProductNotAvailable.With("productIds", []string{"p9", "p8"}))
	})
	t.Run("asks for the products before the customer", func(t *testing.T) {
		estest.Of(t, Aggregate).As(bob).When(place).ThenRejected(ErrProductNotAvailable)
	})
	t.Run("needs a registered customer", func(t *testing.T) {
		for _, caller := range []es.Caller{ann, admin, es.System()} {
			estest.Of(t, Aggregate).With(p1, p2).As(caller).When(place).ThenRejected(customer.ErrNotFound)
		}
	})
	t.Run("does not tell somebody else's customer from none", func(t *testing.T) {
		shop(t).As(bob).When(place).ThenRejected(customer.ErrNotFound)
		shop(t).With(deactivated).As(bob).When(place).ThenRejected(customer.ErrNotFound)
	})
	t.Run("needs an active customer", func(t *testing.T) {
		shop(t).With(deactivated).As(ann).When(place).ThenRejected(customer.ErrAlreadyDeactivated)
		shop(t).With(deactivated).As(admin).When(place).ThenRejected(customer.ErrAlreadyDeactivated)
	})
	t.Run("is rejected the second time, before anything else is asked", func(t *testing.T) {
		for _, c := range []struct {
			history []Event
			want    *es.Rejection
		}{
			{[]Event{placed}, ErrAlreadyPlaced},
			{[]Event{placed, Shipped{}}, ErrAlreadyShipped},
			{[]Event{placed, Cancelled{placed.ProductIDs}}, ErrAlreadyCancelled},
		} {
			estest.Of(t, Aggregate).Given(c.history...).When(place).ThenRejected(c.want)
		}
	})
}

func TestShip(t *testing.T) {
	estest.Of(t, Aggregate).When(Ship{}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(placed).When(Ship{}).Then(Shipped{})
	estest.Of(t, Aggregate).Given(placed, Shipped{}).When(Ship{}).ThenNothing()
	estest.Of(t, Aggregate).Given(placed, Cancelled{placed.ProductIDs}).When(Ship{}).ThenRejected(ErrAlreadyCancelled)
}

func TestCancel(t *testing.T) {
	estest.Of(t, Aggregate).When(Cancel{}).ThenRejected(ErrNotFound)
	estest.Of(t, Aggregate).Given(placed).When(Cancel{}).Then(Cancelled{[]string{"p1", "p2"}})
	estest.Of(t, Aggregate).Given(placed, Cancelled{placed.ProductIDs}).When(Cancel{}).ThenNothing()
	estest.Of(t, Aggregate).Given(placed, Shipped{}).When(Cancel{}).ThenRejected(ErrAlreadyShipped)
}

func TestWhoMay(t *testing.T) {
	t.Run("only admins ship", func(t *testing.T) {
		given := estest.Of(t, Aggregate).Given(placed).By("ann")
		given.As(ann).When(Ship{}).ThenDenied()
		given.As(admin).When(Ship{}).Then(Shipped{})
	})
	t.Run("the owner and admins cancel", func(t *testing.T) {
		given := estest.Of(t, Aggregate).Given(placed).By("ann")
		given.As(bob).When(Cancel{}).ThenDenied()
		given.As(ann).When(Cancel{}).Then(Cancelled{placed.ProductIDs})
		given.As(admin).When(Cancel{}).Then(Cancelled{placed.ProductIDs})
	})
}

func TestAutoShip(t *testing.T) {
	ship := Aggregate.Command("o1", Ship{})
	estest.Mapping(t, AutoShip(0)).Given("o1", placed).ThenSends(ship).ThenDueAfter(0)
	estest.Mapping(t, AutoShip(240*time.Hour)).Given("o1", placed).ThenSends(ship).ThenDueAfter(240 * time.Hour)
	estest.Mapping(t, AutoShip(0)).Given("o1", Shipped{}).ThenNothing()
	estest.Mapping(t, AutoShip(0)).Given("o1", Cancelled{placed.ProductIDs}).ThenNothing()
}

func TestExtensionPoint(t *testing.T) {
	estest.Publication(t, Publication).Given("o1", placed).ThenPublishes(
		orders.ItemOrdered{ProductID: "p1", OrderID: "o1"},
		orders.ItemOrdered{ProductID: "p2", OrderID: "o1"})
	estest.Publication(t, Publication).Given("o1", Cancelled{[]string{"p1", "p2"}}).ThenPublishes(
		orders.ItemOrderCancelled{ProductID: "p1", OrderID: "o1"},
		orders.ItemOrderCancelled{ProductID: "p2", OrderID: "o1"})
	estest.Publication(t, Publication).Given("o1", Shipped{}).ThenNothing()
}

func TestOrders(t *testing.T) {
	for status, last := range map[Status][]Event{
		StatusPlaced: nil, StatusShipped: {Shipped{}}, StatusCancelled: {Cancelled{placed.ProductIDs}},
	} {
		estest.RowOf(t, Orders).Given(Aggregate.Happened("o1", placed), Aggregate.Happened("o1", last...)).
			Then(Purchase{"c1", []string{"p1", "p2"}, status, estest.At(1)})
	}
}

func TestOrderLines(t *testing.T) {
	for _, last := range [][]Event{nil, {Shipped{}}} {
		estest.ItemsOf(t, OrderLines).Given(Aggregate.Happened("o1", placed), Aggregate.Happened("o1", last...)).
			Then(map[string]Line{"p1": {"p1", "c1", estest.At(1)}, "p2": {"p2", "c1", estest.At(1)}})
	}
	estest.ItemsOf(t, OrderLines).Given(Aggregate.Happened("o1", placed, Cancelled{placed.ProductIDs})).Then(nil)
}

func TestCustomerStats(t *testing.T) {
	estest.PartsOf(t, CustomerStats).
		Given(Aggregate.Happened("o1", placed), Aggregate.Happened("o2", placed, Cancelled{placed.ProductIDs}), Aggregate.Happened("o3", placed, Shipped{})).
		Then(map[string]map[string]Stats{"c1": {"o1": {1, estest.At(1)}, "o3": {1, estest.At(4)}}})
}
