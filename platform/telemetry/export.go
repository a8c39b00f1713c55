//go:build otlp || !lambda.norpc

package telemetry

import (
	"context"
	"errors"
	"fmt"

	"onlineshop/es"
	"onlineshop/es/engine"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// Exporter makes spans and sends them, in the background. A nil one makes none. Its methods
// may be called concurrently.
type Exporter struct{ provider *sdktrace.TracerProvider }

// New returns what exports spans of the service, over HTTP; nil where the environment names
// no endpoint.
func New(ctx context.Context, service, version string) (*Exporter, error) {
	if !wanted() {
		return nil, nil
	}
	export, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export spans by OTLP: %w", err)
	}
	// What the environment says (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) comes last, and wins.
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("export spans by OTLP: %w", err)
	}
	return &Exporter{sdktrace.NewTracerProvider(sdktrace.WithBatcher(export), sdktrace.WithResource(about))}, nil
}

// Tracer returns the engine's tracer, or nil.
func (x *Exporter) Tracer() engine.Tracer {
	if x == nil {
		return nil
	}
	return By(x.provider)
}

// By returns a tracer whose spans the provider makes.
func By(p trace.TracerProvider) engine.Tracer {
	return tracer{p.Tracer("onlineshop/es/engine")}
}

type tracer struct{ of trace.Tracer }

// w3c is how a span is named outside of the process.
var w3c propagation.TraceContext

// Start implements [engine.Tracer].
func (t tracer) Start(ctx context.Context, name, traceparent string, attributes ...string) (_ context.Context, own string, end func(error)) {
	if traceparent != "" && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = w3c.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	}
	var attrs []attribute.KeyValue
	for i := 0; i < len(attributes); i += 2 {
		attrs = append(attrs, attribute.String(attributes[i], attributes[i+1]))
	}
	ctx, span := t.of.Start(ctx, name, trace.WithAttributes(attrs...))
	self := propagation.MapCarrier{}
	w3c.Inject(ctx, self)
	return ctx, self["traceparent"], func(err error) {
		var no *es.Rejection
		switch {
		case errors.As(err, &no): // an answer, not a failure
			span.SetAttributes(attribute.String("es.rejection", no.Code))
		case err != nil && !errors.Is(err, es.ErrUnfinished):
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// Flush sends what was not sent yet.
func (x *Exporter) Flush(ctx context.Context) error {
	if x == nil {
		return nil
	}
	return x.provider.ForceFlush(ctx)
}

// Close flushes, and makes no spans from then on.
func (x *Exporter) Close(ctx context.Context) error {
	if x == nil {
		return nil
	}
	return x.provider.Shutdown(ctx)
}
