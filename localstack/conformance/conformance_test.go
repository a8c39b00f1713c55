// Package conformance runs the suite that every platform passes on platform/aws as
// it is deployed: the suite's own plugins, in functions of theirs, behind real
// streams, queues and rules. make e2e deploys them to the emulator and runs this;
// without a deployment there is nothing to test, and it says so.
package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/logging"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws"
	"onlineshop/platform/aws/deployed"
	"onlineshop/platform/aws/wiring"
	"onlineshop/platform/platformtest"
)

func TestMain(m *testing.M) {
	// The scenes wait together: no processor is needed for each.
	if err := flag.Set("test.parallel", "100"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestPlatformAsItIsDeployed(t *testing.T) {
	outputs := os.Getenv("SHOP_E2E_OUTPUTS")
	world, err := url.Parse(os.Getenv(platformtest.WorldVariable))
	if err != nil || world.Host == "" || outputs == "" {
		t.Skip("this suite tests a deployment: run it with make e2e")
	}
	platformtest.Test(t, platformtest.Dial(world), func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
		return open(t, outputs, plugins, &history{grown: map[engine.Stream]int{}, done: map[engine.Stream]int64{}})
	})
}

// open works on the deployment's tables and queues from here, with an engine of
// the test's own; what it sets off is done by the functions.
func open(t *testing.T, outputs string, plugins []es.Plugin, h *history) platformtest.Ports {
	c, err := aws.LoadConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Logger = logging.Nop{} // DynamoDB Local sends a wrong checksum with each error, of which the SDK warns
	stack, err := deployed.Find(t.Context(), c, outputs)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := stack.Resources(t.Context(), c, "AWS::DynamoDB::Table")
	if err != nil {
		t.Fatal(err)
	}
	for id, table := range tables { // only the functions that decide know those of snapshots
		if plugin, _, ok := strings.Cut(id, "Snapshots"); ok {
			w := stack.Wiring.Plugins[plugin]
			w.Snapshots = table
			stack.Wiring.Plugins[plugin] = w
		}
	}
	buckets := shelves{s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }), map[string]string{}}
	for _, p := range plugins {
		for _, x := range p.Tasks {
			for _, b := range x.Buckets {
				buckets.names[b.Name] = stack.Outputs[wiring.ShelfOutput(p.Name, b.Name)]
			}
		}
	}
	stack.Wiring.Shelves = buckets.names
	t.Cleanup(func() { buckets.empty(t) }) // or the stack can't be destroyed
	o := aws.Options{Config: c, Wiring: stack.Wiring, Plugins: plugins, Logger: slog.New(slog.DiscardHandler)}
	p, err := aws.New(o)
	if err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	onlooker, err := aws.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{sqs: sqs.NewFromConfig(c), inboxes: stack.Wiring.Inboxes, history: h}
	config := p.Engine().Config
	config.Log = appender{config.Log, h}
	if d.engine, err = engine.New(config); err != nil {
		t.Fatal(err)
	}
	// What the onlooker relays goes nowhere but into a list.
	config = onlooker.Engine().Config
	config.Hints, config.Bus, config.Parking = (*relayed)(d), (*relayed)(d), (*relayed)(d)
	config.Starts = onlookerStarts{config.Starts}
	if d.onlooker, err = engine.New(config); err != nil {
		t.Fatal(err)
	}
	e := d.engine
	return platformtest.Ports{
		Log: e.Log, Cursors: e.Cursors, Rows: e.Rows, Parking: e.Parking, Rejections: e.Rejections, Schedules: e.Schedules, Snapshots: e.Snapshots, Keys: e.Keys, Opened: true, Objects: buckets, Engine: e, Settle: d.settle, Slow: true,
		Reopen: func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
			makeLater(t, c)
			return open(t, outputs, plugins, h)
		},
	}
}

// shelves are the deployment's buckets whose objects stay.
type shelves struct {
	s3    *s3.Client
	names map[string]string
}

func (s shelves) PutObject(ctx context.Context, bucket, key string, content []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: awssdk.String(s.names[bucket]), Key: &key, Body: bytes.NewReader(content)})
	return err
}

func (s shelves) RemoveObject(ctx context.Context, bucket, key string) error {
	_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: awssdk.String(s.names[bucket]), Key: &key})
	return err
}

func (s shelves) empty(t *testing.T) {
	ctx := context.Background() // the test's has ended
	for bucket, name := range s.names {
		out, err := s.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &name})
		if err != nil {
			t.Errorf("list what is in %s: %v", bucket, err)
			continue
		}
		for _, o := range out.Contents {
			if err := s.RemoveObject(ctx, bucket, *o.Key); err != nil {
				t.Errorf("empty %s: %v", bucket, err)
			}
		}
	}
}

// makeLater has the plugins' functions run the library's later version.
func makeLater(t *testing.T, c awssdk.Config) {
	t.Helper()
	client := lambda.NewFromConfig(c)
	pages := lambda.NewListFunctionsPaginator(client, &lambda.ListFunctionsInput{})
	var wg sync.WaitGroup
	defer wg.Wait()
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page.Functions {
			if f.Environment == nil || f.Environment.Variables[wiring.Plugin]+f.Environment.Variables[wiring.Aggregate] == "" ||
				f.Environment.Variables[platformtest.LaterVariable] != "" {
				continue
			}
			env := maps.Clone(f.Environment.Variables)
			env[platformtest.LaterVariable] = "yes"
			wg.Go(func() {
				_, err := client.UpdateFunctionConfiguration(t.Context(), &lambda.UpdateFunctionConfigurationInput{
					FunctionName: f.FunctionName, Environment: &lambdatypes.Environment{Variables: env},
				})
				if err == nil {
					err = lambda.NewFunctionUpdatedV2Waiter(client).Wait(t.Context(), &lambda.GetFunctionInput{FunctionName: f.FunctionName}, time.Minute)
				}
				if err != nil {
					t.Errorf("make %s later: %v", *f.FunctionName, err)
				}
			})
		}
	}
}

// deployment is what is deployed, seen from outside.
type deployment struct {
	engine   *engine.Engine
	onlooker *engine.Engine // changes nothing
	sqs      *sqs.Client
	inboxes  map[string]string
	*history

	hints    []engine.Hint
	entries  []engine.Entry
	failures []engine.Parked
}

// history is what the test's engines have appended, to all streams that concern anybody.
type history struct {
	mu    sync.Mutex
	grown map[engine.Stream]int   // streams with commits that may not have reached all that they concern: with how many
	done  map[engine.Stream]int64 // up to where all that was there before has followed: what is new need not
}

// unfollowed are the streams to look at.
func (h *history) unfollowed() map[engine.Stream]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.grown)
}

// followed is told that so many new commits, to that end, have reached all that they concern.
func (h *history) followed(s engine.Stream, commits int, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done[s] = end
	if h.grown[s] == commits {
		delete(h.grown, s)
	}
}

// appender is a log that notes what is appended.
type appender struct {
	engine.Log
	*history
}

// Append implements [engine.Log].
func (a appender) Append(ctx context.Context, c engine.Commit) error {
	err := a.Log.Append(ctx, c) // which may fail, and have appended it
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grown[c.Stream]++
	return err
}

// onlookerStarts leaves it to the deployment's functions when their followers begin.
type onlookerStarts struct{ engine.Starts }

// Begin implements [engine.Starts].
func (onlookerStarts) Begin(context.Context, string, engine.Beginning) error { return nil }

// relayed is what the deployment's functions are to relay, or to park.
type relayed deployment

// Send implements [engine.Hints].
func (r *relayed) Send(_ context.Context, _ time.Duration, hints ...engine.Hint) error {
	r.hints = append(r.hints, hints...)
	return nil
}

// Publish implements [engine.Bus].
func (r *relayed) Publish(_ context.Context, entries ...engine.Entry) error {
	r.entries = append(r.entries, entries...)
	return nil
}

// Park implements [engine.Parking].
func (r *relayed) Park(_ context.Context, p engine.Parked) error {
	r.failures = append(r.failures, p)
	return nil
}

// Parked implements [engine.Parking].
func (r *relayed) Parked(context.Context, string, engine.Stream) (*engine.Parked, error) {
	return nil, nil
}

// Unpark implements [engine.Parking].
func (r *relayed) Unpark(context.Context, engine.Parked) error { return nil }

// ListParked implements [engine.Parking].
func (r *relayed) ListParked(ctx context.Context, cursor string) ([]engine.Parked, string, error) {
	return r.engine.Parking.ListParked(ctx, cursor)
}

// patience is how long everything may take to come to rest. The emulator's
// pollers are slow, and a message whose function was stopped, as an update does, is hidden
// for six minutes; it is only ever waited for in vain where something is wrong.
const patience = 8 * time.Minute

// settle waits until every commit has reached all that it concerns, but for what
// is parked.
func (d *deployment) settle(ctx context.Context) error {
	late := time.After(patience)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		missing, err := d.missing(ctx)
		if err != nil || missing == "" {
			return err
		}
		select {
		case <-tick.C:
		case <-late:
			return fmt.Errorf("it has not come to rest within %s: %s", patience, missing)
		}
	}
}

// missing is something that is still to happen; empty where there is nothing.
func (d *deployment) missing(ctx context.Context) (string, error) {
	for of, queue := range d.inboxes {
		n, err := d.waiting(ctx, queue)
		if err != nil {
			return "", err
		}
		if n > 0 {
			return fmt.Sprintf("the inbox of %s has %d messages", of, n), nil
		}
	}
	for s, commits := range d.unfollowed() {
		if missing, err := d.missingOf(ctx, s, commits); err != nil || missing != "" {
			return missing, err
		}
	}
	return "", nil
}

// waiting is how many messages a queue has, seen or not.
func (d *deployment) waiting(ctx context.Context, queue string) (n int, err error) {
	names := []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages, sqstypes.QueueAttributeNameApproximateNumberOfMessagesDelayed,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	out, err := d.sqs.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: names})
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		some, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("%s of %s: %w", name, queue, err)
		}
		n += some
	}
	return n, nil
}

// models are the read models of an aggregate.
func models(plugins []es.Plugin, aggregate string) (names []string) {
	for _, p := range plugins {
		for _, m := range p.ReadModels {
			for _, s := range m.Definition().Sources {
				if s == aggregate {
					names = append(names, naming.Full(p.Name, m.Name()))
				}
			}
		}
	}
	return names
}

func kindOf(plugins []es.Plugin, model string) es.ViewKind {
	for _, p := range plugins {
		for _, m := range p.ReadModels {
			if naming.Full(p.Name, m.Name()) == model {
				return m.Definition().Kind
			}
		}
	}
	return ""
}

// missingOf is what a stream's commits are still to reach, of which so many are new.
func (d *deployment) missingOf(ctx context.Context, s engine.Stream, commits int) (string, error) {
	parked, end := false, d.done[s]
	d.hints, d.entries, d.failures = nil, nil, nil
	for more := true; more; {
		page, rest, err := d.engine.Log.Read(ctx, s, end, 0)
		if err != nil {
			return "", err
		}
		for _, c := range page {
			if err := d.onlooker.Relay(ctx, c); err != nil {
				return "", err
			}
			end = c.Seq + 1
		}
		more = rest
	}
	for _, f := range d.failures {
		if p, err := d.engine.Parking.Parked(ctx, f.Consumer, s); err != nil || p == nil {
			return fmt.Sprintf("%s is not parked on %s", f.Consumer, s), err
		}
		parked = true
	}
	for _, e := range d.entries {
		for _, follower := range d.engine.Listeners(e.Point) {
			d.hints = append(d.hints, engine.Hint{Follower: follower, Stream: s, Seq: e.Seq})
		}
	}
	for _, h := range d.hints {
		c, err := d.engine.Cursors.Cursor(ctx, h.Follower, s)
		switch {
		case err != nil:
			return "", err
		case c.Parked:
			parked = true
		case c.Next <= h.Seq:
			return fmt.Sprintf("%s has not followed %s to %d", h.Follower, s, h.Seq), nil
		}
	}
	for _, model := range models(d.engine.Plugins, s.Aggregate) {
		if failed, err := d.isParked(ctx, model, s.ID); err != nil {
			return "", err
		} else if failed {
			parked = true
			continue
		}
		now := int64(0)
		if kindOf(d.engine.Plugins, model) != es.ViewRows {
			head, err := d.engine.Rows.Row(ctx, model, engine.ItemID(s.ID, ""))
			if err != nil {
				return "", err
			}
			// A first commit that makes no rows leaves no head.
			if at := head.At[s.Aggregate]; at.Next < end && (head.Rev > 0 || end > 1) {
				return fmt.Sprintf("%s of %s is folded to %d, not yet to %d", s.ID, model, at.Next, end), nil
			}
			continue
		}
		row, err := d.engine.Rows.Row(ctx, model, s.ID)
		if err != nil {
			return "", err
		}
		folded, err := d.onlooker.Row(ctx, es.System(), model, s.ID, &now)
		var none *es.Rejection
		if err != nil && !(errors.As(err, &none) && none.Status == http.StatusNotFound) {
			return fmt.Sprintf("%s of %s can't be folded and is not parked: %v", s.ID, model, err), nil
		}
		if string(folded.View) != string(row.View) || row.View != nil && !maps.Equal(folded.At, row.At) {
			return fmt.Sprintf("%s of %s is %s, not yet %s", s.ID, model, text(row.View), text(folded.View)), nil
		}
	}
	if !parked {
		d.followed(s, commits, end)
	}
	return "", nil
}

// isParked says whether the model is parked on one of the row's streams.
func (d *deployment) isParked(ctx context.Context, model, id string) (bool, error) {
	for _, p := range d.engine.Plugins {
		for _, m := range p.ReadModels {
			if naming.Full(p.Name, m.Name()) != model {
				continue
			}
			for _, source := range m.Definition().Sources {
				if k, err := d.engine.Parking.Parked(ctx, "readmodel:"+model, engine.Stream{Aggregate: source, ID: id}); err != nil || k != nil {
					return k != nil, err
				}
			}
		}
	}
	return false, nil
}

func text(view json.RawMessage) string {
	if view == nil {
		return "absent"
	}
	return string(view)
}
