package local

import (
	"context"
	"fmt"
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
	eventually(t, "there is no problem", func() bool { return len(p.problems.list()) == 0 })
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
	// Given a folder of a program that knew no lanes, with two jobs
	dir := earlier(t, "DROP INDEX later_by_lane; ALTER TABLE later DROP COLUMN bulk; UPDATE later SET due = 1, since = 1")
	// When it is opened by this one, then they wait in the live lane
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	caughtUp(t, p)
	until(t, p, "the order is shipped", func() bool { return len(types(t, p, "Ordering.Order", "o1")) == 2 })
}
