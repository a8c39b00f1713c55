package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

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
		if c.internal {
			w.f("Internal: true,")
		}
		if c.allow {
			w.f("Access: new(%s{}.allow()),", name)
		}
		w.f("Schema: %s,", goString(c.object.schema(doc, true)))
		if len(c.object.fields) == 0 {
			w.f("Empty: true,")
		}
		w.f("Read: func(v %s) Command { return %s }},", w.wire("Value"), w.readStruct(c.decl, c.object, "v"))
	}
	w.f("},")
	w.writeEvents(a.events)
	w.f("Encode: encodeCommand,\nWire: encodeEvent,")
	if a.upcasts {
		w.f("Upcast: upcasters,")
	}
	w.f("})\n")

	if len(limited) > 0 {
		w.f("func validCommand(c Command, p *%s) Command {\nswitch c := c.(type) {", w.wire("ValidationError"))
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
	w.f("}\nreturn \"\", nil, %s(\"%%T is not a command of %s\", c)\n}\n", w.std("fmt.Errorf"), full)
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
		w.f("{Name: %q, Version: %d,\nSchema: %s,\nRead: func(v %s) Event { return %s }},", e.decl.name(), e.current(),
			goString(e.object.schema(doc, false)), w.wire("Value"), w.readStruct(e.decl, e.object, "v"))
	}
	w.f("},")
}

func (w *writer) writeEncodeEvent(events []*member, full string) {
	w.f("func encodeEvent(e Event) (typ string, version int, data []byte, err error) {\nswitch e := e.(type) {")
	for _, e := range events {
		w.f("case %s:\nreturn %q, %d, %s, nil", e.decl.name(), e.decl.name(), e.current(), w.writeStruct(e.decl, e.object, "nil", "e"))
	}
	w.f("}\nreturn \"\", 0, nil, %s(\"%%T is not an event of %s\", e)\n}\n", w.std("fmt.Errorf"), full)
}

func (p *plugin) writeRow(w *writer, d *typeDecl) {
	o := p.objects[p.structOf(d)]
	name := d.name()
	doc, _ := split(d.doc)
	w.f("// MarshalJSON writes the row.\nfunc (x %s) MarshalJSON() ([]byte, error) { return %s, nil }\n", name, w.writeStruct(d, o, "nil", "x"))
	w.f("// UnmarshalJSON reads a stored row.\nfunc (x *%s) UnmarshalJSON(b []byte) (err error) {\n*x, err = %s(b, %s)\nreturn err\n}\n",
		name, w.wire("ReadStored"), w.reader(&wireType{kind: nested, named: d, object: o}))
	w.f("// JSONSchema is the row's schema (2020-12).\nfunc (%s) JSONSchema() string {\nreturn %s\n}\n", name, goString(o.schema(doc, false)))
}
