package generate

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// writePlugin writes the composition.
func (p *plugin) writePlugin(w *writer) error {
	parameter := ""
	if fields := p.dependencies(w); len(fields) > 0 {
		parameter = "d Deps"
		w.f("// Deps is what the plugin's components ask for.\ntype Deps interface {")
		for _, x := range fields {
			w.f("%s() %s // for %s", x.field, x.goType, strings.Join(x.users, ", "))
		}
		w.f("}\n")
	}
	w.f("// Plugin is everything below this folder.\nfunc Plugin(%s) %s {\nreturn %s{", parameter, w.es("Plugin"), w.es("Plugin"))
	w.f("Name: %q,\nHeartbeatInterval: %s,", p.name, w.duration(p.heartbeat))
	var aggregates []string
	for _, a := range p.aggregates {
		aggregates = append(aggregates, w.symbol(a.pkg.path, a.pkg.name, "Aggregate"))
	}
	for _, c := range p.components {
		if c.list == "Aggregates" {
			aggregates = append(aggregates, w.component(c))
		}
	}
	w.list("Aggregates", "AnyAggregate", aggregates)
	for _, l := range []struct{ list, typ string }{
		{"ReadModels", "AnyReadModel"}, {"Mappings", "Mapping"}, {"Publications", "Publication"}, {"Extensions", "Extension"}, {"Tasks", "Task"},
	} {
		var items []string
		for _, c := range p.components {
			if c.list != l.list {
				continue
			}
			item := w.component(c)
			if l.list == "ReadModels" {
				code, err := p.code(c)
				if err != nil {
					return err
				}
				item = fmt.Sprintf("%s(%s, %q)", w.es("FoldedBy"), item, code)
			}
			items = append(items, item)
		}
		w.list(l.list, l.typ, items)
	}
	w.f("}\n}")
	return nil
}

func (w *writer) list(field, typ string, items []string) {
	if items != nil {
		w.f("%s: []%s{%s},", field, w.es(typ), strings.Join(items, ", "))
	}
}

func (w *writer) component(c *component) string {
	s := w.symbol(c.pkg.path, c.pkg.name, c.name)
	if c.method != "" {
		return s + "." + c.method + "()"
	}
	if !c.function {
		return s
	}
	var args []string
	for _, x := range c.parameters {
		args = append(args, "d."+x.field+"()")
	}
	return s + "(" + strings.Join(args, ", ") + ")"
}

// dependency is a method of Deps.
type dependency struct {
	parameter
	goType string
	users  []string // "order.AutoShip"
}

// dependencies are the parameters of all components, each name once.
func (p *plugin) dependencies(w *writer) []*dependency {
	byName := map[string]*dependency{}
	for _, c := range p.components {
		user := c.pkg.name + "." + c.name
		for _, x := range c.parameters {
			typ := x.file.qualified(x.typ)
			known := byName[x.field]
			if known == nil {
				known = &dependency{parameter: x, goType: x.file.spell(x.typ, func(from, _ string) string { return w.qualifier(from, p.packageName(from)) })}
				byName[x.field] = known
			} else if other := known.file.qualified(known.typ); other != typ {
				p.mistake(x.at, "the plugin's Deps can't have %s twice: here as %s, in %s as %s: rename one", x.field, typ, p.where(known.at), other)
			}
			known.users = append(known.users, user)
		}
	}
	return sorted(byName)
}

// sorted are dependencies by name.
func sorted(byName map[string]*dependency) (out []*dependency) {
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}

// packageName is the name of the package at an import path.
func (m *module) packageName(importPath string) string {
	if m.owns(importPath) {
		if q := m.load(importPath); q != nil {
			return q.name
		}
	}
	return filepath.Base(filepath.FromSlash(importPath))
}

func (w *writer) duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "time.Hour"}, {time.Minute, "time.Minute"}, {time.Second, "time.Second"}} {
		if d%u.unit == 0 {
			return fmt.Sprintf("%d * %s", d/u.unit, w.std(u.name))
		}
	}
	return fmt.Sprintf("%d * %s", d, w.std("time.Nanosecond"))
}
