package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/wire"
	"onlineshop/httpapi"
	"onlineshop/platform/memory"
)

const tea = `{"name":"Tea","description":"Green","price":9.99}`

func TestStoreFails(t *testing.T) {
	for name, x := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"throttled":                {fmt.Errorf("table Catalog-7F2: %w", engine.ErrUnavailable), 503, "Unavailable"},
		"out of time":              {context.DeadlineExceeded, 503, "Unavailable"},
		"a damaged stream":         {fmt.Errorf("stream: %w", engine.ErrBroken), 503, "Unavailable"},
		"a newer version's event":  {fmt.Errorf("stream: %w", es.ErrUnknownType), 503, "Unavailable"},
		"something else":           {errors.New("table Catalog-7F2 is gone"), 500, "InternalError"},
		"something else, in depth": {errors.Join(errors.New("table Catalog-7F2"), errors.New("table Catalog-7F3")), 500, "InternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, nil)
			a.is(a.send("POST", "/catalog/product/p/add", tea), 200, "")
			a.Before = func(string) error { return x.err }
			for _, request := range []string{
				"POST /catalog/product/p/update-name", "GET /catalog/products", "GET /catalog/products/p", "GET /catalog/products/p?minVersion=1",
				"GET /catalog/product/p/events", "GET /operations/parked", "GET /operations/rejections", "POST /operations/redrive", "POST /operations/sweep", "POST /operations/rebuild",
			} {
				method, path, _ := strings.Cut(request, " ")
				body := ""
				switch path {
				case "/catalog/product/p/update-name":
					body = `{"name":"Coffee"}`
				case "/operations/rebuild":
					body = `{"readModel":"Catalog.Products"}`
				}
				w := a.send(method, path, body, "X-Correlation-Id", "c-"+path)
				a.is(w, x.status, x.code)
				if got := w.Header().Get("Retry-After"); (x.status == 503) != (got != "") {
					t.Errorf("%s: Retry-After is %q", request, got)
				}
				if strings.Contains(w.Body.String(), "7F2") || strings.Contains(w.Body.String(), ".go:") {
					t.Errorf("%s: the answer tells what is not the caller's business: %s", request, w.Body)
				}
				if x.status == 500 && (!strings.Contains(a.log.String(), "c-"+path) || !strings.Contains(a.log.String(), "7F2")) {
					t.Errorf("%s: the log lacks the cause or its correlation id: %s", request, a.log)
				}
			}
		})
	}
}

func TestPanic(t *testing.T) {
	a := newAPI(t, nil)
	a.Before = func(string) error { panic("secret") }
	w := a.send("GET", "/catalog/products/p", "", "X-Correlation-Id", "c-1")
	a.is(w, 500, "InternalError")
	if strings.Contains(w.Body.String(), "secret") || !strings.Contains(a.log.String(), "secret") || !strings.Contains(a.log.String(), "c-1") {
		t.Errorf("a panic belongs into the log, not the answer: %s, log: %s", w.Body, a.log)
	}
}

func TestContention(t *testing.T) {
	a := newAPI(t, nil)
	a.is(a.send("POST", "/catalog/product/p/add", tea), 200, "")
	theirs := engine.Commit{Stream: engine.Stream{Aggregate: "Catalog.Product", ID: "p"}, Events: []es.StoredEvent{{Type: "PriceUpdated", Data: json.RawMessage(`{"price":1}`)}}}
	var quicker func(string) error // somebody else always is
	quicker = func(method string) error {
		if method == "Append" {
			a.Before = nil
			theirs.Seq, theirs.Version = theirs.Seq+1, theirs.Seq+2
			a.given(theirs)
			a.Before = quicker
		}
		return nil
	}
	a.Before = quicker
	w := a.send("POST", "/catalog/product/p/update-price", `{"price":2}`)
	a.is(w, 503, "Unavailable")
	if w.Header().Get("Retry-After") == "" {
		t.Error("contention without Retry-After")
	}
}

func TestHosts(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) { c.Hosts = []string{"127.0.0.1:8080", "localhost:8080"} })
	for host, status := range map[string]int{
		"127.0.0.1:8080": 200, "localhost:8080": 200, "LocalHost:8080": 200,
		"": 421, "localhost": 421, "localhost:8081": 421, "evil.example.com": 421, "evil.example.com:8080": 421, "127.0.0.1:8080.evil.example.com": 421,
	} {
		code := ""
		if status == 421 {
			code = "MisdirectedRequest"
		}
		a.is(a.send("GET", "/health", "", "Host", host), status, code)
	}
	a.is(a.send("PUT", "/nowhere", "", "Host", "evil.example.com", "X-Correlation-Id", "ü"), 421, "MisdirectedRequest") // before all else
}

func TestOrigins(t *testing.T) {
	a := newAPI(t, nil)
	for name, x := range map[string]struct {
		header []string
		status int
	}{
		"no browser":               {nil, 200},
		"the shop's own page":      {[]string{"Origin", "http://example.com", "Sec-Fetch-Site", "same-origin"}, 200},
		"typed into the bar":       {[]string{"Sec-Fetch-Site", "none"}, 200},
		"another page":             {[]string{"Origin", "https://evil.example.org", "Sec-Fetch-Site", "cross-site"}, 403},
		"another port":             {[]string{"Origin", "http://example.com:9999", "Sec-Fetch-Site", "same-site"}, 403},
		"an old browser":           {[]string{"Origin", "https://evil.example.org"}, 403},
		"a page without an origin": {[]string{"Origin", "null"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a.TB = t
			code := ""
			if x.status == 403 {
				code = "Forbidden"
			}
			w := a.send("POST", "/operations/redrive", "", x.header...)
			a.is(w, x.status, code)
			for header := range w.Header() {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("the answer has the header %s: no other origin is allowed", header)
				}
			}
		})
	}
	a.is(a.send("OPTIONS", "/operations/redrive", "", "Origin", "https://evil.example.org", "Access-Control-Request-Method", "POST"), 405, "MethodNotAllowed")
}

func TestReports(t *testing.T) {
	a := newAPI(t, nil)
	given := func(key, view string) {
		t.Helper()
		row, err := a.Engine().Index(engine.Row{Model: "Catalog.ProductImports", ID: key, View: []byte(view), Rev: 1})
		if err != nil {
			t.Fatal(err)
		}
		if lost, err := a.Put(t.Context(), row); err != nil || lost {
			t.Fatal(err)
		}
	}
	for _, key := range []string{`2026/ü "june".csv`, "july.csv", "august.csv", "down.csv", "broken.csv"} {
		given(key, `{"status":"finished","report":"/there"}`)
	}
	given("replaced.csv", `{"status":"finished"}`)
	w := a.send("GET", "/catalog/product-imports/2026%2F%C3%BC%20%22june%22.csv/report", "")
	a.is(w, 200, "")
	for name, want := range map[string]string{
		"Content-Type": "text/csv; charset=utf-8", "Content-Disposition": `attachment; filename*=utf-8''%C3%BC%20%22june%22-report.csv`,
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if w.Body.String() != "line,code,reason\n" {
		t.Errorf("the report is %q", w.Body)
	}
	w = a.send("GET", "/catalog/product-imports/july.csv/report", "")
	a.is(w, 302, "")
	if got := w.Header().Get("Location"); got != "https://reports.example.com/july?signature=x" {
		t.Errorf("Location is %q", got)
	}
	a.is(a.send("GET", "/catalog/product-imports/august.csv/report", ""), 404, "NotFound")
	a.is(a.send("GET", "/catalog/product-imports/september.csv/report", ""), 404, "NotFound")
	a.is(a.send("GET", "/catalog/product-imports/replaced.csv/report", ""), 404, "NotFound")
	a.is(a.send("GET", "/catalog/product-imports/down.csv/report", ""), 503, "Unavailable")

	func() { // what broke off must not look whole
		defer func() {
			if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("a report that breaks off: %v, want the connection aborted", err)
			}
		}()
		a.send("GET", "/catalog/product-imports/broken.csv/report", "")
	}()

	without := newAPI(t, func(c *httpapi.Config) { c.Reports, c.Health = nil, nil })
	without.is(without.send("GET", "/catalog/product-imports/july.csv/report", ""), 404, "NotFound")
	without.is(without.send("GET", "/health", ""), 404, "NotFound")
}

func TestHealth(t *testing.T) {
	var health engine.Health
	var fails error
	a := newAPI(t, func(c *httpapi.Config) {
		c.Health = func(context.Context) (engine.Health, error) { return health, fails }
	})
	health = engine.Health{Status: "degraded", Version: "1.2.3", Problems: []engine.Problem{
		{Component: "folder product-imports", Detail: "it can't be read", Since: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)},
	}, Plugins: []engine.PluginHealth{
		{Name: "Catalog", Connected: true, LastHeartbeat: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600)), Consumers: []engine.ConsumerHealth{
			{Name: "readmodel:Catalog.Products", LagSeconds: 1.5, Parked: 2},
			{Name: "task:Catalog.ImportProducts", Failed: 3},
		}},
		{Name: "Ordering"},
	}}
	w := a.send("GET", "/health", "")
	a.is(w, 200, "")
	want := `{"status":"degraded","version":"1.2.3",` +
		`"problems":[{"component":"folder product-imports","detail":"it can't be read","since":"2026-01-02T03:04:06.000Z"}],"plugins":[` +
		`{"name":"Catalog","connected":true,"lastHeartbeat":"2026-01-02T02:04:05.000Z","consumers":[{"name":"readmodel:Catalog.Products","lagSeconds":1.5,"parked":2},` +
		`{"name":"task:Catalog.ImportProducts","lagSeconds":0,"parked":0,"failed":3}]},` +
		`{"name":"Ordering","connected":false,"consumers":[]}]}` + "\n"
	if w.Body.String() != want {
		t.Errorf("health is\n%s, want\n%s", w.Body, want)
	}
	fails = errors.New("the disk is gone")
	w = a.send("GET", "/health", "")
	a.is(w, 503, "Unavailable")
	if strings.Contains(w.Body.String(), "disk") || !strings.Contains(a.log.String(), "disk") {
		t.Errorf("the cause belongs into the log, not the answer: %s", w.Body)
	}
}

func TestParked(t *testing.T) {
	a := newAPI(t, nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789e5, time.UTC)
	stream := engine.Stream{Aggregate: "Ordering.Order", ID: "o1"}
	a.Page = 1
	for _, p := range []engine.Parked{
		{Consumer: "mapping:Ordering.AutoShip", Stream: stream, Error: "panic: no ship\ngoroutine 7 [running]:\nmain.go:1", Since: at, Last: at.Add(time.Hour), Attempts: 3},
		{Consumer: "readmodel:Ordering.Orders", Stream: stream, Error: "no", Since: at, Last: at, Attempts: 1},
	} {
		if err := a.Park(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	type page struct {
		Items []json.RawMessage
		Next  string
	}
	read := func(path string) (p page) {
		w := a.send("GET", path, "")
		a.is(w, 200, "")
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := read("/operations/parked")
	want := `{"consumer":"mapping:Ordering.AutoShip","stream":"Ordering.Order#o1","error":"panic: no ship","since":"2026-01-02T03:04:05.678Z","last":"2026-01-02T04:04:05.678Z","attempts":3,"next":"2026-01-02T04:04:45.678Z"}`
	if len(first.Items) != 1 || string(first.Items[0]) != want || first.Next == "" {
		t.Errorf("the first page is %s, next %q, want %s", first.Items, first.Next, want)
	}
	second := read("/operations/parked?cursor=" + first.Next)
	if len(second.Items) != 1 || second.Next != "" || !strings.Contains(string(second.Items[0]), "readmodel:") {
		t.Errorf("the second page is %s, next %q", second.Items, second.Next)
	}
}

// Long work goes on step by step, each with the cursor of the one before.
func TestSteps(t *testing.T) {
	a := newAPI(t, nil)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		a.is(a.send("POST", "/catalog/product/"+id+"/add", tea), 200, "")
	}
	for _, x := range []struct{ path, more string }{{"/operations/rebuild", `"readModel":"Catalog.Products"`}, {"/operations/sweep", ""}} {
		done, steps, body := 0, 0, "{"+x.more+"}"
		for {
			w := a.send("POST", x.path, body)
			a.is(w, 200, "")
			var p struct {
				Done int
				Next string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			done, steps = done+p.Done, steps+1
			if p.Next == "" {
				break
			}
			body = strings.TrimSuffix(`{"cursor":"`+p.Next+`",`+x.more, ",") + "}"
		}
		if done != 5 || steps < 3 {
			t.Errorf("%s did %d streams in %d steps, want 5 in at least 3", x.path, done, steps)
		}
	}
	w := a.send("GET", "/catalog/products", "")
	if n := strings.Count(w.Body.String(), `"id"`); n != 5 {
		t.Errorf("after the rebuild there are %d products, want 5: %s", n, w.Body)
	}
	w = a.send("POST", "/operations/rebuild", `{"readModel":"Catalog.Products"}`)
	var p struct{ Next string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Next == "" {
		t.Fatalf("a first step has no next: %s", w.Body)
	}
	a.is(a.send("POST", "/operations/rebuild", `{"readModel":"Catalog.Categories","cursor":"`+p.Next+`"}`), 400, "MalformedRequest")
	a.is(a.send("POST", "/operations/sweep", `{"cursor":"`+p.Next+`"}`), 400, "MalformedRequest")
}

func TestTraceparent(t *testing.T) {
	valid := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for given, want := range map[string]string{
		valid:                   valid,
		"cc" + valid[2:]:        "cc" + valid[2:],
		"cc" + valid[2:] + "-x": "cc" + valid[2:] + "-x",
		"ff" + valid[2:]:        "",
		valid + "-x":            "",
		valid + "x":             "",
		strings.ToUpper(valid):  "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": "",
		"nonsense": "",
	} {
		a := newAPI(t, nil)
		a.is(a.send("POST", "/catalog/product/p/add", tea, "traceparent", given), 200, "")
		commits, _, err := a.Read(t.Context(), engine.Stream{Aggregate: "Catalog.Product", ID: "p"}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := commits[0].Meta.Traceparent; got != want {
			t.Errorf("traceparent %q is passed on as %q, want %q", given, got, want)
		}
	}
}

func TestRequestLog(t *testing.T) {
	a := newAPI(t, nil)
	line := func(method, path string) string {
		a.Helper()
		a.log.Reset()
		a.send(method, path, "", "X-Correlation-Id", "c-1")
		lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
		return lines[len(lines)-1]
	}
	for _, x := range []struct{ method, path, level, status string }{
		{"GET", "/catalog/products", "DEBUG", "200"},
		{"GET", "/nowhere/a%2Fb", "INFO", "404"},
	} {
		for _, want := range []string{"level=" + x.level, "method=" + x.method, "path=" + x.path, "status=" + x.status, "duration=", "correlationId=c-1"} {
			if got := line(x.method, x.path); !strings.Contains(got, want) {
				t.Errorf("the log's line lacks %s: %s", want, got)
			}
		}
	}
	a.Before = func(string) error { return engine.ErrUnavailable }
	if got := line("GET", "/catalog/products"); !strings.Contains(got, "level=WARN") {
		t.Errorf("a 503 is logged as %s, want a warning", got)
	}
}

// Stored data of an earlier shape is shown as it was stored.
func TestHistoryOfEarlierShapes(t *testing.T) {
	a := newAPI(t, nil)
	s := engine.Stream{Aggregate: "Catalog.Product", ID: "p"}
	a.given(engine.Commit{Stream: s, Version: 1, Events: []es.StoredEvent{{Type: "Forgotten", Data: json.RawMessage(`{"x":1}`)}}})
	w := a.send("GET", "/catalog/product/p/events", "")
	a.is(w, 200, "")
	if !strings.Contains(w.Body.String(), `"type":"Forgotten","data":{"x":1}`) {
		t.Errorf("the history is %s", w.Body)
	}
}

func TestWhatIsPolledIsSentWhereItChanged(t *testing.T) {
	// Given a list whose first page has a cursor, which is encrypted anew each time
	a := newAPI(t, nil)
	for _, id := range []string{"a", "b", "c"} {
		a.is(a.send("POST", "/catalog/category/"+id+"/add", `{"name":"A"}`), 200, "")
		a.is(a.send("GET", "/catalog/categories/"+id+"?minVersion=1", ""), 200, "") // which brings the view up to date
	}
	tags := map[string]string{}
	for _, path := range []string{
		"/catalog/categories?limit=2", "/catalog/category", "/catalog/category/a", "/catalog/category/a/events?limit=1",
		"/operations/parked", "/whoami", "/health", "/manifest.json", "/openapi.json",
	} {
		w := a.send("GET", path, "")
		a.is(w, 200, "")
		tag := w.Header().Get("ETag")
		if !regexp.MustCompile(`^W/"h[0-9a-f]{24}"$`).MatchString(tag) {
			t.Fatalf("%s has the ETag %s, want one that is no version", path, tag)
		}
		// Then who has it gets nothing, and who has another one gets it
		w = a.send("GET", path, "", "If-None-Match", `"old", `+tag)
		a.is(w, 304, "")
		if w.Body.Len() > 0 || w.Header().Get("ETag") != tag {
			t.Errorf("%s: a 304 with %q and the ETag %s", path, w.Body, w.Header().Get("ETag"))
		}
		a.is(a.send("GET", path, "", "If-None-Match", `"old"`), 200, "")
		expectHeader(t, a.send("HEAD", path, "").Header().Get("ETag"), tag)
		tags[path] = tag
	}
	// When something changes, what says so is sent again
	a.is(a.send("POST", "/catalog/category/a/rename", `{"name":"B"}`), 200, "")
	a.is(a.send("GET", "/catalog/categories/a?minVersion=2", ""), 200, "")
	for path, status := range map[string]int{
		"/catalog/categories?limit=2": 200, "/catalog/category/a": 200, "/catalog/category": 304, "/catalog/category/a/events?limit=1": 200, // which there is more of
	} {
		a.is(a.send("GET", path, "", "If-None-Match", tags[path]), status, "")
	}
	// What is refused has no tag, and neither has what a command answers but its version
	expectHeader(t, a.send("GET", "/catalog/category/nobody", "").Header().Get("ETag"), "")
	expectHeader(t, a.send("POST", "/operations/redrive", "").Header().Get("ETag"), "")
}

func TestAHistoryStartsAtAnyVersion(t *testing.T) {
	// Given commits of one, three, one and two events
	a := newAPI(t, nil)
	version := 0
	for seq, n := range []int{1, 3, 1, 2} {
		version += n
		c := engine.Commit{Stream: engine.Stream{Aggregate: "Catalog.Product", ID: "p"}, Seq: int64(seq), Version: int64(version)}
		for range n {
			c.Events = append(c.Events, es.StoredEvent{Type: "Told", Data: json.RawMessage(`{}`)})
		}
		a.given(c)
	}
	// Then each version starts a page, and none is after the last
	for from := 1; from <= version+1; from++ {
		w := a.send("GET", fmt.Sprintf("/catalog/product/p/events?from=%d", from), "")
		a.is(w, 200, "")
		var got struct{ Items []struct{ Version int } }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Items) != version+1-from || len(got.Items) > 0 && got.Items[0].Version != from {
			t.Errorf("from version %d on there are %+v", from, got.Items)
		}
	}
	// And a log that can't be read is no empty history
	a.Before = func(string) error { return engine.ErrUnavailable }
	a.is(a.send("GET", "/catalog/product/p/events?from=3", ""), 503, "Unavailable")
}

func TestCollidingNames(t *testing.T) {
	aggregate := func(name string) es.AnyAggregate {
		return es.NewAggregate(es.AggregateRules[any, any, int]{Name: name, Commands: []es.CommandType[any]{{Name: "Do", Schema: `{}`}}})
	}
	model := func(name string) es.AnyReadModel {
		return es.NewReadModel[view](name, es.From(es.NewAggregate(es.AggregateRules[any, any, int]{Name: "A.Order"}), func(es.Recorded[any]) es.Change[view] { return nil }))
	}
	for name, x := range map[string]struct {
		plugins []es.Plugin
		err     string // empty: none
	}{
		"nothing collides":              {[]es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{aggregate("A.Order")}, ReadModels: []es.AnyReadModel{model("Orders")}}}, ""},
		"two plugins":                   {[]es.Plugin{{Name: "A"}, {Name: "A"}}, "/a"},
		"a plugin called Operations":    {[]es.Plugin{{Name: "Operations"}}, "/operations"},
		"an aggregate and a read model": {[]es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{aggregate("A.Order")}, ReadModels: []es.AnyReadModel{model("Order")}}}, "/a/order"},
		"two aggregates once in a path": {[]es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{aggregate("A.BigOrder"), aggregate("A.Big_Order")}}}, "/a/big-order"},
		"a row with an id of its own":   {[]es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{aggregate("A.Order")}, ReadModels: []es.AnyReadModel{es.NewReadModel[viewWithID]("Orders", es.From(es.NewAggregate(es.AggregateRules[any, any, int]{Name: "A.Order"}), func(es.Recorded[any]) es.Change[viewWithID] { return nil }))}}}, "property id"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := engine.New(engine.Config{Clock: memory.NewClock()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = httpapi.New(httpapi.Config{Engine: e, Plugins: x.plugins, Identity: httpapi.Local()})
			if (x.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), x.err) {
				t.Errorf("error %v, want one with %q", err, x.err)
			}
		})
	}
	if _, err := httpapi.New(httpapi.Config{}); err == nil {
		t.Error("an API without an engine is accepted")
	}
}

func TestAnInternalCommandIsNotThere(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) {
		type payload struct{}
		read := func(v wire.Value) any { v.Fields().Done(); return payload{} }
		orders := es.NewAggregate(es.AggregateRules[any, any, int]{
			Name:     "A.Order",
			Commands: []es.CommandType[any]{{Name: "Place", Schema: "{}", Empty: true, Read: read}, {Name: "Settle", Internal: true, Schema: "{}", Empty: true, Read: read}},
			Decide:   func(any, int) ([]any, error) { return nil, nil },
			Encode:   func(any) (string, []byte, error) { return "Settle", nil, nil },
		})
		c.Plugins = []es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{orders}}}
		e, err := engine.New(engine.Config{Plugins: c.Plugins, Log: c.Engine.Log, Clock: c.Engine.Clock})
		if err != nil {
			t.Fatal(err)
		}
		c.Engine = e
		for caller, want := range map[string]bool{"system": true, "local": false} {
			if err := e.Authorize(es.Caller{User: caller, Groups: []string{es.Admin}, System: want}, "A.Order", "Settle"); (err == nil) != want {
				t.Errorf("%s: %v", caller, err)
			}
		}
	})
	a.is(a.send("POST", "/a/order/1/settle", ""), 404, "NotFound")
	for _, path := range []string{"/manifest.json", "/openapi.json"} {
		if body := a.send("GET", path, "").Body.String(); strings.Contains(body, "ettle") || !strings.Contains(body, "lace") {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestTwoFilters(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) {
		orders := es.NewAggregate(es.AggregateRules[any, any, int]{Name: "A.Order"})
		rows := es.NewReadModel[view]("Orders", es.From(orders, func(es.Recorded[any]) es.Change[view] { return nil })).By("x").By("y")
		c.Plugins = []es.Plugin{{Name: "A", Aggregates: []es.AnyAggregate{orders}, ReadModels: []es.AnyReadModel{rows}}}
		e, err := engine.New(engine.Config{Plugins: c.Plugins, Rows: c.Engine.Rows, Clock: c.Engine.Clock})
		if err != nil {
			t.Fatal(err)
		}
		c.Engine = e
	})
	a.is(a.send("GET", "/a/orders?x=1", ""), 200, "")
	a.is(a.send("GET", "/a/orders?y=1", ""), 200, "")
	a.is(a.send("GET", "/a/orders?x=1&y=1", ""), 400, "MalformedRequest")

	for _, id := range []string{"o1", "o2"} {
		if _, err := a.Put(t.Context(), engine.Row{Model: "A.Orders", ID: id, View: json.RawMessage(`{}`), Indexed: map[string]string{"x": "1", "y": "1"}, Rev: 1}); err != nil {
			t.Fatal(err)
		}
	}
	w := a.send("GET", "/a/orders?x=1&limit=1", "")
	a.is(w, 200, "")
	var p struct{ Next string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Next == "" {
		t.Fatalf("the first page has no next: %s", w.Body)
	}
	w = a.send("GET", "/a/orders?x=1&cursor="+p.Next, "")
	a.is(w, 200, "")
	if got, want := w.Body.String(), `{"items":[{"id":"o2"}]}`+"\n"; got != want {
		t.Errorf("the last page is %s, want %s", got, want)
	}
	a.is(a.send("GET", "/a/orders?y=1&cursor="+p.Next, ""), 400, "MalformedRequest")
}

type (
	view       struct{}
	viewWithID struct{}
)

func (view) JSONSchema() string       { return `{"type":"object","properties":{"x":{}}}` }
func (viewWithID) JSONSchema() string { return `{"type":"object","properties":{"id":{}}}` }

func TestManifest(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) { c.Plugins[0].UIBundleURL = "https://ui.example.com/catalog.js" })
	w := a.send("GET", "/manifest.json", "")
	a.is(w, 200, "")
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	// pick follows keys and, in lists, the names of components.
	pick := func(path ...string) any {
		var at any = m
		for _, key := range path {
			switch v := at.(type) {
			case map[string]any:
				at = v[key]
			case []any:
				at = nil
				for _, x := range v {
					if x.(map[string]any)["name"] == key {
						at = x
					}
				}
			}
		}
		return at
	}
	for _, x := range []struct {
		path []string
		want string
	}{
		{[]string{"version"}, `"1.2.3"`},
		{[]string{"plugins", "Catalog", "heartbeatIntervalSeconds"}, `300`},
		{[]string{"plugins", "Catalog", "uiBundleUrl"}, `"https://ui.example.com/catalog.js"`},
		{[]string{"plugins", "Ordering", "uiBundleUrl"}, `null`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "path"}, `"/catalog/product/{id}"`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "internal"}, `false`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "path"}, `"/catalog/product/{id}/update-price"`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "access"}, `{"groups":["Admin"],"owner":false}`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "schema", "required"}, `["price"]`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "events", "PriceUpdated", "version"}, `1`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.ProductDemand", "internal"}, `true`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.ProductDemand", "commands"}, `[]`},
		{[]string{"plugins", "Catalog", "readModels", "Catalog.ProductDemands", "path"}, `"/catalog/product-demands"`},
		{[]string{"plugins", "Catalog", "readModels", "Catalog.ProductDemands", "sources"}, `["Catalog.Product","Catalog.ProductDemand"]`},
		{[]string{"plugins", "Catalog", "readModels", "Catalog.Products", "indexes"}, `["categoryId"]`},
		{[]string{"plugins", "Catalog", "extensionPoints", "Catalog.Products", "source"}, `"Catalog.Product"`},
		{[]string{"plugins", "Catalog", "extensionPoints", "Catalog.Products", "sources"}, `["Catalog.Product"]`},
		{[]string{"plugins", "Catalog", "extensionPoints", "Catalog.Products", "events", "ProductPriceChanged", "version"}, `1`},
		{[]string{"plugins", "Catalog", "extensions", "Catalog.Orders_Extension"}, `{"name":"Catalog.Orders_Extension","point":"Ordering.Orders","target":"Catalog.ProductDemand"}`},
		{[]string{"plugins", "Catalog", "tasks", "Catalog.ImportProducts"}, `{"bucket":"product-imports","example":"id,name,description,price\nteapot,Teapot,\"Holds 1.2 l, keeps warm\",24.90\n","name":"Catalog.ImportProducts","report":"/catalog/product-imports/{id}/report","sends":["Catalog.ProductImport","Catalog.Product"],"view":"Catalog.ProductImports"}`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "Add", "creates"}, `true`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "Add", "changes"}, `false`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "creates"}, `false`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "changes"}, `true`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "schema", "properties", "price", "format"}, `"price"`},
		{[]string{"plugins", "Catalog", "aggregates", "Catalog.Product", "commands", "UpdatePrice", "destructive"}, `false`},
		{[]string{"plugins", "Ordering", "aggregates", "Ordering.Order", "commands", "Cancel", "destructive"}, `true`},
		{[]string{"plugins", "Ordering", "aggregates", "Ordering.Order", "commands", "Cancel", "help"}, `"Only before it is shipped."`},
		{[]string{"plugins", "Ordering", "aggregates", "Ordering.Order", "commands", "Place", "help"}, `null`},
		{[]string{"plugins", "Ordering", "aggregates", "Ordering.Order", "commands", "Place", "schema", "properties", "productIds", "x-ref"}, `"Catalog.Products"`},
		{[]string{"plugins", "Ordering", "readModels", "Ordering.Orders", "schema", "properties", "customerId", "x-ref"}, `"Ordering.Customers"`},
		{[]string{"plugins", "Ordering", "readModels", "Ordering.Orders", "label"}, `null`},
		{[]string{"plugins", "Ordering", "readModels", "Ordering.Customers", "label"}, `"email"`},
		{[]string{"plugins", "Catalog", "readModels", "Catalog.ProductDemands", "aggregate"}, `"Catalog.Product"`},
		{[]string{"plugins", "Catalog", "readModels", "Catalog.ProductImports", "schema", "properties", "offset", "title"}, `"Bytes read"`},
		{[]string{"plugins", "Ordering", "mappings", "Ordering.AutoShip"}, `{"delaySeconds":0,"name":"Ordering.AutoShip","source":"Ordering.Order","target":"Ordering.Order"}`},
		{[]string{"plugins", "Ordering", "sideEffects", "Ordering.SendOrderConfirmation"}, `{"name":"Ordering.SendOrderConfirmation","source":"Ordering.Order","task":"Ordering.OrderNotifications"}`},
		{[]string{"plugins", "Ordering", "readModels", "Ordering.Orders", "access"}, `{"groups":["Admin"],"owner":true}`},
		{[]string{"plugins", "Ordering", "aggregates", "Ordering.Customer", "commands", "Register", "access"}, `{"groups":[],"owner":false}`},
	} {
		got, err := json.Marshal(pick(x.path...))
		if err != nil || string(got) != x.want {
			t.Errorf("%s is %s, want %s", strings.Join(x.path, "/"), got, x.want)
		}
	}
}

// The caller who went away is nobody's fault: the log must not cry wolf.
func TestWhoShutsDownTheSendingSideIsToldWhatHappened(t *testing.T) {
	a := newAPI(t, nil)
	server := httptest.NewServer(a)
	defer server.Close()
	body := `{"name":"h","description":"","price":1}`
	for n := range 20 {
		// When a client shuts down its sending side after the request, as nc -N does
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /catalog/product/half%d/add HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, len(body), body)
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		// Then it is answered
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusOK {
			t.Errorf("%d: %s; want 200", n, res.Status)
		}
		if err := errors.Join(res.Body.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestACallerWhoIsGoneDoesNotEndTheWork(t *testing.T) {
	a := newAPI(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/catalog/product/p/add", strings.NewReader(`{"name":"h","description":"","price":1}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	a.is(w, 200, "")
}

func TestLargeBodiesAreBoundedAndSmallOnesGetIn(t *testing.T) {
	// Given many large bodies that have begun to arrive, and don't end
	a := newAPI(t, nil)
	var slow sync.WaitGroup
	ends := make(chan struct{})
	answers := make(chan int, 200)
	for range cap(answers) {
		slow.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/catalog/product/p/add", io.MultiReader(strings.NewReader(strings.Repeat(" ", 9<<10)), unended(ends)))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			answers <- w.Code
		})
	}
	// Then those beyond the bound are told to come again
	for range cap(answers) - 128 {
		if code := <-answers; code != http.StatusServiceUnavailable {
			t.Errorf("a body beyond the bound: %d, want 503", code)
		}
	}
	// And a small one is taken meanwhile
	a.is(a.send("POST", "/catalog/product/small/add", `{"name":"h","description":"","price":1}`), 200, "")
	close(ends)
	slow.Wait()
}

// unended is a body that does not arrive before the channel is closed.
type unended chan struct{}

func (u unended) Read([]byte) (int, error) { <-u; return 0, io.EOF }
