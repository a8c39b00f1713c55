package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"onlineshop/es/naming"
	"onlineshop/httpapi"
	"onlineshop/platform/local"
	"onlineshop/plugins"
	"onlineshop/plugins/contracttest"
	"onlineshop/plugins/ordering/mail"
	"onlineshop/plugins/plugintest"
)

// The contract holds on the local platform, without an identity provider and
// with one, and every answer is what the OpenAPI document says.
func TestContract(t *testing.T) {
	for _, x := range []struct {
		name     string
		identity func(t *testing.T) (httpapi.Identity, func(r *http.Request, user string, groups ...string))
		needs    bool
	}{
		{"local identity", func(*testing.T) (httpapi.Identity, func(r *http.Request, user string, groups ...string)) {
			return httpapi.Local(), func(r *http.Request, user string, groups ...string) {
				r.Header.Set("X-Local-User", user)
				r.Header.Set("X-Local-Groups", strings.Join(groups, ","))
			}
		}, false},
		{"tokens", func(t *testing.T) (httpapi.Identity, func(r *http.Request, user string, groups ...string)) {
			p := newProvider(t)
			return p.identity(t), func(r *http.Request, user string, groups ...string) {
				r.Header.Set("Authorization", "Bearer "+p.token(t, claims{"sub": user, "groups": groups}))
			}
		}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			identity, signIn := x.identity(t)
			url, dir := serveLocal(t, identity)
			documented := &documented{t: t, doc: document(t, url), later: map[string]bool{}}
			for _, p := range plugins.All(plugins.NoDeps{}) {
				documented.later[naming.PathSegment(p.Name)] = !slices.Contains(contracttest.Specified, p.Name)
			}
			contracttest.Run(t, contracttest.Client{
				URL: url, HTTP: &http.Client{Transport: documented}, SignIn: signIn, NeedsIdentity: x.needs,
				Import: func(t testing.TB, key string, content []byte) {
					if err := os.WriteFile(filepath.Join(dir, "product-imports", key), content, 0o600); err != nil {
						t.Fatal(err)
					}
				},
			})
			documented.complete()
		})
	}
}

type noMail struct{}

func (noMail) SendOrderConfirmation(context.Context, mail.OrderConfirmation) error { return nil }

// serveLocal serves the shop's plugins on the local platform.
func serveLocal(t *testing.T, identity httpapi.Identity) (url, dir string) {
	t.Helper()
	dir = t.TempDir()
	all := plugins.All(plugintest.Deps{Mail: noMail{}})
	quiet := slog.New(slog.DiscardHandler)
	shop, err := local.Open(t.Context(), local.Options{Dir: dir, Plugins: all, Version: "test", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	h, err := httpapi.New(httpapi.Config{
		Engine: shop.Engine(), Plugins: all, Version: "test", Identity: identity, Health: shop.Health, Reports: shop, Uploads: shop, Logger: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL, dir
}

// document is the valid OpenAPI document of a shop.
func document(t *testing.T, url string) *openapi3.T {
	t.Helper()
	res, err := http.Get(url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatalf("the OpenAPI document can't be read: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the OpenAPI document is not valid: %v", err)
	}
	return doc
}

// documented is a transport that holds answers against the document.
type documented struct {
	t    *testing.T
	doc  *openapi3.T
	mu   sync.Mutex
	seen map[string]bool

	later map[string]bool // path segments of plugins that no scenario knows
}

func (d *documented) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil || res.StatusCode == http.StatusMethodNotAllowed {
		return res, err
	}
	route := d.route(r)
	if route == nil {
		if res.StatusCode != http.StatusNotFound {
			d.t.Errorf("%s %s answers %d and is not documented", r.Method, r.URL.Path, res.StatusCode)
		}
		return res, nil
	}
	d.mu.Lock()
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	d.seen[route.Method+" "+route.Path] = d.seen[route.Method+" "+route.Path] || res.StatusCode == http.StatusOK
	d.mu.Unlock()
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(r.Context(), in); err != nil {
		d.t.Errorf("%s %s: %d is not what the document says: %v\n%s", r.Method, r.URL, res.StatusCode, err, body)
	}
	return res, nil
}

func (d *documented) route(r *http.Request) *routers.Route {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for path, item := range d.doc.Paths.Map() {
		template := strings.Split(path, "/")
		if len(template) != len(segments) || segments[len(segments)-1] == "" {
			continue
		}
		matches := true
		for i := range template {
			matches = matches && (template[i] == "{id}" || template[i] == segments[i])
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if op := item.GetOperation(method); matches && op != nil {
			return &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: method, Operation: op}
		}
	}
	return nil
}

// complete holds that the contract saw every documented operation succeed.
func (d *documented) complete() {
	if d.t.Failed() {
		return // a scenario that broke off says nothing about the others
	}
	for path, item := range d.doc.Paths.Map() {
		for method := range item.Operations() {
			plugin, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
			if d.later[plugin] {
				continue
			}
			// Orders ship at once here: there is nothing to cancel. And nothing fails.
			if !d.seen[method+" "+path] && path != "/ordering/order/{id}/cancel" && path != "/operations/skip" {
				d.t.Errorf("no scenario has a 200 of %s %s", method, path)
			}
		}
	}
}
