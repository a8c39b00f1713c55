package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/httpapi"
	"onlineshop/platform/memory"
)

func TestOperatorsSeeSchedulesAndRunThem(t *testing.T) {
	failure := errors.New("no paper")
	all := []es.Plugin{{Name: "P", Tasks: []es.Task{{Name: "Task", Schedules: []es.Schedule{
		{Name: "Nightly", Cron: "30 3 * * *", TimeZone: "Europe/Berlin", Run: func(context.Context, es.Occurrence, es.Shop) error { return failure }},
		{Name: "Hourly", Every: time.Hour, Run: func(context.Context, es.Occurrence, es.Shop) error { return nil }},
	}}}}}
	p, err := memory.New(all, func(c *engine.Config) { c.Logger = slog.New(slog.DiscardHandler) })
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(c *httpapi.Config) { c.Engine, c.Plugins = p.Engine(), all })
	list := func() []string {
		t.Helper()
		w := a.send("GET", "/operations/schedules", "")
		a.is(w, 200, "")
		var page struct{ Items []json.RawMessage }
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Items) != 2 {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return []string{string(page.Items[0]), string(page.Items[1])}
	}
	// Given schedules that have not run
	want := []string{
		`{"name":"P.Task.Nightly","cron":"30 3 * * *","timeZone":"Europe/Berlin","next":"2026-01-03T02:30:00.000Z"}`,
		`{"name":"P.Task.Hourly","everySeconds":3600,"next":"2026-01-02T04:00:00.000Z"}`,
	}
	if got := list(); got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %q, want %q", got, want)
	}
	// When one is asked to run, then that is seen
	a.is(a.send("POST", "/operations/run", `{"schedule":"P.Task.Nightly"}`), 200, "")
	if got := list()[0]; !strings.Contains(got, `"asked":"2026-01-02T03:04:05.678Z"`) {
		t.Errorf("got %s", got)
	}
	// And how it ended
	if err := p.Engine().RunSchedule(t.Context(), "P.Task.Nightly", func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	if got := list()[0]; !strings.Contains(got, `"outcome":"failed","error":"no paper","extra":true}`) {
		t.Errorf("got %s", got)
	}
	a.is(a.send("POST", "/operations/run", `{"schedule":"P.Task.Yearly"}`), 404, "NotFound")
	a.is(a.send("POST", "/operations/run", `{}`), 422, "InvalidPayload")
	if got := a.send("GET", "/manifest.json", "").Body.String(); !strings.Contains(got, `"schedules":[{"name":"P.Task.Nightly","cron":"30 3 * * *","timeZone":"Europe/Berlin"},{"name":"P.Task.Hourly","everySeconds":3600}]`) {
		t.Errorf("the manifest says %s", got)
	}
}
