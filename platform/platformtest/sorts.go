package platformtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"onlineshop/es/engine"
)

// sortedRows are rows to sort and search, in no order: the letter that ends the id, what
// is in the view, the row's owner and its color.
var sortedRows = []struct{ letter, fields, owner, color string }{
	{"k", `"size":9.99,"name":"mug","at":"2026-01-02T00:00:00Z","on":true`, "sue", "sand"},
	{"b", `"size":10,"name":"Mug","at":"2026-01-02T00:00:00.001Z","on":false`, "sam", "sand"},
	{"c", `"size":-10,"name":"Müg, red","on":true`, "sue", "silk"},
	{"a", `"size":9.99,"name":"müg","at":"2026-01-01T23:59:59.999Z"`, "sam", "silk"},
	{"e", `"name":"Mugs \u0000and cups"`, "sue", "sand"},
	{"f", `"size":0,"name":""`, "sam", "sand"},
	{"g", `"size":-9.5e-7,"name":"一二, café","at":"0001-01-01T00:00:00Z"`, "sue", "silk"},
	{"h", `"size":999999999999.9999,"name":"😀 CUPS cups","on":false`, "sam", "sand"},
	{"i", `"size":999999999999.9998,"name":"Straße"`, "sue", "sand"},
	{"j", `"size":9007199254740993,"name":"strasse 9","at":"2026-01-02T00:00:00.000Z"`, "sam", "silk"},
	{"d", `"size":9.990`, "sue", "sand"},
	{"l", ``, "sam", ""},
}

func testSorts(t *testing.T, p Ports) {
	put := func(t *testing.T, id string, rev int64, fields, owner, color string) {
		t.Helper()
		view := ""
		if owner != "" {
			view = strings.TrimSuffix("{"+fields+`,"color":"`+color+`"`, `,"color":""`) + "}"
		}
		r, err := p.Engine.Index(row(id, rev, strings.Replace(view, "{,", "{", 1), owner, ""))
		if err != nil {
			t.Fatalf("index row %s: %v", r.ID, err)
		}
		if lost, err := p.Rows.Put(t.Context(), r); err != nil || lost {
			t.Fatalf("put row %s at revision %d: lost %t, %v", r.ID, r.Rev, lost, err)
		}
	}
	// found is the letters of the rows that a query finds, page by page.
	found := func(t *testing.T, q engine.Query) string {
		t.Helper()
		var all strings.Builder
		for q.Model, q.Cursor = probesView, ""; ; {
			rows, next, err := p.Rows.List(t.Context(), q)
			if err != nil || len(rows) > q.Limit {
				t.Fatalf("list %+v: %d rows, %v", q, len(rows), err)
			}
			for _, r := range rows {
				want, err := p.Rows.Row(t.Context(), probesView, r.ID)
				if err != nil {
					t.Fatalf("row %s: %v", r.ID, err)
				}
				same(t, fmt.Sprintf("list %+v: row %s", q, r.ID), r, want)
				all.WriteString(strings.TrimPrefix(r.ID, "sorted-"))
			}
			if q.Cursor = next; next == "" {
				return all.String()
			}
		}
	}
	by := func(q engine.Query, owner, color string) engine.Query {
		if q.Owner = owner; color != "" {
			q.Field, q.Value = "color", color
		}
		return q
	}
	in := func(q engine.Query, o engine.Order, bounds ...string) engine.Query {
		for i := 0; i < len(bounds); i += 2 {
			if err := q.Range(o, bounds[i], bounds[i+1]); err != nil {
				t.Fatalf("%s %s: %v", bounds[i], bounds[i+1], err)
			}
		}
		return q
	}
	find := func(q engine.Query, text string) engine.Query { q.Words = engine.Words(text); return q }
	down := func(q engine.Query) engine.Query { q.Descending = true; return q }
	size, name := engine.Query{Sort: "size"}, engine.Query{Sort: "name"}
	at, on := engine.Query{Sort: "at"}, engine.Query{Sort: "on"}

	for _, r := range sortedRows {
		put(t, "sorted-"+r.letter, 1, r.fields, r.owner, r.color)
	}
	for _, x := range []struct {
		engine.Query
		want string
	}{
		{size, "cgfadkbihjel"},
		{down(size), "jhibkdafgcle"},
		{name, "fbkaceijghdl"},
		{down(name), "hgjiecakbfld"},
		{at, "gajkbcdefhil"},
		{on, "bhckadefgijl"},
		{down(on), "kchbljigfeda"},
		{in(size, engine.ByNumber, "gte", "9.99"), "adkbihj"},
		{in(size, engine.ByNumber, "gt", "9.990", "lt", "999999999999.9999"), "bi"},
		{in(down(size), engine.ByNumber, "lte", "0"), "fgc"},
		{in(size, engine.ByNumber, "gt", "9.99", "lt", "9.99"), ""},
		{in(size, engine.ByNumber, "gt", "10", "lt", "1"), ""},
		{in(name, engine.ByText, "gte", "mug", "lte", "MÜG"), "bka"},
		{in(name, engine.ByText, "gt", "mug", "lt", "s"), "ce"},
		{in(at, engine.ByTime, "gte", "2026-01-02T01:00:00+01:00"), "jkb"},
		{in(on, engine.ByTruth, "gte", "true"), "ck"},
		{by(size, "sue", ""), "cgdkie"},
		{by(down(size), "", "sand"), "hibkdfe"},
		{by(size, "sam", "sand"), "fbh"},
		{by(size, "", "nobody's"), ""},
		{by(name, "nobody", ""), ""},
		{find(size, "mug"), "cakbe"},
		{find(down(name), "MÜGS"), "e"},
		{find(name, "cup mug"), "e"},
		{find(name, "cu"), "eh"},
		{find(size, "CAFE\u0301"), "g"},
		{find(size, "strass"), "ij"},
		{find(name, "ug"), ""},
		{find(by(size, "sue", "sand"), "mug"), "ke"},
		{in(find(by(size, "", "sand"), "mug"), engine.ByNumber, "lt", "10"), "k"},
	} {
		for _, x.Limit = range []int{1, 2, 3, 5, 200} {
			if got := found(t, x.Query); got != x.want {
				t.Errorf("list %+v: rows %q, expected %q", x.Query, got, x.want)
			}
		}
	}
	t.Run("a search in no order finds the same", func(t *testing.T) {
		for _, limit := range []int{1, 3, 200} {
			got := strings.Split(found(t, engine.Query{Words: []string{"mug"}, Limit: limit}), "")
			slices.Sort(got)
			same(t, "found", strings.Join(got, ""), "abcek")
			same(t, "an owner's", found(t, by(engine.Query{Words: []string{"mugs"}, Limit: limit}, "sue", "sand")), "e")
		}
	})
	t.Run("a row that changes moves, and one that is deleted is found no more", func(t *testing.T) {
		expect := func(bySize, byName, mugs, jars string) {
			t.Helper()
			size.Limit, name.Limit = 2, 2
			same(t, "by size", found(t, size), bySize)
			same(t, "by name", found(t, name), byName)
			same(t, "mugs", found(t, find(size, "mug")), mugs)
			same(t, "jars", found(t, find(size, "jar")), jars)
		}
		put(t, "sorted-k", 2, `"size":-11,"name":"jar"`, "sue", "sand")
		expect("kcgfadbihjel", "fkbaceijghdl", "cabe", "k")
		put(t, "sorted-k", 3, `"name":"jar"`, "sue", "sand")
		expect("cgfadbihjekl", "fkbaceijghdl", "cabe", "k")
		put(t, "sorted-k", 4, "", "", "")
		expect("cgfadbihjel", "fbaceijghdl", "cabe", "")
		put(t, "sorted-k", 5, `"size":9.99,"name":"mug"`, "sue", "sand")
		expect("cgfadkbihjel", "fbkaceijghdl", "cakbe", "")
	})
	t.Run("a cursor is good for its own order alone", func(t *testing.T) {
		size.Model, size.Limit = probesView, 1
		_, next, err := p.Rows.List(t.Context(), size)
		if err != nil || next == "" {
			t.Fatalf("a page of one row: next %q, %v", next, err)
		}
		for _, other := range []engine.Query{name, down(size), in(size, engine.ByNumber, "gt", "0"), find(size, "mug"), by(size, "sue", ""), {}} {
			other.Model, other.Limit, other.Cursor = probesView, 1, next
			if _, _, err := p.Rows.List(t.Context(), other); !errors.Is(err, engine.ErrCursor) {
				t.Errorf("list %+v: %v; ErrCursor was expected", other, err)
			}
		}
	})
	t.Run("no text and no id is too long", func(t *testing.T) {
		var want []string
		for i := range 3 {
			want = append(want, strings.Repeat("long-", 200)+fmt.Sprint(i))
			put(t, want[i], 1, `"name":"`+strings.Repeat("é", 700)+`"`, "lou", "long")
		}
		got := found(t, engine.Query{Sort: "name", Field: "color", Value: "long", Limit: 1})
		for _, id := range want {
			if strings.Count(got, id) != 1 {
				t.Errorf("a row is found %d times", strings.Count(got, id))
			}
		}
	})
}
