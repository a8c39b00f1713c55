package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/document"
)

// writeFile writes a file whole or not at all, replacing an earlier one. It is
// durable when it returns. Its folder is made where there is none.
func writeFile(file string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(file)
	if err := makeDir(dir); err != nil {
		return err
	}
	// One name for each file: a repeat after a crash replaces what that left.
	f, err := os.OpenFile(filepath.Join(dir, ".writing-"+filepath.Base(file)), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(syncFile(f), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncFile makes a file's content, or a folder's entries, durable. Tests count it.
var syncFile = (*os.File).Sync

// syncDir makes a folder's entries durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(d), d.Close())
}

// makeDir makes a folder, and those above it, where there is none. It is durable
// when it returns.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if above := filepath.Dir(dir); above != dir {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
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
