// Package sim runs the real engine on a simulated platform: one seed decides
// every interleaving, crash, throttle, lost acknowledgement, lost, late and
// repeated message, and replays them.
//
// Workers are coroutines; each port call is a step, at which the scheduler may
// go on with another worker, and at which the call may fail before or after its
// effect. Several processes, each with its own engine, cache and clock, share
// the world.
package sim

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/memory"
)

// Fault is a mistake planted into the platform, to show that a run catches it.
type Fault string

// The planted faults, each with the number of the guarantee that it breaks: see
// docs/guarantees.md.
const (
	StaleReads     Fault = "reads miss the stream's last commit"                      // 1
	ForgetKeys     Fault = "a commit's command id is not stored"                      // 2 and 3
	ShortMemory    Fault = "one command id is remembered, and none is looked up"      // 2
	CursorAhead    Fault = "a cursor moves one commit too far"                        // 3
	CursorBack     Fault = "a cursor forgets, and ids are not stored"                 // 3
	ForgetPosition Fault = "a row forgets how far a source is folded"                 // 4
	PartOfItems    Fault = "of a commit's rows below its stream, one is not written"  // 4
	UnmarkedItems  Fault = "rows that are being written count as complete"            // 4
	LeftPart       Fault = "a part that moves is left at its old key"                 // 4
	CountTwice     Fault = "a part is counted twice"                                  // 4
	AheadRows      Fault = "a row's position runs ahead of what is folded"            // 4
	SkipPoison     Fault = "parking a key moves its cursor on"                        // 5
	SwallowParking Fault = "what is parked is forgotten, and its cursor moved on"     // 5
	LateHints      Fault = "a delay lasts an hour longer"                             // 3
	DropDue        Fault = "due work is dropped"                                      // 3
	ForgetStart    Fault = "it is forgotten when a follower began"                    // 9
	StartAgain     Fault = "a follower begins anew with each process"                 // 9
	ForgetRejected Fault = "a rejection is not read"                                  // 3
	RejectLate     Fault = "a rejection is kept although its target has moved on"     // 3
	AppendAnyway   Fault = "an append does not look for a rejection"                  // 3
	ForgetPlanned  Fault = "an occurrence is forgotten"                               // 10
	ForgetClaim    Fault = "an occurrence's claim is not kept"                        // 10
	PassRejected   Fault = "a cursor passes a commit when a command is refused"       // 3
	SkipRefold     Fault = "a row passes for the new code's as it is"                 // 8
	MarkAhead      Fault = "a mark passes what is in hand"                            // 7
	LostAppends    Fault = "some appends are acknowledged and never written"          // 7
	KeepKeys       Fault = "the key of who is erased is not destroyed"                // 12
	KeepRows       Fault = "the row of who is erased is not folded again"             // 12
	ForgetHashes   Fault = "a commit's hash is not read"                              // 11
	LoseCursors    Fault = "a restore leaves places of followers out"                 // 13
	MarksOfTheLog  Fault = "restored marks are ahead of what is done"                 // 13
	MissingCommit  Fault = "a backup misses a commit"                                 // 13
	NoMargin       Fault = "a backup does not wait for commits that are on their way" // 13
	KeysOfTheCut   Fault = "a backup holds keys that were destroyed meanwhile"        // 13
)

// errCrashed is every port's answer to a dead process.
var errCrashed = errors.New("sim: the process has crashed")

// World is the store, the transports and the scheduler of one run.
type World struct {
	Seed    uint64
	Plugins []es.Plugin
	Fault   Fault
	// Chaos lets things go wrong; without it calls succeed and messages arrive
	// once, in any order.
	Chaos bool
	// Poison names a stream whose commits can't be decoded, until it is healed
	// after so many steps.
	Poison string
	// Readers has one process read the log from its marks, live commits first, as
	// platform/local does, in the place of a stream's messages.
	Readers     bool
	PoisonSteps int64
	// Unsealed has the engine make no hashes, so that a test, or a fault, can change commits.
	Unsealed bool
	Memory   int // command ids that an aggregate remembers; small, so that it forgets

	rand      *rand.Rand
	now       time.Time
	Steps     int64
	store     *memory.Store
	appended  map[engine.Stream][]int64       // the step of each commit
	order     []engine.Commit                 // the place of each commit, in the order of all
	marks     map[string]int64                // of readers
	begun     map[string]map[string]int64     // with readers, starts by the order of all commits
	starts    map[string]map[string]time.Time // by plugin and follower; by time, as on AWS
	planned   map[string]map[time.Time]bool   // the occurrences of schedules that have begun
	deployed  bool                            // a later version
	defined   map[string]es.AggregateDefinition
	steady    bool // no clock is further wrong than a second
	era       int  // how often it was restored
	moved     *moved
	failed    error // of what goes on beside
	inFlight  []message
	deaf      bool
	processes []*Process
	workers   []*worker
	current   *worker
	ids       int
}

// message is a hint, an entry, a stream record or an object on its way.
type message struct {
	era  int
	what string
	due  time.Time
	do   func(ctx context.Context, p *Process) error
}

// Process is one engine with its own cache and clock.
type Process struct {
	*engine.Engine
	world   *World
	skew    time.Duration
	era     int
	dead    bool
	readers []*reader
	reading bool
}

type worker struct {
	name string
	next func() (struct{}, bool)
}

// NewWorld makes a world of so many processes.
func NewWorld(seed uint64, plugins []es.Plugin, processes int) *World {
	w := &World{
		Seed: seed, Plugins: plugins, Chaos: true, Memory: 6,
		rand: rand.New(rand.NewPCG(seed, 0x5e)), now: beginning,
		store: memory.NewStore(), appended: map[engine.Stream][]int64{}, starts: map[string]map[string]time.Time{}, marks: map[string]int64{}, begun: map[string]map[string]int64{}, planned: map[string]map[time.Time]bool{},
		processes: make([]*Process, processes),
	}
	return w
}

// Rand is the run's only source of chance.
func (w *World) Rand() *rand.Rand { return w.rand }

// Start boots the processes.
func (w *World) Start() error {
	for i := range w.processes {
		if err := w.boot(i); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) boot(i int) error {
	p := &Process{world: w, era: w.era, skew: time.Duration(w.rand.IntN(2001)-1000) * time.Millisecond}
	window := w.Memory
	if w.Fault == ShortMemory {
		window = 1
	}
	var err error
	p.Engine, err = engine.New(engine.Config{
		Plugins: w.Plugins, Log: p, Cursors: p, Starts: p, Rows: p, Parking: p, Rejections: p, Schedules: p, Hints: p, Bus: p, Snapshots: p, Keys: p, Clock: p,
		Logger: slog.New(slog.DiscardHandler), DedupWindow: window, SnapshotEvery: 5, CacheBytes: 3 << 10, ItemsAtOnce: 1 + w.rand.IntN(2),
		Unsealed: w.Unsealed || w.Fault == ForgetKeys || w.Fault == CursorBack,
	})
	w.processes[i] = p
	if err == nil && w.Readers {
		w.openReaders(p)
		for _, x := range p.Plugins { // as platform/local does before it opens
			p.beginAt(x.Name)
		}
	}
	return err
}

// Process is any of the processes.
func (w *World) Process() *Process { return w.processes[w.rand.IntN(len(w.processes))] }

// Spawn starts a worker.
func (w *World) Spawn(name string, do func(ctx context.Context)) {
	next, _ := iter.Pull(func(yield func(struct{}) bool) {
		ctx := context.WithValue(context.Background(), yieldKey{}, func() { yield(struct{}{}) })
		do(ctx)
	})
	w.workers = append(w.workers, &worker{name, next})
}

type yieldKey struct{}

// chaosSteps is when chaos ends at the latest: what crashes comes again, and so might
// multiply faster than it is done.
const chaosSteps = 20_000

// step lets others go on.
func (w *World) step(ctx context.Context) {
	if w.Steps++; w.Steps > chaosSteps {
		w.Chaos = false
	}
	w.now = w.now.Add(time.Duration(1+w.rand.IntN(30)) * time.Millisecond)
	if yield, ok := ctx.Value(yieldKey{}).(func()); ok {
		yield()
	}
}

// Run goes on until no worker is left and, with chaos, some messages may lie
// undelivered; without it, none.
func (w *World) Run() {
	for {
		w.deliver()
		if len(w.workers) == 0 {
			if len(w.inFlight) == 0 {
				return
			}
			w.now = w.nextDue() // all that is left is delayed
			continue
		}
		i := w.rand.IntN(len(w.workers))
		w.current = w.workers[i]
		if _, more := w.current.next(); !more {
			w.workers = slices.Delete(w.workers, i, i+1)
		}
	}
}

// nextDue is when the first message is due, and at least a second from now.
func (w *World) nextDue() time.Time {
	first := slices.MinFunc(w.inFlight, func(a, b message) int { return a.due.Compare(b.due) })
	if soon := w.now.Add(time.Second); first.due.Before(soon) {
		return soon
	}
	return first.due
}

// deliver hands some of the messages to workers.
func (w *World) deliver() {
	for range 2 {
		if len(w.inFlight) == 0 || len(w.workers) > 6 || w.rand.IntN(3) == 0 && len(w.workers) > 0 {
			return
		}
		i := w.rand.IntN(len(w.inFlight))
		m := w.inFlight[i]
		if m.due.After(w.now) {
			return
		}
		if !w.Chaos || w.rand.IntN(8) > 0 { // otherwise it comes again
			w.inFlight[i] = w.inFlight[len(w.inFlight)-1]
			w.inFlight = w.inFlight[:len(w.inFlight)-1]
		}
		p := w.Process()
		w.Spawn(m.what, func(ctx context.Context) {
			if err := m.do(ctx, p); err != nil && m.era == w.era {
				w.inFlight = append(w.inFlight, m) // not acknowledged: delivered again
			}
		})
	}
}

// post sends a message, or loses it.
func (w *World) post(delay time.Duration, what string, do func(context.Context, *Process) error) {
	if w.deaf || w.Chaos && !w.Readers && w.rand.IntN(7) == 0 {
		return
	}
	if w.Fault == LateHints && delay > 0 {
		delay += time.Hour
	}
	w.inFlight = append(w.inFlight, message{w.era, what, w.now.Add(delay), do})
}

// longDelay is the longest delay of a message; what is due later is kept until then, as on
// AWS.
const longDelay = 15 * time.Minute

// keep keeps a message until it is due, and does not lose it.
func (w *World) keep(delay time.Duration, what string, do func(context.Context, *Process) error) {
	if w.Fault != DropDue {
		w.inFlight = append(w.inFlight, message{w.era, what, w.now.Add(delay), do})
	}
}

// Post sends a message that is not lost, such as an upload: it is delivered
// until it is acknowledged.
func (w *World) Post(what string, do func(context.Context, *Process) error) {
	w.inFlight = append(w.inFlight, message{w.era, what, w.now, do})
}

// call is a port call: a step, and perhaps a failure before or after its effect.
func (p *Process) call(ctx context.Context, effect func() error) error {
	w := p.world
	w.step(ctx)
	if p.gone() {
		return errCrashed
	}
	var fate int
	if w.Chaos {
		fate = w.rand.IntN(60)
	} else {
		fate = -1
	}
	switch fate {
	case 0: // crash before
		p.crash()
		return errCrashed
	case 1:
		return fmt.Errorf("%w: throttled", engine.ErrUnavailable)
	case 4:
		if !w.steady {
			p.jump()
		}
	}
	err := effect()
	switch {
	case fate == 2: // crash after
		p.crash()
		return errCrashed
	case fate == 3 && err == nil:
		return fmt.Errorf("%w: the acknowledgement was lost", engine.ErrUnavailable)
	}
	return err
}

// gone is whether the process has ended, or the shop was lost that it worked on.
func (p *Process) gone() bool { return p.dead || p.era != p.world.era }

// jump sets the process's clock wrong by up to an hour, or right again.
func (p *Process) jump() {
	off := 2 * time.Second
	if p.skew.Abs() < off {
		off = time.Hour
	}
	p.skew = time.Duration(p.world.rand.Int64N(2*int64(off))) - off
}

// Elapsed is how much time has passed since the beginning.
func (w *World) Elapsed() time.Duration { return w.now.Sub(beginning) }

var beginning = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// crash ends the process; another takes its place.
func (p *Process) crash() {
	p.dead = true
	for i, q := range p.world.processes {
		if q == p {
			if err := p.world.boot(i); err != nil {
				panic(err)
			}
		}
	}
}

// Read implements [engine.Log]: pages are small.
func (p *Process) Read(ctx context.Context, s engine.Stream, from int64, limit int) (out []engine.Commit, more bool, err error) {
	w := p.world
	err = p.call(ctx, func() (err error) {
		out, more, err = w.pages(1+w.rand.IntN(4)).Read(ctx, s, from, limit)
		if n := len(out); n > 0 && !more && out[n-1].Seq > 0 && w.Fault == StaleReads && w.Chaos {
			out = out[:n-1]
		}
		out = w.readable(out)
		return err
	})
	return out, more, err
}

// pages is the store, with so many items on a page.
func (w *World) pages(items int) *memory.Store {
	w.store.Page = items
	return w.store
}

// readable garbles the poisoned stream.
func (w *World) readable(commits []engine.Commit) []engine.Commit {
	for i, c := range commits {
		commits[i] = w.garbled(c)
	}
	return commits
}

func (w *World) garbled(c engine.Commit) engine.Commit {
	if w.Fault == ForgetHashes {
		c.Hash = nil
	}
	if w.Steps < w.PoisonSteps && c.Stream.String() == w.Poison {
		c = c.Detached()
		c.Events = slices.Clone(c.Events)
		c.Events[0].Data = []byte(`{"name":`)
	}
	return c
}

// ReadBackward implements [engine.Log].
func (p *Process) ReadBackward(ctx context.Context, s engine.Stream, before int64) (out []engine.Commit, err error) {
	err = p.call(ctx, func() (err error) {
		out, err = p.world.pages(2).ReadBackward(ctx, s, before)
		out = p.world.readable(out)
		return err
	})
	return out, err
}

// Append implements [engine.Log].
func (p *Process) Append(ctx context.Context, c engine.Commit) error {
	w := p.world
	return p.call(ctx, func() error {
		if end := int64(len(w.Log(c.Stream))); c.Seq == end && w.Fault == LostAppends && w.rand.IntN(10) == 0 {
			return nil
		}
		if (w.Fault == ForgetKeys || w.Fault == CursorBack) && w.ids < 200 { // what is repeated comes to an end
			w.ids++
			c.Meta.Command = engine.CommandID{Origin: "forgotten/" + strconv.Itoa(w.ids)}
		}
		if w.Fault == AppendAnyway || w.Fault == ForgetRejected {
			c.UnlessRejected = false
		}
		err := w.store.Append(ctx, c)
		if conflict := (*engine.ConflictError)(nil); errors.As(err, &conflict) {
			conflict.Theirs = w.garbled(conflict.Theirs)
		}
		if err != nil {
			return err
		}
		w.appended[c.Stream] = append(w.appended[c.Stream], w.Steps)
		if w.Readers {
			w.committed(p, c)
			return nil
		}
		w.post(0, "project "+c.Stream.String(), func(ctx context.Context, to *Process) error {
			return to.Project(ctx, w.garbled(p.hand(c, to)))
		})
		w.post(0, "relay "+c.Stream.String(), func(ctx context.Context, to *Process) error {
			return to.Relay(ctx, w.garbled(p.hand(c, to)))
		})
		return nil
	})
}

// hand is a commit as it comes to a process: whole within one, and as it is stored to
// another.
func (p *Process) hand(c engine.Commit, to *Process) engine.Commit {
	if to == p {
		return c
	}
	return c.Detached()
}

// Streams implements [engine.Log].
func (p *Process) Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	err = p.call(ctx, func() (err error) { ids, next, err = p.world.pages(3).Streams(ctx, aggregate, cursor); return err })
	return ids, next, err
}

// Cursor implements [engine.Cursors].
func (p *Process) Cursor(ctx context.Context, consumer string, s engine.Stream) (c engine.Cursor, err error) {
	err = p.call(ctx, func() (err error) {
		c, err = p.world.store.Cursor(ctx, consumer, s)
		if p.world.Fault == CursorBack && p.world.rand.IntN(4) == 0 {
			c.Next = 0
		}
		return err
	})
	return c, err
}

// Advance implements [engine.Cursors].
func (p *Process) Advance(ctx context.Context, consumer string, s engine.Stream, from, to int64) error {
	w := p.world
	return p.call(ctx, func() error {
		if w.Fault == CursorAhead && w.rand.IntN(3) == 0 {
			to++
		}
		return w.store.Advance(ctx, consumer, s, from, to)
	})
}

// Begin implements [engine.Starts].
func (p *Process) Begin(ctx context.Context, plugin string, b engine.Beginning) error {
	w, followers := p.world, b.Followers
	return p.call(ctx, func() error {
		if w.Readers {
			return nil // it has begun
		}
		known := w.starts[plugin]
		now := p.Now()
		if !b.First.IsZero() && b.First.Before(now) {
			now = b.First
		}
		if known == nil {
			followers = slices.Concat(followers, b.Others)
			if !w.deployed { // these are the shop's first plugins
				now = time.Time{}
			}
			known = map[string]time.Time{}
			w.starts[plugin] = known
		}
		for _, f := range followers {
			if _, ok := known[f]; !ok || w.Fault == StartAgain {
				known[f] = now
			}
		}
		return nil
	})
}

// Past implements [engine.Starts].
func (p *Process) Past(ctx context.Context, follower string, s engine.Stream, seq int64, committed time.Time) (past bool, err error) {
	err = p.call(ctx, func() error {
		past = p.world.Past(follower, s, seq, committed) && p.world.Fault != ForgetStart
		return nil
	})
	return past, err
}

// Past reports whether a commit was made before the follower began.
func (w *World) Past(follower string, s engine.Stream, seq int64, committed time.Time) bool {
	plugin := engine.ParseConsumer(follower).Plugin()
	if w.Readers {
		at := slices.IndexFunc(w.order, func(c engine.Commit) bool { return c.Stream == s && c.Seq == seq })
		return int64(at) < w.begun[plugin][follower]
	}
	return committed.Before(w.starts[plugin][follower])
}

// Deploy replaces the plugins after so many steps of its own; one process after
// the other runs them.
func (w *World) Deploy(after int, plugins []es.Plugin) {
	w.Spawn("deploy", func(ctx context.Context) { w.deploy(ctx, after, plugins) })
}

func (w *World) deploy(ctx context.Context, after int, plugins []es.Plugin) {
	for range after {
		w.step(ctx)
	}
	w.Plugins, w.deployed = plugins, true
	for i, old := range w.processes {
		old.dead = old.dead || w.Readers // of which there is one on a folder
		if err := w.boot(i); err != nil {
			panic(err)
		}
		for range 20 {
			w.step(ctx)
		}
	}
}

// DeployViews is Deploy of plugins whose read models make other rows of the same events:
// they are refolded once no older process runs any more, while the shop is open.
func (w *World) DeployViews(after int, plugins []es.Plugin) {
	w.Spawn("deploy", func(ctx context.Context) {
		before := slices.Clone(w.processes)
		w.deploy(ctx, after, plugins)
		for _, old := range before {
			old.dead = true
		}
		for _, p := range plugins {
			for _, m := range p.ReadModels {
				name := naming.Full(p.Name, m.Name())
				for cursor, more := "", true; more; {
					progress, err := w.Process().Engine.Refold(ctx, name, cursor)
					if err == nil { // else again, as the next tick does
						cursor, more = progress.Next, progress.Next != ""
					}
				}
			}
		}
	})
}

// Row implements [engine.Rows].
func (p *Process) Row(ctx context.Context, model, id string) (r engine.Row, err error) {
	err = p.call(ctx, func() (err error) { r, err = p.world.store.Row(ctx, model, id); return err })
	return r, err
}

// Put implements [engine.Rows].
func (p *Process) Put(ctx context.Context, row engine.Row) (lost bool, err error) {
	w := p.world
	err = p.call(ctx, func() (err error) {
		if w.Fault == ForgetPosition && w.rand.IntN(3) == 0 {
			row.At = nil
		}
		if w.Fault == AheadRows && w.Chaos {
			row.At = maps.Clone(row.At)
			for s, at := range row.At {
				row.At[s] = engine.Position{Next: at.Next + int64(w.rand.IntN(2)), Version: at.Version}
			}
		}
		if w.Fault == SkipRefold {
			if was, err := w.store.Row(ctx, row.Model, row.ID); err != nil {
				return err
			} else if was.View != nil && row.View != nil && was.Made != row.Made && w.rand.IntN(3) == 0 {
				row.View = was.View
			}
		}
		if w.keepsRow(ctx, row) {
			return nil
		}
		lost, err = w.store.Put(ctx, row)
		return err
	})
	return lost, err
}

// List implements [engine.Rows].
func (p *Process) List(ctx context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	err = p.call(ctx, func() (err error) { rows, next, err = p.world.store.List(ctx, q); return err })
	return rows, next, err
}

// Items implements [engine.Rows].
func (p *Process) Items(ctx context.Context, q engine.ItemsQuery) (rows []engine.Row, more bool, err error) {
	err = p.call(ctx, func() (err error) {
		rows, more, err = p.world.store.Items(ctx, q)
		return err
	})
	return rows, more, err
}

// Keys implements [engine.Rows].
func (p *Process) Keys(ctx context.Context, model, cursor string, limit int) (keys []string, next string, err error) {
	err = p.call(ctx, func() (err error) { keys, next, err = p.world.store.Keys(ctx, model, cursor, limit); return err })
	return keys, next, err
}

// end is how far the streams of a head are.
func (w *World) end(head engine.Row) map[string]engine.Position {
	at := map[string]engine.Position{}
	id, _ := engine.SplitItemID(head.ID)
	for _, p := range w.Plugins {
		for _, m := range p.ReadModels {
			if naming.Full(p.Name, m.Name()) != head.Model {
				continue
			}
			for _, source := range m.Definition().Sources {
				if log := w.Log(engine.Stream{Aggregate: source, ID: id}); len(log) > 0 {
					at[source] = engine.Position{Next: int64(len(log)), Version: log[len(log)-1].Version}
				}
			}
		}
	}
	return at
}

// PutItems implements [engine.Rows].
func (p *Process) PutItems(ctx context.Context, head engine.Row, rows []engine.Row, totals []engine.Total) (lost bool, err error) {
	w := p.world
	err = p.call(ctx, func() (err error) {
		if w.Fault == PartOfItems && w.Chaos && len(rows) > 0 && w.rand.IntN(4) == 0 {
			rows = rows[1:]
		}
		if w.Fault == UnmarkedItems && len(head.At) == 0 {
			head.At = w.end(head)
		}
		if w.Fault == LeftPart {
			totals = slices.DeleteFunc(slices.Clone(totals), func(t engine.Total) bool { return t.Add["n"] == "-1" })
		}
		if w.Fault == CountTwice && w.Chaos && w.rand.IntN(4) == 0 {
			totals = slices.Concat(totals, totals)
		}
		lost, err = w.store.PutItems(ctx, head, rows, totals)
		return err
	})
	return lost, err
}

// Park implements [engine.Parking].
func (p *Process) Park(ctx context.Context, k engine.Parked) error {
	w := p.world
	return p.call(ctx, func() error {
		if w.Fault == SkipPoison || w.Fault == SwallowParking {
			at, err := w.store.Cursor(ctx, k.Consumer, k.Stream)
			if err == nil {
				err = w.store.Advance(ctx, k.Consumer, k.Stream, at.Next, at.Next+1)
			}
			if err != nil {
				return err
			}
		}
		if w.Fault == SwallowParking {
			return nil
		}
		return w.store.Park(ctx, k)
	})
}

// Parked implements [engine.Parking].
func (p *Process) Parked(ctx context.Context, consumer string, s engine.Stream) (parked *engine.Parked, err error) {
	err = p.call(ctx, func() (err error) { parked, err = p.world.store.Parked(ctx, consumer, s); return err })
	return parked, err
}

// Unpark implements [engine.Parking].
func (p *Process) Unpark(ctx context.Context, k engine.Parked) error {
	return p.call(ctx, func() error { return p.world.store.Unpark(ctx, k) })
}

// Reject implements [engine.Rejections].
func (p *Process) Reject(ctx context.Context, r engine.KeptRejection, next int64) (kept bool, err error) {
	if p.world.Fault == RejectLate {
		next = -1
	}
	err = p.call(ctx, func() (err error) {
		if kept, err = p.world.store.Reject(ctx, r, next); err == nil && p.world.Fault == PassRejected {
			var source engine.Stream
			if source, err = engine.ParseStream(r.Source()); err == nil {
				err = p.world.store.Advance(ctx, r.Follower(), source, r.Command.Seq, r.Command.Seq+1)
			}
		}
		return err
	})
	return kept, err
}

// Rejection implements [engine.Rejections].
func (p *Process) Rejection(ctx context.Context, id engine.CommandID) (r *engine.KeptRejection, err error) {
	err = p.call(ctx, func() (err error) {
		if p.world.Fault != ForgetRejected {
			r, err = p.world.store.Rejection(ctx, id)
		}
		return err
	})
	return r, err
}

// ListRejections implements [engine.Rejections].
func (p *Process) ListRejections(ctx context.Context, follower, before string, limit int) (list []engine.KeptRejection, err error) {
	err = p.call(ctx, func() (err error) { list, err = p.world.store.ListRejections(ctx, follower, before, limit); return err })
	return list, err
}

// Planned are the times of a schedule's occurrences that have begun.
func (w *World) Planned(schedule string) map[time.Time]bool { return w.planned[schedule] }

// Schedule implements [engine.Schedules].
func (p *Process) Schedule(ctx context.Context, name string) (s engine.ScheduleState, err error) {
	err = p.call(ctx, func() (err error) { s, err = p.world.store.Schedule(ctx, name); return err })
	return s, err
}

// PutSchedule implements [engine.Schedules].
func (p *Process) PutSchedule(ctx context.Context, s engine.ScheduleState) (lost bool, err error) {
	w := p.world
	err = p.call(ctx, func() (err error) {
		switch {
		case s.Claim != "" && w.Fault == ForgetClaim:
			s.Until = time.Time{}
		case s.Claim != "" && w.Fault == ForgetPlanned && w.Chaos:
			s.Claim = "" // so that nobody goes on after a crash
		}
		lost, err = w.store.PutSchedule(ctx, s)
		if !lost && !s.Upto.IsZero() {
			if w.planned[s.Name] == nil {
				w.planned[s.Name] = map[time.Time]bool{}
			}
			w.planned[s.Name][s.Upto] = true
		}
		return err
	})
	return lost, err
}

// ListParked implements [engine.Parking].
func (p *Process) ListParked(ctx context.Context, cursor string) (out []engine.Parked, next string, err error) {
	err = p.call(ctx, func() (err error) { out, next, err = p.world.pages(2).ListParked(ctx, cursor); return err })
	return out, next, err
}

// Send implements [engine.Hints]: content may be left out, as for large commits.
func (p *Process) Send(ctx context.Context, delay time.Duration, hints ...engine.Hint) error {
	w := p.world
	return p.call(ctx, func() error {
		for _, h := range hints {
			if w.rand.IntN(3) == 0 {
				h.Commit, h.Entry = nil, nil
			}
			send := w.post
			if delay > longDelay {
				send = w.keep
			}
			send(delay, "hint "+h.Follower+" "+h.Stream.String(), func(ctx context.Context, to *Process) error {
				if to == p {
					return to.Follow(ctx, h)
				}
				return to.Follow(ctx, h.Detached())
			})
		}
		return nil
	})
}

// Publish implements [engine.Bus]: each listener has an inbox of its own.
func (p *Process) Publish(ctx context.Context, entries ...engine.Entry) error {
	w := p.world
	return p.call(ctx, func() error {
		for _, en := range entries {
			if w.rand.IntN(3) == 0 {
				en.Events = nil
			}
			for _, h := range p.Heard(en) {
				w.post(0, "entry "+h.Follower+" "+en.Stream.String(), func(ctx context.Context, p *Process) error {
					return p.Follow(ctx, h)
				})
			}
		}
		return nil
	})
}

// Snapshot implements [engine.Snapshots].
func (p *Process) Snapshot(ctx context.Context, s engine.Stream) (data []byte, err error) {
	err = p.call(ctx, func() (err error) { data, err = p.world.store.Snapshot(ctx, s); return err })
	return data, err
}

// SaveSnapshot implements [engine.Snapshots].
func (p *Process) SaveSnapshot(ctx context.Context, s engine.Stream, data []byte) error {
	return p.call(ctx, func() error { return p.world.store.SaveSnapshot(ctx, s, data) })
}

// Now implements [engine.Clock]: each process's clock is off by up to a second.
func (p *Process) Now() time.Time { return p.world.now.Add(p.skew) }

// Sleep implements [engine.Clock].
func (p *Process) Sleep(ctx context.Context, _ time.Duration) error {
	p.world.step(ctx)
	if p.gone() {
		return errCrashed
	}
	return nil
}

// NewID implements [engine.Clock].
func (p *Process) NewID() string {
	p.world.ids++
	return "id-" + strconv.Itoa(p.world.ids)
}

// Settle ends the chaos and lets the shop recover by its own means: what is on
// its way arrives, and a sweep and a redrive find what was lost.
func (w *World) Settle() error {
	w.Run()
	w.Chaos, w.PoisonSteps = false, 0
	w.Run()
	if w.failed != nil {
		return w.failed
	}
	for range 2 { // what a sweep sets off may be a new stream
		if !w.Readers { // whose marks lose nothing
			if err := w.Sweep(); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
		if err := w.operate(func(ctx context.Context, p *Process, cursor string) (engine.Progress, error) {
			return p.Redrive(ctx, cursor)
		}); err != nil {
			return fmt.Errorf("redrive: %w", err)
		}
	}
	return nil
}

// operate does all steps of an operator's work.
func (w *World) operate(step func(context.Context, *Process, string) (engine.Progress, error)) (err error) {
	w.Spawn("operate", func(ctx context.Context) {
		for cursor := ""; ; {
			var p engine.Progress
			if p, err = step(ctx, w.Process(), cursor); err != nil || p.Next == "" {
				return
			}
			cursor = p.Next
		}
	})
	w.Run()
	return err
}

// Rebuild folds a read model again.
func (w *World) Rebuild(model string) error {
	return w.operate(func(ctx context.Context, p *Process, cursor string) (engine.Progress, error) {
		return p.Engine.Rebuild(ctx, model, cursor)
	})
}

// Do runs one piece of work, and what it sets off, to the end.
func (w *World) Do(work func(ctx context.Context, p *Process)) {
	w.Spawn("work", func(ctx context.Context) { work(ctx, w.Process()) })
	w.Run()
}

// Sweep sweeps the whole shop.
func (w *World) Sweep() error {
	return w.operate(func(ctx context.Context, p *Process, cursor string) (engine.Progress, error) {
		return p.Engine.Sweep(ctx, cursor)
	})
}

// DropMessages makes every message get lost while it is set.
func (w *World) DropMessages(deaf bool) { w.deaf = deaf }

// Advance lets time pass.
func (w *World) Advance(d time.Duration) { w.now = w.now.Add(d) }

// Truncate takes commits from the end of a stream, as a table restored from an
// older backup lacks them, and restarts the processes.
func (w *World) Truncate(s engine.Stream, length int) error {
	w.store.Restore(s, w.Log(s)[:length])
	return w.Start()
}

// Remove takes a commit out of a stream.
func (w *World) Remove(s engine.Stream, seq int) {
	w.store.Restore(s, slices.Delete(slices.Clone(w.Log(s)), seq, seq+1))
}

// ForgetCursors has every follower begin anew.
func (w *World) ForgetCursors() { w.store.ForgetCursors() }

// Rewrite changes a stored commit.
func (w *World) Rewrite(s engine.Stream, seq int, change func(c *engine.Commit)) {
	w.store.Rewrite(s, seq, change)
}
