package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lock is a process's claim on a data folder. The kernel drops it with the
// process, however that ends.
type lock struct{ file *os.File }

func lockFolder(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s is in use by another shop (pid %s): stop that one, or choose another data folder", dir, strings.TrimSpace(string(pid)))
		}
		return nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	l := &lock{f}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), l.release())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the data folder: %w", err), l.release())
	}
	return l, nil
}

func (l *lock) release() error { return l.file.Close() }
