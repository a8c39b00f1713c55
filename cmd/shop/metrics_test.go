package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestAScraperReadsWhatIsCounted(t *testing.T) {
	// Given a shop that has answered a request
	p := start(t, binary, t.TempDir())
	get := func(path string) (string, string) {
		t.Helper()
		res, err := http.Get(p.base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v\n%s", path, res.Status, err, b)
		}
		return string(b), res.Header.Get("Content-Type")
	}
	get("/catalog/products")
	// When Prometheus scrapes it
	text, contentType := get("/metrics")
	// Then it can read all of it
	if !strings.HasPrefix(contentType, "text/plain; version=0.0.4") {
		t.Errorf("its type is %s", contentType)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop_ok", "shop_plugin_connected", "shop_consumer_lag_seconds", "shop_consumer_parked", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("there is no %s in\n%s", name, text)
		}
	}
	if want := `shop_http_request_duration_seconds_count{operation="Catalog.Products-list",status="200"} 1`; !strings.Contains(text, want) {
		t.Errorf("there is no %s in\n%s", want, text)
	}
}
