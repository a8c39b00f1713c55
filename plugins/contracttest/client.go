// Package contracttest is the HTTP API's contract as scenarios over the shop's
// plugins. It runs against any base URL, whatever the platform behind it; every
// run uses ids of its own, so a shop that is in use will do.
package contracttest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Client is how the suite reaches a shop.
type Client struct {
	URL  string // without a slash at the end
	HTTP *http.Client
	// SignIn makes the request come from the user, who is in the groups. The suite
	// has the users admin (in Admin), ann and bob (in none).
	SignIn func(r *http.Request, user string, groups ...string)
	// Import puts a CSV file of that name where ImportProducts takes it from. nil:
	// the scenarios of imports are skipped.
	Import func(t testing.TB, key string, content []byte)
	// NeedsIdentity says that a request which nobody signed in is refused.
	NeedsIdentity bool
	// Patience is how long a view may take to follow; default 30 s.
	Patience time.Duration
}

// suite is one run.
type suite struct {
	Client
	run string // begins the ids of this run
}

// actor sends requests as one user.
type actor struct {
	testing.TB
	*suite
	user   string // empty: nobody
	groups []string
}

func (s *suite) admin(t testing.TB) actor { return actor{t, s, "admin", []string{"Admin"}} }
func (s *suite) ann(t testing.TB) actor   { return actor{t, s, "ann", nil} }
func (s *suite) bob(t testing.TB) actor   { return actor{t, s, "bob", nil} }
func (s *suite) nobody(t testing.TB) actor {
	return actor{t, s, "", nil}
}

// id makes an id that no other run and scenario has.
func (s *suite) id(name string) string { return s.run + "-" + name + "-" + rand.Text()[:6] }

// reply is an answer.
type reply struct {
	testing.TB
	request string
	Status  int
	Header  http.Header
	Body    []byte
}

// send makes a request. header lists names and values in turn.
func (a actor) send(method, path, body string, header ...string) *reply {
	a.Helper()
	r, err := http.NewRequestWithContext(a.Context(), method, a.URL+path, strings.NewReader(body))
	if err != nil {
		a.Fatalf("%s %s: %v", method, path, err)
	}
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == absent {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Add(header[i], header[i+1])
		if header[i] == "Content-Type" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	if a.user != "" {
		a.SignIn(r, a.user, a.groups...)
	}
	return a.do(r, body)
}

// absent as a header's value removes it.
const absent = "\x00"

func (a actor) do(r *http.Request, body string) *reply {
	a.Helper()
	client := *a.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	if err != nil {
		a.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	if len(body) > 200 {
		body = body[:200] + "…"
	}
	request := fmt.Sprintf("%s %s %s as %q", r.Method, r.URL.RequestURI(), body, a.user)
	out := &reply{a.TB, request, res.StatusCode, res.Header, b}
	out.wellFormed(r)
	return out
}

var printable = regexp.MustCompile(`^[\x20-\x7e]{1,128}$`)

// wellFormed holds what every answer has.
func (r *reply) wellFormed(sent *http.Request) {
	r.Helper()
	given := sent.Header.Values("X-Correlation-Id")
	correlation := r.Header.Get("X-Correlation-Id")
	if !printable.MatchString(correlation) || len(given) == 1 && printable.MatchString(given[0]) && correlation != given[0] {
		r.Errorf("%s: X-Correlation-Id is %q, sent was %q", r.request, correlation, given)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
		if got := r.Header.Get(name); got != want {
			r.Errorf("%s: %s is %q, want %q", r.request, name, got, want)
		}
	}
	if r.Status < 400 || sent.Method == http.MethodHead {
		return
	}
	var p struct {
		Status                             int
		Title, Detail, Code, CorrelationID string
	}
	err := json.Unmarshal(r.Body, &p)
	if err != nil || r.Header.Get("Content-Type") != "application/problem+json" || p.Status != r.Status ||
		p.Title == "" || p.Detail == "" || p.Code == "" || p.CorrelationID != correlation {
		r.Errorf("%s: %d, which is not a problem document of that status with title, detail, code and correlationId: %s", r.request, r.Status, r.Body)
	}
	if bytes.Contains(r.Body, []byte("goroutine ")) || bytes.Contains(r.Body, []byte(".go:")) {
		r.Errorf("%s: the answer shows a stack trace: %s", r.request, r.Body)
	}
}

func (a actor) get(path string, header ...string) *reply {
	a.Helper()
	return a.send(http.MethodGet, path, "", header...)
}

func (a actor) post(path, body string, header ...string) *reply {
	a.Helper()
	return a.send(http.MethodPost, path, body, header...)
}

// shown is the body as a failure shows it.
func (r *reply) shown() []byte {
	if len(r.Body) > 1000 {
		return append(r.Body[:1000:1000], "…"...)
	}
	return r.Body
}

// is holds the answer's status and, where want is given, its JSON.
func (r *reply) is(status int, want ...string) *reply {
	r.Helper()
	if r.Status != status {
		r.Fatalf("%s: %d, want %d: %s", r.request, r.Status, status, r.shown())
	}
	for _, w := range want {
		if got := normal(r.TB, r.Body); got != normal(r.TB, []byte(w)) {
			r.Fatalf("%s:\n got %s\nwant %s", r.request, got, normal(r.TB, []byte(w)))
		}
	}
	return r
}

// refuses holds a problem's status and code.
func (r *reply) refuses(status int, code string) *reply {
	r.Helper()
	if got := r.text("code"); r.Status != status || got != code {
		r.Fatalf("%s: %d %s, want %d %s: %s", r.request, r.Status, got, status, code, r.shown())
	}
	return r
}

// has holds one of the answer's headers.
func (r *reply) has(name, want string) *reply {
	r.Helper()
	if got := r.Header.Get(name); got != want {
		r.Fatalf("%s: %s is %q, want %q", r.request, name, got, want)
	}
	return r
}

// member is one of the answer's members as JSON; "" where it is absent.
func (r *reply) member(name string) string {
	r.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal(r.Body, &o); err != nil {
		r.Fatalf("%s: %d, no JSON object: %v: %s", r.request, r.Status, err, r.Body)
	}
	return string(o[name])
}

// text is one of the answer's members, a string.
func (r *reply) text(name string) string {
	r.Helper()
	var s string
	if m := r.member(name); m != "" {
		if err := json.Unmarshal([]byte(m), &s); err != nil {
			r.Fatalf("%s: %s is %s, want a string", r.request, name, m)
		}
	}
	return s
}

// normal is JSON with its members sorted.
func normal(t testing.TB, b []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // a price must come back digit by digit
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("no JSON: %v: %s", err, b)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// items are the rows of all pages, by following next.
func (a actor) items(path string) (all []json.RawMessage) {
	a.Helper()
	for cursor, seen := "", map[string]bool{}; ; {
		p := path
		if cursor != "" {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			p += sep + "cursor=" + url.QueryEscape(cursor)
		}
		r := a.get(p).is(http.StatusOK)
		var page struct {
			Items []json.RawMessage
			Next  *string
		}
		if err := json.Unmarshal(r.Body, &page); err != nil || page.Items == nil {
			a.Fatalf("%s: no page: %s", r.request, r.Body)
		}
		all = append(all, page.Items...)
		if page.Next == nil {
			return all
		}
		if cursor = *page.Next; cursor == "" || seen[cursor] {
			a.Fatalf("%s: next is %q, empty or there before", r.request, cursor)
		}
		seen[cursor] = true
	}
}

// eventually asks until the answer is right: views follow the log.
func (a actor) eventually(path string, right func(*reply) bool) *reply {
	a.Helper()
	patience := a.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	deadline := time.After(patience)
	for {
		r := a.get(path)
		if right(r) {
			return r
		}
		select {
		case <-deadline:
			a.Fatalf("%s: not right after %v, last was %d %s", r.request, patience, r.Status, r.shown())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// becomes is eventually for one row's whole JSON.
func (a actor) becomes(path, want string) *reply {
	a.Helper()
	w := normal(a.TB, []byte(want))
	return a.eventually(path, func(r *reply) bool { return r.Status == http.StatusOK && normal(a.TB, r.Body) == w })
}
