package platformtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// wordRow is a row of Words: a word of a book's title.
type wordRow struct {
	Word   string `json:"word"`
	Holder string `json:"holder,omitempty"`
	Loans  int    `json:"loans"`
}

// JSONSchema implements [es.View].
func (wordRow) JSONSchema() string {
	return `{"type":"object","properties":{"word":{"type":"string"},"holder":{"type":"string"},"loans":{"type":"integer"}},"required":["word","loans"],"additionalProperties":false}`
}

// words are the rows below a book: each word of the title. A loan changes all of them; to
// "cut <word>" it removes one, to "keep <word>" it changes one, and to "cut all" it removes
// all.
func words(r es.Recorded[note]) (rows es.Changes[wordRow]) {
	what, word, _ := strings.Cut(r.Event.Text, " ")
	lend := func(w wordRow) wordRow { w.Loans++; w.Holder = what; return w }
	switch {
	case r.Event.Kind == "Acquired":
		for _, w := range strings.Fields(r.Event.Text) {
			rows = rows.Set(w, wordRow{Word: w})
		}
	case r.Event.Text == "cut all":
		rows = rows.DeleteAll()
	case what == "cut":
		rows = rows.Delete(word)
	case what == "keep":
		rows = rows.Update(word, lend)
	case r.Event.Kind == "Lent":
		rows = rows.UpdateAll(lend)
	}
	return rows
}

// behind is where the page after that sub-id begins.
func behind(after string) string {
	if after == "" {
		return ""
	}
	return after + "\x00"
}

func testItems(t *testing.T, p Ports) {
	const lending = "Lending.Book"
	item := func(id, sub, holder, owner string) engine.Row {
		t.Helper()
		r := engine.Row{Model: wordsView, ID: engine.ItemID(id, sub)}
		if holder != "" {
			r.Owner, r.View = owner, json.RawMessage(fmt.Sprintf(`{"word":%q,"holder":%q,"loans":1}`, sub, holder))
		}
		r, err := p.Engine.Index(r)
		if err != nil {
			t.Fatalf("index %q: %v", r.ID, err)
		}
		return r
	}
	head := func(id string, rev, next int64) engine.Row {
		return engine.Row{Model: wordsView, ID: engine.ItemID(id, ""), Rev: rev, At: map[string]engine.Position{lending: {Next: next, Version: next}}}
	}
	put := func(t *testing.T, h engine.Row, wantLost bool, rows ...engine.Row) {
		t.Helper()
		lost, err := p.Rows.PutItems(t.Context(), h, rows, nil)
		if err != nil || lost != wantLost {
			t.Fatalf("put %d rows below %q at %d: lost %t, %v; expected %t", len(rows), h.ID, h.Rev, lost, err, wantLost)
		}
	}
	below := func(t *testing.T, id string, limit int) (subs []string) {
		t.Helper()
		for after := ""; ; {
			rows, more, err := p.Rows.Items(t.Context(), engine.ItemsQuery{Model: wordsView, ID: id, From: behind(after), Limit: limit})
			if err != nil || len(rows) > limit || more && len(rows) == 0 {
				t.Fatalf("rows below %q after %q: %d rows, more %t, %v", id, after, len(rows), more, err)
			}
			for _, r := range rows {
				stored, err := p.Rows.Row(t.Context(), wordsView, r.ID)
				if err != nil {
					t.Fatal(err)
				}
				same(t, "row", r, stored)
				_, after = engine.SplitItemID(r.ID)
				subs = append(subs, after)
			}
			if !more {
				return subs
			}
		}
	}
	list := func(t *testing.T, q engine.Query) (ids []string) {
		t.Helper()
		for q.Model, q.Cursor = wordsView, ""; ; {
			rows, next, err := p.Rows.List(t.Context(), q)
			if err != nil {
				t.Fatalf("list %+v: %v", q, err)
			}
			for _, r := range rows {
				id, sub := engine.SplitItemID(r.ID)
				ids = append(ids, id+"/"+sub)
			}
			if q.Cursor = next; next == "" {
				if q.Sort == "" {
					slices.Sort(ids)
				}
				return ids
			}
		}
	}
	t.Run("rows are written with their head, or not at all", func(t *testing.T) {
		put(t, head("all", 1, 1), false, item("all", "b", "x", ""), item("all", "a", "x", ""), item("all", "c", "x", ""))
		put(t, head("all", 1, 2), true, item("all", "d", "x", ""), item("all", "a", "", ""))
		put(t, head("all", 3, 2), true, item("all", "d", "x", ""))
		same(t, "after two who lost", below(t, "all", 10), []string{"a", "b", "c"})
		h, err := p.Rows.Row(t.Context(), wordsView, engine.ItemID("all", ""))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "head", h, head("all", 1, 1))
		put(t, head("all", 2, 2), false, item("all", "b", "", ""), item("all", "d", "y", ""), item("all", "none", "", ""))
		for _, limit := range []int{1, 2, 3, 10} {
			same(t, "in the order of sub-ids", below(t, "all", limit), []string{"a", "c", "d"})
		}
		put(t, head("all", 3, 3), false)
		same(t, "after a commit that changes none", below(t, "all", 2), []string{"a", "c", "d"})
		unfinished := head("all", 4, 3)
		unfinished.At = nil
		put(t, unfinished, false, item("all", "e", "y", ""))
		h, err = p.Rows.Row(t.Context(), wordsView, engine.ItemID("all", ""))
		if err != nil || len(h.At) > 0 || h.Rev != 4 {
			t.Errorf("a head that is folded nowhere: %+v, %v", h, err)
		}
	})
	t.Run("of many who write from one revision, one does", func(t *testing.T) {
		var wg sync.WaitGroup
		lost := make([]bool, 8)
		for i := range lost {
			wg.Go(func() {
				var err error
				w := fmt.Sprint("w", i)
				if lost[i], err = p.Engine.Rows.PutItems(t.Context(), head("race", 1, 1), []engine.Row{item("race", w, "r", ""), item("race", w+"x", "r", "")}, nil); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		i := slices.Index(lost, false)
		if i < 0 || slices.Contains(lost[i+1:], false) {
			t.Fatalf("lost %v; all but one were expected to", lost)
		}
		w := fmt.Sprint("w", i)
		same(t, "rows", below(t, "race", 20), []string{w, w + "x"})
	})
	t.Run("a stream's rows are its own", func(t *testing.T) {
		for _, id := range []string{"own", "own\x00", "own\x00b", "ow", "own1", "own\x01"} {
			put(t, head(id, 1, 1), false, item(id, "b", "o", ""), item(id, "ü/\U0001F600", "o", ""))
		}
		for _, id := range []string{"own", "own\x00", "own\x00b", "ow", "own1", "own\x01"} {
			for _, limit := range []int{1, 10} {
				same(t, fmt.Sprintf("below %q", id), below(t, id, limit), []string{"b", "ü/\U0001F600"})
			}
		}
		same(t, "below none", below(t, "own2", 10), nil)
	})
	t.Run("as many as one write has, and 1 MiB a page", func(t *testing.T) {
		var rows []engine.Row
		for i := range engine.ItemsAtOnce {
			r := item("most", fmt.Sprintf("%03d", i), "m", "")
			r.View = json.RawMessage(strings.Replace(string(r.View), `"m"`, `"`+strings.Repeat("m", 20_000)+`"`, 1))
			r.Indexed = map[string]string{"holder": "m"}
			rows = append(rows, r)
		}
		put(t, head("most", 1, 1), false, rows...)
		got, more, err := p.Rows.Items(t.Context(), engine.ItemsQuery{Model: wordsView, ID: "most", Limit: 200})
		if err != nil || !more || len(got) >= len(rows) {
			t.Errorf("a page has %d rows of 20 kB, more %t, %v", len(got), more, err)
		}
		same(t, "rows", len(below(t, "most", 200)), len(rows))
	})
	t.Run("rows of all streams are listed by field, owner, order and word, and heads are not", func(t *testing.T) {
		put(t, head("l1", 1, 1), false, item("l1", "zebra", "kim", "lou"), item("l1", "ape", "kim", "lou"))
		put(t, head("l2", 1, 1), false, item("l2", "zebra", "kim", "lea"), item("l2", "cow", "ken", "lea"))
		put(t, head("l3", 1, 1), false)
		for _, limit := range []int{1, 2, 50} {
			same(t, "kim's", list(t, engine.Query{Field: "holder", Value: "kim", Limit: limit}), []string{"l1/ape", "l1/zebra", "l2/zebra"})
			same(t, "kim's of lou", list(t, engine.Query{Field: "holder", Value: "kim", Owner: "lou", Limit: limit}), []string{"l1/ape", "l1/zebra"})
			same(t, "lea's", list(t, engine.Query{Owner: "lea", Limit: limit}), []string{"l2/cow", "l2/zebra"})
			same(t, "kim's, the last first", list(t, engine.Query{Field: "holder", Value: "kim", Sort: "word", Descending: true, Limit: limit}), []string{"l2/zebra", "l1/zebra", "l1/ape"})
			same(t, "found", list(t, engine.Query{Words: []string{"zeb"}, Limit: limit}), []string{"l1/zebra", "l2/zebra"})
			same(t, "found in order", list(t, engine.Query{Words: []string{"zeb"}, Sort: "word", Limit: limit}), []string{"l1/zebra", "l2/zebra"})
		}
		put(t, head("l1", 2, 2), false, item("l1", "zebra", "", ""), item("l1", "ape", "ken", "lou"))
		same(t, "kim's", list(t, engine.Query{Field: "holder", Value: "kim", Limit: 50}), []string{"l2/zebra"})
		same(t, "ken's", list(t, engine.Query{Field: "holder", Value: "ken", Limit: 50}), []string{"l1/ape", "l2/cow"})
		for _, id := range list(t, engine.Query{Limit: 7}) {
			if strings.HasSuffix(id, "/") {
				t.Errorf("the head of %s is listed", id)
			}
		}
	})
}

// titles are words that differ.
func titles(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("w%03d", i))
	}
	return strings.Join(all, " ")
}

// testItemScenarios is about what the engine keeps below streams.
func testItemScenarios(t *testing.T, p Ports) {
	run := func(name string, do func(scene)) { p.scene(t, name, do) }
	below := func(s scene, by es.Caller, id string, limit int) (out []string) {
		s.Helper()
		for after := ""; ; {
			rows, next, err := s.Engine.Items(s.Context(), by, wordsView, id, nil, after, limit)
			if err != nil {
				s.Fatalf("rows below %s: %v", id, err)
			}
			for _, r := range rows {
				_, sub := engine.SplitItemID(r.ID)
				var w wordRow
				if err := json.Unmarshal(r.View, &w); err != nil {
					s.Fatal(err)
				}
				out = append(out, fmt.Sprintf("%s %s %d", sub, w.Holder, w.Loans))
			}
			if after = next; next == "" {
				return out
			}
		}
	}
	rebuild := func(s scene) {
		s.Helper()
		Steps(s.T, "rebuild", func(cursor string) (engine.Progress, error) { return s.Engine.Rebuild(s.Context(), wordsView, cursor) })
	}
	run("one event sets, changes and deletes several, whatever comes again", func(s scene) {
		s.acquire(ada, "several", "one two three")
		s.settle()
		same(s.T, "set", below(s, ada, "several", 2), []string{"one  0", "three  0", "two  0"})
		s.lend("several", "tim")
		s.lend("several", "keep two")
		s.lend("several", "keep four")
		s.lend("several", "cut one")
		s.settle()
		s.again("several")
		want := []string{"three tim 1", "two keep 2"}
		same(s.T, "changed", below(s, ada, "several", 1), want)
		s.alone(func() { rebuild(s) })
		same(s.T, "rebuilt", below(s, ada, "several", 10), want)
		s.lend("several", "cut all")
		s.lend("several", "tom")
		s.settle()
		same(s.T, "none left", below(s, ada, "several", 10), nil)
	})
	run("they are their owner's, and nobody else can tell them from none", func(s scene) {
		s.acquire(ada, "private", "secret")
		s.settle()
		same(s.T, "hers", below(s, ada, "private", 10), []string{"secret  0"})
		same(s.T, "his", below(s, bob, "private", 10), nil)
		same(s.T, "in charge", below(s, admin, "private", 10), []string{"secret  0"})
		version := int64(9)
		if _, _, err := s.Engine.Items(s.Context(), bob, wordsView, "private", &version, "", 10); err != nil {
			s.Errorf("somebody else asks for a version: %v", err)
		}
	})
	run("one's own write is read at once", func(s scene) {
		s.acquire(ada, "at-once", "now")
		s.lend("at-once", "tim")
		version := int64(2)
		rows, next, err := s.Engine.Items(s.Context(), ada, wordsView, "at-once", &version, "", 10)
		if err != nil || next != "" || len(rows) != 1 || string(rows[0].View) != `{"word":"now","holder":"tim","loans":1}` {
			s.Errorf("rows %v, next %q, %v", rows, next, err)
		}
		version = 3
		if _, _, err := s.Engine.Items(s.Context(), ada, wordsView, "at-once", &version, "", 10); !errors.Is(err, engine.ErrVersionNotReached) {
			s.Errorf("a version that is not reached: %v", err)
		}
		s.settle()
	})
	run("a hundred of one commit, and what a program left half written is not served", func(s scene) {
		s.acquire(ada, "hundred", titles(100))
		s.settle()
		same(s.T, "rows", len(below(s, ada, "hundred", 30)), 100)
		// Given rows that a program was about to write when it ended
		h, err := s.Rows.Row(s.Context(), wordsView, engine.ItemID("hundred", ""))
		if err != nil {
			s.Fatal(err)
		}
		h.Rev, h.At = h.Rev+1, nil
		torn, err := s.Engine.Index(engine.Row{Model: wordsView, ID: engine.ItemID("hundred", "w000"), Owner: "ada", View: json.RawMessage(`{"word":"torn","loans":7}`)})
		if err != nil {
			s.Fatal(err)
		}
		if lost, err := s.Rows.PutItems(s.Context(), h, []engine.Row{torn, {Model: wordsView, ID: engine.ItemID("hundred", "w001")}}, nil); err != nil || lost {
			s.Fatalf("put: lost %t, %v", lost, err)
		}
		// Then its list is folded from the log
		same(s.T, "served", below(s, ada, "hundred", 60)[:2], []string{"w000  0", "w001  0"})
		// When the next commit comes, then the rows are made good
		s.lend("hundred", "tim")
		s.settle()
		rows := below(s, ada, "hundred", 60)
		same(s.T, "rows", len(rows), 100)
		same(s.T, "made good", rows[:2], []string{"w000 tim 1", "w001 tim 1"})
	})
	run("more than a hundred of one commit park the view on that stream, and nothing else", func(s scene) {
		s.acquire(ada, "too-many", titles(101))
		s.settle()
		same(s.T, "parked", s.parked("too-many"), []string{"readmodel:" + wordsView})
		same(s.T, "books", s.view(booksView, "too-many") != "", true)
		same(s.T, "rows", below(s, ada, "too-many", 10), nil)
	})
	run("a rebuild makes good what was damaged", func(s scene) {
		s.acquire(ada, "damaged", "a b")
		s.settle()
		s.alone(func() {
			h, err := s.Rows.Row(s.Context(), wordsView, engine.ItemID("damaged", ""))
			if err != nil {
				s.Fatal(err)
			}
			h.Rev++
			torn, err := s.Engine.Index(engine.Row{Model: wordsView, ID: engine.ItemID("damaged", "c"), Owner: "ada", View: json.RawMessage(`{"word":"c","loans":7}`)})
			if err != nil {
				s.Fatal(err)
			}
			if lost, err := s.Rows.PutItems(s.Context(), h, []engine.Row{torn, {Model: wordsView, ID: engine.ItemID("damaged", "a")}}, nil); err != nil || lost {
				s.Fatalf("put: lost %t, %v", lost, err)
			}
			same(s.T, "damaged", below(s, ada, "damaged", 10), []string{"b  0", "c  7"})
			rebuild(s)
		})
		same(s.T, "rebuilt", below(s, ada, "damaged", 10), []string{"a  0", "b  0"})
	})
}
