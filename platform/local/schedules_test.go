package local

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

func TestAnOccurrenceThatACrashInterruptedRunsAgainAtTheNextStart(t *testing.T) {
	var crashed atomic.Bool
	planned := make(chan time.Time, 10)
	plugins := []es.Plugin{{Name: "P", Tasks: []es.Task{{Name: "Task", Schedules: []es.Schedule{{
		Name: "Yearly", Cron: "0 0 1 1 *", Run: func(ctx context.Context, o es.Occurrence, _ es.Shop) error {
			planned <- o.Planned
			if crashed.Load() {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}}}}}}
	const name = "P.Task.Yearly"
	// Given an occurrence that runs
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins, Logger: quiet})
	if err := p.Engine().AskSchedule(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	first := <-planned
	// When the shop crashes, and is back
	dir := crash(t, p)
	crashed.Store(true)
	p = open(t, Options{Dir: dir, Plugins: plugins, Logger: quiet})
	// Then it runs again, as the same one, and ends
	expect(t, "planned for", <-planned, first)
	var st engine.ScheduleInfo
	eventually(t, "its end is recorded", func() bool {
		list, err := p.Engine().ListSchedules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st = list[0]
		return st.Outcome() == engine.OutcomeDone
	})
	expect(t, "attempts", st.Attempts, 2)
	expect(t, "runs beside", len(planned), 0)
}

func TestAFailedScheduleDegradesHealth(t *testing.T) {
	plugins := []es.Plugin{{Name: "P", Tasks: []es.Task{{Name: "Task", Schedules: []es.Schedule{{
		Name: "Yearly", Cron: "0 0 1 1 *", Run: func(context.Context, es.Occurrence, es.Shop) error { panic("out of ideas") },
	}}}}}}
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins, Logger: quiet})
	if err := p.Engine().AskSchedule(t.Context(), "P.Task.Yearly"); err != nil {
		t.Fatal(err)
	}
	var h engine.Health
	eventually(t, "it is shown", func() (shown bool) {
		var err error
		if h, err = p.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(h.Problems) > 0
	})
	expect(t, "component", h.Problems[0].Component, "schedule P.Task.Yearly")
	expect(t, "status", h.Status, "degraded")
	expect(t, "failed", h.Plugins[0].Consumers[0].Failed, 1)
}
