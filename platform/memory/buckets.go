package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// place is where an object lies.
type place struct{ bucket, key string }

// PutObject puts an object into a bucket, as somebody outside does. What it sets off happens when
// [Platform.Settle] is called.
func (p *Platform) PutObject(_ context.Context, bucket, key string, content []byte) error {
	p.mu.Lock()
	if p.objects == nil {
		p.objects = map[place][]byte{}
	}
	p.objects[place{bucket, key}] = content
	p.changes++
	upload := fmt.Sprintf("%020d", p.changes)
	p.mu.Unlock()
	p.post(0, func(ctx context.Context, e *engine.Engine) error {
		return eachWatching(e, bucket, func(plugin string, t es.Task, b es.Bucket) error {
			o := es.Object{Key: key, ETag: upload, Upload: upload, Size: int64(len(content))}
			o.Open = func(_ context.Context, offset int64) (io.ReadCloser, error) {
				p.mu.Lock()
				defer p.mu.Unlock()
				if now, ok := p.objects[place{bucket, key}]; !ok || !bytes.Equal(now, content) {
					return nil, es.ErrObjectGone
				}
				return io.NopCloser(bytes.NewReader(content[offset:])), nil
			}
			return e.OnCreated(ctx, plugin, t, b, o, func() bool { return false })
		})
	})
	return nil
}

// RemoveObject takes an object out of a bucket.
func (p *Platform) RemoveObject(_ context.Context, bucket, key string) error {
	p.mu.Lock()
	delete(p.objects, place{bucket, key})
	p.changes++
	upload := fmt.Sprintf("%020d", p.changes)
	p.mu.Unlock()
	p.post(0, func(ctx context.Context, e *engine.Engine) error {
		return eachWatching(e, bucket, func(plugin string, t es.Task, b es.Bucket) error {
			return e.OnRemoved(ctx, plugin, t, b, es.Removed{Key: key, Upload: upload}, func() bool { return false })
		})
	})
	return nil
}

// eachWatching calls do for the tasks that watch a bucket.
func eachWatching(e *engine.Engine, bucket string, do func(plugin string, t es.Task, b es.Bucket) error) error {
	for _, p := range e.Plugins {
		for _, t := range p.Tasks {
			for _, b := range t.Buckets {
				if b.Name == bucket && b.Watched() {
					return do(p.Name, t, b)
				}
			}
		}
	}
	return nil
}

// WriteObject implements [engine.Buckets].
func (p *Platform) WriteObject(ctx context.Context, bucket, key string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return p.PutObject(ctx, bucket, key, b.Bytes())
}

// ReadObject implements [engine.Buckets].
func (p *Platform) ReadObject(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	content, ok := p.objects[place{bucket, key}]
	if !ok {
		return nil, es.ErrObjectGone
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// WriteReport implements [engine.Buckets]: it is an object of the bucket [es.Reports].
func (p *Platform) WriteReport(ctx context.Context, task, key string, write func(io.Writer) error) error {
	return p.WriteObject(ctx, es.Reports, task+"/"+key, write)
}
