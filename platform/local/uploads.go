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
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// uploadFor is how long a client may take to begin.
const uploadFor = 15 * time.Minute

// errWaiting is the rejection of an upload whose name a file has that waits.
var errWaiting = es.Conflict("UploadWaiting")

// Upload implements [engine.Uploads]: objects are sent to the shop's own API.
func (p *Platform) Upload(_ context.Context, task, key string, _ int64) (engine.Upload, error) {
	_, err := p.uploaded(task, key)
	return engine.Upload{Header: map[string]string{}, Expires: time.Now().Add(uploadFor)}, err
}

// Receive implements [engine.Uploads]: the object becomes a file of the task's folder.
func (p *Platform) Receive(_ context.Context, task, key string, body io.Reader) (err error) {
	target, err := p.uploaded(task, key)
	if err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(target), ".import-"+rand.Text()) // which the shop passes over
	f, err := p.disk.Create(unfinished, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("take in %s: %w", key, err)
	}
	defer func() { _ = p.disk.Remove(unfinished) }()
	_, err = io.Copy(f, body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("take in %s: %w", key, err)
	}
	// Unlike a rename, a link replaces no file that waits.
	if err := p.disk.Link(unfinished, target); errors.Is(err, fs.ErrExist) {
		return errWaiting.Because("a file named %s waits to be taken; try again in a moment", key)
	} else if err != nil {
		return fmt.Errorf("take in %s: %w", key, err)
	}
	return disk{p.disk}.syncDir(filepath.Dir(target))
}

// uploaded is the file that an object of a task becomes.
func (p *Platform) uploaded(task, key string) (string, error) {
	for _, b := range p.buckets {
		if b.name() != (engine.ConsumerID{Kind: engine.KindTask, Name: task}).String() {
			continue
		}
		if key != filepath.Base(key) || strings.ContainsAny(key, `/\`) || isUnfinished(key) || key == doneDir || len(key) > 240 {
			return "", engine.ErrInvalidID.Because("%q can't be the name of a file here: it has no slashes, does not begin with a dot, and does not end as programs call what is unfinished", key)
		}
		file := filepath.Join(b.dir, key)
		if _, err := os.Lstat(file); err == nil {
			return "", errWaiting.Because("a file named %s waits to be taken; try again in a moment", key)
		}
		return file, nil
	}
	return "", engine.ErrNotFound.Because("there is no task %s that takes files", task)
}
