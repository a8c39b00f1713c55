package local

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/keylock"
)

// trouble is what is wrong with the database. Safe for concurrent use.
type trouble struct {
	tell   atomic.Pointer[func(error)] // with each change; nil: nobody listens yet
	now    atomic.Pointer[error]       // nil: nothing is wrong
	damage atomic.Pointer[error]       // which does not pass; nil: none is known
}

// unavailable is the error of a store that failed, for the engine: damage is final,
// anything else may pass.
func (t *trouble) unavailable(err error) error {
	if errors.Is(err, engine.ErrDamaged) {
		return err
	}
	t.note(err)
	if damaged(err) {
		return fmt.Errorf("%w: %w", engine.ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
}

// note keeps how a use of the database ended.
func (t *trouble) note(err error) {
	if d := t.damage.Load(); d != nil {
		return // until the next start, at which it is seen again
	}
	var what error
	if err != nil {
		what = explained(err)
		if damaged(err) {
			t.damage.Store(&what)
		}
	}
	was := t.now.Swap(&what)
	if what == nil && (was == nil || *was == nil) {
		return // nothing was wrong, and nothing is
	}
	if tell := t.tell.Load(); tell != nil {
		(*tell)(what)
	}
}

// is says whether something is wrong.
func (t *trouble) is() bool {
	now := t.now.Load()
	return now != nil && *now != nil
}

// final is the error of a database that is known to be damaged; nil: it is not.
func (t *trouble) final() error {
	if d := t.damage.Load(); d != nil {
		return fmt.Errorf("%w: %w", engine.ErrDamaged, *d)
	}
	return nil
}

// patience is how long somebody waits for others who can't get on, because the
// database can't be written.
const patience = 500 * time.Millisecond

// streamLock is the engine's. Whoever holds a stream retries for seconds while the
// database can't be written; those behind would wait for each of them in turn.
type streamLock struct {
	*keylock.Locks[engine.Stream]
	trouble *trouble
}

// Lock implements [engine.StreamLock]. It returns [engine.ErrUnavailable] once the
// database can't be written and others wait for it.
func (l streamLock) Lock(ctx context.Context, s engine.Stream) (unlock func(), err error) {
	if unlock, ok := l.TryLock(s); ok {
		return unlock, nil
	}
	waiting, giveUp := context.WithCancel(ctx)
	defer giveUp()
	done := make(chan struct{})
	defer close(done)
	go func() {
		tick := time.NewTicker(patience)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if l.trouble.is() {
					giveUp()
					return
				}
			}
		}
	}()
	if unlock, err = l.Locks.Lock(waiting, s); err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: the database can't be written, and others wait for that", engine.ErrUnavailable)
	}
	return unlock, err
}

// result is SQLite's result code, and its primary one; 0: the error is none of its.
func result(err error) (code, primary int) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	return e.Code(), e.Code() & 0xff
}

// damaged says whether the error shows that the database's file is not what was
// written: no retry helps, and what else it holds can't be trusted.
func damaged(err error) bool {
	switch code, primary := result(err); {
	case primary == sqlite3.SQLITE_CORRUPT, primary == sqlite3.SQLITE_NOTADB,
		code == sqlite3.SQLITE_IOERR_SHORT_READ, code == sqlite3.SQLITE_IOERR_DATA, code == sqlite3.SQLITE_IOERR_CORRUPTFS:
		return true
	}
	return false
}

// explained says what an error of SQLite's means, and what to do about it.
func explained(err error) error {
	_, primary := result(err)
	switch {
	case damaged(err):
		return fmt.Errorf("it is damaged, and nothing is written to it any more: stop the shop, keep a copy of shop.db, shop.db-wal and shop.db-shm, and restore the data folder from a backup: %w", err)
	case primary == sqlite3.SQLITE_BUSY, primary == sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("another program has it locked: close what has shop.db open, such as a database browser with unsaved changes: %w", err)
	case primary == sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full: make room: %w", err)
	case primary == sqlite3.SQLITE_READONLY, primary == sqlite3.SQLITE_CANTOPEN, primary == sqlite3.SQLITE_PERM:
		return fmt.Errorf("it can't be written: see who may write to the data folder, and whether its disk is read-only: %w", err)
	case primary == sqlite3.SQLITE_IOERR:
		return fmt.Errorf("its disk can't be read or written: look at the disk: %w", err)
	}
	return err
}
