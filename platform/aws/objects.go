package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// shelf is the bucket of S3 of a declared one.
func (p *Platform) shelf(name string) (string, error) {
	bucket := p.Wiring.Shelves[name]
	if bucket == "" {
		return "", fmt.Errorf("the bucket %s is not wired to this function", name)
	}
	return bucket, nil
}

// WriteObject implements [engine.Buckets].
func (p *Platform) WriteObject(ctx context.Context, bucket, key string, write func(io.Writer) error) error {
	physical, err := p.shelf(bucket)
	if err != nil {
		return err
	}
	return p.files.put(ctx, physical, key, "application/octet-stream", write)
}

// ReadObject implements [engine.Buckets].
func (p *Platform) ReadObject(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	physical, err := p.shelf(bucket)
	if err != nil {
		return nil, err
	}
	out, err := p.files.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &physical, Key: &key})
	switch {
	case status(err) == http.StatusNotFound:
		return nil, es.ErrObjectGone
	case err != nil:
		return nil, failure(err)
	}
	return out.Body, nil
}

// objectEvent is what S3 tells by EventBridge: of buckets whose objects stay, since a rule
// of its own lets their names be known to the function before it is called.
type objectEvent struct {
	Source string    `json:"source"`      // "aws.s3"
	Type   string    `json:"detail-type"` // "Object Created", "Object Deleted"
	Time   time.Time `json:"time"`
	Detail struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // as it is: not URL-encoded
			Size      int64  `json:"size"`
			ETag      string `json:"etag"`
			Sequencer string `json:"sequencer"`
		} `json:"object"`
	} `json:"detail"`
	GoesOn bool `json:"goesOn,omitempty"` // as of [uploads]
}

// readObjectEvent returns nil if the payload is something else.
func readObjectEvent(payload []byte) *objectEvent {
	var e objectEvent
	if err := json.Unmarshal(payload, &e); err != nil || e.Source != wiring.ObjectSource {
		return nil
	}
	return &e
}

// objectChanged tells the task of an object that was put into a bucket, or removed. It has
// the function called again for what is left.
func (p *Platform) objectChanged(ctx context.Context, plugin string, t es.Task, e *objectEvent) error {
	i := slices.IndexFunc(t.Buckets, func(b es.Bucket) bool { return p.Wiring.Shelves[b.Name] == e.Detail.Bucket.Name })
	if i < 0 {
		return fmt.Errorf("task %s.%s has no bucket %s", plugin, t.Name, e.Detail.Bucket.Name)
	}
	deadline, _ := ctx.Deadline()
	stop, advanced := deadlineGuard(time.Now, deadline), false
	stopping := func() bool {
		advanced = true // a checkpoint lies behind
		return stop()
	}
	if e.GoesOn && p.paced(ctx, plugin, stop)() {
		return p.invokeSelf(ctx, e)
	}
	stopping = p.paced(ctx, plugin, stopping)
	b, x := t.Buckets[i], e.Detail.Object
	p.log.InfoContext(ctx, "task is told of an object", "task", naming.Full(plugin, t.Name), "bucket", b.Name, "key", x.Key, "what", e.Type)
	var err error
	if e.Type == wiring.ObjectDeleted {
		err = p.engine.OnRemoved(ctx, plugin, t, b, es.Removed{Key: x.Key, Upload: uploadOf(x.Sequencer)}, stopping)
	} else {
		o := es.Object{Key: x.Key, ETag: x.ETag, Upload: uploadOf(x.Sequencer), Size: x.Size}
		o.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
			return p.files.open(ctx, e.Detail.Bucket.Name, o, offset)
		}
		err = p.engine.OnCreated(ctx, plugin, t, b, o, stopping)
	}
	switch {
	case errors.Is(err, es.ErrUnfinished), errors.Is(err, engine.ErrUnavailable) && advanced:
		p.log.InfoContext(ctx, "task goes on in another run of the function", "task", naming.Full(plugin, t.Name), "key", x.Key, "because", err)
		e.GoesOn = true
		return p.invokeSelf(ctx, e)
	case err != nil:
		p.log.ErrorContext(ctx, "task failed; it is called again", "task", naming.Full(plugin, t.Name), "key", x.Key, "error", err)
		return fmt.Errorf("task %s.%s on %q: %w", plugin, t.Name, x.Key, err)
	}
	return nil
}
