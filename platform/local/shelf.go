package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// shelf is the folder of a bucket whose objects stay, watched for a task. What the task was
// told of is kept beside the objects, in .known: so it hears of what has come, changed or
// gone while nobody watched, too.
type shelf struct {
	dir      string
	disk     disk
	plugin   string
	task     es.Task
	bucket   es.Bucket
	engine   *engine.Engine
	store    *store
	stopping func() bool
	log      *slog.Logger
	problems *problems

	known   map[string]*known    // by key
	growing map[string]growth    // what is new, or changed
	missing map[string]time.Time // since when what is known is not there
	tries   map[string]int       // calls that failed, by key
	later   map[string]time.Time // when a key that failed is tried again
	last    int64                // time of the latest marker, as that of [bucket]
}

// known is what was seen of an object.
type known struct {
	Marker string    `json:"marker"` // of its upload
	Hash   string    `json:"hash"`   // of its content, which tells it from another; a copy of the folder has other times
	Size   int64     `json:"size"`
	Time   time.Time `json:"time"`
	Done   bool      `json:"done"` // the task was told, and is done with it
}

const knownDir = ".known"

// openShelves makes the folders of buckets whose objects stay.
func (p *Platform) openShelves(ctx context.Context) error {
	for _, x := range p.Plugins {
		for _, t := range x.Tasks {
			for _, b := range t.Buckets {
				s := &shelf{
					dir: bucketDir(p.Dir, b.Name), disk: disk{p.disk}, plugin: x.Name, task: t, bucket: b, engine: p.engine, store: p.store, stopping: p.stopping, log: p.log, problems: &p.problems,
					known: map[string]*known{}, growing: map[string]growth{}, missing: map[string]time.Time{}, tries: map[string]int{}, later: map[string]time.Time{},
				}
				if err := s.open(ctx); err != nil {
					return fmt.Errorf("open the folder of the bucket %s: %w", b.Name, err)
				}
				if b.Watched() {
					p.shelves = append(p.shelves, s)
				}
			}
		}
	}
	return nil
}

func (s *shelf) mark() string      { return "bucket:" + s.bucket.Name }
func (s *shelf) component() string { return "folder " + filepath.Join("buckets", s.bucket.Name) }

func (s *shelf) open(ctx context.Context) (err error) {
	if err := s.disk.makeDir(s.dir); err != nil || !s.bucket.Watched() {
		return err
	}
	if err := s.disk.makeDir(filepath.Join(s.dir, knownDir)); err != nil {
		return err
	}
	if s.last, err = s.store.mark(ctx, s.mark()); err != nil {
		return err
	}
	files, err := os.ReadDir(filepath.Join(s.dir, knownDir))
	if err != nil {
		return err
	}
	for _, f := range files {
		if isUnfinished(f.Name()) {
			continue // left by a crash
		}
		var k known
		text, err := os.ReadFile(filepath.Join(s.dir, knownDir, f.Name()))
		if err == nil {
			err = json.Unmarshal(text, &k)
		}
		if err != nil {
			return fmt.Errorf("what is known of %s: %w", f.Name(), err)
		}
		s.known[f.Name()] = &k
	}
	return nil
}

// run watches the folder until it is stopped.
func (s *shelf) run(ctx context.Context, stop <-chan struct{}) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		if err := engine.Guarded(s.component(), func() error { return s.look(ctx, time.Now()) }); ctx.Err() == nil {
			s.problems.set(s.component(), err)
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return
		case <-stop:
			return
		}
	}
}

// look tells the task of what has come, changed or gone. Its error is why it could not.
func (s *shelf) look(ctx context.Context, now time.Time) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it is gone: make %s again, or mount what it is on", s.dir)
	}
	if err != nil {
		return err
	}
	there := map[string]bool{}
	var errs []error
	for _, e := range entries {
		key := e.Name()
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || isUnfinished(key) || !engine.ValidObjectKey(key) {
			continue
		}
		there[key] = true
		delete(s.missing, key)
		if !s.stopping() && !now.Before(s.later[key]) {
			errs = append(errs, s.tried(key, now, s.created(ctx, key, info, now)))
		}
	}
	for key, k := range s.known {
		since, missing := s.missing[key]
		switch {
		case there[key]:
		case !missing:
			s.missing[key] = now // another program may be about to put it back
		case now.Sub(since) >= settleTime && !s.stopping() && !now.Before(s.later[key]):
			errs = append(errs, s.tried(key, now, s.removed(ctx, key, k)))
		}
	}
	for key := range s.growing {
		if !there[key] {
			delete(s.growing, key)
		}
	}
	return errors.Join(errs...)
}

// tried plans the next call of a task for an object, if this one failed.
func (s *shelf) tried(key string, now time.Time, err error) error {
	if err == nil || errors.Is(err, es.ErrUnfinished) {
		delete(s.tries, key)
		delete(s.later, key)
		return nil
	}
	s.later[key] = now.Add(retryAfter(s.tries[key]))
	s.tries[key]++
	return fmt.Errorf("the task %s failed on %s, and is called again: %w", naming.Full(s.plugin, s.task.Name), key, err)
}

// created tells the task of an object that is there, if it is new, has changed, or was not
// done.
func (s *shelf) created(ctx context.Context, key string, info fs.FileInfo, now time.Time) error {
	k := s.known[key]
	if k == nil || k.Size != info.Size() || !k.Time.Equal(info.ModTime()) {
		g, growing := s.growing[key]
		if !growing || g.size != info.Size() || !g.mtime.Equal(info.ModTime()) {
			g = growth{info.Size(), info.ModTime(), now}
			s.growing[key] = g
		}
		if !still(s.dir, info, now.Sub(g.since)) {
			return nil
		}
		var err error
		if k, err = s.learn(ctx, key, info, now); err != nil {
			return err
		}
		delete(s.growing, key)
	}
	if k.Done {
		return nil
	}
	if err := s.engine.OnCreated(s.asTask(ctx), s.plugin, s.task, s.bucket, s.object(key, k), s.stopping); err != nil {
		return err
	}
	done := *k
	done.Done = true
	return s.keep(key, &done)
}

// learn keeps what an object is now: another upload, unless its content is what it was.
func (s *shelf) learn(ctx context.Context, key string, info fs.FileInfo, now time.Time) (*known, error) {
	file := filepath.Join(s.dir, key)
	if err := s.disk.syncContent(file); err != nil {
		return nil, err
	}
	hash, err := hashOf(file)
	if err != nil {
		return nil, err
	}
	k := &known{Hash: hash, Size: info.Size(), Time: info.ModTime()}
	if was := s.known[key]; was != nil && was.Hash == hash {
		k.Marker, k.Done = was.Marker, was.Done
	} else {
		s.last = max(now.UnixNano(), s.last+1)
		if err := s.store.setMarks(ctx, map[string]int64{s.mark(): s.last}); err != nil {
			return nil, err
		}
		k.Marker = fmt.Sprintf("%020d", s.last)
	}
	return k, s.keep(key, k)
}

func hashOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s *shelf) keep(key string, k *known) error {
	err := s.disk.writeFile(filepath.Join(s.dir, knownDir, key), func(w io.Writer) error { return json.NewEncoder(w).Encode(k) })
	if err == nil {
		s.known[key] = k
	}
	return err
}

// removed tells the task of an object that is not there any more.
func (s *shelf) removed(ctx context.Context, key string, k *known) error {
	r := es.Removed{Key: key, Upload: k.Marker + "-removed"} // after this upload, before the next
	if err := s.engine.OnRemoved(s.asTask(ctx), s.plugin, s.task, s.bucket, r, s.stopping); err != nil {
		return err
	}
	if err := s.disk.Remove(filepath.Join(s.dir, knownDir, key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	delete(s.known, key)
	delete(s.missing, key)
	return s.disk.syncDir(filepath.Join(s.dir, knownDir))
}

func (s *shelf) asTask(ctx context.Context) context.Context {
	return context.WithValue(ctx, taskKey{}, true)
}

// object is a file as the task sees it.
func (s *shelf) object(key string, k *known) es.Object {
	return es.Object{
		Key: key, ETag: k.Hash, Upload: k.Marker, Size: k.Size,
		Open: func(_ context.Context, offset int64) (io.ReadCloser, error) {
			f, err := openObject(filepath.Join(s.dir, key), key)
			if err != nil {
				return nil, err
			}
			return f.from(offset, k.Size, func(now fs.FileInfo) bool { return now.Size() == k.Size && now.ModTime().Equal(k.Time) })
		},
	}
}
