package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever is sent, the answer is a success or a problem document, and never
// the shop's fault.
func FuzzHTTP(f *testing.F) {
	for _, x := range [][4]string{
		{"POST", "/catalog/product/p/add", "Content-Type: application/json", tea},
		{"POST", "/catalog/product/p/update-price", "Content-Type: application/json\nIf-Match: \"1\"\nIdempotency-Key: k", `{"price":1.5}`},
		{"POST", "/catalog/product/a%2Fb/add", "Content-Type: application/json; charset=utf-8", `{"name":"\ud800"}`},
		{"POST", "/catalog/product/../add", "X-Correlation-Id: \xff", "{"},
		{"POST", "/catalog/category/c/archive", "", ""},
		{"POST", "/ordering/order/o/place", "Content-Type: application/json\nX-Local-User: ann", `{"customerId":"c","productIds":["p","p"]}`},
		{"POST", "/ordering/customer/c/register", "Content-Type: application/json\nX-Local-User: ann", `{"email":"ann@example.com","address":"x"}`},
		{"GET", "/catalog/products?limit=1&cursor=x", "", ""},
		{"GET", "/catalog/products?categoryId=%00", "X-Local-Groups: ,Admin", ""},
		{"GET", "/catalog/products/p?minVersion=1", "If-None-Match: W/\"1\"", ""},
		{"HEAD", "/catalog/product/p/events?limit=200", "", ""},
		{"GET", "/catalog/product-imports/%ff/report", "", ""},
		{"GET", "/catalog/product-imports/july.csv/report", "", ""},
		{"POST", "/operations/rebuild", "Content-Type: application/json", `{"readModel":"Catalog.Products","cursor":"AAAAAAAAAAAAAAA"}`},
		{"POST", "/operations/sweep", "Origin: null\nSec-Fetch-Site: cross-site", ""},
		{"OPTIONS", "/", "traceparent: 00", ""},
		{"GET", "//health/%2e%2e?;", "Host: x", ""},
		{"GET", "/openapi.json", "", ""},
		{"\x00", "/manifest.json", "", ""},
	} {
		f.Add(x[0], x[1], x[2], x[3])
	}
	a := newAPI(f, nil)
	f.Fuzz(func(t *testing.T, method, target, header, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip("net/http refuses it")
		}
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, u
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			r.Header.Add(name, value)
		}
		a.log.Reset()
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("%d: %s\nlog: %s", w.Code, w.Body, a.log)
		}
		if w.Code < 300 || w.Code == http.StatusNotModified || w.Code == http.StatusFound {
			return
		}
		var p struct {
			Status                             int
			Title, Detail, Code, CorrelationID string
		}
		if method == http.MethodHead {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%d is not a problem document: %s", w.Code, w.Body)
		}
		if p.Status != w.Code || p.Title == "" || p.Detail == "" || p.Code == "" || p.CorrelationID == "" || p.CorrelationID != w.Header().Get("X-Correlation-Id") {
			t.Fatalf("%d with the problem document %s", w.Code, w.Body)
		}
	})
}
