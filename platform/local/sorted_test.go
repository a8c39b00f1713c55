package local

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// declared returns the shop, with other sorts and searches of its products.
func declared(change func(es.ReadModelDefinition) es.ReadModelDefinition) []es.Plugin {
	plugins := shop(&outbox{}, 0)
	for _, p := range plugins {
		for i, m := range p.ReadModels {
			if d := m.Definition(); d.Name == "Products" {
				p.ReadModels[i] = redeclared{m, change(d)}
			}
		}
	}
	return plugins
}

type redeclared struct {
	es.AnyReadModel
	definition es.ReadModelDefinition
}

func (r redeclared) Definition() es.ReadModelDefinition { return r.definition }

func TestRowsOfAnEarlierDeclarationAreRefolded(t *testing.T) {
	// Given a shop whose products can't be sorted or searched
	dir := t.TempDir()
	p, err := Open(t.Context(), Options{Dir: dir, Logger: quiet, Plugins: declared(func(d es.ReadModelDefinition) es.ReadModelDefinition {
		d.Sorts, d.Searches = nil, nil
		return d
	})})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"Teapot", "Mug", "Müsli bowl"} {
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
	// When it is opened by a version that sorts and searches them
	p = open(t, Options{Dir: dir, Plugins: declared(func(d es.ReadModelDefinition) es.ReadModelDefinition {
		d.Sorts, d.Searches = []string{"name", "price"}, []string{"name"}
		return d
	})})
	list := func(q engine.Query) string {
		q.Model, q.Limit = "Catalog.Products", 10
		rows, _, err := p.engine.List(t.Context(), es.Caller{User: "ann"}, q)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		return strings.Join(ids, " ")
	}
	// Then lists find all of them, and /health no longer says that they may not
	if err := p.refold(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "problems", len(p.problems.list()), 0)
	expect(t, "by name", list(engine.Query{Sort: "name"}), "p1 p2 p0")
	expect(t, "by price, backwards", list(engine.Query{Sort: "price", Descending: true}), "p2 p1 p0")
	expect(t, "that begin with mu", list(engine.Query{Words: []string{"mu"}}), "p1 p2")
}

// Then a search passes over common words as well as it collects rare ones.
func TestASearchForACommonWordIsInOrder(t *testing.T) {
	// Given more rows with a word than are looked at one by one, every third of them blue
	const n = 2*rare + 1
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	putRows(t, s, n, func(i int) []string {
		if i%3 == 0 {
			return []string{"blue", "mug"}
		}
		return []string{"mug", "red"}
	})
	// When they are searched by two common words, page by page
	for _, sort := range []string{"", "price"} {
		q := engine.Query{Model: "A.Rows", Sort: sort, Words: []string{"mu", "re"}, Limit: 70}
		found, last := 0, ""
		for {
			rows, next, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				if key := q.Key(r); key <= last {
					t.Fatalf("sorted by %q: %q comes after %q", sort, key, last)
				} else {
					last = key
				}
			}
			found += len(rows)
			if q.Cursor = next; next == "" {
				break
			}
		}
		// Then each is found once, in order
		expect(t, "rows sorted by "+sort, found, n-(n+2)/3)
	}
}

// putRows stores n rows with prices in no order, and those words.
func putRows(t testing.TB, s *store, n int, words func(i int) []string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	work := make(chan error, 256)
	for range cap(work) {
		work <- nil
	}
	for i := range n {
		if err := <-work; err != nil {
			t.Fatal(err)
		}
		price := random.IntN(1_000_000)
		row := engine.Row{
			Model: "A.Rows", ID: fmt.Sprintf("row-%06d", i), Rev: 1, At: map[string]engine.Position{"A.B": {Next: 1, Version: 1}},
			View:    json.RawMessage(fmt.Sprintf(`{"name":%q,"price":%d,"description":%q}`, strings.Join(words(i), " "), price, strings.Repeat("x", 100))),
			Indexed: map[string]string{"color": fmt.Sprint("color", i%10)},
			Sorted:  map[string]string{"price": fmt.Sprintf("=%09d\x00row-%06d", price, i)}, Words: words(i),
		}
		go func() {
			_, err := s.Put(context.WithoutCancel(t.Context()), row)
			work <- err
		}()
	}
	for range cap(work) {
		if err := <-work; err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkSortedPage lists pages of 50 of 200,000 rows in several ways, and reports how
// long 99 of 100 take at most.
func BenchmarkSortedPage(b *testing.B) {
	s, err := openStore(b.Context(), storeOptions{dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.close() })
	const n = 200_000
	// Half have "common", one in 180 "seldom", one in 1,000 "rare".
	putRows(b, s, n, func(i int) []string {
		words := []string{fmt.Sprint("w", i)}
		for word, every := range map[string]int{"common": 2, "seldom": 180, "rare": 1000} {
			if i%every == 0 {
				words = append([]string{word}, words...)
			}
		}
		return engine.Words(strings.Join(words, " "))
	})
	random := rand.New(rand.NewPCG(3, 4))
	from := func() engine.Query {
		return engine.Query{Sort: "price", From: fmt.Sprintf("=%09d", random.IntN(900_000)), To: "~"}
	}
	for _, x := range []struct {
		name  string
		query func() engine.Query
	}{
		{"sorted", from},
		{"descending", func() engine.Query { q := from(); q.From, q.To, q.Descending = "=", q.From+"\x01", true; return q }},
		{"filtered", func() engine.Query { q := from(); q.Field, q.Value = "color", "color7"; return q }},
		{"common-word", func() engine.Query { q := from(); q.Words = []string{"common"}; return q }},
		{"seldom-word", func() engine.Query { q := from(); q.Words = []string{"seldom"}; return q }},
		{"rare-word", func() engine.Query { return engine.Query{Sort: "price", Words: []string{"rare"}} }},
		{"two-words", func() engine.Query { q := from(); q.Words = []string{"com", "sel"}; return q }},
		{"unsorted-word", func() engine.Query { return engine.Query{Words: []string{"seldom"}} }},
	} {
		b.Run(x.name, func(b *testing.B) {
			var took []time.Duration
			rows := 0
			for b.Loop() {
				q := x.query()
				q.Model, q.Limit = "A.Rows", 50
				start := time.Now()
				page, _, err := s.List(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				rows += len(page)
			}
			b.ReportMetric(percentile(took, 50), "p50-ms")
			b.ReportMetric(percentile(took, 99), "p99-ms")
			b.ReportMetric(float64(rows)/float64(len(took)), "rows/page")
		})
	}
}
