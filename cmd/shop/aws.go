package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/httpapi"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/plugins"
)

// cloud is a shop on AWS. The program serves the shop's API to itself: it reads
// and writes the stack's tables with the credentials of whoever runs it, so that
// no token is needed, and has the plugins' functions do operations.
type cloud struct {
	base *url.URL // of the API that everybody else uses
	api  http.Handler
	user string // who the credentials are of

	config   awssdk.Config
	stack    deployed.Stack
	platform *aws.Platform
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
	found.Wiring.Buckets = map[string]string{}
	for _, p := range all {
		for _, t := range p.Tasks {
			found.Wiring.Buckets[naming.Full(p.Name, t.Name)] = found.Outputs[deployed.Bucket(p.Name, t.Name)]
		}
	}
	platform, err := aws.New(aws.Options{
		Config: config, Wiring: found.Wiring, Plugins: all, Version: programVersion(), ReadOnly: true, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	api, err := httpapi.New(httpapi.Config{
		Title:  plugins.Title,
		Engine: platform.Engine(), Plugins: all, Version: programVersion(), Identity: httpapi.Local(),
		Operations: operations{platform.Operations(), platform.Engine()}, Health: platform.Health, Reports: platform, Uploads: platform, Logger: logger,
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
	return &cloud{base: base, api: api, user: *who.Arn, config: config, stack: found, platform: platform}, nil
}

// operations are the functions', but for what only reads: that is done here.
type operations struct {
	httpapi.Operations
	engine *engine.Engine
}

func (o operations) Verify(ctx context.Context, cursor string, settled time.Time) (engine.Verified, error) {
	return o.engine.Verify(ctx, cursor, settled)
}

// client is one that stays in this process.
func (c *cloud) client() *client {
	return &client{base: c.base.String(), http: &http.Client{Transport: c}}
}

// RoundTrip implements [http.RoundTripper].
func (c *cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != c.base.Host { // a bucket's, to which an answer leads
		return http.DefaultTransport.RoundTrip(r)
	}
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
