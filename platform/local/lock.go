package local

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lock is a process's claim on a data folder: on the folder itself, since a file in
// it may be deleted, and on a file that says whose it is. The kernel drops it with
// the process, however that ends.
type lock struct{ folder, file *os.File }

func lockFolder(dir string) (_ *lock, err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = folder.Close()
		}
	}()
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := cmp.Or(syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another shop (pid %s): stop that one, or choose another data folder", dir, strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	l := &lock{folder, f}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), l.release())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), l.release())
	}
	return l, nil
}

func (l *lock) release() error { return errors.Join(l.file.Close(), l.folder.Close()) }
