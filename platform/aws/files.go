package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"golang.org/x/sync/errgroup"

	"onlineshop/es"
	"onlineshop/es/email"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
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

// WriteReport implements [engine.Buckets], and [es.Object].WriteReport.
func (p *Platform) WriteReport(ctx context.Context, task, key string, write func(io.Writer) error) error {
	return p.files.put(ctx, p.Wiring.Reports, reportKey(task, key), "text/csv; charset=utf-8", write)
}

// put writes an object, which waits on disk until it is whole, since S3 takes one of known
// length.
func (f *files) put(ctx context.Context, bucket, key, contentType string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp("", "object-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if err := write(file); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = f.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: file, ContentType: &contentType})
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

// uploadFor is how long an address for an upload is good.
const uploadFor = 15 * time.Minute

// Upload implements [engine.Uploads]: objects are sent to the task's bucket by an address
// that is good for that object and size alone.
func (p *Platform) Upload(ctx context.Context, task, key string, size int64) (engine.Upload, error) {
	bucket := p.Wiring.Buckets[task]
	if bucket == "" {
		return engine.Upload{}, engine.ErrNotFound.Because("there is no task %s that takes objects", task)
	}
	expires := time.Now().Add(uploadFor)
	link, err := s3.NewPresignClient(p.files.s3, s3.WithPresignExpires(uploadFor)).PresignPutObject(ctx,
		&s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentLength: &size})
	if err != nil {
		return engine.Upload{}, fmt.Errorf("address of an upload for %s: %w", task, err)
	}
	return engine.Upload{Method: link.Method, URL: link.URL, Header: map[string]string{}, Expires: expires}, nil
}

// Origins are those of the addresses that [Platform.Upload] and [Platform.Report] give.
func (p *Platform) Origins(ctx context.Context) (origins []string, err error) {
	signer := s3.NewPresignClient(p.files.s3)
	for _, bucket := range append(slices.Sorted(maps.Values(p.Wiring.Buckets)), p.Wiring.Reports) {
		if bucket == "" {
			continue
		}
		link, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: awssdk.String("any")})
		if err != nil {
			return nil, fmt.Errorf("address of the bucket %s: %w", bucket, err)
		}
		u, err := url.Parse(link.URL)
		if err != nil {
			return nil, fmt.Errorf("address of the bucket %s: %w", bucket, err)
		}
		origins = append(origins, u.Scheme+"://"+u.Host)
	}
	return slices.Compact(origins), nil
}

// Receive implements [engine.Uploads]: nothing is sent to the API itself.
func (p *Platform) Receive(_ context.Context, task, key string, _ io.Reader) error {
	return engine.ErrNotFound.Because("%s of %s is to be sent to the address that its upload was given", key, task)
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
	m := &Mailer{from: placeholder, files: newFiles(c), bucket: w.Reports}
	if from != "" {
		m.from, m.ses = from, sesv2.NewFromConfig(c)
	}
	return m
}

// Send implements [email.Sender].
func (m *Mailer) Send(ctx context.Context, e email.Message) error {
	deliver := m.keep
	if m.ses != nil {
		deliver = m.send
	}
	if err := deliver(ctx, e); err != nil {
		return fmt.Errorf("send e-mail %s: %w", e.ID, err)
	}
	return nil
}

// send has the message's id in a header of its own: SES writes the Message-ID.
func (m *Mailer) send(ctx context.Context, e email.Message) error {
	content := func(s string) *types.Content { return &types.Content{Data: &s, Charset: awssdk.String("UTF-8")} }
	_, err := m.ses.SendEmail(ctx, &sesv2.SendEmailInput{
		FromEmailAddress: &m.from, Destination: &types.Destination{ToAddresses: []string{e.To}},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(e.Subject), Body: &types.Body{Text: content(e.Text)},
			Headers: []types.MessageHeader{{Name: awssdk.String("X-Shop-Message-Id"), Value: &e.ID}},
		}},
	})
	if err != nil && strings.Contains(err.Error(), e.To) { // as in SES' sandbox
		return errors.New(strings.ReplaceAll(err.Error(), e.To, "the recipient"))
	}
	return err
}

// keep puts the message's name below whom it is about before there is a message: one
// without would outlast their erasure.
func (m *Mailer) keep(ctx context.Context, e email.Message) error {
	about := engine.Subjects(ctx)
	b, err := document.Email(m.from, e, about...)
	if err != nil {
		return err
	}
	name := document.Name(e.ID, ".eml")
	for _, s := range about {
		if _, err := m.files.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &m.bucket, Key: awssdk.String(namesAbout(s) + name)}); err != nil {
			return fmt.Errorf("note that it is about %s: %w", s, err)
		}
	}
	_, err = m.files.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &m.bucket, Key: awssdk.String(wiring.EmailPrefix + name),
		Body: bytes.NewReader(b), ContentType: awssdk.String("message/rfc822"),
	})
	return err
}

// namesAbout is where the names of the messages about a stream's subject are: empty objects.
func namesAbout(s engine.Stream) string {
	return wiring.AboutPlugin(naming.Plugin(s.Aggregate)) + document.Name(s.String(), "/")
}

// Forget removes the kept messages that are about the stream's subject. Their names stay
// until the bucket's own rule removes them: one may be that of a message which is about to be
// kept, by who has read of the subject before, and looks for its name afterwards. Nothing
// personal is in a name.
func (m *Mailer) Forget(ctx context.Context, s engine.Stream) error {
	below := namesAbout(s)
	pages := s3.NewListObjectsV2Paginator(m.files.s3, &s3.ListObjectsV2Input{Bucket: &m.bucket, Prefix: &below})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list the e-mails about %s: %w", s, failure(err))
		}
		work, inner := errgroup.WithContext(ctx)
		work.SetLimit(parallel)
		for _, o := range page.Contents {
			work.Go(func() error {
				name := strings.TrimPrefix(*o.Key, below)
				if err := m.files.remove(inner, m.bucket, wiring.EmailPrefix+name); err != nil {
					return fmt.Errorf("remove the e-mail %s about %s: %w", name, s, err)
				}
				return nil
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// remove removes all that a bucket has of an object: where somebody has it keep versions,
// those, too. What is not there is removed.
func (f *files) remove(ctx context.Context, bucket, key string) error {
	var versions []*string
	pages := s3.NewListObjectVersionsPaginator(f.s3, &s3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return failure(err)
		}
		for _, v := range page.Versions {
			if *v.Key == key { // and not a longer one
				versions = append(versions, v.VersionId)
			}
		}
		for _, d := range page.DeleteMarkers {
			if *d.Key == key {
				versions = append(versions, d.VersionId)
			}
		}
	}
	for _, v := range versions {
		if _, err := f.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, VersionId: v}); err != nil {
			return failure(err)
		}
	}
	return nil
}
