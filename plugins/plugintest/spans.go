package plugintest

import (
	"slices"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// OrderTraced holds that what one placed order sets off, in both plugins, is one trace, in
// which every span but that of Place is within another one. It returns Place's own.
func OrderTraced(t testing.TB, spans tracetest.SpanStubs) (place tracetest.SpanStub) {
	t.Helper()
	const first = "Ordering.Order Place"
	ids := map[trace.SpanID]bool{}
	for _, s := range spans {
		if ids[s.SpanContext.SpanID()] = true; s.Name == first {
			place = s
		}
	}
	var names []string
	for _, s := range spans {
		if s.SpanContext.TraceID() != place.SpanContext.TraceID() {
			continue
		}
		names = append(names, s.Name)
		if s.Name != first && !ids[s.Parent.SpanID()] {
			t.Errorf("span %s is within none of the trace", s.Name)
		}
	}
	for _, want := range []string{
		first, "readmodel:Ordering.Orders", "mapping:Ordering.AutoShip", "Ordering.Order Ship",
		"effect:Ordering.SendOrderConfirmation", "extension:Catalog.Orders_Extension", "Catalog.ProductDemand Record", "readmodel:Catalog.ProductDemands",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("the order's trace has no span %s, only %q", want, names)
		}
	}
	return place
}
