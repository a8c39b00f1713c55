package es

import "strings"

// Requests are what an extension point takes: commands that other plugins send to its own.
// The contract declares them beside its events; [Accept] makes them commands of
// aggregates, and another plugin's [Ask] sends them.
type Requests[R any] struct{ point Point[R] }

// NewRequests returns the requests with these rules: as events, since that is how they
// travel. Generated code calls it.
func NewRequests[R any](r PointRules[R]) Requests[R] { return Requests[R]{NewPoint(r)} }

// Name returns the full name of the extension point, e.g. "Catalog.Products".
func (r Requests[R]) Name() string { return r.point.Name() }

// Ask declares which of source's events of type T, which is one event or the whole union,
// send requests to another plugin's extension point. They arrive once, in the order of the
// source's stream, those of its history first. f must be pure.
//
// They travel as a publication of the asking plugin, whose name has both: what
// Shipping asks of Catalog.Products is "Shipping.Catalog.Products".
func Ask[C, E, S, R, T any](source Aggregate[C, E, S], of Requests[R], f func(Recorded[T]) []R) Publication {
	p := Publish(source, of.point, f)
	asks, _, _ := strings.Cut(source.rules.Name, ".")
	p.Point.Name = asks + "." + of.Name()
	p.Asks = true
	return p
}

// Accept declares an extension point's own side: how requests of type T, which is one or
// the whole union, become target's commands, whichever plugin asks. A request is enveloped
// as an extension's event is; its Meta's Service is the plugin that asks. f must be pure.
func Accept[R, C, E, S, T any](name string, of Requests[R], target Aggregate[C, E, S], f func(Recorded[T]) Commands[C]) Extension {
	x := NewExtension(name, of.point, target, f)
	x.Accepts = true
	return x
}
