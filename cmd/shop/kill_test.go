package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var killSeed = flag.Uint64("killseed", 0, "replay the load of TestKilledAgainAndAgain; 0: a new one")

// The size of the load: clients at a time, commands of each, kills.
const (
	killClients  = 8
	killCommands = 120
	kills        = 8
)

// command is a request that a client repeats with the same key until it is
// answered.
type command struct {
	aggregate, id, name, key string // e.g. ordering/order o1 place
	body                     any
	accepted                 *accepted // nil: rejected
	code                     string    // why
}

type accepted struct {
	Version int64    `json:"version"`
	Events  []string `json:"events"`
}

// TestKilledAgainAndAgain kills a shop under load with SIGKILL, and compares
// what it has in the end with what it acknowledged.
func TestKilledAgainAndAgain(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay this load with -killseed=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	// Given a shop under load, that is killed after random numbers of answers,
	// now and then before the first
	lives := &lives{next: sync.NewCond(&sync.Mutex{})}
	data := t.TempDir()
	settings := []string{"SHOP_SHIP_DELAY=300ms"}
	p := start(t, binary, data, settings...)
	files := killFiles(random)
	var answered atomic.Int64
	var clients sync.WaitGroup
	sent := make([][]*command, killClients)
	for n := range sent {
		clients.Go(func() {
			load := rand.New(rand.NewPCG(seed, uint64(n)+1))
			for i := range killCommands {
				c := randomCommand(load, n, i)
				c.key = fmt.Sprintf("kill-%d-%d", n, i)
				if err := lives.send(t.Context(), c); err != nil {
					t.Errorf("%s/%s/%s: %v", c.aggregate, c.id, c.name, err)
					return
				}
				sent[n] = append(sent[n], c)
				answered.Add(1)
			}
		})
	}
	names := slices.Sorted(maps.Keys(files))
	for range kills {
		lives.begin(p.client)
		if len(names) > 0 {
			p.drop(names[0], files[names[0]])
			names = names[1:]
		}
		until := answered.Load() + random.Int64N(2*killClients*killCommands/kills)
		until = min(until, killClients*killCommands)
		eventually(t, fmt.Sprintf("%d answers", until), func() (bool, any) {
			n := answered.Load()
			return n >= until || t.Failed(), n
		})
		lives.end()
		p.kill()
		p = start(t, binary, data, settings...)
	}
	lives.begin(p.client)
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}

	// When all work has come to rest
	commands := slices.Concat(sent...)
	eventually(t, "all orders are shipped or cancelled, and all files imported", func() (bool, any) {
		for _, o := range list[order](p, "/ordering/orders") {
			if o.Status == "placed" {
				return false, o
			}
		}
		runs := list[importRun](p, "/catalog/product-imports")
		return len(runs) == len(files) && !slices.ContainsFunc(runs, func(r importRun) bool { return !r.ended() }), runs
	})
	p.settled()

	// Then the log is what was acknowledged, the views are what the log says, and
	// every order was confirmed
	log := readLog(p, commands, files)
	checkAnswers(t, log, commands)
	checkImports(t, p, log, files)
	checkViews(t, p, log)
	checkEmails(t, p, log)
}

// lives is where the clients find the shop while it lives.
type lives struct {
	next *sync.Cond
	now  *client // nil: dead
}

func (l *lives) begin(c *client) {
	l.next.L.Lock()
	defer l.next.L.Unlock()
	l.now = c
	l.next.Broadcast()
}

func (l *lives) end() { l.begin(nil) }

func (l *lives) current() *client {
	l.next.L.Lock()
	defer l.next.L.Unlock()
	for l.now == nil {
		l.next.Wait()
	}
	return l.now
}

// send repeats the command until it is answered. Dead shops and those that are
// too busy don't count.
func (l *lives) send(ctx context.Context, c *command) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return await(ctx, func() (bool, error) {
		var ok accepted
		err := l.current().post(ctx, "/"+c.aggregate+"/"+c.id+"/"+c.name, c.key, c.body, &ok)
		var no *problem
		var dead *unreachable
		switch {
		case err == nil:
			c.accepted = &ok
			return true, nil
		case errors.As(err, &no) && no.Status == http.StatusServiceUnavailable:
			return false, nil
		case errors.As(err, &no) && no.Status < http.StatusInternalServerError && no.Status != http.StatusUnprocessableEntity:
			c.code = no.Code
			return true, nil
		case errors.As(err, &no):
			return false, err
		case errors.As(err, &dead), strings.Contains(err.Error(), "the answer broke off"):
			return false, nil
		}
		return false, err
	})
}

// randomCommand is about few products and customers, so that clients meet, and
// about orders of the client's own, lately placed.
func randomCommand(r *rand.Rand, client, n int) *command {
	product := func() string { return fmt.Sprintf("p%d", r.IntN(20)) }
	customer := func() string { return fmt.Sprintf("c%d", r.IntN(6)) }
	price := func() any { return json.Number(fmt.Sprintf("%d.%d", r.IntN(100), 1+r.IntN(9))) }
	text := func(what string) string { return fmt.Sprintf("%s %d", what, r.IntN(5)) }
	category := func() string { return fmt.Sprintf("g%d", r.IntN(3)) }
	kind := r.IntN(100)
	if n < 20 {
		kind = r.IntN(45) // there must be something to order
	}
	switch {
	case kind < 20:
		body := map[string]any{"name": text("Product"), "description": text("Described"), "price": price()}
		if r.IntN(3) == 0 {
			body["categoryId"] = category()
		}
		return &command{aggregate: "catalog/product", id: product(), name: "add", body: body}
	case kind < 25:
		return &command{aggregate: "catalog/category", id: category(), name: "add", body: map[string]any{"name": text("Category")}}
	case kind < 35:
		return &command{aggregate: "ordering/customer", id: customer(), name: "register",
			body: map[string]any{"email": fmt.Sprintf("c%d@example.com", r.IntN(100)), "address": text("Lane")}}
	case kind < 40:
		return &command{aggregate: "ordering/customer", id: customer(), name: "update-address", body: map[string]any{"address": text("Road")}}
	case kind < 45:
		return &command{aggregate: "catalog/product", id: product(), name: "update-name", body: map[string]any{"name": text("Renamed")}}
	case kind < 55:
		return &command{aggregate: "catalog/product", id: product(), name: "update-price", body: map[string]any{"price": price()}}
	case kind < 58:
		return &command{aggregate: "catalog/product", id: product(), name: "change-category", body: map[string]any{"categoryId": category()}}
	case kind < 60:
		return &command{aggregate: "catalog/product", id: product(), name: "update-description", body: map[string]any{"description": text("Again")}}
	case kind < 88:
		ids := []string{product()}
		for range r.IntN(4) {
			ids = append(ids, product())
		}
		return &command{aggregate: "ordering/order", id: fmt.Sprintf("o%d-%d", client, n), name: "place",
			body: map[string]any{"customerId": customer(), "productIds": ids}}
	case kind < 97:
		return &command{aggregate: "ordering/order", id: fmt.Sprintf("o%d-%d", client, n-1-r.IntN(4)), name: "cancel"}
	default:
		return &command{aggregate: "ordering/order", id: fmt.Sprintf("o%d-%d", client, n-1-r.IntN(4)), name: "ship"}
	}
}

// killFiles are CSV files that share some of their rows, each with a bad one.
func killFiles(r *rand.Rand) map[string]string {
	files := map[string]string{}
	for f := range kills - 1 {
		var b strings.Builder
		b.WriteString("id,name,description,price\n")
		for range 200 {
			n := r.IntN(600)
			fmt.Fprintf(&b, "i%d,Imported %d,,%d\n", n, n, n)
		}
		b.WriteString("bad,Bad,,dear\n")
		files[fmt.Sprintf("file %d.csv", f)] = b.String()
	}
	return files
}

// log is the history of everything that the load may have touched: by aggregate
// type, then id.
type history map[string]map[string][]event

func readLog(p *process, commands []*command, files map[string]string) history {
	h := history{}
	read := func(aggregate, id string) {
		if h[aggregate] == nil {
			h[aggregate] = map[string][]event{}
		}
		if _, ok := h[aggregate][id]; !ok {
			h[aggregate][id] = p.history(aggregate, id)
		}
	}
	for _, c := range commands {
		read(c.aggregate, c.id)
	}
	for _, content := range files {
		for line := range strings.Lines(content) {
			if id, _, _ := strings.Cut(line, ","); strings.HasPrefix(id, "i") && id != "id" {
				read("catalog/product", id)
			}
		}
	}
	for id := range h["catalog/product"] {
		read("catalog/product-demand", id)
		read("ordering/catalog-product", id)
	}
	return h
}

// checkAnswers compares the log with what was acknowledged: each accepted
// command's events once, where its answer said; of the others nothing.
func checkAnswers(t *testing.T, h history, commands []*command) {
	t.Helper()
	byKey := map[string][]event{}
	for aggregate, ids := range h {
		for id, events := range ids {
			for i, e := range events {
				if e.Version != int64(i)+1 {
					t.Errorf("%s %s: event %d has version %d", aggregate, id, i+1, e.Version)
				}
				if i > 0 && e.Time.Before(events[i-1].Time) {
					t.Errorf("%s %s: version %d is older than the one before", aggregate, id, e.Version)
				}
				if e.User == "local" {
					byKey[e.MessageID] = append(byKey[e.MessageID], e)
				}
			}
		}
	}
	outcomes := map[string]int{}
	for _, c := range commands {
		events := byKey[c.key]
		delete(byKey, c.key)
		what := fmt.Sprintf("%s %s %s (%s)", c.name, c.aggregate, c.id, c.key)
		if c.accepted == nil {
			outcomes[c.code]++
			if len(events) > 0 {
				t.Errorf("%s was rejected with %s, but the log has %d events of it", what, c.code, len(events))
			}
			continue
		}
		outcomes["accepted"]++
		if len(events) != len(c.accepted.Events) {
			t.Errorf("%s was acknowledged with %v, the log has %d events of it", what, c.accepted.Events, len(events))
			continue
		}
		for i, e := range events {
			if want := c.accepted.Version - int64(len(events)) + int64(i) + 1; e.Type != c.accepted.Events[i] || e.Version != want {
				t.Errorf("%s was acknowledged as %s with version %d, the log has %s with version %d", what, c.accepted.Events[i], want, e.Type, e.Version)
			}
		}
	}
	for key, events := range byKey {
		t.Errorf("the log has %d events of %s, which nobody sent", len(events), key)
	}
	t.Logf("outcomes: %v", outcomes)
}

// checkImports compares the runs with the files, and the log with the rows.
func checkImports(t *testing.T, p *process, h history, files map[string]string) {
	t.Helper()
	var added int64
	for name, content := range files {
		r, ok := row[importRun](p, "/catalog/product-imports/"+strings.ReplaceAll(name, " ", "%20"))
		rows := int64(strings.Count(content, "\n") - 1)
		if !ok || r.Status != "finished" || r.Rows != rows || r.Rejected != 1 || r.Added+r.Unchanged+r.Rejected != rows {
			t.Errorf("%s with %d rows, one of them bad: %+v", name, rows, r)
		}
		added += r.Added
	}
	var there int64
	for id, events := range h["catalog/product"] {
		if strings.HasPrefix(id, "i") {
			if there++; len(events) != 1 || events[0].Type != "Added" || events[0].User != "system" {
				t.Errorf("imported product %s: %+v", id, events)
			}
		}
	}
	if added != there {
		t.Errorf("the runs count %d added products, the log has %d", added, there)
	}
}

// The views of the shop, as its API shows them.
type (
	product struct {
		ID          string      `json:"id"`
		Name        string      `json:"name"`
		Description string      `json:"description"`
		Price       json.Number `json:"price"`
		CategoryID  string      `json:"categoryId"`
	}
	category struct {
		ID       string `json:"id"`
		Name     string `json:"name"`
		Archived bool   `json:"archived"`
	}
	demand struct {
		ID         string `json:"id"`
		Name       string `json:"name"`
		OrderCount int    `json:"orderCount"`
	}
	customer struct {
		ID          string `json:"id"`
		Email       string `json:"email"`
		Address     string `json:"address"`
		Deactivated bool   `json:"deactivated"`
	}
	order struct {
		ID         string   `json:"id"`
		CustomerID string   `json:"customerId"`
		ProductIDs []string `json:"productIds"`
		Status     string   `json:"status"`
	}
	availableProduct struct {
		ID    string      `json:"id"`
		Name  string      `json:"name"`
		Price json.Number `json:"price"`
	}
)

// checkViews compares every view with a fold of the log of this test's own, and
// what crossed from one plugin to the other with where it came from.
func checkViews(t *testing.T, p *process, h history) {
	t.Helper()
	products, demands, available := map[string]product{}, map[string]demand{}, map[string]availableProduct{}
	categories, customers, orders := map[string]category{}, map[string]customer{}, map[string]order{}
	fold(t, h["catalog/product"], products, func(v product, id, _ string, read func(any)) product {
		v.ID = id
		read(&v)
		return v
	})
	fold(t, h["catalog/category"], categories, func(v category, id, _ string, read func(any)) category {
		v.ID = id
		read(&v)
		return v
	})
	fold(t, h["ordering/customer"], customers, func(v customer, id, _ string, read func(any)) customer {
		v.ID = id
		read(&v)
		return v
	})
	fold(t, h["ordering/order"], orders, func(v order, id, typ string, read func(any)) order {
		v.ID, v.Status = id, strings.ToLower(typ)
		read(&v)
		return v
	})
	counts := map[string]int{}
	for _, o := range orders {
		for _, id := range o.ProductIDs {
			if o.Status == "shipped" {
				counts[id]++
			}
		}
		if o.Status != "shipped" && o.Status != "cancelled" {
			t.Errorf("order %s was never shipped: %v", o.ID, h["ordering/order"][o.ID])
		}
	}
	for id, v := range products {
		demands[id] = demand{id, v.Name, counts[id]}
		// Ordering hears of a product's first name and of each price.
		var first product
		_ = json.Unmarshal(h["catalog/product"][id][0].Data, &first)
		available[id] = availableProduct{id, first.Name, v.Price}
	}
	compare(t, p, "/catalog/products", products, func(v product) string { return v.ID })
	compare(t, p, "/catalog/product-demands", demands, func(v demand) string { return v.ID })
	compare(t, p, "/catalog/categories", categories, func(v category) string { return v.ID })
	compare(t, p, "/ordering/available-products", available, func(v availableProduct) string { return v.ID })
	compare(t, p, "/ordering/customers", customers, func(v customer) string { return v.ID })
	compare(t, p, "/ordering/orders", orders, func(v order) string { return v.ID })
}

// fold is the simplest one: an event's fields replace the view's.
func fold[V any](t *testing.T, streams map[string][]event, into map[string]V, apply func(v V, id, typ string, read func(any)) V) {
	t.Helper()
	for id, events := range streams {
		for _, e := range events {
			into[id] = apply(into[id], id, e.Type, func(v any) {
				if err := json.Unmarshal(e.Data, v); err != nil {
					t.Errorf("%s %s: %v", id, e.Type, err)
				}
			})
		}
	}
}

func compare[V any](t *testing.T, p *process, path string, want map[string]V, id func(V) string) {
	t.Helper()
	got := map[string]V{}
	for _, v := range list[V](p, path) {
		if _, twice := got[id(v)]; twice {
			t.Errorf("%s lists %s twice", path, id(v))
		}
		got[id(v)] = v
	}
	for k := range want {
		if !reflect.DeepEqual(got[k], want[k]) {
			t.Errorf("%s: %s is %+v; the log says %+v", path, k, got[k], want[k])
		}
		delete(got, k)
	}
	for k := range got {
		t.Errorf("%s lists %s, of which the log knows nothing", path, k)
	}
}

// checkEmails wants one message per order, named by its message id.
func checkEmails(t *testing.T, p *process, h history) {
	t.Helper()
	want := map[string]string{}
	for id, events := range h["ordering/order"] {
		if len(events) > 0 {
			want["order-confirmation-"+id+"-1.eml"] = id
		}
	}
	for file, order := range want {
		eventually(t, "the confirmation of order "+order, func() (bool, any) {
			b, err := os.ReadFile(filepath.Join(p.data, "emails", file))
			return err == nil && strings.Contains(string(b), order), err
		})
	}
	files, err := os.ReadDir(filepath.Join(p.data, "emails"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if want[f.Name()] == "" {
			t.Errorf("%s is no confirmation of an order", f.Name())
		}
	}
}
