package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/httpapi"
)

type lamp struct{}

func (lamp) JSONSchema() string {
	return `{"type":"object","properties":{"name":{"type":"string"},"price":{"type":"number"},"made":{"type":"string","format":"date-time"},"lit":{"type":"boolean"},"parts":{"type":"array"}}}`
}

func lamps(t *testing.T) *api {
	var e *engine.Engine
	a := newAPI(t, func(c *httpapi.Config) {
		of := es.NewAggregate(es.AggregateRules[any, any, int]{Name: "A.Lamp"})
		rows := es.NewReadModel[lamp]("Lamps", es.From(of, func(es.Recorded[any]) es.Change[lamp] { return nil })).
			By("name").Sort("price", "name", "made", "lit").Search("name")
		c.Plugins = []es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{of}, ReadModels: []es.AnyReadModel{rows}}}
		var err error
		if e, err = engine.New(engine.Config{Plugins: c.Plugins, Rows: c.Engine.Rows, Clock: c.Engine.Clock}); err != nil {
			t.Fatal(err)
		}
		c.Engine = e
	})
	for id, view := range map[string]string{
		"a": `{"name":"Réd lamp","price":9.99,"made":"2026-01-02T00:00:00Z","lit":true}`,
		"b": `{"name":"red Lampshade","price":10,"lit":false}`,
		"c": `{"name":"Blue lamp","price":1e1}`,
		"d": `{"name":"bulb"}`,
	} {
		row, err := e.Index(engine.Row{Model: "A.Lamps", ID: id, View: json.RawMessage(view), Rev: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Put(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestListsAreSortedNarrowedAndSearched(t *testing.T) {
	a := lamps(t)
	for query, want := range map[string]string{
		"sort=price":                "abcd",
		"sort=-price":               "cbad",
		"sort=name":                 "cdab", // "blue lamp", "bulb", "red lamp", "red lampshade"
		"price.gte=10":              "bc",
		"price.gt=9.99&price.lt=10": "",
		"price.lte=10&sort=-price":  "cba",
		"q=LAMP":                    "abc",
		"q=lam+red&sort=-price":     "ba",
		"q=amp":                     "",
		"lit.gte=true":              "a",
		"name=Blue+lamp&q=blue&price.gt=9&sort=price":        "c",
		"made.lt=" + url.QueryEscape("2026-01-02T01:00:00Z"): "a",
	} {
		for _, limit := range []int{1, 2, 200} {
			got := ""
			for cursor := ""; ; {
				w := a.send("GET", fmt.Sprintf("/a/lamps?%s&limit=%d%s", query, limit, cursor), "")
				a.is(w, 200, "")
				var page struct {
					Items []struct{ ID string }
					Next  string
				}
				if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
					t.Fatal(err)
				}
				for _, row := range page.Items {
					got += row.ID
				}
				if page.Next == "" {
					break
				}
				cursor = "&cursor=" + page.Next
			}
			if got != want {
				t.Errorf("%s by %d: %q, want %q", query, limit, got, want)
			}
		}
	}
}

func TestASelectionThatIsNotDeclaredIsRefusedWithWhatIs(t *testing.T) {
	a := lamps(t)
	for query, says := range map[string]string{
		"sort=parts":                     "sort can be price, -price, name, -name",
		"sort=":                          "sort can be price",
		"sort=price&sort=name":           "more than once",
		"parts.gte=1":                    "but limit, cursor, name, sort, price.gte",
		"price=1":                        "but limit",
		"price.gte=cheap":                "price.gte must be a number",
		"price.gte=":                     "price.gte needs a value",
		"made.lt=yesterday":              "must be a time",
		"lit.lt=1":                       "must be true or false",
		"price.gte=1&name.lt=x":          "a range of price or of name",
		"price.gte=1&sort=-name":         "comes sorted by price",
		"q=":                             "q must have 1 to 10 words",
		"q=%21%21":                       "q must have 1 to 10 words",
		"q=" + strings.Repeat("x+", 129): "q must have 1 to 10 words",
		"q=1+2+3+4+5+6+7+8+9+10+11":      "q must have 1 to 10 words",
	} {
		w := a.send("GET", "/a/lamps?"+query, "")
		a.is(w, 400, "MalformedRequest")
		if !strings.Contains(w.Body.String(), says) {
			t.Errorf("%s: %s, want %q", query, w.Body, says)
		}
	}
	// A cursor is good for its own sort, range and search alone.
	var page struct{ Next string }
	if err := json.Unmarshal(a.send("GET", "/a/lamps?sort=price&limit=1", "").Body.Bytes(), &page); err != nil || page.Next == "" {
		t.Fatalf("no next page: %v", err)
	}
	a.is(a.send("GET", "/a/lamps?sort=price&cursor="+page.Next, ""), 200, "")
	for _, query := range []string{"", "sort=-price&", "sort=name&", "sort=price&price.gt=1&", "sort=price&q=lamp&"} {
		a.is(a.send("GET", "/a/lamps?"+query+"cursor="+page.Next, ""), 400, "MalformedRequest")
	}
}

func TestASortThatDoesNotFitIsAnErrorAtStart(t *testing.T) {
	of := es.NewAggregate(es.AggregateRules[any, any, int]{Name: "A.Lamp"})
	rows := es.NewReadModel[lamp]("Lamps", es.From(of, func(es.Recorded[any]) es.Change[lamp] { return nil }))
	for _, x := range []struct {
		es.AnyReadModel
		says string
	}{
		{rows.Sort("parts"), `A.Lamps: rows can't be sorted by "parts": name each once of their texts, numbers, prices, times and booleans: lit, made, name, price`},
		{rows.Sort("price", "price"), `sorted by "price": name each once`},
		{rows.Search("price"), `"price" can't be searched: name each once of its texts: name`},
	} {
		_, err := engine.New(engine.Config{Plugins: []es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{of}, ReadModels: []es.AnyReadModel{x}}}})
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%v, want %s", err, x.says)
		}
	}
}
