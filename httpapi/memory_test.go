package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"onlineshop/es/engine"
	"onlineshop/httpapi"
	"onlineshop/platform/memory"
	"onlineshop/plugins"
	"onlineshop/plugins/plugintest"
)

// api is a handler over a platform in memory, on which nothing follows commits: rows
// are folded by asking for a version.
type api struct {
	testing.TB
	*memory.Platform
	http.Handler
	log *bytes.Buffer
}

// given appends to a stream.
func (a *api) given(c engine.Commit) {
	a.Helper()
	if err := a.Store.Append(context.Background(), c); err != nil {
		a.Fatal(err)
	}
}

// newAPI serves the shop's plugins from memory; with may change the rest.
func newAPI(t testing.TB, with func(*httpapi.Config)) *api {
	t.Helper()
	a := &api{TB: t, log: &bytes.Buffer{}}
	all := plugins.All(plugintest.Deps{Mail: noMail{}})
	logger := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, err := memory.New(all, func(c *engine.Config) { c.Logger = logger })
	if err != nil {
		t.Fatal(err)
	}
	a.Platform, p.Page = p, 2
	c := httpapi.Config{
		Engine: p.Engine(), Plugins: all, Version: "1.2.3", Identity: httpapi.Local(), Reports: reports{}, Logger: logger,
		Health: func(context.Context) (engine.Health, error) {
			return engine.Health{Status: "ok", Version: "1.2.3"}, nil
		},
	}
	if with != nil {
		with(&c)
	}
	if a.Handler, err = httpapi.New(c); err != nil {
		t.Fatal(err)
	}
	return a
}

// send makes a request; header lists names and values in turn.
func (a *api) send(method, path, body string, header ...string) *httptest.ResponseRecorder {
	a.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// is holds an answer's status and, for a problem, its code.
func (a *api) is(w *httptest.ResponseRecorder, status int, code string) {
	a.Helper()
	var p struct{ Code string }
	if code != "" {
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			a.Fatalf("%d, no problem document: %s", w.Code, w.Body)
		}
	}
	if w.Code != status || p.Code != code {
		a.Fatalf("%d %s, want %d %s: %s", w.Code, p.Code, status, code, w.Body)
	}
}

// reports has one of "june.csv", and a link for "july.csv".
type reports struct{}

func (reports) Report(_ context.Context, task, key string) (engine.Report, error) {
	switch {
	case task != "Catalog.ImportProducts":
		return engine.Report{}, fmt.Errorf("there is no task %s", task)
	case key == "2026/ü \"june\".csv":
		return engine.Report{Body: io.NopCloser(strings.NewReader("line,code,reason\n"))}, nil
	case key == "july.csv", key == "replaced.csv":
		return engine.Report{URL: "https://reports.example.com/july?signature=x"}, nil
	case key == "broken.csv":
		return engine.Report{Body: io.NopCloser(io.MultiReader(strings.NewReader("line"), broken{}))}, nil
	case key == "down.csv":
		return engine.Report{}, engine.ErrUnavailable
	}
	return engine.Report{}, engine.ErrNotFound
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
