package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// bucket is a watched folder, whose files are a task's objects.
//
// A file that has stopped growing, and that nobody has open for writing, is claimed
// by a rename to .claimed/<marker>/<name>, so that a later file of that name is
// another upload. When the task is done with it, it ends in done; where it was
// changed meanwhile, it is another upload, whole again. What is claimed is found
// there again by the next start.
type bucket struct {
	dir      string
	disk     disk
	plugin   string
	task     es.Task
	store    *store
	handle   func(ctx context.Context, o es.Object) error // the task
	report   func(key string) string                      // the report's file
	log      *slog.Logger
	problems *problems

	growing map[string]growth
	odd     map[string]bool // entries that are no files, as they were logged
	paused  time.Time       // nothing is claimed before, since it failed
	last    int64           // time of the latest claim, Unix nanoseconds; stored, since clocks are set back
	mu      sync.Mutex
	claims  []*claim        // by marker
	running map[string]bool // their keys that are being worked on
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
	info      fs.FileInfo // as it was claimed
	running   bool
	attempts  int
	failing   time.Time // since when it can't be read; zero: it can
	notBefore time.Time
}

const (
	pollInterval  = 250 * time.Millisecond
	settleTime    = time.Second      // how long a file's size and time must not change
	openEndFor    = 10 * time.Second // the same, where it does not end with a line break
	unreadableFor = time.Minute      // how long a claimed file may be unreadable before its import ends
	claimsAtOnce  = 100              // before they are looked at
	pauseFor      = 2 * time.Second  // after a claim that failed
	filesAtOnce   = 2
	claimedDir    = ".claimed"
	asideDir      = ".aside"
	doneDir       = "done"
)

// unfinished are the ends of names that programs give to what is still arriving.
var unfinished = []string{".part", ".partial", ".crdownload", ".download", ".filepart", ".tmp", ".temp", "~"}

func isUnfinished(name string) bool {
	return strings.HasPrefix(name, ".") ||
		slices.ContainsFunc(unfinished, func(end string) bool { return strings.HasSuffix(strings.ToLower(name), end) })
}

// openBuckets makes the folder of each task that has a bucket, and finds what
// was claimed before.
func (p *Platform) openBuckets(ctx context.Context) error {
	for _, x := range p.Plugins {
		for _, t := range x.Tasks {
			if t.Bucket == "" {
				continue
			}
			b := &bucket{
				dir: filepath.Join(p.Dir, t.Bucket), disk: disk{p.disk}, plugin: x.Name, task: t, store: p.store, log: p.log, problems: &p.problems,
				odd: map[string]bool{}, running: map[string]bool{},
				handle: func(ctx context.Context, o es.Object) error {
					return p.engine.OnObject(context.WithValue(ctx, taskKey{}, true), x.Name, t, o, p.stopping)
				},
				report:  func(key string) string { return reportFile(p.Dir, naming.Full(x.Name, t.Name), key) },
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

// component is the folder among the problems.
func (b *bucket) component() string { return "folder " + b.task.Bucket }

func (b *bucket) open(ctx context.Context) (err error) {
	for _, d := range []string{claimedDir, doneDir} {
		if err := b.disk.makeDir(filepath.Join(b.dir, d)); err != nil {
			return err
		}
	}
	b.sweepLeftovers()
	if b.last, err = b.store.mark(ctx, b.name()); err != nil {
		return err
	}
	markers, err := os.ReadDir(filepath.Join(b.dir, claimedDir))
	if err != nil {
		return err
	}
	for _, m := range markers {
		if err := b.find(m.Name()); err != nil {
			b.aside(m.Name(), err)
		}
	}
	return nil
}

// sweepLeftovers removes uploads that the shop was killed in the middle of.
func (b *bucket) sweepLeftovers() {
	left, _ := filepath.Glob(filepath.Join(b.dir, ".import-*")) // the pattern is well-formed
	for _, file := range left {
		info, err := os.Lstat(file)
		if writing, _ := beingWritten(file); err == nil && !writing && time.Since(info.ModTime()) > time.Hour {
			_ = b.disk.Remove(file)
		}
	}
}

var markerName = regexp.MustCompile(`^[0-9]{20}-[0-9]+$`)

// find takes up a claim of an earlier run. An error says what is no claim.
func (b *bucket) find(marker string) error {
	dir := filepath.Join(b.dir, claimedDir, marker)
	if !markerName.MatchString(marker) {
		return errors.New("it is not one of the shop's")
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(files) == 0 { // stopped between two steps of a claim, or of its end
		b.log.Warn("a claimed file is not there; if somebody has removed it, its import stays as it is until another file of its name comes", "folder", dir)
		return b.disk.Remove(dir)
	}
	for _, f := range files {
		info, err := f.Info()
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular() || strings.HasPrefix(f.Name(), "."):
			b.aside(filepath.Join(marker, f.Name()), errors.New("it is not a file that was put into the folder"))
			continue
		}
		b.claims = append(b.claims, &claim{marker: marker, key: f.Name(), info: info})
	}
	return nil
}

// aside moves what is odd among the claimed files, such as a power cut leaves or
// another program makes, to a folder of its own.
func (b *bucket) aside(name string, why error) {
	from := filepath.Join(b.dir, claimedDir, name)
	to := filepath.Join(b.dir, asideDir, fmt.Sprintf("%d-%s", time.Now().UnixNano(), strings.ReplaceAll(name, string(filepath.Separator), "-")))
	err := b.disk.makeDir(filepath.Dir(to))
	if err == nil {
		err = b.disk.Rename(from, to)
	}
	if err != nil {
		b.log.Error("an odd entry among the claimed files is left where it is", "entry", from, "because", why, "error", err)
		return
	}
	b.log.Warn("an odd entry among the claimed files was set aside: look whether it is to be imported", "entry", from, "because", why, "now", to)
}

// run watches the folder until it is stopped, and returns when no work is in hand.
func (b *bucket) run(ctx context.Context, stop <-chan struct{}) {
	defer b.workers.Wait()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		more := false
		err := engine.Guarded(b.component(), func() (err error) {
			more, err = b.scan(ctx, time.Now())
			return err
		})
		if err != nil {
			b.paused = time.Now().Add(pauseFor)
		}
		if now := time.Now(); err != nil || !now.Before(b.paused) {
			b.problems.set(b.component(), err)
		}
		b.start(ctx, time.Now())
		select {
		case <-stop:
			return
		default:
		}
		if more {
			continue
		}
		select {
		case <-poll.C:
		case <-b.freed:
		case <-stop:
			return
		}
	}
}

// scan claims what has stopped growing, up to a number; more says that there is
// more to claim now. Its error is why one could not be claimed.
func (b *bucket) scan(ctx context.Context, now time.Time) (more bool, err error) {
	entries, err := os.ReadDir(b.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("it is gone: make %s again, or mount what it is on", b.dir)
	}
	if err != nil {
		return false, err
	}
	growing := make(map[string]growth, len(b.growing))
	odd := map[string]bool{}
	var errs []error
	taken := 0
	for _, e := range entries {
		if isUnfinished(e.Name()) || e.Name() == doneDir {
			continue
		}
		if !e.Type().IsRegular() {
			if odd[e.Name()] = true; !b.odd[e.Name()] {
				b.log.WarnContext(ctx, "not imported: it is not a file; put the file itself into the folder", "entry", filepath.Join(b.dir, e.Name()))
			}
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
		if growing[e.Name()] = g; !still(b.dir, info, now.Sub(g.since)) || now.Before(b.paused) {
			continue
		}
		if taken == claimsAtOnce {
			more = true
			continue
		}
		if err := b.take(ctx, info, now); err != nil {
			errs = append(errs, fmt.Errorf("%s can't be taken: %w", e.Name(), err))
			break // the others, neither
		}
		taken++
		delete(growing, e.Name())
	}
	b.growing, b.odd = growing, odd
	return more, errors.Join(errs...)
}

// still says whether a file that has not changed for so long is whole, as far as
// can be told: nobody has it open for writing or, where that is not known, it ends
// with a line break or is not young any more.
func still(dir string, info fs.FileInfo, unchanged time.Duration) bool {
	if unchanged < settleTime {
		return false
	}
	file := filepath.Join(dir, info.Name())
	writing, known := beingWritten(file)
	return !writing && (known || unchanged >= openEndFor || endsLine(file, info.Size()) || old(info))
}

// old says whether a file was written long before it was put here, by a move.
func old(info fs.FileInfo) bool { return time.Since(info.ModTime()) > time.Minute }

// endsLine says whether the file's last character is a line break, or can't be read,
// which is found out later.
func endsLine(file string, size int64) bool {
	f, err := os.Open(file)
	if err != nil || size == 0 {
		return true
	}
	defer f.Close()
	last := make([]byte, 2)
	n, err := f.ReadAt(last, max(0, size-2))
	if err != nil && !errors.Is(err, io.EOF) || n == 0 {
		return true
	}
	return bytes.ContainsAny(last[:n], "\r\n") // of UTF-16, either half
}

// take claims a file, or puts away one whose name can be no object's key.
func (b *bucket) take(ctx context.Context, info fs.FileInfo, now time.Time) error {
	file := filepath.Join(b.dir, info.Name())
	if !es.ValidInternalID(info.Name()) {
		b.log.ErrorContext(ctx, "not imported: a file's name must be valid UTF-8 of at most 1,024 bytes; rename it, and put it into the folder again", "file", file)
		return b.moveToDone(file, info.Name())
	}
	if err := b.disk.syncContent(file); err != nil {
		return err
	}
	c := &claim{key: info.Name(), info: info}
	if err := b.claim(ctx, c, file, now); err != nil {
		return err
	}
	b.mu.Lock()
	b.claims = append(b.claims, c)
	b.mu.Unlock()
	return b.disk.syncDir(b.dir)
}

// claim moves a file to a folder of the claim's own, which is later than all others.
func (b *bucket) claim(ctx context.Context, c *claim, file string, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := max(now.UnixNano(), b.last+1)
	marker := fmt.Sprintf("%020d-%d", last, inode(c.info))
	dir := filepath.Join(b.dir, claimedDir, marker)
	if err := b.disk.makeDir(dir); err != nil {
		return err
	}
	if err := b.store.setMarks(ctx, map[string]int64{b.name(): last}); err != nil {
		return errors.Join(err, b.disk.Remove(dir))
	}
	b.last = last
	if err := b.disk.Rename(file, filepath.Join(dir, c.key)); err != nil {
		return errors.Join(err, b.disk.Remove(dir))
	}
	c.marker = marker
	return errors.Join(b.disk.syncDir(dir), b.disk.syncDir(filepath.Dir(file)))
}

// syncContent makes a file's content durable. One that can't be read is left to who
// works on it.
func (d disk) syncContent(file string) error {
	if err := d.syncFile(file); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// start gives claims to the task, the oldest first and those of one name one
// after the other. A claim that has failed lets later ones pass.
func (b *bucket) start(ctx context.Context, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.claims {
		if b.running[c.key] || now.Before(c.notBefore) {
			continue
		}
		select {
		case b.room <- struct{}{}:
		default:
			return
		}
		c.running, b.running[c.key] = true, true
		b.workers.Go(func() {
			err := engine.Guarded("claimed file "+c.key, func() error { return b.process(ctx, c) })
			b.finish(ctx, c, err)
		})
	}
}

// errChanging says that somebody writes a claimed file.
var errChanging = errors.New("somebody writes the file")

// process has the task work on a claim. When it is done, so is the claim. A file that
// was changed since it was claimed is another upload, whole again: what lies in
// done is what was imported. One that somebody has removed is the task's to answer
// for, too: it finds it gone.
func (b *bucket) process(ctx context.Context, c *claim) error {
	file := filepath.Join(b.dir, claimedDir, c.marker, c.key)
	if _, err := b.unchanged(ctx, c, file); err != nil {
		return err
	}
	if err := b.handle(ctx, b.object(c, file)); err != nil {
		return err
	}
	gone, err := b.unchanged(ctx, c, file)
	if err != nil {
		return err
	}
	if gone {
		b.log.ErrorContext(ctx, "a claimed file was removed before it was done", "file", file)
	} else if err := b.moveToDone(file, c.key); err != nil {
		return err
	}
	if err := b.disk.Remove(filepath.Dir(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unchanged says whether a claimed file is gone. Where it has changed it becomes
// another claim, and errChanging says that it is to be worked on again, when it is
// still.
func (b *bucket) unchanged(ctx context.Context, c *claim, file string) (gone bool, err error) {
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	}
	if writing, _ := beingWritten(file); writing {
		return false, errChanging
	}
	if sameContent(info, c.info) {
		return false, nil
	}
	b.log.WarnContext(ctx, "a claimed file has changed: it is imported again, whole", "file", c.key)
	old := filepath.Dir(file)
	c.info = info
	if err := b.claim(ctx, c, file, time.Now()); err != nil {
		return false, err
	}
	return false, errors.Join(b.disk.Remove(old), errChanging)
}

func (b *bucket) finish(ctx context.Context, c *claim, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.running = false
	delete(b.running, c.key)
	switch {
	case errors.Is(err, errChanging):
		c.notBefore = time.Now().Add(settleTime)
	case err == nil:
		b.problems.set(b.component()+"/"+c.key, nil)
		b.claims = slices.DeleteFunc(b.claims, func(x *claim) bool { return x == c })
	case !errors.Is(err, es.ErrUnfinished) && ctx.Err() == nil:
		c.notBefore = time.Now().Add(retryAfter(c.attempts))
		c.attempts++
		b.problems.set(b.component()+"/"+c.key, fmt.Errorf("the task %s.%s failed, and is called again: %w", b.plugin, b.task.Name, err))
	}
	<-b.room
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// object is a claimed file as a task sees it: as many bytes as it had when it was
// claimed.
func (b *bucket) object(c *claim, file string) es.Object {
	return es.Object{
		Key: c.key, ETag: fmt.Sprintf("%x-%s", c.info.Size(), c.marker), Upload: c.marker, Size: c.info.Size(),
		Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := openObject(file, c.key)
			switch {
			case errors.Is(err, es.ErrObjectGone):
				return nil, err
			case err != nil:
				return nil, c.unreadable(err)
			}
			return f.from(offset, c.info.Size(), func(now fs.FileInfo) bool { return sameContent(now, c.info) })
		},
		WriteReport: func(_ context.Context, write func(io.Writer) error) error {
			return b.disk.writeFile(b.report(c.key), write)
		},
	}
}

// objectFile is an object's file.
type objectFile struct {
	*os.File
	key string
}

// openObject opens an object's file. It returns [es.ErrObjectGone] if there is none.
func openObject(file, key string) (objectFile, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("open %s: %w", key, es.ErrObjectGone)
	}
	return objectFile{f, key}, err
}

// from returns the file from offset on, up to the size that the object had, if it is still
// the same; otherwise [es.ErrObjectGone].
func (f objectFile) from(offset, size int64, same func(now fs.FileInfo) bool) (io.ReadCloser, error) {
	now, err := f.Stat()
	if err == nil && !same(now) {
		err = fmt.Errorf("open %s: it has changed: %w", f.key, es.ErrObjectGone)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return limited{io.LimitReader(f, size-offset), f}, nil
}

// limited is the beginning of a file.
type limited struct {
	io.Reader
	io.Closer
}

// unreadable is the error of a file that can't be opened: worth another try, for a
// while.
func (c *claim) unreadable(err error) error {
	if c.failing.IsZero() {
		c.failing = time.Now()
	}
	if time.Since(c.failing) < unreadableFor {
		return err
	}
	var why *fs.PathError
	if errors.As(err, &why) {
		err = why.Err
	}
	return fmt.Errorf("%w: %w; see who may read it, and put it into the folder again", es.ErrUnreadable, err)
}

// moveToDone moves a file to the folder done, beside earlier ones of its name.
func (b *bucket) moveToDone(file, name string) error {
	to := filepath.Join(b.dir, doneDir, name)
	if err := b.disk.makeDir(filepath.Dir(to)); err != nil {
		return err
	}
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		to = filepath.Join(b.dir, doneDir, numbered(name, n))
	}
	if err := b.disk.Rename(file, to); err != nil {
		return err
	}
	return errors.Join(b.disk.syncDir(filepath.Dir(to)), b.disk.syncDir(filepath.Dir(file)))
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
