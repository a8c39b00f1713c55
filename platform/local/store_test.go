package local

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

func newStore(t *testing.T) *store {
	t.Helper()
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir()})
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

func TestStreamsAreWholeWhileTheyGrow(t *testing.T) {
	// Given many streams that grow side by side, each read as it grows
	s := newStore(t)
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
					checkStream(t, s, id, i+1)
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
	// Then each is whole, its places are taken, and it has no gaps
	for id, length := range lengths {
		checkStream(t, s, id, length)
		for _, seq := range []int64{0, length / 2, length - 1} {
			var conflict *engine.ConflictError
			if err := s.Append(t.Context(), commit(id, seq)); !errors.As(err, &conflict) || conflict.Theirs.Seq != seq || conflict.Theirs.Stream.ID != id {
				t.Fatalf("append to %s at %d: %v; a conflict was expected", id, seq, err)
			}
		}
		if err := s.Append(t.Context(), commit(id, length+1)); err == nil {
			t.Fatalf("append to %s at %d leaves a gap", id, length+1)
		}
	}
	if ids, _, err := s.Streams(t.Context(), "Test.Thing", ""); err != nil || len(ids) != len(lengths) {
		t.Errorf("%d streams are listed, %v; expected %d", len(ids), err, len(lengths))
	}
}

func TestStreamsAreListedByPages(t *testing.T) {
	// Given streams of any length, and of other aggregates, and ids that begin with others
	s := newStore(t)
	want := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 2*pageStreams + 1 {
		id := fmt.Sprint(i)
		want[id] = true
		wg.Go(func() {
			for seq := range int64(1 + i%3) {
				if err := s.Append(t.Context(), commit(id, seq)); err != nil {
					t.Error(err)
				}
			}
			c := commit(id, 0)
			c.Stream.Aggregate = "Test.Thin"
			if err := s.Append(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// When they are listed, then each is there once
	pages := 0
	for cursor := ""; ; pages++ {
		ids, next, err := s.Streams(t.Context(), "Test.Thing", cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			if !want[id] {
				t.Fatalf("%s is listed twice, or is not there", id)
			}
			delete(want, id)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	expect(t, "left out", len(want), 0)
	expect(t, "pages before the last", pages, 2)
}

func TestOneOperationThatFailsTakesNoneWithIt(t *testing.T) {
	s := newStore(t)
	// Given a batch in which the store refuses one operation
	ops := make([]*op, 5)
	for i := range ops {
		ops[i] = &op{done: make(chan struct{}), do: func(t *tx) error {
			if i == 2 {
				return fmt.Errorf("%w: %w", errStore, syscall.EIO)
			}
			t.set(keyIn(tableMarks).text(fmt.Sprint("m", i)), value(nil).number(1))
			return nil
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

func TestKeysSortAsWhatTheyAreMadeOf(t *testing.T) {
	texts := []string{"", "\x00", "\x00\x00", "\x00a", "a", "a\x00", "a\x00b", "aa", "b", "\xff"}
	numbers := []int64{math.MinInt64, -1, 0, 1, 255, 256, math.MaxInt64}
	var last key
	for _, s := range texts {
		for _, n := range numbers {
			k := keyIn(tableStreams).text(s).number(n)
			if last != nil && bytes.Compare(last, k) >= 0 {
				t.Errorf("%q, %d does not come after the one before it", s, n)
			}
			p := partsOf(k)
			if got, at := p.text(), p.number(); got != s || at != n || p.err() != nil {
				t.Errorf("%q, %d is read as %q, %d, %v", s, n, got, at, p.err())
			}
			last = k
		}
	}
}
