package portable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"

	"onlineshop/es/naming"
)

// Restored is what a restore did.
type Restored struct {
	Header
	Commits int64 // of the file
	Before  int64 // of them, those that an earlier attempt had restored
}

// File is a file to be read.
type File struct {
	Open       func() (io.ReadCloser, error) // from its beginning, each time
	Identities []age.Identity                // that open the keys of personal data
}

// Checked is what a file has.
type Checked struct {
	Header
	Trailer
	Opened int64 // keys of personal data, which can be read
	Closed int64 // keys of personal data, which can't: nobody destroyed them, and they are not in it, or no identity opens it
}

// each reads the part of the file.
func (f File) each(ctx context.Context, part Part, yield func(Line) error) (t Trailer, err error) {
	in, err := f.Open()
	if err != nil {
		return t, err
	}
	defer in.Close()
	r, err := NewReader(in)
	if err != nil {
		return t, err
	}
	defer r.Close()
	r.Only, r.Identities = part, f.Identities
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return *r.end, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = yield(l)
		}
		if err != nil {
			return t, err
		}
	}
}

// Check reads the whole file: whether it is what was written, each commit is what was
// appended, and each stream is whole. plugins are those that can be restored; nil: all.
func Check(ctx context.Context, file File, scratch Scratch, plugins []string) (c Checked, err error) {
	c.Trailer, err = file.each(ctx, Whole, func(l Line) error {
		switch {
		case l.Header != nil:
			c.Header = *l.Header
		case l.Key != nil && len(l.Key.Key) > 0:
			c.Opened++
		case l.Key != nil && !l.Key.Erased:
			c.Closed++
		case l.Commit != nil:
			if p := naming.Plugin(l.Commit.Stream.Aggregate); plugins != nil && !slices.Contains(plugins, p) {
				return fmt.Errorf("the file has commits of the plugin %s, which is not here", p)
			}
			if err := l.Commit.Check(); err != nil {
				return err
			}
			return heads{scratch}.follow(l.Commit)
		}
		return nil
	})
	return c, err
}

// A batch has at most so many lines and bytes.
const (
	batchLines = 1000
	batchBytes = 4 << 20
)

// Restore writes a file that was checked to the target: first what is kept beside the
// commits, so that nobody acts again on a commit, then the commits in their order. t is the
// file's trailer. After a failure it can be called again.
func Restore(ctx context.Context, file File, t Trailer, to Target, progress func(commits int64)) (r Restored, err error) {
	if r.Before, err = to.Begin(ctx, t.SHA256); err != nil {
		return r, err
	}
	var rest []Line
	keep := func() error {
		err := to.Keep(ctx, rest)
		rest = rest[:0]
		return err
	}
	again, err := file.each(ctx, Rest, func(l Line) error {
		switch {
		case l.Header != nil:
			r.Header = *l.Header
			return nil
		case l == Line{}, l.Trailer != nil:
			return nil
		}
		if rest = append(rest, l); len(rest) == batchLines {
			return keep()
		}
		return nil
	})
	if err == nil && again != t {
		err = fmt.Errorf("%w: it has changed meanwhile", ErrFile)
	}
	if err == nil {
		err = keep()
	}
	if err != nil {
		return r, err
	}
	var batch []Commit
	size := 0
	flush := func() error {
		err := to.Append(ctx, batch)
		batch, size = batch[:0], 0
		progress(r.Commits)
		return err
	}
	_, err = file.each(ctx, Commits, func(l Line) error {
		if l.Commit == nil {
			return nil
		}
		if r.Commits++; r.Commits <= r.Before {
			return nil
		}
		batch = append(batch, *l.Commit)
		if size += len(l.Commit.Events) + len(l.Commit.Meta); len(batch) == batchLines || size >= batchBytes {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return r, err
	}
	return r, to.End(ctx)
}
