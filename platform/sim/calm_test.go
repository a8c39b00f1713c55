package sim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/sim"
	"onlineshop/plugins"
	"onlineshop/plugins/plugintest"
)

// scene is a shop where nothing goes wrong but what the test does to it.
type scene struct {
	*testing.T
	*sim.World
	defs map[string]es.AggregateDefinition
	sent outbox
}

func calm(t *testing.T, delay time.Duration) scene {
	t.Helper()
	sent := outbox{}
	w := sim.NewWorld(1, plugins.All(plugintest.Deps{Mail: sent, Delay: delay}), 2)
	w.Chaos, w.Memory = false, 0 // the engine's own
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	return scene{t, w, w.Definitions(), sent}
}

// rewritable is a calm shop whose commits a test may rewrite, since they have no hashes.
func rewritable(t *testing.T, delay time.Duration) scene {
	t.Helper()
	s := calm(t, delay)
	s.Unsealed = true
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// try sends a command as anybody, and lets everything that it sets off happen.
func (s scene) try(r engine.Request, aggregate, id, command, body string) (out engine.Outcome, err error) {
	s.Helper()
	payload, err := s.defs[aggregate].ReadCommand(command, []byte(body))
	if err != nil {
		s.Fatal(err)
	}
	r.Command = es.Command{Aggregate: aggregate, ID: id, Payload: payload}
	if r.Caller.User == "" {
		r.Caller = admin
	}
	s.Do(func(ctx context.Context, p *sim.Process) { out, err = p.Execute(ctx, r) })
	return out, err
}

func (s scene) send(aggregate, id, command, body string) {
	s.Helper()
	if _, err := s.try(engine.Request{}, aggregate, id, command, body); err != nil {
		s.Fatal(err)
	}
}

// furnish makes a shop with a product and a customer.
func (s scene) furnish() {
	s.Helper()
	s.send("Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	s.send("Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"1 Way"}`)
}

func (s scene) place(order string) {
	s.Helper()
	s.send("Ordering.Order", order, "Place", `{"customerId":"ann","productIds":["p1"]}`)
}

func (s scene) events(aggregate, id string) string {
	s.Helper()
	var types []string
	for _, c := range s.Log(engine.Stream{Aggregate: aggregate, ID: id}) {
		for _, e := range c.Events {
			types = append(types, e.Type)
		}
	}
	return strings.Join(types, " ")
}

func (s scene) want(what string, got, want any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (s scene) wantRejected(err error, want *es.Rejection) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("got %v, want %s", err, want.Code)
	}
}

func TestAnOrderShipsNoEarlierThanItsDelay(t *testing.T) {
	s := calm(t, 10*time.Minute)
	s.furnish()
	s.place("o1")
	log := s.Log(engine.Stream{Aggregate: "Ordering.Order", ID: "o1"})
	s.want("events", s.events("Ordering.Order", "o1"), "Placed Shipped")
	if waited := log[1].Meta.Time.Sub(log[0].Meta.Time); waited < 10*time.Minute-2*time.Second { // the clocks are off by a second each
		t.Errorf("it shipped after %s", waited)
	}
}

func TestAClockThatWasWrongHoldsAnOrderNoLongerThanItsDelay(t *testing.T) {
	s := calm(t, 10*time.Minute)
	s.furnish()
	// Given an order that was placed while the clock was a year ahead
	s.DropMessages(true)
	s.Advance(365 * 24 * time.Hour)
	s.place("o1")
	s.Advance(-365 * 24 * time.Hour)
	s.DropMessages(false)
	// When the clock is right again
	before := s.Elapsed()
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	// Then it ships after its delay
	s.want("events", s.events("Ordering.Order", "o1"), "Placed Shipped")
	if took := s.Elapsed() - before; took < 10*time.Minute || took > 11*time.Minute {
		t.Errorf("it shipped after %s", took)
	}
}

func TestAnOrderThatIsCancelledInTimeStaysCancelled(t *testing.T) {
	s := calm(t, 10*time.Minute)
	s.furnish()
	s.Do(func(ctx context.Context, p *sim.Process) {
		for _, c := range []struct{ name, body string }{{"Place", `{"customerId":"ann","productIds":["p1"]}`}, {"Cancel", ""}} {
			payload, err := s.defs["Ordering.Order"].ReadCommand(c.name, []byte(c.body))
			if err != nil {
				t.Error(err)
			}
			if _, err := p.Execute(ctx, engine.Request{Command: es.Command{Aggregate: "Ordering.Order", ID: "o1", Payload: payload}, Caller: admin}); err != nil {
				t.Error(err)
			}
		}
	})
	s.want("events", s.events("Ordering.Order", "o1"), "Placed Cancelled")
	s.want("parked", s.Parked(), []string(nil))
}

func TestAKeyAnswersOnce(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	keyed := engine.Request{IdempotencyKey: "k"}
	first, err := s.try(keyed, "Catalog.Product", "p1", "UpdatePrice", `{"price":1}`)
	if err != nil {
		t.Fatal(err)
	}
	s.send("Catalog.Product", "p1", "UpdatePrice", `{"price":2}`)
	again, err := s.try(keyed, "Catalog.Product", "p1", "UpdatePrice", `{"price":1.0}`)
	s.want("error", err, nil)
	s.want("outcome", again, first)
	_, err = s.try(keyed, "Catalog.Product", "p1", "UpdatePrice", `{"price":3}`)
	s.wantRejected(err, engine.ErrKeyReused)
	_, err = s.try(engine.Request{IdempotencyKey: "k", Caller: es.Caller{User: "other", Groups: []string{es.Admin}}}, "Catalog.Product", "p1", "UpdatePrice", `{"price":3}`)
	s.want("another user's key", err, nil)
	s.want("events", s.events("Catalog.Product", "p1"), "Added PriceUpdated PriceUpdated PriceUpdated")
}

func TestAKeyIsRememberedForTheLatest256Commits(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	keyed := engine.Request{IdempotencyKey: "k"}
	update := func(r engine.Request, price int) engine.Outcome {
		t.Helper()
		out, err := s.try(r, "Catalog.Product", "p1", "UpdatePrice", fmt.Sprintf(`{"price":%d}`, price))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Given a command with a key, and 255 commits after it
	first := update(keyed, 1000)
	for n := range 255 {
		update(engine.Request{}, n+1)
	}
	// When it is sent again, then it has the same answer, and changes nothing
	s.want("outcome", update(keyed, 1000), first)
	s.want("commits", len(s.Log(engine.Stream{Aggregate: "Catalog.Product", ID: "p1"})), 257)
	// But after one more it is a command like any other
	update(engine.Request{}, 256)
	if err := s.Start(); err != nil { // no process is behind
		t.Fatal(err)
	}
	s.want("version", update(keyed, 1000).Version, first.Version+257)
}

func TestAnotherVersionIsRefused(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	version := int64(2)
	_, err := s.try(engine.Request{IfVersion: &version}, "Catalog.Product", "p1", "UpdatePrice", `{"price":1}`)
	s.wantRejected(err, engine.ErrVersionMismatch)
	version = 1
	_, err = s.try(engine.Request{IfVersion: &version}, "Catalog.Product", "p1", "UpdatePrice", `{"price":1}`)
	s.want("error", err, nil)
}

func TestSideEffectsOfYesterdayDoNotHappen(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	s.DropMessages(true)
	s.place("old")
	s.Advance(25 * time.Hour)
	s.place("new")
	s.DropMessages(false)
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	s.want("confirmations", s.sent, outbox{"new": 1})
	s.want("the old order", s.events("Ordering.Order", "old"), "Placed Shipped")
}

func TestWhatWasLostIsSwept(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	s.DropMessages(true)
	s.place("o1")
	s.send("Catalog.Product", "p1", "UpdatePrice", `{"price":5}`)
	s.DropMessages(false)
	s.want("demand before", s.View("Catalog.ProductDemands", "p1"), `{"name":"Book","orderCount":0}`)
	for range 2 { // the first sweep makes new streams
		if err := s.Sweep(); err != nil {
			t.Fatal(err)
		}
	}
	s.want("demand", s.View("Catalog.ProductDemands", "p1"), `{"name":"Book","orderCount":1}`)
	s.want("replica", s.View("Ordering.AvailableProducts", "p1"), `{"name":"Book","price":5}`)
	s.want("order", s.events("Ordering.Order", "o1"), "Placed Shipped")
}

func TestALogThatWasRestoredFromABackupIsFollowedAgain(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	s.place("o1")
	for _, price := range []string{"1", "2", "3"} {
		s.send("Catalog.Product", "p1", "UpdatePrice", `{"price":`+price+`}`)
	}
	if err := s.Truncate(engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}, 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	s.want("product", s.View("Catalog.Products", "p1"), `{"name":"Book","description":"","price":1}`)
	if err := s.CheckViews(); err != nil {
		t.Error(err)
	}
	if err := s.Truncate(engine.Stream{Aggregate: "Ordering.Order", ID: "o1"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
}

func TestAnEventOfANewerVersionWaits(t *testing.T) {
	s := rewritable(t, 0)
	s.furnish()
	s.DropMessages(true)
	s.place("o1")
	s.DropMessages(false)
	order := engine.Stream{Aggregate: "Ordering.Order", ID: "o1"}
	retype := func(name string) { s.Rewrite(order, 0, func(c *engine.Commit) { c.Events[0].Type = name }) }
	retype("PlacedByAnAgent")
	var failures []error
	s.Do(func(ctx context.Context, p *sim.Process) {
		c := s.Log(order)[0]
		failures = append(failures, p.Relay(ctx, c), p.Project(ctx, c), p.Follow(ctx, engine.Hint{Follower: "mapping:Ordering.AutoShip", Stream: order, Seq: 0}))
	})
	for _, err := range failures {
		if !errors.Is(err, es.ErrUnknownType) {
			t.Errorf("got %v, want an error that has it tried again", err)
		}
	}
	s.want("parked", s.Parked(), []string(nil))
	retype("Placed")
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	s.want("order", s.events("Ordering.Order", "o1"), "Placed Shipped")
}

func TestAParkedFollowerGoesOnToTheEndWhicheverHintItHas(t *testing.T) {
	s := calm(t, 0)
	s.DropMessages(true)
	s.send("Catalog.Product", "p9", "Add", `{"name":"Book","description":"","price":1}`)
	s.send("Catalog.Product", "p9", "UpdatePrice", `{"price":2}`)
	s.DropMessages(false)
	product := engine.Stream{Aggregate: "Catalog.Product", ID: "p9"}
	rewrite := func(data string) (before string) {
		s.Rewrite(product, 0, func(c *engine.Commit) { before, c.Events[0].Data = string(c.Events[0].Data), []byte(data) })
		return before
	}
	var entries []engine.Entry
	follow := func(i int) {
		s.Do(func(ctx context.Context, p *sim.Process) {
			const follower = "extension:Ordering.Products_Extension"
			if err := p.Follow(ctx, engine.Hint{Follower: follower, Stream: product, Seq: entries[i].Seq, Entry: &entries[i]}); err != nil {
				t.Error(err)
			}
		})
	}
	s.Do(func(ctx context.Context, p *sim.Process) {
		var err error
		if entries, _, _, err = p.Since(ctx, "Catalog.Products", product, 0); err != nil || len(entries) != 2 {
			t.Fatalf("publications: %v, %v", entries, err)
		}
	})
	// Given that the second commit's hint came first, and the first commit was broken
	whole := rewrite("{")
	follow(1)
	s.want("parked", len(s.Parked()), 1)
	// When it is mended, and the first commit's hint comes late
	rewrite(whole)
	follow(0)
	// Then both are followed, although the second's hint is spent
	s.want("parked", s.Parked(), []string(nil))
	s.want("replica", s.events("Ordering.CatalogProduct", "p9"), "Synced PriceUpdated")
}

func TestSomebodyElsesIsNotThere(t *testing.T) {
	s := calm(t, 0)
	s.furnish()
	ann, bob := es.Caller{User: "a"}, es.Caller{User: "b"}
	if _, err := s.try(engine.Request{Caller: ann}, "Ordering.Customer", "hers", "Register", `{"email":"a@example.com","address":"1"}`); err != nil {
		t.Fatal(err)
	}
	_, err := s.try(engine.Request{Caller: bob}, "Ordering.Customer", "hers", "Deactivate", "")
	s.wantRejected(err, es.NotFound("CustomerNotFound"))
	_, err = s.try(engine.Request{Caller: bob}, "Ordering.Order", "o1", "Place", `{"customerId":"hers","productIds":["p1"]}`)
	s.wantRejected(err, es.NotFound("CustomerNotFound"))
	if _, err = s.try(engine.Request{}, "Ordering.Order", "o1", "Place", `{"customerId":"hers","productIds":["p1"]}`); err != nil {
		t.Fatal(err)
	}
	s.want("the order's owner", s.Log(engine.Stream{Aggregate: "Ordering.Order", ID: "o1"})[0].Meta.Owner, "a")
	_, err = s.try(engine.Request{Caller: bob}, "Ordering.Order", "o1", "Cancel", "")
	s.wantRejected(err, es.NotFound("OrderNotFound"))
}

func TestSomebodyElsesVersionAndStateAreNotTold(t *testing.T) {
	s := rewritable(t, 10*time.Minute)
	s.furnish()
	ann, bob := es.Caller{User: "a"}, es.Caller{User: "b"}
	by := func(who es.Caller, version int64, aggregate, id, command, body string) error {
		r := engine.Request{Caller: who}
		if version >= 0 {
			r.IfVersion = &version
		}
		_, err := s.try(r, aggregate, id, command, body)
		return err
	}
	register := `{"email":"a@example.com","address":"1"}`
	// Given ann's customers and orders, one in each state
	for _, id := range []string{"here", "moved", "gone"} {
		s.want("register", by(ann, -1, "Ordering.Customer", id, "Register", register), nil)
	}
	s.want("move", by(ann, -1, "Ordering.Customer", "moved", "UpdateAddress", `{"address":"2"}`), nil)
	for _, id := range []string{"placed", "cancelled", "shipped"} {
		s.want("place", by(ann, -1, "Ordering.Order", id, "Place", `{"customerId":"here","productIds":["p1"]}`), nil)
	}
	rewrite := func(id, name string) { // as if it had not been shipped by the mapping
		s.Rewrite(engine.Stream{Aggregate: "Ordering.Order", ID: id}, 1, func(c *engine.Commit) {
			c.Events[0].Type = name
			c.Events[0].Data = []byte(`{"productIds":["p1"]}`)
		})
	}
	rewrite("cancelled", "Cancelled")
	s.want("leave", by(ann, -1, "Ordering.Customer", "gone", "Deactivate", ""), nil)
	if err := s.Start(); err != nil { // no process remembers anything
		t.Fatal(err)
	}
	// When bob sends the commands that anybody may send, with and without If-Match
	for _, version := range []int64{-1, 0, 1, 2, 3} {
		for _, id := range []string{"here", "moved", "gone"} {
			// Then he learns that the id is taken, and no more
			s.wantRejected(by(bob, version, "Ordering.Customer", id, "Register", register), es.Conflict("CustomerAlreadyRegistered"))
		}
		for _, id := range []string{"placed", "cancelled", "shipped"} {
			s.wantRejected(by(bob, version, "Ordering.Order", id, "Place", `{"customerId":"here","productIds":["p1"]}`), es.Conflict("OrderAlreadyPlaced"))
		}
	}
	// And ann is told all
	s.wantRejected(by(ann, -1, "Ordering.Customer", "gone", "Register", register), es.Conflict("CustomerAlreadyDeactivated"))
	s.wantRejected(by(ann, 7, "Ordering.Customer", "moved", "Register", register), engine.ErrVersionMismatch)
	s.wantRejected(by(ann, -1, "Ordering.Order", "cancelled", "Place", `{"customerId":"here","productIds":["p1"]}`), es.Conflict("OrderAlreadyCancelled"))
}
