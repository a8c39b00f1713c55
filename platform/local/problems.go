package local

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"onlineshop/es/engine"
)

// problems are what is wrong now with what the platform stands on, by component:
// the database, a watched folder. They are shown in Health, and logged once, when
// they begin, change and end. Safe for concurrent use.
type problems struct {
	log *slog.Logger
	mu  sync.Mutex
	of  map[string]engine.Problem
}

// set notes that the component has the problem that the error tells; nil: that
// it has none.
func (p *problems) set(component string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, known := p.of[component]
	detail := ""
	if err != nil {
		detail, _, _ = strings.Cut(err.Error(), "\n") // a panic's stack is for the log
	}
	switch {
	case err == nil && known:
		delete(p.of, component)
		p.log.Warn("a problem is over", "component", component, "problem", was.Detail, "since", was.Since)
	case err != nil && was.Detail != detail:
		now := engine.Problem{Component: component, Detail: detail, Since: time.Now().UTC()}
		if known {
			now.Since = was.Since
		}
		if p.of == nil {
			p.of = map[string]engine.Problem{}
		}
		p.of[component] = now
		p.log.Error("a problem", "component", component, "problem", err)
	}
}

// list are the problems there are, by component.
func (p *problems) list() []engine.Problem {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.SortedFunc(maps.Values(p.of), func(a, b engine.Problem) int { return cmp.Compare(a.Component, b.Component) })
}
