package local

import (
	"context"
	"testing"

	"onlineshop/es"
	"onlineshop/plugins/ordering/orders"
)

// What one plugin publishes may set off work of another that takes its time. It keeps
// nobody else from hearing.
func TestASlowSideEffectAtTheBoundaryDelaysNobody(t *testing.T) {
	// Given a plugin that takes its time over each item that is ordered
	plugins := shop(&outbox{}, 0)
	release, began := make(chan struct{}), make(chan struct{}, 1)
	reorder := es.NewBoundarySideEffect("Reorder", orders.ExtensionPoint, func(ctx context.Context, _ es.Reader, _ es.Recorded[orders.ItemOrdered]) error {
		began <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	plugins = append(plugins, es.Plugin{Name: "Supply", Tasks: []es.Task{{Name: "Reordering", SideEffects: []es.SideEffect{reorder}}}})
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	send(t, p, "Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"Elm Street 1"}`)
	caughtUp(t, p)
	// When an order is placed, and the side effect is at it
	send(t, p, "Ordering.Order", "o1", "Place", `{"customerId":"ann","productIds":["p1"]}`)
	<-began
	// Then the order is shipped, and Catalog counts it, all the same
	until(t, p, "the order is shipped and counted", func() bool {
		return len(types(t, p, "Ordering.Order", "o1")) == 2 && len(types(t, p, "Catalog.ProductDemand", "p1")) == 1
	})
	close(release)
	caughtUp(t, p)
}
