package local

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
)

// A disk that loses power keeps what was synced, and of what was not any part.
func TestAPowerLossLosesNothingAcknowledgedAndGetsNothingOutOfOrder(t *testing.T) {
	for seed := range uint64(100) {
		// Given writers of streams, each with a follower that moves on after each commit
		disk := vfs.NewCrashableMem()
		s, err := openStore(t.Context(), storeOptions{dir: "database", disk: disk})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		acknowledged := map[string]int64{}
		const writers, commits = 4, 30
		crash := 1 + seed%(writers*commits-1)
		after := make(chan struct{})
		var wg sync.WaitGroup
		var done uint64
		for w := range writers {
			wg.Go(func() {
				id := fmt.Sprint("w", w)
				for seq := range int64(commits) {
					if err := s.Append(t.Context(), commit(id, seq)); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					acknowledged[id] = seq + 1
					if done++; done == crash {
						close(after)
					}
					mu.Unlock()
					if err := s.Advance(t.Context(), "mapping:A.B", commit(id, 0).Stream, seq, seq+1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		// When the power is lost in the middle
		<-after
		mu.Lock()
		kept := map[string]int64{}
		for id, n := range acknowledged {
			kept[id] = n
		}
		mu.Unlock()
		lost := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed % 101), RNG: rand.New(rand.NewPCG(seed, 0))})
		wg.Wait()
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		s, err = openStore(t.Context(), storeOptions{dir: "database", disk: lost})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for w := range writers {
			id := fmt.Sprint("w", w)
			st := engine.Stream{Aggregate: "Test.Thing", ID: id}
			// Then what was acknowledged is there, without a gap
			stream, _, err := s.Read(t.Context(), st, 0, 0)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i, c := range stream {
				if c.Seq != int64(i) {
					t.Fatalf("seed %d: %s has commit %d at %d", seed, id, c.Seq, i)
				}
			}
			length := int64(len(stream))
			if length < kept[id] {
				t.Errorf("seed %d: %s has %d commits, %d were acknowledged", seed, id, length, kept[id])
			}
			// And no follower is further than the log
			cur, err := s.Cursor(t.Context(), "mapping:A.B", st)
			if err != nil || cur.Next > length {
				t.Errorf("seed %d: the follower of %s is at %d, and the log ends at %d: %v", seed, id, cur.Next, length, err)
			}
			// And the writer goes on
			if err := s.Append(t.Context(), commit(id, length)); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}
