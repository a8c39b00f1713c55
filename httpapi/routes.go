package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// endpoint is one method of one path, with all that is checked before it
// answers and all that OpenAPI says about it.
type endpoint struct {
	method, path string // "/catalog/product/{id}/update-price"
	tag          string // plugin, or what else it belongs to
	name         string // operationId
	summary      string

	allow        func(es.Caller) error // nil: public
	id           *idRule               // of {id}; nil: the path has none
	query        []parameter
	without      map[string]string      // query parameters that others like it have, and why it has none
	rows         bool                   // the answer is a list of rows, of which some may be stale
	owner        func(es.Caller) string // whose rows a page shows; nil or "": everybody's
	command      bool                   // takes Idempotency-Key, If-Match and traceparent
	body         bool                   // takes one
	long         bool                   // the answer takes as long as it takes
	large        bool                   // takes one of any size, and reads it itself
	payload      *schema                // of the body
	file         bool                   // the body is a file, of text
	bodyOptional bool                   // the body may be missing
	answers      *schema                // of the 200; nil: text
	text         string                 // its media type; empty: text/csv
	etag         bool                   // the answer's is an aggregate's version
	untagged     bool                   // the answer has none: it is of several versions
	refuses      []int                  // statuses beyond those that every endpoint has

	serve func(*call) (*answer, error)
}

// idRule says which ids a path takes.
type idRule struct {
	valid  func(string) bool
	rule   string
	schema map[string]any
}

var (
	commandID = &idRule{
		es.ValidID, es.IDRule,
		map[string]any{"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._~-]+$"},
	}
	anyID = &idRule{
		es.ValidInternalID, "an id is valid UTF-8 of 1 to 1,024 bytes, percent-encoded as one path segment",
		map[string]any{"type": "string", "minLength": 1, "maxLength": 1024},
	}
)

// route is a path's segments; the third stands for all ids.
type route [4]string

const idSegment = "{id}"

func (a *api) add(e *endpoint) error {
	var to route
	copy(to[:], strings.Split(e.path[1:], "/"))
	methods := a.routes[to]
	if methods == nil {
		methods = map[string]*endpoint{}
		a.routes[to] = methods
	}
	if methods[e.method] != nil {
		return fmt.Errorf("%s and %s have the same path: %s %s", methods[e.method].name, e.name, e.method, e.path)
	}
	methods[e.method] = e
	a.endpoints = append(a.endpoints, e)
	return nil
}

// find sets the call's endpoint and id. Segments are decoded one by one and
// nothing is cleaned, so that an id stays what the caller sent.
func (a *api) find(c *call) error {
	nowhere := engine.ErrNotFound.Because("there is nothing at %s", c.URL.EscapedPath())
	path, ok := strings.CutPrefix(c.URL.EscapedPath(), "/")
	segments := strings.Split(path, "/")
	if last := len(segments) - 1; !ok || last >= len(route{}) || segments[last] == "" {
		return nowhere
	}
	var to route
	for i, s := range segments {
		s, err := url.PathUnescape(s)
		if err != nil {
			return nowhere
		}
		to[i] = s
	}
	method := c.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if c.endpoint = a.routes[to][method]; c.endpoint != nil {
		return nil
	}
	if len(segments) > 2 {
		c.id, to[2] = to[2], idSegment
	}
	methods := a.routes[to]
	if c.endpoint = methods[method]; c.endpoint != nil {
		return nil
	}
	if len(methods) == 0 {
		return nowhere
	}
	c.header.Set("Allow", allowed(methods))
	return errMethodNotAllowed.Because("%s is not for %s, only %s", c.URL.EscapedPath(), c.Method, c.header.Get("Allow"))
}

func allowed(methods map[string]*endpoint) string {
	var names []string
	for m := range methods {
		names = append(names, m)
		if m == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
