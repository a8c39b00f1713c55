package estest

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"

	"onlineshop/es"
)

// Object is a file in memory that a task is called for.
type Object struct {
	es.Object
	report bytes.Buffer
	opened []int64
}

// NewObject is an upload of a file under that key. upload orders the uploads of
// one key: a later one compares greater. The ETag is made from the content.
func NewObject(key, upload, content string) *Object {
	o := &Object{Object: es.Object{
		Key: key, ETag: fmt.Sprintf("%x", md5.Sum([]byte(content))), Upload: upload, Size: int64(len(content)),
	}}
	o.Open = func(_ context.Context, offset int64) (io.ReadCloser, error) {
		if offset >= o.Size {
			return nil, fmt.Errorf("open %q at byte %d: it has %d", key, offset, o.Size) // as S3 answers 416
		}
		o.opened = append(o.opened, offset)
		return io.NopCloser(bytes.NewReader([]byte(content)[offset:])), nil
	}
	o.WriteReport = func(_ context.Context, write func(io.Writer) error) error {
		var b bytes.Buffer
		err := write(&b)
		if err == nil {
			o.report = b
		}
		return err
	}
	return o
}

// Gone is the same upload after its content was removed.
func (o *Object) Gone() *Object {
	gone := &Object{Object: o.Object}
	gone.Open = func(context.Context, int64) (io.ReadCloser, error) { return nil, es.ErrObjectGone }
	return gone
}

// Report is the report that was written for the object; empty where none was.
func (o *Object) Report() string { return o.report.String() }

// Opened is the offsets that the object was opened at, in order.
func (o *Object) Opened() []int64 { return o.opened }
