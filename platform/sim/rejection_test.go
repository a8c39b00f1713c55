package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
	"onlineshop/platform/sim"
)

// word is every command and event of the house, which is its name alone.
type word string

func (w word) event() (string, int, []byte, error) { return string(w), 1, []byte("{}"), nil }

func readWord(w word) func(wire.Value) word {
	return func(v wire.Value) word { f := v.Fields(); f.Done(); return w }
}

func house(name string, decide func(c word, open bool) ([]word, error), check func(context.Context, es.Reader, word, es.Meta) error, commands ...word) es.Aggregate[word, word, bool] {
	r := es.AggregateRules[word, word, bool]{
		Name: name, Sources: "1", Access: es.AllowSignedIn(), Decide: decide, Check: check,
		Evolve: func(e word, open bool) bool { return e == "Opened" || e != "Closed" && open },
		Encode: func(c word) (string, []byte, error) { b, err := json.Marshal(c); return string(c), b, err },
		Wire:   word.event,
	}
	for _, c := range commands {
		r.Commands = append(r.Commands, es.CommandType[word]{Name: string(c), Schema: "{}", Read: readWord(c)})
	}
	for _, e := range []word{"Opened", "Closed", "Knocked", "Rung", "Written", "Waved"} {
		r.Events = append(r.Events, es.EventType[word]{Name: string(e), Version: 1, Schema: "{}", Read: readWord(e)})
	}
	return es.NewAggregate(r)
}

// The house has a bell that knocks at its door, which takes that only while it is open,
// at its gate, which looks at the door, and at a window, which looks at the time: what was
// refused could be accepted a moment later. A diary has what the door refused.
var (
	closed = es.Conflict("Closed")
	door   = house("House.Door", func(c word, open bool) ([]word, error) {
		switch {
		case c == "Open":
			return []word{"Opened"}, nil
		case c == "Close":
			return []word{"Closed"}, nil
		case !open:
			return nil, closed
		}
		return []word{"Knocked"}, nil
	}, nil, "Open", "Close", "Knock")
	gate = house("House.Gate", func(word, bool) ([]word, error) { return []word{"Knocked"}, nil }, func(ctx context.Context, r es.Reader, _ word, _ es.Meta) error {
		open, err := door.State(ctx, r, "door")
		if err == nil && !open {
			err = closed
		}
		return err
	}, "Knock")
	window = es.NewAggregate(es.AggregateRules[word, word, bool]{
		Name: "House.Window", Sources: "1", Evolve: func(_ word, open bool) bool { return open },
		DecideMeta: func(_ word, _ bool, m es.Meta) ([]word, error) {
			if m.Time.UnixMilli()%2 == 0 {
				return nil, closed
			}
			return []word{"Knocked"}, nil
		},
		Encode:   func(c word) (string, []byte, error) { b, err := json.Marshal(c); return string(c), b, err },
		Wire:     word.event,
		Commands: []es.CommandType[word]{{Name: "Knock", Schema: "{}", Read: readWord("Knock")}},
		Events:   []es.EventType[word]{{Name: "Knocked", Version: 1, Schema: "{}", Read: readWord("Knocked")}},
	})
	diary = house("House.Diary", func(word, bool) ([]word, error) { return []word{"Written"}, nil }, nil, "Write")
	bell  = house("House.Bell", func(word, bool) ([]word, error) { return []word{"Rung"}, nil }, nil, "Ring")
)

func houses() []es.Plugin {
	knock := func(at es.Aggregate[word, word, bool], id string) func(es.Recorded[word]) es.Commands[word] {
		return func(es.Recorded[word]) es.Commands[word] { return at.Send(id, "Knock") }
	}
	return []es.Plugin{{
		Name:       "House",
		Aggregates: []es.AnyAggregate{door, gate, window, diary, bell},
		Mappings: []es.Mapping{es.NewMapping("AtDoor", bell, door, knock(door, "door")).OnRejected(es.React(diary, func(es.Rejected[word]) es.Commands[word] {
			return diary.Send("diary", "Write")
		})), es.NewMapping("AtGate", bell, gate, knock(gate, "gate")), es.NewMapping("AtWindow", bell, window, knock(window, "window"))},
	}}
}

// whoKnocks opens and closes the door while the bell rings. It returns what is wrong, and
// how many knocks were refused.
func whoKnocks(seed uint64, fault sim.Fault) (refused int, err error) {
	w := sim.NewWorld(seed, houses(), 2)
	w.Fault = fault
	if err := w.Start(); err != nil {
		return 0, err
	}
	r := w.Rand()
	var history []sim.Operation
	for id := range 2 {
		client := sim.Client{ID: id, World: w, History: &history}
		w.Spawn(fmt.Sprint("client ", id), func(ctx context.Context) {
			for n := range 8 {
				c := es.Command{Aggregate: "House.Bell", ID: fmt.Sprint(r.IntN(4)), Payload: word("Ring")}
				if r.IntN(2) == 0 {
					c = es.Command{Aggregate: "House.Door", ID: "door", Payload: []word{"Open", "Close"}[r.IntN(2)]}
				}
				client.Send(ctx, admin, c, fmt.Sprintf("k%d.%d", id, n))
			}
		})
	}
	if err := w.Settle(); err != nil {
		return 0, err
	}
	if err := errors.Join(w.CheckLogs(), w.CheckRejections()); err != nil {
		return 0, err
	}
	// every ring knocked at all three, or was refused
	answered := 0
	for _, s := range []engine.Stream{{Aggregate: "House.Door", ID: "door"}, {Aggregate: "House.Gate", ID: "gate"}, {Aggregate: "House.Window", ID: "window"}} {
		for _, c := range w.Log(s) {
			if c.Events[0].Type == "Knocked" {
				answered++
			}
		}
		refused += w.Rejections(s)
	}
	if written, at := len(w.Log(engine.Stream{Aggregate: "House.Diary", ID: "diary"})), w.Rejections(engine.Stream{Aggregate: "House.Door", ID: "door"}); written != at {
		return refused, fmt.Errorf("the door refused %d knocks, the diary has %d", at, written)
	}
	rings := 0
	for _, id := range w.StreamsOf("House.Bell") {
		rings += len(w.Log(engine.Stream{Aggregate: "House.Bell", ID: id}))
	}
	if answered+refused != 3*rings {
		return refused, fmt.Errorf("the bell rang %d times: %d knocks, %d refused ones", rings, answered, refused)
	}
	return refused, nil
}

func TestARejectionIsFinal(t *testing.T) {
	refused := 0
	for seed := range uint64(200) {
		n, err := whoKnocks(seed, "")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		refused += n
	}
	if refused < 500 {
		t.Errorf("%d knocks were refused: too few to tell", refused)
	}
}

func TestPlantedFaultsInRejectionsAreCaught(t *testing.T) {
	for _, fault := range []sim.Fault{sim.ForgetRejected, sim.RejectLate, sim.AppendAnyway, sim.PassRejected, sim.ForgetKeys} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2000) {
				if _, err := whoKnocks(seed, fault); err != nil {
					t.Logf("caught by seed %d: %s", seed, firstLine(err))
					return
				}
			}
			t.Fatal("2,000 schedules did not notice")
		})
	}
}

func TestACommandThatDecidesTooMuchIsRefusedAndKept(t *testing.T) {
	// Given a vault whose answer to a knock is more than a commit holds
	vault := house("House.Vault", func(word, bool) ([]word, error) { return []word{word(strings.Repeat("x", engine.MaxCommit))}, nil }, nil, "Knock")
	w := sim.NewWorld(1, []es.Plugin{{
		Name: "House", Aggregates: []es.AnyAggregate{vault, bell},
		Mappings: []es.Mapping{es.NewMapping("AtVault", bell, vault, func(es.Recorded[word]) es.Commands[word] { return vault.Send("vault", "Knock") })},
	}}, 1)
	w.Chaos = false
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	// When the bell rings
	w.Do(func(ctx context.Context, p *sim.Process) {
		if _, err := p.Execute(ctx, engine.Request{Command: es.Command{Aggregate: "House.Bell", ID: "bell", Payload: word("Ring")}, Caller: admin}); err != nil {
			t.Error(err)
		}
	})
	// Then the refusal is kept, and nothing is parked
	if n := w.Rejections(engine.Stream{Aggregate: "House.Vault", ID: "vault"}); n != 1 || len(w.Parked()) > 0 {
		t.Errorf("%d rejections, parked: %q", n, w.Parked())
	}
}
