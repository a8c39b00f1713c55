package es_test

import (
	"errors"
	"fmt"

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
	fmt.Printf("%T%v %v\n", e, e, err)
	// Output: es_test.Received{24} <nil>
}
