package engine

import (
	"onlineshop/es"
	"slices"
	"time"
)

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

// Tasks returns the names under which tasks that have a bucket are counted, e.g.
// "task:Catalog.ImportProducts", in the plugins' order.
func (e *Engine) Tasks() (names []string) {
	for _, p := range e.Plugins {
		for _, t := range p.Tasks {
			if t.Bucket != "" {
				names = append(names, TaskConsumer(p.Name, t))
			}
		}
	}
	return names
}

// TaskConsumer returns the name under which a plugin's task is counted.
func TaskConsumer(plugin string, t es.Task) string { return "task:" + plugin + "." + t.Name }

// Listeners returns the names of the extensions of an extension point, sorted.
func (e *Engine) Listeners(point string) (names []string) {
	for _, f := range e.followers {
		if f.point == point {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
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

// Delay returns how long a follower waits before it acts on a commit. It is 0 for
// anything else.
func (e *Engine) Delay(follower string) time.Duration {
	if f := e.followers[follower]; f != nil {
		return f.delay
	}
	return 0
}
