// Package aws runs plugins on AWS. DynamoDB holds logs, cursors, rows and what is
// parked; DynamoDB's streams, SQS queues and an EventBridge bus carry the hints;
// S3 has the objects that tasks work on and their reports.
//
// A function's program makes one [Platform] at its start and serves it with the
// handler of its kind: [Platform.Commands], [Platform.Projector],
// [Platform.EventMapping], [Platform.Queries], [Platform.Imports] or
// [Platform.Inbox]. Which resources it works with it learns from its
// [wiring.Wiring].
package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/internal/clock"
	"onlineshop/platform/internal/keylock"
)

// parallel is how many aggregates a task, and how many streams a batch or a
// sweep, works on side by side.
const parallel = 32

// Options are what a platform is made of.
type Options struct {
	Config  awssdk.Config // from [LoadConfig]
	Wiring  wiring.Wiring
	Plugins []es.Plugin // those that the function works for
	Version string      // of the program, for Health
	// Forget, if set, removes what is kept of a stream's subject beside the tables: see
	// [Mailer.Forget].
	Forget func(ctx context.Context, s engine.Stream) error
	// ReadOnly folds rows for an answer without storing them: for a function that
	// answers queries, and may write nothing.
	ReadOnly bool
	Logger   *slog.Logger  // nil: slog.Default
	Metrics  *Metrics      // nil: nobody counts
	Tracer   engine.Tracer // the engine's; nil: no spans
}

// Platform runs plugins on AWS.
type Platform struct {
	Options
	log        *slog.Logger
	engine     *engine.Engine
	store      *store
	files      *files
	sqs        *sqs.Client
	bus        *eventbridge.Client
	lambda     *lambda.Client
	cloudwatch cloudwatch.GetMetricDataAPIClient
	clock      clock.Clock
	healthy    healthCache
	lag        lag

	outdatedViews staleness
}

// LoadConfig reads the SDK's configuration from the environment: region,
// credentials, and AWS_ENDPOINT_URL where an emulator takes AWS's place.
func LoadConfig(ctx context.Context) (awssdk.Config, error) {
	c, err := config.LoadDefaultConfig(ctx,
		config.WithHTTPClient(httpClient()),
		config.WithRetryer(retryer))
	if err != nil {
		return c, fmt.Errorf("load the configuration of the AWS SDK: %w", err)
	}
	return c, nil
}

// retryables are the SDK's, and an answer that breaks off, which it takes for a
// malformed one. Every request of ours may be repeated.
var retryables = append(retry.IsErrorRetryables{retry.IsErrorRetryableFunc(func(err error) awssdk.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return awssdk.TrueTernary
	}
	return awssdk.UnknownTernary
})}, retry.DefaultRetryables...)

// retryer tries a few times; the engine tries again what that does not settle.
func retryer() awssdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.Retryables = 3, 300*time.Millisecond, retryables
	})
}

// httpClient gives up on a server that takes a connection and does not answer,
// so that a retry finds another one within the time that a function has.
func httpClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 2 * time.Second }).
		WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = 5 * time.Second
			t.MaxIdleConnsPerHost = 2 * parallel
		})
}

// New makes a platform for the function's plugins.
func New(o Options) (*Platform, error) {
	p := &Platform{
		Options: o, log: o.Logger,
		store: &store{db: dynamodb.NewFromConfig(o.Config), Wiring: o.Wiring, models: map[string]modelTraits{}},
		files: newFiles(o.Config),
		sqs:   sqs.NewFromConfig(o.Config),
		bus:   eventbridge.NewFromConfig(o.Config),
		// An invocation answers when its work is done, which takes longer than a store does.
		lambda: lambda.NewFromConfig(o.Config, func(l *lambda.Options) {
			if c, ok := l.HTTPClient.(*awshttp.BuildableClient); ok {
				l.HTTPClient = c.WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = 0 })
			}
		}),
		cloudwatch: cloudwatch.NewFromConfig(o.Config),
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	for _, x := range o.Plugins {
		p.store.plugins = append(p.store.plugins, x.Name)
		for _, m := range x.ReadModels {
			d := m.Definition()
			p.store.models[naming.Full(x.Name, m.Name())] = modelTraits{indexes: d.Indexes, sorts: d.Sorts, searched: len(d.Searches) > 0, owned: d.Access.Owner, items: d.Kind != es.ViewRows, keyed: d.Kind == es.ViewKeyed}
		}
	}
	c := engine.Config{
		Plugins: o.Plugins, Log: p.store, Cursors: p.store, Starts: &starts{store: p.store, clock: p.clock}, Rows: p.store, Parking: p.store, Rejections: p.store, Snapshots: p.store, Keys: p.store, Schedules: p.store,
		Buckets: p, Hints: (*hints)(p), Bus: (*bus)(p), Publications: (*publications)(p), StreamLock: keylock.New[engine.Stream](), Clock: p.clock,
		Logger: p.log, Forget: o.Forget, Refolding: p.stale, Parallel: parallel, Tracer: o.Tracer,
	}
	if o.Metrics != nil {
		c.Count = o.Metrics.Count
	}
	if o.ReadOnly {
		c.Rows, c.Parking = readOnlyStore{p.store}, readOnlyStore{p.store}
	}
	var err error
	if p.engine, err = engine.New(c); err != nil {
		return nil, fmt.Errorf("set up the plugins: %w", err)
	}
	return p, nil
}

// Engine is what commands and queries go to.
func (p *Platform) Engine() *engine.Engine { return p.engine }

// readOnlyStore lets reads through and drops writes.
type readOnlyStore struct{ *store }

func (readOnlyStore) Put(context.Context, engine.Row) (lost bool, err error) { return false, nil }

func (readOnlyStore) PutItems(context.Context, engine.Row, []engine.Row, []engine.Total) (lost bool, err error) {
	return false, nil
}

func (readOnlyStore) Park(context.Context, engine.Parked) error { return nil }

func (readOnlyStore) Unpark(context.Context, engine.Parked) error { return nil }
