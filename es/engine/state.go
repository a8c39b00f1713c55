package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"onlineshop/es"
)

// aggregateState is an aggregate's folded state with the ids of its latest commits. Its
// mutex is never held across a port call.
type aggregateState struct {
	sync.Mutex
	of *aggregate
	id string

	read         bool // the stream was read; false: speculating that it is empty
	next         int64
	version      int64
	key          []byte   // of what is personal; nil: there is none, or it is not known
	erased       bool     // its subject: what is personal is left out
	texts        []string // that are personal: see [subjects]
	link         []byte   // of the latest commit
	unlinked     bool     // link is not known: restored from a snapshot of an earlier version
	state        any
	owner        string
	last         time.Time // of the latest commit
	window       []dedupEntry
	evictedUntil time.Time // of the newest commit whose id is no longer in window
	evicted      *filter   // the origins of those ids; nil: none
	snapshotAt   int64     // next, as of the latest snapshot
	bytes        int64     // estimate of what all of this takes
}

// add folds the stream's next commit. events are its decoded events.
func (f *aggregateState) add(c Commit, events []any, memory int) (err error) {
	defer guardAt("fold", c.Stream, c.Seq, &err)
	for _, e := range events {
		f.state = f.of.Evolve(e, f.state)
	}
	names := make([]string, len(c.Events))
	for i, s := range c.Events {
		names[i] = s.Type
		f.bytes += int64(len(s.Data)) / 2 // much of it replaces earlier data
	}
	if c.Seq == 0 {
		f.owner = c.Meta.Owner
	}
	f.read, f.next, f.version, f.last = true, c.Seq+1, c.Version, c.Meta.Time
	f.link, f.unlinked = c.Link(), false
	f.bytes += 160
	f.window = append(f.window, dedupEntry{hashFrom(c.Meta.Command.Origin), c.Meta.Command.Seq, c.Meta.Command.Index, c.Meta.Payload, c.Version, names, c.Meta.Time})
	if drop := len(f.window) - memory; drop > 0 {
		if f.evicted == nil {
			f.evicted = &filter{}
			f.bytes += int64(len(f.evicted)) * 8
		}
		for _, r := range f.window[:drop] {
			f.evictedUntil = r.Time
			f.evicted.add(r.From)
		}
		f.window = f.window[drop:] // append allocates a new array once this one is used up
		f.bytes -= 160 * int64(drop)
	}
	return nil
}

// catchUp folds f to the end of its stream.
func (e *Engine) catchUp(ctx context.Context, f *aggregateState) error {
	f.Lock()
	read, from := f.read, f.next
	f.Unlock()
	s := Stream{f.of.Name, f.id}
	if !read && e.Snapshots != nil {
		from = e.restore(ctx, s, f)
	}
	o := e.openerFor(f)
	err := e.foldOn(ctx, f, o, from)
	f.Lock()
	if err == nil && f.unlinked { // the log ends before the snapshot: it was restored
		f.restart()
		f.Unlock()
		err = e.foldOn(ctx, f, o, 0)
		f.Lock()
	}
	f.read = f.read || err == nil
	f.Unlock()
	return err
}

// foldOn folds what the stream has from seq from on. Where its subject is erased, it folds
// all of it again, without what was personal.
func (e *Engine) foldOn(ctx context.Context, f *aggregateState, o *opener, from int64) error {
	err := e.openedBy(ctx, o, from, 0, func(c Commit) error { return e.absorb(f, c) })
	if errors.Is(err, errErasedNow) {
		o.erased = true
		anew := &aggregateState{of: f.of, id: f.id, state: f.of.Initial, bytes: int64(len(f.id)) + 400, erased: true}
		if err = e.openedBy(ctx, o, 0, 0, func(c Commit) error { return e.absorb(anew, c) }); err == nil {
			f.become(anew)
		}
	}
	f.learn(o)
	return err
}

// learn keeps what an opener knows of the stream's key.
func (f *aggregateState) learn(o *opener) {
	f.Lock()
	defer f.Unlock()
	switch {
	case f.erased:
	case o.erased:
		f.erased, f.key, f.texts = true, nil, nil
	case o.key != nil:
		f.key = o.key
	}
}

// become takes over what another state has folded without what was personal, unless this one
// has come as far meanwhile.
func (f *aggregateState) become(g *aggregateState) {
	f.Lock()
	defer f.Unlock()
	if f.erased && f.next >= g.next {
		return
	}
	f.read, f.next, f.version, f.state, f.owner, f.last = true, g.next, g.version, g.state, g.owner, g.last
	f.link, f.unlinked, f.window, f.evictedUntil, f.evicted, f.snapshotAt = g.link, false, g.window, g.evictedUntil, g.evicted, g.next
	f.key, f.erased, f.texts, f.bytes = nil, true, nil, g.bytes
}

// errErasedNow says that a state was folded with what is personal, up to the commit that
// erases it: it is to be folded again from the start.
var errErasedNow = errors.New("its subject is erased")

// openerFor is an opener with what the state knows of its stream's key.
func (e *Engine) openerFor(f *aggregateState) *opener {
	f.Lock()
	defer f.Unlock()
	o := e.opener(Stream{f.of.Name, f.id})
	o.key, o.known, o.erased = f.key, f.key != nil, f.erased
	return o
}

// restart forgets what was folded.
func (f *aggregateState) restart() {
	f.read, f.next, f.version, f.state, f.owner, f.last = false, 0, 0, f.of.Initial, "", time.Time{}
	f.key, f.texts = nil, nil
	f.link, f.unlinked, f.window, f.evictedUntil, f.evicted, f.snapshotAt = nil, false, nil, time.Time{}, nil, 0
}

// absorb folds the commit, opened, if it is the next one.
func (e *Engine) absorb(f *aggregateState, c Commit) error {
	f.Lock()
	defer f.Unlock()
	if c.Seq == f.next-1 && f.unlinked {
		f.link, f.unlinked = c.Link(), false
	}
	if c.Seq != f.next {
		return nil // somebody else folded it already
	}
	if !f.unlinked {
		if err := c.CheckFollows(f.link); err != nil {
			return err
		}
	}
	decoded, err := f.of.decode(c)
	if err != nil {
		return err
	}
	events := make([]any, len(decoded))
	for i, d := range decoded {
		events[i] = d.Event
	}
	if !f.erased && f.of.erased(events) {
		return errErasedNow
	}
	if err := f.add(c, events, e.DedupWindow); err != nil {
		e.cache.drop(c.Stream) // half folded
		return err
	}
	if c.key != nil {
		f.note(c.Events)
	}
	return nil
}

// note keeps the personal texts of events that are folded, which are not sealed.
func (f *aggregateState) note(events []es.StoredEvent) {
	texts := f.of.subject.texts(events)
	for _, t := range texts {
		f.bytes += int64(len(t)) + 16
	}
	f.texts = append(f.texts, texts...)
}

// absorbTheirs folds the commit that was in an append's way.
func (e *Engine) absorbTheirs(ctx context.Context, f *aggregateState, c Commit) error {
	o := e.openerFor(f)
	c, err := o.open(ctx, c)
	if err == nil {
		f.learn(o)
		err = e.absorb(f, c)
	}
	if errors.Is(err, errErasedNow) {
		return e.catchUp(ctx, f)
	}
	return err
}

func (f *aggregateState) wasRead() bool {
	f.Lock()
	defer f.Unlock()
	return f.read
}
