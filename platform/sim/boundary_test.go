package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/sim"
)

// The house rings back for each wave in the street that it hears of, which changes nothing
// but is heard.
var waves = es.NewPoint(es.PointRules[word]{
	Name: "Street.Waves", Key: func(word) string { return "street" }, Wire: word.event,
	Events: []es.EventType[word]{{Name: "Waved", Version: 1, Schema: "{}", Read: readWord("Waved")}},
})

const ringBack = "effect:House.RingBack"

// ringing are the street, and the house with its bell; heard notes the correlation id of
// each wave that it rings back for.
func ringing(heard *[]string) (street, both []es.Plugin) {
	street = []es.Plugin{{
		Name: "Street", Aggregates: []es.AnyAggregate{passer},
		Publications: []es.Publication{es.Publish(passer, waves, func(es.Recorded[word]) []word { return []word{"Waved"} })},
	}}
	return street, append(slices.Clone(street), es.Plugin{
		Name: "House", Tasks: []es.Task{{Name: "Bell", SideEffects: []es.SideEffect{
			es.NewBoundarySideEffect("RingBack", waves, func(_ context.Context, _ es.Reader, e es.Recorded[word]) error {
				*heard = append(*heard, e.Meta.MessageID)
				return nil
			}),
		}}},
	})
}

// whoIsRungBack returns what is wrong once everybody has waved. In some schedules the
// house is built while they do, and in some nothing goes wrong.
func whoIsRungBack(seed uint64, fault sim.Fault) error {
	var heard []string
	street, both := ringing(&heard)
	calm, young := seed%8 == 0 && fault == "", seed%4 == 1
	readers := seed%5 == 2 && !young // with every crash they publish again, which a house that asks for the past never catches up with
	processes := 2
	if readers {
		processes = 1
	}
	w := sim.NewWorld(seed, both, processes)
	w.Fault, w.Chaos, w.Readers = fault, !calm, readers
	r := w.Rand()
	if young {
		w.Plugins = street
		w.Deploy(20+r.IntN(200), both)
	}
	if err := w.Start(); err != nil {
		return err
	}
	var history []sim.Operation
	for id := range 2 {
		client := sim.Client{ID: id, World: w, History: &history}
		w.Spawn(fmt.Sprint("client ", id), func(ctx context.Context) {
			for n := range 6 {
				who := fmt.Sprint(r.IntN(3))
				if calm { // two entries of a stream at once may both find that nothing was rung: queues keep them apart
					who = fmt.Sprint(id, ".", n)
				}
				client.Send(ctx, admin, es.Command{Aggregate: "Street.Passer", ID: who, Payload: word("Wave")}, fmt.Sprintf("k%d.%d", id, n))
			}
		})
	}
	if err := w.Settle(); err != nil {
		return err
	}
	if err := errors.Join(w.CheckLogs(), stillParked(w)); err != nil {
		return err
	}
	for _, id := range w.StreamsOf("Street.Passer") {
		last := -1
		for _, c := range w.Log(engine.Stream{Aggregate: "Street.Passer", ID: id}) {
			at, times := slices.Index(heard, c.Meta.MessageID), count(heard, c.Meta.MessageID)
			switch old := w.Past(ringBack, c.Stream, c.Seq, c.Meta.Time); {
			case old && times > 0:
				return fmt.Errorf("%s at %d: rung back %d times, and waved before there was a house", c.Stream, c.Seq, times)
			case old:
			case times == 0 || calm && times != 1:
				return fmt.Errorf("%s at %d: rung back %d times", c.Stream, c.Seq, times)
			case at < last:
				return fmt.Errorf("%s at %d: rung back before the wave that came first", c.Stream, c.Seq)
			default:
				last = at
			}
		}
	}
	return nil
}

func stillParked(w *sim.World) error {
	if parked := w.Parked(); len(parked) > 0 {
		return fmt.Errorf("still parked: %q", parked)
	}
	return nil
}

func count(list []string, of string) (n int) {
	for _, x := range list {
		if x == of {
			n++
		}
	}
	return n
}

func TestWhatIsHeardAtTheBoundaryIsDone(t *testing.T) {
	for seed := range uint64(1000) {
		if err := whoIsRungBack(seed, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestPlantedFaultsAtTheBoundaryAreCaught(t *testing.T) {
	for name, fault := range map[string]sim.Fault{
		"lost": sim.CursorAhead, "not read on": sim.MarkAhead, "the past": sim.ForgetStart, "begun again": sim.StartAgain,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2000) {
				if err := whoIsRungBack(seed, fault); err != nil {
					t.Logf("caught by seed %d: %s", seed, firstLine(err))
					return
				}
			}
			t.Fatal("2,000 schedules did not notice")
		})
	}
}
