// Package lanes decides what a reader of the log does next: live commits first, all
// others in the order of the log. Those of one stream are done one at a time.
//
// A reader passes the log from its beginning to its end, and has a mark: everything up to
// there is done, so that a restart goes on from it. A live commit is done when it is
// committed, however far behind the pass is. When the pass comes to it, it finds that it
// is done, or in hand.
package lanes

import (
	"slices"

	"onlineshop/es/engine"
)

// Lane is live or bulk.
type Lane int

// The lanes.
const (
	Live Lane = iota
	Bulk
)

// Item is a commit in hand. Lanes owns what is not exported.
type Item[T any] struct {
	Position int64 // among all commits, from 1
	Stream   engine.Stream
	Size     int // bytes, for the caller's bounds
	Value    T
	Lane     Lane

	passed bool // the pass has come to it
	done   bool
}

// maxAhead is how many live commits are in hand that the pass has not come to. Beyond it,
// commits are not live: the pass finds them.
const maxAhead = 1 << 16

// chunk is so many positions, of which one bit each says that it is done.
const chunk = 4096

// positions is a set of positions, small where they are close together: 512 bytes for
// a chunk.
type positions map[int64]*[chunk / 64]uint64

func (p positions) add(n int64) {
	c := p[n/chunk]
	if c == nil {
		c = new([chunk / 64]uint64)
		p[n/chunk] = c
	}
	c[n%chunk/64] |= 1 << (n % 64)
}

func (p positions) has(n int64) bool {
	c := p[n/chunk]
	return c != nil && c[n%chunk/64]&(1<<(n%64)) != 0
}

// forget drops the chunk that n ends.
func (p positions) forget(n int64) {
	if n%chunk == chunk-1 {
		delete(p, n/chunk)
	}
}

// Lanes holds what is in hand. It is not safe for concurrent use.
type Lanes[T any] struct {
	seen    int64              // position of the last commit that the pass has come to
	inHand  []*Item[T]         // by position: what the pass has come to, from the first that is not done
	ahead   map[int64]*Item[T] // live ones in hand that the pass has not come to
	done    positions          // live ones that are done, and that the pass has not come to
	size    int                // of inHand
	streams map[engine.Stream]*stream[T]
	ready   [2][]engine.Stream // by lane; a stream that is busy or empty is left out when its turn comes
}

// stream is what waits in a stream.
type stream[T any] struct {
	busy    bool // one of its commits is being done
	waiting [2][]*Item[T]
}

// New returns lanes for a reader that has done everything up to the mark.
func New[T any](mark int64) *Lanes[T] {
	return &Lanes[T]{seen: mark, ahead: map[int64]*Item[T]{}, done: positions{}, streams: map[engine.Stream]*stream[T]{}}
}

// Seen returns the position that the pass has come to.
func (l *Lanes[T]) Seen() int64 { return l.seen }

// InHand returns how many commits lie between the mark and the pass, and their size.
func (l *Lanes[T]) InHand() (commits, size int) { return len(l.inHand), l.size }

// Live takes a live commit ahead of the pass. It does nothing if the pass has come to it,
// or if there are too many already.
func (l *Lanes[T]) Live(x Item[T]) {
	if x.Position <= l.seen || len(l.ahead) >= maxAhead || l.ahead[x.Position] != nil || l.done.has(x.Position) {
		return
	}
	x.Lane = Live
	l.ahead[x.Position] = &x
	l.enqueue(&x)
}

// Pass takes the next commit of the log. concerns is false for one that there is nothing
// to do about.
func (l *Lanes[T]) Pass(x Item[T], concerns bool) {
	l.seen = x.Position
	concerns = concerns && !l.done.has(x.Position)
	l.done.forget(x.Position)
	at := l.ahead[x.Position]
	switch {
	case at != nil:
		delete(l.ahead, x.Position)
	case !concerns && len(l.inHand) == 0:
		return
	default:
		x.Lane = Bulk
		at = &x
	}
	at.passed = true
	at.done = !concerns
	l.inHand = append(l.inHand, at)
	l.size += at.Size
	if concerns && at.Lane == Bulk {
		l.enqueue(at)
	}
	l.settle()
}

func (l *Lanes[T]) enqueue(x *Item[T]) {
	s := l.streams[x.Stream]
	if s == nil {
		s = &stream[T]{}
		l.streams[x.Stream] = s
	}
	s.waiting[x.Lane] = append(s.waiting[x.Lane], x)
	if !s.busy {
		l.ready[x.Lane] = append(l.ready[x.Lane], x.Stream)
	}
}

// Next returns the lane's next commit, whose stream is busy until it is [Lanes.Done]; nil
// if there is none now.
func (l *Lanes[T]) Next(lane Lane) *Item[T] {
	for len(l.ready[lane]) > 0 {
		st := l.ready[lane][0]
		if l.ready[lane] = l.ready[lane][1:]; len(l.ready[lane]) == 0 {
			l.ready[lane] = nil
		}
		s := l.streams[st]
		if s == nil || s.busy || len(s.waiting[lane]) == 0 {
			continue
		}
		x := s.waiting[lane][0]
		s.waiting[lane] = s.waiting[lane][1:]
		s.busy = true
		return x
	}
	return nil
}

// Done notes that the commit is done. If its stream has more to do now, ready is true, and
// lane is where.
func (l *Lanes[T]) Done(x *Item[T]) (lane Lane, ready bool) {
	var none T
	x.done, x.Value = true, none
	s := l.streams[x.Stream]
	s.busy = false
	switch {
	case len(s.waiting[Live]) > 0:
		lane, ready = Live, true
	case len(s.waiting[Bulk]) > 0:
		lane, ready = Bulk, true
	default:
		delete(l.streams, x.Stream)
	}
	if ready {
		l.ready[lane] = append(l.ready[lane], x.Stream)
	}
	if x.passed {
		l.settle()
	} else {
		delete(l.ahead, x.Position)
		l.done.add(x.Position)
	}
	return lane, ready
}

// settle moves the mark.
func (l *Lanes[T]) settle() {
	for len(l.inHand) > 0 && l.inHand[0].done {
		l.size -= l.inHand[0].Size
		l.inHand[0] = nil
		l.inHand = l.inHand[1:]
	}
}

// Mark returns the position up to which everything is done.
func (l *Lanes[T]) Mark() int64 {
	if len(l.inHand) > 0 {
		return l.inHand[0].Position - 1
	}
	return l.seen
}

// Ready reports whether the lane has something to do.
func (l *Lanes[T]) Ready(lane Lane) bool {
	return slices.ContainsFunc(l.ready[lane], func(st engine.Stream) bool {
		s := l.streams[st]
		return s != nil && !s.busy && len(s.waiting[lane]) > 0
	})
}
