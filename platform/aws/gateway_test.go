package aws

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// request is what the handler behind the gateway sees.
type request struct {
	Method, Path, Query, Body string
	Header                    http.Header
}

func through(t *testing.T, event []byte, answer http.HandlerFunc) (seen request, out events.APIGatewayProxyResponse) {
	t.Helper()
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	b, err := p.Queries(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen = request{r.Method, r.URL.EscapedPath(), r.URL.Query().Encode(), string(body), r.Header}
		answer(w, r)
	})).Invoke(t.Context(), event)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return seen, out
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }

// Recorded from a REST API of API Gateway.
func TestARecordedRequestReachesTheAPI(t *testing.T) {
	event, err := os.ReadFile(filepath.Join("testdata", "rest-request.json"))
	if err != nil {
		t.Fatal(err)
	}
	seen, _ := through(t, event, ok)
	if seen.Method != http.MethodPost || seen.Path != "/catalog/product/p1/update-price" || seen.Body != `{"price":9.99}` {
		t.Errorf("the API saw %s %s %q", seen.Method, seen.Path, seen.Body)
	}
	if d := cmp.Diff([]string{"application/json"}, seen.Header.Values("content-type")); d != "" {
		t.Errorf("Content-Type: %s", d)
	}
	if d := cmp.Diff([]string{"one", "two"}, seen.Header.Values("Idempotency-Key")); d != "" {
		t.Errorf("a header that was sent twice: %s", d)
	}
	if seen.Query != "customerId=a+b%26%C3%BC&limit=1&limit=2" {
		t.Errorf("query %s", seen.Query)
	}
}

func TestAPathReachesTheAPIAsItWasEncoded(t *testing.T) {
	for path, want := range map[string]string{
		"/catalog/product-imports/a%2Fb/report":             "/catalog/product-imports/a%2Fb/report",
		"/catalog/product-imports/june%20(1)+%C3%BC%25.csv": "/catalog/product-imports/june%20(1)+%C3%BC%25.csv",
		"/catalog/product-imports/june 1.csv":               "/catalog/product-imports/june%201.csv",
		"/catalog/product-imports/ü?#.csv":                  "/catalog/product-imports/%C3%BC%3F%23.csv",
		"/catalog/product-imports/100%":                     "/catalog/product-imports/100%25",
		"/catalog/product-imports/%zz%e":                    "/catalog/product-imports/%25zz%25e",
		"//catalog//products":                               "//catalog//products",
		"/":                                                 "/",
	} {
		event, _ := json.Marshal(events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: path})
		if seen, _ := through(t, event, ok); seen.Path != want {
			t.Errorf("%s came as %s, expected %s", path, seen.Path, want)
		}
	}
}

// API Gateway shows the slashes that a path begins with in the context alone,
// behind the stage or, at a domain of one's own, behind what that is mapped to.
func TestSlashesThatAPathBeginsWithReachTheAPI(t *testing.T) {
	for _, x := range []struct{ path, context, want string }{
		{"/catalog/products", "/prod//catalog/products", "//catalog/products"},
		{"/catalog/products", "//catalog/products", "//catalog/products"},
		{"/", "/prod//", "//"},
		{"/catalog/products", "/prod/catalog/products", "/catalog/products"},
		{"/catalog/products", "/catalog/products", "/catalog/products"},
		{"//catalog/products", "/prod//catalog/products", "//catalog/products"},
		{"/", "/prod/", "/"},
		{"/", "/prod", "/"},
		{"/", "/", "/"},
	} {
		event, _ := json.Marshal(events.APIGatewayProxyRequest{
			HTTPMethod: "GET", Path: x.path, RequestContext: events.APIGatewayProxyRequestContext{Path: x.context},
		})
		if seen, _ := through(t, event, ok); seen.Path != x.want {
			t.Errorf("%s in the context %s came as %s, expected %s", x.path, x.context, seen.Path, x.want)
		}
	}
}

// After that API Gateway has answered in its place.
func TestARequestHasAnEndBeforeAPIGatewayGivesUp(t *testing.T) {
	event, _ := json.Marshal(events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/"})
	through(t, event, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if end, ok := r.Context().Deadline(); !ok || time.Until(end) > 28*time.Second {
			t.Errorf("it may take until %v", end)
		}
	})
}

func TestBytesPassTheGatewayBothWays(t *testing.T) {
	event, _ := json.Marshal(events.APIGatewayProxyRequest{HTTPMethod: "POST", Path: "/", Body: "/w==", IsBase64Encoded: true})
	seen, out := through(t, event, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("X-Twice", "one")
		w.Header().Add("X-Twice", "two")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("\xfe"))
	})
	if seen.Body != "\xff" {
		t.Errorf("the API saw %q", seen.Body)
	}
	if out.StatusCode != http.StatusTeapot || out.Body != "/g==" || !out.IsBase64Encoded || len(out.MultiValueHeaders["X-Twice"]) != 2 {
		t.Errorf("answer %+v", out)
	}
}

func TestAnAnswerThatBreaksOffIsAnError(t *testing.T) {
	p := &Platform{log: slog.New(slog.DiscardHandler)}
	h := p.Queries(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	event, _ := json.Marshal(events.APIGatewayProxyRequest{HTTPMethod: "GET", Path: "/"})
	if out, err := h.Invoke(t.Context(), event); err == nil {
		t.Errorf("answer %s", out)
	}
	if out, err := h.Invoke(t.Context(), []byte(`{"do":"sweep"}`)); err == nil {
		t.Errorf("an event of another kind was answered with %s", out)
	}
}
