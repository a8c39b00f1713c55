// Package schedules has tests run schedules of faults, each made from a seed, of which the
// flags of go test say how many: -seeds=1000, -first=5000 to begin elsewhere, -seed=42 to
// replay one. Only tests import it.
package schedules

import (
	"flag"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	first = flag.Uint64("first", 0, "the first schedule to run")
	seeds = flag.Uint64("seeds", 0, "how many schedules to run; 0: as many as the test does by itself")
	seed  = flag.Int64("seed", -1, "the one schedule to replay")
)

// Run runs as many schedules as the flags say, or usual ones, several at a time, until one
// fails. target is the Make target that replays one.
func Run(t *testing.T, target string, usual uint64, workers int, run func(seed uint64) error) {
	t.Helper()
	if *seed >= 0 {
		if err := run(uint64(*seed)); err != nil {
			t.Fatal(err)
		}
		return
	}
	if *seeds > 0 {
		usual = *seeds
	}
	var next, ran atomic.Uint64
	next.Store(*first)
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for !failed.Load() {
				s := next.Add(1) - 1
				if s >= *first+usual {
					return
				}
				if err := run(s); err != nil {
					failed.Store(true)
					t.Errorf("seed %d: %v\nreplay it with: make %s SEED=%d", s, err, target, s)
				}
				ran.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%d schedules from %d on", ran.Load(), *first)
}
