package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// quiet is a logger for tests in which things are meant to go wrong.
var quiet = slog.New(slog.DiscardHandler)

// open opens a platform that the test closes.
func open(t testing.TB, o Options) *Platform {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open %s: %v", o.Dir, err)
	}
	t.Cleanup(func() {
		crashed := p.store.writer.closed
		ctx, cancel := context.WithTimeout(context.Background(), longest) // t.Context has ended by now
		defer cancel()
		if err := p.Close(ctx); err != nil && !crashed {
			t.Errorf("close %s: %v", o.Dir, err)
		}
	})
	return p
}

// crash breaks a platform off in the middle of everything, and returns a copy of
// its folder as it was then.
func crash(t *testing.T, p *Platform) (dir string) {
	t.Helper()
	p.cancel()
	p.store.writer.close()
	return copied(t, p.Dir)
}

// copied is a copy of a folder that is in use.
func copied(t *testing.T, from string) (dir string) {
	t.Helper()
	for {
		dir = filepath.Join(t.TempDir(), "copy")
		switch err := os.CopyFS(dir, os.DirFS(from)); {
		case errors.Is(err, fs.ErrNotExist): // a file was moved or removed meanwhile
		case err != nil:
			t.Fatalf("copy the folder: %v", err)
		default:
			return dir
		}
	}
}

// outbox counts messages.
type outbox struct {
	mu   sync.Mutex
	sent map[string]int
}

// SendOrderConfirmation implements [mail.EmailService].
func (o *outbox) SendOrderConfirmation(_ context.Context, c mail.OrderConfirmation) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent = map[string]int{}
	}
	o.sent[c.OrderID]++
	return nil
}

func (o *outbox) count(order string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent[order]
}

// shop are the shop's plugins.
func shop(o mail.EmailService, shipDelay time.Duration) []es.Plugin {
	return plugins.All(plugintest.Deps{Mail: o, Delay: shipDelay})
}

// order sends a command, with its name as its key, so that it may be repeated.
func order(ctx context.Context, p *Platform, aggregate, id, command, payload string) error {
	_, err := request(ctx, p, command, aggregate, id, command, payload)
	return err
}

// request sends a command with that key; empty: with none.
func request(ctx context.Context, p *Platform, key, aggregate, id, command, payload string) (engine.Outcome, error) {
	for _, x := range p.Plugins {
		for _, a := range x.Aggregates {
			d := a.Definition()
			if d.Name != aggregate {
				continue
			}
			c, err := d.ReadCommand(command, []byte(payload))
			if err != nil {
				return engine.Outcome{}, err
			}
			return p.Engine().Execute(ctx, engine.Request{
				Command: es.Command{Aggregate: aggregate, ID: id, Payload: c}, Caller: es.System(), IdempotencyKey: key,
			})
		}
	}
	return engine.Outcome{}, fmt.Errorf("there is no aggregate %s", aggregate)
}

func send(t *testing.T, p *Platform, aggregate, id, command, payload string) {
	t.Helper()
	if err := order(t.Context(), p, aggregate, id, command, payload); err != nil {
		t.Fatalf("%s of %s %s: %v", command, aggregate, id, err)
	}
}

func caughtUp(t *testing.T, p *Platform) {
	t.Helper()
	if err := p.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// types are the names of a stream's events.
func types(t *testing.T, p *Platform, aggregate, id string) (names []string) {
	t.Helper()
	commits, _, err := p.store.Read(t.Context(), engine.Stream{Aggregate: aggregate, ID: id}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commits {
		for _, e := range c.Events {
			names = append(names, e.Type)
		}
	}
	return names
}

func view(t *testing.T, p *Platform, model, id string) string {
	t.Helper()
	r, err := p.store.Row(t.Context(), model, id)
	if err != nil {
		t.Fatal(err)
	}
	return placedAt.ReplaceAllString(string(r.View), "")
}

// placedAt is a time that these tests don't know.
var placedAt = regexp.MustCompile(`,"placedAt":"[^"]*"`)

// longest is how long a condition may take to come true: long, since machines that run
// tests are busy, and only ever waited for in vain where something is wrong.
const longest = 3 * time.Minute

// until waits for a condition. It looks with each commit, and now and then between: not
// everything ends with one.
func until(t *testing.T, p *Platform, what string, condition func() bool) {
	t.Helper()
	await(t, what, condition, func() <-chan struct{} {
		_, _, changed := p.store.feed.after(p.store.feed.last())
		return changed
	})
}

// eventually waits for a condition that nothing tells of.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await(t, what, condition, func() <-chan struct{} { return nil })
}

// await looks whether the condition is true whenever what changed returns is closed, and
// now and then.
func await(t *testing.T, what string, condition func() bool, changed func() <-chan struct{}) {
	t.Helper()
	late := time.NewTimer(longest)
	defer late.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		more := changed()
		if condition() {
			return
		}
		select {
		case <-more:
		case <-tick.C:
		case <-late.C:
			t.Fatalf("not within %s: %s", longest, what)
		}
	}
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v; expected %v", what, got, want)
	}
}

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	var p *Platform
	var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
	ports = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		if p != nil {
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p = open(t, Options{Dir: dir, Plugins: plugins})
		return platformtest.Ports{
			Log: p.store, Cursors: p.store, Rows: p.store, Parking: p.store, Rejections: p.store, Schedules: p.store, Keys: p.store, Snapshots: p.store,
			SeesGaps: true, Objects: outside{p.Dir}, Engine: p.Engine(), Settle: p.CaughtUp, Reopen: ports,
		}
	}
	platformtest.Test(t, platformtest.NewWorld(), ports)
}

// outside is another program that works on the folders of buckets.
type outside struct{ data string }

func (o outside) PutObject(_ context.Context, bucket, key string, content []byte) error {
	part := filepath.Join(bucketDir(o.data, bucket), key+".part")
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return err
	}
	return os.Rename(part, strings.TrimSuffix(part, ".part"))
}

func (o outside) RemoveObject(_ context.Context, bucket, key string) error {
	return os.Remove(filepath.Join(bucketDir(o.data, bucket), key))
}

func TestAFolderIsOneShops(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	_, err := Open(t.Context(), Options{Dir: dir, Logger: quiet})
	want := fmt.Sprintf("%s is in use by another shop (pid %d): stop that one, or choose another data folder", dir, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("a second shop: %v; expected: %s", err, want)
	}
}

func TestAFolderOfANewerVersionIsLeftAlone(t *testing.T) {
	// Given a folder that a newer version has written
	dir := t.TempDir()
	p, err := Open(t.Context(), Options{Dir: dir, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.store.db.Set(keyIn(tableStore).text(schemaName), value(nil).number(1000), nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// When this version opens it, then it says so, and lets go of the folder
	for range 2 {
		_, err = Open(t.Context(), Options{Dir: dir, Logger: quiet})
		if err == nil || !strings.Contains(err.Error(), "newer version of this program") {
			t.Errorf("open: %v", err)
		}
	}
}

func TestACrashLosesAndRepeatsNothing(t *testing.T) {
	// Given a shop in which many order at once
	mails := &outbox{}
	plugins := shop(mails, 0)
	dir := t.TempDir()
	const orders = 60
	acknowledged := map[string]bool{}
	for life := range 3 {
		p := open(t, Options{Dir: dir, Plugins: plugins})
		for _, c := range [][4]string{
			{"Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`},
			{"Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`},
		} {
			send(t, p, c[0], c[1], c[2], c[3])
		}
		caughtUp(t, p)
		ctx, leave := context.WithCancel(t.Context())
		var mu sync.Mutex
		var clients sync.WaitGroup
		for c := range 4 {
			clients.Go(func() {
				for i := 0; i < orders && ctx.Err() == nil; i++ {
					id := fmt.Sprintf("o%d-%d-%d", life, c, i)
					if order(ctx, p, "Ordering.Order", id, "Place", `{"customerId":"c1","productIds":["p1"]}`) == nil {
						mu.Lock()
						acknowledged[id] = true
						mu.Unlock()
					}
				}
			})
		}
		// When it crashes in the middle, again and again
		until(t, p, "some orders are in", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acknowledged) >= (life+1)*orders
		})
		dir = crash(t, p)
		leave()
		clients.Wait()
	}
	// Then all that was acknowledged is there, was shipped and counted once, and
	// mailed about (only a crash in the middle of sending repeats a message)
	p := open(t, Options{Dir: dir, Plugins: plugins})
	caughtUp(t, p)
	ids, _, err := p.store.Streams(t.Context(), "Ordering.Order", "")
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		expect(t, id, types(t, p, "Ordering.Order", id), "[Placed Shipped]")
	}
	for _, id := range ids {
		expect(t, id, view(t, p, "Ordering.Orders", id), `{"customerId":"c1","productIds":["p1"],"status":"shipped"}`)
		if mails.count(id) == 0 {
			t.Errorf("%s: nobody was told", id)
		}
	}
	expect(t, "demand", view(t, p, "Catalog.ProductDemands", "p1"), fmt.Sprintf(`{"name":"Book","orderCount":%d}`, len(ids)))
	expect(t, "counted", len(types(t, p, "Catalog.ProductDemand", "p1")), len(ids))
}

func TestConsumersGoOnFromTheirMarks(t *testing.T) {
	// Given a shop that has dealt with everything, and was closed
	o := Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), Logger: quiet}
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		send(t, p, "Catalog.Product", fmt.Sprint("p", i), "Add", `{"name":"Book","description":"","price":1}`)
	}
	caughtUp(t, p)
	head := p.store.feed.last()
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// When it is opened again, then nothing is left to do
	p = open(t, o)
	expect(t, "head", p.store.feed.last(), head)
	for _, c := range p.consumers {
		expect(t, c.name, c.mark(), head)
	}
}

func TestANewPluginStartsFromTheBeginning(t *testing.T) {
	// Given a shop of one plugin, which has dealt with everything
	plugins := shop(&outbox{}, 0)
	o := Options{Dir: t.TempDir(), Plugins: plugins[:1], Logger: quiet}
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	caughtUp(t, p)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// When another one is there with the next start, then it learns what was before
	o.Plugins = plugins
	p = open(t, o)
	until(t, p, "Ordering knows the product", func() bool { return len(types(t, p, "Ordering.CatalogProduct", "p1")) > 0 })
	caughtUp(t, p)
	expect(t, "view", view(t, p, "Ordering.AvailableProducts", "p1"), `{"name":"Book","price":9.99}`)
}

func TestADelayedHintSurvivesACrash(t *testing.T) {
	plugins := shop(&outbox{}, 500*time.Millisecond)
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	// Given an order that is to be shipped a little later
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	send(t, p, "Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	caughtUp(t, p)
	send(t, p, "Ordering.Order", "o1", "Place", `{"customerId":"c1","productIds":["p1"]}`)
	caughtUp(t, p)
	// When the shop crashes before
	dir := crash(t, p)
	// Then it ships the order when it is back
	p = open(t, Options{Dir: dir, Plugins: plugins})
	until(t, p, "the order is shipped", func() bool { return len(types(t, p, "Ordering.Order", "o1")) == 2 })
	expect(t, "order", types(t, p, "Ordering.Order", "o1"), "[Placed Shipped]")
}

func TestADelayIsNotBelowZero(t *testing.T) {
	_, err := Open(t.Context(), Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, -time.Second), Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "mapping Ordering.AutoShip: a delay can't be below zero, as -1s is") {
		t.Errorf("got %v", err)
	}
}

func TestADelayIsNoLag(t *testing.T) {
	// Given an order that is to be shipped in ten days
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 240*time.Hour), Version: "v1"})
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	send(t, p, "Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	caughtUp(t, p)
	send(t, p, "Ordering.Order", "o1", "Place", `{"customerId":"c1","productIds":["p1"]}`)
	// When everything else is done
	caughtUp(t, p)
	// Then nobody lags behind, and it can still be cancelled
	h, err := p.health(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range h.Plugins {
		for _, c := range x.Consumers {
			if c.LagSeconds != 0 || c.Parked != 0 {
				t.Errorf("%+v", c)
			}
		}
	}
	// But when its time is over, somebody does
	h, err = p.health(t.Context(), time.Now().Add(241*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range h.Plugins {
		for _, c := range x.Consumers {
			if (c.LagSeconds > 0) != (c.Name == "mapping:Ordering.AutoShip") {
				t.Errorf("after ten days: %+v", c)
			}
		}
	}
	send(t, p, "Ordering.Order", "o1", "Cancel", "")
}

func TestHealth(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), Version: "v1"})
	// The first heartbeat comes with the start, but not before Open returns.
	for _, x := range p.Plugins {
		if err := p.store.heartbeat(t.Context(), x.Name, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	healthy := func(at time.Time) engine.Health {
		t.Helper()
		h, err := p.health(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := healthy(time.Now())
	expect(t, "status", h.Status, "ok")
	expect(t, "version", h.Version, "v1")
	var names []string
	for _, x := range h.Plugins {
		for _, c := range x.Consumers {
			names = append(names, c.Name)
		}
	}
	expect(t, "consumers", len(names), len(p.Engine().Consumers())+len(p.Engine().Tasks()))

	// When something is parked
	key := engine.Parked{Consumer: "readmodel:Catalog.Products", Stream: engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}, Since: time.Now(), Last: time.Now(), Attempts: 1}
	if err := p.store.Park(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	expect(t, "status with something parked", healthy(time.Now()).Status, "degraded")
	if err := p.store.Unpark(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	expect(t, "status", healthy(time.Now()).Status, "ok")

	// When a plugin has missed three heartbeats
	h = healthy(time.Now().Add(16 * time.Minute))
	expect(t, "status with missed heartbeats", h.Status, "degraded")
	expect(t, "connected", h.Plugins[0].Connected, false)
}

func TestWhatThisVersionDoesNotKnowIsPutOff(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	// Given a commit of a newer version
	c := engine.Commit{
		Stream: engine.Stream{Aggregate: "Catalog.Product", ID: "new"}, Version: 1,
		Events: []es.StoredEvent{{Type: "Praised", Data: []byte(`{}`)}}, Meta: engine.Meta{Time: time.Now().UTC()},
	}
	if err := p.store.Append(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	// When others follow
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	caughtUp(t, p)
	// Then they are done, and it is tried again later, and parked nowhere
	expect(t, "view", view(t, p, "Catalog.Products", "p1"), `{"name":"Book","description":"","price":9.99}`)
	putOff, err := p.later.overdue(t.Context(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if putOff[rows].IsZero() || putOff[commands].IsZero() {
		t.Errorf("put off: %v; rows and commands were expected", putOff)
	}
	if parked, _, err := p.store.ListParked(t.Context(), ""); err != nil || len(parked) > 0 {
		t.Errorf("parked: %v, %v", parked, err)
	}
	// And a sweep and a rebuild pass it over
	swept := platformtest.Steps(t, "sweep", func(cursor string) (engine.Progress, error) { return p.engine.Sweep(t.Context(), cursor) })
	expect(t, "swept, Ordering's product too", swept, 2)
	rebuilt := platformtest.Steps(t, "rebuild", func(cursor string) (engine.Progress, error) {
		return p.engine.Rebuild(t.Context(), "Catalog.Products", cursor)
	})
	expect(t, "rebuilt", rebuilt, 1)
	// And the log does not pass for swept as a whole
	whole, err := p.sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "swept as a whole", whole, false)
}

func TestAFailedSideEffectIsCountedAndNotTriedAgain(t *testing.T) {
	// Given a mail server that is down
	var said bytes.Buffer
	p, err := Open(t.Context(), Options{Dir: t.TempDir(), Plugins: shop(down{}, 0), Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	// When two orders are placed
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	send(t, p, "Ordering.Customer", "ann", "Register", `{"email":"ann@example.com","address":"Elm Street 1"}`)
	caughtUp(t, p)
	for _, id := range []string{"o1", "o2"} {
		send(t, p, "Ordering.Order", id, "Place", `{"customerId":"ann","productIds":["p1"]}`)
	}
	caughtUp(t, p)
	// Then the shop says at its end how often it could not mail
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = `msg="counted since the start" metric=SideEffectFailed consumer=effect:Ordering.SendOrderConfirmation times=2`
	if !strings.Contains(said.String(), want) {
		t.Errorf("it said:\n%s\nwant %s", said.String(), want)
	}
}

// down is an e-mail service that does not work.
type down struct{}

func (down) SendOrderConfirmation(context.Context, mail.OrderConfirmation) error {
	return errors.New("the mail server is down")
}

func TestCloseLetsNothingIn(t *testing.T) {
	p, err := Open(t.Context(), Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := order(ctx, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`); err == nil {
		t.Error("a command was accepted after Close")
	}
	c := engine.Commit{Stream: engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}, Events: []es.StoredEvent{{Type: "Added"}}}
	if err := p.store.Append(t.Context(), c); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("append after Close: %v", err)
	}
}
