package aws

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// post is an e-mail service that keeps what it is given.
type post struct{ sent []mail.OrderConfirmation }

func (p *post) SendOrderConfirmation(_ context.Context, c mail.OrderConfirmation) error {
	p.sent = append(p.sent, c)
	return nil
}

// shop is the real plugins on the cloud, with the words of these tests.
type shop struct {
	*testing.T
	*cloud
	*Platform
	post *post
}

func newShop(t *testing.T) shop {
	p := &post{}
	all := plugins.All(plugintest.Deps{Mail: p})
	c := newCloud(t, all)
	for _, p := range c.platforms { // as the schedule has let them, once
		if err := p.engine.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return shop{t, c, c.platform(all...), p}
}

var customer = es.Caller{User: "ann", Groups: []string{es.Admin}}

// command is one that is given as JSON.
func (s shop) command(t *testing.T, aggregate, id, name, payload string) es.Command {
	t.Helper()
	for _, x := range s.Plugins {
		for _, a := range x.Aggregates {
			d := a.Definition()
			if d.Name != aggregate {
				continue
			}
			c, err := d.ReadCommand(name, []byte(payload))
			if err != nil {
				t.Fatalf("%s %s: %v", name, payload, err)
			}
			return es.Command{Aggregate: aggregate, ID: id, Payload: c}
		}
	}
	t.Fatalf("there is no aggregate %s", aggregate)
	return es.Command{}
}

// send decides a command as a function with that platform would.
func (s shop) send(p *Platform, aggregate, id, command, payload string) (engine.Outcome, error) {
	s.Helper()
	return p.engine.Execute(s.Context(), engine.Request{Command: s.command(s.T, aggregate, id, command, payload), Caller: customer})
}

func (s shop) given(aggregate, id, command, payload string) {
	s.Helper()
	if _, err := s.send(s.Platform, aggregate, id, command, payload); err != nil {
		s.Fatalf("%s of %s %q: %v", command, aggregate, id, err)
	}
	s.settle()
}

func (s shop) settle() {
	s.Helper()
	if err := s.deliver(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// cost sums up requests: how many, and their capacity units.
type cost struct {
	requests, reads          int     // all, and those that only read
	read, write, rows, index float64 // units: reads; writes to logs and cursors, to rows, to rows' indexes
}

func (c cost) String() string {
	return fmt.Sprintf("%2d requests, %4.1f RCU, %2.0f WCU on logs and cursors, %2.0f on rows, %2.0f on their indexes",
		c.requests, c.read, c.write, c.rows, c.index)
}

func (s shop) sum(calls []call) (c cost) {
	rows := map[string]bool{}
	for _, table := range s.cloud.wiring.Rows {
		rows[table] = true
	}
	for _, k := range calls {
		c.requests++
		if k.write == 0 {
			c.reads++
		}
		c.read += k.read
		c.index += k.indexes
		if rows[k.table] {
			c.rows += k.write
		} else {
			c.write += k.write
		}
	}
	return c
}

const tea = `{"name":"Tea","description":"Green","price":9.99}`

// What a command costs until it is answered: DynamoDB's requests, counted.
func TestCommandsCostAsFewRequestsAsTheyCan(t *testing.T) {
	s := newShop(t)
	s.given("Catalog.Product", "warm", "Add", tea)
	cold := s.platform(s.cloud.plugins...)

	for _, x := range []struct {
		name            string
		by              *Platform
		id, do, payload string
		rejected        string // code
		want            cost
	}{
		{"accepted on a warm aggregate", s.Platform, "warm", "UpdatePrice", `{"price":10}`, "", cost{requests: 1, write: 1}},
		{"accepted on a new aggregate", s.Platform, "new", "Add", tea, "", cost{requests: 1, write: 1}},
		{"nothing to change", s.Platform, "warm", "UpdatePrice", `{"price":10}`, "", cost{requests: 1, reads: 1, read: 1}},
		{"rejected", s.Platform, "warm", "Add", tea, "ProductAlreadyExists", cost{requests: 1, reads: 1, read: 1}},
		// One not seen before may have a snapshot.
		{"rejected on a new aggregate", s.Platform, "none", "UpdatePrice", `{"price":1}`, "ProductNotFound", cost{requests: 2, reads: 2, read: 1.5}},
	} {
		t.Run(x.name, func(t *testing.T) {
			got := s.sum(s.during(func() {
				_, err := s.send(x.by, "Catalog.Product", x.id, x.do, x.payload)
				var no *es.Rejection
				if errors.As(err, &no) {
					if no.Code != x.rejected {
						t.Errorf("rejected with %s, expected %q", no.Code, x.rejected)
					}
				} else if err != nil || x.rejected != "" {
					t.Errorf("answer %v, expected %q", err, x.rejected)
				}
			}))
			if got != x.want {
				t.Errorf("it cost %s, expected %s", got, x.want)
			}
			t.Logf("%-28s %s", x.name, got)
		})
	}

	t.Run("of a person, the first costs one write for the key, and a warm one none", func(t *testing.T) {
		for _, x := range []struct {
			do, payload string
			want        cost
		}{
			{"Register", `{"email":"ann@example.com","address":"1 Main Street"}`, cost{requests: 2, write: 2}},
			{"UpdateAddress", `{"address":"2 Side Street"}`, cost{requests: 1, write: 1}},
			{"Erase", "", cost{requests: 1, write: 1}},
		} {
			got := s.sum(s.during(func() {
				if _, err := s.send(s.Platform, "Ordering.Customer", "ann", x.do, x.payload); err != nil {
					t.Error(err)
				}
			}))
			if got != x.want {
				t.Errorf("%s cost %s, expected %s", x.do, got, x.want)
			}
		}
	})

	t.Run("a repeat that another machine decided first costs one request", func(t *testing.T) {
		add := func(p *Platform) engine.Outcome {
			out, err := p.engine.Execute(t.Context(), engine.Request{
				Command: s.command(t, "Catalog.Product", "again", "Add", tea), Caller: customer, IdempotencyKey: "key-1",
			})
			if err != nil {
				t.Error(err)
			}
			return out
		}
		first := add(s.Platform)
		var second engine.Outcome
		got := s.sum(s.during(func() { second = add(cold) }))
		if want := (cost{requests: 1, write: 1}); got != want || !reflect.DeepEqual(first, second) {
			t.Errorf("it cost %s, expected %s; %+v, then %+v", got, want, first, second)
		}
	})

	t.Run("a conflict one commit behind costs one request more", func(t *testing.T) {
		if _, err := s.send(cold, "Catalog.Product", "warm", "UpdatePrice", `{"price":11}`); err != nil { // sees the stream's end
			t.Fatal(err)
		}
		if _, err := s.send(s.Platform, "Catalog.Product", "warm", "UpdateName", `{"name":"Chai"}`); err != nil {
			t.Fatal(err)
		}
		got := s.sum(s.during(func() {
			if _, err := s.send(cold, "Catalog.Product", "warm", "UpdatePrice", `{"price":12}`); err != nil {
				t.Error(err)
			}
		}))
		if want := (cost{requests: 2, write: 2}); got != want {
			t.Errorf("it cost %s, expected %s", got, want)
		}
	})
}

// An order end to end: placed, shipped by the mapping, confirmed by e-mail,
// counted in each product's demand.
func TestAnOrderCostsSevenWriteUnits(t *testing.T) {
	s := newShop(t)
	for i := range 4 {
		s.given("Catalog.Product", fmt.Sprintf("p%d", i+1), "Add", tea)
	}
	s.given("Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"1 Main Street"}`)
	for products := 1; products <= 4; products++ {
		var ids []string
		for i := range products {
			ids = append(ids, fmt.Sprintf(`"p%d"`, i+1))
		}
		order := fmt.Sprintf("order-%d", products)
		sent := len(s.post.sent)
		got := s.sum(s.during(func() {
			s.given("Ordering.Order", order, "Place", `{"customerId":"ann","productIds":[`+strings.Join(ids, ",")+`]}`)
		}))
		r, err := s.engine.Row(t.Context(), es.System(), "Ordering.Orders", order, nil)
		if err != nil || !strings.Contains(string(r.View), `"status":"shipped"`) || len(s.post.sent) != sent+1 {
			t.Errorf("order of %d products: %s, %v, %d e-mails", products, r.View, err, len(s.post.sent)-sent)
		}
		if most := float64(5 + products); got.write > most {
			t.Errorf("an order of %d products costs %s, expected at most %.0f WCU on logs and cursors", products, got, most)
		}
		t.Logf("order of %d products: %s", products, got)
	}
	r, err := s.engine.Row(t.Context(), es.System(), "Catalog.ProductDemands", "p1", nil)
	if err != nil || string(r.View) != `{"name":"Tea","orderCount":4}` {
		t.Errorf("demand for p1: %s, %v", r.View, err)
	}
}

// List prices of us-east-1 in USD per million. A function's is for a request and
// 10 ms with 512 MB on arm64; a message's for sending, receiving and deleting it,
// where FIFO queues cost more.
const (
	perRead       = 0.125
	perWrite      = 0.625
	perInvocation = 0.20 + 0.010*0.5*13.3334
	perMessage    = 3 * 0.40
	perFIFO       = 3 * 0.50
	perEntry      = 1.00
	perCall       = 3.50 // of API Gateway
)

// It prints the table of docs/cost.md, and fails where an operation fails. Every
// record and message counts as an invocation: the most that it can be.
func TestCostTable(t *testing.T) {
	s := newShop(t)
	line := func(name string, f func()) {
		t.Helper()
		s.invoked, s.cloud.published = map[string]int{}, nil
		answered := s.sum(s.during(f))
		after := s.sum(s.during(s.settle))
		invocations, messages, sqs := 0, 0, 0.0
		for function, n := range s.invoked {
			invocations += n
			if queue := s.cloud.wiring.Inboxes[function]; queue != "" {
				messages += n
				if isFIFO(queue) {
					sqs += perFIFO * float64(n)
				} else {
					sqs += perMessage * float64(n)
				}
			}
		}
		db := perRead*(answered.read+after.read) + perWrite*(answered.write+after.write+after.rows+after.index)
		whole := perCall + db + perInvocation*float64(1+invocations) + sqs + perEntry*float64(len(s.cloud.published))
		fmt.Printf("| %s | %d | %.1f | %.0f | %.1f | %.0f | %.0f | %.0f | %d | %d | %d | %.2f | %.2f |\n", name,
			answered.requests, answered.read, answered.write, after.read, after.write, after.rows, after.index,
			len(s.cloud.published), messages, 1+invocations, db, whole)
	}
	send := func(aggregate, id, command, payload, rejected string) func() {
		return func() {
			var no *es.Rejection
			_, err := s.send(s.of(aggregate), aggregate, id, command, payload)
			if errors.As(err, &no) {
				if no.Code != rejected {
					t.Errorf("%s: rejected with %s, expected %q", command, no.Code, rejected)
				}
			} else if err != nil || rejected != "" {
				t.Errorf("%s: answer %v, expected %q", command, err, rejected)
			}
		}
	}
	line("`Product.Add`", send("Catalog.Product", "p1", "Add", tea, ""))
	send("Catalog.Product", "p2", "Add", tea, "")()
	s.settle()
	line("`Product.UpdatePrice`", send("Catalog.Product", "p1", "UpdatePrice", `{"price":12}`, ""))
	line("`Product.UpdatePrice`, the same price", send("Catalog.Product", "p1", "UpdatePrice", `{"price":12}`, ""))
	line("`Product.UpdateName`", send("Catalog.Product", "p1", "UpdateName", `{"name":"Chai"}`, ""))
	line("`Product.Add`, rejected", send("Catalog.Product", "p1", "Add", tea, "ProductAlreadyExists"))
	line("`Customer.Register`", send("Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"1 Main Street"}`, ""))
	line("`Order.Place`, one product, to the end", send("Ordering.Order", "o1", "Place", `{"customerId":"ann","productIds":["p1"]}`, ""))
	line("`Order.Place`, two products, to the end", send("Ordering.Order", "o2", "Place", `{"customerId":"ann","productIds":["p1","p2"]}`, ""))
	line("`Order.Cancel`, shipped already", send("Ordering.Order", "o2", "Cancel", ``, "OrderAlreadyShipped"))
	line("a row of a view", func() {
		if _, err := s.engine.Row(t.Context(), customer, "Catalog.Products", "p1", nil); err != nil {
			t.Error(err)
		}
	})
	list := func(q engine.Query) func() {
		return func() {
			if rows, _, err := s.engine.List(t.Context(), customer, q); err != nil || len(rows) != 2 {
				t.Errorf("%d rows, %v; two were expected", len(rows), err)
			}
		}
	}
	line("a page of a view, of up to 4 KB", list(engine.Query{Model: "Catalog.Products", Limit: 50}))
	line("a page of one customer's orders, of up to 4 KB", list(engine.Query{Model: "Ordering.Orders", Field: "customerId", Value: "ann", Limit: 50}))
	line("a page of an order's rows in OrderLines, of up to 4 KB", func() {
		if rows, _, err := s.engine.Items(t.Context(), customer, "Ordering.OrderLines", "o2", nil, "", 50); err != nil || len(rows) != 2 {
			t.Errorf("%d rows, %v; two were expected", len(rows), err)
		}
	})
	line("a row of CustomerStats, of whatever number of orders", func() {
		if r, err := s.engine.Row(t.Context(), customer, "Ordering.CustomerStats", "ann", nil); err != nil || !strings.Contains(string(r.View), `"orders":2`) {
			t.Errorf("%s, %v", r.View, err)
		}
	})
	line("a page of CustomerStats, of one customer", func() {
		if rows, _, err := s.engine.List(t.Context(), customer, engine.Query{Model: "Ordering.CustomerStats", Limit: 50}); err != nil || len(rows) != 1 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	})
	// What the page asks for beside.
	admin := es.Caller{User: "admin", Groups: []string{es.Admin}}
	line("an aggregate's state, of up to 4 KB of history", func() {
		if state, err := s.engine.State(s.Context(), admin, "Catalog.Product", "p1", nil); err != nil || state.Version != 3 {
			t.Errorf("state %+v, %v", state, err)
		}
	})
	line("the ids of an aggregate, in a log of up to 4 KB", func() {
		if ids, _, err := s.engine.Streams(s.Context(), "Catalog.Product", "", 50); err != nil || len(ids) != 2 {
			t.Errorf("ids %v, %v; two were expected", ids, err)
		}
	})
	line("the trace of an order of one product", func() {
		if trace, err := s.engine.Trace(s.Context(), admin, engine.Stream{Aggregate: "Ordering.Order", ID: "o1"}, 1); err != nil || len(trace.Then) == 0 {
			t.Errorf("trace %+v, %v", trace, err)
		}
	})
	line("`Product.UpdatePrice` as a dry run", func() {
		c := s.command(s.T, "Catalog.Product", "p1", "UpdatePrice", `{"price":13}`)
		if seen, err := s.of("Catalog.Product").engine.Preview(s.Context(), engine.Request{Command: c, Caller: customer}); err != nil || len(seen.Events) != 1 {
			t.Errorf("preview %+v, %v", seen, err)
		}
	})
	for _, c := range []string{"c1", "c2"} {
		send("Catalog.Category", c, "Add", `{"name":"Tea"}`, "")()
	}
	send("Catalog.Product", "p2", "ChangeCategory", `{"categoryId":"c1"}`, "")()
	send("Catalog.Product", "p1", "ChangeCategory", `{"categoryId":"c2"}`, "")() // both are known to the function now
	s.settle()
	line("`Product.ChangeCategory`, from one to another", send("Catalog.Product", "p2", "ChangeCategory", `{"categoryId":"c2"}`, ""))
	line("`Customer.Erase`, to the end", send("Ordering.Customer", "ann", "Erase", ``, ""))
	line("who asks, or where to send a file", func() {})
}

// of is the platform of the functions that decide on the aggregate.
func (s shop) of(aggregate string) *Platform { return s.platforms[naming.Plugin(aggregate)] }
