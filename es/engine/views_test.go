package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/memory"
)

type word string

type words []word

// aggregateOf is an aggregate that repeats its commands; check reads what it likes.
func aggregateOf(name string, check func(context.Context, es.Reader) error) es.Aggregate[word, word, words] {
	r := es.AggregateRules[word, word, words]{
		Name: name, Commands: []es.CommandType[word]{{Name: "Say"}},
		Decide:  func(c word, _ words) ([]word, error) { return []word{c}, nil },
		Evolve:  func(e word, s words) words { return append(s[:len(s):len(s)], e) },
		Encode:  func(c word) (string, []byte, error) { return "Say", fmt.Appendf(nil, "%q", c), nil },
		Wire:    func(e word) (string, int, []byte, error) { return "Said", 2, fmt.Appendf(nil, "%q", e), nil },
		Upcast:  es.Upcasters[word]{es.Upcast("Said", 2, func(e word) word { return e })},
		Sources: "1",
	}
	if check != nil {
		r.Check = func(ctx context.Context, rd es.Reader, _ word, _ es.Meta) error { return check(ctx, rd) }
	}
	return es.NewAggregate(r)
}

// saying is a row of Sayings.
type saying struct {
	Text  string `json:"text"`
	Times int    `json:"times"`
}

// JSONSchema implements [es.View].
func (saying) JSONSchema() string {
	return `{"properties":{"text":{"type":"string"},"times":{"type":"integer"}}}`
}

func viewOf(a es.Aggregate[word, word, words]) es.ReadModel[saying] {
	return es.NewReadModel("Sayings", es.From(a, func(e es.Recorded[word]) es.Change[saying] {
		return es.Set(saying{string(e.Event), int(e.Version)})
	})).By("text").Sort("times").Search("text")
}

var (
	parrot  = aggregateOf("Zoo.Parrot", nil)
	sayings = viewOf(parrot)
	stork   = aggregateOf("Farm.Stork", nil)
)

func say(t *testing.T, p *memory.Platform, id string, said ...word) {
	t.Helper()
	for _, w := range said {
		if _, err := p.Engine().Execute(t.Context(), engine.Request{Command: parrot.Command(id, w), Caller: es.System()}); err != nil {
			t.Fatalf("%s says %q: %v", id, w, err)
		}
	}
}

// zoo runs a task's schedule once, and returns how it ended.
func zoo(t *testing.T, task es.Task, run func(ctx context.Context, s es.Shop) error) error {
	t.Helper()
	var failure error
	task.Name, task.Schedules = "Keeper", []es.Schedule{{Name: "Daily", Cron: "0 0 * * *", Run: func(ctx context.Context, _ es.Occurrence, s es.Shop) error {
		failure = run(ctx, s)
		return nil
	}}}
	p, err := memory.New([]es.Plugin{
		{Name: "Zoo", Aggregates: []es.AnyAggregate{parrot}, ReadModels: []es.AnyReadModel{sayings}, Tasks: []es.Task{task}},
		{Name: "Farm", Aggregates: []es.AnyAggregate{stork}, ReadModels: []es.AnyReadModel{viewOf(stork)}},
	}, nil)
	if err != nil {
		return err
	}
	say(t, p, "polly", "hello", "Good night")
	say(t, p, "rico", "good")
	if err := p.Engine().AskSchedule(t.Context(), "Zoo.Keeper.Daily"); err != nil {
		t.Fatalf("ask: %v", err)
	}
	if err := p.Engine().RunSchedule(t.Context(), "Zoo.Keeper.Daily", func() bool { return false }); err != nil {
		t.Fatalf("run: %v", err)
	}
	return failure
}

func TestATaskReadsARowWithWhatHasHappenedSinceItWasStored(t *testing.T) {
	// Given a view that nothing has been folded into yet
	err := zoo(t, es.Task{Reads: []es.Readable{sayings}}, func(ctx context.Context, s es.Shop) error {
		// When a row is read
		row, found, err := sayings.Get(ctx, s, "polly")
		if want := (saying{"Good night", 2}); row != want || !found {
			t.Errorf("row %+v, found %t; want %+v", row, found, want)
		}
		if err != nil {
			return err
		}
		// Then there is none where nothing has happened
		_, found, err = sayings.Get(ctx, s, "nobody")
		if found {
			t.Error("nobody has a row")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAListAndIDsAreReadPageByPage(t *testing.T) {
	// Given more parrots than a page has, each of which has spoken
	const many = 450
	var listed, named, limited int
	task := es.Task{Name: "Keeper", Reads: []es.Readable{sayings, parrot}}
	task.Schedules = []es.Schedule{{Name: "Daily", Cron: "0 0 * * *", Run: func(ctx context.Context, _ es.Occurrence, s es.Shop) error {
		// When they are listed
		last := ""
		for i, err := range sayings.List(ctx, s, es.Query{Sort: "-times"}) {
			if err != nil || i.Row.Text != i.ID || last != "" && i.ID >= last {
				return fmt.Errorf("%+v after %s: %w", i, last, err)
			}
			last = i.ID
			listed++
		}
		for _, err := range sayings.List(ctx, s, es.Query{Limit: 250}) {
			if err != nil {
				return err
			}
			limited++
		}
		for _, err := range parrot.IDs(ctx, s) {
			if err != nil {
				return err
			}
			named++
		}
		return nil
	}}}
	p, err := memory.New([]es.Plugin{{Name: "Zoo", Aggregates: []es.AnyAggregate{parrot}, ReadModels: []es.AnyReadModel{sayings}, Tasks: []es.Task{task}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range many {
		id := fmt.Sprintf("parrot-%03d", i)
		say(t, p, id, word(id))
	}
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Engine().AskSchedule(t.Context(), "Zoo.Keeper.Daily"); err != nil {
		t.Fatal(err)
	}
	if err := p.Engine().RunSchedule(t.Context(), "Zoo.Keeper.Daily", func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	// Then each comes once, in order, and no more than were asked for
	list, err := p.Engine().ListSchedules(t.Context())
	if err != nil || list[0].Error != "" {
		t.Fatalf("%v, %v", list, err)
	}
	if listed != many || named != many || limited != 250 {
		t.Errorf("%d listed, %d named, %d of 250", listed, named, limited)
	}
}

func TestWhatIsNotDeclaredIsRefusedAndSaysWhatIs(t *testing.T) {
	all := []es.Readable{sayings, parrot}
	list := func(q es.Query) func(context.Context, es.Shop) error {
		return func(ctx context.Context, s es.Shop) error {
			for _, err := range sayings.List(ctx, s, q) {
				return err
			}
			return nil
		}
	}
	get := func(ctx context.Context, s es.Shop) error {
		_, _, err := sayings.Get(ctx, s, "polly")
		return err
	}
	ids := func(ctx context.Context, s es.Shop) error {
		for _, err := range parrot.IDs(ctx, s) {
			return err
		}
		return nil
	}
	for name, x := range map[string]struct {
		reads []es.Readable
		run   func(context.Context, es.Shop) error
		want  string
	}{
		"a row":                  {nil, get, "task Zoo.Keeper: it reads Zoo.Sayings, which its Reads does not name"},
		"a list":                 {[]es.Readable{parrot}, list(es.Query{}), "task Zoo.Keeper: it reads Zoo.Sayings, which its Reads does not name"},
		"ids":                    {[]es.Readable{sayings}, ids, "task Zoo.Keeper: it lists the ids of Zoo.Parrot, which its Reads does not name"},
		"another plugin's view":  {[]es.Readable{viewOf(stork)}, get, "task Zoo.Keeper: it reads Farm.Sayings, which is not a read model of its plugin"},
		"another plugin's ids":   {[]es.Readable{stork}, ids, "task Zoo.Keeper: it reads Farm.Stork, which is not an aggregate of its plugin"},
		"a filter":               {all, list(es.Query{By: "times", Is: "2"}), `list Zoo.Sayings: rows can't be listed by "times"; the read model declares By(text)`},
		"a filter without value": {all, list(es.Query{By: "text"}), "Is says which text"},
		"a value without filter": {all, list(es.Query{Is: "good"}), `By says which field is "good"`},
		"a sort":                 {all, list(es.Query{Sort: "-text"}), `rows can't be sorted by "text"; the read model declares Sort(times)`},
		"a range without sort":   {all, list(es.Query{AtLeast: 2}), "AtLeast is of the field that Sort names, and it names none"},
		"a bound of another type": {all, list(es.Query{Sort: "times", LessThan: "many"}),
			"LessThan of times: many must be a number, such as 9.99"},
		"a search for nothing": {all, list(es.Query{Search: "…"}), `there is no word in the search for "…"`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := zoo(t, es.Task{Reads: x.reads}, x.run); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("it says %v, want %q", err, x.want)
			}
		})
	}
	t.Run("what is declared is not", func(t *testing.T) {
		for _, run := range []func(context.Context, es.Shop) error{get, ids, list(es.Query{By: "text", Is: "good", Sort: "times", AtMost: 2, Search: "GOO"})} {
			if err := zoo(t, es.Task{Reads: all}, run); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestASideEffectReadsWhatItDeclaresAlone(t *testing.T) {
	failed := func(declare func(es.SideEffect) es.SideEffect) (err error) {
		effect := es.NewSideEffect("Answer", parrot, func(ctx context.Context, r es.Reader, e es.Recorded[word]) error {
			_, _, err = sayings.Get(ctx, r, e.ID)
			return err
		})
		p, e := memory.New([]es.Plugin{{
			Name: "Zoo", Aggregates: []es.AnyAggregate{parrot}, ReadModels: []es.AnyReadModel{sayings},
			Tasks: []es.Task{{Name: "Keeper", Reads: []es.Readable{sayings}, SideEffects: []es.SideEffect{declare(effect)}}},
		}}, nil)
		if e != nil {
			t.Fatal(e)
		}
		say(t, p, "polly", "hello")
		if err := p.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		return err
	}
	if err := failed(func(s es.SideEffect) es.SideEffect { return s }); err == nil || !strings.Contains(err.Error(), "side effect Zoo.Answer: it reads Zoo.Sayings, which its Reads does not name") {
		t.Errorf("what its task declares is not the side effect's: %v", err)
	}
	if err := failed(func(s es.SideEffect) es.SideEffect { return s.Reads(sayings) }); err != nil {
		t.Error(err)
	}
}

func TestARuleReadsNoViewsAndNoIDs(t *testing.T) {
	for what, check := range map[string]func(context.Context, es.Reader) error{
		"read Zoo.Sayings": func(ctx context.Context, r es.Reader) error { _, _, err := sayings.Get(ctx, r, "polly"); return err },
		"ids of Zoo.Parrot": func(ctx context.Context, r es.Reader) error {
			for _, err := range parrot.IDs(ctx, r) {
				return err
			}
			return nil
		},
	} {
		owl := aggregateOf("Zoo.Owl", check)
		p, err := memory.New([]es.Plugin{{Name: "Zoo", Aggregates: []es.AnyAggregate{parrot, owl}, ReadModels: []es.AnyReadModel{sayings}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		hoot := owl.Command("wise", word("hoot"))
		_, err = p.Engine().Execute(t.Context(), engine.Request{Command: hoot, Caller: es.System()})
		want := what + ": what decides on a command reads the state of aggregates alone"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, want %q", err, want)
		}
		// Nor does it where a task that may do so tries the command out
		_, err = p.Engine().Check(t.Context(), "Zoo", es.Task{
			Name: "Keeper", Reads: []es.Readable{sayings, parrot},
			Check: func(ctx context.Context, _ es.Object, s es.Shop) (es.Check, error) {
				return es.Check{}, s.Execute(ctx, es.TaskCommand{Command: hoot})[0].Err
			},
		}, es.Object{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a check says %v, want %q", err, want)
		}
	}
}
