package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

// Problems of HTTP itself; the engine and the domain have their own.
var (
	errMisdirected      = &es.Rejection{Code: "MisdirectedRequest", Status: http.StatusMisdirectedRequest}
	errMethodNotAllowed = &es.Rejection{Code: "MethodNotAllowed", Status: http.StatusMethodNotAllowed}
	errUnauthenticated  = &es.Rejection{Code: "Unauthenticated", Status: http.StatusUnauthorized}
	errMediaType        = &es.Rejection{Code: "UnsupportedMediaType", Status: http.StatusUnsupportedMediaType}
	errTooLarge         = &es.Rejection{Code: "PayloadTooLarge", Status: http.StatusRequestEntityTooLarge}
	errMalformed        = &es.Rejection{Code: "MalformedRequest", Status: http.StatusBadRequest}
	errInvalidPayload   = &es.Rejection{Code: "InvalidPayload", Status: http.StatusUnprocessableEntity}
	errUnavailable      = &es.Rejection{Code: "Unavailable", Status: http.StatusServiceUnavailable, Detail: "the shop can't answer now; try again in a moment"}
	errInternal         = &es.Rejection{Code: "InternalError", Status: http.StatusInternalServerError, Detail: "something went wrong inside the shop; the log has more under this correlationId"}
)

// refusal is what an error tells the caller.
func refusal(err error) *es.Rejection {
	var (
		no        *es.Rejection
		malformed *es.SyntaxError
		problems  *es.ValidationError
	)
	switch {
	case errors.As(err, &no):
		if no.Status < 400 { // declared by hand, without one
			c := *no
			c.Status = http.StatusConflict
			no = &c
		}
		return no
	case errors.As(err, &malformed):
		return errMalformed.Because("%s", malformed.Reason)
	case errors.As(err, &problems):
		return errInvalidPayload.Because("the payload is not valid: %s", problems).With("errors", problems.List)
	case errors.Is(err, engine.ErrDamaged):
		return errUnavailable.Because("the shop's store is damaged, and it takes nothing until its operators have mended that")
	case errors.Is(err, engine.ErrBroken):
		return errUnavailable.Because("the log of this aggregate is damaged, and nothing is decided on it or read from it until the shop's operators have mended that")
	case errors.Is(err, engine.ErrUnavailable), errors.Is(err, es.ErrUnknownType),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable
	}
	return errInternal
}

// problem is an error's answer (RFC 9457). What is no fault of the request is logged.
func (a *api) problem(ctx context.Context, c *call, err error) *answer {
	no := refusal(err)
	if no.Status >= 500 && ctx.Err() == nil {
		a.Logger.ErrorContext(ctx, "request failed", "method", c.Method, "path", c.URL.EscapedPath(),
			"correlationId", c.correlation, "error", err)
	}
	switch no.Status {
	case http.StatusUnauthorized:
		c.header.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		c.header.Set("Retry-After", "1")
	}
	p := map[string]any{}
	for name, v := range no.Members {
		p[name] = v
	}
	p["status"], p["title"], p["code"], p["correlationId"] = no.Status, title(no.Code), no.Code, c.correlation
	if p["detail"] = no.Detail; no.Detail == "" {
		p["detail"] = title(no.Code)
	}
	c.header.Set("Content-Type", "application/problem+json")
	return &answer{status: no.Status, body: marshal(p)}
}

// title is a code in words: "Product not found".
func title(code string) string {
	words := strings.ReplaceAll(naming.PathSegment(code), "-", " ")
	r := []rune(words)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

// marshal is v as JSON. Only values that have a JSON form are given to it.
func marshal(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.Bytes()
}
