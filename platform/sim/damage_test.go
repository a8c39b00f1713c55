package sim_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/sim"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// TestNothingIsMadeOfWhatIsDamaged damages one commit of a shop, lets every follower and
// view begin anew, and asks for everything: each answer is an error, or what it was.
func TestNothingIsMadeOfWhatIsDamaged(t *testing.T) {
	for seed := range uint64(300) {
		if err := damaged(seed, ""); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestTheSimulationNoticesThatDamageIsServed(t *testing.T) {
	for seed := range uint64(50) {
		if err := damaged(seed, sim.ForgetHashes); err != nil {
			t.Logf("caught by seed %d: %s", seed, firstLine(err))
			return
		}
	}
	t.Fatal("50 damaged logs, and nobody noticed")
}

var errAccepted = errors.New("it is accepted")

// letters keeps the e-mails, and the first that differs from an earlier one of its order.
type letters struct {
	by    map[string]string
	other string
}

func (l *letters) SendOrderConfirmation(_ context.Context, c mail.OrderConfirmation) error {
	text := fmt.Sprint(c)
	if was, sent := l.by[c.OrderID]; sent && was != text {
		l.other = text
	}
	l.by[c.OrderID] = text
	return nil
}

// damage is something that happens to a stored commit, which has one after it; what it
// returns says what.
var damages = map[string]func(w *sim.World, r *rand.Rand, s engine.Stream, seq int){
	"a byte of an event is changed": func(w *sim.World, r *rand.Rand, s engine.Stream, seq int) {
		w.Rewrite(s, seq, func(c *engine.Commit) {
			data := slices.Clone(c.Events[0].Data)
			var places []int // in values or names, so that it stays JSON
			for i, b := range data {
				if b >= '1' && b <= '8' || b >= 'a' && b <= 'y' && data[i-1] != '\\' {
					places = append(places, i)
				}
			}
			if len(places) == 0 {
				c.Events[0].Type += "X"
				return
			}
			data[places[r.IntN(len(places))]]++
			c.Events[0].Data = data
		})
	},
	"an event is another": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) {
		next := w.Log(s)[seq+1]
		w.Rewrite(s, seq, func(c *engine.Commit) { c.Events = slices.Clone(next.Events) })
	},
	"who did it is somebody else": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) {
		w.Rewrite(s, seq, func(c *engine.Commit) { c.Meta.Owner += "x" })
	},
	"its version is another": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) {
		w.Rewrite(s, seq, func(c *engine.Commit) { c.Version++ })
	},
	"its hash is gone": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) {
		w.Rewrite(s, seq, func(c *engine.Commit) { c.Hash = nil })
	},
	"it is gone": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) { w.Remove(s, seq) },
	"it and the next have changed places": func(w *sim.World, _ *rand.Rand, s engine.Stream, seq int) {
		a, b := w.Log(s)[seq], w.Log(s)[seq+1]
		put := func(at int, from engine.Commit) {
			w.Rewrite(s, at, func(c *engine.Commit) { c.Events, c.Meta, c.Hash = from.Events, from.Meta, from.Hash })
		}
		put(seq, b)
		put(seq+1, a)
	},
	"it is that of another stream": func(w *sim.World, r *rand.Rand, s engine.Stream, seq int) {
		ids := slices.DeleteFunc(w.StreamsOf(s.Aggregate), func(id string) bool {
			return id == s.ID || len(w.Log(engine.Stream{Aggregate: s.Aggregate, ID: id})) <= seq
		})
		if len(ids) == 0 {
			w.Remove(s, seq)
			return
		}
		from := w.Log(engine.Stream{Aggregate: s.Aggregate, ID: ids[r.IntN(len(ids))]})[seq]
		w.Rewrite(s, seq, func(c *engine.Commit) { c.Events, c.Meta, c.Hash = from.Events, from.Meta, from.Hash })
	},
}

func damaged(seed uint64, fault sim.Fault) error {
	// Given a shop with products, customers and orders, of which everything is done
	post := &letters{by: map[string]string{}}
	all := plugins.All(plugintest.Deps{Mail: post})
	w := sim.NewWorld(seed, all, 2)
	w.Chaos, w.Memory = false, 0
	r := w.Rand()
	if err := w.Start(); err != nil {
		return err
	}
	defs := w.Definitions()
	send := func(aggregate, id, name, body string) (err error) {
		payload, err := defs[aggregate].ReadCommand(name, []byte(body))
		if err != nil {
			return err
		}
		w.Do(func(ctx context.Context, p *sim.Process) {
			_, err = p.Execute(ctx, engine.Request{Command: es.Command{Aggregate: aggregate, ID: id, Payload: payload}, Caller: admin})
		})
		return err
	}
	for i := range 3 {
		id := fmt.Sprint(i)
		err := errors.Join(send("Catalog.Product", "p"+id, "Add", `{"name":"A`+id+`","description":"d","price":2.5}`),
			send("Catalog.Product", "p"+id, "UpdatePrice", `{"price":3}`), send("Catalog.Product", "p"+id, "UpdateName", `{"name":"B`+id+`"}`),
			send("Ordering.Customer", "c"+id, "Register", `{"email":"c`+id+`@example.com","address":"1 Way"}`),
			send("Ordering.Customer", "c"+id, "UpdateAddress", `{"address":"`+id+` Lane"}`),
			send("Ordering.Order", "o"+id, "Place", `{"customerId":"c`+id+`","productIds":["p0","p`+id+`"]}`))
		if err != nil {
			return err
		}
	}
	truth := map[engine.Stream][]engine.Commit{}
	var streams, long []engine.Stream
	for name := range defs {
		for _, id := range w.StreamsOf(name) {
			s := engine.Stream{Aggregate: name, ID: id}
			log, err := w.OpenedLog(s)
			if err != nil {
				return err
			}
			truth[s] = slices.Clone(log)
			streams = append(streams, s)
		}
	}
	slices.SortFunc(streams, func(a, b engine.Stream) int { return strings.Compare(a.String(), b.String()) })
	for _, s := range streams {
		if len(truth[s]) > 1 {
			long = append(long, s)
		}
	}
	views := map[string]string{}
	for _, p := range all {
		for _, m := range p.ReadModels {
			for _, s := range streams {
				name := naming.Full(p.Name, m.Name())
				views[name+" "+s.ID] = w.View(name, s.ID)
			}
		}
	}
	state := func(p *sim.Process, ctx context.Context, s engine.Stream) (string, error) {
		got, err := p.Engine.State(ctx, admin, s.Aggregate, s.ID, nil)
		return string(got.State), err
	}
	states := map[engine.Stream]string{}
	var err error
	w.Do(func(ctx context.Context, p *sim.Process) {
		for _, s := range streams {
			text, failure := state(p, ctx, s)
			states[s], err = text, errors.Join(err, failure)
		}
	})
	if err != nil {
		return err
	}

	// When one commit of one stream is damaged, and everybody begins anew
	victim := long[r.IntN(len(long))]
	seq := r.IntN(len(truth[victim]) - 1)
	kinds := slices.Sorted(func(yield func(string) bool) {
		for k := range damages {
			if !yield(k) {
				return
			}
		}
	})
	kind := kinds[r.IntN(len(kinds))]
	damages[kind](w, r, victim, seq)
	broken := fmt.Sprintf("%s at %d: %s", victim, seq, kind)
	w.Fault = fault
	w.ForgetCursors()
	if err := w.Start(); err != nil {
		return err
	}
	if err := w.Sweep(); err != nil {
		return fmt.Errorf("%s: sweep: %w", broken, err)
	}
	for _, p := range all {
		for _, m := range p.ReadModels {
			if err := w.Rebuild(naming.Full(p.Name, m.Name())); err != nil {
				return fmt.Errorf("%s: rebuild: %w", broken, err)
			}
		}
	}

	// Then every answer is an error, or what it was
	w.Do(func(ctx context.Context, p *sim.Process) {
		fail := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(broken+": "+format, args...)) }
		for _, s := range streams {
			var events []es.StoredEvent
			var failure error
			for cursor := ""; failure == nil; {
				var page []engine.Event
				page, cursor, failure = p.Engine.History(ctx, s.Aggregate, s.ID, cursor, 2)
				for _, e := range page {
					events = append(events, e.StoredEvent)
				}
				if cursor == "" {
					break
				}
			}
			var want []es.StoredEvent
			for _, c := range truth[s] {
				want = append(want, c.Events...)
			}
			if failure == nil && !gocmp.Equal(events, want) {
				fail("the history of %s: %s", s, gocmp.Diff(want, events))
			}
			if s == victim && !errors.Is(failure, engine.ErrBroken) {
				fail("the history of what is damaged ends with %v", failure)
			}
			if text, failure := state(p, ctx, s); failure == nil && text != states[s] {
				fail("the state of %s is %s, and was %s", s, text, states[s])
			}
			for _, m := range p.Plugins {
				for _, m := range m.ReadModels {
					name := naming.Full(naming.Plugin(s.Aggregate), m.Name())
					version := int64(0)
					row, failure := p.Engine.Row(ctx, admin, name, s.ID, &version)
					if was, there := views[name+" "+s.ID]; there && failure == nil && string(row.View) != was {
						fail("row %s of %s is %s, and was %s", s.ID, name, row.View, was)
					}
				}
			}
			if s != victim && len(w.Log(s)) != len(truth[s]) {
				fail("%s has %d commits, and had %d", s, len(w.Log(s)), len(truth[s]))
			}
		}
	})
	for key, was := range views {
		if name, id, _ := strings.Cut(key, " "); w.View(name, id) != was {
			err = errors.Join(err, fmt.Errorf("%s: row %s of %s is %s, and was %s", broken, id, name, w.View(name, id), was))
		}
	}
	if post.other != "" {
		err = errors.Join(err, fmt.Errorf("%s: the e-mail is %s", broken, post.other))
	}
	// And nothing is decided on the stream
	if len(truth[victim]) < 5 { // no snapshot
		for _, c := range plugintest.Commands(all) {
			if c.Aggregate != victim.Aggregate {
				continue
			}
			if failure := send(c.Aggregate, victim.ID, c.Name, c.Payload(r)); !errors.Is(failure, engine.ErrBroken) && !refused(failure, engine.ErrNotFound) {
				err = errors.Join(err, fmt.Errorf("%s: the answer to %s: %w", broken, c.Name, cmp.Or(failure, errAccepted)))
			}
		}
	}
	if err == nil && len(w.Parked()) == 0 {
		err = fmt.Errorf("%s: nothing is parked", broken)
	}
	return err
}

func refused(err error, by *es.Rejection) bool {
	var no *es.Rejection
	return errors.As(err, &no) && no.Code == by.Code
}
