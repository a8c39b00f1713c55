package local

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"onlineshop/platform/telemetry"
	"onlineshop/plugins/plugintest"
)

func TestWhatAnOrderSetsOffIsOneTrace(t *testing.T) {
	// Given a shop whose spans are recorded
	spans := tracetest.NewInMemoryExporter()
	tracer := telemetry.By(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), Tracer: tracer})
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	send(t, p, "Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	caughtUp(t, p)
	// When a client orders, in a trace of its own
	client := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
	if err := order(client, p, "Ordering.Order", "o1", "Place", `{"customerId":"c1","productIds":["p1"]}`); err != nil {
		t.Fatal(err)
	}
	caughtUp(t, p)
	// Then all that follows is in that trace
	place := plugintest.OrderTraced(t, spans.GetSpans())
	expect(t, "trace", place.SpanContext.TraceID().String(), "4bf92f3577b34da6a3ce929d0e0e4736")
	expect(t, "the client's span", place.Parent.SpanID().String(), "00f067aa0ba902b7")
}
