package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// BenchmarkCommands sends commands to the real program over HTTP, from clients
// in this process that keep their connections: each a product's price, durable
// before it is answered. The clients share the machine's cores with the shop.
func BenchmarkCommands(b *testing.B) {
	for _, clients := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			const each = 1_000 // commands of a client in one iteration
			p := start(b, plainBinary, b.TempDir())
			for c := range clients {
				p.must(fmt.Sprintf("/catalog/product/p%d/add", c), map[string]any{"name": "Lamp", "description": "", "price": 1})
			}
			var took []time.Duration
			price := 1
			begin := time.Now()
			for b.Loop() {
				all := make([][]time.Duration, clients)
				var sending sync.WaitGroup
				for c := range clients {
					sending.Go(func() {
						for i := range each {
							at := time.Now()
							err := p.post(b.Context(), fmt.Sprintf("/catalog/product/p%d/update-price", c), "",
								map[string]any{"price": price + i + 1}, nil)
							if err != nil {
								b.Error(err)
								return
							}
							all[c] = append(all[c], time.Since(at))
						}
					})
				}
				sending.Wait()
				took = append(took, slices.Concat(all...)...)
				price += each
			}
			if b.Failed() {
				return
			}
			rate := float64(len(took)) / time.Since(begin).Seconds()
			slices.Sort(took)
			percentile := func(n int) float64 { return took[len(took)*n/100].Seconds() * 1000 }
			b.ReportMetric(0, "ns/op") // an iteration's time says nothing
			b.ReportMetric(rate, "commands/s")
			b.ReportMetric(percentile(50), "p50-ms")
			b.ReportMetric(percentile(99), "p99-ms")
		})
	}
}
