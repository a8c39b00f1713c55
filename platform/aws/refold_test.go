package aws

import (
	"testing"

	"onlineshop/platform/aws/wiring"
)

func TestACheckTellsWhereRowsDifferAndLeavesThem(t *testing.T) {
	// Given a product whose row is not what its log says
	s := newShop(t)
	s.given("Catalog.Product", "p1", "Add", `{"name":"Mug","description":"","price":9}`)
	s.given("Catalog.Product", "p2", "Add", `{"name":"Cup","description":"","price":5}`)
	row, err := s.store.Row(t.Context(), "Catalog.Products", "p1")
	if err != nil {
		t.Fatal(err)
	}
	right := string(row.View)
	row.View, row.Rev = []byte(`{"name":"Mug","description":"","price":8}`), row.Rev+1
	if lost, err := s.store.Put(t.Context(), row); err != nil || lost {
		t.Fatal(lost, err)
	}
	p := s.platforms["Catalog"]
	for _, x := range []struct{ do, want string }{
		// When it is compared, then the difference is told, and it is there until a rebuild
		{wiring.DoCheck, `[{"id":"p1","field":"price","stored":8,"folded":9}]`},
		{wiring.DoCheck, `[{"id":"p1","field":"price","stored":8,"folded":9}]`},
		{wiring.DoRebuild, ""},
		{wiring.DoCheck, ""},
	} {
		a, err := p.do(t.Context(), "Catalog", wiring.Operation{Do: x.do, ReadModel: "Catalog.Products"})
		if err != nil || string(a.Differences) != x.want || a.Done != 2 || a.Next != "" {
			t.Errorf("%s: %s, %d done, next %q, %v; want %s", x.do, a.Differences, a.Done, a.Next, err, x.want)
		}
	}
	if row, err = s.store.Row(t.Context(), "Catalog.Products", "p1"); err != nil || string(row.View) != right {
		t.Errorf("the row is %s, %v, want %s", row.View, err, right)
	}
}
