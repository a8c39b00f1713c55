// Package local runs plugins in one process on one folder: a Pebble database that
// holds everything, and a watched folder for each task's bucket.
//
// All writes pass one goroutine, which commits whatever is waiting with one
// fsync. Three consumers read what is committed, each from a mark of its own:
// one keeps the read models, one sends commands for mappings and extensions,
// one runs side effects. Killed at any moment, the platform goes on from the
// marks, and loses nothing that was acknowledged.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/keylock"
)

// Options are what a platform is opened with.
type Options struct {
	Dir     string // the data folder; made where there is none
	Plugins []es.Plugin
	Version string        // of the program, for Health
	Logger  *slog.Logger  // nil: slog.Default
	Tracer  engine.Tracer // the engine's; nil: no spans
	// Forget, if set, removes what is kept of a stream's subject beside the data folder's
	// database: see [Outbox.Forget].
	Forget func(ctx context.Context, s engine.Stream) error
	// AcceptLoss goes on although the end of the log is lost; otherwise such a folder is
	// opened to be read only: see [Platform.Lost].
	AcceptLoss bool

	disk     vfs.FS // of all that is kept, for tests; nil: the machine's
	toRead   bool   // see OpenToRead
	onlyFold bool   // see Fold
	unsealed bool   // commits get no hash, as in earlier versions; for tests
}

// Platform runs plugins on a data folder.
type Platform struct {
	Options
	log        *slog.Logger
	lock       *lock
	store      *store
	engine     *engine.Engine
	later      *jobQueue
	consumers  []*consumer
	marks      map[string]int64 // the consumers', as they are stored
	following  *keylock.Locks[place]
	buckets    []*bucket
	shelves    []*shelf
	refolding  refolding
	backfilled bool // what is new here was shown all that this version can read
	counts     counts
	problems   problems

	cancel  context.CancelFunc // ends what does not stop by itself
	stop    chan struct{}      // closed: no new work
	working sync.WaitGroup     // everything that Close waits for
	closing sync.Once
}

// The consumers' names. A follower's has a colon.
const (
	rows     = "rows"
	commands = "commands"
	effects  = "effects"
)

// parallel is how many aggregates a task works on side by side: enough to fill
// the writer's batches.
const parallel = 256

// cacheBytes bounds the folded aggregates in memory, so that the process stays
// below 256 MiB, garbage and the database's own caches included.
const cacheBytes = 16 << 20

// Open locks the folder, opens what it holds and starts to work on it.
func Open(ctx context.Context, o Options) (_ *Platform, err error) {
	p := &Platform{Options: o, log: o.Logger, stop: make(chan struct{}), following: keylock.New[place](), marks: map[string]int64{}}
	if p.log == nil {
		p.log = slog.Default()
	}
	p.problems.log = p.log
	if p.disk == nil {
		p.disk = machine
	}
	if p.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if err := (disk{p.disk}).makeDir(p.Dir); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	if p.lock, err = lockFolder(p.Dir); err != nil {
		return nil, err
	}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.release())
	}
	p.start(context.WithoutCancel(ctx))
	return p, nil
}

func (p *Platform) open(ctx context.Context) (err error) {
	if p.toRead {
		// whose database is there
	} else if err := upgrade(ctx, disk{p.disk}, p.Dir, p.log); err != nil {
		return fmt.Errorf("bring the data folder %s up to date: %w", p.Dir, err)
	}
	if err := (disk{p.disk}).makeDir(databaseDir(p.Dir)); err != nil {
		return fmt.Errorf("make the folder of the database: %w", err)
	}
	if p.store, err = openStore(ctx, storeOptions{dir: databaseDir(p.Dir), disk: p.disk, owned: listedByOwner(p.Plugins), log: p.log, acceptLoss: p.AcceptLoss, toRead: p.toRead, restore: p.onlyFold}); err != nil {
		return err
	}
	tell := func(err error) { p.problems.set("database", err) }
	p.store.trouble.tell.Store(&tell)
	transport := hints{p}
	p.engine, err = engine.New(engine.Config{
		Plugins: p.Plugins, Log: p.store, Cursors: p.store, Starts: &starts{store: p.store, at: map[string]int64{}}, Rows: p.store, Parking: p.store, Rejections: p.store, Snapshots: p.store, Keys: p.store, Schedules: p.store,
		Buckets: buckets{p.Dir, disk{p.disk}, keylock.New[string]()}, Hints: transport, Bus: transport, StreamLock: streamLock{keylock.New[engine.Stream](), p.store.trouble}, Clock: clock.Clock{},
		Logger: p.log, Count: p.counts.add, Tracer: p.Tracer, Forget: p.Forget, Refolding: p.stale, Parallel: parallel, CacheBytes: cacheBytes, Unsealed: p.unsealed, CheckLog: p.store.checkLog,
	})
	if err != nil {
		return err
	}
	if p.Lost() == nil {
		if err := p.beginWork(ctx); err != nil {
			return err
		}
	} else {
		p.problems.set("log", p.Lost())
	}
	return p.prepare(ctx)
}

// Lost tells why commands are refused and nothing is done, such as that the end of the log
// is lost; nil: it is not.
func (p *Platform) Lost() error {
	if l := p.store.trouble.lost.Load(); l != nil {
		return *l
	}
	return nil
}

// beginWork writes what has to be there before there is work.
func (p *Platform) beginWork(ctx context.Context) (err error) {
	if err := p.engine.Begin(ctx); err != nil {
		return err
	}
	if err := p.outdated(ctx); err != nil {
		return err
	}
	return p.engine.ReleaseSchedules(ctx)
}

// prepare makes who does the work.
func (p *Platform) prepare(ctx context.Context) error {
	p.later = newLater(p.store, p.log, p.doLater)
	p.later.delay, p.later.count = p.engine.Delay, p.counts.add
	for _, x := range []struct {
		name    string
		sources map[string]bool
		workers int
		do      func(context.Context, engine.Commit) error
	}{
		{rows, p.engine.Sources(engine.KindReadModel), 128, p.engine.Project},
		{commands, p.engine.Sources(engine.KindMapping, engine.KindPublication, engine.KindErasure), 128, p.engine.RelayCommands},
		{effects, p.engine.Sources(engine.KindSideEffect), 64, p.engine.RelayEffects},
	} {
		c, err := newConsumer(ctx, x.name, x.sources, x.workers, p.store, p.later, p.log, x.do)
		if err != nil {
			return err
		}
		p.consumers = append(p.consumers, c)
		p.marks[c.name] = c.mark()
	}
	p.store.feed.live = func(commit *positioned) {
		for _, c := range p.consumers {
			c.live(commit)
		}
	}
	if p.Lost() == nil {
		return errors.Join(p.openShelves(ctx), p.openBuckets(ctx))
	}
	return nil
}

// listedByOwner are the read models whose owners may list their own rows.
func listedByOwner(plugins []es.Plugin) map[string]bool {
	owned := map[string]bool{}
	for _, p := range plugins {
		for _, m := range p.ReadModels {
			owned[naming.Full(p.Name, m.Name())] = m.Definition().Access.Owner
		}
	}
	return owned
}

func (p *Platform) start(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(ctx)
	if p.Lost() != nil || p.onlyFold {
		return // what can't be kept is not done
	}
	following := engine.Bulk(ctx)
	for _, c := range p.consumers {
		p.working.Go(func() { c.run(ctx, p.stop) })
	}
	p.working.Go(func() { p.later.run(ctx, p.stop) })
	p.every(following, "marks", time.Second/4, p.saveMarks)
	p.every(following, "what is new here", time.Minute, p.backfill)
	p.every(following, "views whose code has changed", time.Minute, p.refold)
	p.every(ctx, "look at the database", time.Second, p.store.probe)
	p.every(following, "parked keys", 10*time.Second, p.redrive)
	for _, x := range p.Plugins {
		p.every(ctx, "heartbeat of "+x.Name, x.HeartbeatInterval, func(ctx context.Context) error { return p.store.heartbeat(ctx, x.Name, time.Now()) })
	}
	for _, name := range p.engine.ScheduleNames() {
		p.every(context.WithValue(ctx, taskKey{}, true), "schedule "+name, time.Second, func(ctx context.Context) error {
			return p.engine.RunSchedule(ctx, name, p.stopping)
		})
	}
	for _, b := range p.buckets {
		p.working.Go(func() { b.run(ctx, p.stop) })
	}
	for _, s := range p.shelves {
		p.working.Go(func() { s.run(ctx, p.stop) })
	}
}

// every does something now and then, until the platform stops. That it fails, or
// panics, is a problem until it is done again.
func (p *Platform) every(ctx context.Context, name string, interval time.Duration, do func(context.Context) error) {
	if interval <= 0 {
		return
	}
	p.working.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if err := engine.Guarded(name, func() error { return do(ctx) }); ctx.Err() == nil {
				p.problems.set(name, err)
			}
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
}

// saveMarks stores the marks that have moved. Only one goroutine at a time does.
func (p *Platform) saveMarks(ctx context.Context) error {
	moved := map[string]int64{}
	for _, c := range p.consumers {
		if m := c.mark(); m != p.marks[c.name] {
			moved[c.name] = m
		}
	}
	if len(moved) == 0 {
		return nil
	}
	if err := p.store.setMarks(ctx, moved); err != nil {
		return fmt.Errorf("store how far the log is dealt with: %w", err)
	}
	maps.Copy(p.marks, moved)
	return nil
}

// backfill lets consumers that are new here have the log from its beginning, which the
// marks have passed without them; but for those that begin with what comes.
func (p *Platform) backfill(ctx context.Context) error {
	known, err := p.store.registered(ctx)
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(p.engine.Consumers(), func(n string) bool { return known[n] })
	if len(names) == 0 || p.backfilled {
		return nil
	}
	if p.store.feed.last() > 0 && slices.ContainsFunc(names, p.engine.Backfills) {
		p.log.InfoContext(ctx, "the whole log is swept for what is new here", "consumers", names)
		whole, err := p.sweep(ctx)
		if err != nil {
			return fmt.Errorf("sweep the log for %v: %w", names, err)
		}
		if p.backfilled = !whole; p.backfilled {
			return nil // from the beginning with the next start, which may be of a version that can read it all
		}
	}
	return p.store.markRegistered(ctx, names)
}

// sweep sweeps the log; whole is false where it was stopped, or passed streams over.
func (p *Platform) sweep(ctx context.Context) (whole bool, err error) {
	passedOver := 0
	for cursor := ""; ; {
		progress, err := p.engine.Sweep(ctx, cursor)
		if err != nil {
			return false, err
		}
		passedOver += progress.Skipped
		if cursor = progress.Next; cursor == "" {
			return passedOver == 0, nil
		}
		select {
		case <-p.stop:
			return false, nil
		default:
		}
	}
}

// redrive tries what is parked again, where its time has come.
func (p *Platform) redrive(ctx context.Context) error {
	var errs []error
	for cursor := ""; ; {
		progress, err := p.engine.RedriveDue(ctx, cursor)
		errs = append(errs, err)
		if cursor = progress.Next; cursor == "" {
			return errors.Join(errs...)
		}
	}
}

// Engine is what commands and queries go to.
func (p *Platform) Engine() *engine.Engine { return p.engine }

// CaughtUp waits until every consumer has seen every commit. What is put off or
// parked does not count, nor does a file that is being imported.
func (p *Platform) CaughtUp(ctx context.Context) error {
	for _, c := range p.consumers {
		release := context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.changed.Broadcast()
		})
		defer release()
	}
	for {
		head := p.store.feed.last()
		for _, c := range p.consumers {
			if err := c.reach(ctx, head); err != nil {
				return err
			}
		}
		if p.store.feed.last() == head {
			return nil // they have all seen it, and none has added to it meanwhile
		}
	}
}

// Close takes no new work, lets work in hand come to its end until the context
// does, and unlocks the folder. Nothing is lost by a context that ends early, or
// has ended: the next start goes on. To close it again does nothing.
func (p *Platform) Close(ctx context.Context) (err error) {
	p.closing.Do(func() { err = p.close(ctx) })
	return err
}

func (p *Platform) close(ctx context.Context) error {
	close(p.stop)
	for _, c := range p.consumers {
		c.stop()
	}
	stopped := make(chan struct{})
	go func() {
		p.working.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		p.log.WarnContext(ctx, "shutdown timed out; unfinished work resumes on the next start")
		p.cancel()
		<-stopped
	}
	p.cancel()
	p.counts.log(p.log)
	err := p.saveMarks(context.WithoutCancel(ctx))
	if errors.Is(err, engine.ErrDamaged) {
		err = nil // which everybody was told of; from older marks on, what is done again does no harm
	}
	return errors.Join(err, p.release())
}

// release closes the store and unlocks the folder.
func (p *Platform) release() error {
	var err error
	if p.store != nil {
		err = p.store.close()
	}
	return errors.Join(err, p.lock.release())
}
