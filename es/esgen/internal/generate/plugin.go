package generate

import (
	"fmt"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onlineshop/es/naming"
)

// plugin is what was found below its folder.
type plugin struct {
	*module
	name      string
	namedAt   token.Pos
	shared    bool // no plugin, but an aggregate that many make one of
	heartbeat time.Duration
	pkg       *pkg
	packages  []*pkg // by path, the plugin's own included

	aggregates []*aggregate
	points     []*point
	rows       []*typeDecl // by package path and name
	components []*component
	called     []calledName
	viewCalls  []view
	parts      []part // of tasks
}

// read finds everything below the plugin's folder.
func (m *module) read(folder string) (*plugin, error) {
	rel, err := filepath.Rel(m.root, folder)
	if err != nil {
		return nil, err
	}
	p := &plugin{module: m}
	root := strings.TrimSuffix(m.path+"/"+filepath.ToSlash(rel), "/.")
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if n := d.Name(); path != folder && (n == "testdata" || n == "vendor" || strings.HasPrefix(n, ".") || strings.HasPrefix(n, "_")) {
			return filepath.SkipDir // as the go command does
		}
		below, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if found := m.load(strings.TrimSuffix(root+"/"+filepath.ToSlash(below), "/.")); found != nil {
			p.packages = append(p.packages, found)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.pkg = m.packages[root]; p.pkg == nil {
		if len(m.mistakes) > 0 {
			return p, nil
		}
		return nil, fmt.Errorf("%s holds no Go package: run esgen in a plugin's folder", folder)
	}
	slices.SortFunc(p.packages, func(a, b *pkg) int { return strings.Compare(a.path, b.path) })
	p.readName()
	for _, q := range p.packages {
		for _, f := range q.files {
			m.checkMarkers(f)
		}
		p.readUnions(q)
		p.readComponents(q)
	}
	for _, a := range p.aggregates {
		p.checkState(a)
	}
	p.checkSubjects()
	p.checkNames()
	p.checkParts()
	m.checkRefs([]*plugin{p}, false)
	return p, nil
}

// checkRefs finds references to read models that those plugins don't have, and where
// they are all, to those of other plugins.
func (m *module) checkRefs(plugins []*plugin, all bool) {
	for _, x := range m.refs {
		name, view, _ := strings.Cut(x.args, ".")
		i := slices.IndexFunc(plugins, func(p *plugin) bool { return p.name == name })
		switch {
		case i < 0 && all:
			m.mistake(x.at, "//es:ref %s points into a plugin that does not exist", x.args)
		case i >= 0 && !slices.Contains(plugins[i].views(), view):
			m.mistake(x.at, "//es:ref %s points into a read model that does not exist: %s has %s", x.args, name, strings.Join(plugins[i].views(), ", "))
		}
	}
}

// views are the names of the plugin's read models.
func (p *plugin) views() (out []string) {
	for _, c := range p.called {
		if c.kind == "read models" {
			out = append(out, c.name)
		}
	}
	return out
}

func (p *plugin) readName() {
	for _, f := range p.pkg.files {
		_, markers := split(f.Doc)
		for _, x := range markers {
			if x.name == "shared" {
				p.shared = true
			}
			if x.name != "plugin" {
				continue
			}
			if p.name != "" {
				p.mistake(x.at, "the plugin is named twice: write //es:plugin once")
			}
			p.name, p.heartbeat, _ = pluginArgs(x.args)
			p.namedAt = x.at
		}
	}
	if p.name == "" && !p.shared {
		p.mistake(p.pkg.files[0].Package, "package %s is not a plugin yet: write //es:plugin %s heartbeat=5m in its doc comment", p.pkg.name, capitalized(p.pkg.name))
		p.name = capitalized(p.pkg.name)
	}
}

// pluginArgs reads "Catalog heartbeat=5m".
func pluginArgs(s string) (name string, heartbeat time.Duration, ok bool) {
	name, rest, _ := strings.Cut(s, " ")
	text, found := strings.CutPrefix(strings.TrimSpace(rest), "heartbeat=")
	heartbeat, err := time.ParseDuration(text)
	return name, heartbeat, found && err == nil && heartbeat > 0 && properName.MatchString(name)
}

// addRow notes a read model's row type.
func (p *plugin) addRow(d *typeDecl) {
	if !slices.Contains(p.rows, d) {
		p.rows = append(p.rows, d)
	}
	slices.SortFunc(p.rows, func(a, b *typeDecl) int {
		return strings.Compare(a.file.pkg.path+"."+a.name(), b.file.pkg.path+"."+b.name())
	})
}

// checkNames finds components of one kind with one name, and paths that are taken.
func (p *plugin) checkNames() {
	type named struct{ kind, name string }
	first := map[named]token.Pos{}
	note := func(kind, name string, at token.Pos) {
		if at0, ok := first[named{kind, name}]; ok {
			p.mistake(at, "two %s are called %s: here and in %s", kind, name, p.where(at0))
			return
		}
		first[named{kind, name}] = at
	}
	for _, a := range p.aggregates {
		note("aggregates", a.name, a.at)
	}
	for _, n := range p.called {
		note(n.kind, n.name, n.at)
	}
	paths := map[string]named{}
	for _, n := range slices.SortedFunc(maps.Keys(first), func(a, b named) int { return strings.Compare(a.kind+a.name, b.kind+b.name) }) {
		if n.kind != "aggregates" && n.kind != "read models" {
			continue
		}
		if other, ok := paths[naming.PathSegment(n.name)]; ok {
			p.mistake(first[n], "%s of the %s and %s of the %s have the same path, %s: rename one", n.name, n.kind, other.name, other.kind, naming.PathSegment(n.name))
		}
		paths[naming.PathSegment(n.name)] = n
	}
}
