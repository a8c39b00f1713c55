package es_test

import (
	"fmt"
	"strconv"

	"onlineshop/es"
	"onlineshop/es/wire"
)

// What a plugin's author writes in the aggregate's package: commands, events and
// errors as plain types, and the rule of each command and event.
type (
	Receive struct{ Quantity int }
	Take    struct{ Quantity int }

	Received Receive
	Taken    Take
)

var ErrNotEnough = es.Conflict("NotEnough")

// A type without its rule is neither a command nor an event.
type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

type State struct{ Quantity int }

func (e Received) evolve(s State) State { s.Quantity += e.Quantity; return s }
func (e Taken) evolve(s State) State    { s.Quantity -= e.Quantity; return s }

func (c Receive) decide(State) ([]Event, error) { return []Event{Received(c)}, nil }

func (c Take) decide(s State) ([]Event, error) {
	if c.Quantity > s.Quantity {
		return nil, ErrNotEnough.Because("only %d are left", s.Quantity)
	}
	return []Event{Taken(c)}, nil
}

// A read model: one row per aggregate.
type Level struct{ Quantity int }

var Levels = es.NewReadModel[Level]("Levels", es.From(Aggregate, func(e es.Recorded[Event]) es.Change[Level] {
	switch e := e.Event.(type) {
	case Received:
		return func(l *Level) *Level { // the first delivery makes the row
			if l == nil {
				l = &Level{}
			}
			return &Level{l.Quantity + e.Quantity}
		}
	case Taken:
		return es.Update(func(l Level) Level { l.Quantity -= e.Quantity; return l })
	}
	return nil
}))

// An event mapping: what is taken is ordered again.
var Reorder = es.NewMapping("Reorder", Aggregate, Aggregate, func(e es.Recorded[Taken]) es.Commands[Command] {
	return Aggregate.Send(e.ID, Receive(e.Event))
})

// What `go generate` writes: the aggregate with its wire form, and the row's.
var Aggregate = es.NewAggregate(es.AggregateRules[Command, Event, State]{
	Name: "Warehouse.Stock", Decide: Command.decide, Evolve: Event.evolve,
	Commands: []es.CommandType[Command]{
		{Name: "Receive", Schema: `{"type":"object"}`, Read: func(v wire.Value) Command { return Receive{readQuantity(v)} }},
		{Name: "Take", Schema: `{"type":"object"}`, Read: func(v wire.Value) Command { return Take{readQuantity(v)} }},
	},
	Events: []es.EventType[Event]{
		{Name: "Received", Version: 1, Schema: `{"type":"object"}`, Read: func(v wire.Value) Event { return Received{readQuantity(v)} }},
		{Name: "Taken", Version: 1, Schema: `{"type":"object"}`, Read: func(v wire.Value) Event { return Taken{readQuantity(v)} }},
	},
	Encode: func(c Command) (string, []byte, error) {
		switch c := c.(type) {
		case Receive:
			return "Receive", appendQuantity(nil, c.Quantity), nil
		case Take:
			return "Take", appendQuantity(nil, c.Quantity), nil
		}
		return "", nil, fmt.Errorf("%T is not a command of Warehouse.Stock", c)
	},
	Wire: func(e Event) (string, int, []byte, error) {
		switch e := e.(type) {
		case Received:
			return "Received", 1, appendQuantity(nil, e.Quantity), nil
		case Taken:
			return "Taken", 1, appendQuantity(nil, e.Quantity), nil
		}
		return "", 0, nil, fmt.Errorf("%T is not an event of Warehouse.Stock", e)
	},
})

func readQuantity(v wire.Value) int {
	f := v.Fields()
	defer f.Done()
	return int(f.Field("quantity").Int(64))
}

func appendQuantity(b []byte, n int) []byte {
	return append(strconv.AppendInt(wire.AppendName(append(b, '{'), "quantity"), int64(n), 10), '}')
}

func (l Level) MarshalJSON() ([]byte, error) { return appendQuantity(nil, l.Quantity), nil }

func (l *Level) UnmarshalJSON(b []byte) (err error) {
	l.Quantity, err = wire.ReadStored(b, readQuantity)
	return err
}

func (Level) JSONSchema() string { return `{"type":"object"}` }

// A stock of things: an aggregate with a read model and an event mapping.
// Package estest tests such components in a line each.
func Example() {
	stock := Aggregate.Fold(State{}, Received{10}, Taken{3})
	fmt.Println("in stock:", stock.Quantity)

	events, err := Aggregate.Decide(Take{5}, stock, es.Meta{})
	fmt.Printf("take 5: %T%v, %v\n", events[0], events[0], err)
	_, err = Aggregate.Decide(Take{8}, stock, es.Meta{})
	fmt.Println("take 8:", err)

	var row *Level
	for _, e := range []Event{Received{10}, Taken{3}} {
		row = Levels.Project(Aggregate.Name(), es.Recorded[any]{ID: "pens", Event: e}, row)
	}
	fmt.Println("the row:", *row)

	for _, c := range Reorder.Apply(es.Recorded[any]{ID: "pens", Event: Taken{3}}) {
		fmt.Printf("the mapping sends: %s %s %T%v\n", c.Aggregate, c.ID, c.Payload, c.Payload)
	}
	// Output:
	// in stock: 7
	// take 5: es_test.Taken{5}, <nil>
	// take 8: NotEnough: only 7 are left
	// the row: {7}
	// the mapping sends: Warehouse.Stock pens es_test.Receive{3}
}
