package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// tagged says whether the endpoint's answers to a GET have an ETag.
func (e *endpoint) tagged() bool {
	return e.method == http.MethodGet && e.answers != nil && !e.untagged
}

// revalidate gives a JSON answer to a GET a tag of what it says, and sends nothing to a
// caller who has that already. A row's tag is its version, and stays that.
func (c *call) revalidate(out *answer) *answer {
	if !c.endpoint.tagged() || c.endpoint.etag || out.body == nil {
		return out
	}
	said := out.body
	if c.sealed != "" { // anew with each answer, although it says the same to the same callers
		said = append(bytes.Replace(said, []byte(c.sealed), []byte(c.unsealed), 1), c.belongs()...)
	}
	sum := sha256.Sum256(said)
	tag := `W/"h` + hex.EncodeToString(sum[:12]) + `"` // never a number, which would be a version
	c.header.Set("ETag", tag)
	if c.has(tag) {
		return &answer{status: http.StatusNotModified}
	}
	return out
}

// has says whether the caller holds what has that tag already.
func (c *call) has(tag string) bool {
	for _, t := range strings.Split(strings.Join(c.Header.Values("If-None-Match"), ","), ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
