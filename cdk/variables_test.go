package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

// ofViews is a plugin with so many views.
func ofViews(plugin string, n int) es.Plugin {
	source := es.NewAggregate(es.AggregateRules[any, any, struct{}]{Name: plugin + ".Thing", Internal: true})
	p := es.Plugin{Name: plugin, Aggregates: []es.AnyAggregate{source}}
	for i := range n {
		p.ReadModels = append(p.ReadModels, es.NewReadModel(fmt.Sprintf("ThingsInOneWay%d", i), es.From(source, func(es.Recorded[any]) es.Change[row] { return nil })))
	}
	return p
}

func TestAStackHasRoomForMoreThanAVariableHolds(t *testing.T) {
	// Given plugins with more tables than the query function's variables have room for, and one
	// with more than a function of its own has
	wide := []es.Plugin{ofViews("Broad", 25), ofViews("Wide", 25)}
	m := synthesized(nil, slices.Concat(deployedPlugins, wide, []es.Plugin{ofViews("Vast", 60)}))
	// Then functions are told no more than there is room for
	for name := range m.of("AWS::Lambda::Function") {
		if size := m.size(name); size > wiring.MaxVariables && !strings.HasPrefix(name, "Vast") {
			t.Errorf("%s has %d bytes of variables", name, size)
		}
	}
	// And the query function may ask for the rest
	told := func(function string) (w wiring.Wiring) {
		if err := json.Unmarshal([]byte(text(m.get(t, "AWS::Lambda::Function", function).variables()[wiring.Variable])), &w); err != nil {
			t.Fatalf("wiring of %s: %v", function, err)
		}
		return w
	}
	query := told("Query")
	if !query.Rest || len(query.Rows) > 0 || query.Buckets["Catalog.ImportProducts"] == "" {
		t.Errorf("the query function is told %+v", query)
	}
	may := m.permissions()["Query"]
	for _, p := range wide {
		name := query.Plugins[p.Name].EventMapping
		if name != p.Name+"EventMapping" || len(told(name).Rows) != len(p.ReadModels) {
			t.Errorf("%q is to tell what %s has", name, p.Name)
		}
		if !slices.Contains(may, permission{"lambda:GetFunctionConfiguration", name, ""}) {
			t.Errorf("it may not ask %s", name)
		}
	}
	// And whoever deploys it hears of what is too much
	if !slices.ContainsFunc(m.warnings, func(w string) bool { return strings.Contains(w, "VastEventMapping may take") }) ||
		slices.ContainsFunc(m.warnings, func(w string) bool {
			return strings.Contains(w, "of the function Query") || strings.Contains(w, "Wide")
		}) {
		t.Errorf("the warnings are %q", m.warnings)
	}
	// And a shop's two plugins need no such call
	if w := usual().get(t, "AWS::Lambda::Function", "Query").variables()[wiring.Variable]; strings.Contains(text(w), `"rest"`) {
		t.Errorf("the usual query function is told %s", text(w))
	}
}
