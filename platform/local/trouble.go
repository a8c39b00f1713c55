package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/keylock"
)

// trouble is what is wrong with the database. Safe for concurrent use.
type trouble struct {
	held   atomic.Bool                 // Pebble panicked amid a write: it keeps its locks, and is never closed
	tell   atomic.Pointer[func(error)] // with each change; nil: nobody listens yet
	now    atomic.Pointer[error]       // nil: nothing is wrong
	damage atomic.Pointer[error]       // which does not pass; nil: none is known
	lost   atomic.Pointer[error]       // the end of the log is; nil: it is not

	mu   sync.Mutex
	room chan struct{} // closed while the disk is full
}

func newTrouble() *trouble { return &trouble{room: make(chan struct{})} }

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
	if err == nil && t.stuck() != nil {
		return // what ended well was written before the disk was full
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

// writing is note for what ended a write.
func (t *trouble) writing(err error) {
	if errors.As(err, &fatal{}) {
		t.held.Store(true)
	}
	t.note(err)
}

// noted is how a scan ended, for the engine.
func (t *trouble) noted(err error) error {
	if each := (scanError{}); errors.As(err, &each) && !damaged(err) {
		return each.error
	}
	if err != nil {
		return t.unavailable(err)
	}
	return nil
}

// is says whether something is wrong.
func (t *trouble) is() bool {
	now := t.now.Load()
	return now != nil && *now != nil
}

// lose notes that the end of the log is lost.
func (t *trouble) lose(err error) { t.lost.Store(&err) }

// final is the error of a database that is known to be damaged, or to lack something; nil:
// it is not.
func (t *trouble) final() error {
	if l := t.lost.Load(); l != nil {
		return *l
	}
	if d := t.damage.Load(); d != nil {
		return fmt.Errorf("%w: %w", engine.ErrDamaged, *d)
	}
	return nil
}

// full is closed while the disk is full.
func (t *trouble) full() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room
}

// stuck is the error of a database whose disk is full; nil: it is not.
func (t *trouble) stuck() error {
	select {
	case <-t.full():
		return errFull
	default:
		return nil
	}
}

var errFull = fmt.Errorf("%w: %w", engine.ErrUnavailable, explained(syscall.ENOSPC))

// How much room there must be before a database goes on whose disk was full, and how
// often that is looked at.
const (
	roomBytes    = 4 << 20
	roomInterval = 250 * time.Millisecond
)

// waitingForRoom is the disk for a database in the folder. What finds it full waits until
// there is room, and trouble tells of it meanwhile.
func (t *trouble) waitingForRoom(disk vfs.FS, folder string) vfs.FS {
	return vfs.OnDiskFull(disk, func() {
		t.mu.Lock()
		close(t.room)
		t.mu.Unlock()
		t.note(syscall.ENOSPC)
		tick := time.NewTicker(roomInterval)
		defer tick.Stop()
		for hasRoom(disk, folder) != nil {
			<-tick.C
		}
		t.mu.Lock()
		t.room = make(chan struct{})
		t.mu.Unlock()
		t.note(nil)
	})
}

// hasRoom is nil if the disk takes a file of some size.
func hasRoom(disk vfs.FS, folder string) error {
	name := disk.PathJoin(folder, "room")
	f, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, roomBytes))
	return errors.Join(err, f.Sync(), f.Close(), disk.Remove(name))
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
				if l.trouble.is() || l.trouble.stuck() != nil {
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

// damaged says whether the error shows that the database can't go on: its files are not
// what was written, or could not be written.
func damaged(err error) bool {
	return errors.Is(err, pebble.ErrCorruption) || pebble.IsCorruptionError(err) || errors.As(err, &fatal{})
}

// explained says what an error of the database's means, and what to do about it.
func explained(err error) error {
	switch {
	case errors.As(err, &fatal{}):
		return err
	case damaged(err):
		return fmt.Errorf("it is damaged, and nothing is written to it any more: stop the shop, keep a copy of the data folder, and restore it from a backup: %w", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk is full: make room: %w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("it can't be written: see who may write to the data folder, and whether its disk is read-only: %w", err)
	case errors.Is(err, syscall.EIO):
		return fmt.Errorf("its disk can't be read or written: look at the disk: %w", err)
	}
	return err
}
