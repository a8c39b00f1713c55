package es

import (
	"errors"
	"fmt"
)

// Rejection is the domain's no: an error that a rule returns and that callers tell by its
// code. Declare one per reason, and compare with [errors.Is].
type Rejection struct {
	Code    string         // stable, e.g. "ProductAlreadyExists"
	Status  int            // HTTP status: 404 or 409
	Detail  string         // a sentence for people; empty: the code says enough
	Members map[string]any // further members of the problem, e.g. productIds
}

// NotFound returns a rejection because something does not exist (404).
func NotFound(code string) *Rejection { return &Rejection{Code: code, Status: 404} }

// Conflict returns a rejection because of the current state (409).
func Conflict(code string) *Rejection { return &Rejection{Code: code, Status: 409} }

// Error returns the code, followed by the detail if there is one.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return r.Code
	}
	return r.Code + ": " + r.Detail
}

// Is reports whether target is a rejection with the same code.
func (r *Rejection) Is(target error) bool {
	t, ok := target.(*Rejection)
	return ok && t.Code == r.Code
}

// Because returns a copy of the rejection with a detail for people.
func (r *Rejection) Because(format string, args ...any) *Rejection {
	c := *r
	c.Detail = fmt.Sprintf(format, args...)
	return &c
}

// With returns a copy of the rejection with a further member in its problem document.
func (r *Rejection) With(member string, value any) *Rejection {
	c := *r
	c.Members = map[string]any{member: value}
	for k, v := range r.Members {
		c.Members[k] = v
	}
	return &c
}

// ErrUnknownType means that stored data has a type or version that this version of the
// program does not know, which happens during a rolling deployment. Retry it later.
var ErrUnknownType = errors.New("unknown type")

func unknownType(of, typ string, version int) error {
	return fmt.Errorf("%s has no event %q in version %d: %w (a newer version of the program wrote it, or an earlier one, and no es.Upcast reads it)", of, typ, version, ErrUnknownType)
}
