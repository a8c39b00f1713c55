package local

import (
	"encoding/json"
	"fmt"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

func TestAViewWhoseCodeHasChangedIsStaleUntilItIsRefolded(t *testing.T) {
	// Given a shop with products, which is closed
	dir := t.TempDir()
	p, err := Open(t.Context(), Options{Dir: dir, Logger: quiet, Plugins: shop(&outbox{}, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"Teapot", "Mug"} {
		payload, _ := json.Marshal(map[string]any{"name": name, "description": "", "price": i})
		if err := order(t.Context(), p, "Catalog.Product", fmt.Sprint("p", i), "Add", string(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// When a version opens it that makes something else of products, and takes its time
	begin := make(chan struct{})
	p = open(t, Options{Dir: dir, Plugins: declared(func(d es.ReadModelDefinition) es.ReadModelDefinition {
		project := d.Project
		d.Code, d.Project = "other", func(aggregate string, e es.Recorded[any], row any) any {
			<-begin
			if e.ID == "p1" {
				return nil
			}
			return project(aggregate, e, row)
		}
		return d
	})})
	is := func(when string, want bool) {
		t.Helper()
		stale, err := p.engine.Stale(t.Context(), "Catalog.Products")
		expect(t, "stale "+when, fmt.Sprint(stale, err), fmt.Sprint(want, nil))
		h, err := p.Health(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "problems "+when, len(h.Problems), map[bool]int{true: 1}[want])
		for _, c := range h.Plugins[0].Consumers {
			shown := want && c.Name == "readmodel:Catalog.Products"
			expect(t, c.Name+" is shown as stale "+when, c.Stale && c.Refolded != nil, shown)
		}
	}
	// Then lists and /health say that it is stale, until all rows are the present code's
	is("at first", true)
	close(begin)
	if err := p.refold(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("at the end", false)
	expect(t, "the teapot", view(t, p, "Catalog.Products", "p0"), `{"name":"Teapot","description":"","price":0}`)
	rows, _, err := p.engine.List(t.Context(), es.Caller{User: "ann"}, engine.Query{Model: "Catalog.Products", Limit: 10})
	if err != nil || len(rows) != 1 {
		t.Errorf("listed: %v, %v", rows, err)
	}
}
