package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
)

// keyFile is a file beside the database with the keys of what is personal, each in a slot
// of its own. The database never overwrites what it has written, and its files keep what is
// deleted from it for a while; a slot is overwritten where it is. The database says which
// slot is a stream's. A slot that it does not know of, since the process ended in between,
// is lost, and says nothing.
type keyFile struct {
	disk vfs.FS
	name string

	mu      sync.Mutex
	file    vfs.File // nil: nobody has asked for a key yet
	next    int64    // slot
	written int64    // how often something was
	failed  error    // of a sync: nobody knows what is durable, until it is opened again

	syncing sync.Mutex
	synced  int64 // written, as of the latest sync
}

// slotSize is of a key, its checksum, and nothing, so that no slot is in two sectors of a
// disk.
const slotSize = 64

// open opens the file, made where there is none if make is set. The caller has k.mu.
func (k *keyFile) open(make bool) error {
	if k.file != nil {
		return nil
	}
	if _, err := k.disk.Stat(k.name); err != nil {
		if !errors.Is(err, fs.ErrNotExist) || !make {
			return err
		}
		made, err := k.disk.Create(k.name, vfs.WriteCategoryUnspecified) // for its owner alone
		if err != nil {
			return err
		}
		if err := made.Close(); err != nil {
			return err
		}
	}
	f, err := k.disk.OpenReadWrite(k.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 { // the name is to last, too
		var dir vfs.File
		if dir, err = k.disk.OpenDir(k.disk.PathDir(k.name)); err == nil {
			err = errors.Join(dir.Sync(), dir.Close())
		}
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	k.file, k.next = f, (info.Size()+slotSize-1)/slotSize
	return nil
}

func (k *keyFile) write(slot int64, content []byte) (turn int64, err error) {
	if _, err := k.file.WriteAt(content, slot*slotSize); err != nil {
		return 0, err
	}
	k.written++
	return k.written, nil
}

// add keeps a key in a new slot, durably.
func (k *keyFile) add(key []byte) (slot int64, err error) {
	k.mu.Lock()
	var turn int64
	if err = cmp.Or(k.failed, k.open(true)); err == nil {
		content := make([]byte, slotSize)
		binary.BigEndian.PutUint32(content[copy(content, key):], crc32.ChecksumIEEE(key))
		if turn, err = k.write(k.next, content); err == nil {
			slot = k.next
			k.next++
		}
	}
	k.mu.Unlock()
	return slot, cmp.Or(err, k.sync(turn))
}

// wipe overwrites a slot, durably.
func (k *keyFile) wipe(slot int64) error {
	k.mu.Lock()
	var turn int64
	err := cmp.Or(k.failed, k.open(false))
	if err == nil && slot < k.next {
		turn, err = k.write(slot, make([]byte, slotSize))
	}
	k.mu.Unlock()
	return cmp.Or(err, k.sync(turn))
}

// sync makes durable what was written up to that turn; one sync is for all who wait.
func (k *keyFile) sync(turn int64) error {
	k.syncing.Lock()
	defer k.syncing.Unlock()
	if k.synced >= turn {
		return nil
	}
	k.mu.Lock()
	file, written, err := k.file, k.written, k.failed
	k.mu.Unlock()
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		k.mu.Lock()
		k.failed = fmt.Errorf("the file of keys %s could not be written: look at the disk, and start the shop again: %w", k.name, err)
		err = k.failed
		k.mu.Unlock()
		return err
	}
	k.synced = written
	return nil
}

// read returns the key in a slot.
func (k *keyFile) read(slot int64) ([]byte, error) {
	k.mu.Lock()
	err := k.open(false)
	file := k.file
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	content := make([]byte, slotSize)
	if _, err := file.ReadAt(content, slot*slotSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	key := content[:engine.KeySize]
	if crc32.ChecksumIEEE(key) != binary.BigEndian.Uint32(content[engine.KeySize:]) {
		return nil, fmt.Errorf("%w: slot %d of %s is not what was written: restore that file from a backup", engine.ErrBroken, slot, filepath.Base(k.name))
	}
	return key, nil
}

func (k *keyFile) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

func slotKey(st engine.Stream) key { return keyIn(tableKeys).text(st.Aggregate).text(st.ID) }

// noSlot is in place of a slot that was never there. A wiped one is its complement, which
// is below: so it is known what to wipe until that is done.
const noSlot = -1 << 62

// Key implements [engine.Keys].
func (s *store) Key(ctx context.Context, st engine.Stream, make bool) ([]byte, error) {
	var slot int64
	known, err := s.get(ctx, slotKey(st), func(f *fields) { slot = f.number() })
	if err == nil && !known && make {
		known = true
		slot, err = s.makeKey(ctx, st)
	}
	switch {
	case err != nil:
		return nil, err
	case !known:
		return nil, nil
	case slot < 0:
		return nil, engine.ErrErased
	}
	key, err := s.keys.read(slot)
	if errors.Is(err, engine.ErrBroken) { // unless it has just been wiped
		if _, failed := s.get(ctx, slotKey(st), func(f *fields) { slot = f.number() }); failed == nil && slot < 0 {
			return nil, engine.ErrErased
		}
	}
	if err != nil && !errors.Is(err, engine.ErrBroken) {
		err = s.trouble.unavailable(err)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", st, err)
	}
	return key, nil
}

// makeKey keeps a new key, and returns its slot, or that of somebody who was faster. The
// database's log is in order: whatever is sealed with the key comes later.
func (s *store) makeKey(ctx context.Context, st engine.Stream) (slot int64, err error) {
	if err := cmp.Or(s.trouble.final(), s.trouble.stuck()); err != nil {
		return 0, err
	}
	key := make([]byte, engine.KeySize)
	_, _ = rand.Read(key) // which does not fail
	added, err := s.keys.add(key)
	if err != nil {
		return 0, s.trouble.unavailable(fmt.Errorf("keep a key for %s: %w", st, err))
	}
	slot = added
	err = s.writer.apply(ctx, func(t *tx) error {
		taken, err := t.get(slotKey(st), func(f *fields) { slot = f.number() })
		if err == nil && !taken {
			t.set(slotKey(st), value(nil).number(added))
		}
		return err
	}, nil)
	return slot, err
}

// Destroy implements [engine.Keys]. A key is gone for everybody before it is wiped.
func (s *store) Destroy(ctx context.Context, st engine.Stream) error {
	slot := int64(noSlot)
	err := s.writer.write(ctx, func(t *tx) error {
		if _, err := t.get(slotKey(st), func(f *fields) { slot = f.number() }); err != nil {
			return err
		}
		if slot >= 0 {
			slot = ^slot
		}
		t.set(slotKey(st), value(nil).number(slot))
		return nil
	}, nil)
	if err == nil && slot != noSlot {
		if err = s.keys.wipe(^slot); err != nil {
			err = s.trouble.unavailable(err)
		}
	}
	if err != nil {
		return fmt.Errorf("destroy the key of %s: %w", st, err)
	}
	return nil
}
