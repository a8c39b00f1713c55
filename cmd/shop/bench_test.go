package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkHTTP sends requests to the real program from clients in this process that
// keep their connections: each a product's price, durable before it is answered, or a
// read of a row, a page of 50, or a history of 50 events. The clients share the machine's
// cores with the shop.
func BenchmarkHTTP(b *testing.B) {
	for _, clients := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			p := start(b, plainBinary, b.TempDir())
			for c := range max(clients, 50) {
				p.must(fmt.Sprintf("/catalog/product/p%d/add", c), map[string]any{"name": "Lamp", "description": "", "price": 1})
			}
			for n := range 50 {
				p.must("/catalog/product/p0/update-price", map[string]any{"price": n + 2})
			}
			p.settled()
			read := func(path string) func(context.Context, int, int) error {
				return func(ctx context.Context, _, _ int) error {
					var out json.RawMessage
					return p.get(ctx, path, &out)
				}
			}
			for _, x := range []struct {
				what string
				do   func(ctx context.Context, client, n int) error
			}{
				{"command", func(ctx context.Context, client, n int) error {
					return p.post(ctx, fmt.Sprintf("/catalog/product/p%d/update-price", client), "", map[string]any{"price": n + 100}, nil)
				}},
				{"row", read("/catalog/products/p0")},
				{"page", read("/catalog/products")},
				{"history", read("/catalog/product/p0/events")},
			} {
				requests(b, x.what, clients, x.do)
			}
		})
	}
}

// requests has clients do something for a while, and reports how often a second, and how
// long it takes.
func requests(b *testing.B, what string, clients int, do func(ctx context.Context, client, n int) error) {
	b.Helper()
	const each = 3 * time.Second
	all := make([][]time.Duration, clients)
	var sending sync.WaitGroup
	begin := time.Now()
	for c := range clients {
		sending.Go(func() {
			for n := 0; time.Since(begin) < each; n++ {
				at := time.Now()
				if err := do(b.Context(), c, n); err != nil {
					b.Error(err)
					return
				}
				all[c] = append(all[c], time.Since(at))
			}
		})
	}
	sending.Wait()
	took := slices.Concat(all...)
	if b.Failed() || len(took) == 0 {
		return
	}
	rate := float64(len(took)) / time.Since(begin).Seconds()
	slices.Sort(took)
	percentile := func(n int) float64 { return took[len(took)*n/100].Seconds() * 1000 }
	b.ReportMetric(0, "ns/op") // an iteration's time says nothing
	b.ReportMetric(rate, what+"/s")
	b.ReportMetric(percentile(50), what+"-p50-ms")
	b.ReportMetric(percentile(99), what+"-p99-ms")
}

// BenchmarkRestart kills a shop with many products, and starts it again: how long until
// it answers, and until every consumer is where it was.
func BenchmarkRestart(b *testing.B) {
	const products = 100_000
	data := b.TempDir()
	p := start(b, plainBinary, data)
	p.drop("products.csv", manyProducts(products))
	eventually(b, "the file is imported", func() (bool, any) {
		runs := list[importRun](p, "/catalog/product-imports")
		return len(runs) == 1 && runs[0].ended(), runs
	})
	p.settled()
	p.kill()
	for b.Loop() {
		begin := time.Now()
		p := start(b, plainBinary, data)
		if _, ok := row[json.RawMessage](p, "/catalog/products/p1"); !ok {
			b.Fatal("a product is gone")
		}
		answers := time.Since(begin)
		p.settled()
		b.ReportMetric(answers.Seconds()*1000, "answers-ms")
		b.ReportMetric(time.Since(begin).Seconds()*1000, "current-ms")
		p.kill()
	}
	b.ReportMetric(products, "products")
	b.ReportMetric(0, "ns/op")
}

func manyProducts(n int) string {
	out := []byte("id,name,description,price\n")
	for i := range n {
		out = fmt.Appendf(out, "p%d,Product %d,\"What there is to say about product %d, in a sentence or two.\",%d.%02d\n", i, i, i, i%1000, i%100)
	}
	return string(out)
}

// BenchmarkLiveOverHTTP has 16 clients order and read from the real program without a
// pause: while it is idle, and while it imports a file and catches up with it.
func BenchmarkLiveOverHTTP(b *testing.B) {
	const clients, products = 16, 100_000
	for b.Loop() {
		p := start(b, plainBinary, b.TempDir())
		p.must("/catalog/product/lamp/add", map[string]any{"name": "Lamp", "description": "", "price": 1})
		p.must("/ordering/customer/ann/register", map[string]any{"email": "ann@example.com", "address": "1 Main St"})
		p.settled()
		shop := func(phase string, until func() bool) map[string][]time.Duration {
			took, mu := map[string][]time.Duration{}, sync.Mutex{}
			timed := func(what string, do func() error) {
				at := time.Now()
				if err := do(); err != nil {
					b.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				took[what] = append(took[what], time.Since(at))
			}
			var ordering sync.WaitGroup
			for c := range clients {
				ordering.Go(func() {
					for n := 0; !until() && !b.Failed(); n++ {
						id := fmt.Sprintf("%s-%d-%d", phase, c, n)
						timed("followed", func() error {
							timed("command", func() error {
								return p.post(b.Context(), "/ordering/order/"+id+"/place", "", map[string]any{"customerId": "ann", "productIds": []string{"lamp"}}, nil)
							})
							for {
								var o order
								var err error
								timed("read", func() error {
									if err = p.get(b.Context(), "/ordering/orders/"+id, &o); notFound(err) {
										err = nil
									}
									return err
								})
								if err != nil || o.Status == "shipped" {
									return err
								}
								time.Sleep(time.Millisecond)
							}
						})
					}
				})
			}
			ordering.Wait()
			return took
		}
		begin := time.Now()
		idle := shop("idle", func() bool { return time.Since(begin) > 8*time.Second })
		p.drop("products.csv", manyProducts(products))
		caughtUp := make(chan struct{})
		go func() {
			defer close(caughtUp)
			last := fmt.Sprintf("/ordering/available-products/p%d", products-1)
			for {
				var any json.RawMessage
				if p.get(b.Context(), last, &any) == nil || b.Failed() {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		busy := shop("busy", func() bool {
			select {
			case <-caughtUp:
				return true
			default:
				return false
			}
		})
		for _, what := range []string{"command", "read", "followed"} {
			p99 := func(took []time.Duration) float64 {
				slices.Sort(took)
				return took[len(took)*99/100].Seconds() * 1000
			}
			i, l := p99(idle[what]), p99(busy[what])
			b.ReportMetric(i, "idle-"+what+"-p99-ms")
			b.ReportMetric(l, "busy-"+what+"-p99-ms")
			b.ReportMetric(l/i, what+"-p99-ratio")
		}
		b.ReportMetric(time.Since(begin).Seconds()-8, "caught-up-s")
		b.ReportMetric(0, "ns/op")
	}
}

func notFound(err error) bool {
	var no *problem
	return errors.As(err, &no) && no.Status == http.StatusNotFound
}
