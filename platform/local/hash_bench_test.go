package local

import (
	"fmt"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/keylock"
)

// BenchmarkHashes compares commands that append, with hashes and without: 64 writers, each
// command on a new product. They take turns, so that neither has the better moment.
func BenchmarkHashes(b *testing.B) {
	const turns = 4
	run := func(unsealed bool) float64 {
		s, err := openStore(b.Context(), storeOptions{dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		e, err := engine.New(engine.Config{
			Plugins: shop(&outbox{}, 0), Log: s, Cursors: s, Starts: &starts{store: s, at: map[string]int64{}}, Rows: s, Parking: s, Rejections: s, Schedules: s,
			StreamLock: keylock.New[engine.Stream](), Clock: clock.Clock{}, Logger: quiet, Unsealed: unsealed,
		})
		if err != nil {
			b.Fatal(err)
		}
		defer s.close()
		var add func() any
		for _, a := range e.Plugins[0].Aggregates {
			if d := a.Definition(); d.Name == "Catalog.Product" {
				add = func() any {
					c, err := d.ReadCommand("Add", []byte(`{"name":"A product","description":"What there is to say about it, in a sentence or two.","price":7.25}`))
					if err != nil {
						b.Error(err)
					}
					return c
				}
			}
		}
		command := add()
		return appends(b, writers, func(writer int, n int64) engine.Commit {
			return engine.Commit{Stream: engine.Stream{Aggregate: "Catalog.Product", ID: fmt.Sprintf("%016x", uint64(writer+int(n)*writers+1)*0x9e3779b97f4a7c15)}}
		}, func(c engine.Commit) error {
			_, err := e.Execute(b.Context(), engine.Request{Command: es.Command{Aggregate: c.Stream.Aggregate, ID: c.Stream.ID, Payload: command}, Caller: es.System()})
			return err
		})
	}
	for b.Loop() {
		var with, without float64
		for range turns {
			with += run(false) / turns
			without += run(true) / turns
		}
		b.ReportMetric(with, "with/s")
		b.ReportMetric(without, "without/s")
		b.ReportMetric(with/without, "ratio")
	}
}
