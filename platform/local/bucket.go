package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// bucket is a watched folder, whose files are a task's objects.
//
// A file that has stopped growing is claimed by a rename to
// .claimed/<marker>/<name>, so that a later file of that name is another upload.
// When the task is done with it, it ends in done. What is claimed is found there
// again by the next start.
type bucket struct {
	dir    string
	plugin string
	task   es.Task
	store  *store
	handle func(ctx context.Context, o es.Object) error // the task
	report func(key string) string                      // the report's file
	log    *slog.Logger

	growing map[string]growth
	last    int64 // time of the latest claim, Unix nanoseconds; stored, since clocks are set back
	mu      sync.Mutex
	claims  []*claim // by marker
	room    chan struct{}
	freed   chan struct{} // a claim has ended, or failed
	workers sync.WaitGroup
}

// growth is how a file looked, and since when.
type growth struct {
	size  int64
	mtime time.Time
	since time.Time
}

// claim is a file that is a task's object.
type claim struct {
	marker    string
	key       string
	size      int64 // bytes
	running   bool
	attempts  int
	notBefore time.Time
}

const (
	pollInterval = 250 * time.Millisecond
	stillFor     = time.Second // how long a file's size and time must not change
	filesAtOnce  = 2
	claimedDir   = ".claimed"
	doneDir      = "done"
)

// openBuckets makes the folder of each task that has a bucket, and finds what
// was claimed before.
func (p *Platform) openBuckets(ctx context.Context) error {
	stopping := func() bool {
		select {
		case <-p.stop:
			return true
		default:
			return false
		}
	}
	for _, x := range p.Plugins {
		for _, t := range x.Tasks {
			if t.Bucket == "" {
				continue
			}
			b := &bucket{
				dir: filepath.Join(p.Dir, t.Bucket), plugin: x.Name, task: t, store: p.store, log: p.log,
				handle:  func(ctx context.Context, o es.Object) error { return p.engine.OnObject(ctx, x.Name, t, o, stopping) },
				report:  func(key string) string { return p.reportFile(x.Name+"."+t.Name, key) },
				growing: map[string]growth{}, room: make(chan struct{}, filesAtOnce), freed: make(chan struct{}, 1),
			}
			if err := b.open(ctx); err != nil {
				return fmt.Errorf("open the folder of task %s.%s: %w", x.Name, t.Name, err)
			}
			p.buckets = append(p.buckets, b)
		}
	}
	return nil
}

// name is the task's, as its mark is called.
func (b *bucket) name() string { return engine.TaskConsumer(b.plugin, b.task) }

func (b *bucket) open(ctx context.Context) (err error) {
	for _, d := range []string{claimedDir, doneDir} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o700); err != nil {
			return err
		}
	}
	if b.last, err = b.store.mark(ctx, b.name()); err != nil {
		return err
	}
	markers, err := os.ReadDir(filepath.Join(b.dir, claimedDir))
	if err != nil {
		return err
	}
	for _, m := range markers {
		dir := filepath.Join(b.dir, claimedDir, m.Name())
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(files) == 0 { // stopped between two steps of a claim, or of its end
			b.log.Warn("a claimed file is not there; if somebody has removed it, its import stays as it is until another file of its name comes", "folder", dir)
			if err := os.Remove(dir); err != nil {
				return err
			}
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				return err
			}
			b.claims = append(b.claims, &claim{marker: m.Name(), key: f.Name(), size: info.Size()})
		}
	}
	return nil
}

// run watches the folder until it is stopped, and returns when no work is in hand.
func (b *bucket) run(ctx context.Context, stop <-chan struct{}) {
	defer b.workers.Wait()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if err := b.look(ctx, time.Now()); err != nil {
			b.log.WarnContext(ctx, "the folder can't be read; trying again", "folder", b.dir, "error", err)
		}
		b.start(ctx, time.Now())
		select {
		case <-poll.C:
		case <-b.freed:
		case <-stop:
			return
		}
	}
}

// look claims what has stopped growing.
func (b *bucket) look(ctx context.Context, now time.Time) error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	growing := make(map[string]growth, len(b.growing))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // gone again
		}
		g, known := b.growing[e.Name()]
		if !known || g.size != info.Size() || !g.mtime.Equal(info.ModTime()) {
			g = growth{info.Size(), info.ModTime(), now}
		}
		if now.Sub(g.since) < stillFor {
			growing[e.Name()] = g
			continue
		}
		if err := b.take(ctx, info, now); err != nil {
			growing[e.Name()] = g
			b.log.ErrorContext(ctx, "a file can't be taken; trying again", "file", filepath.Join(b.dir, e.Name()), "error", err)
		}
	}
	b.growing = growing
	return nil
}

// take claims a file, or puts away one whose name can be no object's key.
func (b *bucket) take(ctx context.Context, info fs.FileInfo, now time.Time) error {
	file := filepath.Join(b.dir, info.Name())
	if !es.ValidInternalID(info.Name()) {
		b.log.ErrorContext(ctx, "not imported: a file's name must be valid UTF-8 of at most 1,024 bytes; rename it, and put it into the folder again", "file", file)
		return b.putAway(file, info.Name())
	}
	last := max(now.UnixNano(), b.last+1)
	if err := b.store.setMarks(ctx, map[string]int64{b.name(): last}); err != nil {
		return err
	}
	b.last = last
	marker := fmt.Sprintf("%020d-%d", b.last, inode(info))
	dir := filepath.Join(b.dir, claimedDir, marker)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.Rename(file, filepath.Join(dir, info.Name())); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	b.mu.Lock()
	b.claims = append(b.claims, &claim{marker: marker, key: info.Name(), size: info.Size()})
	b.mu.Unlock()
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), syncDir(b.dir))
}

// start gives claims to the task, the oldest first and those of one name one
// after the other. A claim that has failed lets later ones pass.
func (b *bucket) start(ctx context.Context, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	running := map[string]bool{}
	for _, c := range b.claims {
		running[c.key] = running[c.key] || c.running
	}
	for _, c := range b.claims {
		if running[c.key] || now.Before(c.notBefore) {
			continue
		}
		select {
		case b.room <- struct{}{}:
		default:
			return
		}
		c.running, running[c.key] = true, true
		b.workers.Go(func() {
			err := b.one(ctx, c)
			b.ended(ctx, c, err)
		})
	}
}

// one has the task work on a claim. When it is done, so is the claim. A file that
// somebody has removed is the task's to answer for, too: it finds it gone.
func (b *bucket) one(ctx context.Context, c *claim) error {
	file := filepath.Join(b.dir, claimedDir, c.marker, c.key)
	info, err := os.Lstat(file)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return err
	}
	if err := b.handle(ctx, b.object(c, file, info)); err != nil {
		return err
	}
	if gone {
		b.log.ErrorContext(ctx, "a claimed file was removed before it was done", "file", file)
	} else if err := b.putAway(file, c.key); err != nil {
		return err
	}
	if err := os.Remove(filepath.Dir(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (b *bucket) ended(ctx context.Context, c *claim, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.running = false
	switch {
	case err == nil:
		b.claims = slices.DeleteFunc(b.claims, func(x *claim) bool { return x == c })
	case !errors.Is(err, es.ErrUnfinished) && ctx.Err() == nil:
		wait := min(firstRetry<<min(c.attempts, 10), lastRetry)
		c.attempts++
		c.notBefore = time.Now().Add(wait)
		b.log.WarnContext(ctx, "a task failed; it is called again", "task", b.plugin+"."+b.task.Name, "file", c.key, "wait", wait, "error", err)
	}
	<-b.room
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// object is a claimed file as a task sees it; info is nil where it is gone.
func (b *bucket) object(c *claim, file string, info fs.FileInfo) es.Object {
	return es.Object{
		Key: c.key, ETag: fmt.Sprintf("%x-%s", c.size, c.marker), Upload: c.marker, Size: c.size,
		Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := os.Open(file)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("open %s: %w", c.key, es.ErrObjectGone)
			}
			if err != nil {
				return nil, err
			}
			now, err := f.Stat()
			if err == nil && (info == nil || !sameContent(now, info)) {
				err = fmt.Errorf("open %s: it has changed: %w", c.key, es.ErrObjectGone)
			}
			if err == nil {
				_, err = f.Seek(offset, io.SeekStart)
			}
			if err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		},
		WriteReport: func(_ context.Context, write func(io.Writer) error) error {
			return writeFile(b.report(c.key), write)
		},
	}
}

// putAway moves a file to the folder done, beside earlier ones of its name.
func (b *bucket) putAway(file, name string) error {
	to := filepath.Join(b.dir, doneDir, name)
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		to = filepath.Join(b.dir, doneDir, numbered(name, n))
	}
	if err := os.Rename(file, to); err != nil {
		return err
	}
	return errors.Join(syncDir(filepath.Dir(to)), syncDir(filepath.Dir(file)))
}

// numbered is a file's name with a number before its extension. File systems take
// 255 bytes, so a longer name loses some of its end.
func numbered(name string, n int) string {
	const most = 255
	ext := filepath.Ext(name)
	stem, suffix := strings.TrimSuffix(name, ext), fmt.Sprintf("-%d%s", n, ext)
	if room := most - len(suffix); room < 1 {
		return numbered(strings.ReplaceAll(name, ".", "_"), n) // all of it an extension
	} else if len(stem) > room {
		stem = strings.ToValidUTF8(stem[:room], "") // without half a character
	}
	return stem + suffix
}

// sameContent tells one content from another as well as a file system can: by
// inode, size and time of the last change. The ETag has none of these, so that a
// run goes on in a copy of the folder.
func sameContent(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
