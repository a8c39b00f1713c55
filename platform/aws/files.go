package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/document"
)

// files are S3's buckets.
type files struct{ s3 *s3.Client }

func newFiles(c awssdk.Config) *files {
	return &files{s3.NewFromConfig(c, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // an emulator's name has no subdomains
	})}
}

// status is the HTTP status that a service refused a request with; 0: none.
func status(err error) int {
	var refused *awshttp.ResponseError
	if errors.As(err, &refused) {
		return refused.HTTPStatusCode()
	}
	return 0
}

// rangeBytes is how much of an object is read at a time. A part that does not
// arrive whole is read again, so an import of a quarter of an hour depends on no
// single connection.
const rangeBytes = 4 << 20

// content reads an object from a byte on, pinned to its ETag.
type content struct {
	ctx    context.Context // Open's: a reader has none of its own
	files  *files
	bucket string
	object es.Object
	next   int64 // where the part that is to be read next begins
	part   bytes.Reader
}

// open implements [es.Object].Open. It reads the first part, so that an object
// that is gone is found missing now.
func (f *files) open(ctx context.Context, bucket string, o es.Object, offset int64) (io.ReadCloser, error) {
	c := &content{ctx: ctx, files: f, bucket: bucket, object: o, next: offset}
	if err := c.fetch(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return c, nil
}

// Read implements [io.Reader].
func (c *content) Read(b []byte) (int, error) {
	if c.part.Len() == 0 {
		if err := c.fetch(); err != nil {
			return 0, err
		}
	}
	return c.part.Read(b)
}

// Close implements [io.Closer].
func (c *content) Close() error { return nil }

func (c *content) fetch() error {
	if c.next >= c.object.Size {
		return io.EOF
	}
	const attempts = 4
	for i := 0; ; i++ {
		b, err := c.read()
		if err == nil {
			c.next += int64(len(b))
			c.part.Reset(b)
			return nil
		}
		if i == attempts-1 || !errors.Is(err, engine.ErrUnavailable) {
			return fmt.Errorf("read %q from byte %d on: %w", c.object.Key, c.next, err)
		}
		if err := (clock.Clock{}).Sleep(c.ctx, 200*time.Millisecond<<i); err != nil {
			return err
		}
	}
}

func (c *content) read() ([]byte, error) {
	last := min(c.next+rangeBytes, c.object.Size) - 1
	out, err := c.files.s3.GetObject(c.ctx, &s3.GetObjectInput{
		Bucket: &c.bucket, Key: &c.object.Key, IfMatch: awssdk.String(`"` + c.object.ETag + `"`),
		Range: awssdk.String(fmt.Sprintf("bytes=%d-%d", c.next, last)),
	})
	switch s := status(err); {
	case s == http.StatusNotFound, s == http.StatusPreconditionFailed:
		return nil, fmt.Errorf("%w: %w", es.ErrObjectGone, err)
	case err != nil:
		return nil, failure(err)
	}
	defer out.Body.Close()
	b := make([]byte, last-c.next+1)
	if _, err := io.ReadFull(out.Body, b); err != nil {
		return nil, fmt.Errorf("%w: it did not arrive whole: %w", engine.ErrUnavailable, err)
	}
	return b, nil
}

// charset is how the uploader says that the object's text is encoded; empty: nobody
// says, or the object is gone.
func (f *files) charset(ctx context.Context, bucket string, o es.Object) (string, error) {
	out, err := f.s3.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &o.Key, IfMatch: awssdk.String(`"` + o.ETag + `"`)})
	switch s := status(err); {
	case s == http.StatusNotFound, s == http.StatusPreconditionFailed, s == http.StatusForbidden:
		return "", nil // which opening it tells
	case err != nil:
		return "", failure(err)
	}
	_, params, err := mime.ParseMediaType(awssdk.ToString(out.ContentType))
	if err != nil {
		return "", nil //nolint:nilerr // a content type that is none says nothing of the text
	}
	return params["charset"], nil
}

func reportKey(task, key string) string {
	return wiring.ReportPrefix + task + "/" + document.Name(key, ".csv")
}

// writeReport implements [es.Object].WriteReport. The report waits on disk until
// it is whole, since S3 takes an object of known length.
func (p *Platform) writeReport(ctx context.Context, task, key string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp("", "report-*.csv")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := write(f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = p.files.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &p.Wiring.Reports, Key: awssdk.String(reportKey(task, key)), Body: f, ContentType: awssdk.String("text/csv; charset=utf-8"),
	})
	return failure(err)
}

// A report that Lambda's answer (6 MB, and more in JSON than in CSV) may be too
// small for is fetched from S3, by an address that holds for linkFor.
const (
	maxReport = 3 << 20
	linkFor   = 5 * time.Minute
)

// Report implements [engine.Reports].
func (p *Platform) Report(ctx context.Context, task, key string) (engine.Report, error) {
	in := &s3.GetObjectInput{Bucket: &p.Wiring.Reports, Key: awssdk.String(reportKey(task, key))}
	out, err := p.files.s3.GetObject(ctx, in)
	switch {
	case status(err) == http.StatusNotFound:
		return engine.Report{}, engine.ErrNotFound.Because("%s has no report on %q", task, key)
	case err != nil:
		return engine.Report{}, fmt.Errorf("read the report of %s on %q: %w", task, key, failure(err))
	case awssdk.ToInt64(out.ContentLength) <= maxReport:
		return engine.Report{Body: out.Body}, nil
	}
	_ = out.Body.Close() // only its length was asked for
	link, err := s3.NewPresignClient(p.files.s3, s3.WithPresignExpires(linkFor)).PresignGetObject(ctx, in)
	if err != nil {
		return engine.Report{}, fmt.Errorf("address of the report of %s on %q: %w", task, key, err)
	}
	return engine.Report{URL: link.URL}, nil
}

// Mailer sends e-mails by SES, or, without a sender's address, keeps them in the
// bucket of reports.
type Mailer struct {
	from   string
	ses    *sesv2.Client // nil: kept
	files  *files
	bucket string
}

// NewMailer returns a mailer that sends as from. If that is empty, it keeps what it is
// given, as from placeholder.
func NewMailer(c awssdk.Config, w wiring.Wiring, from, placeholder string) *Mailer {
	if from == "" {
		return &Mailer{from: placeholder, files: newFiles(c), bucket: w.Reports}
	}
	return &Mailer{from: from, ses: sesv2.NewFromConfig(c)}
}

// Send sends a message in plain text. One that is kept is named by its id, so
// that a repeat is no second message.
func (m *Mailer) Send(ctx context.Context, messageID, to, subject, body string) error {
	deliver := m.keep
	if m.ses != nil {
		deliver = m.send
	}
	if err := deliver(ctx, messageID, to, subject, body); err != nil {
		return fmt.Errorf("send e-mail %s: %w", messageID, err)
	}
	return nil
}

// send has the message's id in a header of its own: SES writes the Message-ID.
func (m *Mailer) send(ctx context.Context, messageID, to, subject, body string) error {
	content := func(s string) *types.Content { return &types.Content{Data: &s, Charset: awssdk.String("UTF-8")} }
	_, err := m.ses.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &m.from, Destination: &types.Destination{ToAddresses: []string{to}},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(subject), Body: &types.Body{Text: content(body)},
			Headers: []types.MessageHeader{{Name: awssdk.String("X-Shop-Message-Id"), Value: &messageID}},
		}},
	})
	if err != nil && strings.Contains(err.Error(), to) { // as in SES' sandbox
		return errors.New(strings.ReplaceAll(err.Error(), to, "the recipient"))
	}
	return err
}

func (m *Mailer) keep(ctx context.Context, messageID, to, subject, body string) error {
	b, err := document.Email(m.from, to, messageID, subject, body)
	if err != nil {
		return err
	}
	_, err = m.files.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &m.bucket, Key: awssdk.String(wiring.EmailPrefix + document.Name(messageID, ".eml")),
		Body: bytes.NewReader(b), ContentType: awssdk.String("message/rfc822"),
	})
	return err
}
