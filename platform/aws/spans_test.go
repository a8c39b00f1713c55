package aws

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"onlineshop/platform/telemetry"
	"onlineshop/plugins/plugintest"
)

func TestWhatAnOrderSetsOffIsOneTrace(t *testing.T) {
	// Given functions whose spans are recorded
	s := newShop(t)
	spans := tracetest.NewInMemoryExporter()
	tracer := telemetry.By(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	for _, p := range s.platforms {
		p.engine.Tracer = tracer
	}
	s.Platform.engine.Tracer = tracer
	s.given("Catalog.Product", "p1", "Add", `{"name":"Book","description":"","price":9.99}`)
	s.given("Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	// When somebody orders
	s.given("Ordering.Order", "o1", "Place", `{"customerId":"c1","productIds":["p1"]}`)
	// Then all that follows is in one trace, over streams, queues and the bus
	plugintest.OrderTraced(t, spans.GetSpans())
}
