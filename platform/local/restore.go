package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/portable"
)

// restoringName is what a database is called in whose folder a restore has not come to its
// end: its value is the file's id.
const restoringName = "restoring"

// restoredName is what it is called thereafter.
const restoredName = "restored"

// errRestoring is the error of a folder in which a restore has not come to its end.
var errRestoring = errors.New(`a restore into it has not come to its end: run "shop restore" again with the same file, or delete the folder`)

// Restore is a data folder that is being restored. It implements [portable.Target].
type Restore struct {
	lock  *lock
	store *store
	next  int64 // position of the next commit
}

// OpenToRestore opens a data folder, made where there is none, to be restored. It is locked
// until Close.
func OpenToRestore(ctx context.Context, dir string) (*Restore, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := (disk{machine}).makeDir(dir); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	r := &Restore{}
	if r.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, sqliteFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errNotEmpty(dir), r.Close())
	}
	if err := (disk{machine}).makeDir(databaseDir(dir)); err != nil {
		return nil, errors.Join(fmt.Errorf("make the folder of the database: %w", err), r.Close())
	}
	if r.store, err = openStore(ctx, storeOptions{dir: databaseDir(dir), restore: true}); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// notEmpty is the error of a folder that has a shop already.
func (r *Restore) notEmpty(id string) error {
	dir, from := filepath.Dir(r.store.dir), ""
	if _, err := read(r.store.db, keyIn(tableStore).text(restoredName), func(f *fields) { from = f.text() }); err != nil {
		return err
	}
	if from == id {
		return fmt.Errorf(`%s has been restored from this file, to its end: "shop verify --data %[1]s" looks at it again, "shop serve --data %[1]s" opens it`, dir)
	}
	return errNotEmpty(dir)
}

func errNotEmpty(dir string) error {
	return fmt.Errorf("%s is not empty: a shop is restored into a folder that has none; choose another with --data", dir)
}

// Begin implements [portable.Target].
func (r *Restore) Begin(_ context.Context, id string) (done int64, err error) {
	k := keyIn(tableStore).text(restoringName)
	var of string
	resumed, err := read(r.store.db, k, func(f *fields) { of = f.text() })
	done = r.store.feed.last()
	switch {
	case err != nil:
		return 0, err
	case resumed && of != id:
		return 0, fmt.Errorf("another file was being restored into it: %w", errRestoring)
	case !resumed && done > 0:
		return 0, r.notEmpty(id)
	}
	r.next = done + 1
	return done, r.store.db.Set(k, value(nil).text(id), pebble.Sync)
}

// Keep implements [portable.Target].
func (r *Restore) Keep(_ context.Context, lines []portable.Line) error {
	t := tx{db: r.store.db, mine: map[string]value{}}
	t.begin()
	defer func() { t.end(); _ = t.batch.Close() }()
	for _, l := range lines {
		switch {
		case l.Key != nil:
			if there, err := t.get(slotKey(l.Key.Stream), func(*fields) {}); err != nil {
				return err
			} else if there { // of an earlier attempt
				continue
			}
			slot := int64(noSlot)
			if len(l.Key.Key) > 0 {
				var err error
				if slot, err = r.store.keys.add(l.Key.Key); err != nil {
					return fmt.Errorf("keep the key of %s: %w", l.Key.Stream, err)
				}
			}
			t.set(slotKey(l.Key.Stream), value(nil).number(slot))
		case l.Cursor != nil:
			k := cursorKey(l.Cursor.Consumer, l.Cursor.Stream)
			if at, err := t.integer(k); err != nil {
				return err
			} else if at < l.Cursor.Next {
				t.set(k, value(nil).number(l.Cursor.Next))
			}
		case l.Start != nil:
			t.set(keyIn(tableStarts).text(l.Start.Follower), value(nil).number(l.Start.After))
		case l.Parked != nil:
			t.set(parkedAt(l.Parked.Consumer, l.Parked.Stream), parkedValue(*l.Parked))
		case l.Rejection != nil:
			r.store.rejecting.note(l.Rejection.Follower())
			t.set(rejectionKey(l.Rejection.Command), rejectionValue(*l.Rejection))
			t.set(rejectionOrder(l.Rejection.Follower(), l.Rejection.Order()), commandValue(l.Rejection.Command))
		case l.Schedule != nil:
			data, err := json.Marshal(l.Schedule)
			if err != nil {
				return fmt.Errorf("schedule %s: %w", l.Schedule.Name, err)
			}
			t.set(keyIn(tableSchedules).text(l.Schedule.Name), value(nil).number(l.Schedule.Rev).bytes(data))
		}
	}
	return r.commit(t.batch)
}

// Append implements [portable.Target]. What is durable is a beginning of what was appended.
func (r *Restore) Append(_ context.Context, commits []portable.Commit) error {
	b := r.store.db.NewBatch()
	defer b.Close()
	for _, c := range commits {
		_ = b.Set(commitKey(r.next), record{c.Stream, c.Seq, c.Version, c.Events, c.Meta, c.Hash}.value(), nil)
		_ = b.Set(streamKey(c.Stream, c.Seq), value(nil).number(r.next), nil)
		r.next++
	}
	return r.commit(b)
}

// commit writes a batch, to be durable at the end.
func (r *Restore) commit(b *pebble.Batch) error {
	err := guarded(func() error { return b.Commit(pebble.NoSync) })
	r.store.trouble.writing(err)
	return err
}

// End implements [portable.Target]. What is left is [Fold].
func (r *Restore) End(context.Context) error {
	if err := r.store.db.LogData(nil, pebble.Sync); err != nil { // and with it what was written before
		return err
	}
	return r.store.ends.set(r.next - 1)
}

// Close unlocks the folder.
func (r *Restore) Close() error {
	var err error
	if r.store != nil {
		err = r.store.close()
	}
	return errors.Join(err, r.lock.release())
}

// Fold makes the views of a folder that was restored, and with that a folder that can be
// opened. Nothing else is done about the commits: who follows them does so, from where it was,
// at the next [Open]. tell hears how many streams are folded.
func Fold(ctx context.Context, o Options, tell func(streams int)) (err error) {
	o.onlyFold = true
	p, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	p.refolding.models = map[string]refold{}
	for _, x := range p.Plugins {
		for _, m := range x.ReadModels {
			d := m.Definition()
			d.Name = naming.Full(x.Name, d.Name)
			p.refolding.models[d.Name] = refold{declared: engine.Declared(d)}
		}
	}
	done := 0
	p.refolding.done = func(streams int) {
		done += streams
		tell(done)
	}
	if err := p.refold(ctx); err != nil {
		return err
	}
	if err := p.store.setMarks(ctx, map[string]int64{rows: p.store.feed.last()}); err != nil {
		return err
	}
	if err := p.store.markRegistered(ctx, p.engine.Consumers()); err != nil {
		return err
	}
	return p.store.write(ctx, func(t *tx) error {
		unfinished, of := keyIn(tableStore).text(restoringName), ""
		if _, err := t.get(unfinished, func(f *fields) { of = f.text() }); err != nil {
			return err
		}
		t.delete(unfinished)
		t.set(keyIn(tableStore).text(restoredName), value(nil).text(of))
		return nil
	}, nil)
}

// Scratch keeps keys and values in a folder of its own. It implements [portable.Scratch].
type Scratch struct {
	held *os.File // the folder, locked
	db   *pebble.DB
}

// OpenScratch makes a scratch in the folder; empty: in the machine's for such things. It
// removes those that processes have left there that were killed.
func OpenScratch(dir string) (_ *Scratch, err error) {
	dir = cmp.Or(dir, os.TempDir())
	left, err := filepath.Glob(filepath.Join(dir, scratches))
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		if held, err := hold(l); err == nil {
			if err := errors.Join(os.RemoveAll(l), held.Close()); err != nil {
				return nil, err
			}
		}
	}
	s := &Scratch{}
	for s.held == nil { // again where another process has taken it for one that was left
		made, err := os.MkdirTemp(dir, scratches)
		if err != nil {
			return nil, err
		}
		if s.held, err = hold(made); err != nil && !errors.Is(err, errNotHeld) {
			return nil, errors.Join(err, os.RemoveAll(made))
		}
	}
	o := databaseOptions(machine, databaseLog{}, newTrouble())
	o.DisableWAL = true
	if s.db, err = pebble.Open(s.held.Name(), o); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// scratches is the pattern of the folders' names.
const scratches = ".shop-scratch-*"

var errNotHeld = errors.New("another process has it, or has removed it")

// hold locks a folder that is there, until the file is closed.
func hold(dir string) (held *os.File, err error) {
	if held, err = os.Open(dir); err == nil {
		err = syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	var here, there os.FileInfo
	if err == nil {
		here, err = held.Stat()
	}
	if err == nil {
		there, err = os.Stat(dir)
	}
	switch {
	case err == nil && os.SameFile(here, there):
		return held, nil
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EWOULDBLOCK):
		err = errNotHeld
	}
	if held != nil {
		err = errors.Join(err, held.Close())
	}
	return nil, err
}

func (s *Scratch) remove() error { return errors.Join(os.RemoveAll(s.held.Name()), s.held.Close()) }

// Set implements [portable.Scratch].
func (s *Scratch) Set(k, v []byte) error { return s.db.Set(k, v, pebble.NoSync) }

// Get implements [portable.Scratch].
func (s *Scratch) Get(k []byte) ([]byte, error) {
	v, closer, err := s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, v...), closer.Close()
}

// Each implements [portable.Scratch].
func (s *Scratch) Each(prefix []byte, yield func(k, v []byte) error) error {
	err := scan(s.db, prefix, nil, forward, func(k, v []byte) (bool, error) { return true, yield(k, v) })
	if each := (scanError{}); errors.As(err, &each) {
		return each.error
	}
	return err
}

// Close removes it.
func (s *Scratch) Close() error { return errors.Join(s.db.Close(), s.remove()) }
