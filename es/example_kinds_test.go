package es_test

import (
	"errors"
	"fmt"
	"time"

	"onlineshop/es"
)

func ExampleParsePrice() {
	p, err := es.ParsePrice("9.90")
	fmt.Println(p, err)
	_, err = es.ParsePrice("9,90")
	fmt.Println(err)
	// Output:
	// 9.9 <nil>
	// must be 0 or up to 12 digits without leading zeros, then optionally a point and 1 to 4 digits, without sign or exponent
}

func ExamplePrice_Times() {
	mugs, err := es.MustPrice("6.95").Times(3)
	fmt.Println(mugs, err)
	total, err := mugs.Plus(es.MustPrice("4.50"))
	fmt.Println(total, err)
	_, err = total.Times(1_000_000_000_000)
	fmt.Println(err)
	// Output:
	// 20.85 <nil>
	// 25.35 <nil>
	// a price is between 0 and 999999999999.9999
}

func ExampleRejection() {
	err := error(ErrNotEnough.Because("only %d are left", 2).With("left", 2))
	fmt.Println(err)
	fmt.Println(errors.Is(err, ErrNotEnough))
	// Output:
	// NotEnough: only 2 are left
	// true
}

func ExampleAllowOwner() {
	access := es.AllowOwner(es.Admin)
	fmt.Println(access.AdmitsOwner(es.Caller{User: "ann"}, "ann"))
	fmt.Println(access.AdmitsOwner(es.Caller{User: "bob"}, "ann"))
	fmt.Println(access.AdmitsOwner(es.Caller{User: "bob", Groups: []string{es.Admin}}, "ann"))
	// Output:
	// true
	// false
	// true
}

// Rules that take the command's metadata know who sends it, and when.
func ExampleMeta() {
	shift := es.NewAggregate(es.AggregateRules[string, string, int]{
		Name: "Warehouse.Shift", // a package whose Command is decide(State, es.Meta) ([]Event, error)
		DecideMeta: func(command string, _ int, m es.Meta) ([]string, error) {
			if m.Time.Hour() < 8 {
				return nil, es.Conflict("TooEarly")
			}
			return []string{command + " by " + m.User}, nil
		},
	})
	for _, hour := range []int{7, 9} {
		fmt.Println(shift.Decide("started", 0, es.Meta{User: "ann", Time: time.Date(2026, 1, 2, hour, 0, 0, 0, time.UTC)}))
	}
	// Output:
	// [] TooEarly
	// [started by ann] <nil>
}

// A kitchen, which is another plugin, orders from the warehouse: Order stands in the
// warehouse's contract, as does Requests, which the generator writes.
func ExampleAsk() {
	type Order struct{ Thing string }
	requests := es.NewRequests(es.PointRules[Order]{Name: "Warehouse.Deliveries", Key: func(o Order) string { return o.Thing }})
	kitchen := es.NewAggregate(es.AggregateRules[string, string, int]{Name: "Kitchen.Pantry"})

	// The kitchen's side
	ask := es.Ask(kitchen, requests, func(e es.Recorded[string]) []Order { return []Order{{e.ID}} })
	// The warehouse's side
	accept := es.Accept("Deliveries", requests, Aggregate, func(e es.Recorded[Order]) es.Commands[Command] {
		return Aggregate.Send(e.ID, Take{1})
	})

	for _, order := range ask.Apply(es.Recorded[any]{ID: "salt", Event: "ran out"}) {
		fmt.Println(ask.Point.Name, order)
		for _, c := range accept.Apply(es.Recorded[any]{ID: accept.Point.Key(order), Event: order}) {
			fmt.Println(c.Aggregate, c.ID, c.Payload)
		}
	}
	// Output:
	// Kitchen.Warehouse.Deliveries {salt}
	// Warehouse.Stock salt {1}
}

// What could not be put back is noted with another stock.
func ExampleReact() {
	reorder := Reorder.OnRejected(es.React(Aggregate, func(r es.Rejected[Taken]) es.Commands[Command] {
		return Aggregate.Send("missing-"+r.ID, Receive{r.Event.Quantity})
	}))
	rejected := es.Rejected[any]{Recorded: es.Recorded[any]{ID: "pens", Event: Taken{3}}, Code: "NotEnough"}
	for _, c := range reorder.Rejected.Apply(rejected) {
		fmt.Println(c.Aggregate, c.ID, c.Payload)
	}
	// Output: Warehouse.Stock missing-pens {3}
}

// Version 1 of Received was called Delivered and counted in dozens.
func ExampleUpcast() {
	type delivered struct{ Dozens int }
	upcasters := es.Upcasters[Event]{
		es.Upcast("Delivered", 1, func(old delivered) Event { return Received{12 * old.Dozens} }),
	}
	stock := es.NewAggregate(es.AggregateRules[Command, Event, State]{
		Name: "Warehouse.Stock", Decide: Command.decide, Evolve: Event.evolve, Upcast: upcasters,
	})
	e, err := stock.Definition().DecodeEvent("Delivered", 1, []byte(`{"dozens":2}`))
	fmt.Println(e, err)
	// Output: [{24}] <nil>
}

// Exchanged was one event: what came and what went.
func ExampleUpcastMany() {
	type exchanged struct{ Came, Went int }
	upcasters := es.Upcasters[Event]{
		es.UpcastMany("Exchanged", 1, func(old exchanged) []Event { return []Event{Received{old.Came}, Taken{old.Went}} }),
	}
	stock := es.NewAggregate(es.AggregateRules[Command, Event, State]{
		Name: "Warehouse.Stock", Decide: Command.decide, Evolve: Event.evolve, Upcast: upcasters,
	})
	events, err := stock.Definition().DecodeEvent("Exchanged", 1, []byte(`{"came":5,"went":2}`))
	fmt.Println(events, err)
	// Output: [{5} {2}] <nil>
}
