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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/httpapi"
	"onlineshop/plugins"
	"onlineshop/plugins/ordering"
)

// memory is the engine's ports in memory, for what a real platform does not do
// on demand: fail. Nothing follows commits; rows are folded by asking for a
// version.
type memory struct {
	mu     sync.Mutex
	log    map[engine.Stream][]engine.Commit
	rows   map[string]engine.Row
	parked []engine.Parked
	ids    int
	fail   func(port string) error // nil: nothing fails
}

func (m *memory) call(port string) (unlock func(), err error) {
	m.mu.Lock()
	if m.fail != nil {
		err = m.fail(port)
	}
	return m.mu.Unlock, err
}

func (m *memory) Read(_ context.Context, s engine.Stream, from int64) ([]engine.Commit, bool, error) {
	unlock, err := m.call("read")
	defer unlock()
	c := m.log[s]
	return slices.Clone(c[min(from, int64(len(c))):]), false, err
}

func (m *memory) ReadBackward(_ context.Context, s engine.Stream, before int64) ([]engine.Commit, error) {
	unlock, err := m.call("read")
	defer unlock()
	c := slices.Clone(m.log[s])
	c = c[:min(before, int64(len(c)))]
	slices.Reverse(c)
	return c, err
}

func (m *memory) Append(_ context.Context, c engine.Commit) error {
	unlock, err := m.call("append")
	defer unlock()
	if err != nil {
		return err
	}
	if n := int64(len(m.log[c.Stream])); c.Seq < n {
		return &engine.Conflict{Theirs: m.log[c.Stream][c.Seq]}
	}
	m.log[c.Stream] = append(m.log[c.Stream], c)
	return nil
}

// Streams has pages of two.
func (m *memory) Streams(_ context.Context, aggregate, cursor string) (ids []string, next string, err error) {
	unlock, err := m.call("streams")
	defer unlock()
	for s := range m.log {
		if s.Aggregate == aggregate && s.ID > cursor {
			ids = append(ids, s.ID)
		}
	}
	slices.Sort(ids)
	if len(ids) > 2 {
		ids, next = ids[:2], ids[1]
	}
	return ids, next, err
}

func (m *memory) Cursor(context.Context, string, engine.Stream) (engine.Cursor, error) {
	return engine.Cursor{}, nil
}
func (m *memory) Advance(context.Context, string, engine.Stream, int64, int64) error { return nil }

func (m *memory) Row(_ context.Context, model, id string) (engine.Row, error) {
	unlock, err := m.call("row")
	defer unlock()
	if r, ok := m.rows[model+"#"+id]; ok {
		return r, err
	}
	return engine.Row{Model: model, ID: id}, err
}

func (m *memory) Put(_ context.Context, r engine.Row) (bool, error) {
	unlock, err := m.call("put")
	defer unlock()
	m.rows[r.Model+"#"+r.ID] = r
	return false, err
}

func (m *memory) List(_ context.Context, q engine.Query) (rows []engine.Row, next string, err error) {
	unlock, err := m.call("list")
	defer unlock()
	for _, r := range m.rows {
		if r.Model == q.Model && r.ID > q.Cursor && (q.Field == "" || r.Indexed[q.Field] == q.Value) && (q.Owner == "" || q.Owner == r.Owner) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b engine.Row) int { return strings.Compare(a.ID, b.ID) })
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		next = rows[q.Limit-1].ID
	}
	return rows, next, err
}

func (m *memory) Park(context.Context, engine.Parked) error                 { return nil }
func (m *memory) Unpark(context.Context, engine.Parked) error               { return nil }
func (m *memory) Send(context.Context, time.Duration, ...engine.Hint) error { return nil }
func (m *memory) Publish(context.Context, ...engine.Entry) error            { return nil }
func (m *memory) Now() time.Time                                            { return time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC) }
func (m *memory) Sleep(ctx context.Context, _ time.Duration) error          { return ctx.Err() }

func (m *memory) Parked(context.Context, string, engine.Stream) (*engine.Parked, error) {
	return nil, nil
}

// ListParked has pages of one.
func (m *memory) ListParked(_ context.Context, cursor string) ([]engine.Parked, string, error) {
	unlock, err := m.call("parked")
	defer unlock()
	i := len(cursor)
	if i >= len(m.parked) {
		return nil, "", err
	}
	next := cursor + "x"
	if i+1 == len(m.parked) {
		next = ""
	}
	return m.parked[i : i+1], next, err
}

func (m *memory) Begin(context.Context, string, []string, time.Time) error { return nil }

func (m *memory) Past(context.Context, string, engine.Stream, int64, time.Time) (bool, error) {
	return false, nil
}

func (m *memory) NewID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	return fmt.Sprintf("made-%d", m.ids)
}

// api is a handler over memory.
type api struct {
	testing.TB
	*memory
	http.Handler
	log *bytes.Buffer
}

// newAPI serves the shop's plugins from memory; with may change the rest.
func newAPI(t testing.TB, with func(*httpapi.Config)) *api {
	t.Helper()
	m := &memory{log: map[engine.Stream][]engine.Commit{}, rows: map[string]engine.Row{}}
	a := &api{TB: t, memory: m, log: &bytes.Buffer{}}
	all := plugins.All(plugins.Deps{Ordering: ordering.Deps{EmailService: noMail{}}})
	logger := slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e, err := engine.New(engine.Config{
		Plugins: all, Log: m, Cursors: m, Starts: m, Rows: m, Parking: m, Hints: m, Bus: m, Clock: m, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := httpapi.Config{
		Engine: e, Plugins: all, Version: "1.2.3", Identity: httpapi.Local(), Reports: reports{}, Logger: logger,
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
