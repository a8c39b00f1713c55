package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
)

// planner is a plugin with one schedule, P.Task.S, on a platform in memory.
type planner struct {
	*testing.T
	*memory.Platform
	ran []string // planned times, in UTC
}

func newPlanner(t *testing.T, s es.Schedule) *planner {
	t.Helper()
	p := &planner{T: t}
	run := s.Run
	s.Name, s.Run = "S", func(ctx context.Context, o es.Occurrence, shop es.Shop) error {
		p.ran = append(p.ran, o.Planned.Format("01-02 15:04"))
		if run != nil {
			return run(ctx, o, shop)
		}
		return nil
	}
	var err error
	p.Platform, err = memory.New([]es.Plugin{{Name: "P", Tasks: []es.Task{{Name: "Task", Schedules: []es.Schedule{s}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at sets the clock, and has the schedule look.
func (p *planner) at(when string) *planner {
	p.Helper()
	now, err := time.Parse("2006-01-02 15:04", when)
	if err != nil {
		p.Fatal(err)
	}
	p.Advance(now.Sub(p.Now()))
	if err := p.Engine().RunSchedule(p.Context(), "P.Task.S", func() bool { return false }); err != nil {
		p.Fatal(err)
	}
	return p
}

func (p *planner) thenRan(want ...string) {
	p.Helper()
	if !slices.Equal(p.ran, want) {
		p.Errorf("it ran for %q, want %q", p.ran, want)
	}
	p.ran = nil
}

func (p *planner) info() engine.ScheduleInfo {
	p.Helper()
	list, err := p.Engine().ListSchedules(p.Context())
	if err != nil || len(list) != 1 {
		p.Fatalf("schedules: %v, %v", list, err)
	}
	return list[0]
}

func (p *planner) problems() (out []string) {
	p.Helper()
	list, err := p.Engine().ScheduleProblems(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	for _, x := range list {
		out = append(out, x.Component+": "+x.Detail)
	}
	return out
}

func TestAnOccurrenceRunsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		schedule es.Schedule
		at       []string
		want     []string
	}{
		"at its time, and not before": {es.Schedule{Cron: "30 3 * * *"},
			[]string{"2026-01-01 12:00", "2026-01-02 03:29", "2026-01-02 03:30", "2026-01-02 03:31", "2026-01-03 03:31"}, []string{"01-02 03:30", "01-03 03:30"}},
		"not for what was before it was there": {es.Schedule{Cron: "30 3 * * *"}, []string{"2026-01-01 03:31", "2026-01-01 12:00"}, nil},
		"the latest of those that were missed": {es.Schedule{Every: time.Hour}, []string{"2026-01-01 00:10", "2026-01-05 07:20", "2026-01-05 07:30"}, []string{"01-05 07:00"}},
		"every minute after a year":            {es.Schedule{Cron: "* * * 1 *"}, []string{"2026-01-01 00:00", "2026-12-24 07:20"}, []string{"01-31 23:59"}},
		"in its time zone":                     {es.Schedule{Cron: "0 8 * * *", TimeZone: "America/New_York"}, []string{"2026-01-01 12:00", "2026-01-01 13:00", "2026-07-01 12:00"}, []string{"01-01 13:00", "07-01 12:00"}},
		"not twice where an hour comes twice": {es.Schedule{Cron: "30 2 * * *", TimeZone: "Europe/Berlin"},
			[]string{"2026-10-24 12:00", "2026-10-25 00:30", "2026-10-25 00:31", "2026-10-25 01:30", "2026-10-25 02:30"}, []string{"10-25 00:30"}},
		"not again when the clock is set back":  {es.Schedule{Every: time.Hour}, []string{"2026-01-01 00:10", "2026-01-01 01:00", "2026-01-01 00:30", "2026-01-01 01:05"}, []string{"01-01 01:00"}},
		"after a clock that was a year ahead":   {es.Schedule{Every: time.Hour}, []string{"2027-01-01 00:10", "2027-01-01 01:00", "2026-01-01 00:30", "2026-01-01 01:05"}, []string{"01-01 01:00", "01-01 01:00"}},
		"as a new one by a clock a year ahead ": {es.Schedule{Every: time.Hour}, []string{"2027-01-01 00:10", "2026-01-01 00:30", "2026-01-01 01:05"}, []string{"01-01 01:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlanner(t, c.schedule)
			for _, when := range c.at {
				p.at(when)
			}
			p.thenRan(c.want...)
		})
	}
}

func TestAFailedOccurrenceIsShownAndNotRepeated(t *testing.T) {
	failure := errors.New("no paper\nand no ink")
	p := newPlanner(t, es.Schedule{Every: time.Hour, Run: func(context.Context, es.Occurrence, es.Shop) error { return failure }})
	p.at("2026-01-01 00:10").at("2026-01-01 01:00").at("2026-01-01 01:01").thenRan("01-01 01:00")
	if i := p.info(); i.Outcome() != engine.OutcomeFailed || i.Error != "no paper" || i.Next.Hour() != 2 {
		t.Errorf("it is shown as %+v", i)
	}
	if got := p.problems(); len(got) != 1 || !strings.Contains(got[0], "schedule P.Task.S: its latest run, planned for 2026-01-01T01:00:00Z, failed: no paper; it runs again at 2026-01-01T02:00:00Z") {
		t.Errorf("problems: %q", got)
	}
	// When it is asked to run once more, and does
	failure = nil
	for range 2 {
		if err := p.Engine().AskSchedule(t.Context(), "P.Task.S"); err != nil {
			t.Fatal(err)
		}
	}
	p.at("2026-01-01 01:10").at("2026-01-01 01:11").thenRan("01-01 01:01")
	if i := p.info(); i.Outcome() != engine.OutcomeDone || !i.Extra || len(p.problems()) != 0 {
		t.Errorf("it is shown as %+v, problems: %q", i, p.problems())
	}
	// Then its plan is as it was
	p.at("2026-01-01 02:00").thenRan("01-01 02:00")
	if err := p.Engine().AskSchedule(t.Context(), "P.Task.Other"); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a schedule that is none: %v", err)
	}
}

func TestAPanicOfAScheduleIsItsFailure(t *testing.T) {
	p := newPlanner(t, es.Schedule{Every: time.Hour, Run: func(context.Context, es.Occurrence, es.Shop) error { panic("out of ideas") }})
	p.at("2026-01-01 00:10").at("2026-01-01 01:00")
	if i := p.info(); i.Outcome() != engine.OutcomeFailed || !strings.Contains(i.Error, "out of ideas") {
		t.Errorf("it is shown as %+v", i)
	}
}

func TestAnOccurrenceOfAProcessThatDiedIsTakenOver(t *testing.T) {
	ctx, die := context.WithCancel(t.Context())
	var p *planner
	p = newPlanner(t, es.Schedule{Every: time.Hour, Run: func(context.Context, es.Occurrence, es.Shop) error {
		// While it runs, nobody else does
		if len(p.ran) == 1 {
			if err := p.Engine().RunSchedule(t.Context(), "P.Task.S", func() bool { return false }); err != nil {
				t.Error(err)
			}
			die()
		}
		return ctx.Err()
	}})
	p.at("2026-01-01 00:10")
	p.Advance(time.Hour)
	if err := p.Engine().RunSchedule(ctx, "P.Task.S", func() bool { return false }); !errors.Is(err, context.Canceled) {
		t.Fatalf("a process that stops says: %v", err)
	}
	ctx = t.Context()
	p.at("2026-01-01 01:11").thenRan("01-01 01:00")
	if got := p.info(); got.Outcome() != engine.OutcomeRunning {
		t.Errorf("it is shown as %+v", got)
	}
	p.at("2026-01-01 01:30").at("2026-01-01 01:31").thenRan("01-01 01:00")
	// But at once by a process that knows to be alone
	p.at("2026-01-01 01:40")
	st, err := p.Store.Schedule(ctx, "P.Task.S")
	if err != nil {
		t.Fatal(err)
	}
	st.Rev, st.Claim, st.Until = st.Rev+1, "somebody", p.Now().Add(time.Hour)
	if lost, err := p.PutSchedule(ctx, st); err != nil || lost {
		t.Fatal(lost, err)
	}
	p.at("2026-01-01 01:41").thenRan()
	if err := p.Engine().ReleaseSchedules(ctx); err != nil {
		t.Fatal(err)
	}
	p.at("2026-01-01 01:42").thenRan("01-01 01:00")
}

func TestAScheduleGoesOnWhereItStopped(t *testing.T) {
	left := 3
	p := newPlanner(t, es.Schedule{Every: time.Hour, Run: func(context.Context, es.Occurrence, es.Shop) error {
		if left--; left > 0 {
			return es.ErrUnfinished
		}
		return nil
	}})
	p.at("2026-01-01 00:10").at("2026-01-01 01:00").at("2026-01-01 01:01").thenRan("01-01 01:00", "01-01 01:00", "01-01 01:00")
	if i := p.info(); i.Outcome() != engine.OutcomeDone || i.Attempts != 3 {
		t.Errorf("it is shown as %+v", i)
	}
}

func TestAnOccurrenceThatNobodyRunsIsAProblem(t *testing.T) {
	p := newPlanner(t, es.Schedule{Every: time.Hour})
	p.at("2026-01-01 00:10")
	p.Advance(54 * time.Minute)
	if got := p.problems(); len(got) != 0 {
		t.Errorf("after four minutes: %q", got)
	}
	p.Advance(2 * time.Minute)
	if got := p.problems(); len(got) != 1 || !strings.Contains(got[0], "what was planned for 2026-01-01T01:00:00Z has not run to its end") {
		t.Errorf("after six minutes: %q", got)
	}
}

func TestAWrongScheduleIsRefusedWithItsName(t *testing.T) {
	run := func(context.Context, es.Occurrence, es.Shop) error { return nil }
	for _, c := range []struct {
		schedule es.Schedule
		says     string
	}{
		{es.Schedule{Name: "S", Cron: "61 * * * *", Run: run}, `schedule P.Task.S: cron expression "61 * * * *"`},
		{es.Schedule{Name: "S", Cron: "0 3 * *", Run: run}, "schedule P.Task.S: cron expression"},
		{es.Schedule{Name: "S", Cron: "@daily", Run: run}, "schedule P.Task.S: cron expression"},
		{es.Schedule{Name: "S", Cron: "TZ=UTC 0 3 * * *", Run: run}, "its time zone stands in TimeZone"},
		{es.Schedule{Name: "S", Cron: "0 0 30 2 *", Run: run}, "that never comes"},
		{es.Schedule{Name: "S", Cron: "0 3 * * *", TimeZone: "Europe/Berln", Run: run}, `schedule P.Task.S: "Europe/Berln" is not a time zone`},
		{es.Schedule{Name: "S", Cron: "0 3 * * *", Every: time.Hour, Run: run}, "and not both"},
		{es.Schedule{Name: "S", Run: run}, "it needs an interval"},
		{es.Schedule{Name: "S", Every: time.Second, Run: run}, "at least a minute"},
		{es.Schedule{Name: "S", Every: time.Hour, TimeZone: "UTC", Run: run}, "has no time zone"},
		{es.Schedule{Name: "S", Every: time.Hour}, "nothing to run"},
		{es.Schedule{Every: time.Hour, Run: run}, "can't be a name"},
	} {
		_, err := memory.New([]es.Plugin{{Name: "P", Tasks: []es.Task{{Name: "Task", Schedules: []es.Schedule{c.schedule}}}}}, nil)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.schedule, err, c.says)
		}
	}
}
