package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"onlineshop/es"
	"onlineshop/platform/internal/keylock"
)

// buckets implements [engine.Buckets] with a folder for each bucket, below the data folder.
type buckets struct {
	dir     string
	disk    disk
	writing *keylock.Locks[string] // by file: there is one name for what is half written
}

func (b buckets) write(ctx context.Context, file string, write func(io.Writer) error) error {
	unlock, err := b.writing.Lock(ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	return b.disk.writeFile(file, write)
}

// bucketDir is the folder of a bucket whose objects stay.
func bucketDir(data, bucket string) string { return filepath.Join(data, "buckets", bucket) }

// WriteObject implements [engine.Buckets].
func (b buckets) WriteObject(ctx context.Context, bucket, key string, write func(io.Writer) error) error {
	return b.write(ctx, filepath.Join(bucketDir(b.dir, bucket), key), write)
}

// ReadObject implements [engine.Buckets].
func (b buckets) ReadObject(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.Join(bucketDir(b.dir, bucket), key))
	if errors.Is(err, fs.ErrNotExist) {
		err = es.ErrObjectGone
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// WriteReport implements [engine.Buckets].
func (b buckets) WriteReport(ctx context.Context, task, key string, write func(io.Writer) error) error {
	return b.write(ctx, reportFile(b.dir, task, key), write)
}
