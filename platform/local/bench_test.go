package local

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"onlineshop/es"
	"onlineshop/es/engine"
)

var importRows = flag.Int("import-rows", 200_000, "how many rows BenchmarkImport imports")

const (
	writers  = 64
	measured = 3 * time.Second
)

// BenchmarkAppend compares durable appends with those of bbolt, which has one
// transaction and one fsync for each: 64 writers, events of 256 bytes, streams of
// ten commits.
func BenchmarkAppend(b *testing.B) {
	for b.Loop() {
		db, err := bolt.Open(filepath.Join(b.TempDir(), "bolt.db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		theirs := rate(b, func(c engine.Commit) error {
			value, err := json.Marshal(c)
			if err != nil {
				return err
			}
			return db.Update(func(tx *bolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("log"))
				if err != nil {
					return err
				}
				return bucket.Put(fmt.Appendf(nil, "%s/%020d", c.Stream, c.Seq), value)
			})
		})
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		s, err := openStore(b.Context(), filepath.Join(b.TempDir(), "shop.db"), nil)
		if err != nil {
			b.Fatal(err)
		}
		ours := rate(b, func(c engine.Commit) error { return s.Append(b.Context(), c) })
		if err := s.close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ours, "appends/s")
		b.ReportMetric(theirs, "bbolt-appends/s")
		b.ReportMetric(ours/theirs, "ratio")
	}
}

// rate is how many commits per second the writers append.
func rate(b *testing.B, appendTo func(engine.Commit) error) float64 {
	b.Helper()
	data, err := json.Marshal(strings.Repeat("x", 254))
	if err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := int64(0); time.Since(start) < measured; i++ {
				c := engine.Commit{
					// Ids that are in no order, as hashes and random ids are.
					Stream: engine.Stream{Aggregate: "Bench.Thing", ID: fmt.Sprintf("%016x", uint64(w+int(i/10)*writers+1)*0x9e3779b97f4a7c15)},
					Seq:    i % 10, Version: i%10 + 1,
					Events: []es.StoredEvent{{Type: "Happened", Data: data}},
					Meta: engine.Meta{
						Command: engine.CommandID{Origin: "user:bench\n" + fmt.Sprint(w, i)}, Payload: "0123456789abcdef01234567", MessageID: fmt.Sprint(w, i),
						CorrelationID: fmt.Sprint(w, i), User: "bench", Owner: "bench", Service: "Bench", Time: start.UTC(),
					},
				}
				if err := appendTo(c); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

// BenchmarkImport imports a CSV file into the shop: until its rows are in, and
// until every view and the other plugin have caught up.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		p := open(b, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
		file := writeProducts(b, dir, *importRows)
		b.StartTimer()

		start := time.Now()
		in := p.buckets[0]
		if err := os.Rename(file, filepath.Join(in.dir, "products.csv")); err != nil {
			b.Fatal(err)
		}
		for _, err := os.Stat(filepath.Join(in.dir, doneDir, "products.csv")); err != nil; _, err = os.Stat(filepath.Join(in.dir, doneDir, "products.csv")) {
			time.Sleep(10 * time.Millisecond)
		}
		in1 := time.Since(start) - settleTime
		if err := p.CaughtUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		all := time.Since(start) - settleTime
		b.ReportMetric(float64(*importRows)/in1.Seconds(), "rows/s")
		b.ReportMetric(float64(*importRows)/all.Seconds(), "rows-caught-up/s")
	}
}

func writeProducts(b *testing.B, dir string, rows int) string {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "products.csv"))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "name,description,price")
	for i := range rows {
		fmt.Fprintf(w, "Product %d,\"What there is to say about product %d, in a sentence or two.\",%d.%02d\n", i, i, i%1000, i%100)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return f.Name()
}

// BenchmarkLiveDuringImport has 16 clients order from a shop: an idle one, and one that
// imports a file at the same time and catches up with it. It reports, of each, how long
// commands and reads take, and how long it is until an order is shipped, that is in its
// view, and it is counted in Catalog's demand; and the ratio of the two.
func BenchmarkLiveDuringImport(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		p := open(b, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
		file := writeProducts(b, dir, *importRows)
		const clients = 16
		for c := range clients {
			for _, x := range [][]string{
				{"Catalog.Product", fmt.Sprint("own", c), "Add", `{"name":"Lamp","description":"","price":1}`},
				{"Ordering.Customer", fmt.Sprint("c", c), "Register", `{"email":"ann@example.com","address":"1 Main St"}`},
			} {
				if err := order(b.Context(), p, x[0], x[1], x[2], x[3]); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := p.CaughtUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		idle := shopping(b, p, "idle", clients, func() bool { return false }, 200)
		in := p.buckets[0]
		if err := os.Rename(file, filepath.Join(in.dir, "products.csv")); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		var imported, caught atomic.Int64
		go func() {
			for _, err := os.Stat(filepath.Join(in.dir, doneDir, "products.csv")); err != nil; _, err = os.Stat(filepath.Join(in.dir, doneDir, "products.csv")) {
				time.Sleep(10 * time.Millisecond)
			}
			imported.Store(int64(time.Since(start) - settleTime))
			for p.behind() > 1000 { // the orders' own commits
				time.Sleep(10 * time.Millisecond)
			}
			caught.Store(int64(time.Since(start) - settleTime))
		}()
		busy := shopping(b, p, "busy", clients, func() bool { return caught.Load() == 0 }, 1)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(time.Duration(imported.Load()).Seconds(), "import-s")
		b.ReportMetric(time.Duration(caught.Load()).Seconds(), "caught-up-s")
		for _, what := range []string{"command", "read", "demand"} {
			i, l := percentile(idle[what], 99), percentile(busy[what], 99)
			b.ReportMetric(i, "idle-"+what+"-p99-ms")
			b.ReportMetric(l, "busy-"+what+"-p99-ms")
			b.ReportMetric(l/i, what+"-p99-ratio")
		}
		b.ReportMetric(float64(len(busy["command"])), "orders")
	}
}

// behind is how many commits the furthest of the consumers has before it.
func (p *Platform) behind() (most int64) {
	for _, c := range p.consumers {
		most = max(most, p.store.feed.last()-c.mark())
	}
	return most
}

// percentile in milliseconds.
func percentile(took []time.Duration, n int) float64 {
	slices.Sort(took)
	return took[len(took)*n/100].Seconds() * 1000
}

// shopping lets clients order one product after the other, at least so often, and while
// there is reason to; each looks at its order until all has followed.
func shopping(b *testing.B, p *Platform, name string, clients int, while func() bool, atLeast int) map[string][]time.Duration {
	b.Helper()
	took := map[string][]time.Duration{}
	var mu sync.Mutex
	note := func(what string, since time.Time) {
		mu.Lock()
		defer mu.Unlock()
		took[what] = append(took[what], time.Since(since))
	}
	admin := es.Caller{User: "root", Groups: []string{es.Admin}}
	row := func(model, id string) string {
		at := time.Now()
		r, err := p.Engine().Row(b.Context(), admin, model, id, nil)
		note("read", at)
		if err != nil {
			return ""
		}
		return string(r.View)
	}
	before := map[int]int{}
	for c := range clients {
		var d struct{ OrderCount int }
		if err := json.Unmarshal([]byte(row("Catalog.ProductDemands", fmt.Sprint("own", c))), &d); err != nil {
			b.Fatal(err)
		}
		before[c] = d.OrderCount
	}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := 0; n < atLeast || while(); n++ {
				id, at := fmt.Sprintf("%s-%d-%d", name, c, n), time.Now()
				if err := order(b.Context(), p, "Ordering.Order", id, "Place", fmt.Sprintf(`{"customerId":"c%d","productIds":["own%d"]}`, c, c)); err != nil {
					b.Error(err)
					return
				}
				note("command", at)
				for !strings.Contains(row("Ordering.Orders", id), `"shipped"`) {
					time.Sleep(time.Millisecond)
				}
				note("shipped", at)
				for !strings.Contains(row("Catalog.ProductDemands", fmt.Sprint("own", c)), fmt.Sprintf(`"orderCount":%d`, before[c]+n+1)) {
					time.Sleep(time.Millisecond)
				}
				note("demand", at)
			}
		})
	}
	wg.Wait()
	return took
}
