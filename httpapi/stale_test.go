package httpapi_test

import (
	"context"
	"testing"
)

func TestAListOfAStaleViewSaysSo(t *testing.T) {
	// Given a shop whose products are being folded by new code
	a := newAPI(t, nil)
	stale := true
	a.Engine().Refolding = func(_ context.Context, model string) (bool, error) {
		return stale && model == "Catalog.Products", nil
	}
	for path, want := range map[string]string{"/catalog/products": "true", "/catalog/products?sort=price": "true", "/catalog/categories": ""} {
		// Then lists of them say that they may be as they were before, and others don't
		w := a.send("GET", path, "")
		a.is(w, 200, "")
		if got := w.Header().Get("Stale"); got != want {
			t.Errorf("GET %s: Stale is %q, want %q", path, got, want)
		}
	}
	// And when it is over, none does
	stale = false
	if got := a.send("GET", "/catalog/products", "").Header().Get("Stale"); got != "" {
		t.Errorf("Stale is still %q", got)
	}
}
