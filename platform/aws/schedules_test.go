package aws

import (
	"encoding/json"
	"errors"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/platformtest"
)

func TestATaskRunsItsSchedulesByTheMinute(t *testing.T) {
	all := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	c := newCloud(t, all)
	const nightly = "Lending.Stock.Nightly"
	p := c.platform(all...)
	ops := p.Operations()
	state := func() engine.ScheduleInfo {
		t.Helper()
		list, err := ops.ListSchedules(t.Context())
		if err != nil || len(list) != 1 || list[0].Name != nightly {
			t.Fatalf("schedules: %+v, %v", list, err)
		}
		return list[0]
	}
	var stock es.Task
	for _, task := range all[0].Tasks {
		if len(task.Schedules) > 0 {
			stock = task
		}
	}
	minute, _ := json.Marshal(wiring.Operation{Do: wiring.DoTick})
	tick := func() {
		t.Helper()
		if _, err := c.platforms["Lending"].Imports("Lending", stock).Invoke(t.Context(), minute); err != nil {
			t.Fatal(err)
		}
	}
	// Given a task's function that has looked at its schedule
	tick()
	if s := state(); s.Outcome() != "" || s.Since.IsZero() || s.Next.IsZero() {
		t.Errorf("at first: %+v", s)
	}
	// When an operator asks for a run, then it runs in the next minute, and once
	if err := ops.AskSchedule(t.Context(), nightly); err != nil {
		t.Fatal(err)
	}
	tick()
	first := state()
	if first.Outcome() != engine.OutcomeDone || !first.Extra {
		t.Errorf("after a minute: %+v", first)
	}
	tick()
	if again := state(); !again.Started.Equal(first.Started) {
		t.Errorf("after two minutes: %+v", again)
	}
	// And one that is none is refused
	for _, name := range []string{"Lending.Stock.Daily", "Other.Stock.Nightly", ""} {
		if err := ops.AskSchedule(t.Context(), name); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("ask for %q: %v", name, err)
		}
	}
}
