package local

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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
		theirs := appends(b, writers, scattered, putBolt(db))
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		s, err := openStore(b.Context(), storeOptions{dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		ours := appends(b, writers, scattered, func(c engine.Commit) error { return s.Append(b.Context(), c) })
		if err := s.close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ours, "appends/s")
		b.ReportMetric(theirs, "bbolt-appends/s")
		b.ReportMetric(ours/theirs, "ratio")
	}
}

// scattered are commits of streams of ten, whose ids are in no order, as hashes and random
// ids are.
func scattered(writer int, n int64) engine.Commit {
	c := measure(fmt.Sprintf("%016x", uint64(writer+int(n/10)*writers+1)*0x9e3779b97f4a7c15), n%10)
	c.Meta.Command = engine.CommandID{Origin: "user:bench\n" + fmt.Sprint(writer, n)}
	return c
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
		idle, _ := shopping(b, p, "idle", clients, func() bool { return false }, 200)
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
		busy, orders := shopping(b, p, "busy", clients, func() bool { return caught.Load() == 0 }, 1)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(time.Duration(imported.Load()).Seconds(), "import-s")
		b.ReportMetric(time.Duration(caught.Load()).Seconds(), "caught-up-s")
		for _, what := range []string{"command", "read", "demand"} {
			i, l := percentile(idle[what], 99), percentile(busy[what], 99)
			b.ReportMetric(i, "idle-"+what+"-p99-ms")
			b.ReportMetric(l, "busy-"+what+"-p99-ms")
			b.ReportMetric(l/i, what+"-p99-ratio")
		}
		b.ReportMetric(float64(orders), "orders")
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
// there is reason to; each looks at its order until all has followed. It returns how long
// each thing took, a sample of them at most, and how many orders there were.
func shopping(b *testing.B, p *Platform, name string, clients int, while func() bool, atLeast int) (took map[string][]time.Duration, orders int) {
	b.Helper()
	const sample = 200_000 // all of them would be more memory than the shop has
	took = map[string][]time.Duration{}
	times := map[string]int{}
	var mu sync.Mutex
	note := func(what string, since time.Time) {
		d := time.Since(since)
		mu.Lock()
		defer mu.Unlock()
		times[what]++
		if len(took[what]) < sample {
			took[what] = append(took[what], d)
		} else if i := rand.IntN(times[what]); i < sample {
			took[what][i] = d
		}
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
	return took, times["command"]
}

// projections folds the rows of 10,000 products with ten events each again, and returns
// how many events that is a second.
func projections(b *testing.B) float64 {
	b.Helper()
	const products, each = 10_000, 10
	p := open(b, Options{Dir: b.TempDir(), Plugins: shop(&outbox{}, 0)})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < products; i += writers {
				id := fmt.Sprint("p", i)
				err := order(b.Context(), p, "Catalog.Product", id, "Add", aProduct)
				for n := 1; n < each && err == nil; n++ {
					_, err = request(b.Context(), p, "", "Catalog.Product", id, "UpdatePrice", fmt.Sprintf(`{"price":%d}`, n+1))
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := p.CaughtUp(b.Context()); err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	for cursor := ""; ; {
		progress, err := p.Engine().Rebuild(b.Context(), "Catalog.Products", cursor)
		if err != nil {
			b.Fatal(err)
		}
		if cursor = progress.Next; cursor == "" {
			break
		}
	}
	return products * each / time.Since(begin).Seconds()
}

// BenchmarkPeers does the same work on this store, on bbolt with one transaction and fsync
// for each append, and on what others would pick: see tools/peers, which SHOP_PEERS names
// once make bench-peers has installed it. Each is durable before it acknowledges, but
// where it says so. It prints operations a second, and their ratio to ours.
func BenchmarkPeers(b *testing.B) {
	peers := os.Getenv("SHOP_PEERS")
	if peers == "" {
		b.Skip("run it with make bench-peers")
	}
	const (
		fresh, freshMany = "append, new streams, 1 writer", "append, new streams, 64 writers"
		hot              = "append, one hot stream, 1 writer"
		long             = "load a stream of 10,000 events"
		rows             = "project 100,000 events into rows"
	)
	onFresh := func(w int, n int64) engine.Commit { return measure(fmt.Sprintf("fresh-%d-%d", w, n), 0) }
	onMany := func(w int, n int64) engine.Commit { return measure(fmt.Sprintf("many-%d-%d", w, n), 0) }
	onHot := func(_ int, n int64) engine.Commit { return measure("hot", n) }
	for b.Loop() {
		ours, bbolt := map[string]any{}, map[string]any{}
		s, err := openStore(b.Context(), storeOptions{dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		append1 := func(c engine.Commit) error { return s.Append(b.Context(), c) }
		ours[fresh] = appends(b, 1, onFresh, append1)
		ours[hot] = appends(b, 1, onHot, append1)
		ours[freshMany] = appends(b, 64, onMany, append1)
		for seq := range int64(10_000) {
			if err := append1(measure("long", seq)); err != nil {
				b.Fatal(err)
			}
		}
		begin, read := time.Now(), 0
		for from := int64(0); ; {
			commits, more, err := s.Read(b.Context(), engine.Stream{Aggregate: "A.B", ID: "long"}, from, 0)
			if err != nil {
				b.Fatal(err)
			}
			if read += len(commits); !more {
				break
			}
			from += int64(len(commits))
		}
		ours[long] = float64(read) / time.Since(begin).Seconds()
		if err := s.close(); err != nil {
			b.Fatal(err)
		}

		ours[rows] = projections(b)

		db, err := bolt.Open(filepath.Join(b.TempDir(), "bolt.db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		put := putBolt(db)
		bbolt[fresh] = appends(b, 1, onFresh, put)
		bbolt[hot] = appends(b, 1, onHot, put)
		bbolt[freshMany] = appends(b, 64, onMany, put)
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}

		out, err := exec.CommandContext(b.Context(), "node", filepath.Join(peers, "emmett.mjs")).Output()
		if err != nil {
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				out = append(out, exit.Stderr...)
			}
			b.Fatalf("emmett: %v\n%s", err, out)
		}
		var emmett map[string]any
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &emmett); err != nil {
			b.Fatalf("emmett: %v\n%s", err, out)
		}
		for _, work := range []string{fresh, hot, freshMany, long, rows} {
			line := fmt.Sprintf("%-34s ours %.0f/s", work, ours[work])
			for _, peer := range []struct {
				name string
				got  any
			}{{"bbolt", bbolt[work]}, {"emmett-sqlite", emmett[work]}} {
				switch got := peer.got.(type) {
				case float64:
					line += fmt.Sprintf(", %s %.0f/s (ours is %.1f times that)", peer.name, got, ours[work].(float64)/got)
				case string:
					line += fmt.Sprintf(", %s fails: %s", peer.name, got)
				}
			}
			b.Log(line)
		}
	}
}

func measure(id string, seq int64) engine.Commit {
	return engine.Commit{
		Stream: engine.Stream{Aggregate: "A.B", ID: id}, Seq: seq, Version: seq + 1,
		Events: []es.StoredEvent{es.NewStoredEvent("Measured", 1, []byte(`{"text":"`+strings.Repeat("x", 220)+`"}`))},
		Meta:   engine.Meta{Time: time.Now()},
	}
}

// appends is how many single-event appends a second so many writers do.
func appends(b *testing.B, writers int, commit func(writer int, n int64) engine.Commit, do func(engine.Commit) error) float64 {
	b.Helper()
	var wg sync.WaitGroup
	var done atomic.Int64
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for n := int64(0); time.Since(start) < measured; n++ {
				if err := do(commit(w, n)); err != nil {
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

func putBolt(db *bolt.DB) func(engine.Commit) error {
	return func(c engine.Commit) error {
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
	}
}
