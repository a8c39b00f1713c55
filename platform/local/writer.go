package local

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"onlineshop/es/engine"
)

// writer is the one goroutine that writes to the database. It takes whatever is
// waiting, executes it in one transaction with one fsync, and acknowledges each:
// the more is asked of it at a time, the less each costs.
type writer struct {
	tx         *tx
	tail       *unindexed
	wake       chan struct{}
	ended      chan struct{}
	mu         sync.Mutex
	queues     [3][]*op // by priority
	closed     bool
	underLoad  atomic.Bool // there are foreground or many tasks writes now, or were a moment ago
	live, busy time.Time   // when there were foreground, and many tasks writes

	trouble *trouble
}

// op is one thing to write.
type op struct {
	// do runs in the transaction, again where the first one failed as a whole.
	do func(*tx) error
	// committed runs when it is durable, in the order of commits; may be nil.
	committed func()
	err       error
	done      chan struct{}
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

// startWriter starts to write; the next commit has that position.
func startWriter(conn *sql.Conn, reopen func() (*sql.Conn, error), next int64, tail *unindexed, trouble *trouble) *writer {
	w := &writer{tx: &tx{conn: conn, reopen: reopen, statements: map[string]*sql.Stmt{}, next: next}, tail: tail, trouble: trouble, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// write waits until the operation is durable. An error of do other than those
// of the store is a verdict, and leaves the transaction's other operations alone.
func (w *writer) write(ctx context.Context, do func(*tx) error, committed func()) error {
	if err := cmp.Or(ctx.Err(), w.trouble.final()); err != nil {
		return err
	}
	o := &op{do: do, committed: committed, done: make(chan struct{})}
	if err := w.submit(priority(ctx), o); err != nil {
		return err
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) submit(priority int, o *op) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("write: the shop is shutting down: %w", engine.ErrUnavailable)
	}
	w.queues[priority] = append(w.queues[priority], o)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// close lets what is waiting be written, and stops.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.wake)
	}
	w.mu.Unlock()
	<-w.ended
}

func (w *writer) run() {
	defer close(w.ended)
	for open := true; open; {
		_, open = <-w.wake
		for batch := w.take(); len(batch) > 0; batch = w.take() {
			if err := w.transact(batch); err != nil {
				w.retryIndividually(batch, err)
			}
			for _, o := range batch {
				close(o.done)
			}
		}
	}
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

// transact executes a batch in one transaction. An error says that none of it
// happened.
func (w *writer) transact(batch []*op) error {
	if err := w.trouble.final(); err != nil {
		return err // it turned out while they waited
	}
	first := w.tx.next
	w.tx.appended = map[engine.Stream][]location{}
	err := w.tx.do(func() error {
		for _, o := range batch {
			if o.err = o.do(w.tx); errors.Is(o.err, errStore) {
				return o.err
			}
		}
		return w.tail.spill(w.tx, 64+2*len(batch), w.tail.spillFrom) // faster than it grows
	})
	w.tail.settled(err == nil)
	w.trouble.note(err)
	if err != nil {
		w.tx.next = first
		return err
	}
	for _, o := range batch {
		if o.err == nil && o.committed != nil {
			o.committed()
		}
	}
	return nil
}

// retryIndividually executes the operations of a batch that failed one by one, so that
// one that the store refuses does not take others with it. Where nothing can be
// written now, each would wait in vain, one after the other.
func (w *writer) retryIndividually(batch []*op, failure error) {
	_, primary := result(failure)
	alone := len(batch) > 1 && !damaged(failure) && primary != sqlite3.SQLITE_BUSY && primary != sqlite3.SQLITE_FULL && primary != sqlite3.SQLITE_READONLY
	for _, o := range batch {
		if alone {
			failure = w.transact([]*op{o})
		}
		if failure != nil {
			o.err = w.trouble.unavailable(failure)
		}
	}
}

// errStore marks an error of SQLite's: the disk is full, or cannot be written.
var errStore = errors.New("the database failed")

// tx is the transaction being written.
type tx struct {
	conn       *sql.Conn
	reopen     func() (*sql.Conn, error)
	statements map[string]*sql.Stmt
	next       int64                        // the next commit's position
	appended   map[engine.Stream][]location // by this transaction
}

// do runs f in a transaction. With an error nothing of it has happened.
func (t *tx) do(f func() error) error {
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = t.exec("COMMIT")
	}
	if err != nil {
		// Also after a failed commit, which may leave the transaction open. After some
		// errors SQLite has ended it by itself, and says that there is none.
		_, rollback := t.exec("ROLLBACK")
		if _, primary := result(rollback); rollback != nil && primary != sqlite3.SQLITE_ERROR {
			err = errors.Join(err, t.replace())
		}
	}
	return err
}

// replace takes a new connection for one that can't be used any more.
func (t *tx) replace() error {
	for _, s := range t.statements {
		_ = s.Close()
	}
	clear(t.statements)
	_ = t.conn.Raw(func(any) error { return driver.ErrBadConn }) // or it would be used again
	_ = t.conn.Close()
	conn, err := t.reopen()
	if err == nil {
		t.conn = conn
	}
	return err
}

// exec executes a statement, prepared the first time, and returns how many rows
// it changed. Contexts play no part: what was begun is brought to its end.
func (t *tx) exec(query string, args ...any) (changed int64, err error) {
	s, err := t.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.Exec(args...)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errStore, err)
	}
	return r.RowsAffected()
}

// get reads one row into dest, which stays as it is where there is none.
func (t *tx) get(query string, args, dest []any) error {
	s, err := t.prepare(query)
	if err != nil {
		return err
	}
	if err := s.QueryRow(args...).Scan(dest...); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	return nil
}

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if s := t.statements[query]; s != nil {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStore, err)
	}
	t.statements[query] = s
	return s, nil
}
