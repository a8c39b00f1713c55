// Package httpapi serves the shop over HTTP: commands, views, histories,
// operations, and what describes them (OpenAPI, manifest, health).
//
// One handler serves every platform. Its routes come from the plugins'
// definitions; it knows no plugin by name. Do not put it behind an
// [http.ServeMux], which redirects paths that it finds unclean.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"filippo.io/age"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// Config is what the API serves.
type Config struct {
	Engine   *engine.Engine
	Plugins  []es.Plugin
	Title    string   // of the OpenAPI document
	Version  string   // of the program
	Identity Identity // who is calling: [Local] or [JWT]
	// Hosts are the values of the Host header that are answered, compared without
	// regard to case; others get a 421. nil: all.
	Hosts      []string
	Operations Operations                                   // nil: the engine's
	Health     func(context.Context) (engine.Health, error) // nil: /health is not served
	Reports    engine.Reports                               // nil: tasks' reports are not served
	Uploads    engine.Uploads                               // nil: tasks' objects are not taken in
	Emails     engine.Emails                                // nil: the platform keeps none
	// Backup writes a file that holds the whole shop; nil: it is not served. An error of w
	// ends it. With recipients it holds the keys of personal data, for them alone.
	Backup     func(ctx context.Context, w io.Writer, recipients ...age.Recipient) error
	Logger     *slog.Logger // nil: slog.Default
	LogSuccess bool         // requests that are answered well, too
	// CursorKey is what cursors are encrypted with: 32 bytes, the same in every
	// process. It is asked for with the first cursor. nil: each process has its own.
	CursorKey func(context.Context) ([]byte, error)
	Console   *Console // nil: none
	Metrics   Metrics  // nil: /metrics is not served
}

// Metrics counts requests, and tells what is counted. Safe for concurrent use.
type Metrics interface {
	// Observe notes a request: by the operationId of OpenAPI, "" if it is none of them.
	Observe(operation string, status int, took time.Duration)
	// Write writes all that is counted, and returns its Content-Type.
	Write(w io.Writer) (contentType string, err error)
}

// Operations are what operators do, step by step; an [engine.Engine] is one.
type Operations interface {
	ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error)
	Redrive(ctx context.Context, cursor string) (engine.Progress, error)
	RedriveKey(ctx context.Context, consumer string, s engine.Stream) error
	Skip(ctx context.Context, consumer string, s engine.Stream, who, reason string) error
	Sweep(ctx context.Context, cursor string) (engine.Progress, error)
	Rebuild(ctx context.Context, readModel, cursor string) (engine.Progress, error)
	CheckRows(ctx context.Context, readModel, cursor string) (engine.Progress, error)
	Verify(ctx context.Context, cursor string, settled time.Time) (engine.Verified, error)
	ListSchedules(ctx context.Context) ([]engine.ScheduleInfo, error)
	AskSchedule(ctx context.Context, name string) error
}

// MaxBodyBytes is how many bytes a request's body may have.
const MaxBodyBytes = 256 << 10

// api is the handler.
type api struct {
	Config
	routes    map[route]map[string]*endpoint // by method
	endpoints []*endpoint                    // in the order of the plugins' definitions
	origins   *http.CrossOriginProtection
	cursors   *sealer
	pages     *pages
	bodies    *semaphore.Weighted // bytes of large bodies in hand
}

// New returns the handler. It refuses plugins whose names collide once they
// stand in a path.
func New(c Config) (http.Handler, error) {
	if c.Engine == nil || c.Identity == nil {
		return nil, errors.New("http api: an engine and an identity are needed")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Operations == nil {
		c.Operations = c.Engine
	}
	if c.CursorKey == nil {
		c.CursorKey = newKey()
	}
	a := &api{Config: c, routes: map[route]map[string]*endpoint{}, origins: http.NewCrossOriginProtection(), cursors: &sealer{key: c.CursorKey}, bodies: semaphore.NewWeighted(allBodies)}
	for _, add := range []func() error{a.addPlugins, a.addOperations, a.addBackup, a.addEmails, a.addMetrics, a.addTrace, a.addConsole, a.addDescriptions} {
		if err := add(); err != nil {
			return nil, fmt.Errorf("http api: %w", err)
		}
	}
	a.pages = a.newPages()
	return a, nil
}

// call is a request on its way through the checks.
type call struct {
	*http.Request
	endpoint    *endpoint
	cursors     *sealer
	done        func()      // to be called with the answer
	header      http.Header // of the answer
	correlation string
	caller      es.Caller
	id          string // the path's, decoded
	body        []byte
	key         string // Idempotency-Key
	ifVersion   *int64 // If-Match
	traceparent string
	limit       int
	cursor      string // as the engine or the store made it
	sealed      string // the answer's cursor, of which unsealed is what it says
	unsealed    string
	minVersion  *int64
	version     *int64
	stream      engine.Stream
	field       string // filter
	value       string
	selection   engine.Query // sort, range and search of a list
	ranged      string       // the field of its range
}

// answer is what a request gets when nothing is wrong with it.
type answer struct {
	status int           // 0: 200
	body   []byte        // JSON
	stream io.ReadCloser // in place of body; its Content-Type is in the header
}

// ServeHTTP implements [http.Handler].
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := a.Engine.Clock.Now()
	ctx, cancel := lasting(r.Context())
	defer cancel()
	r = r.WithContext(ctx)
	c := &call{Request: r, header: w.Header(), cursors: a.cursors, done: func() {}}
	defer func() { c.done() }()
	given := c.readCorrelation(a.Engine.Clock.NewID)
	c.header.Set("X-Correlation-Id", c.correlation)
	c.header.Set("X-Content-Type-Options", "nosniff")
	c.header.Set("Cache-Control", "no-store")

	out, err := a.handle(w, c, given)
	if err != nil {
		out = a.problem(r.Context(), c, err)
	}
	status := a.write(r.Context(), w, c, out)

	if a.Metrics != nil {
		operation := ""
		if c.endpoint != nil {
			operation = c.endpoint.name
		}
		a.Metrics.Observe(operation, status, a.Engine.Clock.Now().Sub(start))
	}
	level := slog.LevelDebug
	switch {
	case status >= 500:
		level = slog.LevelWarn
	case status >= 400, a.LogSuccess:
		level = slog.LevelInfo
	}
	a.Logger.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.EscapedPath(), "status", status,
		"duration", a.Engine.Clock.Now().Sub(start), "correlationId", c.correlation)
}

// lasting is the request's context without its end by the client, who may only have
// shut down the sending side, and is to be told what happened; the work has
// longest, or until the context's own deadline.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	end := time.Now().Add(longest)
	if own, ok := ctx.Deadline(); ok && own.Before(end) {
		end = own
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

// longest is how long a request may take: a step of a sweep takes a while.
const longest = 4 * time.Minute

// handle makes the checks in the order that the contract gives them: the first
// that fails answers. given is what is wrong with the correlation id.
func (a *api) handle(w http.ResponseWriter, c *call, correlationErr error) (out *answer, err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler:
			panic(r)
		default:
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if a.Hosts != nil && !slices.ContainsFunc(a.Hosts, func(h string) bool { return strings.EqualFold(h, c.Host) }) {
		return nil, errMisdirected.Because("this shop does not answer for the host %q", c.Host)
	}
	if page, err := a.pages.page(c); page != nil || err != nil {
		return page, err
	}
	if err := a.find(c); err != nil {
		return nil, err
	}
	if err := a.admit(c); err != nil {
		return nil, err
	}
	if c.endpoint.body {
		if err := c.readBody(w, a.bodies); err != nil {
			return nil, err
		}
	}
	if c.endpoint.large {
		if err := c.expectLarge(w); err != nil {
			return nil, err
		}
	}
	if correlationErr != nil {
		return nil, correlationErr
	}
	if err := c.readHeaders(); err != nil {
		return nil, err
	}
	if err := c.readQuery(); err != nil {
		return nil, err
	}
	if valid := c.endpoint.id; valid != nil && !valid.valid(c.id) {
		return nil, engine.ErrInvalidID.Because("%s, not %q", valid.rule, c.id)
	}
	if out, err = c.endpoint.serve(c); err != nil {
		return nil, err
	}
	return c.revalidate(out), nil
}

// admit lets in those whom the endpoint is for.
func (a *api) admit(c *call) (err error) {
	if err := a.origins.Check(c.Request); err != nil {
		return engine.ErrForbidden.Because("a page of another origin may not send this request")
	}
	if c.endpoint.allow == nil {
		return nil
	}
	if c.caller, err = a.Identity.Caller(c.Request); err != nil {
		if len(c.Header.Values("Authorization")) == 0 && c.endpoint.allow(es.Caller{}) == nil {
			c.caller = es.Caller{} // who need not sign in
			return nil
		}
		return err
	}
	return c.endpoint.allow(c.caller)
}

func (a *api) write(ctx context.Context, w http.ResponseWriter, c *call, out *answer) (status int) {
	if status = out.status; status == 0 {
		status = http.StatusOK
	}
	if out.body != nil {
		if c.header.Get("Content-Type") == "" {
			c.header.Set("Content-Type", "application/json")
		}
		c.header.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(status)
	if out.stream != nil {
		defer out.stream.Close()
	}
	if c.Method == http.MethodHead {
		return status
	}
	var err error
	if out.stream != nil {
		to := io.Writer(w)
		if c.endpoint != nil && c.endpoint.long {
			to = patientWriter{w}
		}
		_, err = io.Copy(to, out.stream)
	} else {
		_, err = w.Write(out.body)
	}
	if err != nil {
		a.Logger.DebugContext(ctx, "answer not sent whole", "correlationId", c.correlation, "error", err)
		if out.stream != nil {
			panic(http.ErrAbortHandler) // the client must not take a part for the whole
		}
	}
	return status
}
