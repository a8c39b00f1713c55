package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
)

func TestAnOrderIsShippedCountedAndConfirmed(t *testing.T) {
	// Given products and a customer
	ann := someone(t, "ann")
	products(t, "flow-1", "flow-2")
	ann.customer("flow-ann")

	// When the customer places an order
	ann.place("flow", "flow-ann", "flow-1", "flow-2")

	// Then it is shipped by itself, counted in the other plugin, and confirmed once
	ann.becomes("/ordering/orders/flow", orderRow("flow", "flow-ann", "shipped", "flow-1", "flow-2"))
	ann.becomes("/catalog/product-demands/flow-1", demandRow("flow-1", 1))
	ann.becomes("/catalog/product-demands/flow-2", demandRow("flow-2", 1))
	eventually(t, "the order's confirmation is kept", func() (bool, any) {
		mail, err := object(t, output(t, deployed.ReportBucket), wiring.EmailPrefix+"order-confirmation-flow-1.eml")
		return strings.Contains(mail, "flow-ann@example.com"), fmt.Sprint(mail, err)
	})
}

func TestADeployedShopIsSeeded(t *testing.T) {
	type row struct{ ID, Status string }
	for range 2 { // what is there stays as it is
		if got := command(t, "seed"); !strings.Contains(got, "5 categories") {
			t.Errorf("it says:\n%s", got)
		}
	}
	var orders []row
	eventually(t, "the orders are shipped", func() (bool, any) {
		orders = list[row](admin(t), "/ordering/orders?customerId=ada")
		return len(orders) > 0 && !slices.ContainsFunc(orders, func(o row) bool { return o.Status != "shipped" }), orders
	})
	for _, o := range orders {
		if got := typesOf(history(t, "ordering/order", o.ID)); got != "Placed Shipped" {
			t.Errorf("the history of %s is %s", o.ID, got)
		}
	}
}

func TestTheFunctionsAreSmall(t *testing.T) {
	all := functions(t)
	if len(all) < 10 {
		t.Errorf("there are %d functions, hardly any", len(all))
	}
	for _, f := range all {
		if f.CodeSize <= 0 || f.CodeSize > 10<<20 {
			t.Errorf("%s has %d bytes, more than 10 MB or none", *f.FunctionName, f.CodeSize)
		}
	}
}

func TestAnOrderIsCancelledWithinTheDelay(t *testing.T) {
	// Given an order that was just placed
	ann := someone(t, "ann")
	products(t, "late-1")
	ann.customer("late-ann")
	ann.place("late", "late-ann", "late-1")

	// When the customer cancels it, before it would be shipped
	ann.must("/ordering/order/late/cancel", "")

	// Then shipping comes to nothing, and the product is not in demand
	order := engine.Stream{Aggregate: "Ordering.Order", ID: "late"}
	eventually(t, "shipping was tried", func() (bool, any) {
		c, err := shop.engine.Cursors.Cursor(t.Context(), "mapping:Ordering.AutoShip", order)
		return err == nil && c.Next > 0 && !c.Parked, fmt.Sprint(c, err)
	})
	if got := typesOf(history(t, "ordering/order", "late")); got != "Placed Cancelled" {
		t.Errorf("the order's history is %s", got)
	}
	// And it is told why
	refused := list[struct{ Follower, Stream, Target, Code string }](admin(t), "/operations/rejections?follower=mapping:Ordering.AutoShip")
	if len(refused) == 0 || refused[0].Stream != "Ordering.Order#late" || refused[0].Target != "Ordering.Order#late" || refused[0].Code != "OrderAlreadyCancelled" {
		t.Errorf("rejections: %+v", refused)
	}
	ann.becomes("/ordering/orders/late", orderRow("late", "late-ann", "cancelled", "late-1"))
	eventually(t, "the demand is revoked", func() (bool, any) {
		got := typesOf(history(t, "catalog/product-demand", "late-1"))
		return got == "Recorded Revoked", got
	})
	ann.becomes("/catalog/product-demands/late-1", demandRow("late-1", 0))
}

// together runs the function for 0 … n-1 at once.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func TestCommandsMeetInOneProduct(t *testing.T) {
	// Given a product
	products(t, "meet")

	// When many change its price at once, each to another one, trying again where
	// the shop says that it is too busy
	const n = 16
	answers := make([]string, n)
	together(n, func(i int) {
		for {
			a := admin(t).send(http.MethodPost, "/catalog/product/meet/update-price", fmt.Sprintf(`{"price":%d}`, i+1), idempotencyKey, fmt.Sprintf("meet-%d", i))
			if a.Status != http.StatusServiceUnavailable {
				answers[i] = fmt.Sprintf("%d %s", a.Status, a.Body)
				return
			}
		}
	})

	// Then each took effect once, at the version that it was told
	events := history(t, "catalog/product", "meet")
	if len(events) != n+1 {
		t.Fatalf("%d events, want Added and %d changes: %s", len(events), n, typesOf(events))
	}
	for v, e := range events[1:] {
		var i int
		if _, err := fmt.Sscanf(e.MessageID, "meet-%d", &i); err != nil {
			t.Fatalf("version %d is of %s", e.Version, e.MessageID)
		}
		want := fmt.Sprintf(`200 {"aggregate":"Catalog.Product","id":"meet","version":%d,"events":["PriceUpdated"]}`, v+2)
		if e.Version != v+2 || answers[i] != want {
			t.Errorf("version %d is of %s, which was answered %s", e.Version, e.MessageID, answers[i])
		}
	}
}

func TestAKeyTakesEffectOnceOnSeveralInstances(t *testing.T) {
	// Given one key that is used again and again, at once and later
	const body = `{"name":"Tea","description":"","price":1}`
	send := func() string {
		a := admin(t).must("/catalog/product/same/add", body, idempotencyKey, "same")
		return string(a.Body)
	}
	answers, began := make([]string, 12), time.Now()
	together(len(answers), func(i int) { answers[i] = send() })
	admin(t).must("/catalog/product/same/update-price", `{"price":2}`)

	// Then every answer is the first one
	for _, a := range append(answers, send()) {
		if a != `{"aggregate":"Catalog.Product","id":"same","version":1,"events":["Added"]}` {
			t.Errorf("an answer is %s", a)
		}
	}
	if got := typesOf(history(t, "catalog/product", "same")); got != "Added PriceUpdated" {
		t.Errorf("the history is %s", got)
	}
	// And more than one instance gave them
	eventually(t, "several instances have worked since", func() (bool, any) {
		instances := map[string]bool{}
		for _, l := range logged(t, function(t, "CatalogProductCommand"), began, "START") {
			instances[l.instance] = true
		}
		return len(instances) > 1, instances
	})
}

func TestWhoCallsDecidesWhatIsSeen(t *testing.T) {
	ann, bob := someone(t, "ann"), someone(t, "bob")
	products(t, "private-1")
	ann.customer("private-ann")
	ann.place("private", "private-ann", "private-1")
	ann.becomes("/ordering/customers/private-ann", `{"id":"private-ann","email":"private-ann@example.com","address":"1 Main Street","deactivated":false}`)

	for _, path := range []string{"/ordering/customers/private-ann", "/ordering/orders/private"} {
		eventually(t, path+" is there for its owner", func() (bool, any) {
			a := ann.send(http.MethodGet, path, "")
			return a.Status == http.StatusOK, a.Status
		})
		if a := bob.send(http.MethodGet, path, ""); a.Status != http.StatusNotFound {
			t.Errorf("somebody else gets %d %s of %s", a.Status, a.Body, path)
		}
	}
	type row struct{ ID string }
	for _, path := range []string{"/ordering/customers", "/ordering/orders"} {
		for _, r := range list[row](bob, path) {
			if strings.HasPrefix(r.ID, "private") {
				t.Errorf("%s shows somebody else's %s", path, r.ID)
			}
		}
	}
	for what, header := range map[string][]string{
		"nobody": nil, "a header of the local platform": {"X-Local-User", "admin", "X-Local-Groups", "Admin"},
		"a forged token": {"Authorization", "Bearer " + forged(token(t, "admin", "Admin"))},
	} {
		if a := someone(t, "").send(http.MethodGet, "/catalog/products", "", header...); a.Status != http.StatusUnauthorized {
			t.Errorf("%s gets %d %s", what, a.Status, a.Body)
		}
	}
}

// forged is the token with another one's signature.
func forged(token string) string {
	cut := strings.LastIndex(token, ".") + 1
	signature := []byte(token[cut:])
	for i, j := 0, len(signature)-3; i < j; i, j = i+1, j-1 { // its last characters may hold unused bits
		signature[i], signature[j] = signature[j], signature[i]
	}
	return token[:cut] + string(signature)
}
