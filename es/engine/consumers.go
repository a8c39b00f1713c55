package engine

import (
	"onlineshop/es"
	"slices"
	"time"
)

// Consumers are the consumers' names, read models included, in a stable order.
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

// Tasks are the names, e.g. "task:Catalog.ImportProducts", under which the tasks
// that have a bucket are counted, in the plugins' order.
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

// TaskConsumer is the name under which a plugin's task is counted.
func TaskConsumer(plugin string, t es.Task) string { return "task:" + plugin + "." + t.Name }

// Listeners are the followers that hear of what is published at the point.
func (e *Engine) Listeners(point string) (names []string) {
	for _, f := range e.followers {
		if f.point == point {
			names = append(names, f.name)
		}
	}
	slices.Sort(names)
	return names
}

// Target is the aggregate that a follower sends commands to, "" for a side
// effect; false: there is no such follower here.
func (e *Engine) Target(follower string) (aggregate string, ok bool) {
	f := e.followers[follower]
	if f == nil {
		return "", false
	}
	return f.target, true
}

// Delay is how long a follower waits before it acts on a commit; 0 for what does
// not, or is no follower.
func (e *Engine) Delay(follower string) time.Duration {
	if f := e.followers[follower]; f != nil {
		return f.delay
	}
	return 0
}
