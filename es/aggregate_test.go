package es_test

import (
	"errors"
	"strings"
	"testing"

	"onlineshop/es"
)

// Where a command may be sent is what its rule says of it without values.
func TestWhatACommandIsForIsToldByItsRule(t *testing.T) {
	type (
		rule  func(opened bool) bool // whether it accepts; nil: it can't tell
		reach struct{ creates, changes bool }
	)
	always, onlyOpened, onlyNew := rule(func(bool) bool { return true }), rule(func(o bool) bool { return o }), rule(func(o bool) bool { return !o })
	never := rule(func(bool) bool { return false }) // without values
	for _, c := range []struct {
		name   string
		rule   rule
		marked bool
		want   reach
	}{
		{"creates", onlyNew, false, reach{creates: true}},
		{"changes", onlyOpened, false, reach{changes: true}},
		{"does both", always, false, reach{true, true}},
		{"wants values", never, false, reach{changes: true}},
		{"wants values, and is marked", never, true, reach{creates: true}},
		{"relies on values", nil, false, reach{changes: true}},
		{"relies on values, and is marked", nil, true, reach{creates: true}},
	} {
		a := es.NewAggregate(es.AggregateRules[rule, string, bool]{
			Name: "Cellar.Bottle",
			Decide: func(c rule, opened bool) ([]string, error) {
				if !c(opened) {
					return nil, errors.New("no")
				}
				return []string{"Opened"}, nil
			},
			Evolve:   func(string, bool) bool { return true },
			Commands: []es.CommandType[rule]{{Name: "Open", Zero: c.rule, Creates: c.marked, Schema: "{}"}},
		})
		d := a.Definition().Commands[0]
		if got := (reach{d.Creates, d.Changes}); got != c.want {
			t.Errorf("a command that %s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestAnUnknownEventMayBeOfALaterOrAnEarlierVersion(t *testing.T) {
	_, err := Aggregate.Definition().DecodeEvent("Delivered", 1, []byte(`{}`))
	if !errors.Is(err, es.ErrUnknownType) || !strings.Contains(err.Error(), "no es.Upcast reads it") {
		t.Errorf("got %v, want what to do about either", err)
	}
}
