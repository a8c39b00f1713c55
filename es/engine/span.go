package engine

import (
	"context"
	"strconv"
)

// Tracer makes spans of OpenTelemetry. Safe for concurrent use.
type Tracer interface {
	// Start begins a span within that of ctx, or if it has none, within the one that
	// traceparent names, which is empty for a root (W3C Trace Context). It returns the
	// span's own traceparent. attributes are names and values in turn. end must be called
	// with the outcome.
	Start(ctx context.Context, name, traceparent string, attributes ...string) (_ context.Context, own string, end func(error))
}

// noSpans makes none.
type noSpans struct{}

func (noSpans) Start(ctx context.Context, _, traceparent string, _ ...string) (context.Context, string, func(error)) {
	return ctx, traceparent, func(error) {}
}

// traces reports whether there are spans: what they are named by need not be made for none.
func (e *Engine) traces() bool {
	_, none := e.Tracer.(noSpans)
	return !none
}

// traced does work on a commit in a span of its own.
func (e *Engine) traced(ctx context.Context, name string, s Stream, seq int64, m Meta, do func(context.Context) error) error {
	if !e.traces() {
		return do(ctx)
	}
	ctx, _, end := e.Tracer.Start(ctx, name, m.Traceparent, attrStream, s.String(), attrSeq, strconv.FormatInt(seq, 10), attrCorrelation, m.CorrelationID)
	err := do(ctx)
	end(discreet(ctx, err))
	return err
}

// Attributes of spans.
const (
	attrStream      = "es.stream"
	attrSeq         = "es.seq"
	attrCorrelation = "es.correlation_id"
	attrObject      = "es.object"
	attrOccurrence  = "es.occurrence"
)
