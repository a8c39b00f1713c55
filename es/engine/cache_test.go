package engine

import (
	"fmt"
	"testing"

	"onlineshop/es"
)

func TestWhatIsUsedOnceDisplacesNothing(t *testing.T) {
	c := newCache(64 << 10)
	a := &aggregate{AggregateDefinition: es.AggregateDefinition{Name: "Shop.Basket"}}
	use := func(id string) *aggregateState {
		f := c.folded(a, id)
		c.settle(f)
		return f
	}

	// Given a basket that customers use
	basket := use("ann")
	use("ann")
	// When each row of a long file uses an aggregate once
	for i := range 10_000 {
		use(fmt.Sprint("row", i))
	}
	// Then the basket is still there
	if use("ann") != basket {
		t.Error("the basket was displaced")
	}
	if n := len(c.slots); n < 2 || n > 25 {
		t.Errorf("%d entries are kept, want those that an eighth of the cache holds", n)
	}

	// When many baskets are used again and again
	for range 3 {
		for i := range 1_000 {
			use(fmt.Sprint("basket", i%100))
		}
	}
	// Then as many are kept as the cache holds
	if used := c.once.used + c.again.used; used > 64<<10 {
		t.Errorf("the cache takes %d bytes", used)
	}
	if n := c.again.order.Len(); n < 50 {
		t.Errorf("%d of 100 baskets are kept", n)
	}
}
