package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"onlineshop/httpapi"
)

// built is a console's files.
var built = fstest.MapFS{
	"index.html":          {Data: []byte("<!doctype html><title>Console</title><p>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")},
	"assets/app-1a2b.js":  {Data: []byte("run()")},
	"bundles/catalog.js":  {Data: []byte("export const register = () => {}")},
	"assets/app-1a2b.css": {Data: []byte("p { color: red }")},
}

func withConsole(c *httpapi.Console) func(*httpapi.Config) {
	return func(x *httpapi.Config) { x.Console = c }
}

func TestTheConsoleIsServed(t *testing.T) {
	a := newAPI(t, func(c *httpapi.Config) {
		c.Console = &httpapi.Console{Files: built, Name: "Tea & Co", Currency: "CHF"}
		c.Plugins[0].UIBundleURL = "https://bundles.example.com/catalog.js?v=1"
	})
	// The root leads to it, wherever that is
	for _, path := range []string{"/", "/console"} {
		w := a.send("GET", path, "")
		a.is(w, 302, "")
		expectHeader(t, w.Header().Get("Location"), "console/")
	}
	// The page is asked for again, and is small to send where it has not changed
	w := a.send("GET", "/console/", "")
	a.is(w, 200, "")
	expectHeader(t, w.Header().Get("Content-Type"), "text/html; charset=utf-8")
	expectHeader(t, w.Header().Get("Cache-Control"), "no-cache")
	a.is(a.send("GET", "/console/", "", "If-None-Match", w.Header().Get("ETag")), 304, "")
	// It may run what is its own and the operator's bundles, and nothing else
	expectHeader(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'; script-src 'self' https://bundles.example.com; style-src 'self' 'unsafe-inline'; "+
		"img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	// What its name tells apart is kept for ever
	w = a.send("GET", "/console/assets/app-1a2b.js", "")
	a.is(w, 200, "")
	expectHeader(t, w.Header().Get("Cache-Control"), "public, max-age=31536000, immutable")
	expectHeader(t, w.Header().Get("Content-Type"), "text/javascript; charset=utf-8")
	expectHeader(t, w.Body.String(), "run()")
	// It is compressed where that is taken and makes it smaller
	w = a.send("GET", "/console/", "", "Accept-Encoding", "br, gzip")
	expectHeader(t, w.Header().Get("Content-Encoding"), "gzip")
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, built["index.html"].Data) {
		t.Errorf("compressed: %q, %v", plain, err)
	}
	expectHeader(t, a.send("GET", "/console/assets/app-1a2b.js", "", "Accept-Encoding", "gzip").Header().Get("Content-Encoding"), "")
	// Nothing else is there
	for _, path := range []string{"/console/nothing.js", "/console/../go.mod", "/console/assets/", "/console/assets", "/console//index.html", "/console/%2e%2e/go.mod"} {
		a.is(a.send("GET", path, ""), 404, "NotFound")
	}
	a.is(a.send("POST", "/console/", ""), 404, "NotFound")
	// It is told about the shop, and offers no demo that there is none of
	w = a.send("GET", "/console/config.json", "")
	a.is(w, 200, "")
	expectHeader(t, w.Body.String(), `{"name":"Tea & Co","currency":"CHF","demo":false,"emails":false,"auth":"none"}`+"\n")
	a.is(a.send("POST", "/console/demo", ""), 404, "NotFound")
}

// Where people sign in elsewhere than at their issuer, and files go to a bucket, the page
// may talk to both, and knows where they sign out.
func TestTheConsoleIsToldWhereElseItsPeopleGo(t *testing.T) {
	id, err := httpapi.JWT("https://cognito-idp.eu-central-1.amazonaws.com/pool", "client")
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(c *httpapi.Config) {
		c.Identity = id
		c.Console = &httpapi.Console{
			Files: built, Name: "Tea", Currency: "CHF",
			LoginURL: "https://shop.auth.eu-central-1.amazoncognito.com", Connects: []string{"https://imports.s3.eu-central-1.amazonaws.com"},
		}
	})
	policy := a.send("GET", "/console/", "").Header().Get("Content-Security-Policy")
	const want = "connect-src 'self' https://imports.s3.eu-central-1.amazonaws.com https://shop.auth.eu-central-1.amazoncognito.com https://cognito-idp.eu-central-1.amazonaws.com;"
	if !strings.Contains(policy, want) {
		t.Errorf("the policy is %s, want %s", policy, want)
	}
	expectHeader(t, a.send("GET", "/console/config.json", "").Body.String(), `{"name":"Tea","currency":"CHF","demo":false,"emails":false,"auth":"oidc",`+
		`"issuer":"https://cognito-idp.eu-central-1.amazonaws.com/pool","clientId":"client","scope":"openid email profile",`+
		`"signOutUrl":"https://shop.auth.eu-central-1.amazoncognito.com/logout"}`+"\n")
}

func expectHeader(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}

func TestThePageMaySendRequestsToTheProvider(t *testing.T) {
	// Given a provider that answers for its tokens elsewhere, as Cognito does
	p := newProvider(t)
	p.tokens = "https://tokens.example.com/oauth2/token"
	connections := func(a *api) string {
		policy := a.send("GET", "/console/", "").Header().Get("Content-Security-Policy")
		_, after, _ := strings.Cut(policy, "connect-src ")
		allowed, _, _ := strings.Cut(after, ";")
		return allowed
	}
	signedInTo := func(identity httpapi.Identity) *api {
		return newAPI(t, func(c *httpapi.Config) { c.Console, c.Identity = &httpapi.Console{Files: built}, identity })
	}
	expectHeader(t, connections(signedInTo(p.identity(t))), "'self' "+p.URL+" https://tokens.example.com")
	// While it does not answer, the page can ask it whether it is back
	away := p.identity(t)
	p.Close()
	expectHeader(t, connections(signedInTo(away)), "'self' "+p.URL)
}

func TestAConsoleThatIsNotBuiltSaysSo(t *testing.T) {
	a := newAPI(t, withConsole(&httpapi.Console{Files: fstest.MapFS{"placeholder": {}}}))
	w := a.send("GET", "/console/", "")
	a.is(w, 404, "NotFound")
	// And where there is none at all, its paths are nobody's
	a = newAPI(t, nil)
	for _, path := range []string{"/", "/console/", "/console/config.json"} {
		a.is(a.send("GET", path, ""), 404, "NotFound")
	}
}

func TestTheDemoIsForAdmin(t *testing.T) {
	loaded := 0
	var failure error
	a := newAPI(t, withConsole(&httpapi.Console{Files: built, Demo: func(context.Context) error { loaded++; return failure }}))
	a.is(a.send("POST", "/console/demo", "{}", "X-Local-User", "ann"), 403, "Forbidden")
	a.is(a.send("POST", "/console/demo", "{}"), 200, "")
	if loaded != 1 {
		t.Errorf("the demo was loaded %d times", loaded)
	}
	failure = errors.New("out of paper")
	a.is(a.send("POST", "/console/demo", "{}"), 500, "InternalError")
}
