package platformtest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
)

// scene is a platform with the words of the library's tests.
type scene struct {
	*testing.T
	Ports
}

var (
	ada   = es.Caller{User: "ada"}
	bob   = es.Caller{User: "bob"}
	admin = es.Caller{User: "eve", Groups: []string{es.Admin}}
)

func (s scene) send(by es.Caller, a es.Aggregate[note, note, state], id, kind, text string) engine.Outcome {
	s.Helper()
	out, err := s.Engine.Execute(s.Context(), engine.Request{Command: a.Command(id, note{kind, text}), Caller: by})
	if err != nil {
		s.Fatalf("%s %s %q: %v", kind, id, text, err)
	}
	return out
}

func (s scene) acquire(by es.Caller, id, title string) {
	s.Helper()
	s.send(by, book, id, "Acquire", title)
}
func (s scene) lend(id, to string) { s.Helper(); s.send(ada, book, id, "Lend", to) }

func (s scene) settle() {
	s.Helper()
	s.wait(rest, nil)
}

// wait waits until the platform has come to rest, after what acts on everything.
func (s scene) wait(k kind, act func()) {
	s.Helper()
	var err error
	if s.company != nil {
		err = s.company.wait(s.Context(), k, act)
	} else {
		if act != nil {
			act()
		}
		err = s.Settle(s.Context())
	}
	if err != nil {
		s.Fatalf("settle: %v", err)
	}
}

// events are a stream's, as "Kind text".
func (s scene) events(aggregate, id string) (out []string) {
	s.Helper()
	commits, _ := readAll(s.T, s.Ports, engine.Stream{Aggregate: aggregate, ID: id}, 0)
	for _, c := range commits {
		for _, e := range c.Events {
			n, err := wire.ReadStored(e.Data, readNote(e.Type))
			if err != nil {
				s.Fatalf("event of %s at %d: %v", c.Stream, c.Seq, err)
			}
			out = append(out, n.Kind+" "+n.Text)
		}
	}
	return out
}

func (s scene) view(model, id string) string {
	s.Helper()
	r, err := s.Rows.Row(s.Context(), model, id)
	if err != nil {
		s.Fatalf("row %s of %s: %v", id, model, err)
	}
	return string(r.View)
}

// again delivers what a book's commits set off once more, twice at a time.
func (s scene) again(id string) {
	s.Helper()
	st := engine.Stream{Aggregate: bookName, ID: id}
	commits, _ := readAll(s.T, s.Ports, st, 0)
	slices.Reverse(commits)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for _, c := range commits {
				if err := s.Engine.Relay(s.Context(), c); err != nil {
					s.Errorf("relay %s at %d: %v", st, c.Seq, err)
				}
				if err := s.Engine.Project(s.Context(), c); err != nil {
					s.Errorf("project %s at %d: %v", st, c.Seq, err)
				}
			}
			for _, f := range []string{remind, reserve, mention, announce} {
				if err := s.Engine.Follow(s.Context(), engine.Hint{Follower: f, Stream: st, Seq: engine.StreamEnd}); err != nil {
					s.Errorf("follow %s: %v", st, err)
				}
			}
		})
	}
	wg.Wait()
	s.settle()
}

// Steps does bounded steps of work to its end, and tells how much they did.
func Steps(t testing.TB, what string, step func(cursor string) (engine.Progress, error)) (done int) {
	t.Helper()
	for cursor := ""; ; {
		progress, err := step(cursor)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		done += progress.Done
		if cursor = progress.Next; cursor == "" {
			return done
		}
	}
}

func (s scene) steps(what string, step func(cursor string) (engine.Progress, error)) {
	s.Helper()
	s.alone(func() { Steps(s.T, what, step) })
}

// alone does what acts on everything, or what another scene would undo by that, and waits.
func (s scene) alone(act func()) {
	s.Helper()
	s.wait(alone, act)
}

func (s scene) sweep() {
	s.Helper()
	s.wait(sweep, func() {
		Steps(s.T, "sweep", func(cursor string) (engine.Progress, error) { return s.Engine.Sweep(s.Context(), cursor) })
	})
}

func (s scene) parked(id string) (consumers []string) {
	s.Helper()
	for cursor := ""; ; {
		page, next, err := s.Parking.ListParked(s.Context(), cursor)
		if err != nil {
			s.Fatalf("list what is parked: %v", err)
		}
		for _, p := range page {
			if p.Stream.ID == id {
				consumers = append(consumers, p.Consumer)
			}
		}
		if cursor = next; cursor == "" {
			slices.Sort(consumers)
			return consumers
		}
	}
}

func testScenarios(t *testing.T, p Ports, w World) {
	run := func(name string, f func(s scene)) { p.scene(t, name, f) }
	run("what is decided reaches views, other aggregates and the other plugin", func(s scene) {
		s.acquire(ada, "emma", "Emma")
		s.send(bob, rating, "emma", "Rate", "***")
		s.lend("emma", "rita")
		s.settle()
		same(s.T, "book", s.events(bookName, "emma"), []string{"Acquired Emma", "Lent rita"})
		same(s.T, "books", s.view(booksView, "emma"), `{"title":"Emma","holder":"rita","loans":1}`)
		same(s.T, "shelf", s.view(shelfView, "emma"), `{"title":"Emma","holder":"rita","loans":1,"stars":3}`)
		same(s.T, "reader", s.events(readerName, "rita"), []string{"Noted emma"})
		same(s.T, "article", s.events(articleName, "emma"), []string{"Mentioned rita"})
		same(s.T, "congratulations", w.Congratulations("emma"), map[string]int{"emma at 2": 1})
	})
	run("a side effect reads rows that have what sets it off", func(s scene) {
		s.acquire(ada, "praised-1", "Persuasion")
		s.lend("praised-1", "pia")
		s.settle()
		same(s.T, "praise", w.Congratulations("Persuasion with 1 loans: true"), map[string]int{"Persuasion with 1 loans: true at 2": 1})
	})
	run("several aggregates publish at one point, each its own stream", func(s scene) {
		for _, stars := range []string{"*", "**", "***"} {
			s.send(bob, rating, "bleak", "Rate", stars)
		}
		s.acquire(ada, "bleak", "Bleak")
		s.lend("bleak", "renata")
		s.settle()
		s.sweep()
		same(s.T, "of the book", s.events(articleName, "bleak"), []string{"Mentioned renata"})
		same(s.T, "of its rating", s.events(articleName, "rated-bleak"), []string{
			`Mentioned * in Lending by "": true`, `Mentioned ** in Lending by "": true`, `Mentioned *** in Lending by "": true`,
		})
	})
	run("what follows from a refused command follows once", func(s scene) {
		for _, id := range []string{"sitter-1", "sitter-2", "sitter-3"} {
			s.acquire(ada, id, id)
			s.lend(id, "sits-sue")
			s.settle()
		}
		for _, id := range []string{"sitter-1", "sitter-2", "sitter-3"} {
			s.again(id)
		}
		same(s.T, "seat", s.events(seatName, "sits-sue"), []string{"Taken sitter-1"})
		same(s.T, "refused", s.events(readerName, "refused-sits-sue"), []string{
			"Noted sitter-2 is not read here: SeatNotInOrder of Lending.Seat",
			"Noted sitter-3 is not read here: SeatNotInOrder of Lending.Seat",
		})
	})
	run("what follows from a refused command follows after a crash, too", func(s scene) {
		// Given a refusal that is kept, of a program that ended before it went on
		st := engine.Stream{Aggregate: bookName, ID: "sitter-5"}
		id := engine.CommandID{Origin: reserve + "/" + st.String(), Seq: 1}
		no := engine.KeptRejection{Command: id, Target: engine.Stream{Aggregate: seatName, ID: "sits-stan"}, Code: "Closed", Time: time.Now().UTC().Truncate(time.Millisecond)}
		if kept, err := s.Rejections.Reject(s.Context(), no, -1); err != nil || !kept {
			s.Fatalf("reject: %v, %v", kept, err)
		}
		// When the follower comes to the commit, whose command could be accepted now
		s.acquire(ada, "sitter-5", "Five")
		s.lend("sitter-5", "sits-stan")
		s.settle()
		// Then the refusal stands, and what follows from it has happened
		same(s.T, "seat", s.events(seatName, "sits-stan"), nil)
		same(s.T, "refused", s.events(readerName, "refused-sits-stan"), []string{"Noted sitter-5 is not read here: Closed of Lending.Seat"})
	})
	run("what a plugin asks of another's point arrives once, in order", func(s scene) {
		s.acquire(ada, "wanted-1", "Wanted")
		for _, to := range []string{"wim", "wanda", "wim"} {
			s.lend("wanted-1", to)
		}
		s.settle()
		s.again("wanted-1")
		// Given an entry that came again, and one that nobody sent
		st := engine.Stream{Aggregate: articleName, ID: "wanted-1"}
		for _, seq := range []int64{0, 2, 1_000_000} {
			data := es.NewStoredEvent("CopyWanted", 1, []byte(`{"book":"wanted-1","to":"mallory"}`))
			entry := engine.Entry{Point: "Press.Lending.Books", Stream: st, Seq: seq, Prev: -1, Events: []engine.PublishedEvent{{StoredEvent: data, Key: "wanted-1"}}}
			if err := s.Engine.Follow(s.Context(), engine.Hint{Follower: copies, Stream: st, Seq: seq, Entry: &entry}); err != nil {
				s.Fatalf("follow: %v", err)
			}
		}
		s.sweep()
		same(s.T, "copies", s.events(readerName, "copies-of-wanted-1"), []string{
			"Noted Press wants one for wim", "Noted Press wants one for wanda", "Noted Press wants one for wim",
		})
	})
	run("an event of an earlier version is several today, in rows and states and for followers", func(s scene) {
		c := engine.Commit{
			Stream: engine.Stream{Aggregate: ratingName, ID: "much"}, Seq: 0, Version: 1,
			Events: []es.StoredEvent{{Type: "Several", Data: []byte(`{"texts":["*","**"]}`)}},
			Meta:   engine.Meta{Command: engine.CommandID{Origin: "user:bob\nold"}, MessageID: "old", CorrelationID: "old", User: "bob", Owner: "bob", Service: "Lending", Time: time.Now().UTC().Truncate(time.Millisecond)},
		}
		s.acquire(ada, "much", "Much")
		if err := s.Log.Append(s.Context(), c); err != nil {
			s.Fatalf("append: %v", err)
		}
		if out := s.send(bob, rating, "much", "Rate", "***"); out.Version != 2 {
			s.Errorf("the rating has version %d, want 2", out.Version)
		}
		s.settle()
		s.sweep()
		same(s.T, "shelf", s.view(shelfView, "much"), `{"title":"Much","loans":0,"stars":6}`)
		same(s.T, "articles", len(s.events(articleName, "rated-much")), 3)
		state, err := s.Engine.State(s.Context(), admin, ratingName, "much", nil)
		if err != nil {
			s.Fatalf("state: %v", err)
		}
		same(s.T, "state", state.Version, int64(2))
	})
	run("one's own write is read at once", func(s scene) {
		s.acquire(ada, "walden", "Walden")
		s.lend("walden", "rosa")
		version := int64(2)
		r, err := s.Engine.Row(s.Context(), admin, booksView, "walden", &version)
		if err != nil {
			s.Fatalf("row: %v", err)
		}
		same(s.T, "books", string(r.View), `{"title":"Walden","holder":"rosa","loans":1}`)
	})
	run("a source that comes first waits for the one that makes the row", func(s scene) {
		s.send(bob, rating, "dune", "Rate", "**")
		s.settle()
		same(s.T, "shelf", s.view(shelfView, "dune"), "")
		s.acquire(ada, "dune", "Dune")
		s.send(bob, rating, "dune", "Rate", "*")
		s.settle()
		same(s.T, "shelf", s.view(shelfView, "dune"), `{"title":"Dune","loans":0,"stars":3}`)
	})
	run("owners list their own rows, and anybody in charge lists all", func(s scene) {
		s.acquire(ada, "mine-1", "One")
		s.acquire(bob, "his-1", "Two")
		s.lend("mine-1", "lisa")
		s.lend("his-1", "lisa")
		s.settle()
		list := func(by es.Caller) (ids []string) {
			rows, _, err := s.Engine.List(s.Context(), by, engine.Query{Model: booksView, Field: "holder", Value: "lisa", Limit: 100})
			if err != nil {
				s.Fatalf("list: %v", err)
			}
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			slices.Sort(ids)
			return ids
		}
		same(s.T, "ada's", list(ada), []string{"mine-1"})
		same(s.T, "bob's", list(bob), []string{"his-1"})
		same(s.T, "all", list(admin), []string{"his-1", "mine-1"})
	})
	run("commands that race are all decided, one after the other", func(s scene) {
		s.acquire(ada, "race", "Race")
		var wg sync.WaitGroup
		versions := make([]int64, 16)
		for i := range versions {
			wg.Go(func() { versions[i] = s.send(ada, book, "race", "Lend", "ruth").Version })
		}
		wg.Wait()
		slices.Sort(versions)
		for i, v := range versions {
			if v != int64(i+2) {
				s.Fatalf("versions %v: each was expected once, from 2 on", versions)
			}
		}
		s.settle()
		same(s.T, "shelf", s.view(shelfView, "race"), `{"title":"Race","holder":"ruth","loans":16}`)
		same(s.T, "reader", len(s.events(readerName, "ruth")), 16)
	})
	run("a command with a key takes effect once", func(s scene) {
		s.acquire(ada, "once", "Once")
		lend := func() engine.Outcome {
			out, err := s.Engine.Execute(s.Context(), engine.Request{Command: book.Command("once", note{"Lend", "olga"}), Caller: ada, IdempotencyKey: "key-1"})
			if err != nil {
				s.Errorf("lend: %v", err)
			}
			return out
		}
		var wg sync.WaitGroup
		outcomes := make([]engine.Outcome, 8)
		for i := range outcomes {
			wg.Go(func() { outcomes[i] = lend() })
		}
		wg.Wait()
		s.lend("once", "olga")
		for _, out := range append(outcomes, lend()) {
			same(s.T, "outcome", out, engine.Outcome{Version: 2, Events: []string{"Lent"}})
		}
		same(s.T, "book", s.events(bookName, "once"), []string{"Acquired Once", "Lent olga", "Lent olga"})
	})
	run("what is delivered again changes nothing", func(s scene) {
		s.acquire(ada, "twice", "Twice")
		for _, to := range []string{"tina", "theo", "tina"} {
			s.lend("twice", to)
		}
		s.settle()
		s.again("twice")
		s.again("twice")
		same(s.T, "tina", s.events(readerName, "tina"), []string{"Noted twice", "Noted twice"})
		same(s.T, "theo", s.events(readerName, "theo"), []string{"Noted twice"})
		same(s.T, "article", s.events(articleName, "twice"), []string{"Mentioned tina", "Mentioned theo", "Mentioned tina"})
		same(s.T, "shelf", s.view(shelfView, "twice"), `{"title":"Twice","holder":"tina","loans":3}`)
		same(s.T, "congratulations", w.Congratulations("twice"), map[string]int{"twice at 2": 1, "twice at 3": 1, "twice at 4": 1})
	})
	run("what fails is parked, holds up nobody, and is made good", func(s scene) {
		w.Curse(true)
		s.acquire(ada, "hexed", "Hexed")
		s.lend("hexed", Cursed)
		s.lend("hexed", "nora")
		s.acquire(ada, "fine", "Fine")
		s.lend("fine", "nils")
		s.settle()
		same(s.T, "parked", s.parked("hexed"), []string{remind, "publication:Lending.Books", "readmodel:" + booksView, "readmodel:" + shelfView})
		same(s.T, "parked of the other", s.parked("fine"), nil)
		same(s.T, "cursed", s.events(readerName, Cursed), nil)
		same(s.T, "nora", s.events(readerName, "nora"), nil) // not before the one ahead of her
		same(s.T, "nils", s.events(readerName, "nils"), []string{"Noted fine"})
		same(s.T, "fine", s.view(shelfView, "fine"), `{"title":"Fine","holder":"nils","loans":1}`)

		redrive := func(cursor string) (engine.Progress, error) { return s.Engine.Redrive(s.Context(), cursor) }
		s.steps("redrive in vain", redrive)
		same(s.T, "still parked", len(s.parked("hexed")), 4)
		s.send(bob, rating, "hexed", "Rate", "*")
		s.settle()
		same(s.T, "parked after a commit of a view's other source", len(s.parked("hexed")), 4)

		s.alone(func() {
			w.Curse(false)
			Steps(s.T, "redrive", redrive)
		})
		same(s.T, "parked", s.parked("hexed"), nil)
		same(s.T, "cursed", s.events(readerName, Cursed), []string{"Noted hexed"})
		same(s.T, "nora", s.events(readerName, "nora"), []string{"Noted hexed"})
		same(s.T, "article", s.events(articleName, "hexed"), []string{"Mentioned " + Cursed, "Mentioned nora"})
		same(s.T, "shelf", s.view(shelfView, "hexed"), `{"title":"Hexed","holder":"nora","loans":2,"stars":1}`)
		same(s.T, "books", s.view(booksView, "hexed"), `{"title":"Hexed","holder":"nora","loans":2}`)
	})
	run("rebuilt rows are the same, and nothing else happens", func(s scene) {
		s.acquire(ada, "rebuilt", "Rebuilt")
		s.lend("rebuilt", "rune")
		s.send(bob, rating, "rebuilt", "Rate", "*")
		s.settle()
		shelf, books := s.view(shelfView, "rebuilt"), s.view(booksView, "rebuilt")
		check := func() (found []string) {
			Steps(s.T, "check", func(cursor string) (engine.Progress, error) {
				p, err := s.Engine.CheckRows(s.Context(), shelfView, cursor)
				for _, d := range p.Differences {
					if d.ID == "rebuilt" {
						found = append(found, fmt.Sprintf("%s: %s, %s", d.Field, d.Stored, d.Folded))
					}
				}
				return p, err
			})
			return found
		}
		s.alone(func() {
			damage(s, shelfView, "rebuilt", `{"title":"Torn","loans":7}`)
			same(s.T, "differences", check(), []string{`holder: , "rune"`, "loans: 7, 1", "stars: , 1", `title: "Torn", "Rebuilt"`})
			for _, model := range []string{shelfView, booksView} {
				Steps(s.T, "rebuild "+model, func(cursor string) (engine.Progress, error) { return s.Engine.Rebuild(s.Context(), model, cursor) })
			}
		})
		same(s.T, "shelf", s.view(shelfView, "rebuilt"), shelf)
		same(s.T, "books", s.view(booksView, "rebuilt"), books)
		same(s.T, "differences after that", check(), nil)
		same(s.T, "reader", s.events(readerName, "rune"), []string{"Noted rebuilt"})
		same(s.T, "congratulations", w.Congratulations("rebuilt"), map[string]int{"rebuilt at 2": 1})
	})
	run("a sweep finds nothing left to do", func(s scene) {
		s.acquire(ada, "swept", "Swept")
		s.lend("swept", "sven")
		s.settle()
		s.sweep()
		same(s.T, "reader", s.events(readerName, "sven"), []string{"Noted swept"})
		same(s.T, "article", s.events(articleName, "swept"), []string{"Mentioned sven"})
		same(s.T, "congratulations", w.Congratulations("swept"), map[string]int{"swept at 2": 1})
	})
	run("a cursor beyond the end of its log is reset by a sweep", func(s scene) {
		s.acquire(ada, "beyond", "Beyond")
		s.lend("beyond", "bea")
		s.settle()
		// Given cursors as they are when the log was restored from an older backup
		st := engine.Stream{Aggregate: bookName, ID: "beyond"}
		for _, f := range []string{remind, reserve, mention} {
			if err := s.Cursors.Advance(s.Context(), f, st, 2, 1000); err != nil {
				s.Fatalf("move the cursor of %s: %v", f, err)
			}
		}
		// When the shop is swept
		s.sweep()
		// Then what comes is followed again, and nothing happens twice
		s.lend("beyond", "bert")
		s.settle()
		same(s.T, "bea", s.events(readerName, "bea"), []string{"Noted beyond"})
		same(s.T, "bert", s.events(readerName, "bert"), []string{"Noted beyond"})
		same(s.T, "article", s.events(articleName, "beyond"), []string{"Mentioned bea", "Mentioned bert"})
	})
	run("a side effect at the boundary is done once for each publication", func(s scene) {
		// Given loans that another plugin announces
		s.acquire(ada, "told", "Told")
		s.lend("told", "tom")
		s.lend("told", "tim")
		s.send(bob, rating, "told", "Rate", "*")
		s.settle()
		// When they are delivered again, and swept
		s.again("told")
		s.sweep()
		// Then each was announced once
		for _, to := range []string{"tom", "tim", "*"} {
			same(s.T, "announcements", w.Congratulations("announcement of told for "+to), map[string]int{"announcement of told for " + to + " at 0": 1})
		}
	})
	run("an entry beyond the end of the publisher's log is asked for, not believed", func(s scene) {
		s.acquire(ada, "forged", "Forged")
		s.lend("forged", "fay")
		s.settle()
		st := engine.Stream{Aggregate: bookName, ID: "forged"}
		data := es.NewStoredEvent("BookLent", 1, []byte(`{"book":"forged","to":"mallory"}`))
		for _, prev := range []int64{-1, 1} {
			for _, f := range []string{mention, announce} {
				if err := s.Engine.Follow(s.Context(), engine.Hint{Follower: f, Stream: st, Seq: 1_000_000, Entry: &engine.Entry{
					Point: "Lending.Books", Stream: st, Seq: 1_000_000, Prev: prev, Events: []engine.PublishedEvent{{StoredEvent: data, Key: "forged"}},
				}}); err != nil {
					s.Fatalf("follow: %v", err)
				}
			}
		}
		s.lend("forged", "finn")
		s.settle()
		same(s.T, "article", s.events(articleName, "forged"), []string{"Mentioned fay", "Mentioned finn"})
		same(s.T, "announcements", w.Congratulations("announcement of forged for mallory"), map[string]int{})
		same(s.T, "announcements", w.Congratulations("announcement of forged for finn"), map[string]int{"announcement of forged for finn at 0": 1})
	})
}

// testHistory has a loan, and a rated book, in a library that is swept.
func testHistory(s scene) {
	s.acquire(ada, "rated", "Rated")
	s.send(bob, rating, "rated", "Rate", "*")
	s.acquire(ada, "old", "Old")
	s.lend("old", "otto")
	s.settle()
	s.sweep()
	same(s.T, "the loan", s.events(readerName, "otto"), []string{"Noted old"})
}

// testStarts deploys a later version of the library on what is there.
func testStarts(t *testing.T, p Ports, w World) {
	s := scene{t, p}
	notes := func(who string) map[string][]string {
		t.Helper()
		return map[string][]string{"recalled": s.events(readerName, "recalled-"+who), "recounted": s.events(readerName, "recounted-"+who)}
	}
	shelved := func(id string) string {
		t.Helper()
		r, err := s.Engine.Row(s.Context(), ada, shelfView, id, nil)
		if err != nil {
			t.Fatalf("row %s: %v", id, err)
		}
		return string(r.View)
	}
	// Given a loan, and a rated book, in a library that was swept
	if len(s.events(bookName, "old")) == 0 { // this test is run alone
		testHistory(s)
	}
	same(t, "the rated one", shelved("rated"), `{"title":"Rated","loans":0,"stars":1}`)
	// When a later version comes, and a book that was there is lent again, and a new one
	s.Ports = s.Reopen(t, Library{World: w, Later: true}.Plugins())
	same(t, "the rated one, by other code", shelved("rated"), `{"title":"Rated","loans":0,"stars":2}`)
	s.lend("old", "odile")
	s.acquire(ada, "new", "New")
	s.lend("new", "nina")
	s.settle()
	s.sweep()
	s.sweep() // what the first one set off
	s.steps("refold", func(cursor string) (engine.Progress, error) { return s.Engine.Refold(s.Context(), shelfView, cursor) })
	same(t, "the rated one, as it is stored", s.view(shelfView, "rated"), `{"title":"Rated","loans":0,"stars":2}`)
	// Then what is new acts on the new loans, and only what says so on the old one
	same(t, "the old loan", notes("otto"), map[string][]string{"recalled": nil, "recounted": {"Noted old"}})
	same(t, "a new loan of it", notes("odile"), map[string][]string{"recalled": {"Noted old"}, "recounted": {"Noted old"}})
	same(t, "a loan of a new one", notes("nina"), map[string][]string{"recalled": {"Noted new"}, "recounted": {"Noted new"}})
	same(t, "applause for the old one", w.Congratulations("applause for old"), map[string]int{"applause for old at 3": 1})
	same(t, "applause for the new one", w.Congratulations("applause for new"), map[string]int{"applause for new at 2": 1})
	headlines := func(of string) map[string]int { return w.Congratulations("headline of " + of) }
	same(t, "headlines on the old loan", headlines("old for otto"), map[string]int{})
	same(t, "headlines on a new loan of it", headlines("old for odile"), map[string]int{"headline of old for odile at 0": 1})
	same(t, "headlines on a loan of a new one", headlines("new for nina"), map[string]int{"headline of new for nina at 0": 1})
	// And what was there before goes on, once
	same(t, "reminders", s.events(readerName, "otto"), []string{"Noted old"})
	same(t, "congratulations", w.Congratulations("old"), map[string]int{"old at 2": 1, "old at 3": 1})
	// When it is started again, then it goes on with what comes
	s.Ports = s.Reopen(t, Library{World: w, Later: true}.Plugins())
	s.lend("old", "oona")
	s.settle()
	s.sweep()
	same(t, "a loan after that", notes("oona"), map[string][]string{"recalled": {"Noted old"}, "recounted": {"Noted old"}})
	same(t, "the old loan", notes("otto"), map[string][]string{"recalled": nil, "recounted": {"Noted old"}})
}

// damage writes a wrong view into a row.
func damage(s scene, model, id, view string) {
	s.Helper()
	r, err := s.Rows.Row(s.Context(), model, id)
	if err != nil {
		s.Fatalf("row %s of %s: %v", id, model, err)
	}
	r.View, r.Rev = []byte(view), r.Rev+1
	if lost, err := s.Rows.Put(s.Context(), r); err != nil || lost {
		s.Fatalf("damage row %s of %s: lost %t, %v", id, model, lost, err)
	}
}
