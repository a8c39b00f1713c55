package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/sim"
)

// On the street, people wave; the house, another plugin, notes each wave in its diary,
// because they ask for it.
var (
	passer   = house("Street.Passer", func(word, bool) ([]word, error) { return []word{"Waved"}, nil }, nil, "Wave")
	notebook = es.NewRequests(es.PointRules[word]{
		Name: "House.Notebook", Key: func(word) string { return "waves" }, Wire: word.event,
		Events: []es.EventType[word]{{Name: "Note", Version: 1, Schema: "{}", Read: readWord("Note")}},
	})
)

func street() []es.Plugin {
	return []es.Plugin{{
		Name: "Street", Aggregates: []es.AnyAggregate{passer},
		Publications: []es.Publication{es.Ask(passer, notebook, func(es.Recorded[word]) []word { return []word{"Note"} })},
	}, {
		Name: "House", Aggregates: []es.AnyAggregate{diary},
		Extensions: []es.Extension{es.Accept("Waves", notebook, diary, func(e es.Recorded[word]) es.Commands[word] {
			return diary.Send(e.ID, "Write")
		})},
	}}
}

// whoWaves returns what is wrong once everybody has waved, and was seen.
func whoWaves(seed uint64, fault sim.Fault) error {
	w := sim.NewWorld(seed, street(), 2)
	w.Fault = fault
	if err := w.Start(); err != nil {
		return err
	}
	r := w.Rand()
	var history []sim.Operation
	for id := range 2 {
		client := sim.Client{ID: id, World: w, History: &history}
		w.Spawn(fmt.Sprint("client ", id), func(ctx context.Context) {
			for n := range 6 {
				client.Send(ctx, admin, es.Command{Aggregate: "Street.Passer", ID: fmt.Sprint(r.IntN(3)), Payload: word("Wave")}, fmt.Sprintf("k%d.%d", id, n))
			}
		})
	}
	if err := w.Settle(); err != nil {
		return err
	}
	if err := errors.Join(w.CheckLogs(), w.CheckRejections()); err != nil {
		return err
	}
	waves := 0
	for _, id := range w.StreamsOf("Street.Passer") {
		waves += len(w.Log(engine.Stream{Aggregate: "Street.Passer", ID: id}))
	}
	if noted := len(w.Log(engine.Stream{Aggregate: "House.Diary", ID: "waves"})); noted != waves {
		return fmt.Errorf("the passers waved %d times, the diary has %d", waves, noted)
	}
	return nil
}

func TestWhatIsAskedOfAnotherPluginArrivesOnce(t *testing.T) {
	for seed := range uint64(200) {
		if err := whoWaves(seed, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestPlantedFaultsInRequestsAreCaught(t *testing.T) {
	for name, fault := range map[string]sim.Fault{"lost": sim.CursorAhead, "doubled": sim.CursorBack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(500) {
				if err := whoWaves(seed, fault); err != nil {
					t.Logf("caught by seed %d: %s", seed, firstLine(err))
					return
				}
			}
			t.Fatal("500 schedules did not notice")
		})
	}
}
