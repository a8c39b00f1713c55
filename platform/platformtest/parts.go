package platformtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// holdRow is a row of Holders, by who holds books.
type holdRow struct {
	Books  int         `json:"books"`
	Worth  json.Number `json:"worth"`
	Least  int         `json:"least"`
	Latest *time.Time  `json:"latest,omitempty"`
}

// JSONSchema implements [es.View].
func (holdRow) JSONSchema() string {
	return `{"type":"object","properties":{"books":{"type":"integer"},"worth":{"type":"number"},"least":{"type":"integer"},"latest":{"type":"string","format":"date-time"}},"required":["books","worth","least"],"additionalProperties":false}`
}

// holds moves a book's part to who has borrowed it: to "held by <names>", to each of them.
func holds(r es.Recorded[note]) (parts es.Changes[holdRow]) {
	names, held := strings.CutPrefix(r.Event.Text, "held by ")
	if r.Event.Kind != "Lent" || !held {
		return nil
	}
	parts = parts.DeleteAll()
	for _, name := range strings.Fields(names) {
		row := holdRow{Books: 1, Worth: "0.1", Least: int(r.Version)}
		if r.Version > 2 {
			at := time.Unix(r.Version, 0).UTC()
			row.Worth, row.Latest = "19.95", &at
		}
		parts = parts.Set(name, row)
	}
	return parts
}

func testParts(t *testing.T, p Ports) {
	run := func(name string, do func(scene)) { p.scene(t, name, do) }
	row := func(s scene, key string) string {
		s.Helper()
		r, err := s.Engine.Row(s.Context(), ada, holdersView, key, nil)
		if errors.Is(err, engine.ErrNotFound) {
			return ""
		}
		if err != nil {
			s.Fatalf("row %s: %v", key, err)
		}
		return string(r.View)
	}
	list := func(s scene, prefix string, limit int) (keys []string) {
		s.Helper()
		for cursor := ""; ; {
			rows, next, err := s.Engine.List(s.Context(), ada, engine.Query{Model: holdersView, Limit: limit, Cursor: cursor})
			if err != nil || len(rows) > limit {
				s.Fatalf("list: %d rows, %v", len(rows), err)
			}
			for _, r := range rows {
				if strings.HasPrefix(r.ID, prefix) {
					same(s.T, "row "+r.ID, row(s, r.ID), string(r.View))
					keys = append(keys, r.ID)
				}
			}
			if cursor = next; next == "" {
				slices.Sort(keys)
				return keys
			}
		}
	}
	rebuild := func(s scene) {
		s.Helper()
		s.steps("rebuild", func(cursor string) (engine.Progress, error) {
			return s.Engine.Rebuild(s.Context(), holdersView, cursor)
		})
	}
	run("parts are merged field by field, and move", func(s scene) {
		for _, id := range []string{"part-1", "part-2", "part-3"} {
			s.acquire(ada, id, id)
			s.lend(id, "held by sum-a")
		}
		s.settle()
		same(s.T, "three", row(s, "sum-a"), `{"books":3,"worth":0.3,"least":2}`)
		same(s.T, "none", row(s, "sum-b"), "")
		s.lend("part-1", "held by sum-b")
		s.lend("part-2", "nobody new")
		s.lend("part-2", "held by sum-a sum-b")
		s.settle()
		same(s.T, "a", row(s, "sum-a"), `{"books":2,"worth":20.05,"least":2,"latest":"1970-01-01T00:00:04Z"}`)
		same(s.T, "b", row(s, "sum-b"), `{"books":2,"worth":39.9,"least":3,"latest":"1970-01-01T00:00:04Z"}`)
		for _, id := range []string{"part-1", "part-2", "part-3"} {
			s.again(id)
		}
		for _, limit := range []int{1, 2, 100} {
			same(s.T, "keys", list(s, "sum-", limit), []string{"sum-a", "sum-b"})
		}
		rebuild(s)
		same(s.T, "a, rebuilt", row(s, "sum-a"), `{"books":2,"worth":20.05,"least":2,"latest":"1970-01-01T00:00:04Z"}`)
		s.lend("part-2", "held by")
		s.lend("part-2", "held by ")
		s.lend("part-1", "held by sum-a")
		s.settle()
		same(s.T, "a key without parts", row(s, "sum-b"), "")
		same(s.T, "keys", list(s, "sum-", 1), []string{"sum-a"})
	})
	run("many contribute to one key at a time, and to many keys", func(s scene) {
		r := rand.New(rand.NewPCG(3, 4))
		var wg sync.WaitGroup
		want := map[string]int{}
		for i := range 24 {
			a, b := fmt.Sprint("many-", r.IntN(9)), fmt.Sprint("many-", r.IntN(9))
			want[b]++
			if a != b {
				want[a]++
			}
			id := fmt.Sprint("crowd-", i)
			wg.Go(func() {
				s.acquire(ada, id, id)
				s.lend(id, "held by many-all")
				s.lend(id, "held by many-all "+a+" "+b)
			})
		}
		wg.Wait()
		s.settle()
		for i := range 4 {
			s.again(fmt.Sprint("crowd-", i))
		}
		want["many-all"] = 24
		got := map[string]int{}
		for _, key := range list(s, "many-", 3) {
			var h holdRow
			if err := json.Unmarshal([]byte(row(s, key)), &h); err != nil {
				s.Fatal(err)
			}
			got[key] = h.Books
		}
		same(s.T, "books", got, want)
	})
	run("what a program left half written is gone on with", func(s scene) {
		s.acquire(ada, "part-torn", "Torn")
		s.lend("part-torn", "held by torn-a torn-b")
		s.settle()
		h, err := s.Rows.Row(s.Context(), holdersView, engine.ItemID("part-torn", ""))
		if err != nil {
			s.Fatal(err)
		}
		// Given a program that had taken one of two parts away when it ended
		before := h
		h.Rev, h.At, h.View = h.Rev+1, nil, json.RawMessage(`{"torn-b":{"books":1,"worth":0.1,"least":2}}`)
		gone := engine.Row{}
		rows, _, err := s.Rows.Items(s.Context(), engine.ItemsQuery{Model: holdersView, ID: "torn-a", Limit: 10})
		if err != nil {
			s.Fatal(err)
		}
		total := engine.Total{Model: holdersView, Add: map[string]string{"n": "-1", "sum_books": "-1", "sum_worth": "-0.1"}}
		for _, r := range rows {
			if _, sub := engine.SplitItemID(r.ID); engine.IsTotal(sub) {
				total.ID = r.ID
			} else {
				gone = engine.Row{Model: holdersView, ID: r.ID}
			}
		}
		if lost, err := s.Rows.PutItems(s.Context(), h, []engine.Row{gone}, []engine.Total{total}); err != nil || lost {
			s.Fatalf("put: lost %t, %v", lost, err)
		}
		same(s.T, "taken away", row(s, "torn-a"), "")
		// When the next commit comes
		s.lend("part-torn", "nobody new")
		s.settle()
		// Then each part is counted once
		for _, key := range []string{"torn-a", "torn-b"} {
			same(s.T, key, row(s, key), `{"books":1,"worth":0.1,"least":2}`)
		}
		now, err := s.Rows.Row(s.Context(), holdersView, engine.ItemID("part-torn", ""))
		if err != nil || now.At[bookName].Next != before.At[bookName].Next+1 {
			s.Errorf("head %+v, %v", now, err)
		}
	})
	run("a foreign cursor is refused", func(s scene) {
		if _, _, err := s.Rows.Keys(s.Context(), holdersView, "no cursor", 10); !errors.Is(err, engine.ErrCursor) {
			s.Errorf("%v; ErrCursor was expected", err)
		}
	})
}
