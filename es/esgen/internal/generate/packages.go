package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/doc"
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
	rules := fmt.Sprintf("%s(%s[Command, Event, State]{", w.es("NewAggregate"), w.es("AggregateRules"))
	if p.shared {
		full = "an aggregate " + a.name
		w.f("// NewAggregate returns one of that full name, e.g. \"Catalog.Product\".")
		w.f("func NewAggregate(name string) %s[Command, Event, State] {\nreturn %s\nName: name,", w.es("Aggregate"), rules)
	} else {
		w.f("// Aggregate is %s.", full)
		w.f("var Aggregate = %s\nName: %q,", rules, full)
	}
	w.f("Sources: %q,", hash)
	if a.internal {
		w.f("Internal: true,")
	}
	if a.inPlace {
		w.f("InPlace: true,")
	}
	if a.access {
		w.f("Access: access,")
	}
	if a.byMeta {
		w.f("DecideMeta: Command.decide,")
	} else {
		w.f("Decide: Command.decide,")
	}
	w.f("Evolve: Event.evolve,")
	if a.checks {
		signature := fmt.Sprintf("(%s, %s) error", w.std("context.Context"), w.es("Reader"))
		if a.checkMeta {
			w.f(`CheckMeta: true,
			Check: func(ctx context.Context, r %s, c Command, m %s) error {
				switch c := c.(type) {
				case interface{ check%s }:
					return c.check(ctx, r)
				case interface{ check(%s, %s, %s) error }:
					return c.check(ctx, r, m)
				}
				return nil
			},`, w.es("Reader"), w.es("Meta"), signature, w.std("context.Context"), w.es("Reader"), w.es("Meta"))
		} else {
			w.f(`Check: func(ctx context.Context, r %s, c Command, _ %s) error {
				if c, ok := c.(interface{ check%s }); ok {
					return c.check(ctx, r)
				}
				return nil
			},`, w.es("Reader"), w.es("Meta"), signature)
		}
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
		about, _ := split(c.decl.doc, c.decl.spec.Comment)
		w.f("{Name: %q,", name)
		if c.internal {
			w.f("Internal: true,")
		}
		if c.allow {
			w.f("Access: new(%s{}.allow()),", name)
		}
		w.f("Schema: %s,", goString(c.object.schema(about, true)))
		if len(c.object.fields) == 0 {
			w.f("Empty: true,")
		}
		w.f("Read: func(v %s) Command { return %s },", w.wire("Value"), w.readStruct(c.decl, c.object, "v"))
		if line := new(doc.Package).Synopsis(about); line != "" {
			w.f("Help: %s,", goString(line))
		}
		w.f("Zero: %s{},", name)
		if c.creates {
			w.f("Creates: true,")
		}
		if c.destructive {
			w.f("Destructive: true,")
		}
		if personal := c.object.personal(); personal != nil {
			w.f("Personal: %#v,", personal)
		}
		w.f("},")
	}
	w.f("},")
	w.writeEvents(a.events)
	w.f("Encode: encodeCommand,\nWire: encodeEvent,")
	if a.upcasts {
		w.f("Upcast: upcasters,")
	}
	w.f("})\n")
	if p.shared {
		w.f("}\n")
	}

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
	w.writeEncode("Event", a.events, full)
	return nil
}

func (p *plugin) writePoint(w *writer, x *point) {
	full := p.name + "." + x.name
	if x.requests != nil {
		w.f("// Requests are what other plugins may ask of %s.", full)
		w.f("var Requests = %s(%s[Command]{\nName: %q,\nKey: Command.to,", w.es("NewRequests"), w.es("PointRules"), full)
		w.writeUnion("Command", x.requests)
		w.f("Wire: encodeCommand,")
		if x.upcastsRequests {
			w.f("Upcast: %s,", requestUpcasters)
		}
		w.f("})\n")
		w.writeEncode("Command", x.requests, full)
	}
	if x.events == nil {
		return
	}
	w.f("// ExtensionPoint is %s.", full)
	w.f("var ExtensionPoint = %s(%s[Event]{\nName: %q,\nKey: Event.key,", w.es("NewPoint"), w.es("PointRules"), full)
	w.writeEvents(x.events)
	w.f("Wire: encodeEvent,")
	if x.upcasts {
		w.f("Upcast: upcasters,")
	}
	w.f("})\n")
	w.writeEncode("Event", x.events, full)
}

func (w *writer) writeEvents(events []*member) { w.writeUnion("Event", events) }

func (w *writer) writeUnion(union string, events []*member) {
	w.f("Events: []%s[%s]{", w.es("EventType"), union)
	for _, e := range events {
		about, _ := split(e.decl.doc)
		marks := ""
		if personal := e.object.personal(); personal != nil {
			marks += fmt.Sprintf(",\nPersonal: %#v", personal)
		}
		if e.erases {
			marks += ",\nErases: true"
		}
		w.f("{Name: %q, Version: %d,\nSchema: %s,\nRead: func(v %s) %s { return %s }%s},", e.decl.name(), e.current(),
			goString(e.object.schema(about, false)), w.wire("Value"), union, w.readStruct(e.decl, e.object, "v"), marks)
	}
	w.f("},")
}

// writeEncode writes the function that encodes an Event, or a Command that travels as one.
func (w *writer) writeEncode(union string, events []*member, full string) {
	w.f("func encode%s(e %s) (typ string, version int, data []byte, err error) {\nswitch e := e.(type) {", union, union)
	for _, e := range events {
		w.f("case %s:\nreturn %q, %d, %s, nil", e.decl.name(), e.decl.name(), e.current(), w.writeStruct(e.decl, e.object, "nil", "e"))
	}
	w.f("}\nreturn \"\", 0, nil, %s(\"%%T is not %s of %s\", e)\n}\n", w.std("fmt.Errorf"), map[string]string{"Event": "an event", "Command": "a command"}[union], full)
}

func (p *plugin) writeRow(w *writer, d *typeDecl) {
	o := p.objects[p.structOf(d)]
	name := d.name()
	about, _ := split(d.doc)
	w.f("// MarshalJSON writes the row.\nfunc (x %s) MarshalJSON() ([]byte, error) { return %s, nil }\n", name, w.writeStruct(d, o, "nil", "x"))
	w.f("// UnmarshalJSON reads a stored row.\nfunc (x *%s) UnmarshalJSON(b []byte) (err error) {\n*x, err = %s(b, %s)\nreturn err\n}\n",
		name, w.wire("ReadStored"), w.reader(&wireType{kind: nested, named: d, object: o}))
	if label := o.label(); label != "" {
		w.f("// JSONLabel is the field that names a row for people.\nfunc (%s) JSONLabel() string { return %q }\n", name, label)
	}
	w.f("// JSONSchema is the row's schema (2020-12).\nfunc (%s) JSONSchema() string {\nreturn %s\n}\n", name, goString(o.schema(about, false)))
}
