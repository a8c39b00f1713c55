// Package generate reads a plugin's folder and writes what [onlineshop/es/esgen]
// promises. It looks at syntax only, since what it writes and what it reads
// refer to each other.
package generate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const generatedSuffix = "_gen.go"

// Plugin generates the plugin in folder: the files that changed are written,
// those of components that are gone are removed. Where something is wrong, an
// [*Error] lists all of it, and nothing is touched.
func Plugin(folder string) error {
	files, err := Files(folder)
	if err != nil {
		return err
	}
	for name, text := range files {
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, text) {
			continue
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return fmt.Errorf("writing generated code: %w", err)
		}
	}
	return removeStale(folder, files)
}

// Files are the generated files by name, which begins with folder's absolute path.
func Files(folder string) (map[string][]byte, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	m, err := openModule(folder)
	if err != nil {
		return nil, err
	}
	p, err := m.read(folder)
	if err != nil {
		return nil, err
	}
	if err := m.err(); err != nil {
		return nil, err
	}
	writers := map[*pkg]*writer{}
	for _, q := range p.packages {
		writers[q] = newWriter(q)
	}
	for _, a := range p.aggregates {
		if err := p.writeAggregate(writers[a.pkg], a); err != nil {
			return nil, err
		}
	}
	for _, x := range p.points {
		p.writePoint(writers[x.pkg], x)
	}
	for _, d := range p.rows {
		p.writeRow(writers[d.file.pkg], d)
	}
	files := map[string][]byte{}
	for q, w := range writers {
		w.writeCodecs()
		if w.body.Len() == 0 {
			continue
		}
		p.checkTaken(w)
		if files[filepath.Join(m.dir(q.path), q.name+generatedSuffix)], err = w.source(); err != nil {
			return nil, err
		}
	}
	main := newWriter(p.pkg)
	p.writePlugin(main)
	if err := m.err(); err != nil {
		return nil, err
	}
	files[filepath.Join(folder, "plugin"+generatedSuffix)], err = main.source()
	return files, err
}

// removeStale deletes files that an earlier run wrote and this one did not.
func removeStale(folder string, keep map[string][]byte) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, generatedSuffix) || keep[path] != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(text, []byte(header)) {
			return err
		}
		return os.Remove(path)
	})
}

// sources is a hash of a package's files: what its snapshots depend on.
func (m *module) sources(q *pkg) (string, error) {
	h := sha256.New()
	for _, f := range q.files {
		name := m.fset.Position(f.Package).Filename
		text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(name)))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(name), len(text))
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func (p *plugin) writeAggregate(w *writer, a *aggregate) error {
	hash, err := p.sources(a.pkg)
	if err != nil {
		return err
	}
	full := p.name + "." + a.name
	w.f("// Aggregate is %s.", full)
	w.f("var Aggregate = %s(%s[Command, Event, State]{", w.es("NewAggregate"), w.es("AggregateRules"))
	w.f("Name: %q,\nSources: %q,", full, hash)
	if a.internal {
		w.f("Internal: true,")
	}
	if a.inPlace {
		w.f("InPlace: true,")
	}
	if a.access {
		w.f("Access: access,")
	}
	w.f("Decide: Command.decide,\nEvolve: Event.evolve,")
	if a.checks {
		signature := fmt.Sprintf("(%s, %s) error", w.std("context.Context"), w.es("Reader"))
		w.f(`Check: func(ctx context.Context, r %s, c Command) error {
			if c, ok := c.(interface{ check%s }); ok {
				return c.check(ctx, r)
			}
			return nil
		},`, w.es("Reader"), signature)
	}
	if a.owns {
		signature := fmt.Sprintf("(%s, %s) (string, error)", w.std("context.Context"), w.es("Reader"))
		w.f(`Owner: func(ctx context.Context, r %s, c Command) (string, error) {
			if c, ok := c.(interface{ owner%s }); ok {
				return c.owner(ctx, r)
			}
			return r.Caller().User, nil
		},`, w.es("Reader"), signature)
	}
	limited := slices.DeleteFunc(slices.Clone(a.commands), func(c *member) bool { return !c.object.limited() })
	if len(limited) > 0 {
		w.f("Valid: validCommand,")
	}
	w.f("Commands: []%s[Command]{", w.es("CommandType"))
	for _, c := range a.commands {
		name := c.decl.name()
		doc, _ := split(c.decl.doc)
		w.f("{Name: %q,", name)
		if c.allow {
			w.f("Access: new(%s{}.allow()),", name)
		}
		w.f("Schema: %s,", goString(c.object.schema(doc, true)))
		if len(c.object.fields) == 0 {
			w.f("Empty: true,")
		}
		w.f("Read: func(v %s) Command { return %s }},", w.es("Value"), w.readStruct(c.decl, c.object, "v"))
	}
	w.f("},")
	w.writeEvents(a.events)
	w.f("Encode: encodeCommand,\nWire: encodeEvent,")
	if a.upcasts {
		w.f("Upcast: upcasters,")
	}
	w.f("})\n")

	if len(limited) > 0 {
		w.f("func validCommand(c Command, p *%s) Command {\nswitch c := c.(type) {", w.es("Problems"))
		for _, c := range limited {
			w.f("case %s:\nreturn %s", c.decl.name(), w.validStruct(c.decl, c.object, "c", `""`))
		}
		w.f("}\nreturn c\n}\n")
		w.writeValids()
	}
	w.f("func encodeCommand(c Command) (typ string, data []byte, err error) {\nswitch c := c.(type) {")
	for _, c := range a.commands {
		w.f("case %s:\nreturn %q, %s, nil", c.decl.name(), c.decl.name(), w.writeStruct(c.decl, c.object, "nil", "c"))
	}
	w.f("}\nreturn \"\", nil, %s(\"%%T is no command of %s\", c)\n}\n", w.std("fmt.Errorf"), full)
	w.writeEncodeEvent(a.events, full)
	return nil
}

func (p *plugin) writePoint(w *writer, x *point) {
	full := p.name + "." + x.name
	w.f("// ExtensionPoint is %s.", full)
	w.f("var ExtensionPoint = %s(%s[Event]{\nName: %q,\nKey: Event.key,", w.es("NewPoint"), w.es("PointRules"), full)
	w.writeEvents(x.events)
	w.f("Wire: encodeEvent,")
	if x.upcasts {
		w.f("Upcast: upcasters,")
	}
	w.f("})\n")
	w.writeEncodeEvent(x.events, full)
}

func (w *writer) writeEvents(events []*member) {
	w.f("Events: []%s[Event]{", w.es("EventType"))
	for _, e := range events {
		doc, _ := split(e.decl.doc)
		w.f("{Name: %q, Version: %d,\nSchema: %s,\nRead: func(v %s) Event { return %s }},", e.decl.name(), max(1, e.version),
			goString(e.object.schema(doc, false)), w.es("Value"), w.readStruct(e.decl, e.object, "v"))
	}
	w.f("},")
}

func (w *writer) writeEncodeEvent(events []*member, full string) {
	w.f("func encodeEvent(e Event) (typ string, version int, data []byte, err error) {\nswitch e := e.(type) {")
	for _, e := range events {
		w.f("case %s:\nreturn %q, %d, %s, nil", e.decl.name(), e.decl.name(), max(1, e.version), w.writeStruct(e.decl, e.object, "nil", "e"))
	}
	w.f("}\nreturn \"\", 0, nil, %s(\"%%T is no event of %s\", e)\n}\n", w.std("fmt.Errorf"), full)
}

func (p *plugin) writeRow(w *writer, d *typeDecl) {
	o := p.objects[p.structOf(d)]
	name := d.name()
	doc, _ := split(d.doc)
	w.f("// MarshalJSON writes the row.\nfunc (x %s) MarshalJSON() ([]byte, error) { return %s, nil }\n", name, w.writeStruct(d, o, "nil", "x"))
	w.f("// UnmarshalJSON reads a stored row.\nfunc (x *%s) UnmarshalJSON(b []byte) (err error) {\n*x, err = %s(b, %s)\nreturn err\n}\n",
		name, w.es("ReadStored"), w.reader(&wireType{kind: nested, named: d, object: o}))
	w.f("// JSONSchema is the row's schema (2020-12).\nfunc (%s) JSONSchema() string {\nreturn %s\n}\n", name, goString(o.schema(doc, false)))
}

// checkTaken finds declarations of the author's that have the names of
// generated ones.
func (p *plugin) checkTaken(w *writer) {
	names := []string{"Aggregate", "ExtensionPoint", "encodeCommand", "encodeEvent", "validCommand"}
	for _, c := range w.codecs.list {
		names = append(names, "read"+c.name, "append"+c.name)
	}
	for _, c := range w.valids.list {
		names = append(names, "valid"+c.name)
	}
	for _, n := range names {
		if d := w.pkg.names[n]; d != nil {
			p.mistake(d.Pos(), "%s is a name that generated code uses: choose another", n)
		}
	}
}

// writePlugin writes the composition.
func (p *plugin) writePlugin(w *writer) {
	fields := p.dependencies(w)
	w.f("// Deps is what the plugin's components ask for.\ntype Deps struct {\nUIBundleURL string // of the plugin's user interface; may be empty")
	for _, x := range fields {
		w.f("%s %s", x.name, x.typ)
	}
	w.f("}\n")
	w.f("// Plugin is everything below this folder.\nfunc Plugin(d Deps) %s {\nreturn %s{", w.es("Plugin"), w.es("Plugin"))
	w.f("Name: %q,\nHeartbeatInterval: %s,\nUIBundleURL: d.UIBundleURL,", p.name, w.duration(p.heartbeat))
	var aggregates []string
	for _, a := range p.aggregates {
		aggregates = append(aggregates, w.symbol(a.pkg.path, a.pkg.name, "Aggregate"))
	}
	w.list("Aggregates", "AnyAggregate", aggregates)
	for _, l := range []struct{ list, typ string }{
		{"ReadModels", "AnyReadModel"}, {"Mappings", "Mapping"}, {"Publications", "Publication"}, {"Extensions", "Extension"}, {"Tasks", "Task"},
	} {
		var items []string
		for _, c := range p.components {
			if c.list == l.list {
				items = append(items, w.component(c))
			}
		}
		w.list(l.list, l.typ, items)
	}
	w.f("}\n}")
}

func (w *writer) list(field, typ string, items []string) {
	if items != nil {
		w.f("%s: []%s{%s},", field, w.es(typ), strings.Join(items, ", "))
	}
}

func (w *writer) component(c *component) string {
	s := w.symbol(c.pkg.path, c.pkg.name, c.name)
	if !c.function {
		return s
	}
	var args []string
	for _, x := range c.parameters {
		args = append(args, "d."+x.field)
	}
	return s + "(" + strings.Join(args, ", ") + ")"
}

type depsField struct{ name, typ string }

// dependencies are the parameters of all components, each name once.
func (p *plugin) dependencies(w *writer) (out []depsField) {
	first := map[string]parameter{}
	for _, c := range p.components {
		for _, x := range c.parameters {
			typ := x.file.qualified(x.typ)
			if x.field == "UIBundleURL" {
				if typ != "string" {
					p.mistake(x.at, "UIBundleURL is a string in the plugin's Deps: rename this parameter of %s.%s", c.pkg.name, c.name)
				}
				continue
			}
			if known, ok := first[x.field]; ok {
				if other := known.file.qualified(known.typ); other != typ {
					p.mistake(x.at, "the plugin's Deps can't have %s twice: here as %s, in %s as %s: rename one", x.field, typ, p.where(known.at), other)
				}
				continue
			}
			first[x.field] = x
			out = append(out, depsField{x.field, x.file.spell(x.typ, func(from, name string) string {
				return strings.Replace(w.symbol(from, p.packageName(from), name), ".", "\x00", 1)
			})})
		}
	}
	slices.SortFunc(out, func(a, b depsField) int { return strings.Compare(a.name, b.name) })
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
