package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/platform/aws/wiring"
)

// handler is a [lambda.Handler].
type handler func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke implements [lambda.Handler].
func (h handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return h(ctx, payload) }

// handleJSON serves one type of event.
func handleJSON[In, Out any](ctx context.Context, payload []byte, serve func(context.Context, In) (Out, error)) ([]byte, error) {
	var in In
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	out, err := serve(ctx, in)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// Commands handles an aggregate's events: requests of API Gateway go to the API,
// messages of its inbox to the followers that send to it.
func (p *Platform) Commands(aggregate string, api http.Handler) lambda.Handler {
	gateway, inbox := newGateway(api, p.log), p.Inbox(aggregate)
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		var shape struct{ Records []struct{} }
		if err := json.Unmarshal(payload, &shape); err == nil && shape.Records != nil {
			return inbox.Invoke(ctx, payload)
		}
		return handleJSON(ctx, payload, gateway.serve)
	})
}

// Queries handles a query function's requests.
func (p *Platform) Queries(api http.Handler) lambda.Handler {
	gateway := newGateway(api, p.log)
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		return handleJSON(ctx, payload, gateway.serve)
	})
}

// Inbox handles the messages to one aggregate, or, where it is "", to a plugin's
// side effects.
func (p *Platform) Inbox(aggregate string) lambda.Handler {
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		return handleJSON(ctx, payload, func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
			return p.inbox(ctx, aggregate, e)
		})
	})
}

// Projector handles a stream's new commits: it brings their rows up to date.
func (p *Platform) Projector(plugin string) lambda.Handler {
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		return handleJSON(ctx, payload, func(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
			out, err := p.commits(ctx, plugin, e, p.engine.Project, nil)
			p.noteLag(ctx, plugin, projecting, e)
			return out, err
		})
	})
}

// EventMapping handles a stream's new commits, by sending hints and entries, and
// operations that it is asked for directly.
func (p *Platform) EventMapping(plugin string) lambda.Handler {
	return handler(func(ctx context.Context, payload []byte) ([]byte, error) {
		var shape wiring.Operation
		err := json.Unmarshal(payload, &shape)
		if alias(ctx) == wiring.PublicationsAlias && shape.Do != wiring.DoPublications {
			return nil, fmt.Errorf("event mapping of %s: who calls it by the alias %s may ask for publications alone", plugin, wiring.PublicationsAlias)
		}
		if err == nil && shape.Do != "" {
			return handleJSON(ctx, payload, func(ctx context.Context, o wiring.Operation) (wiring.Answer, error) {
				return p.answer(ctx, plugin, o)
			})
		}
		return handleJSON(ctx, payload, func(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
			out, err := p.commits(ctx, plugin, e, p.engine.Relay, p.engine.BeginWith)
			p.noteLag(ctx, plugin, relaying, e)
			return out, err
		})
	})
}

// alias is the one that this function was called by; empty: none.
func alias(ctx context.Context) string {
	c, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return ""
	}
	_, name, _ := strings.Cut(c.InvokedFunctionArn, ":function:")
	_, qualifier, _ := strings.Cut(name, ":")
	return qualifier
}

// answer tells what is wrong with an operation, or fails with what is worth
// another try. A tick has nobody to tell: the next one tries again.
func (p *Platform) answer(ctx context.Context, plugin string, o wiring.Operation) (wiring.Answer, error) {
	a, err := p.do(ctx, plugin, o)
	if err != nil {
		p.log.ErrorContext(ctx, "operation failed", "operation", o.Do, "plugin", plugin, "error", err)
		older := o.Do == wiring.DoPublications && errors.Is(err, es.ErrUnknownType) // than who asks: for a moment, while it is deployed
		if o.Do == wiring.DoTick || older || errors.Is(err, engine.ErrUnavailable) || ctx.Err() != nil {
			return a, err
		}
		a.Error = err.Error()
		var no *es.Rejection
		if errors.As(err, &no) {
			a.Rejection = &wiring.Rejection{Code: no.Code, Status: no.Status, Detail: no.Detail}
		}
	}
	return a, nil
}

// place is a message's or record's place in its batch.
type place[T any] struct {
	id string // as a failure is reported
	of T
}

// inParallel does what belongs to one key in order, up to the first failure, and
// different keys concurrently, those first that are urgent. It returns the ids of what
// was not done: what failed, and what comes after it in its key.
func inParallel[K comparable, T any](work map[K][]place[T], urgent func(T) bool, do func(T) error) (undone []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	room := make(chan struct{}, parallel)
	rank := func(list []place[T]) int {
		if slices.ContainsFunc(list, func(x place[T]) bool { return urgent(x.of) }) {
			return 0
		}
		return 1
	}
	for _, list := range slices.SortedFunc(maps.Values(work), func(a, b []place[T]) int { return rank(a) - rank(b) }) {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			done := 0
			for done < len(list) && do(list[done].of) == nil {
				done++
			}
			mu.Lock()
			defer mu.Unlock()
			for _, x := range list[done:] {
				undone = append(undone, x.id)
			}
		})
	}
	wg.Wait()
	return undone
}

// failed logs what Lambda delivers again.
func (p *Platform) failed(ctx context.Context, what string, err error, attrs ...any) {
	p.log.ErrorContext(ctx, what+" not dealt with; it is delivered again", append(attrs, "error", err)...)
}

// commits does something with each new commit of a batch of a stream: those of
// one aggregate in their order, others concurrently, live ones first. Lambda delivers the batch
// again from the first failure on; repeats do no harm. Before all of them, begin, if
// it isn't nil, hears the time of the earliest.
func (p *Platform) commits(
	ctx context.Context, plugin string, e events.DynamoDBEvent,
	do func(context.Context, engine.Commit) error, begin func(ctx context.Context, plugin string, first time.Time) error,
) (out events.DynamoDBEventResponse, _ error) {
	var first time.Time
	work := map[engine.Stream][]place[engine.Commit]{}
	for _, r := range e.Records {
		if r.EventName != string(events.DynamoDBOperationTypeInsert) {
			continue // commits are only ever added
		}
		c, err := recordedCommit(plugin, r.Change.NewImage)
		if err != nil { // it stands for what is in the log, where it is found again and parked
			p.log.ErrorContext(ctx, "a commit can't be read", "stream", c.Stream, "seq", c.Seq, "error", err)
		}
		work[c.Stream] = append(work[c.Stream], place[engine.Commit]{r.Change.SequenceNumber, c})
		if at := c.Meta.Time; first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	if begin != nil && len(work) > 0 {
		if err := begin(ctx, plugin, first); err != nil {
			return out, err
		}
	}
	live := func(c engine.Commit) bool { return !c.Meta.Bulk }
	for _, id := range inParallel(work, live, func(c engine.Commit) error {
		err := engine.Guarded("commit", func() error { return do(ctx, c) })
		if err != nil {
			p.failed(ctx, "commit", err, "stream", c.Stream, "seq", c.Seq)
		}
		return err
	}) {
		out.BatchItemFailures = append(out.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: id})
	}
	return out, nil
}

// recordedCommit reads a record's new image. With an error it is the commit's
// place alone.
func recordedCommit(plugin string, image map[string]events.DynamoDBAttributeValue) (engine.Commit, error) {
	text := func(name string) string {
		if v := image[name]; v.DataType() == events.DataTypeString {
			return v.String()
		}
		return ""
	}
	number := func(name string) (n int64) {
		if v := image[name]; v.DataType() == events.DataTypeNumber {
			n, _ = strconv.ParseInt(v.Number(), 10, 64) // 0 is no place after another, and found out
		}
		return n
	}
	var hash []byte
	if v, ok := image[attrHash]; ok && v.DataType() == events.DataTypeBinary {
		hash = v.Binary()
	}
	st, err := engine.ParseStream(plugin + "." + text(wiring.Stream))
	if err != nil {
		return engine.Commit{}, err
	}
	c, err := readCommit(st, number(wiring.Seq), number(attrVersion), text(attrEvents), text(attrMeta), hash)
	if err != nil {
		c = engine.Commit{Stream: st, Seq: c.Seq}
	}
	return c, err
}

// listeners are the followers that hear of a point and send to the aggregate; the
// plugin's others have inboxes of their own.
func (p *Platform) listeners(aggregate string) func(point string) []string {
	return func(point string) []string {
		return slices.DeleteFunc(p.engine.Listeners(point), func(follower string) bool {
			target, _ := p.engine.Target(follower)
			return target != aggregate
		})
	}
}

// inbox follows each message's hints: those on one stream in their order, others
// side by side. What side effects hear of a point is put into their own inbox first. What fails is delivered again, together with the later messages of
// its stream, and after some times put into the dead-letter queue.
func (p *Platform) inbox(ctx context.Context, aggregate string, e events.SQSEvent) (out events.SQSEventResponse, _ error) {
	fail := func(id string) {
		out.BatchItemFailures = append(out.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	work := map[engine.Stream][]place[[]engine.Hint]{}
	var heard []heardMessage
	var all []engine.Hint
	for _, r := range e.Records {
		var hints []engine.Hint
		err := engine.Guarded("message", func() (err error) {
			hints, err = readInbox(r.Body, p.listeners(aggregate))
			return err
		})
		if err != nil {
			p.failed(ctx, "message", err, "messageId", r.MessageId)
			fail(r.MessageId)
			continue
		}
		all = append(all, hints...)
		switch {
		case len(hints) == 0:
		case aggregate == "" && hints[0].Entry != nil && !isFIFO(r.EventSourceARN):
			heard = append(heard, heardMessage{r, hints[0]})
		default:
			work[hints[0].Stream] = append(work[hints[0].Stream], place[[]engine.Hint]{r.MessageId, hints})
		}
	}
	if err := p.engine.BeginHearing(ctx, all...); err != nil {
		return out, err
	}
	if err := (*hints)(p).queueUp(ctx, heard); err != nil {
		for _, m := range heard {
			p.failed(ctx, "message", err, "stream", m.Stream, "seq", m.Seq)
			fail(m.MessageId)
		}
	}
	live := func(hints []engine.Hint) bool { return !hints[0].Bulk }
	for _, id := range inParallel(work, live, func(hints []engine.Hint) error {
		var errs []error
		for _, h := range hints {
			errs = append(errs, engine.Guarded(h.Follower, func() error { return p.engine.Follow(ctx, h) }))
		}
		err := errors.Join(errs...)
		if err != nil {
			p.failed(ctx, "message", err, "stream", hints[0].Stream, "seq", hints[0].Seq)
		}
		return err
	}) {
		fail(id)
	}
	return out, nil
}
