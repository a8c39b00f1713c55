package generate

import (
	"fmt"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// isCollection reports whether the folder holds plugins and is not one itself.
func (m *module) isCollection(folder string) (*pkg, bool) {
	p := m.at(folder)
	return p, p != nil && p.marked("plugins")
}

// at is the package in a folder of the module; nil if there is none.
func (m *module) at(folder string) *pkg {
	rel, err := filepath.Rel(m.root, folder)
	if err != nil {
		return nil
	}
	return m.load(strings.TrimSuffix(m.path+"/"+filepath.ToSlash(rel), "/."))
}

// marked reports whether the package's doc comment has the marker.
func (q *pkg) marked(name string) bool {
	return slices.ContainsFunc(q.files, func(f *file) bool {
		_, markers := split(f.Doc)
		return slices.ContainsFunc(markers, func(x marker) bool { return x.name == name })
	})
}

// pluginsIn are the plugins in the folders of a folder, by name. What is wrong in one is
// said where that one is generated: go generate would say it twice.
func (m *module) pluginsIn(folder string) (out []*plugin, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, e := range slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() }) {
		below := filepath.Join(folder, e.Name())
		if p := m.at(below); p == nil || !p.marked("plugin") {
			continue
		}
		known := len(m.mistakes)
		p, err := m.read(below)
		if err != nil {
			return nil, err
		}
		if len(m.mistakes) > known {
			wrong = append(wrong, e.Name())
		}
		out = append(out, p)
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("the list of plugins waits until nothing is wrong in %s: go generate says there what it is", strings.Join(wrong, ", "))
	}
	return out, nil
}

// writeCollection writes the list of all plugins, and what they ask for together.
func (m *module) writeCollection(w *writer, all []*plugin) {
	var calls, embedded []string
	methods := map[string]*dependency{}
	named := map[string]token.Pos{}
	for _, p := range all {
		if first, ok := named[p.name]; ok {
			m.mistake(p.namedAt, "two plugins are called %s: here and in %s", p.name, m.where(first))
		}
		named[p.name] = p.namedAt
		parameter := ""
		for _, x := range p.dependencies(w) {
			parameter = "d"
			x.file.spell(x.typ, func(from, _ string) string {
				if slices.Contains(strings.Split(from, "/"), "internal") {
					m.mistake(x.at, "%s is asked of the platform, which can't import %s: move its type out of internal", x.field, from)
				}
				return ""
			})
			if known := methods[x.field]; known == nil {
				methods[x.field] = x
			} else if a, b := known.file.qualified(known.typ), x.file.qualified(x.typ); a != b {
				m.mistake(x.at, "two plugins ask for %s: here it is %s, in %s it is %s: rename one", x.field, b, m.where(known.at), a)
			}
		}
		if parameter != "" {
			embedded = append(embedded, w.symbol(p.pkg.path, p.pkg.name, "Deps"))
		}
		calls = append(calls, w.symbol(p.pkg.path, p.pkg.name, "Plugin")+"("+parameter+")")
	}
	w.f("// Deps is what the plugins ask of the platform that they run on.\ntype Deps interface {")
	for _, e := range embedded {
		w.f("%s", e)
	}
	w.f("}\n")
	d := "d"
	if len(embedded) == 0 {
		d = "Deps"
	} else {
		d += " Deps"
	}
	w.f("// All plugins.\nfunc All(%s) []%s {\nreturn []%s{%s}\n}\n", d, w.es("Plugin"), w.es("Plugin"), strings.Join(calls, ", "))
	w.f("// NoDeps has nothing of what the plugins ask for: enough to describe them, or to\n// embed where only some of it is needed.\ntype NoDeps struct{}\n")
	for _, x := range sorted(methods) {
		w.f("// %s is the zero value.\nfunc (NoDeps) %s() (none %s) { return none }\n", x.field, x.field, x.goType)
	}
}

// ModulePath is the import path of the module that root lies in.
func ModulePath(root string) (string, error) {
	m, err := openModule(root)
	if err != nil {
		return "", err
	}
	return m.path, nil
}

// Found is an aggregate as its package declares it.
type Found struct {
	Folder  string   // relative to the module's root
	Package string   // its name
	Events  []string // in the order of their declaration
	// Command is the first one of texts, prices and whole numbers alone, which a row
	// of a file can be; empty: there is none.
	Command string
	Fields  []FoundField // of the command
}

// FoundField is a field of a command.
type FoundField struct {
	Name, JSON, Type string
	Optional         bool
}

// flat are a command's fields, if a row of a file can have them.
func (m *member) flat() (fields []FoundField, ok bool) {
	types := map[kind]string{text: "string", price: "es.Price"}
	for _, f := range m.object.fields {
		typ := types[f.typ.kind]
		if f.typ.basic == "int" || f.typ.basic == "int64" {
			typ = f.typ.basic
		}
		if f.embedded || f.typ.named != nil || typ == "" {
			return nil, false
		}
		fields = append(fields, FoundField{f.name, f.wire, typ, f.optional})
	}
	return fields, len(fields) > 0
}

// Aggregate finds the plugin's aggregate of that name.
func Aggregate(folder, name string) (Found, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return Found{}, err
	}
	m, err := openModule(folder)
	if err != nil {
		return Found{}, err
	}
	p, err := m.read(folder)
	if err == nil {
		err = m.err()
	}
	if err != nil {
		return Found{}, err
	}
	var others []string
	for _, a := range p.aggregates {
		if a.name != name {
			others = append(others, a.name)
			continue
		}
		f := Found{Folder: strings.TrimPrefix(a.pkg.path, m.path+"/"), Package: a.pkg.name}
		events := slices.Clone(a.events)
		slices.SortFunc(events, func(a, b *member) int { return int(a.decl.spec.Pos() - b.decl.spec.Pos()) })
		for _, e := range events {
			f.Events = append(f.Events, e.decl.name())
		}
		commands := slices.Clone(a.commands)
		slices.SortFunc(commands, func(a, b *member) int { return int(a.decl.spec.Pos() - b.decl.spec.Pos()) })
		for _, c := range commands {
			if fields, ok := c.flat(); ok && f.Command == "" {
				f.Command, f.Fields = c.decl.name(), fields
			}
		}
		return f, nil
	}
	return Found{}, fmt.Errorf("%s has no aggregate %q; it has %s", p.name, name, strings.Join(others, ", "))
}
