package es_test

import (
	"context"
	"testing"
	"time"

	"onlineshop/es"
)

// stray is no event of the stock.
type stray struct{}

func TestWhatWaitsForAnotherAggregatesEventIsRefused(t *testing.T) {
	for name, declare := range map[string]func(){
		"mapping": func() {
			es.NewMapping("M", Aggregate, Aggregate, func(es.Recorded[stray]) es.Commands[Command] { return nil })
		},
		"projection": func() { es.From(Aggregate, func(es.Recorded[stray]) es.Change[Level] { return nil }) },
		"side effect": func() {
			es.NewSideEffect("S", Aggregate, func(context.Context, es.Reader, es.Recorded[stray]) error { return nil })
		},
		"side effect at the boundary": func() {
			point := es.NewPoint(es.PointRules[Event]{Name: "Warehouse.Stock"})
			es.NewBoundarySideEffect("B", point, func(context.Context, es.Reader, es.Recorded[stray]) error { return nil })
		},
	} {
		func() {
			defer func() {
				if got, want := recover(), "es_test.stray is not an event of Warehouse.Stock"; got != want {
					t.Errorf("%s: %v, want %s", name, got, want)
				}
			}()
			declare()
		}()
	}
}

func TestAConnectionSeesTheEnvelope(t *testing.T) {
	given := es.Recorded[any]{ID: "pens", Event: Taken{3}, Version: 2, Time: time.Unix(5, 0), Meta: es.Meta{User: "ann"}}
	var got es.Recorded[Event]
	es.NewMapping("M", Aggregate, Aggregate, func(e es.Recorded[Event]) es.Commands[Command] { got = e; return nil }).Apply(given)
	if want := (es.Recorded[Event]{ID: "pens", Event: Taken{3}, Version: 2, Time: time.Unix(5, 0), Meta: es.Meta{User: "ann"}}); got != want {
		t.Errorf("it sees %+v, want %+v", got, want)
	}
}
