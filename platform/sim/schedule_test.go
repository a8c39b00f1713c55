package sim_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/sim"
)

// The tower has a bell for each hour, which takes whatever it is told: what rings twice
// was told twice.
var hour = house("Tower.Bell", func(word, bool) ([]word, error) { return []word{"Rung"}, nil }, nil, "Ring")

const hourly = "Tower.Keeper.Hourly"

// TestSchedules rings the bell with processes that crash, whose clocks go wrong and whose
// calls fail: each hour that has begun rings once.
func TestSchedules(t *testing.T) {
	for seed := range uint64(400) {
		if err := ring(seed, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestPlantedFaultsOfSchedulesAreCaught(t *testing.T) {
	for _, fault := range []sim.Fault{sim.ForgetPlanned, sim.ForgetClaim, sim.ForgetKeys} {
		t.Run(string(fault), func(t *testing.T) {
			for seed := range uint64(400) {
				if err := ring(seed, fault); err != nil {
					t.Logf("caught by seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("400 runs did not notice")
		})
	}
}

func ring(seed uint64, fault sim.Fault) error {
	calm := seed%4 == 0 // nothing goes wrong: each hour runs, and once
	runs := map[time.Time]int{}
	w := sim.NewWorld(seed, nil, 2)
	w.Fault, w.Chaos = fault, !calm
	r := w.Rand()
	w.Plugins = []es.Plugin{{Name: "Tower", Aggregates: []es.AnyAggregate{hour}, Tasks: []es.Task{{
		Name: "Keeper", Schedules: []es.Schedule{{Name: "Hourly", Every: time.Hour, Run: func(ctx context.Context, o es.Occurrence, s es.Shop) error {
			runs[o.Planned]++
			if s.Stopping() {
				return es.ErrUnfinished
			}
			out := s.Execute(ctx, es.TaskCommand{Command: hour.Command(strconv.FormatInt(o.Planned.Unix(), 10), "Ring"), MessageID: o.MessageID("ring")})
			if out[0].Err != nil {
				return es.ErrUnfinished // a process that crashed records nothing
			}
			return nil
		}}},
	}}}}
	if err := w.Start(); err != nil {
		return err
	}
	look := func(ctx context.Context) {
		_ = w.Process().RunSchedule(ctx, hourly, func() bool { return w.Chaos && r.IntN(9) == 0 })
	}
	for i := range 2 {
		w.Spawn(fmt.Sprint("clock ", i), func(ctx context.Context) {
			for range 300 {
				w.Advance(time.Duration(r.IntN(30)) * time.Second)
				look(ctx)
			}
		})
	}
	w.Run()
	w.Chaos = false
	for range 3 { // by then every claim has ended, whatever clock it was made by
		w.Advance(3 * time.Hour)
		w.Do(func(ctx context.Context, _ *sim.Process) { look(ctx) })
	}
	if len(w.Planned(hourly)) < 3 {
		return fmt.Errorf("%d hours have begun; the test needs more", len(w.Planned(hourly)))
	}
	for at := range w.Planned(hourly) {
		log := w.Log(engine.Stream{Aggregate: "Tower.Bell", ID: strconv.FormatInt(at.Unix(), 10)})
		switch {
		case len(log) != 1:
			return fmt.Errorf("the hour %s rang %d times", at, len(log))
		case calm && runs[at] != 1:
			return fmt.Errorf("the hour %s ran %d times", at, runs[at])
		}
	}
	if rang := len(w.StreamsOf("Tower.Bell")); rang != len(w.Planned(hourly)) {
		return fmt.Errorf("%d hours rang, and %d were planned", rang, len(w.Planned(hourly)))
	}
	return nil
}
