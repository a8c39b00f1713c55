package local

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
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
