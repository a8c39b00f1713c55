package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	lambdaclient "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// Imports handles new objects of a task's bucket, what changes in its others, and the
// minutes of its schedules. A function that runs out of time calls itself with what is left, however often it takes: the task goes on
// from its checkpoint. An error lets Lambda try again.
func (p *Platform) Imports(plugin string, t es.Task) lambda.Handler {
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		var tick wiring.Operation
		if err := json.Unmarshal(payload, &tick); err == nil && tick.Do == wiring.DoTick {
			p.runSchedules(ctx, plugin, t)
			return []byte("{}"), nil
		}
		if e := readObjectEvent(payload); e != nil {
			return []byte("{}"), p.objectChanged(ctx, plugin, t, e)
		}
		return handleJSON(ctx, payload, func(ctx context.Context, e uploads) (struct{}, error) {
			return struct{}{}, p.objects(ctx, plugin, t, e)
		})
	})
}

// uploads are new objects. GoesOn says that the function has called itself with what is left:
// that waits for the plugin's stream before it begins, since there may have been no time to.
type uploads struct {
	events.S3Event
	GoesOn bool `json:"goesOn,omitempty"`
}

func (p *Platform) objects(ctx context.Context, plugin string, t es.Task, e uploads) error {
	deadline, _ := ctx.Deadline()
	stop, advanced := deadlineGuard(time.Now, deadline), false
	stopping := func() bool {
		advanced = true // a checkpoint lies behind
		return stop()
	}
	if e.GoesOn && p.paced(ctx, plugin, stop)() {
		return p.invokeSelf(ctx, e)
	}
	for i, r := range e.Records {
		o, err := p.object(naming.Full(plugin, t.Name), r)
		if err != nil {
			return err
		}
		if o.Charset, err = p.files.charset(ctx, r.S3.Bucket.Name, o); err != nil {
			return fmt.Errorf("task %s.%s on %q: %w", plugin, t.Name, o.Key, err)
		}
		p.log.InfoContext(ctx, "task works on an object", "task", naming.Full(plugin, t.Name), "key", o.Key, "upload", o.Upload, "size", o.Size)
		switch err := p.engine.OnObject(ctx, plugin, t, o, p.paced(ctx, plugin, stopping)); {
		case errors.Is(err, es.ErrUnfinished), errors.Is(err, engine.ErrUnavailable) && advanced:
			// Lambda itself would try three times in all, however far each got.
			p.log.InfoContext(ctx, "task goes on in another run of the function", "task", naming.Full(plugin, t.Name), "key", o.Key, "because", err)
			return p.invokeSelf(ctx, uploads{events.S3Event{Records: e.Records[i:]}, true})
		case err != nil:
			p.log.ErrorContext(ctx, "task failed; it is called again", "task", naming.Full(plugin, t.Name), "key", o.Key, "error", err)
			return fmt.Errorf("task %s.%s on %q: %w", plugin, t.Name, o.Key, err)
		}
	}
	return nil
}

// deadlineGuard says at each checkpoint whether a task is to stop there: when the next
// one, taking twice as long as the slowest so far, would come too close to the
// deadline. A zero deadline never comes.
func deadlineGuard(now func() time.Time, deadline time.Time) func() bool {
	start := now()
	reserve := min(deadline.Sub(start)/10, 10*time.Second) // to end, and to call the function again
	last, slowest := start, time.Duration(0)
	return func() bool {
		t := now()
		slowest, last = max(slowest, t.Sub(last)), t
		return !deadline.IsZero() && deadline.Sub(t) < 2*slowest+reserve
	}
}

// invokeSelf calls this function again, with what is left to do.
func (p *Platform) invokeSelf(ctx context.Context, e any) error {
	payload, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = p.lambda.Invoke(ctx, &lambdaclient.InvokeInput{
		FunctionName: awssdk.String(lambdacontext.FunctionName), InvocationType: types.InvocationTypeEvent, Payload: payload,
	})
	if err != nil {
		return fmt.Errorf("call this function again for what is left: %w", err)
	}
	return nil
}

// unreadableAfter is for how long an object may refuse to be read, as one in an archive
// or under a key that is not ours does. Lambda calls again after one minute and three.
const unreadableAfter = 2 * time.Minute

// object is what a record of S3 announces.
func (p *Platform) object(task string, r events.S3EventRecord) (es.Object, error) {
	key, err := url.QueryUnescape(r.S3.Object.Key) // + is a space
	if err != nil {
		return es.Object{}, fmt.Errorf("key %q of an object: %w", r.S3.Object.Key, err)
	}
	o := es.Object{Key: key, ETag: r.S3.Object.ETag, Upload: uploadOf(r.S3.Object.Sequencer), Size: r.S3.Object.Size}
	o.Open = func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		body, err := p.files.open(ctx, r.S3.Bucket.Name, o, offset)
		if status(err) == http.StatusForbidden && time.Since(r.EventTime) > unreadableAfter {
			err = fmt.Errorf("%w: %w", es.ErrUnreadable, err)
		}
		return body, err
	}
	o.WriteReport = func(ctx context.Context, write func(io.Writer) error) error {
		return p.WriteReport(ctx, task, key, write)
	}
	return o, nil
}

// uploadOf orders the uploads of a key by S3's sequencer. Sequencers differ in
// length, and are compared as text with zeros added to the end of the shorter
// one, so S3's documentation says.
func uploadOf(sequencer string) string {
	const longest = 64
	return sequencer + strings.Repeat("0", max(0, longest-len(sequencer)))
}
