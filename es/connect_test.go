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

func TestADueTimeIsOfTheMappingsEvents(t *testing.T) {
	ofTaken := es.NewMapping("M", Aggregate, Aggregate, func(es.Recorded[Taken]) es.Commands[Command] { return nil })
	ofAny := es.NewMapping("M", Aggregate, Aggregate, func(es.Recorded[Event]) es.Commands[Command] { return nil })
	taken := es.At(func(es.Recorded[Taken]) time.Time { return time.Unix(1, 0) })
	anyOfThem := es.At(func(es.Recorded[Event]) time.Time { return time.Unix(1, 0) })
	other := es.At(func(es.Recorded[stray]) time.Time { return time.Unix(1, 0) })
	for name, c := range map[string]struct {
		of      es.Mapping
		due     es.DueTime
		refused any
	}{
		"the event":             {ofTaken, taken, nil},
		"its union":             {ofTaken, anyOfThem, nil},
		"another event":         {ofTaken, other, "mapping M is of es_test.Taken: Due wants an es.At of it, or of its union"},
		"one event of a union":  {ofAny, taken, nil},
		"the union":             {ofAny, anyOfThem, nil},
		"one that is not of it": {ofAny, other, "mapping M: es_test.stray, which its es.At is of, is not an event of Warehouse.Stock"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got := recover(); got != c.refused {
					t.Errorf("it says %v, want %v", got, c.refused)
				}
			}()
			if at := c.of.Due(c.due).DueAt(es.Recorded[any]{Event: Taken{}}); !at.Equal(time.Unix(1, 0)) {
				t.Errorf("due at %s", at)
			}
		})
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
