package aws

import (
	"context"
	"testing"

	"onlineshop/es"
	"onlineshop/platform/aws/wiring"
)

func TestWhatATaskReadsCostsAsTheDocumentationSays(t *testing.T) {
	// Given two products, and a function that is told of their log and their view alone
	s := newShop(t)
	s.given("Catalog.Product", "p1", "Add", tea)
	s.given("Catalog.Product", "p2", "Add", tea)
	catalog := s.Plugins[0]
	w := s.cloud.wiring
	for range 2 { // as the schedule has seen that all rows are of the present code
		if err := s.Platform.refold(t.Context(), catalog.Name); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(Options{Config: s.config(), Plugins: []es.Plugin{catalog}, Version: "test", Wiring: wiring.Wiring{
		Plugins: map[string]wiring.PluginWiring{catalog.Name: {Events: w.Plugins[catalog.Name].Events, Cursors: w.Plugins[catalog.Name].Cursors}},
		Rows:    map[string]string{"Catalog.Products": w.Rows["Catalog.Products"]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if stale, err := p.stale(t.Context(), "Catalog.Products"); stale || err != nil { // it reads that once
		t.Fatal(stale, err)
	}
	var products es.AnyReadModel
	for _, m := range catalog.ReadModels {
		if m.Name() == "Products" {
			products = m
		}
	}
	var product es.AnyAggregate
	for _, a := range catalog.Aggregates {
		if a.Definition().Name == "Catalog.Product" {
			product = a
		}
	}
	for _, x := range []struct {
		what  string
		units float64
		read  func(ctx context.Context, s es.Shop) (found int, err error)
		want  int
	}{
		{"a row", 3, func(ctx context.Context, s es.Shop) (int, error) {
			row, err := s.Row(ctx, products, "p1")
			if row == nil {
				return 0, err
			}
			return 1, err
		}, 1},
		{"a list", 0.5, func(ctx context.Context, s es.Shop) (found int, err error) {
			for _, err = range s.List(ctx, products, es.Query{}) {
				found++
			}
			return found, err
		}, 2},
		{"a sorted list", 4, func(ctx context.Context, s es.Shop) (found int, err error) {
			for _, err = range s.List(ctx, products, es.Query{Sort: "-price", AtLeast: 5, Search: "tea"}) {
				found++
			}
			return found, err
		}, 2},
		{"ids", 1, func(ctx context.Context, s es.Shop) (found int, err error) {
			for _, err = range s.IDs(ctx, product) {
				found++
			}
			return found, err
		}, 2},
	} {
		// When a task reads
		var cost cost
		task := es.Task{Name: "Report", Reads: []es.Readable{products.(es.Readable), product.(es.Readable)}}
		task.OnObject = func(ctx context.Context, _ es.Object, shop es.Shop) error {
			var found int
			var err error
			cost = s.sum(s.during(func() { found, err = x.read(ctx, shop) }))
			if found != x.want {
				t.Errorf("%s: found %d, want %d", x.what, found, x.want)
			}
			return err
		}
		if err := p.engine.OnObject(t.Context(), catalog.Name, task, es.Object{}, stays); err != nil {
			t.Fatalf("%s: %v", x.what, err)
		}
		// Then it finds them, for so much
		if cost.read != x.units || cost.requests != cost.reads {
			t.Errorf("%s costs %v, want %.1f RCU and nothing else", x.what, cost, x.units)
		}
	}
}
