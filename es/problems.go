package es

import (
	"time"

	"onlineshop/es/wire"
)

// ValidationError collects what is wrong with a payload, each problem with a JSON pointer. As
// an error it comes from [Aggregate.Valid].
type ValidationError = wire.ValidationError

// SyntaxError is the error of a body that is not one JSON value in valid UTF-8 with every
// member once.
type SyntaxError = wire.SyntaxError

// FormatTime formats t as RFC 3339 in UTC with milliseconds, e.g.
// 2026-01-02T15:04:05.000Z.
func FormatTime(t time.Time) string { return wire.FormatTime(t) }
