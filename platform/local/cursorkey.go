package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CursorKey is what the HTTP API encrypts cursors with: 32 bytes, kept in the data
// folder.
func (p *Platform) CursorKey(context.Context) ([]byte, error) {
	file := filepath.Join(p.Dir, "cursor.key")
	key, err := os.ReadFile(file)
	if err == nil && len(key) == keyBytes {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key of cursors: %w", err)
	}
	key = make([]byte, keyBytes) // in place of one that is damaged, too: cursors don't live long
	_, _ = rand.Read(key)        // never fails
	if err := (disk{p.disk}).writeFile(file, func(w io.Writer) error { _, err := w.Write(key); return err }); err != nil {
		return nil, fmt.Errorf("keep the key of cursors: %w", err)
	}
	return key, nil
}

const keyBytes = 32
