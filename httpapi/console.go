package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"

	"onlineshop/es/engine"
)

// Console is the page for people, and what it is told about the shop.
type Console struct {
	Files    fs.FS  // the built page, with index.html at the top
	Name     string // of the shop
	Currency string // ISO 4217, of the prices
	// LoginURL is where people sign in, where that is not at the issuer's own address: a
	// domain of Cognito's, which has them sign out in its own way, too.
	LoginURL string
	// Connects are the origins that the page talks to, beside the shop's and the
	// provider's: those of buckets.
	Connects []string
	// Demo fills the shop with a demo. nil: it is not offered.
	Demo func(context.Context) error
}

// pages serves the console's files.
type pages struct {
	files       fs.FS
	scripts     []string // the origins that scripts may come from
	connections []string // those that requests may go to, but for the provider's
	identity    Identity
	packed      sync.Map // name → *packed
}

// packed is a file as it is sent.
type packed struct{ plain, gzipped []byte }

// consoleRoot is where the console's files are.
const consoleRoot = "/console/"

// newPages returns nil where there is no console.
func (a *api) newPages() *pages {
	if a.Console == nil {
		return nil
	}
	scripts := []string{"'self'"}
	for _, p := range a.Plugins {
		if origin := originOf(p.UIBundleURL); origin != "" && !slices.Contains(scripts, origin) {
			scripts = append(scripts, origin)
		}
	}
	connections := append([]string{"'self'"}, a.Console.Connects...)
	if origin := originOf(a.Console.LoginURL); origin != "" {
		connections = append(connections, origin)
	}
	return &pages{files: a.Console.Files, scripts: scripts, connections: connections, identity: a.Identity}
}

// policy is the page's Content-Security-Policy.
func (p *pages) policy(ctx context.Context) string {
	connections := append(slices.Clone(p.connections), p.identity.origins(ctx)...)
	return strings.Join([]string{
		"default-src 'none'", "script-src " + strings.Join(p.scripts, " "), "style-src 'self' 'unsafe-inline'",
		"img-src 'self' data:", "font-src 'self'", "connect-src " + strings.Join(connections, " "),
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// originOf is an absolute URL's origin; "" of one of the console's own.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// page answers a request for one of the console's files; nil: it is for another path.
func (p *pages) page(c *call) (*answer, error) {
	at := c.URL.EscapedPath()
	name, below := strings.CutPrefix(at, consoleRoot)
	switch {
	case p == nil || c.Method != http.MethodGet && c.Method != http.MethodHead:
		return nil, nil
	case at == "/", at+"/" == consoleRoot:
		c.header.Set("Location", "console/") // below whatever the API's root is
		return &answer{status: http.StatusFound}, nil
	case !below || name == "config.json":
		return nil, nil
	case name == "":
		name = "index.html"
	}
	f, err := p.file(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		if name == "index.html" {
			return nil, engine.ErrNotFound.Because("this program was built without its console: build it with make, where Node is")
		}
		return nil, engine.ErrNotFound.Because("there is nothing at %s", at)
	case err != nil:
		return nil, fmt.Errorf("read the console's %s: %w", name, err)
	}
	c.header.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	c.header.Set("Content-Security-Policy", p.policy(c.Context()))
	c.header.Set("Referrer-Policy", "no-referrer")
	c.header.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "assets/") { // whose names change with what is in them
		c.header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		sum := sha256.Sum256(f.plain)
		tag := `"` + hex.EncodeToString(sum[:8]) + `"`
		c.header.Set("Cache-Control", "no-cache")
		c.header.Set("ETag", tag)
		if c.has(tag) {
			return &answer{status: http.StatusNotModified}, nil
		}
	}
	if f.gzipped != nil && strings.Contains(c.Header.Get("Accept-Encoding"), "gzip") {
		c.header.Set("Content-Encoding", "gzip")
		return &answer{body: f.gzipped}, nil
	}
	return &answer{body: f.plain}, nil
}

// file reads and packs a file the first time it is asked for.
func (p *pages) file(name string) (*packed, error) {
	if f, ok := p.packed.Load(name); ok {
		return f.(*packed), nil
	}
	if info, err := fs.Stat(p.files, name); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fs.ErrNotExist
	}
	plain, err := fs.ReadFile(p.files, name)
	if err != nil {
		return nil, err
	}
	f := &packed{plain: plain}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(plain); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if b.Len() < len(plain) {
		f.gzipped = b.Bytes()
	}
	p.packed.Store(name, f)
	return f, nil
}

// signIn is how people sign in.
type signIn struct {
	Auth     string `json:"auth"` // none or oidc
	Issuer   string `json:"issuer,omitempty"`
	ClientID string `json:"clientId,omitempty"`
	Scope    string `json:"scope,omitempty"`
	// SignOutURL is where people are to be sent with client_id and logout_uri; empty: where
	// the issuer's metadata says, as OpenID Connect has it.
	SignOutURL string `json:"signOutUrl,omitempty"`
}

// addConsole adds what the console asks for.
func (a *api) addConsole() error {
	if a.Console == nil {
		return nil
	}
	how := a.Identity.signIn()
	if a.Console.LoginURL != "" {
		how.SignOutURL = a.Console.LoginURL + "/logout"
	}
	config := marshal(struct {
		Name     string `json:"name"`
		Currency string `json:"currency"`
		Demo     bool   `json:"demo"`
		Emails   bool   `json:"emails"`
		signIn
	}{a.Console.Name, a.Console.Currency, a.Console.Demo != nil, a.Emails != nil, how})
	errs := []error{a.add(&endpoint{
		method: http.MethodGet, path: "/console/config.json", tag: "Shop", name: "console-config", summary: "What the console is told about the shop",
		answers: inline(record(object{
			"name": text, "currency": text, "demo": boolean, "emails": boolean, "auth": object{"type": "string", "enum": []string{"none", "oidc"}},
			"issuer": text, "clientId": text, "scope": text, "signOutUrl": text,
		}, "issuer", "clientId", "scope", "signOutUrl")),
		serve: func(*call) (*answer, error) { return &answer{body: config}, nil },
	})}
	if a.Console.Demo != nil {
		errs = append(errs, a.add(&endpoint{
			method: http.MethodPost, path: "/console/demo", tag: "Shop", name: "console-demo", summary: "Fill the shop with a demo; what is there stays as it is",
			allow: admin, body: true, bodyOptional: true, payload: inline(record(object{})), answers: inline(record(object{})), refuses: []int{413, 415},
			serve: func(c *call) (*answer, error) {
				if err := a.Console.Demo(c.Context()); err != nil {
					return nil, fmt.Errorf("load the demo: %w", err)
				}
				return &answer{body: []byte("{}")}, nil
			},
		}))
	}
	return errors.Join(errs...)
}
