package engine

import (
	"slices"
	"strings"
	"time"

	"onlineshop/es"
	"onlineshop/es/naming"
)

// Kinds of consumers.
const (
	KindMapping     = "mapping"
	KindExtension   = "extension"
	KindSideEffect  = "effect"
	KindReadModel   = "readmodel"
	KindPublication = "publication"
	KindErasure     = "erasure"
	KindTask        = "task"
)

// ConsumerID names a consumer, or a task. Its text, "mapping:Ordering.AutoShip", is
// stored: with cursors, parked keys and figures.
type ConsumerID struct {
	Kind string // such as [KindMapping]
	Name string // full name
}

// ParseConsumer reads what [ConsumerID.String] writes.
func ParseConsumer(text string) ConsumerID {
	kind, name, _ := strings.Cut(text, ":")
	return ConsumerID{kind, name}
}

func (c ConsumerID) String() string { return c.Kind + ":" + c.Name }

// Plugin returns the plugin that the consumer belongs to.
func (c ConsumerID) Plugin() string { return naming.Plugin(c.Name) }

// Consumers returns the names of all followers, read models and publications, sorted.
func (e *Engine) Consumers() (names []string) {
	for n := range e.followers {
		names = append(names, n)
	}
	for _, m := range e.models {
		names = append(names, m.consumer)
	}
	for _, p := range e.points {
		names = append(names, p.publisher())
	}
	slices.Sort(names)
	return names
}

// Sources returns the aggregates whose commits concern consumers of these kinds. Extensions
// have none: they hear of another plugin's publications.
func (e *Engine) Sources(kinds ...string) map[string]bool {
	sources := map[string]bool{}
	for _, f := range e.followers {
		if f.source != "" && slices.Contains(kinds, ParseConsumer(f.name).Kind) {
			sources[f.source] = true
		}
		if p := e.points[f.point]; p != nil && f.skipStale && slices.Contains(kinds, KindSideEffect) {
			for source := range p.publications {
				sources[source] = true
			}
		}
	}
	for _, m := range e.models {
		for _, s := range m.Sources {
			if slices.Contains(kinds, KindReadModel) {
				sources[s] = true
			}
		}
	}
	for _, p := range e.points {
		for source := range p.publications {
			if slices.Contains(kinds, KindPublication) {
				sources[source] = true
			}
		}
	}
	return sources
}

// Tasks returns the names under which tasks that have a bucket are counted, e.g.
// "task:Catalog.ImportProducts", in the plugins' order.
func (e *Engine) Tasks() (names []string) {
	for _, p := range e.Plugins {
		for _, t := range p.Tasks {
			if t.Works() {
				names = append(names, TaskConsumer(p.Name, t))
			}
		}
	}
	return names
}

// TaskConsumer returns the name under which a plugin's task is counted.
func TaskConsumer(plugin string, t es.Task) string {
	return ConsumerID{KindTask, naming.Full(plugin, t.Name)}.String()
}

// Listeners returns the names of the extensions and side effects of an extension point,
// sorted.
func (e *Engine) Listeners(point string) (names []string) {
	for _, f := range e.followers {
		if f.hears(point) {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// Heard returns the hints that an entry is for this engine's followers.
func (e *Engine) Heard(en Entry) (hints []Hint) {
	for _, name := range e.Listeners(en.Point) {
		if en.to == everybody || (en.to == sideEffects) == e.followers[name].skipStale {
			hints = append(hints, Hint{Follower: name, Stream: en.Stream, Seq: en.Seq, Entry: &en, Bulk: en.Meta.Bulk})
		}
	}
	return hints
}

// Target returns the aggregate that a follower sends commands to, "" for a side effect.
// ok is false if there is no such follower.
func (e *Engine) Target(follower string) (aggregate string, ok bool) {
	f := e.followers[follower]
	if f == nil {
		return "", false
	}
	return f.target, true
}

// Delay returns how long a follower waits at most before it acts on a commit. It is 0 for
// anything else.
func (e *Engine) Delay(follower string) time.Duration {
	switch f := e.followers[follower]; {
	case f == nil:
		return 0
	case f.due != nil:
		return longestWait
	default:
		return min(f.delay, longestWait)
	}
}
