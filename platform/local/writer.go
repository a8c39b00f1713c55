package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"onlineshop/es/engine"
)

// writer is the one goroutine that writes to the database. It takes whatever is
// waiting and executes it as one batch. Another goroutine waits until batches are
// durable, one fsync for all that are there by then, and acknowledges them in order: the
// more is asked of a writer at a time, the less each costs.
//
// What is written is seen before it is durable. Nobody acts on a commit that is not: those
// behind the feed's head are in nobody's answer, and an append that met one is
// acknowledged after it. All else follows from the log, and need not be waited for: the
// database's own log is in order, so that a mark is never durable without what it says is
// done.
type writer struct {
	tx         *tx
	syncing    chan *batch // executed, in order
	wake       chan struct{}
	ended      chan struct{}
	mu         sync.Mutex
	queues     [3][]*op // by priority
	closed     bool
	underLoad  atomic.Bool // there are foreground or many tasks writes now, or were a moment ago
	live, busy time.Time   // when there were foreground, and many tasks writes

	trouble *trouble
	ends    *acknowledged
}

// op is one thing to write.
type op struct {
	// do runs in the transaction, again where the first one failed as a whole. It reads
	// before it writes.
	do func(*tx) error
	// then runs when it is done, in the order of the operations; may be nil.
	then    func()
	durable bool // it is done when it is durable; otherwise, when others see it
	err     error
	done    chan struct{}
}

// Priorities: live work comes before bulk work, and a task's commands before what follows
// from them.
const (
	foreground = iota
	tasks
	background
)

// maxBatch is how many operations one transaction holds. While there are foreground ones,
// and until a moment after, at most maxBulk are not, and while there are tasks' ones, at
// most maxBackground are background ones: nobody keeps the others waiting for long, and
// everybody goes on.
const (
	maxBatch      = 1024
	maxBulk       = 32
	maxBackground = 128
	moment        = 250 * time.Millisecond
)

// taskKey marks the contexts of tasks.
type taskKey struct{}

func priority(ctx context.Context) int {
	switch {
	case !engine.IsBulk(ctx):
		return foreground
	case ctx.Value(taskKey{}) != nil:
		return tasks
	}
	return background
}

// batch is operations that were executed together, of which some are done when they are
// durable.
type batch struct {
	ops     []*op
	written *pebble.Batch // nil: nothing was
	last    int64         // position of the latest commit
}

// maxSyncing is how many batches wait to be durable at a time.
const maxSyncing = 16

// startWriter starts to write; the next commit has that position.
func startWriter(db *pebble.DB, next int64, trouble *trouble, ends *acknowledged) *writer {
	w := &writer{tx: &tx{db: db, next: next, mine: map[string]value{}}, trouble: trouble, ends: ends, syncing: make(chan *batch, maxSyncing), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	go w.acknowledge()
	return w
}

// write waits until the operation is durable. An error of do other than those
// of the store is a verdict, and leaves the transaction's other operations alone. Where
// the disk is full, the operation may still be done once there is room.
func (w *writer) write(ctx context.Context, do func(*tx) error, then func()) error {
	return w.wait(ctx, &op{do: do, then: then, durable: true, done: make(chan struct{})})
}

// apply is write for what follows from the log: it waits until others see it.
func (w *writer) apply(ctx context.Context, do func(*tx) error, then func()) error {
	return w.wait(ctx, &op{do: do, then: then, done: make(chan struct{})})
}

func (w *writer) wait(ctx context.Context, o *op) error {
	if err := cmp.Or(ctx.Err(), w.trouble.final(), w.trouble.stuck()); err != nil {
		return err
	}
	if err := w.submit(priority(ctx), o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.trouble.full():
		return errFull // even if there is room again by now: the operation waits still
	}
}

func (w *writer) submit(priority int, o *op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("write: %w", errShuttingDown)
	}
	w.queues[priority] = append(w.queues[priority], o)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

var errShuttingDown = fmt.Errorf("the shop is shutting down: %w", engine.ErrUnavailable)

// close lets what is waiting be written, and stops. It returns false if the disk is full:
// then the writer waits for it.
func (w *writer) close() bool {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	select {
	case <-w.ended:
		return true
	case <-w.trouble.full():
		return false
	}
}

func (w *writer) run() {
	defer close(w.syncing)
	for open := true; open; {
		_, open = <-w.wake
		for ops := w.take(); len(ops) > 0; ops = w.take() {
			if err := w.transact(ops); err != nil {
				w.retryIndividually(ops, err)
			}
		}
	}
}

// acknowledge says of each operation that it is durable, or why it is not.
func (w *writer) acknowledge() {
	defer close(w.ended)
	for b := range w.syncing {
		var err error
		if b.written != nil {
			err = cmp.Or(w.trouble.final(), guarded(b.written.SyncWait))
			w.trouble.note(err)
			_ = b.written.Close() // frees it
		}
		if err == nil && b.written != nil {
			w.ends.raise(b.last)
		}
		for _, o := range b.ops {
			if err != nil {
				o.err = w.trouble.unavailable(err)
			}
			o.end()
		}
	}
}

// end acknowledges an operation.
func (o *op) end() {
	if o.err == nil && o.then != nil {
		o.then()
	}
	close(o.done)
}

// take is the next batch: foreground operations first, and a share for the others.
func (w *writer) take() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if len(w.queues[foreground]) > 0 {
		w.live = now
	}
	if len(w.queues[tasks]) >= busyFrom {
		w.busy = now
	}
	live := now.Sub(w.live) < moment
	w.underLoad.Store(live || now.Sub(w.busy) < moment)
	bulk := maxBatch
	if live {
		bulk = maxBulk
	}
	n := [...]int{len(w.queues[foreground]), len(w.queues[tasks]), len(w.queues[background])}
	if n[tasks] > 0 {
		n[background] = min(n[background], max(1, bulk*maxBackground/maxBatch))
	}
	n[background] = min(n[background], bulk)
	n[tasks] = min(n[tasks], bulk-n[background])
	n[foreground] = min(n[foreground], maxBatch-n[background]-n[tasks])
	batch := make([]*op, 0, n[foreground]+n[tasks]+n[background])
	for p, n := range n {
		batch = append(batch, w.queues[p][:n]...)
		if w.queues[p] = w.queues[p][n:]; len(w.queues[p]) == 0 {
			w.queues[p] = nil
		}
	}
	return batch
}

// busyFrom is how many operations of tasks make the writer busy.
const busyFrom = 32

// transact executes operations as one batch. An error says that none of them happened.
func (w *writer) transact(ops []*op) error {
	if err := w.trouble.final(); err != nil {
		return err // it turned out while they waited
	}
	first := w.tx.next
	w.tx.begin()
	if err := w.tx.execute(ops); err != nil {
		w.trouble.writing(err)
		w.tx.next = first
		return err
	}
	b := &batch{ops: ops[:0], last: w.tx.next - 1}
	for _, o := range ops {
		if o.durable {
			b.ops = append(b.ops, o)
		} else {
			o.end()
		}
	}
	if !w.tx.batch.Empty() {
		b.written = w.tx.batch
	}
	w.syncing <- b
	return nil
}

// retryIndividually executes the operations of a batch that failed one by one, so that
// one that reads what can't be read does not take others with it.
func (w *writer) retryIndividually(ops []*op, failure error) {
	alone := len(ops) > 1
	for _, o := range ops {
		if alone && w.trouble.final() == nil {
			failure = w.transact([]*op{o})
		}
		if failure != nil {
			o.err = w.trouble.unavailable(failure)
			o.end()
		}
	}
}

// errStore marks an error of the database's: it can't be read, or is damaged.
var errStore = errors.New("the database failed")

// tx is what is being written in one go, by one goroutine, and then the next.
type tx struct {
	db    *pebble.DB
	batch *pebble.Batch
	next  int64            // the next commit's position
	mine  map[string]value // what is set in it, by key, so that each operation sees those before it; nil: deleted
	found *pebble.Iterator // at what was there before it; nil: nobody has asked yet
}

// begin begins a transaction, whose reads end ends. Nobody else may write meanwhile.
func (t *tx) begin() { t.batch = t.db.NewBatch() }

// end lets go of what was read.
func (t *tx) end() {
	if t.found != nil {
		_ = t.found.Close() // its errors were those of its reads
		t.found = nil
	}
	clear(t.mine)
}

// execute does the operations. An error says that none of them happened.
func (t *tx) execute(ops []*op) error {
	defer t.end()
	for _, o := range ops {
		if o.err = o.do(t); errors.Is(o.err, errStore) {
			return o.err
		}
	}
	return t.apply()
}

// apply writes the batch, to be durable soon. An error is the end of the database.
func (t *tx) apply() error {
	if t.batch.Empty() {
		return nil
	}
	return guarded(func() error { return t.db.ApplyNoSyncWait(t.batch, pebble.Sync) })
}

// guarded returns the error that Pebble can't go on after.
func guarded(do func() error) error {
	err := unlessFatal(do)
	if err != nil && !errors.As(err, &fatal{}) {
		return fatal{err}
	}
	return err
}

// unlessFatal returns how it ends, also where that is what Pebble can't go on after: where
// its disk fails at some moments, it panics with that error.
func unlessFatal(do func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatal:
			err = r
		case runtime.Error:
			panic(r)
		case error:
			err = fatal{r}
		default:
			panic(r)
		}
	}()
	return do()
}

// Batches are built in memory, which does not fail.

func (t *tx) set(k key, v value) {
	if v == nil {
		v = value{}
	}
	t.mine[string(k)] = v
	_ = t.batch.Set(k, v, nil)
}

func (t *tx) delete(k key) {
	t.mine[string(k)] = nil
	_ = t.batch.Delete(k, nil)
}

// list and unlist are set and delete for an index, which no operation reads.

func (t *tx) list(k key, v value) { _ = t.batch.Set(k, v, nil) }
func (t *tx) unlist(k key)        { _ = t.batch.Delete(k, nil) }

// get reads a value, if it is there.
func (t *tx) get(k key, each func(*fields)) (found bool, err error) {
	if v, mine := t.mine[string(k)]; mine {
		if v == nil {
			return false, nil
		}
		f := fields{rest: v}
		each(&f)
		err = f.err()
		found = true
	} else {
		found, err = t.before(k, each)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", errStore, err)
	}
	return found, err
}

// before reads a value that was there before the transaction. One iterator serves all of
// it: to make one takes longer than to look.
func (t *tx) before(k key, each func(*fields)) (found bool, err error) {
	if t.found == nil {
		if t.found, err = t.db.NewIter(seeking); err != nil {
			return false, err
		}
	}
	return seek(t.found, k, each)
}

func (t *tx) has(k key) (bool, error) { return t.get(k, func(*fields) {}) }

// integer reads a number; 0 if it is not there.
func (t *tx) integer(k key) (n int64, err error) {
	_, err = t.get(k, func(f *fields) { n = f.number() })
	return n, err
}
