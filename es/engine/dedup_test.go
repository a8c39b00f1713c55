package engine_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"onlineshop/es/engine"
)

func withKey(key string) func(*engine.Request) {
	return func(r *engine.Request) { r.IdempotencyKey = key }
}

func TestACommandWithAKeyTakesEffectOnce(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	first, err := l.send("dune", "Lend", "ann", withKey("k1"))
	if err != nil {
		t.Fatal(err)
	}
	// In the same process, and in one that has to read the log
	for _, elsewhere := range []bool{false, true} {
		if elsewhere {
			l.restart(nil)
		}
		again, err := l.send("dune", "Lend", "ann", withKey("k1"))
		if err != nil || !reflect.DeepEqual(again, first) {
			t.Errorf("the second answer is %+v, %v, the first was %+v", again, err, first)
		}
	}
	l.thenEvents("Lending.Book", "dune", "Acquired Dune", "Lent ann")
}

func TestAKeyIsForOneCommand(t *testing.T) {
	l := newLibrary(t, nil)
	l.acquire("dune", "Dune")
	if _, err := l.send("dune", "Lend", "ann", withKey("k1")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.send("dune", "Lend", "bob", withKey("k1")); !errors.Is(err, engine.ErrKeyReused) {
		t.Errorf("another command with the key: %v", err)
	}
	// Keys are per caller
	bob := func(r *engine.Request) { r.IdempotencyKey, r.Caller.User = "k1", "bob" }
	if out, err := l.send("dune", "Lend", "bob", bob); err != nil || len(out.Events) != 1 {
		t.Errorf("somebody else's command with the key: %+v, %v", out, err)
	}
}

func TestAKeyIsForgottenBeyondTheWindow(t *testing.T) {
	l := newLibrary(t, func(c *engine.Config) { c.DedupWindow = 2 })
	l.acquire("dune", "Dune")
	for _, key := range []string{"k1", "k2", "k3"} {
		if _, err := l.send("dune", "Lend", key, withKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"k2", "k1"} { // k1 takes effect, which drops k2
		known := key == "k2"
		_, err := l.send("dune", "Lend", key, withKey(key))
		n := 0
		for _, e := range l.events("Lending.Book", "dune") {
			if e == "Lent "+key {
				n++
			}
		}
		if err != nil || (n == 1) != known {
			t.Errorf("%s took effect %d times, %v", key, n, err)
		}
	}
}

// Followers' commands are known by their place, however old they are: where the window
// does not reach, the log is searched.
func TestAFollowersCommandTakesEffectOnceHoweverOld(t *testing.T) {
	l := newLibrary(t, func(c *engine.Config) { c.DedupWindow = 1 })
	l.acquire("dune", "Dune")
	for _, to := range []string{"ann", "bob", "cid"} {
		l.lend("dune", to)
	}
	l.settle()
	before := l.events("Press.Article", "dune")
	// When a follower's place is lost, so that it does all of it again
	s := engine.Stream{Aggregate: "Lending.Book", ID: "dune"}
	if err := l.Store.Advance(t.Context(), "extension:Press.Books_Extension", s, 4, 0); err != nil {
		t.Fatal(err)
	}
	l.sweep()
	if after := l.events("Press.Article", "dune"); !slices.Equal(before, after) || len(after) != 3 {
		t.Errorf("before %q, after %q", before, after)
	}
}
