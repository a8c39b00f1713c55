package telemetry_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"onlineshop/es"
	"onlineshop/platform/telemetry"
)

func TestSpansGoToTheEndpoint(t *testing.T) {
	// Given a collector
	var got collector.ExportTraceServiceRequest
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(b, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	spans, err := telemetry.New(t.Context(), "shop", "v1")
	if err != nil {
		t.Fatal(err)
	}
	// When something is done, refused and broken within one trace
	ctx, own, end := spans.Tracer().Start(t.Context(), "done", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "es.stream", "Shop.Order#1")
	for name, err := range map[string]error{"refused": es.Conflict("Taken"), "broken": errors.New("broken")} {
		_, _, end := spans.Tracer().Start(ctx, name, own)
		end(err)
	}
	end(nil)
	if err := spans.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Then it gets them with how they ended
	status := map[string]string{}
	for _, s := range got.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
		status[s.GetName()] = s.GetStatus().GetMessage()
		for _, a := range s.GetAttributes() {
			status[s.GetName()] += a.GetKey() + "=" + a.GetValue().GetStringValue()
		}
	}
	for name, want := range map[string]string{"done": "es.stream=Shop.Order#1", "refused": "es.rejection=Taken", "broken": "broken"} {
		if status[name] != want {
			t.Errorf("span %s has %q, want %q", name, status[name], want)
		}
	}
}

func TestWithoutAnEndpointThereAreNone(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	spans, err := telemetry.New(t.Context(), "shop", "v1")
	if spans != nil || err != nil || spans.Tracer() != nil || spans.Flush(t.Context()) != nil || spans.Close(t.Context()) != nil {
		t.Errorf("%v, %v", spans, err)
	}
}
