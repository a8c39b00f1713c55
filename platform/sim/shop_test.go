package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/internal/schedules"
	"onlineshop/platform/sim"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// usual is how many schedules go test runs where it is not told.
var usual = uint64(1_000)

// TestShop runs the shop's own plugins through schedules in which everything
// goes wrong that may, and compares logs, answers and views with the canonical
// result. make sim SEEDS=100000 runs more, make sim SEED=42 replays one.
func TestShop(t *testing.T) {
	schedules.Run(t, "sim", usual, runtime.GOMAXPROCS(0), func(seed uint64) error { return run(seed, "") })
}

// TestPlantedFaultsAreCaught shows that the simulation can fail: a fault in each
// guarantee turns it red within some hundred schedules.
func TestPlantedFaultsAreCaught(t *testing.T) {
	for guarantee, faults := range map[int][]sim.Fault{
		1:  {sim.StaleReads},
		2:  {sim.ForgetKeys, sim.ShortMemory},
		3:  {sim.CursorAhead, sim.CursorBack, sim.LateHints, sim.DropDue},
		4:  {sim.ForgetPosition, sim.AheadRows, sim.PartOfItems, sim.UnmarkedItems, sim.LeftPart, sim.CountTwice},
		5:  {sim.SkipPoison, sim.SwallowParking},
		7:  {sim.LostAppends, sim.MarkAhead},
		8:  {sim.SkipRefold},
		9:  {sim.ForgetStart, sim.StartAgain},
		12: {sim.KeepKeys, sim.KeepRows},
		13: {sim.LoseCursors, sim.MarksOfTheLog, sim.MissingCommit, sim.NoMargin, sim.KeysOfTheCut},
	} {
		for _, fault := range faults {
			t.Run(fmt.Sprintf("guarantee %d/%s", guarantee, fault), func(t *testing.T) {
				t.Parallel()
				for s, ran := uint64(0), 0; ran < 2000; s++ {
					if guarantee == 13 && !moves(s) {
						continue // nothing of it happens there
					}
					ran++
					if err := run(s, fault); err != nil {
						t.Logf("caught by seed %d: %s", s, firstLine(err))
						return
					}
				}
				t.Fatal("2,000 schedules did not notice")
			})
		}
	}
}

func firstLine(err error) string { line, _, _ := strings.Cut(err.Error(), "\n"); return line }

// outbox counts the confirmations by order.
type outbox map[string]int

func (o outbox) SendOrderConfirmation(_ context.Context, c mail.OrderConfirmation) error {
	o[c.OrderID]++
	return nil
}

const file = "\ufeffID,price,Name,description\r\n" +
	"i1,1.50,One,\"first, with\nnewline\"\r\n" +
	"i2,2,Two,second\r\n" +
	"i1,9,Other,in use with other details\r\n" +
	"\r\n" +
	"i3,x,Three,bad price\r\n" +
	"i2,2.00,Two,second\r\n" +
	",4,Four,derived\r\n" +
	",4.0,Four,derived\r\n" +
	"i5,5,Five,last"

var admin = es.Caller{User: "boss", Groups: []string{es.Admin}}

// moves is whether the shop is backed up in the schedule, lost, and goes on as it was restored:
// in one of eleven, so that they take no longer.
func moves(seed uint64) bool { return seed%11 == 3 }

func run(seed uint64, fault sim.Fault) error {
	sent := outbox{}
	deps := plugintest.Deps{Mail: sent}
	calm := seed%16 == 0 && fault == "" // now and then nothing goes wrong: effects happen exactly once
	switch {
	case seed%3 == 0:
		deps.Delay = 5 * time.Second
	case seed%7 == 1:
		deps.Delay = 5 * time.Hour // longer than a message can wait
	}
	all := plugins.All(deps)
	young := seed%4 == 1 // what acts on orders is deployed when there are some already
	backfilled := seed%8 == 1
	if backfilled {
		all = fromBeginning(all)
	}
	readers := seed%5 == 2 && !backfilled // which takes a sweep
	processes := 2
	if readers {
		processes = 1
	}
	w := sim.NewWorld(seed, all, processes)
	w.Fault, w.Chaos, w.Readers = fault, !calm, readers
	r := w.Rand()
	if young {
		w.Plugins = withoutFollowers(all)
		w.Deploy(50+r.IntN(600), all)
	}
	if !young && seed%4 == 3 { // views are made by other code until then
		w.Plugins = withOtherViews(all)
		w.DeployViews(50+r.IntN(600), all)
	}
	if !calm && r.IntN(3) == 0 {
		w.PoisonSteps = int64(200 + r.IntN(600))
		w.Poison = []string{"Catalog.Product#p1", "Ordering.Order#o1", "Ordering.CatalogProduct#p2", "Catalog.ProductDemand#p1"}[r.IntN(4)]
	}
	imported := seed%2 == 0
	var lost outbox // what the shop sent that was lost
	if moves(seed) {
		w.Move(sim.Move{After: r.IntN(500), Then: r.IntN(200), BringBack: r.IntN(2) == 0, Moved: func() {
			lost = maps.Clone(sent)
			clear(sent)
			if imported {
				upload(w)
			}
		}})
	}
	if err := w.Start(); err != nil {
		return err
	}
	defs := w.Definitions()
	command := func(aggregate, id, name, body string) es.Command {
		payload, err := defs[aggregate].ReadCommand(name, []byte(body))
		if err != nil {
			panic(fmt.Sprint(aggregate, " ", name, ": ", err))
		}
		return es.Command{Aggregate: aggregate, ID: id, Payload: payload}
	}
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	anything := plugintest.Commands(all)
	anyOf := func() es.Command {
		product, order, customer := pick("p1", "p1", "p2", "p3"), pick("o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8"), pick("ann", "ben")
		switch r.IntN(16) {
		case 14, 15: // whatever any plugin takes
			c := anything[r.IntN(len(anything))]
			return command(c.Aggregate, pick("p1", "o1", "c1", "ann", "a"), c.Name, c.Payload(r))
		case 0, 1, 2:
			return command("Catalog.Product", product, "UpdatePrice", `{"price":`+pick("1", "2", "3.25")+`}`)
		case 3:
			return command("Catalog.Product", product, "UpdateName", `{"name":"`+pick("A", "B")+`"}`)
		case 4:
			return command("Catalog.Product", product, "ChangeCategory", `{"categoryId":"`+pick("c1", "c2")+`"}`)
		case 5:
			if r.IntN(3) > 0 {
				return command("Catalog.Category", "c1", "Rename", `{"name":"`+pick("R", "S")+`"}`)
			}
			return command("Catalog.Category", "c1", "Archive", "")
		case 6:
			if r.IntN(4) == 0 {
				return command("Ordering.Customer", customer, "Erase", "")
			}
			return command("Ordering.Customer", customer, "UpdateEmail", `{"email":"`+pick("a", "b")+`@example.com"}`)
		case 7:
			return command("Ordering.Order", order, pick("Cancel", "Ship"), "")
		case 8:
			return command("Catalog.Product", product, "Add", `{"name":"A","description":"","price":1}`)
		default:
			return command("Ordering.Order", order, "Place", fmt.Sprintf(`{"customerId":%q,"productIds":[%q,%q]}`, customer, product, pick("p1", "p2", "p3")))
		}
	}
	var history []sim.Operation
	for id := range 3 {
		client := sim.Client{ID: id, World: w, History: &history}
		w.Spawn(fmt.Sprint("client ", id), func(ctx context.Context) {
			begin := []es.Command{
				command("Catalog.Product", fmt.Sprint("p", id+1), "Add", `{"name":"A","description":"d","price":2}`),
				command("Ordering.Customer", []string{"ann", "ben", "ann"}[id], "Register", `{"email":"a@example.com","address":"1 Way"}`),
				command("Catalog.Category", []string{"c1", "c2", "c1"}[id], "Add", `{"name":"C"}`),
			}
			for n := range 13 {
				cmd := anyOf()
				if n < len(begin) {
					cmd = begin[n]
				}
				key := fmt.Sprintf("k%d.%d", id, n)
				if r.IntN(6) == 0 { // the same request twice at once
					twin := sim.Client{ID: 100 + 10*id + n, World: w, History: &history}
					w.Spawn("twin", func(ctx context.Context) { twin.Send(ctx, admin, cmd, key) })
				}
				client.Send(ctx, admin, cmd, key)
			}
		})
	}
	if imported {
		upload(w)
	}
	if err := w.Settle(); err != nil {
		return err
	}
	if parked := w.Parked(); len(parked) > 0 {
		return fmt.Errorf("still parked: %q", parked)
	}
	if took := w.Elapsed(); took > 20*time.Minute+2*deps.Delay {
		return fmt.Errorf("it took %s: something waited longer than its delay", took)
	}
	if err := w.CheckLogs(); err != nil {
		return err
	}
	followed := targets(all) // others than users write there, too
	users := slices.DeleteFunc(history, func(op sim.Operation) bool { return followed[op.Stream.Aggregate] })
	if err := w.CheckAnswers(users); err != nil {
		return err
	}
	if err := checkReplicas(w, defs); err != nil {
		return err
	}
	if err := w.CheckRejections(); err != nil {
		return err
	}
	if _, err := w.CheckErased("@example.com", "1 Way"); err != nil {
		return err
	}
	if err := checkOrders(w, sent, lost, calm, backfilled); err != nil {
		return err
	}
	if err := w.CheckViews(); err != nil {
		return err
	}
	if moves(seed) {
		if err := w.Verify(); err != nil {
			return err
		}
	}
	if imported {
		if err := checkImport(w, defs); err != nil {
			return err
		}
	}
	before := w.Views()
	for _, m := range []string{"Catalog.ProductDemands", "Ordering.Orders", "Ordering.OrderLines", "Catalog.CategoryStats", "Ordering.CustomerStats"} {
		if err := w.Rebuild(m); err != nil {
			return err
		}
	}
	if after := w.Views(); after != before {
		return fmt.Errorf("a rebuild changed the views:\n%s\nbefore:\n%s", after, before)
	}
	return nil
}

// targets are the aggregates that mappings and extensions send commands to.
func targets(all []es.Plugin) map[string]bool {
	out := map[string]bool{}
	for _, p := range all {
		for _, m := range p.Mappings {
			out[m.Target] = true
		}
		for _, x := range p.Extensions {
			out[x.Target] = true
		}
	}
	return out
}

// upload announces the file twice; each announcement comes again until the task
// says that it is done.
func upload(w *sim.World) {
	o := es.Object{
		Key: "june +ü.csv", ETag: "e1", Upload: "0001", Size: int64(len(file)),
		Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(file[offset:])), nil
		},
		WriteReport: func(_ context.Context, write func(io.Writer) error) error { return write(io.Discard) },
	}
	for _, p := range w.Plugins {
		for _, task := range p.Tasks {
			if task.OnObject == nil {
				continue
			}
			for range 2 {
				w.Post("object", func(ctx context.Context, pr *sim.Process) error {
					return pr.OnObject(ctx, p.Name, task, o, func() bool { return w.Rand().IntN(2) == 0 })
				})
			}
		}
	}
}

// checkImport holds the run's counts to the file, and each good row to one product.
func checkImport(w *sim.World, defs map[string]es.AggregateDefinition) error {
	view := w.View("Catalog.ProductImports", "june +ü.csv")
	for _, want := range []string{`"status":"finished"`, `"rows":8`, `"added":4`, `"unchanged":2`, `"rejected":2`} {
		if !strings.Contains(view, want) {
			return fmt.Errorf("the import says %s, want %s", view, want)
		}
	}
	rows := 0
	for _, id := range w.StreamsOf("Catalog.Product") {
		events, _, err := w.Fold(defs["Catalog.Product"], id)
		if err != nil {
			return err
		}
		if events[0].Meta.User == "system" {
			rows++
		}
	}
	if rows != 4 {
		return fmt.Errorf("%d products were imported, want 4", rows)
	}
	return nil
}

// checkReplicas compares the aggregates that only extensions write to with what
// their sources' logs say.
func checkReplicas(w *sim.World, defs map[string]es.AggregateDefinition) error {
	targets := map[engine.Stream][][]es.Command{} // per target, the commands of each source stream in order
	for _, publisher := range w.Plugins {
		for _, pub := range publisher.Publications {
			for _, listener := range w.Plugins {
				for _, x := range listener.Extensions {
					if x.Point.Name != pub.Point.Name {
						continue
					}
					source := defs[pub.Source]
					for _, id := range w.StreamsOf(source.Name) {
						events, _, err := w.Fold(source, id)
						if err != nil {
							return err
						}
						sent := map[engine.Stream][]es.Command{}
						for _, e := range events {
							for _, out := range pub.Apply(e) {
								for _, c := range x.Apply(es.Recorded[any]{ID: x.Point.Key(out), Event: out, Time: e.Time, Meta: e.Meta}) {
									s := engine.Stream{Aggregate: c.Aggregate, ID: c.ID}
									sent[s] = append(sent[s], c)
								}
							}
						}
						for s, cs := range sent {
							targets[s] = append(targets[s], cs)
						}
					}
				}
			}
		}
	}
	for s, sources := range targets {
		d := defs[s.Aggregate]
		if !d.Internal {
			continue // users write there, too
		}
		events, _, err := w.Fold(d, s.ID)
		if err != nil {
			return err
		}
		var got, want []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%T%+v", e.Event, e.Event))
		}
		state := d.Initial
		for _, commands := range sources {
			for _, c := range commands {
				decided, err := d.Decide(c.Payload, state, es.Meta{})
				if err != nil {
					return err
				}
				for _, e := range decided {
					want = append(want, fmt.Sprintf("%T%+v", e, e))
					state = d.Evolve(e, state)
				}
			}
		}
		if len(sources) > 1 { // any interleaving of the sources will do: their commands commute
			if err := ordered(got, want); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s has %v, its sources say %v", s, got, want)
		}
	}
	return nil
}

// ordered says whether each order's events are in the order of its stream.
func ordered(got, want []string) error {
	for i, a := range want {
		for _, b := range want[i+1:] {
			_, idA, _ := strings.Cut(a, "{")
			_, idB, _ := strings.Cut(b, "{")
			if idA == idB && slices.Index(got, a) > slices.Index(got, b) {
				return fmt.Errorf("%s comes after %s", a, b)
			}
		}
	}
	return nil
}

// withoutFollowers are the plugins without Ordering's mappings and side effects.
func withoutFollowers(all []es.Plugin) []es.Plugin {
	return changed(all, func(p *es.Plugin) { p.Mappings, p.Tasks = nil, nil })
}

// otherView makes no rows of some ids, and overlooks some events.
type otherView struct{ es.AnyReadModel }

// Definition implements [es.AnyReadModel].
func (v otherView) Definition() es.ReadModelDefinition {
	d := v.AnyReadModel.Definition()
	project := d.Project
	d.Code = "other than " + d.Code
	d.Project = func(aggregate string, e es.Recorded[any], row any) any {
		if strings.HasSuffix(e.ID, "2") {
			return nil
		}
		if e.Version%3 == 0 {
			return row
		}
		return project(aggregate, e, row)
	}
	return d
}

// withOtherViews are the plugins with read models that make other rows.
func withOtherViews(all []es.Plugin) []es.Plugin {
	all = slices.Clone(all)
	for i := range all {
		all[i].ReadModels = slices.Clone(all[i].ReadModels)
		for j, m := range all[i].ReadModels {
			all[i].ReadModels[j] = otherView{m}
		}
	}
	return all
}

// fromBeginning are the plugins with Ordering's mappings and side effects acting
// on what was there before them.
func fromBeginning(all []es.Plugin) []es.Plugin {
	return changed(all, func(p *es.Plugin) {
		p.Mappings, p.Tasks = slices.Clone(p.Mappings), slices.Clone(p.Tasks)
		for i, m := range p.Mappings {
			p.Mappings[i] = m.FromBeginning()
		}
		for i := range p.Tasks {
			t := &p.Tasks[i]
			t.SideEffects = slices.Clone(t.SideEffects)
			for j, e := range t.SideEffects {
				t.SideEffects[j] = e.FromBeginning()
			}
		}
	})
}

func changed(all []es.Plugin, change func(ordering *es.Plugin)) []es.Plugin {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Name == "Ordering" {
			change(&all[i])
		}
	}
	return all
}

// isErased reports whether the customer of an order is erased.
func isErased(w *sim.World, placed engine.Commit) bool {
	var order struct{ CustomerID string }
	if err := json.Unmarshal(placed.Events[0].Data, &order); err != nil {
		return false
	}
	customer := engine.Stream{Aggregate: "Ordering.Customer", ID: order.CustomerID}
	for _, c := range w.Log(customer) {
		if c.Events[0].Type == "Erased" {
			return true
		}
	}
	return w.Forgotten(customer)
}

// checkOrders wants every placed order shipped or cancelled, and its customer told,
// but for those that were there before the mapping and the side effect. lost is what the
// shop sent that this one was restored from.
func checkOrders(w *sim.World, sent, lost outbox, calm, backfilled bool) error {
	const ship, confirm = "mapping:Ordering.AutoShip", "effect:Ordering.SendOrderConfirmation"
	for _, id := range w.StreamsOf("Ordering.Order") {
		log := w.Log(engine.Stream{Aggregate: "Ordering.Order", ID: id})
		old := func(follower string) bool {
			return !backfilled && w.Past(follower, log[0].Stream, 0, log[0].Meta.Time)
		}
		var types []string
		followed := false
		for _, c := range log {
			for _, e := range c.Events {
				types = append(types, e.Type)
			}
			followed = followed || strings.HasPrefix(c.Meta.Command.Origin, ship)
		}
		got := strings.Join(types, " ")
		told := sent[id]
		if w.Passed(confirm, log[0].Stream, 0) {
			told = lost[id]
			if sent[id] > 0 {
				return fmt.Errorf("order %s: it had its confirmation when the shop was backed up, and %d more after it was restored", id, sent[id])
			}
		}
		switch {
		case old(ship) && followed:
			return fmt.Errorf("order %s: %s, and was placed before the mapping began", id, got)
		case got != "Placed Shipped" && got != "Placed Cancelled" && !(got == "Placed" && old(ship)):
			return fmt.Errorf("order %s: %s", id, got)
		case old(confirm) && told > 0:
			return fmt.Errorf("order %s: %d confirmations, and was placed before the side effect began", id, told)
		case told == 0 && isErased(w, log[0]):
			// nobody is there to be told
		case !old(confirm) && (told == 0 || calm && told != 1):
			return fmt.Errorf("order %s: %d confirmations", id, told)
		}
	}
	return nil
}
