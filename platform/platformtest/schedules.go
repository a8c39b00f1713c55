package platformtest

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// testSchedules tests the port with a schedule that nobody runs, and then the library's.
func testSchedules(t *testing.T, p Ports) {
	const name = "Lending.Stock.Never"
	noon := time.Date(2026, 1, 2, 12, 0, 0, 123e6, time.UTC)
	read := func() engine.ScheduleState {
		t.Helper()
		st, err := p.Schedules.Schedule(t.Context(), name)
		if err != nil {
			t.Fatalf("read the schedule: %v", err)
		}
		return st
	}
	put := func(st engine.ScheduleState, wantLost bool) {
		t.Helper()
		if lost, err := p.Schedules.PutSchedule(t.Context(), st); err != nil || lost != wantLost {
			t.Fatalf("put revision %d: lost %t, %v; lost %t was expected", st.Rev, lost, err, wantLost)
		}
	}
	t.Run("a state is written if nobody else has written", func(t *testing.T) {
		same(t, "never written", read(), engine.ScheduleState{Name: name})
		put(engine.ScheduleState{Name: name, Rev: 2, Since: noon}, true)
		first := engine.ScheduleState{Name: name, Rev: 1, Since: noon}
		put(first, false)
		put(first, true)
		same(t, "first", read(), first)
		second := engine.ScheduleState{
			Name: name, Rev: 2, Since: noon, Upto: noon, Asked: noon, Planned: noon, Extra: true, Started: noon, Finished: noon,
			Attempts: 3, Error: "no \u0000 😀", Claim: "mine", Until: noon.Add(time.Hour),
		}
		put(second, false)
		same(t, "second", read(), second)
	})
	t.Run("of those who claim at once, one does", func(t *testing.T) {
		var wg sync.WaitGroup
		lost := make([]bool, 8)
		for i := range lost {
			wg.Go(func() {
				var err error
				if lost[i], err = p.Schedules.PutSchedule(t.Context(), engine.ScheduleState{Name: name, Rev: 3, Claim: strconv.Itoa(i)}); err != nil {
					t.Errorf("claim: %v", err)
				}
			})
		}
		wg.Wait()
		won := 0
		for i, l := range lost {
			if !l {
				won++
				same(t, "claim", read().Claim, strconv.Itoa(i))
			}
		}
		same(t, "claims", won, 1)
	})
	t.Run("an occurrence that is asked for runs once, whoever looks", func(t *testing.T) {
		s := scene{t, p}
		for id, view := range map[string]string{
			"tin-a": `"size":2.5,"name":"a tin"`, "tin-b": `"size":10,"name":"Tin"`, "tin-c": `"size":-3,"name":"tin"`, "tin-d": `"size":0.5,"name":"tins"`,
			"tin-e": `"size":3,"name":"tin"`, "jar": `"size":7,"name":"jar"`,
		} {
			r, err := p.Engine.Index(row(id, 1, "{"+view+`,"color":"stocked"}`, "sue", ""))
			if err != nil {
				t.Fatalf("index %s: %v", id, err)
			}
			if lost, err := p.Rows.Put(t.Context(), r); err != nil || lost {
				t.Fatalf("put %s: lost %t, %v", id, lost, err)
			}
		}
		for _, id := range []string{"stocked-2", "stocked-1"} {
			if _, err := p.Engine.Execute(t.Context(), engine.Request{Command: blank.Command(id, note{"Fill", "x"}), Caller: es.System()}); err != nil {
				t.Fatalf("fill %s: %v", id, err)
			}
		}
		if err := p.Engine.AskSchedule(t.Context(), nightly); err != nil {
			t.Fatalf("ask: %v", err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := p.Engine.RunSchedule(t.Context(), nightly, func() bool { return false }); err != nil {
					t.Errorf("run: %v", err)
				}
			})
		}
		wg.Wait()
		var done engine.ScheduleInfo
		for done.Outcome() != engine.OutcomeDone { // the platform may have come first
			list, err := p.Engine.ListSchedules(t.Context())
			if err != nil || len(list) != 1 || list[0].Outcome() == engine.OutcomeFailed || t.Context().Err() != nil {
				t.Fatalf("schedules: %+v, %v", list, err)
			}
			done = list[0]
		}
		same(t, "extra", done.Extra, true)
		same(t, "notes", s.events(readerName, "stock-"+strconv.FormatInt(done.Planned.UnixMilli(), 10)), []string{
			"Noted " + nightly, "Noted tin-b of 10", "Noted tin-e of 3", "Noted tin-a of 2.5", "Noted stocked-1", "Noted stocked-2",
		})
	})
}
