package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

const (
	planted = "Zaphod-Quendelstein"
	moved   = "Trillianweg-4711"
)

var zaphod = engine.Stream{Aggregate: "Lending.Member", ID: "zaphod"}

// member sends a command to Zaphod's stream.
func (l *library) member(command, text string, with func(*engine.Request)) error {
	l.Helper()
	_, err := l.sendTo(zaphod.Aggregate, zaphod.ID, command, text, with)
	return err
}

func (l *library) mustMember(command, text string) {
	l.Helper()
	if err := l.member(command, text, nil); err != nil {
		l.Fatal(err)
	}
}

// thenNowhere finds what is planted in no store.
func (l *library) thenNowhere() {
	l.Helper()
	for _, text := range []string{planted, moved} {
		if where := l.Find(text); where != nil {
			l.Errorf("%s is in %q", text, where)
		}
	}
}

func (l *library) state() string {
	l.Helper()
	s, err := l.Engine().State(l.Context(), es.System(), zaphod.Aggregate, zaphod.ID, nil)
	if err != nil {
		l.Fatal(err)
	}
	return string(s.State)
}

func TestAWarmCommandOfAPersonCostsNoRequestMoreAndTheFirstOneWrite(t *testing.T) {
	l := newLibrary(t, nil)
	if calls := l.watch(func() { l.mustMember("Join", planted) }); !slices.Equal(calls, []string{"Key", "Append"}) {
		t.Errorf("the first command calls %q", calls)
	}
	if calls := l.watch(func() { l.mustMember("Move", moved) }); !slices.Equal(calls, []string{"Append"}) {
		t.Errorf("a warm command calls %q", calls)
	}
	// And what nobody is the subject of asks for no key
	if calls := l.watch(func() { l.acquire("dune", "Dune") }); !slices.Equal(calls, []string{"Append"}) {
		t.Errorf("a command to a book calls %q", calls)
	}
}

func TestWhatIsPersonalIsStoredSealedEverywhere(t *testing.T) {
	l := newLibrary(t, func(c *engine.Config) { c.SnapshotEvery = 2 })
	l.mustMember("Join", planted)
	l.mustMember("Move", moved)
	l.mustMember("Move", moved+"!")
	l.settle()
	l.thenNowhere()
	// And another process reads it, from the snapshot and the log
	l.restart(nil)
	if err := l.member("Join", planted, nil); err == nil {
		t.Error("another process does not know who has joined")
	}
	if s := l.state(); !strings.Contains(s, planted) {
		t.Errorf("state %s", s)
	}
}

func TestWhatIsSealedOpensNowhereElse(t *testing.T) {
	l := newLibrary(t, nil)
	l.mustMember("Join", planted)
	// When what is sealed is moved to another member of the event
	l.Rewrite(zaphod, 0, func(c *engine.Commit) {
		c.Events[0].Type, c.Hash = "Moved", nil
	})
	// Then it does not open, and is no shorter history
	if _, err := l.Engine().State(t.Context(), es.System(), zaphod.Aggregate, zaphod.ID, nil); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("%v", err)
	}
}

func TestAPlainTextThatLooksSealedStaysAsItIs(t *testing.T) {
	// Given a name that is, letter by letter, what another's is stored as
	l := newLibrary(t, nil)
	l.mustMember("Join", planted)
	sealed := string(l.Commits(zaphod)[0].Events[0].Data)
	name := sealed[len(`{"text":"`) : len(sealed)-2]
	if _, err := l.sendTo(zaphod.Aggregate, "ford", "Join", name, nil); err != nil {
		t.Fatal(err)
	}
	l.thenEvents(zaphod.Aggregate, "ford", "Joined "+name)
}

func TestEventsOfAnEarlierVersionStayReadableUntilTheirSubjectIsErased(t *testing.T) {
	// Given an event that was stored before its fields were personal
	l := newLibrary(t, func(c *engine.Config) { c.Unsealed = true })
	l.mustMember("Join", planted)
	l.ForgetKeys()
	l.Rewrite(zaphod, 0, func(c *engine.Commit) {
		c.Events[0].Data, c.Events[0].Sealed, c.Hash = fmt.Appendf(nil, `{"text":%q}`, planted), nil, nil
	})
	l.restart(nil)
	l.thenEvents(zaphod.Aggregate, zaphod.ID, "Joined "+planted)
	l.settle()
	l.sweep()
	// And a snapshot from then, and a row, which is sealed as it is folded again
	if err := l.SaveSnapshot(t.Context(), zaphod, []byte(planted)); err != nil {
		t.Fatal(err)
	}
	platformtest.Steps(t, "rebuild", func(cursor string) (engine.Progress, error) {
		return l.Engine().Rebuild(t.Context(), "Lending.Members", cursor)
	})
	if where := l.Find(planted); !slices.Equal(where, []string{"log of Lending.Member#zaphod", "snapshot of Lending.Member#zaphod"}) {
		t.Errorf("it is in %q", where)
	}
	// When its subject is erased
	l.mustMember("Go", "x")
	l.sweep()
	// Then nobody reads it
	l.thenEvents(zaphod.Aggregate, zaphod.ID, "Joined ", "Gone x")
	if s := l.state(); strings.Contains(s, planted) {
		t.Errorf("state %s", s)
	}
	// And of an earlier version, only the event itself is left
	if where := l.Find(planted); !slices.Equal(where, []string{"log of Lending.Member#zaphod"}) {
		t.Errorf("it is in %q", where)
	}
}

func TestAWarmProcessForgetsWhoIsErased(t *testing.T) {
	// Given two processes that have folded somebody's state
	l := newLibrary(t, nil)
	l.mustMember("Join", planted)
	other := l.Engine()
	l.restart(nil)
	l.use(other)
	l.mustMember("Move", moved)
	l.use(nil)
	// When they are erased through one of them
	l.mustMember("Go", "x")
	l.settle()
	// Then the other decides on what is left, and stores nothing personal under its old key
	l.use(other)
	no := (*es.Rejection)(nil)
	if err := l.member("Move", moved, nil); !errors.As(err, &no) || no.Code != engine.ErrSubjectErased.Code {
		t.Errorf("another move: %v", err)
	}
	l.thenEvents(zaphod.Aggregate, zaphod.ID, "Joined ", "Moved ", "Gone x")
	if n := len(l.Commits(zaphod)); n != 3 {
		t.Errorf("%d commits", n)
	}
	l.thenNowhere()
}

func TestAnErasureIsDoneAgainUntilItIsDone(t *testing.T) {
	for _, failing := range []string{"Destroy", "SaveSnapshot", "Row", "Put", "PutItems", "Advance"} {
		t.Run(failing, func(t *testing.T) {
			l := newLibrary(t, func(c *engine.Config) { c.SnapshotEvery = 1 })
			l.mustMember("Join", planted)
			l.mustMember("Move", moved)
			l.settle()
			l.mustMember("Go", "x")
			// Given a process that ends in the middle
			failed := false
			l.Before = func(method string) error {
				if method == failing {
					failed = true
					return errors.New("the process ends here")
				}
				return nil
			}
			_ = l.Settle(t.Context())
			if !failed {
				t.Fatalf("%s was not called", failing)
			}
			// When the next one goes on
			l.Before = nil
			l.restart(nil)
			for range 2 {
				l.sweep()
				if _, err := l.Engine().Redrive(t.Context(), ""); err != nil {
					t.Fatal(err)
				}
				l.settle()
			}
			// Then it is done
			l.thenNowhere()
			if parked := l.parked(); parked != nil {
				t.Errorf("parked: %q", parked)
			}
			if _, err := l.Key(t.Context(), zaphod, false); !errors.Is(err, engine.ErrErased) {
				t.Errorf("key: %v", err)
			}
			l.thenRow("Lending.Members", zaphod.ID, `{"name":"","moves":1,"gone":true}`)
		})
	}
}

func TestNeitherErrorsNorLogsTellWhatIsPersonal(t *testing.T) {
	// Given a view and a side effect whose errors tell whom they failed on
	var log strings.Builder
	l := newLibrary(t, func(c *engine.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	l.Curse(true)
	l.mustMember("Join", "cursed-"+planted)
	// When they fail, in this process and in one that has only the log
	l.settle()
	l.restart(func(c *engine.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	l.sweep()
	// Then the view is parked, and both are logged
	if parked := l.parked(); !slices.Equal(parked, []string{"readmodel:Lending.Members Lending.Member#zaphod"}) {
		t.Errorf("parked: %q", parked)
	}
	for _, want := range []string{"there is a curse on (personal)", "nobody welcomes (personal)"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log.String())
		}
	}
	// And nothing tells whom it is about
	l.thenNowhere()
	if strings.Contains(log.String(), planted) {
		t.Errorf("the log tells: %s", log.String())
	}
}

func TestASideEffectPassesOverWhoIsErased(t *testing.T) {
	// Given somebody who is erased before a side effect gets to their joining
	l := newLibrary(t, nil)
	l.mustMember("Join", planted)
	l.mustMember("Go", "x")
	l.Drop()
	if err := l.Engine().Follow(t.Context(), engine.Hint{Follower: "erasure:Lending.Member", Stream: zaphod, Seq: engine.StreamEnd}); err != nil {
		t.Fatal(err)
	}
	// When it does
	l.sweep()
	// Then it does nothing
	if n := l.Congratulations("welcome zaphod"); len(n) > 0 {
		t.Errorf("%v", n)
	}
	if parked := l.parked(); parked != nil {
		t.Errorf("parked: %q", parked)
	}
}

// What a side effect sends may be kept after its subject's erasure has looked for it.
func TestWhatIsKeptOfWhoIsErasedMeanwhileGoes(t *testing.T) {
	for _, ends := range []bool{false, true} {
		t.Run(fmt.Sprintf("the process ends: %t", ends), func(t *testing.T) {
			// Given somebody who has joined
			var forgotten []string
			forget := func(c *engine.Config) {
				c.Forget = func(_ context.Context, s engine.Stream) error {
					forgotten = append(forgotten, s.String())
					return nil
				}
			}
			l := newLibrary(t, forget)
			l.mustMember("Join", planted)
			// When they are erased once a side effect has read of them, before it is done
			var erased []string
			l.Before = func(method string) error {
				if n := len(l.Congratulations("welcome zaphod")); method != "Key" && method != "Advance" || n == 0 {
					return nil
				}
				l.Before = nil
				l.mustMember("Go", "x")
				if err := l.Engine().Follow(t.Context(), engine.Hint{Follower: "erasure:Lending.Member", Stream: zaphod, Seq: engine.StreamEnd}); err != nil {
					t.Error(err)
				}
				erased, forgotten = forgotten, nil
				if l.Drop(); ends {
					return fmt.Errorf("the process ends here: %w", context.Canceled)
				}
				return nil
			}
			_ = l.Settle(t.Context())
			if !slices.Equal(erased, []string{zaphod.String()}) {
				t.Fatalf("the erasure, amid the side effect, removes what is kept of %q", erased)
			}
			// And another process goes on where that one has ended
			if ends {
				l.restart(forget)
				again := engine.Hint{Follower: "effect:Lending.Welcome", Stream: zaphod, Commit: &l.Commits(zaphod)[0]}
				if err := l.Engine().Follow(t.Context(), again); err != nil {
					t.Fatal(err)
				}
			}
			// Then what was kept meanwhile is removed, too
			if !slices.Contains(forgotten, zaphod.String()) {
				t.Errorf("what is kept of %q is removed, want Zaphod's", forgotten)
			}
			if parked := l.parked(); parked != nil {
				t.Errorf("parked: %q", parked)
			}
		})
	}
}

func TestTheHashOfAPersonalCommandCantBeGuessed(t *testing.T) {
	l := newLibrary(t, nil)
	if err := l.member("Join", planted, withKey("k")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.sendTo(zaphod.Aggregate, "ford", "Join", planted, withKey("k")); err != nil {
		t.Fatal(err)
	}
	// The same command to two members has two hashes
	ford := engine.Stream{Aggregate: zaphod.Aggregate, ID: "ford"}
	if a, b := l.Commits(zaphod)[0].Meta.Payload, l.Commits(ford)[0].Meta.Payload; a == b || len(a) != 24 {
		t.Errorf("hashes %q and %q", a, b)
	}
	// And it is still told from another
	for _, elsewhere := range []bool{false, true} {
		if elsewhere {
			l.restart(nil)
		}
		if err := l.member("Join", planted, withKey("k")); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := l.member("Join", moved, withKey("k")); !errors.Is(err, engine.ErrKeyReused) {
			t.Errorf("another command: %v", err)
		}
	}
}
