package engine_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
)

// library is the conformance suite's two plugins, Lending and Press, on a platform in
// memory. A loan ("Lend") sets off all that there is: see [platformtest.Library].
type library struct {
	*testing.T
	*memory.Platform
	platformtest.World

	process *engine.Engine // that commands are sent to; nil: the platform's

	mu    sync.Mutex
	calls []string // of ports, since the latest watch
}

// use sends what comes to that process.
func (l *library) use(e *engine.Engine) { l.process = e }

// newLibrary opens an empty library; change may change the engine's configuration.
func newLibrary(t *testing.T, change func(*engine.Config)) *library {
	t.Helper()
	l := &library{T: t, World: platformtest.NewWorld()}
	p, err := memory.New(platformtest.Library{World: l.World}.Plugins(), change)
	if err != nil {
		t.Fatal(err)
	}
	l.Platform = p
	p.Before = func(method string) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls = append(l.calls, method)
		return nil
	}
	return l
}

// restart is the same library in another process: what is stored stays, what was in
// memory or on its way is gone.
func (l *library) restart(change func(*engine.Config)) {
	l.Helper()
	l.Drop()
	if err := l.Deploy(platformtest.Library{World: l.World}.Plugins(), change); err != nil {
		l.Fatal(err)
	}
}

// watch returns the calls of ports that do makes.
func (l *library) watch(do func()) []string {
	l.mu.Lock()
	l.calls = nil
	l.mu.Unlock()
	do()
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// send sends a command to a book, as ada; with may change the request.
func (l *library) send(id, command, text string, with func(*engine.Request)) (engine.Outcome, error) {
	l.Helper()
	return l.sendTo("Lending.Book", id, command, text, with)
}

func (l *library) sendTo(aggregate, id, command, text string, with func(*engine.Request)) (engine.Outcome, error) {
	l.Helper()
	for _, a := range l.Engine().Plugins[0].Aggregates {
		d := a.Definition()
		if d.Name != aggregate {
			continue
		}
		body, _ := json.Marshal(map[string]string{"text": text})
		payload, err := d.ReadCommand(command, body)
		if err != nil {
			l.Fatal(err)
		}
		r := engine.Request{Command: es.Command{Aggregate: d.Name, ID: id, Payload: payload}, Caller: es.Caller{User: "ada"}}
		if with != nil {
			with(&r)
		}
		return cmp.Or(l.process, l.Engine()).Execute(l.Context(), r)
	}
	panic("the library has no " + aggregate)
}

func (l *library) acquire(id, title string) {
	l.Helper()
	if _, err := l.send(id, "Acquire", title, nil); err != nil {
		l.Fatal(err)
	}
}

func (l *library) lend(id, to string) {
	l.Helper()
	if _, err := l.send(id, "Lend", to, nil); err != nil {
		l.Fatal(err)
	}
}

func (l *library) settle() {
	l.Helper()
	if err := l.Settle(l.Context()); err != nil {
		l.Fatal(err)
	}
}

// events are a stream's, as "Lent ann".
func (l *library) events(aggregate, id string) (events []string) {
	l.Helper()
	page, _, err := l.Engine().History(l.Context(), aggregate, id, "", 100)
	if err != nil {
		l.Fatal(err)
	}
	for _, e := range page {
		var data struct{ Text string }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			l.Fatal(err)
		}
		events = append(events, e.Type+" "+data.Text)
	}
	return events
}

func (l *library) thenEvents(aggregate, id string, want ...string) {
	l.Helper()
	if got := l.events(aggregate, id); !slices.Equal(got, want) {
		l.Errorf("%s#%s has %q, want %q", aggregate, id, got, want)
	}
}

func (l *library) thenRow(model, id, want string) {
	l.Helper()
	r, err := l.Store.Row(l.Context(), model, id)
	if err != nil || string(r.View) != want {
		l.Errorf("row %s of %s is %s, %v, want %s", id, model, r.View, err, want)
	}
}

// parked are the keys that are parked, as "consumer stream".
func (l *library) parked() (keys []string) {
	l.Helper()
	page, _, err := l.Engine().ListParked(l.Context(), "")
	if err != nil {
		l.Fatal(err)
	}
	for _, p := range page {
		keys = append(keys, p.Consumer+" "+p.Stream.String())
	}
	return keys
}

func (l *library) sweep() {
	l.Helper()
	platformtest.Steps(l.T, "sweep", func(cursor string) (engine.Progress, error) { return l.Engine().Sweep(l.Context(), cursor) })
	l.settle()
}
