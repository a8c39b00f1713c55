package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"onlineshop/es/engine"
)

// A page that has read enough ends before it is full, and the next one goes on.
func TestASearchForARareWordGoesOnPageByPage(t *testing.T) {
	// Given a hundred products, every ninth of them a mug, and pages that read little
	defer func(n int) { sortedPages = n }(sortedPages)
	sortedPages = 1
	s := newShop(t)
	var mugs []string
	for i := range 100 {
		id, name := fmt.Sprintf("p%02d", i), "tea"
		if i%9 == 0 {
			name, mugs = "mug", append(mugs, id)
		}
		row, err := s.engine.Index(engine.Row{
			Model: "Catalog.Products", ID: id, Rev: 1, At: map[string]engine.Position{},
			View: json.RawMessage(fmt.Sprintf(`{"name":%q,"description":"","price":%d}`, name, i)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	for _, descending := range []bool{false, true} {
		for _, limit := range []int{1, 3, 50} {
			// When the mugs are searched, in order of their prices
			q := engine.Query{Model: "Catalog.Products", Sort: "price", Descending: descending, Words: []string{"mug"}, Limit: limit}
			var found []string
			pages, short := 0, 0
			for {
				rows, next, err := s.store.List(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					found = append(found, r.ID)
				}
				pages++
				if q.Cursor = next; next == "" {
					break
				}
				if len(rows) < limit {
					short++
				}
			}
			// Then each is there once, in order, and some pages were not full
			want := slices.Clone(mugs)
			if descending {
				slices.Reverse(want)
			}
			if !slices.Equal(found, want) || short == 0 {
				t.Errorf("descending %t, by %d: %v in %d pages of which %d were short, want %v", descending, limit, found, pages, short, want)
			}
		}
	}
}

func TestRowsOfAnEarlierDeclarationAreRefoldedByTheSchedule(t *testing.T) {
	// Given products that were stored before they could be sorted and searched
	s := newShop(t)
	s.given("Catalog.Product", "p1", "Add", `{"name":"Mug","description":"","price":9}`)
	s.given("Catalog.Product", "p2", "Add", `{"name":"Cup","description":"","price":5}`)
	for _, id := range []string{"p1", "p2"} {
		row, err := s.store.Row(t.Context(), "Catalog.Products", id)
		if err != nil {
			t.Fatal(err)
		}
		row.Rev, row.Sorted, row.Words, row.Made = row.Rev+1, nil, nil, 0
		if _, err := s.store.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	p := s.platforms["Catalog"]
	for turn, want := range []string{"", "p2 p1", "p2 p1"} {
		// When the schedule calls the plugin, again and again
		if _, err := p.tick(t.Context(), "Catalog"); err != nil {
			t.Fatal(err)
		}
		// Then /health says that lists miss them, until they don't
		rows, _, err := s.store.List(t.Context(), engine.Query{Model: "Catalog.Products", Sort: "price", Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		problems, refolded, err := p.outdated(t.Context(), "Catalog")
		if err != nil || strings.Join(ids, " ") != want || len(problems) > 0 != (turn == 0) {
			t.Errorf("turn %d: %v, want %s; problems %v, %v", turn, ids, want, problems, err)
		}
		if _, stale := refolded["Catalog.Products"]; stale != (turn == 0) {
			t.Errorf("turn %d: being refolded: %v", turn, refolded)
		}
		// And so do lists, of a process that begins to serve them
		p.outdatedViews.known = nil
		if stale, err := p.stale(t.Context(), "Catalog.Products"); err != nil || stale != (turn == 0) {
			t.Errorf("turn %d: stale %t, %v", turn, stale, err)
		}
	}
}
