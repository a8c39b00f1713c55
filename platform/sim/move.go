package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/memory"
	"onlineshop/platform/portable"
)

// Move is a backup of a shop that goes on meanwhile, and is lost some time later. What was
// restored from it goes on in its place.
type Move struct {
	After, Then int    // steps before the backup begins, and from its end until the shop is lost
	BringBack   bool   // the keys of personal data come along
	Moved       func() // is called when the restored shop opens
}

// moved is what is known of the shop that was lost.
type moved struct {
	began, lost int64 // steps: of the backup, and when it was lost
	cut         map[engine.Stream]int64
	passed      map[string]int64       // places of followers, by name and stream
	erased      map[engine.Stream]bool // whose keys were destroyed when keys were read
	gone        map[engine.Stream]bool // who was erased when it was lost
}

// margin is by how much clocks may differ for a cut by time, and how long a commit may be on
// its way.
const margin = 5 * time.Second

// Move starts a move. Where the shop is cut by time, no clock is further wrong than that
// allows.
func (w *World) Move(m Move) {
	w.steady = !w.Readers
	w.Spawn("move", func(ctx context.Context) {
		for range m.After {
			w.step(ctx)
		}
		if err := w.move(ctx, m); err != nil {
			w.failed = fmt.Errorf("move: %w", err)
		}
	})
}

var errKilled = errors.New("sim: the program that moves the shop was killed")

func (w *World) move(ctx context.Context, m Move) error {
	was := &moved{cut: map[engine.Stream]int64{}, gone: map[engine.Stream]bool{}}
	file, err := w.backUp(ctx, was)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	for range m.Then {
		w.step(ctx)
	}
	old := w.store
	was.lost = w.Steps
	for _, k := range old.AllKeys() {
		was.gone[k.Stream] = k.Erased
	}
	for _, s := range w.subjectsErased() {
		was.gone[s] = true
	}
	restored, err := w.restore(ctx, file, m.BringBack)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	for _, s := range restored.AllStreams() {
		was.cut[s] = int64(len(restored.Commits(s)))
	}
	if err := was.check(old, restored); err != nil {
		return err
	}
	for _, k := range restored.AllKeys() {
		if k.Erased {
			continue
		}
		if !m.BringBack || was.erased[k.Stream] {
			return fmt.Errorf("%s can be read again, and nobody asked for that", k.Stream)
		}
	}
	w.moved = was
	return w.open(ctx, restored, m)
}

// identity opens the keys in files.
var identity = sync.OnceValue(func() *age.X25519Identity {
	i, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return i
})

// file is one that a backup wrote.
func file(content []byte, identities ...age.Identity) portable.File {
	return portable.File{Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, Identities: identities}
}

// backUp backs the shop up, again where that is killed. Of that, no half file passes for a
// whole one.
func (w *World) backUp(ctx context.Context, was *moved) ([]byte, error) {
	for attempt := 0; ; attempt++ {
		was.began = w.Steps
		var b bytes.Buffer
		out, err := portable.NewWriter(&b)
		if err == nil {
			err = out.HoldKeys(identity().Recipient())
		}
		if err != nil {
			return nil, err
		}
		p := w.program(ctx, attempt, 1000)
		source := p.instant()
		if !w.Readers {
			m := margin
			if w.Fault == NoMargin {
				m = 0
			}
			source = portable.ByTime(&tables{p, time.Duration(w.rand.IntN(2001)-1000) * time.Millisecond}, m, memory.Scratch{})
		}
		source = p.lossy(source)
		err = portable.Make(ctx, out, portable.Header{Shop: "Shop", Time: w.now}, source)
		if err == nil {
			was.erased, was.passed = p.erased, p.passed
			return b.Bytes(), nil
		}
		if !errors.Is(err, errKilled) {
			return nil, err
		}
		if _, err := portable.Check(ctx, file(b.Bytes()), memory.Scratch{}, nil); !errors.Is(err, portable.ErrFile) {
			return nil, fmt.Errorf("a file whose backup was killed is taken for whole: %w", err)
		}
	}
}

// program is one that backs up or restores, until it is killed.
type program struct {
	*World
	ctx    context.Context
	left   int                    // calls until it is killed; 0: it comes to its end
	erased map[engine.Stream]bool // whose keys were destroyed when it read them
	passed map[string]int64       // places of followers when it read them
	first  []portable.Key         // as they were when it began
}

// program starts one, which in chaos is killed within so many calls, up to three times.
func (w *World) program(ctx context.Context, attempt, within int) *program {
	p := &program{World: w, ctx: ctx, erased: map[engine.Stream]bool{}, first: w.store.AllKeys()}
	if w.Chaos && attempt < 3 {
		p.left = max(0, w.rand.IntN(2*within)-within/2) // sometimes not at all
	}
	return p
}

// cursors reads the places of followers.
func (p *program) cursors() []portable.Cursor {
	p.passed = map[string]int64{}
	cursors := p.store.AllCursors()
	for _, c := range cursors {
		p.passed[placeOf(c.Consumer, c.Stream)] = c.Next
	}
	return cursors
}

func placeOf(follower string, s engine.Stream) string { return follower + " on " + s.String() }

// keys reads the keys of personal data.
func (p *program) keys() []portable.Key {
	keys := p.store.AllKeys()
	for _, k := range keys {
		p.erased[k.Stream] = k.Erased
	}
	if p.Fault == KeysOfTheCut {
		return p.first
	}
	return keys
}

// call is a call of the program's.
func (p *program) call() error {
	if p.left > 0 {
		if p.left--; p.left == 0 {
			return errKilled
		}
	}
	return nil
}

// turn is a call at which the shop goes on.
func (p *program) turn() error {
	p.step(p.ctx)
	return p.call()
}

// instant cuts the store as platform/local does: at an instant, but for the keys of personal
// data, which are read afterwards.
func (p *program) instant() portable.Source {
	p.cursors()
	lines := p.store.Kept()
	commits, begun := p.store.AllCommits(), p.begun
	var starts []portable.Line
	for _, plugin := range slices.Sorted(maps.Keys(begun)) {
		for _, f := range slices.Sorted(maps.Keys(begun[plugin])) {
			starts = append(starts, portable.Line{Start: &portable.Start{Follower: f, After: begun[plugin][f]}})
		}
	}
	return func(_ context.Context, yield func(portable.Line) error) error {
		for _, c := range commits {
			stored, err := memory.Stored(c)
			if err != nil {
				return err
			}
			lines = append(lines, portable.Line{Commit: &stored})
		}
		for _, l := range append(lines, starts...) {
			if err := errors.Join(p.turn(), yield(l)); err != nil {
				return err
			}
		}
		for _, k := range p.keys() {
			if err := errors.Join(p.turn(), yield(portable.Line{Key: &k})); err != nil {
				return err
			}
		}
		return nil
	}
}

// lossy leaves a commit out, if that is planted.
func (p *program) lossy(from portable.Source) portable.Source {
	if p.Fault != MissingCommit {
		return from
	}
	return func(ctx context.Context, yield func(portable.Line) error) error {
		last := map[engine.Stream]bool{}
		var commits []portable.Line
		err := from(ctx, func(l portable.Line) error {
			if l.Commit == nil {
				return yield(l)
			}
			commits = append(commits, l)
			return nil
		})
		for i, l := range slices.Backward(commits) {
			if s := l.Commit.Stream; !last[s] && p.rand.IntN(4) == 0 {
				commits = slices.Delete(commits, i, i+1)
				break
			}
			last[l.Commit.Stream] = true
		}
		for _, l := range commits {
			err = errors.Join(err, yield(l))
		}
		return err
	}
}

// tables are the store's, which are read item by item while the shop goes on. It implements
// [portable.Tables].
type tables struct {
	*program
	skew time.Duration
}

// Now implements [portable.Tables].
func (t *tables) Now() time.Time { return t.now.Add(t.skew) }

// Sleep implements [portable.Tables].
func (t *tables) Sleep(_ context.Context, d time.Duration) error {
	for until := t.now.Add(d); t.now.Before(until); {
		if err := t.turn(); err != nil {
			return err
		}
	}
	return nil
}

// Kept implements [portable.Tables].
func (t *tables) Kept(ctx context.Context, yield func(portable.Line) error) error {
	err := t.Cursors(ctx, func(c portable.Cursor) error { return yield(portable.Line{Cursor: &c}) })
	if err != nil {
		return err
	}
	for _, l := range t.store.Kept() {
		if l.Cursor != nil {
			continue
		}
		if err := errors.Join(t.turn(), yield(l)); err != nil {
			return err
		}
	}
	return nil
}

// Starts implements [portable.Tables].
func (t *tables) Starts(_ context.Context, yield func(portable.Start) error) error {
	for _, plugin := range slices.Sorted(maps.Keys(t.starts)) {
		if err := t.turn(); err != nil {
			return err
		}
		for _, f := range slices.Sorted(maps.Keys(t.starts[plugin])) {
			if err := yield(portable.Start{Follower: f, Since: t.starts[plugin][f]}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Cursors implements [portable.Tables].
func (t *tables) Cursors(ctx context.Context, yield func(portable.Cursor) error) error {
	for _, c := range t.cursors() {
		if err := t.turn(); err != nil {
			return err
		}
		now, err := t.store.Cursor(ctx, c.Consumer, c.Stream)
		if err != nil {
			return err
		}
		c.Next = now.Next
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// Commits implements [portable.Tables].
func (t *tables) Commits(_ context.Context, yield func(portable.Commit) error) error {
	streams := t.store.AllStreams()
	t.rand.Shuffle(len(streams), func(i, j int) { streams[i], streams[j] = streams[j], streams[i] })
	for _, s := range streams {
		for next := 0; ; {
			if err := t.turn(); err != nil {
				return err
			}
			page := t.Log(s)[next:]
			if page = page[:min(len(page), 1+t.rand.IntN(4))]; len(page) == 0 {
				break
			}
			for _, c := range page {
				stored, err := memory.Stored(c)
				if err == nil {
					err = yield(stored)
				}
				if err != nil {
					return err
				}
			}
			next += len(page)
		}
	}
	return nil
}

// Keys implements [portable.Tables].
func (t *tables) Keys(_ context.Context, yield func(portable.Key) error) error {
	for _, k := range t.keys() {
		if err := errors.Join(t.turn(), yield(k)); err != nil {
			return err
		}
	}
	return nil
}

// restore restores the file into an empty store, again where that is killed. Nobody else works
// meanwhile.
func (w *World) restore(ctx context.Context, content []byte, bringBack bool) (*memory.Store, error) {
	f := file(content)
	if bringBack {
		f = file(content, identity())
	}
	checked, err := portable.Check(ctx, f, memory.Scratch{}, nil)
	if err != nil {
		return nil, err
	}
	restored := memory.NewStore()
	to := &target{Restoring: memory.NewRestoring(restored)}
	clear(w.starts)
	clear(w.begun)
	for attempt := 0; ; attempt++ {
		to.program = w.program(ctx, attempt, int(checked.Lines))
		_, err := portable.Restore(ctx, f, checked.Trailer, to, func(int64) {})
		if !errors.Is(err, errKilled) {
			return restored, err
		}
	}
}

// target is a store that is restored line by line.
type target struct {
	*memory.Restoring
	*program
}

// Keep implements [portable.Target].
func (t *target) Keep(ctx context.Context, lines []portable.Line) error {
	for _, l := range lines {
		if err := t.call(); err != nil {
			return err
		}
		if l.Cursor != nil && t.Fault == LoseCursors {
			continue
		}
		if l.Start != nil {
			t.begin(*l.Start)
			continue
		}
		if err := t.Restoring.Keep(ctx, []portable.Line{l}); err != nil {
			return err
		}
	}
	return nil
}

// begin keeps where a follower began.
func (t *target) begin(s portable.Start) {
	plugin := engine.ParseConsumer(s.Follower).Plugin()
	if t.starts[plugin] == nil {
		t.starts[plugin], t.begun[plugin] = map[string]time.Time{}, map[string]int64{}
	}
	t.starts[plugin][s.Follower], t.begun[plugin][s.Follower] = s.Since, s.After
}

// Append implements [portable.Target].
func (t *target) Append(ctx context.Context, commits []portable.Commit) error {
	for _, c := range commits {
		if err := t.call(); err != nil {
			return err
		}
		if err := t.Restoring.Append(ctx, []portable.Commit{c}); err != nil {
			return err
		}
	}
	return nil
}

// End implements [portable.Target].
func (t *target) End(ctx context.Context) error {
	if err := t.call(); err != nil {
		return err
	}
	return t.Restoring.End(ctx)
}

// check holds what was restored to the log that it is of, hash by hash: a beginning of each
// stream, and each commit after the one from which it follows. Nobody is beyond it.
func (m *moved) check(old, restored *memory.Store) error {
	next := map[engine.Stream]int64{}
	for _, c := range restored.AllCommits() {
		was := old.Commits(c.Stream)
		if c.Seq != next[c.Stream] || c.Seq >= int64(len(was)) || !same(c, was[c.Seq]) {
			return fmt.Errorf("%s at %d is another commit than it was", c.Stream, next[c.Stream])
		}
		if source, follows := cause(c); follows && next[source] <= c.Meta.Command.Seq {
			return fmt.Errorf("%s at %d is there, and commit %d of %s, from which it follows, is not", c.Stream, c.Seq, c.Meta.Command.Seq, source)
		}
		next[c.Stream]++
	}
	for _, c := range restored.AllCursors() {
		if c.Next > m.cut[c.Stream] {
			return fmt.Errorf("%s is at %d of %s, of which %d commits are in the file", c.Consumer, c.Next, c.Stream, m.cut[c.Stream])
		}
	}
	return nil
}

// same says whether both are stored as the same bytes, with the same hash.
func same(a, b engine.Commit) bool {
	x, err1 := memory.Stored(a)
	y, err2 := memory.Stored(b)
	return errors.Join(err1, err2) == nil && x.Version == y.Version && bytes.Equal(x.Events, y.Events) && bytes.Equal(x.Meta, y.Meta) && bytes.Equal(x.Hash, y.Hash)
}

// cause is the stream of which a follower's commit follows from a commit.
func cause(c engine.Commit) (s engine.Stream, follows bool) {
	switch engine.ParseConsumer(c.Meta.Command.Follower()).Kind {
	case engine.KindMapping, engine.KindExtension:
		s, err := engine.ParseStream(c.Meta.Command.Source())
		return s, err == nil
	}
	return s, false
}

// open replaces the shop by the restored one: no process of the old one lives on, and none of
// its messages arrives.
func (w *World) open(ctx context.Context, restored *memory.Store, m Move) error {
	w.era++
	w.store, w.inFlight = restored, nil
	clear(w.marks)
	w.order = nil
	for _, c := range restored.AllCommits() {
		w.order = append(w.order, engine.Commit{Stream: c.Stream, Seq: c.Seq})
	}
	for s, steps := range w.appended {
		w.appended[s] = steps[:w.moved.cut[s]]
	}
	if w.Readers {
		if err := w.fold(); err != nil {
			return fmt.Errorf("fold views: %w", err)
		}
		w.marks["rows"] = int64(len(w.order))
		if w.Fault == MarksOfTheLog {
			w.marks["commands"], w.marks["effects"] = int64(len(w.order)), int64(len(w.order))
		}
	}
	if err := w.Start(); err != nil {
		return err
	}
	m.Moved()
	for cursor, more := "", !w.Readers; more; { // as when a stack is opened again
		progress, err := w.Process().Engine.Sweep(ctx, cursor)
		if err == nil {
			cursor, more = progress.Next, progress.Next != ""
		}
	}
	return nil
}

// fold folds every view, as platform/local does before a restored folder can be opened.
func (w *World) fold() error {
	e, err := w.plain()
	if err != nil {
		return err
	}
	for _, p := range w.Plugins {
		for _, m := range p.ReadModels {
			for cursor, more := "", true; more; more = cursor != "" {
				progress, err := e.Refold(context.Background(), naming.Full(p.Name, m.Name()), cursor)
				if err != nil {
					return err
				}
				cursor = progress.Next
			}
		}
	}
	return nil
}

// Passed is whether a side effect had passed the commit when the shop was backed up that this
// one was restored from.
func (w *World) Passed(effect string, s engine.Stream, seq int64) bool {
	return w.moved != nil && seq < min(w.moved.cut[s], w.moved.passed[placeOf(effect, s)])
}

// Forgotten is whether the key of a stream's personal data is destroyed, or its subject was
// erased in the shop that this one was restored from.
func (w *World) Forgotten(s engine.Stream) bool {
	return w.keyless(s) || w.moved != nil && w.moved.gone[s]
}

// keyless is whether the key of a stream's personal data is destroyed.
func (w *World) keyless(s engine.Stream) bool {
	_, err := w.store.Key(context.Background(), s, false)
	return errors.Is(err, engine.ErrErased)
}

// kept returns an answer as the restored shop knows of it; false: what was answered is lost,
// since that was after the cut.
func (w *World) kept(op Operation) (Operation, bool) {
	m := w.moved
	if m == nil || op.Got <= m.began || op.Got > m.lost {
		return op, true
	}
	found := false
	var before engine.Outcome
	for _, c := range w.Log(op.Stream)[:m.cut[op.Stream]] {
		if _, key, ok := strings.Cut(c.Meta.Command.Origin, "\n"); !ok || !isKey(c.Meta.Command) || key != op.Key {
			continue
		}
		if op.Err == nil && c.Version == op.Outcome.Version {
			return op, true
		}
		found, before = true, engine.Outcome{Version: c.Version}
		for _, e := range c.Events {
			before.Events = append(before.Events, e.Type)
		}
	}
	// Its key took effect, with this request or with a copy of it, and that was not what it
	// was answered.
	op.Err, op.Outcome, op.Got = nil, before, m.lost
	return op, found
}

// Verify returns an error unless "shop verify" would find nothing.
func (w *World) Verify() error {
	e, err := w.plain()
	if err != nil {
		return err
	}
	for cursor, more := "", true; more; more = cursor != "" {
		v, err := e.Verify(context.Background(), cursor, w.now)
		if err != nil {
			return err
		}
		if len(v.Findings) > 0 {
			return fmt.Errorf("verify finds %v", v.Findings[0])
		}
		cursor = v.Next
	}
	return nil
}
