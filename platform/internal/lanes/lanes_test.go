package lanes_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/lanes"
)

func at(position int64, stream string) lanes.Item[int64] {
	return lanes.Item[int64]{Position: position, Stream: engine.Stream{Aggregate: "A", ID: stream}, Size: 1, Value: position}
}

// next is the next commit of the lane.
func next(t *testing.T, l *lanes.Lanes[int64], lane lanes.Lane) *lanes.Item[int64] {
	t.Helper()
	x := l.Next(lane)
	if x == nil {
		t.Fatalf("there is nothing to do in lane %d", lane)
	}
	return x
}

func TestALiveCommitPassesTheBacklog(t *testing.T) {
	// Given a backlog of two streams, and a pass that has come to the first commit
	l := lanes.New[int64](0)
	l.Pass(at(1, "a"), true)
	// When a live commit is made at the log's end
	l.Live(at(3, "c"))
	// Then it can be done, beside the backlog
	live := next(t, l, lanes.Live)
	l.Done(live)
	// And the mark stays before what is not done
	if live.Position != 3 || l.Mark() != 0 {
		t.Errorf("did %d, the mark is %d", live.Position, l.Mark())
	}
	// When the backlog is done, and the pass comes to the live one
	l.Done(next(t, l, lanes.Bulk))
	l.Pass(at(2, "b"), true)
	l.Pass(at(3, "c"), true)
	l.Done(next(t, l, lanes.Bulk))
	// Then it is not done again
	if x := l.Next(lanes.Bulk); x != nil || l.Mark() != 3 {
		t.Errorf("next is %+v, the mark is %d", x, l.Mark())
	}
}

func TestCommitsOfAStreamAreDoneOneAtATime(t *testing.T) {
	l := lanes.New[int64](0)
	l.Pass(at(1, "a"), true)
	first := next(t, l, lanes.Bulk)
	l.Live(at(2, "a"))
	if x := l.Next(lanes.Live); x != nil {
		t.Fatalf("%d is done while %d is", x.Position, first.Position)
	}
	l.Done(first)
	if x := next(t, l, lanes.Live); x.Position != 2 {
		t.Errorf("next is %d", x.Position)
	}
}

func TestALiveCommitInHandIsWaitedFor(t *testing.T) {
	l := lanes.New[int64](0)
	l.Live(at(1, "a"))
	x := next(t, l, lanes.Live)
	l.Pass(at(1, "a"), true)
	l.Pass(at(2, "b"), false)
	if l.Mark() != 0 {
		t.Errorf("the mark is %d while commit 1 is in hand", l.Mark())
	}
	l.Done(x)
	if l.Mark() != 2 {
		t.Errorf("the mark is %d, want 2", l.Mark())
	}
}

// However far the pass is behind, what is live stays live.
func TestALongBacklogMakesNothingBulk(t *testing.T) {
	l := lanes.New[int64](0)
	const commits = 300_000
	for n := range int64(commits) {
		l.Live(at(n+2, fmt.Sprint(n)))
		x := l.Next(lanes.Live)
		if x == nil {
			t.Fatalf("live commit %d waits for the pass", n+2)
		}
		l.Done(x)
	}
	// And the pass does none of them again
	l.Pass(at(1, "first"), true)
	l.Done(next(t, l, lanes.Bulk))
	for n := range int64(commits) {
		l.Pass(at(n+2, fmt.Sprint(n)), true)
	}
	if x := l.Next(lanes.Bulk); x != nil || l.Mark() != commits+1 {
		t.Errorf("next is %+v, the mark is %d", x, l.Mark())
	}
}

// Whatever the order of passes, live commits, work and crashes: every commit is done, and
// the mark never passes one that is not.
func TestNothingIsPassedOver(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		const commits = 40
		done := map[int64]bool{}
		concerns := func(p int64) bool { return (uint64(p)+seed)%5 != 0 }
		stream := func(p int64) string { return fmt.Sprint((uint64(p) * (seed + 1)) % 7) }
		made, mark := int64(0), int64(0)
		l := lanes.New[int64](0)
		var inHand []*lanes.Item[int64]
		busy := map[engine.Stream]bool{}
		for steps := 0; mark < commits; steps++ {
			if steps > 10_000 {
				t.Fatalf("seed %d: it does not end; the mark is %d", seed, mark)
			}
			switch n := r.IntN(20); {
			case n < 4 && made < commits:
				made++
				if r.IntN(2) == 0 && concerns(made) {
					l.Live(at(made, stream(made)))
				}
			case n < 9 && l.Seen() < made:
				p := l.Seen() + 1
				l.Pass(at(p, stream(p)), concerns(p))
			case n < 14:
				if x := l.Next(lanes.Lane(r.IntN(2))); x != nil {
					if busy[x.Stream] {
						t.Fatalf("seed %d: %d is done while another of its stream is", seed, x.Position)
					}
					busy[x.Stream] = true
					inHand = append(inHand, x)
				}
			case n < 19 && len(inHand) > 0:
				i := r.IntN(len(inHand))
				x := inHand[i]
				inHand = append(inHand[:i], inHand[i+1:]...)
				done[x.Position] = true
				busy[x.Stream] = false
				l.Done(x)
			case n == 19 && r.IntN(10) == 0: // a crash
				l, inHand, busy = lanes.New[int64](mark), nil, map[engine.Stream]bool{}
			}
			now := l.Mark()
			if now < mark {
				t.Fatalf("seed %d: the mark goes back from %d to %d", seed, mark, now)
			}
			if mark = now; r.IntN(3) > 0 {
				continue
			}
			for p := int64(1); p <= mark; p++ {
				if concerns(p) && !done[p] {
					t.Fatalf("seed %d: the mark is %d, and %d is not done", seed, mark, p)
				}
			}
		}
	}
}
