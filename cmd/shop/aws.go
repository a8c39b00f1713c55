package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"onlineshop/httpapi"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/plugins"
)

// cloud is a shop on AWS. The program serves the shop's API to itself: it reads
// and writes the stack's tables with the credentials of whoever runs it, so that
// no token is needed, and has the plugins' functions do operations.
type cloud struct {
	base    *url.URL // of the API that everybody else uses
	api     http.Handler
	user    string // who the credentials are of
	objects *s3.Client
	bucket  string // that is imported from
}

// openCloud finds a stack by its name, or by the file of its outputs.
func openCloud(ctx context.Context, stack string, logger *slog.Logger) (*cloud, error) {
	config, err := aws.LoadConfig(ctx)
	if err != nil {
		return nil, err
	}
	found, err := deployed.Find(ctx, config, stack)
	if err != nil {
		return nil, err
	}
	all := plugins.All(plugins.NoDeps{})
	platform, err := aws.New(aws.Options{
		Config: config, Wiring: found.Wiring, Plugins: all, Version: programVersion(), ReadOnly: true, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{
		Title:  plugins.Title,
		Engine: platform.Engine(), Plugins: all, Version: programVersion(), Identity: httpapi.Local(),
		Operations: platform.Operations(), Health: platform.Health, Reports: platform, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	who, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("find out whose credentials these are: %w", err)
	}
	base, err := url.Parse(strings.TrimSuffix(found.Outputs[deployed.APIURL], "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("the stack's output %s is %q, no address", deployed.APIURL, found.Outputs[deployed.APIURL])
	}
	return &cloud{
		base: base, api: api, user: *who.Arn, bucket: cmp.Or(found.Outputs[deployed.Bucket("Catalog", "ImportProducts")], found.Outputs[deployed.ImportBucket]),
		objects: s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = config.BaseEndpoint != nil }),
	}, nil
}

// client is one that stays in this process.
func (c *cloud) client() *client {
	return &client{base: c.base.String(), http: &http.Client{Transport: c}}
}

// RoundTrip implements [http.RoundTripper].
func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.URL.Path = strings.TrimPrefix(in.URL.Path, c.base.Path)
	in.URL.RawPath = strings.TrimPrefix(in.URL.RawPath, c.base.EscapedPath())
	in.RequestURI = in.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.Header.Set("X-Local-User", c.user)
	in.Header.Set("X-Local-Groups", "Admin")
	w := &answerWriter{header: http.Header{}, status: http.StatusOK}
	c.api.ServeHTTP(w, in)
	return &http.Response{
		Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), StatusCode: w.status, Header: w.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) WriteHeader(status int)      { w.status = status }
func (w *answerWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

// beginTime is how long the import of an uploaded object may take to begin.
const beginTime = 2 * time.Minute

// handOver puts a file into the bucket that is imported from.
func (c *cloud) handOver(ctx context.Context, shop *client, file, encoding string) (u *upload, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	u = &upload{key: filepath.Base(file), size: info.Size()}
	run, err := u.run(ctx, shop)
	if err != nil {
		return nil, err
	}
	u.before = run.StartedAt
	in := &s3.PutObjectInput{Bucket: &c.bucket, Key: &u.key, Body: f, ContentType: awssdk.String("text/csv")}
	if encoding != "" {
		in.ContentType = awssdk.String("text/csv; charset=" + encoding)
	}
	if _, err := c.objects.PutObject(ctx, in); err != nil {
		return nil, fmt.Errorf("import %s: %w", file, err)
	}
	u.claimed = func(ctx context.Context) error {
		late := fmt.Errorf("the import of %s has not begun within %s of its upload: the log and the dead letters of the stack's import function tell why", u.key, beginTime)
		ctx, cancel := context.WithTimeoutCause(ctx, beginTime, late)
		defer cancel()
		return await(ctx, func() (bool, error) {
			run, err := u.run(ctx, shop)
			if errors.Is(err, context.DeadlineExceeded) {
				err = late
			}
			return run.StartedAt.After(u.before), err
		})
	}
	return u, nil
}
