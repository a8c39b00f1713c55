package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// Buckets holds the objects that tasks read and write. Safe for concurrent use.
type Buckets interface {
	// WriteObject puts an object into a bucket. Who reads it meanwhile sees the earlier one
	// or the new one, whole.
	WriteObject(ctx context.Context, bucket, key string, write func(io.Writer) error) error
	// ReadObject opens an object. It returns [es.ErrObjectGone] if there is none.
	ReadObject(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	// WriteReport keeps a report of a task, which has that full name, for [Reports].
	WriteReport(ctx context.Context, task, key string, write func(io.Writer) error) error
}

var bucketName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// checkBuckets finds buckets that can't be made, or whose changes two tasks want.
func checkBuckets(plugins []es.Plugin) error {
	type use struct{ plugin, task string }
	owners, intakes, watchers := map[string]string{}, map[string]use{}, map[string]use{}
	for _, p := range plugins {
		for _, t := range p.Tasks {
			if t.Bucket != "" {
				intakes[t.Bucket] = use{p.Name, t.Name}
			}
		}
	}
	var errs []error
	for _, p := range plugins {
		for _, t := range p.Tasks {
			full := naming.Full(p.Name, t.Name)
			for _, b := range t.Buckets {
				if !bucketName.MatchString(b.Name) || b.Name == es.Reports || len(b.Name) > 40 {
					errs = append(errs, fmt.Errorf("task %s: %q can't be a bucket's name: write it as in price-lists", full, b.Name))
				}
				if u, taken := intakes[b.Name]; taken {
					errs = append(errs, fmt.Errorf("task %s: the bucket %s takes in files for %s", full, b.Name, naming.Full(u.plugin, u.task)))
				}
				if owner, known := owners[b.Name]; known && owner != p.Name {
					errs = append(errs, fmt.Errorf("task %s: the bucket %s is plugin %s's", full, b.Name, owner))
				}
				owners[b.Name] = p.Name
				if u, known := watchers[b.Name]; known && b.Watched() {
					errs = append(errs, fmt.Errorf("task %s: what changes in the bucket %s sets off %s already", full, b.Name, naming.Full(u.plugin, u.task)))
				}
				if b.Watched() {
					watchers[b.Name] = use{p.Name, t.Name}
				}
			}
		}
	}
	return errors.Join(errs...)
}

// ErrBucketRight is the error of a task that does with a bucket what it has not declared.
var ErrBucketRight = errors.New("the task's Buckets don't say so")

// ValidObjectKey reports whether a task may give an object that key: on one machine it is
// a file's name.
func ValidObjectKey(key string) bool {
	return key != "" && len(key) <= 200 && utf8.ValidString(key) && !strings.ContainsAny(key, "/\\\x00") && key[0] != '.'
}

// right returns an error unless the task may do that with a bucket.
func (s shop) right(verb, bucket, key string, may func(es.Bucket) bool) error {
	if !ValidObjectKey(key) {
		return fmt.Errorf("task %s: %q can't be an object's key: it has up to 200 bytes, no slashes, and does not begin with a dot", s.task, key)
	}
	if s.Buckets == nil {
		return fmt.Errorf("task %s: %s %s of the bucket %s: this platform has no buckets", s.task, verb, key, bucket)
	}
	for _, b := range s.buckets {
		if b.Name == bucket && may(b) {
			return nil
		}
	}
	return fmt.Errorf("task %s: %s %s of the bucket %s: %w", s.task, verb, key, bucket, ErrBucketRight)
}

// Write implements [es.Shop]. A check writes nothing.
func (s shop) Write(ctx context.Context, bucket, key string, write func(io.Writer) error) error {
	err := s.right("write", bucket, key, func(b es.Bucket) bool { return b.Write })
	switch {
	case err != nil:
		return err
	case s.rehearsal != nil:
		return write(io.Discard)
	case bucket == es.Reports:
		err = s.Buckets.WriteReport(ctx, s.task, key, write)
	default:
		err = s.Buckets.WriteObject(ctx, bucket, key, write)
	}
	if err != nil {
		return fmt.Errorf("task %s: write %s to the bucket %s: %w", s.task, key, bucket, err)
	}
	return nil
}

// Read implements [es.Shop].
func (s shop) Read(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	if err := s.right("read", bucket, key, es.Bucket.Reads); err != nil {
		return nil, err
	}
	r, err := s.Buckets.ReadObject(ctx, bucket, key)
	if err != nil {
		return nil, fmt.Errorf("task %s: read %s of the bucket %s: %w", s.task, key, bucket, err)
	}
	return r, nil
}

// OnCreated runs a plugin's task for an object of one of its watched buckets, as [Engine.OnObject]
// does.
func (e *Engine) OnCreated(ctx context.Context, plugin string, t es.Task, b es.Bucket, o es.Object, stopping func() bool) error {
	if b.OnCreated == nil {
		return nil
	}
	return e.runTask(ctx, plugin, t, o.Key, stopping, func(ctx context.Context, s es.Shop) error { return b.OnCreated(ctx, o, s) })
}

// OnRemoved runs a plugin's task for an object that was removed from one of its watched
// buckets. If it returns an error, call it again, as after [Engine.OnObject].
func (e *Engine) OnRemoved(ctx context.Context, plugin string, t es.Task, b es.Bucket, r es.Removed, stopping func() bool) error {
	if b.OnRemoved == nil {
		return nil
	}
	return e.runTask(ctx, plugin, t, r.Key, stopping, func(ctx context.Context, s es.Shop) error { return b.OnRemoved(ctx, r, s) })
}
