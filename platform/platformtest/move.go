package platformtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"filippo.io/age"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/portable"
)

// Movable is a shop that can be backed up.
type Movable struct {
	Ports
	Backup portable.Source
}

// BackUp returns the file that a shop is backed up into.
func BackUp(t testing.TB, from portable.Source) portable.File {
	t.Helper()
	var b bytes.Buffer
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w, err := portable.NewWriter(&b)
	if err == nil {
		err = w.HoldKeys(identity.Recipient())
	}
	if err == nil {
		err = portable.Make(t.Context(), w, portable.Header{Shop: "Library"}, from)
	}
	if err != nil {
		t.Fatalf("back up: %v", err)
	}
	return portable.File{Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, Identities: []age.Identity{identity}}
}

// Content reads a file: its commits, and where each follower is.
func Content(t testing.TB, file portable.File) (commits []portable.Commit, cursors map[string]int64) {
	t.Helper()
	in, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := portable.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cursors = map[string]int64{}
	for {
		l, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return commits, cursors
		case err != nil:
			t.Fatal(err)
		case l.Commit != nil:
			commits = append(commits, *l.Commit)
		case l.Cursor != nil:
			cursors[l.Cursor.Consumer+" on "+l.Cursor.Stream.String()] = l.Cursor.Next
		}
	}
}

// Restore restores a file, as "shop restore" does.
func Restore(t testing.TB, file portable.File, scratch portable.Scratch, to portable.Target) {
	t.Helper()
	checked, err := portable.Check(t.Context(), file, scratch, nil)
	if err == nil {
		_, err = portable.Restore(t.Context(), file, checked.Trailer, to, func(int64) {})
	}
	if err != nil {
		t.Fatalf("restore: %v", err)
	}
}

// CheckCauses fails unless each commit comes after the one before it in its stream, and after
// the one that it follows from. It returns how many follow from another.
func CheckCauses(t testing.TB, commits []portable.Commit) (caused int) {
	t.Helper()
	next := map[string]int64{}
	for _, c := range commits {
		s := c.Stream.String()
		if c.Seq != next[s] {
			t.Errorf("commit %d of %s comes where %d was expected", c.Seq, s, next[s])
		}
		var meta engine.Meta
		if err := json.Unmarshal(c.Meta, &meta); err != nil {
			t.Fatalf("metadata of %s at %d: %v", s, c.Seq, err)
		}
		if source := meta.Command.Source(); strings.Contains(meta.Command.Follower(), ":") && source != "" && !strings.HasPrefix(meta.Command.Origin, "user:") && !strings.HasPrefix(meta.Command.Origin, engine.KindTask) {
			if caused++; next[source] <= meta.Command.Seq {
				t.Errorf("commit %d of %s comes before its cause, %d of %s", c.Seq, s, meta.Command.Seq, source)
			}
		}
		next[s] = c.Seq + 1
	}
	return caused
}

// Lend has a new book lent to each, and waits until all of that has come to its end.
func Lend(t *testing.T, p Ports, id string, to ...string) {
	t.Helper()
	scene{t, p}.acquire(ada, id, "Lent")
	LendAgain(t, p, id, to...)
}

// LendAgain is Lend of a book that is there.
func LendAgain(t *testing.T, p Ports, id string, to ...string) {
	t.Helper()
	s := scene{t, p}
	for _, who := range to {
		s.lend(id, who)
	}
	s.settle()
}

// Move tests that a shop that is backed up and restored elsewhere is the same, and does
// nothing again. open opens a shop of the world's library, and restored makes another, empty
// one out of a file.
func Move(t *testing.T, w World, open func(t *testing.T, plugins []es.Plugin) Movable, restored func(t *testing.T, plugins []es.Plugin, file portable.File) Movable) {
	// Given a library with loans, of which one came before what is new in its later version,
	// one is refused its seat, and one is parked
	first := open(t, Library{World: w}.Plugins())
	s := scene{t, first.Ports}
	s.acquire(ada, "moved", "Moved, <b>ü</b> & \"more\"")
	s.lend("moved", "otto")
	s.lend("moved", "sits-one")
	s.lend("moved", "sits-one")
	s.send(bob, rating, "moved", "Rate", "***")
	s.acquire(ada, "moved-old", "Old")
	s.lend("moved-old", "olga")
	s.settle()
	later := first
	later.Ports = first.Reopen(t, Library{World: w, Later: true}.Plugins())
	s.Ports = later.Ports
	s.sweep()
	s.lend("moved", "nina")
	s.settle()
	w.Curse(true)
	s.acquire(ada, "moved-cursed", "Cursed")
	s.lend("moved-cursed", Cursed)
	s.settle()
	parkedBefore := s.parked("moved-cursed")
	since := func() time.Time {
		t.Helper()
		p, err := s.Parking.Parked(t.Context(), remind, engine.Stream{Aggregate: bookName, ID: "moved-cursed"})
		if err != nil || p == nil {
			t.Fatalf("the reminder is not parked: %v", err)
		}
		return p.Since
	}
	parkedSince := since()
	congratulations := func() map[string]map[string]int {
		out := map[string]map[string]int{}
		for _, of := range []string{"moved", "moved-cursed", "applause for moved", "announcement of moved", "announcement of moved for nina", "headline of moved for nina", "headline of moved for otto"} {
			out[of] = w.Congratulations(of)
		}
		return out
	}
	congratulated := congratulations()
	view := s.view(shelfView, "moved")
	// And one of which nobody may have heard yet
	s.acquire(ada, "moved-late", "Late")
	s.lend("moved-late", "lars")
	// When it is backed up, and restored elsewhere
	source := later.Backup
	if source == nil {
		t.Fatal("the shop can't be backed up")
	}
	file := BackUp(t, source)
	commits, cursors := Content(t, file)
	there := restored(t, Library{World: w, Later: true}.Plugins(), file)
	s.Ports = there.Ports
	s.settle()
	s.sweep()
	s.sweep()
	// Then its log is the same, byte for byte, in an order in which causes come first
	again, cursorsAgain := Content(t, BackUp(t, there.Backup))
	byPlace := func(list []portable.Commit) map[string]portable.Commit {
		out := map[string]portable.Commit{}
		for _, c := range list {
			out[fmt.Sprint(c.Stream, " ", c.Seq)] = c
		}
		return out
	}
	was, is := byPlace(commits), byPlace(again)
	for place := range is {
		if _, ok := was[place]; !ok {
			delete(is, place) // of what nobody had heard of
		}
	}
	if d := cmp.Diff(was, is); d != "" {
		t.Errorf("commits (-before +after):\n%s", d)
	}
	for _, list := range [][]portable.Commit{commits, again} {
		same(t, "commits follow from others", CheckCauses(t, list) > 5, true)
	}
	for name, next := range cursors {
		if cursorsAgain[name] < next {
			t.Errorf("%s is at %d, and was at %d", name, cursorsAgain[name], next)
		}
	}
	// And nobody is told again, and nobody new of what was there before
	same(t, "congratulations", congratulations(), congratulated)
	same(t, "reminders of the old loan", s.events(readerName, "otto"), []string{"Noted moved"})
	same(t, "what is new has not heard of it", s.events(readerName, "recalled-otto"), nil)
	same(t, "nor of another old one", s.events(readerName, "recalled-olga"), nil)
	same(t, "unless it is from the beginning", s.events(readerName, "recounted-olga"), []string{"Noted moved-old"})
	for _, who := range []string{"lars", "recalled-lars", "recounted-lars"} {
		same(t, who, s.events(readerName, who), []string{"Noted moved-late"})
	}
	same(t, "the row", s.view(shelfView, "moved"), view)
	// And what was parked and refused still is
	same(t, "parked", s.parked("moved-cursed"), parkedBefore)
	same(t, "parked since", since(), parkedSince)
	no, err := s.Rejections.ListRejections(t.Context(), reserve, "", 10)
	if err != nil || len(no) != 1 {
		t.Errorf("refused: %v, %v", no, err)
	}
	// When the curse is lifted, and work goes on
	w.Curse(false)
	s.steps("redrive", func(cursor string) (engine.Progress, error) { return s.Engine.Redrive(s.Context(), cursor) })
	s.lend("moved", "oona")
	s.settle()
	// Then all of it is done once
	same(t, "parked", s.parked("moved-cursed"), nil)
	same(t, "the reminder that was parked", s.events(readerName, Cursed), []string{"Noted moved-cursed"})
	for _, who := range []string{"oona", "recalled-oona", "recounted-oona", "recalled-nina"} {
		same(t, who, s.events(readerName, who), []string{"Noted moved"})
	}
	same(t, "congratulations on the new loan", w.Congratulations("moved")["moved at 6"], 1)
}
