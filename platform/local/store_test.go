package local

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

func newStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "shop.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func commit(id string, seq int64) engine.Commit {
	return engine.Commit{
		Stream: engine.Stream{Aggregate: "Test.Thing", ID: id}, Seq: seq, Version: seq + 1,
		Events: []es.StoredEvent{{Type: "Happened", Data: []byte(`{}`)}},
		Meta:   engine.Meta{MessageID: fmt.Sprintf("%s/%d", id, seq), Time: time.Unix(seq, 0).UTC()},
	}
}

// checkStream compares a stream, read in every way, with what was appended to it.
func checkStream(t *testing.T, s *store, id string, length int64) {
	t.Helper()
	st := engine.Stream{Aggregate: "Test.Thing", ID: id}
	for _, from := range []int64{0, length / 2, length} {
		next := from
		for more := true; more; {
			var commits []engine.Commit
			var err error
			if commits, more, err = s.Read(t.Context(), st, next, 0); err != nil {
				t.Fatal(err)
			}
			for _, c := range commits {
				if c.Seq != next || c.Meta.MessageID != fmt.Sprintf("%s/%d", id, next) {
					t.Fatalf("%s from %d: commit %d says %s", id, from, next, c.Meta.MessageID)
				}
				next++
			}
		}
		if next != length {
			t.Fatalf("%s from %d: ends at %d, expected %d", id, from, next, length)
		}
	}
	last, err := s.ReadBackward(t.Context(), st, math.MaxInt64)
	if err != nil || int64(len(last)) != min(length, pageBack) {
		t.Fatalf("%s before its end: %d commits, %v", id, len(last), err)
	}
	for i, c := range last {
		if c.Seq != length-1-int64(i) {
			t.Fatalf("%s before its end: commit %d at %d", id, c.Seq, i)
		}
	}
}

func TestStreamsAreWholeWhileTheyAreIndexed(t *testing.T) {
	// Given a log whose index is written in runs, of which there are many
	s := newStore(t)
	s.tail.spillFrom = 50
	lengths := map[string]int64{}
	var wg sync.WaitGroup
	for w := range 8 {
		id := fmt.Sprintf("long-%d", w)
		lengths[id] = 100
		for i := range 40 {
			lengths[fmt.Sprintf("short-%d-%d", w, i)] = 2
		}
		wg.Go(func() {
			for i := range int64(100) {
				if err := s.Append(t.Context(), commit(id, i)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					checkStream(t, s, id, i+1) // in the table, in the tail, or in both
				}
				if i < 80 {
					if err := s.Append(t.Context(), commit(fmt.Sprintf("short-%d-%d", w, i/2), i%2)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	check := func(s *store) {
		t.Helper()
		for id, length := range lengths {
			checkStream(t, s, id, length)
			for _, seq := range []int64{0, length / 2, length - 1} {
				var conflict *engine.ConflictError
				if err := s.Append(t.Context(), commit(id, seq)); !errors.As(err, &conflict) || conflict.Theirs.Seq != seq || conflict.Theirs.Stream.ID != id {
					t.Fatalf("append to %s at %d: %v; a conflict was expected", id, seq, err)
				}
			}
		}
		if ids, _, err := s.Streams(t.Context(), "Test.Thing", ""); err != nil || len(ids) != len(lengths) {
			t.Errorf("%d streams are listed, %v; expected %d", len(ids), err, len(lengths))
		}
	}
	check(s)
	if len(s.tail.spots) > 0 {
		t.Errorf("%d streams are left in the tail after the index was asked for", len(s.tail.spots))
	}
}

func TestTheTailIsReadAgain(t *testing.T) {
	// Given a store that ends without having indexed its latest commits
	file := filepath.Join(t.TempDir(), "shop.db")
	s, err := openStore(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(30) {
		if err := s.Append(t.Context(), commit("a", i)); err != nil {
			t.Fatal(err)
		}
		if i == 10 {
			if err := s.index(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.writer.close()
	if err := errors.Join(s.read[0].Close(), s.read[1].Close(), s.tx.conn.Close(), s.write.Close()); err != nil {
		t.Fatal(err)
	}
	// When it is opened again, then it knows them
	s, err = openStore(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	checkStream(t, s, "a", 30)
	if err := s.Append(t.Context(), commit("a", 30)); err != nil {
		t.Error(err)
	}
}

func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	s := newStore(t)
	limit := func(pages int) {
		t.Helper()
		if err := s.writer.write(t.Context(), func(tx *tx) error {
			return tx.get(fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil, []any{new(int)})
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	// Given a disk that is soon full
	limit(60)
	// When many append
	var mu sync.Mutex
	acknowledged, refused := map[string]int64{}, 0
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			id := fmt.Sprintf("w%d", w)
			for i := range int64(50) {
				c := commit(id, i)
				c.Events[0].Data = []byte(`"` + string(make([]byte, 0)) + fmt.Sprintf("%0500d", i) + `"`)
				err := s.Append(t.Context(), c)
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[id]++
				case errors.Is(err, engine.ErrUnavailable):
					refused++
				default:
					t.Errorf("append: %v; ErrUnavailable was expected", err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	// Then some are refused, and what was acknowledged is there
	if refused == 0 {
		t.Fatal("the disk was not full: this test shows nothing")
	}
	for id, n := range acknowledged {
		checkStream(t, s, id, n)
	}
	// And when there is room again, the writer goes on
	limit(1 << 30)
	for id, n := range acknowledged {
		if err := s.Append(t.Context(), commit(id, n)); err != nil {
			t.Errorf("append to %s: %v", id, err)
		}
		checkStream(t, s, id, n+1)
	}
}

func TestOneOperationThatFailsTakesNoneWithIt(t *testing.T) {
	s := newStore(t)
	// Given a batch in which the store refuses one operation
	ops := make([]*op, 5)
	for i := range ops {
		ops[i] = &op{done: make(chan struct{}), do: func(t *tx) error {
			query := "REPLACE INTO marks (consumer, position) VALUES (?, 1)"
			if i == 2 {
				query = "INSERT INTO marks (consumer, position) VALUES (?, NULL)"
			}
			_, err := t.exec(query, fmt.Sprint("m", i))
			return err
		}}
	}
	s.writer.mu.Lock()
	s.queues[foreground] = append(s.queues[foreground], ops...)
	s.writer.mu.Unlock()
	s.writer.wake <- struct{}{}
	// Then the others are done
	for i, o := range ops {
		<-o.done
		mark, err := s.mark(t.Context(), fmt.Sprint("m", i))
		if err != nil {
			t.Fatal(err)
		}
		if refused := errors.Is(o.err, engine.ErrUnavailable); refused != (i == 2) || (mark == 1) == refused {
			t.Errorf("operation %d: %v, mark %d", i, o.err, mark)
		}
	}
}
