package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/lanes"
)

func TestWhatWaitsIsDoneAfterItsDelayWhateverTheClockSays(t *testing.T) {
	const delay = 2 * time.Minute
	for name, c := range map[string]struct {
		attempts int
		longest  time.Duration
	}{
		"a hint with a delay":         {0, delay},
		"one that failed, and waited": {3, delay},
	} {
		t.Run(name, func(t *testing.T) {
			// Given a job that was put off while the clock was a year ahead
			s := newStore(t)
			counted := 0
			now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
			l := newLater(s, quiet, func(context.Context, job) error { return nil })
			l.now = func() time.Time { return now }
			l.delay = func(string) time.Duration { return delay }
			l.count = func(metric, consumer string) {
				if metric == engine.ClockBehind && consumer == "mapping:A.B" {
					counted++
				}
			}
			j := job{consumer: "mapping:A.B", Stream: engine.Stream{Aggregate: "A.C", ID: "1"}, attempts: c.attempts}
			if err := l.add(t.Context(), delay, j); err != nil {
				t.Fatal(err)
			}
			due := func() int {
				t.Helper()
				jobs, _, err := l.due(t.Context(), lanes.Live)
				if err != nil {
					t.Fatal(err)
				}
				return len(jobs)
			}
			expect(t, "due at once", due(), 0)
			// When it is set right
			now = now.AddDate(-1, 0, 0)
			expect(t, "due then", due(), 0)
			// Then the job is done after its delay, and it is counted
			now = now.Add(c.longest - time.Second)
			expect(t, "due before the delay", due(), 0)
			overdue, err := l.overdue(t.Context(), now.Add(3*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "overdue after it", len(overdue), 1)
			now = now.Add(2 * time.Second)
			expect(t, "due after it", due(), 1)
			expect(t, "counted", counted, 1)
		})
	}
}

func TestCommitsFromTheFutureAreAProblemOfTheClockForAnHour(t *testing.T) {
	var c counts
	expect(t, "problems", len(c.clock(time.Now())), 0)
	c.add(engine.ClockBehind, "mapping:A.B")
	got := c.clock(time.Now())
	expect(t, "problems", len(got), 1)
	expect(t, "component", got[0].Component, "clock")
	expect(t, "problems an hour later", len(c.clock(time.Now().Add(time.Hour+time.Second))), 0)
}

func TestAPanicInTheBackgroundIsAProblemAndNotTheEnd(t *testing.T) {
	// Given work in the background that panics the first time
	p := open(t, Options{Dir: t.TempDir()})
	var times atomic.Int32
	panicked, mended := make(chan struct{}), make(chan struct{})
	p.every(t.Context(), "test", time.Millisecond, func(context.Context) error {
		switch times.Add(1) {
		case 1:
			panic("out of range")
		case 2:
			close(panicked) // the first one is dealt with
			<-mended
		}
		return nil
	})
	// Then health says so, and nobody sees a stack
	<-panicked
	got := p.problems.list()
	expect(t, "problems", len(got), 1)
	expect(t, "detail", got[0].Detail, "test: panic: out of range")
	// And it is over when it is done again
	close(mended)
	for len(p.problems.list()) > 0 {
		runtime.Gosched()
	}
}

func TestAParkedKeyWithoutAttemptsIsTriedAgain(t *testing.T) {
	// Given a row of what is parked that no program of ours wrote
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	for attempts := range 70 {
		if err := p.store.Park(t.Context(), engine.Parked{
			Consumer: "mapping:Ordering.AutoShip", Stream: engine.Stream{Aggregate: "Ordering.Order", ID: fmt.Sprint(attempts)}, Attempts: attempts - 3,
		}); err != nil {
			t.Fatal(err)
		}
	}
	// When it is looked at, then it is tried again
	if err := p.redrive(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, _, err := p.Engine().ListParked(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "parked", len(left), 0)
}

func TestJobsOfAnEarlierProgramGoOn(t *testing.T) {
	// Given a folder of a program that knew no lanes, with a job
	file := filepath.Join(t.TempDir(), "shop.db")
	s, err := openStore(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = s.writer.write(t.Context(), func(tx *tx) error {
		for _, q := range []string{"DROP INDEX later_by_lane", "ALTER TABLE later DROP COLUMN bulk",
			"INSERT INTO later (consumer, aggregate, id, seq, since, due, attempts) VALUES ('mapping:A.B', 'A.C', '1', 0, 1, 1, 0)"} {
			if _, err := tx.exec(q); err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err := errors.Join(err, s.close()); err != nil {
		t.Fatal(err)
	}
	// When this program opens it, twice
	for range 2 {
		if s, err = openStore(t.Context(), file, nil); err != nil {
			t.Fatal(err)
		}
		l := newLater(s, slog.New(slog.DiscardHandler), nil)
		// Then the job is there, and is live work
		for lane, want := range map[lanes.Lane]int{lanes.Live: 1, lanes.Bulk: 0} {
			if jobs, _, err := l.due(t.Context(), lane); err != nil || len(jobs) != want {
				t.Errorf("lane %d has %d jobs, %v", lane, len(jobs), err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
}
