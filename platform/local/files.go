package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/document"
)

// disk is where all that a shop has is kept. Whatever changes a file or a folder, and
// makes that durable, goes through it, so that tests can put one in its place that fails
// and loses power. It lies over the machine's files: those who only read open these.
type disk struct{ vfs.FS }

// machine is the machine's own disk.
var machine vfs.FS = ownersDisk{vfs.Default}

// ownersDisk makes files that nobody but their owner may read.
type ownersDisk struct{ vfs.FS }

// Create implements [vfs.FS].
func (d ownersDisk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			if err = os.Remove(name); err == nil || errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		return d.OpenReadWrite(name, category)
	}
}

// writeFile writes a file whole or not at all, replacing an earlier one. It is
// durable when it returns. Its folder is made where there is none.
func (d disk) writeFile(file string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(file)
	if err := d.makeDir(dir); err != nil {
		return err
	}
	// One name for each file: a repeat after a crash replaces what that left.
	unfinished := filepath.Join(dir, ".writing-"+filepath.Base(file))
	f, err := d.Create(unfinished, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close() // or is closed already
			_ = d.Remove(unfinished)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := d.Rename(unfinished, file); err != nil {
		return err
	}
	return d.syncDir(dir)
}

// syncFile makes a file's content durable.
func (d disk) syncFile(file string) error {
	f, err := d.Open(file)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes a folder's entries durable.
func (d disk) syncDir(dir string) error {
	f, err := d.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// making are folders that are there and not durable yet. Whoever finds one has to wait.
var making = struct {
	sync.Mutex
	unsynced map[string]bool
}{unsynced: map[string]bool{}}

// makeDir makes a folder, and those above it, where there is none. It is durable
// when it returns, whoever made it.
func (d disk) makeDir(dir string) error {
	making.Lock()
	defer making.Unlock()
	return d.makeDirs(dir)
}

func (d disk) makeDirs(dir string) error {
	if _, err := os.Stat(dir); err == nil && !making.unsynced[dir] {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := d.makeDirs(above); err != nil {
			return err
		}
	}
	if err := d.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	making.unsynced[dir] = true
	if err := d.syncDir(above); err != nil {
		return err
	}
	delete(making.unsynced, dir)
	return nil
}

func reportFile(data, task, key string) string {
	return filepath.Join(data, "reports", task, document.Name(key, ".csv"))
}

// Report implements [engine.Reports].
func (p *Platform) Report(_ context.Context, task, key string) (engine.Report, error) {
	f, err := os.Open(reportFile(p.Dir, task, key))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Report{}, engine.ErrNotFound.Because("%s has no report on %q", task, key)
	case err != nil:
		return engine.Report{}, fmt.Errorf("read the report of %s on %q: %w", task, key, err)
	}
	return engine.Report{Body: f}, nil
}
