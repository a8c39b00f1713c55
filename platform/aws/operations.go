package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
	"onlineshop/platform/aws/wiring"
)

// has says whether this function works for the plugin.
func (p *Platform) has(plugin string) bool {
	return slices.ContainsFunc(p.Plugins, func(x es.Plugin) bool { return x.Name == plugin })
}

// do does an operation on a plugin of this function.
func (p *Platform) do(ctx context.Context, plugin string, o wiring.Operation) (a wiring.Answer, err error) {
	progress := engine.Progress{}
	switch o.Do {
	case wiring.DoPublications:
		a, err = p.published(ctx, o)
		return a, err
	case wiring.DoParked:
		var parked []engine.Parked
		parked, a.Next, err = p.engine.ListParked(ctx, o.Cursor)
		for _, k := range parked {
			a.Parked = append(a.Parked, wiring.Parked{
				Consumer: k.Consumer, Stream: k.Stream.String(), Error: k.Error, Since: k.Since, Last: k.Last, Attempts: k.Attempts,
			})
		}
		a.Done = len(parked)
		return a, err
	case wiring.DoRedrive:
		progress, err = p.engine.Redrive(ctx, o.Cursor)
	case wiring.DoRedriveDue:
		progress, err = p.engine.RedriveDue(ctx, o.Cursor)
	case wiring.DoRedriveKey, wiring.DoSkip:
		err = p.oneKey(ctx, o)
	case wiring.DoSweep:
		progress, err = p.engine.Sweep(ctx, o.Cursor)
	case wiring.DoRebuild:
		progress, err = p.engine.Rebuild(ctx, o.ReadModel, o.Cursor)
	case wiring.DoCheck:
		if progress, err = p.engine.CheckRows(ctx, o.ReadModel, o.Cursor); err == nil && progress.Differences != nil {
			a.Differences, err = json.Marshal(progress.Differences)
		}
		a.Untold = progress.More
	case wiring.DoVerify:
		var v engine.Verified
		if v, err = p.engine.Verify(ctx, o.Cursor, time.Unix(o.From, 0)); err == nil {
			progress = v.Progress
			a.Verified, err = json.Marshal(v)
		}
	case wiring.DoHeartbeat:
		err = p.beat(ctx, plugin)
	case wiring.DoAsk:
		err = p.engine.AskSchedule(ctx, o.Schedule)
	case wiring.DoTick:
		progress.Done, err = p.tick(ctx, plugin)
	default:
		err = engine.ErrNotFound.Because("there is no operation %q", o.Do)
	}
	a.Done, a.Next = progress.Done, progress.Next
	return a, err
}

// oneKey does an operation on one parked key.
func (p *Platform) oneKey(ctx context.Context, o wiring.Operation) error {
	s, err := engine.ParseStream(o.Stream)
	if err != nil {
		return err
	}
	if o.Do == wiring.DoSkip {
		return p.engine.Skip(ctx, o.Consumer, s, o.Who, o.Reason)
	}
	return p.engine.RedriveKey(ctx, o.Consumer, s)
}

func (p *Platform) published(ctx context.Context, o wiring.Operation) (a wiring.Answer, err error) {
	st, err := engine.ParseStream(o.Stream)
	if err != nil {
		return a, err
	}
	entries, next, more, err := p.engine.Since(ctx, o.Point, st, o.From)
	if err != nil {
		return a, err
	}
	messages := make([]entryMessage, len(entries))
	for i, e := range entries {
		messages[i] = newEntryMessage(e)
	}
	a = wiring.Answer{Done: len(entries), From: next, More: more}
	a.Publications, err = json.Marshal(messages)
	return a, err
}

// tick is what the schedule asks for: it lets new followers begin, sends the hints that are due, tries again what is parked and due,
// tells how much is parked, and reports the plugin.
func (p *Platform) tick(ctx context.Context, plugin string) (done int, err error) {
	errs := []error{p.engine.Begin(ctx)}
	_, err = p.sendDue(ctx, plugin, p.clock.Now())
	errs = append(errs, err)
	for cursor := ""; ; {
		progress, err := p.engine.RedriveDue(ctx, cursor)
		done += progress.Done
		errs = append(errs, err)
		if cursor = progress.Next; cursor == "" || deadlineNear(ctx) {
			break
		}
	}
	parked, err := p.store.countParked(ctx, plugin)
	if err == nil {
		p.metric(wiring.MetricParkedKeys, plugin, float64(sum(parked)))
	}
	return done, errors.Join(append(errs, err, p.beatWhenDue(ctx, plugin), p.refold(ctx, plugin))...)
}

// deadlineNear says that the function's time ends soon, so that it takes no more work.
func deadlineNear(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 15*time.Second
}

// operate has the plugin's eventmapping function do an operation.
func (p *Platform) operate(ctx context.Context, plugin string, o wiring.Operation) (wiring.Answer, error) {
	function := p.Wiring.Plugins[plugin].EventMapping
	if function == "" {
		return wiring.Answer{}, fmt.Errorf("ask %s for %s: this function is not wired to its eventmapping function", plugin, o.Do)
	}
	return Operate(ctx, p.lambda, function, o)
}

// Operate has an eventmapping function do an operation. Its error is what the
// function answers, or an [engine.ErrUnavailable] where it gives no answer.
func Operate(ctx context.Context, client *lambda.Client, function string, o wiring.Operation) (a wiring.Answer, err error) {
	payload, err := json.Marshal(o)
	if err != nil {
		return a, err
	}
	out, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	if err != nil {
		return a, fmt.Errorf("ask %s for %s: %w", function, o.Do, failure(err))
	}
	if out.FunctionError != nil {
		var problem struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(out.Payload, &problem) // it is shown as it is where it has none
		return a, fmt.Errorf("ask %s for %s: %w: %s", function, o.Do, engine.ErrUnavailable, problem.Message)
	}
	if err := json.Unmarshal(out.Payload, &a); err != nil {
		return a, fmt.Errorf("answer of %s to %s: %w", function, o.Do, err)
	}
	if a.Rejection != nil {
		return a, &es.Rejection{Code: a.Rejection.Code, Status: a.Rejection.Status, Detail: a.Rejection.Detail}
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s of %s: %s", o.Do, function, a.Error)
	}
	return a, nil
}

// Operations are the shop's operations, done by the plugins' eventmapping
// functions, one plugin after the other.
type Operations Platform

// Operations lets the plugins' functions do them.
func (p *Platform) Operations() *Operations { return (*Operations)(p) }

// each does a step with the plugin that the cursor has come to. A cursor is the
// plugin's place in the list, a colon, the plugin's own cursor.
func (o *Operations) each(ctx context.Context, op wiring.Operation) (a wiring.Answer, err error) {
	place, inner, _ := strings.Cut(op.Cursor, ":")
	i := 0
	if op.Cursor != "" {
		if i, err = strconv.Atoi(place); err != nil || i < 0 || i >= len(o.Plugins) {
			return a, engine.ErrCursor
		}
	}
	op.Cursor = inner
	a, err = (*Platform)(o).operate(ctx, o.Plugins[i].Name, op)
	switch {
	case a.Next != "":
		a.Next = strconv.Itoa(i) + ":" + a.Next
	case i+1 < len(o.Plugins):
		a.Next = strconv.Itoa(i+1) + ":"
	}
	return a, err
}

func (o *Operations) step(ctx context.Context, op wiring.Operation) (engine.Progress, error) {
	a, err := o.each(ctx, op)
	return engine.Progress{Done: a.Done, Next: a.Next}, err
}

// ListParked pages through what is parked.
func (o *Operations) ListParked(ctx context.Context, cursor string) (parked []engine.Parked, next string, err error) {
	a, err := o.each(ctx, wiring.Operation{Do: wiring.DoParked, Cursor: cursor})
	if err != nil {
		return nil, "", err
	}
	for _, k := range a.Parked {
		st, err := engine.ParseStream(k.Stream)
		if err != nil {
			return nil, "", err
		}
		parked = append(parked, engine.Parked{Consumer: k.Consumer, Stream: st, Error: k.Error, Since: k.Since, Last: k.Last, Attempts: k.Attempts})
	}
	return parked, a.Next, nil
}

// Redrive tries a page of what is parked again.
func (o *Operations) Redrive(ctx context.Context, cursor string) (engine.Progress, error) {
	return o.step(ctx, wiring.Operation{Do: wiring.DoRedrive, Cursor: cursor})
}

// RedriveKey tries one parked key again.
func (o *Operations) RedriveKey(ctx context.Context, consumer string, s engine.Stream) error {
	return o.key(ctx, wiring.Operation{Do: wiring.DoRedriveKey, Consumer: consumer, Stream: s.String()})
}

// Skip lets a parked follower pass over the commit that it fails on.
func (o *Operations) Skip(ctx context.Context, consumer string, s engine.Stream, who, reason string) error {
	return o.key(ctx, wiring.Operation{Do: wiring.DoSkip, Consumer: consumer, Stream: s.String(), Who: who, Reason: reason})
}

func (o *Operations) key(ctx context.Context, op wiring.Operation) error {
	plugin := naming.Plugin(engine.ParseConsumer(op.Consumer).Name)
	if !(*Platform)(o).has(plugin) {
		return engine.ErrNotFound.Because("there is no consumer %s", op.Consumer)
	}
	_, err := (*Platform)(o).operate(ctx, plugin, op)
	return err
}

// Sweep brings the consumers of a page of streams up to date.
func (o *Operations) Sweep(ctx context.Context, cursor string) (engine.Progress, error) {
	return o.step(ctx, wiring.Operation{Do: wiring.DoSweep, Cursor: cursor})
}

// Verify looks at a page of streams and of what follows from them.
func (o *Operations) Verify(ctx context.Context, cursor string, settled time.Time) (v engine.Verified, err error) {
	a, err := o.each(ctx, wiring.Operation{Do: wiring.DoVerify, Cursor: cursor, From: settled.Unix()})
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(a.Verified, &v); err != nil {
		return v, fmt.Errorf("what verify found: %w", err)
	}
	v.Progress = engine.Progress{Done: a.Done, Next: a.Next}
	return v, nil
}

// Rebuild folds a page of a read model's rows again.
func (o *Operations) Rebuild(ctx context.Context, model, cursor string) (engine.Progress, error) {
	if _, ok := o.store.models[model]; !ok {
		return engine.Progress{}, engine.ErrNotFound.Because("there is no read model %s", model)
	}
	a, err := (*Platform)(o).operate(ctx, naming.Plugin(model), wiring.Operation{Do: wiring.DoRebuild, ReadModel: model, Cursor: cursor})
	return engine.Progress{Done: a.Done, Next: a.Next}, err
}

// CheckRows compares a page of a read model's rows with what their logs say.
func (o *Operations) CheckRows(ctx context.Context, model, cursor string) (p engine.Progress, err error) {
	if _, ok := o.store.models[model]; !ok {
		return p, engine.ErrNotFound.Because("there is no read model %s", model)
	}
	a, err := (*Platform)(o).operate(ctx, naming.Plugin(model), wiring.Operation{Do: wiring.DoCheck, ReadModel: model, Cursor: cursor})
	p = engine.Progress{Done: a.Done, Next: a.Next, More: a.Untold}
	if err == nil && a.Differences != nil {
		err = json.Unmarshal(a.Differences, &p.Differences)
	}
	return p, err
}
