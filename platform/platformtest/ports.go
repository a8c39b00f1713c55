package platformtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// at is a commit of a probe: one event of so many bytes.
func at(id string, seq int64, bytes int) engine.Commit {
	data, _ := json.Marshal(note{Text: strings.Repeat("x", bytes)})
	return engine.Commit{
		Stream: engine.Stream{Aggregate: probeName, ID: id}, Seq: seq, Version: seq + 1,
		Events: []es.StoredEvent{{Type: "Probed", Data: data}},
		Meta: engine.Meta{
			Command: engine.CommandID{Origin: "user:ada\nk1", Seq: 3, Index: 2}, Payload: "beef", MessageID: "m1", CorrelationID: "c1", CausationID: "m0",
			User: "ada", Owner: "ada", Service: "Lending", Time: time.Date(2026, 2, 3, 4, 5, 6, int(7*time.Millisecond), time.UTC), Traceparent: "00-01",
		},
	}
}

func stream(id string) engine.Stream { return engine.Stream{Aggregate: probeName, ID: id} }

func given(t *testing.T, p Ports, commits ...engine.Commit) {
	t.Helper()
	for _, c := range commits {
		if err := p.Log.Append(t.Context(), c); err != nil {
			t.Fatalf("append %s at %d: %v", c.Stream, c.Seq, err)
		}
	}
}

func readAll(t *testing.T, p Ports, s engine.Stream, from int64) (all []engine.Commit, pages int) {
	t.Helper()
	for {
		commits, more, err := p.Log.Read(t.Context(), s, from, 0)
		if err != nil {
			t.Fatalf("read %s from %d: %v", s, from, err)
		}
		all, pages = append(all, commits...), pages+1
		if !more {
			return all, pages
		}
		if len(commits) == 0 {
			t.Fatalf("read %s from %d: a page with more to come is empty", s, from)
		}
		from = commits[len(commits)-1].Seq + 1
	}
}

// alike compares values, empty lists and maps like absent ones, JSON as text.
var alike = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(engine.Commit{}, engine.Row{}), cmp.FilterValues(
	func(a, b json.RawMessage) bool { return len(a)+len(b) > 0 },
	cmp.Transformer("JSON", func(m json.RawMessage) string { return string(m) }),
)}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, alike); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func testLog(t *testing.T, p Ports) {
	t.Run("what is appended is read as it was", func(t *testing.T) {
		c := at("log/whole ü#1", 0, 10)
		c.Events = append(c.Events, es.StoredEvent{Type: "Probed", Version: 2, Data: []byte(`{"text":"price 0.10, \u0000, 😀"}`)})
		c.Version = 2
		given(t, p, c)
		got, _ := readAll(t, p, c.Stream, 0)
		same(t, "stream", got, []engine.Commit{c})
	})
	t.Run("a stream that nobody wrote to is empty", func(t *testing.T) {
		got, _ := readAll(t, p, stream("log-none"), 0)
		same(t, "stream", got, nil)
		before, err := p.Log.ReadBackward(t.Context(), stream("log-none"), math.MaxInt64)
		if err != nil || len(before) > 0 {
			t.Errorf("Before: %v, %v; nothing was expected", before, err)
		}
	})
	t.Run("a taken place is refused with the commit that has it", func(t *testing.T) {
		theirs, ours := at("log-taken", 0, 10), at("log-taken", 0, 20)
		given(t, p, theirs)
		err := p.Log.Append(t.Context(), ours)
		var conflict *engine.ConflictError
		if !errors.As(err, &conflict) {
			t.Fatalf("append at a taken place: %v; a *Conflict was expected", err)
		}
		same(t, "theirs", conflict.Theirs, theirs)
	})
	t.Run("of many who want one place, one gets it", func(t *testing.T) {
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() { errs[i] = p.Log.Append(t.Context(), at("log-race", 0, 10+i)) })
		}
		wg.Wait()
		stored, _ := readAll(t, p, stream("log-race"), 0)
		if len(stored) != 1 {
			t.Fatalf("the stream has %d commits, one was expected", len(stored))
		}
		won := 0
		for i, err := range errs {
			var conflict *engine.ConflictError
			switch {
			case err == nil:
				won++
				same(t, "the winner's commit", stored[0], at("log-race", 0, 10+i))
			case errors.As(err, &conflict):
				same(t, "theirs", conflict.Theirs, stored[0])
			default:
				t.Errorf("append: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d appends were told that they have the place, one was expected", won)
		}
	})
	t.Run("a gap is refused", func(t *testing.T) {
		if !p.SeesGaps {
			t.Skip("this log does not see gaps")
		}
		given(t, p, at("log-gap", 0, 10))
		if err := p.Log.Append(t.Context(), at("log-gap", 2, 10)); err == nil {
			t.Error("a commit beyond the stream's end was appended")
		}
		got, _ := readAll(t, p, stream("log-gap"), 0)
		same(t, "stream", got, []engine.Commit{at("log-gap", 0, 10)})
	})
	t.Run("a long stream is read in pages", func(t *testing.T) {
		var all []engine.Commit
		for i := range int64(12) {
			all = append(all, at("log-long", i, 300_000))
		}
		given(t, p, all...)
		got, pages := readAll(t, p, stream("log-long"), 0)
		same(t, "stream", len(got), len(all))
		same(t, "stream", got, all)
		if pages < 2 {
			t.Error("3.6 MB came in one page")
		}
		got, _ = readAll(t, p, stream("log-long"), 7)
		same(t, "from 7 on", got, all[7:])
		got, _ = readAll(t, p, stream("log-long"), 12)
		same(t, "from the end on", got, nil)
		few, more, err := p.Log.Read(t.Context(), stream("log-long"), 1, 2)
		same(t, "at most two", few, all[1:3])
		if !more || err != nil {
			t.Errorf("more of them: %t, %v", more, err)
		}
	})
	t.Run("backwards, the latest comes first", func(t *testing.T) {
		var all []engine.Commit
		for i := range int64(20) {
			all = append(all, at("log-back", i, 10))
		}
		given(t, p, all...)
		slices.Reverse(all)
		for before := int64(math.MaxInt64); len(all) > 0; {
			got, err := p.Log.ReadBackward(t.Context(), stream("log-back"), before)
			if err != nil || len(got) == 0 {
				t.Fatalf("before %d: %d commits, %v", before, len(got), err)
			}
			same(t, fmt.Sprintf("before %d", before), got, all[:min(len(got), len(all))])
			all, before = all[len(got):], got[len(got)-1].Seq
		}
		got, err := p.Log.ReadBackward(t.Context(), stream("log-back"), 0)
		if err != nil || len(got) > 0 {
			t.Errorf("before the first: %d commits, %v", len(got), err)
		}
	})
	t.Run("each stream is listed once", func(t *testing.T) {
		for i := range 5 {
			id := fmt.Sprintf("listed-%d", i)
			given(t, p, at(id, 0, 10), at(id, 1, 10), at(id, 2, 10))
		}
		list := func() (ids []string) {
			for cursor := ""; ; {
				page, next, err := p.Log.Streams(t.Context(), probeName, cursor)
				if err != nil {
					t.Fatalf("list streams: %v", err)
				}
				for _, id := range page {
					if strings.HasPrefix(id, "listed-") {
						ids = append(ids, id)
					}
				}
				if cursor = next; next == "" {
					return ids
				}
			}
		}
		first := list()
		same(t, "again", list(), first)
		slices.Sort(first)
		same(t, "streams", first, []string{"listed-0", "listed-1", "listed-2", "listed-3", "listed-4"})
	})
}

func testCursors(t *testing.T, p Ports) {
	next := func(t *testing.T, consumer, id string) int64 {
		t.Helper()
		c, err := p.Cursors.Cursor(t.Context(), consumer, stream(id))
		if err != nil {
			t.Fatalf("cursor of %s on %s: %v", consumer, id, err)
		}
		return c.Next
	}
	advance := func(t *testing.T, consumer, id string, from, to int64) {
		t.Helper()
		if err := p.Cursors.Advance(t.Context(), consumer, stream(id), from, to); err != nil {
			t.Fatalf("advance %s on %s from %d to %d: %v", consumer, id, from, to, err)
		}
	}
	t.Run("a cursor starts at the beginning and moves", func(t *testing.T) {
		same(t, "at first", next(t, remind, "cursor-moves"), 0)
		advance(t, remind, "cursor-moves", 0, 3)
		same(t, "moved", next(t, remind, "cursor-moves"), 3)
		advance(t, remind, "cursor-moves", 3, 4)
		same(t, "moved again", next(t, remind, "cursor-moves"), 4)
	})
	t.Run("it moves only from where it is", func(t *testing.T) {
		advance(t, remind, "cursor-conditional", 0, 3)
		advance(t, remind, "cursor-conditional", 0, 9)
		advance(t, remind, "cursor-conditional", 2, 9)
		same(t, "after two who lost", next(t, remind, "cursor-conditional"), 3)
		advance(t, remind, "cursor-unmoved", 5, 9)
		same(t, "one that was not there", next(t, remind, "cursor-unmoved"), 0)
	})
	t.Run("it moves back, for a log restored from a backup", func(t *testing.T) {
		advance(t, remind, "cursor-back", 0, 8)
		advance(t, remind, "cursor-back", 8, 0)
		same(t, "at the beginning again", next(t, remind, "cursor-back"), 0)
		advance(t, remind, "cursor-back", 0, 1)
		same(t, "and on", next(t, remind, "cursor-back"), 1)
	})
	t.Run("consumers and streams have their own", func(t *testing.T) {
		advance(t, remind, "cursor-own", 0, 3)
		same(t, "another consumer's", next(t, mention, "cursor-own"), 0)
		same(t, "on another stream", next(t, remind, "cursor-other"), 0)
	})
}

func row(id string, rev int64, view string, owner, color string) engine.Row {
	r := engine.Row{Model: probesView, ID: id, Rev: rev, Owner: owner, At: map[string]engine.Position{"Lending.Blank": {Next: rev, Version: 2 * rev}}}
	if view != "" {
		r.View, r.Made = json.RawMessage(view), math.MinInt64+rev
	}
	if color != "" {
		r.Indexed = map[string]string{"color": color}
	}
	return r
}

func testRows(t *testing.T, p Ports) {
	put := func(t *testing.T, r engine.Row, wantLost bool) {
		t.Helper()
		lost, err := p.Rows.Put(t.Context(), r)
		if err != nil || lost != wantLost {
			t.Fatalf("put row %s at revision %d: lost %t, %v; expected %t", r.ID, r.Rev, lost, err, wantLost)
		}
	}
	stored := func(t *testing.T, id string) engine.Row {
		t.Helper()
		r, err := p.Rows.Row(t.Context(), probesView, id)
		if err != nil {
			t.Fatalf("row %s: %v", id, err)
		}
		return r
	}
	list := func(t *testing.T, q engine.Query) (ids []string) {
		t.Helper()
		for q.Model, q.Cursor = probesView, ""; ; {
			rows, next, err := p.Rows.List(t.Context(), q)
			if err != nil {
				t.Fatalf("list %+v: %v", q, err)
			}
			if len(rows) > q.Limit {
				t.Fatalf("list %+v: %d rows in a page", q, len(rows))
			}
			for _, r := range rows {
				if want := stored(t, r.ID); !cmp.Equal(r, want, alike) {
					t.Errorf("list %+v: row %s is not as it is stored:\n%s", q, r.ID, cmp.Diff(want, r, alike))
				}
				ids = append(ids, r.ID)
			}
			if q.Cursor = next; next == "" {
				slices.Sort(ids)
				return ids
			}
		}
	}
	t.Run("a row is written revision by revision", func(t *testing.T) {
		same(t, "never written", stored(t, "row/1").Rev, 0)
		first := row("row/1", 1, `{"color":"red"}`, "ada", "red")
		put(t, first, false)
		same(t, "first", stored(t, "row/1"), first)
		put(t, row("row/1", 1, `{"color":"blue"}`, "bob", "blue"), true)
		put(t, row("row/1", 3, `{"color":"blue"}`, "bob", "blue"), true)
		same(t, "after two who lost", stored(t, "row/1"), first)
		second := row("row/1", 2, `{}`, "ada", "")
		put(t, second, false)
		same(t, "second", stored(t, "row/1"), second)
		put(t, row("row-none", 2, `{}`, "", ""), true)
	})
	t.Run("of many who write one revision, one does", func(t *testing.T) {
		var wg sync.WaitGroup
		lost := make([]bool, 8)
		for i := range lost {
			wg.Go(func() {
				var err error
				if lost[i], err = p.Rows.Put(t.Context(), row("row-race", 1, fmt.Sprintf(`{"color":"%d"}`, i), "", "")); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		i := slices.Index(lost, false)
		if i < 0 || slices.Contains(lost[i+1:], false) {
			t.Fatalf("lost %v; all but one were expected to", lost)
		}
		same(t, "row", string(stored(t, "row-race").View), fmt.Sprintf(`{"color":"%d"}`, i))
	})
	t.Run("rows are listed by field and by owner, page by page", func(t *testing.T) {
		for i := range 7 {
			color, owner := []string{"lime", "teal"}[i%2], []string{"lea", "tom", "tom"}[i%3]
			put(t, row(fmt.Sprintf("listed-%d", i), 1, `{"color":"`+color+`"}`, owner, color), false)
		}
		for _, x := range []struct {
			engine.Query
			want string
		}{
			{engine.Query{Field: "color", Value: "lime"}, "0 2 4 6"},
			{engine.Query{Field: "color", Value: "teal"}, "1 3 5"},
			{engine.Query{Field: "color", Value: "lim"}, ""},
			{engine.Query{Owner: "lea"}, "0 3 6"},
			{engine.Query{Owner: "tom"}, "1 2 4 5"},
			{engine.Query{Owner: "nobody"}, ""},
			{engine.Query{Field: "color", Value: "lime", Owner: "tom"}, "2 4"},
		} {
			for _, x.Limit = range []int{1, 2, 200} {
				got := strings.ReplaceAll(strings.Join(list(t, x.Query), " "), "listed-", "")
				if got != x.want {
					t.Errorf("list %+v: rows %q, expected %q", x.Query, got, x.want)
				}
			}
		}
	})
	t.Run("an owner's list has nothing of others', nor has its cursor", func(t *testing.T) {
		// Given a thousand rows of ada's with a value, and three of bob's between them
		var wg sync.WaitGroup
		room := make(chan struct{}, 32)
		for i := range 1_003 {
			owner := "owner-ada"
			if i%500 == 1 {
				owner = "owner-bob"
			}
			wg.Go(func() {
				room <- struct{}{}
				defer func() { <-room }()
				if _, err := p.Rows.Put(t.Context(), row(fmt.Sprintf("owned-%04d", i), 1, `{"color":"owned"}`, owner, "owned")); err != nil {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		put(t, row("owned-other", 1, `{"color":"else"}`, "owner-bob", "else"), false)
		// When somebody lists by the value who has none, or by one that nobody has
		for _, q := range []engine.Query{{Owner: "owner-eve", Value: "owned"}, {Owner: "owner-bob", Value: "nobody's"}} {
			// Then there is nothing, and nothing to go on with
			q.Model, q.Field, q.Limit = probesView, "color", 1
			rows, next, err := p.Rows.List(t.Context(), q)
			if len(rows) > 0 || next != "" || err != nil {
				t.Errorf("list %+v: %d rows, next %q, %v", q, len(rows), next, err)
			}
		}
		// And bob pages through his own
		for _, limit := range []int{1, 2, 3, 100} {
			q := engine.Query{Field: "color", Value: "owned", Owner: "owner-bob", Limit: limit}
			same(t, fmt.Sprintf("bob's by %d", limit), list(t, q), []string{"owned-0001", "owned-0501", "owned-1001"})
		}
		same(t, "ada's", len(list(t, engine.Query{Field: "color", Value: "owned", Owner: "owner-ada", Limit: 100})), 1_000)
	})
	t.Run("a row that changes moves in its index, and leaves it", func(t *testing.T) {
		put(t, row("moving", 1, `{"color":"pink"}`, "", "pink"), false)
		put(t, row("moving", 2, `{"color":"grey"}`, "", "grey"), false)
		same(t, "pink", list(t, engine.Query{Field: "color", Value: "pink", Limit: 10}), nil)
		same(t, "grey", list(t, engine.Query{Field: "color", Value: "grey", Limit: 10}), []string{"moving"})
		put(t, row("moving", 3, `{}`, "", ""), false)
		same(t, "grey", list(t, engine.Query{Field: "color", Value: "grey", Limit: 10}), nil)
	})
	t.Run("an absent row is in no list, and keeps its revision", func(t *testing.T) {
		put(t, row("absent", 1, `{"color":"plum"}`, "zoe", "plum"), false)
		put(t, row("absent", 2, "", "", ""), false)
		same(t, "revision", stored(t, "absent").Rev, 2)
		if stored(t, "absent").View != nil {
			t.Error("it has a view")
		}
		if all := list(t, engine.Query{Limit: 100}); slices.Contains(all, "absent") {
			t.Error("it is in the list of all")
		}
		same(t, "plum", list(t, engine.Query{Field: "color", Value: "plum", Limit: 10}), nil)
		same(t, "zoe's", list(t, engine.Query{Owner: "zoe", Limit: 10}), nil)
		put(t, row("absent", 3, `{"color":"plum"}`, "zoe", "plum"), false)
		same(t, "plum again", list(t, engine.Query{Field: "color", Value: "plum", Limit: 10}), []string{"absent"})
	})
	t.Run("a page ends at about 1 MiB", func(t *testing.T) {
		big := `{"color":"` + strings.Repeat("b", 100_000) + `"}`
		for i := range 24 {
			put(t, row(fmt.Sprintf("big-%02d", i), 1, big, "max", "large"), false)
		}
		rows, next, err := p.Rows.List(t.Context(), engine.Query{Model: probesView, Field: "color", Value: "large", Limit: 200})
		if err != nil || next == "" || len(rows) >= 24 {
			t.Errorf("a page has %d rows of 100 kB, next %q, %v", len(rows), next, err)
		}
		same(t, "rows", len(list(t, engine.Query{Field: "color", Value: "large", Limit: 200})), 24)
	})
	t.Run("a foreign cursor is refused", func(t *testing.T) {
		_, next, err := p.Rows.List(t.Context(), engine.Query{Model: probesView, Limit: 1})
		if err != nil || next == "" {
			t.Fatalf("a page of one row: next %q, %v", next, err)
		}
		for _, foreign := range []string{next, "no cursor"} {
			_, _, err := p.Rows.List(t.Context(), engine.Query{Model: probesView, Field: "color", Value: "lime", Limit: 1, Cursor: foreign})
			if !errors.Is(err, engine.ErrCursor) {
				t.Errorf("list with cursor %q: %v; ErrCursor was expected", foreign, err)
			}
		}
	})
}

func testParking(t *testing.T, p Ports) {
	parked := func(t *testing.T) map[string]engine.Parked {
		t.Helper()
		all := map[string]engine.Parked{}
		for cursor := ""; ; {
			page, next, err := p.Parking.ListParked(t.Context(), cursor)
			if err != nil {
				t.Fatalf("list what is parked: %v", err)
			}
			for _, k := range page {
				if strings.HasPrefix(k.Stream.ID, "park-") {
					all[k.Consumer+" on "+k.Stream.ID] = k
				}
			}
			if cursor = next; next == "" {
				return all
			}
		}
	}
	park := func(t *testing.T, consumer, id, why string, when time.Time) {
		t.Helper()
		err := p.Parking.Park(t.Context(), engine.Parked{Consumer: consumer, Stream: stream(id), Error: why, Since: when, Last: when, Attempts: 1})
		if err != nil {
			t.Fatalf("park: %v", err)
		}
	}
	read := func(t *testing.T, consumer string, s engine.Stream) engine.Parked {
		t.Helper()
		k, err := p.Parking.Parked(t.Context(), consumer, s)
		if err != nil {
			t.Fatalf("read what is parked: %v", err)
		}
		if k == nil {
			return engine.Parked{Consumer: consumer, Stream: s}
		}
		return *k
	}
	unpark := func(t *testing.T, k engine.Parked) {
		t.Helper()
		if err := p.Parking.Unpark(t.Context(), k); err != nil {
			t.Fatalf("unpark: %v", err)
		}
	}
	monday := time.Date(2026, 2, 2, 8, 0, 0, 0, time.UTC)
	t.Run("a parked key is listed, with its first failure and its latest", func(t *testing.T) {
		park(t, remind, "park-1", "no such page", monday)
		park(t, remind, "park-1", "still no such page", monday.Add(time.Hour))
		same(t, "parked", parked(t), map[string]engine.Parked{remind + " on park-1": {
			Consumer: remind, Stream: stream("park-1"), Error: "still no such page", Since: monday, Last: monday.Add(time.Hour), Attempts: 2,
		}})
		c, err := p.Cursors.Cursor(t.Context(), remind, stream("park-1"))
		if err != nil || !c.Parked {
			t.Errorf("its cursor: %+v, %v; parked was expected", c, err)
		}
		if c, err := p.Cursors.Cursor(t.Context(), mention, stream("park-1")); err != nil || c.Parked {
			t.Errorf("another consumer's cursor: %+v, %v", c, err)
		}
		k := read(t, remind, stream("park-1"))
		same(t, "it, read alone", k, parked(t)[remind+" on park-1"])
		unpark(t, k)
		unpark(t, k)
		unpark(t, read(t, remind, stream("park-1")))
		same(t, "unparked", parked(t), nil)
		if c, err := p.Cursors.Cursor(t.Context(), remind, stream("park-1")); err != nil || c.Parked {
			t.Errorf("its cursor: %+v, %v; not parked was expected", c, err)
		}
	})
	t.Run("a key that was parked again stays parked", func(t *testing.T) {
		park(t, remind, "park-again", "no such page", monday)
		before := read(t, remind, stream("park-again"))
		park(t, remind, "park-again", "no such book", monday)
		unpark(t, before)
		same(t, "parked", parked(t)[remind+" on park-again"].Error, "no such book")
		if c, err := p.Cursors.Cursor(t.Context(), remind, stream("park-again")); err != nil || !c.Parked {
			t.Errorf("its cursor: %+v, %v; parked was expected", c, err)
		}
		unpark(t, read(t, remind, stream("park-again")))
		same(t, "unparked", parked(t), nil)
	})
	t.Run("many are listed page by page", func(t *testing.T) {
		for i := range 250 {
			park(t, mention, fmt.Sprintf("park-many-%d", i), "no ink", monday)
		}
		same(t, "parked", len(parked(t)), 250)
		for i := range 250 {
			unpark(t, read(t, mention, stream(fmt.Sprintf("park-many-%d", i))))
		}
	})
}

func testSnapshots(t *testing.T, p Ports) {
	t.Run("the latest one serves", func(t *testing.T) {
		if data, err := p.Snapshots.Snapshot(t.Context(), stream("snap")); err != nil || data != nil {
			t.Errorf("none saved: %q, %v", data, err)
		}
		for _, data := range []string{"one", "two"} {
			if err := p.Snapshots.SaveSnapshot(t.Context(), stream("snap"), []byte(data)); err != nil {
				t.Fatalf("save: %v", err)
			}
			got, err := p.Snapshots.Snapshot(t.Context(), stream("snap"))
			if err != nil || string(got) != data {
				t.Errorf("saved %q: %q, %v", data, got, err)
			}
		}
		if err := p.Snapshots.SaveSnapshot(t.Context(), stream("snap"), nil); err != nil {
			t.Fatalf("remove it: %v", err)
		}
		if data, err := p.Snapshots.Snapshot(t.Context(), stream("snap")); err != nil || data != nil {
			t.Errorf("removed: %q, %v", data, err)
		}
	})
}

func testKeys(t *testing.T, p Ports) {
	key := func(s engine.Stream, make bool) []byte {
		t.Helper()
		k, err := p.Keys.Key(t.Context(), s, make)
		if err != nil {
			t.Fatalf("key of %s: %v", s, err)
		}
		return k
	}
	// Streams of an aggregate that has personal data: others have no keys
	of := func(id string) engine.Stream {
		return engine.Stream{Aggregate: memberName, ID: stream("keys/" + id).ID}
	}
	t.Run("a stream has one, once it is made", func(t *testing.T) {
		if k := key(of("one"), false); k != nil {
			t.Errorf("before it is made: %x", k)
		}
		made := key(of("one"), true)
		if len(made) != engine.KeySize || bytes.Equal(made, make([]byte, engine.KeySize)) {
			t.Errorf("made: %x", made)
		}
		for _, make := range []bool{true, false} {
			if again := key(of("one"), make); !bytes.Equal(again, made) {
				t.Errorf("again: %x, was %x", again, made)
			}
		}
		if other := key(of("two"), true); bytes.Equal(other, made) {
			t.Error("two streams have one key")
		}
	})
	t.Run("many who make one at a time get the same", func(t *testing.T) {
		keys := make([][]byte, 8)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() { keys[i], _ = p.Keys.Key(t.Context(), of("many"), true) })
		}
		wg.Wait()
		for _, k := range keys {
			if k == nil || !bytes.Equal(k, keys[0]) {
				t.Errorf("keys: %x", keys)
			}
		}
	})
	t.Run("a destroyed one is gone for ever, also where there was none", func(t *testing.T) {
		key(of("gone"), true)
		for _, s := range []engine.Stream{of("gone"), of("never there"), of("gone")} {
			if err := p.Keys.Destroy(t.Context(), s); err != nil {
				t.Fatalf("destroy %s: %v", s, err)
			}
			for _, make := range []bool{false, true, false} {
				if k, err := p.Keys.Key(t.Context(), s, make); !errors.Is(err, engine.ErrErased) || k != nil {
					t.Errorf("key of %s, which was destroyed: %x, %v", s, k, err)
				}
			}
		}
		if k := key(of("one"), false); k == nil {
			t.Error("another stream's is gone, too")
		}
	})
}
