package generate

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es/naming"
)

// aggregate is a package that declares commands, events and a state.
type aggregate struct {
	pkg               *pkg
	at                token.Pos
	name              string // "Product"
	internal, inPlace bool
	commands, events  []*member // by name
	access, upcasts   bool
	checks, owns      bool
	byMeta, checkMeta bool // decide, some check takes the command's metadata
}

// point is a contract package: an extension point's events.
type point struct {
	pkg             *pkg
	name            string // "Products"
	events          []*member
	requests        []*member // commands that other plugins may send
	upcasts         bool
	upcastsRequests bool
}

// member is a type of a union.
type member struct {
	decl     *typeDecl
	object   *object
	version  int // as marked; 0: not
	allow    bool
	internal bool // a command for followers and tasks only

	creates, destructive bool // as a command is marked
	erases               bool // as an event is marked
}

// current is the version of an event's, or a request's, present shape.
func (m *member) current() int { return max(1, m.version) }

// union is an interface that the package declares, with the method that seals it.
func (q *pkg) union(name, method string) (d *typeDecl, seal *ast.FuncType) {
	d = q.types[name]
	if d == nil {
		return nil, nil
	}
	i, ok := d.spec.Type.(*ast.InterfaceType)
	if !ok {
		return nil, nil
	}
	for _, f := range i.Methods.List {
		if t, ok := f.Type.(*ast.FuncType); ok && len(f.Names) == 1 && f.Names[0].Name == method {
			return d, t
		}
	}
	return nil, nil
}

// seals and their signatures.
var seals = map[string]string{
	"decide": "(State) ([]Event, error)",
	"evolve": "(State) State",
	"key":    "() string",
	"to":     "() string",
	"check":  "(context.Context, " + framework + ".Reader) error",
	"owner":  "(context.Context, " + framework + ".Reader) (string, error)",
	"allow":  "() " + framework + ".Access",
}

// withMeta are those of rules that take the command's metadata.
var withMeta = map[string]string{
	"decide": "(State, " + framework + ".Meta) ([]Event, error)",
	"check":  "(context.Context, " + framework + ".Reader, " + framework + ".Meta) error",
}

// takesMeta reports whether a rule takes the command's metadata.
func (f *file) takesMeta(name string, t *ast.FuncType) bool {
	return withMeta[name] != "" && f.signature(t) == withMeta[name]
}

// checkSignature notes a method that is not as its seal, or if meta its form with the
// command's metadata, wants it.
func (p *plugin) checkSignature(f *file, name string, meta bool, t *ast.FuncType, of string) bool {
	want := seals[name]
	if meta {
		want = withMeta[name]
	}
	if f.signature(t) == want {
		return true
	}
	want = strings.ReplaceAll(want, framework, "es")
	p.mistake(t.Pos(), "%s of %s must be %s%s", name, of, name, want)
	return false
}

// readUnions finds out whether a package is an aggregate or a contract.
func (p *plugin) readUnions(q *pkg) {
	command, decide := q.union("Command", "decide")
	event, evolve := q.union("Event", "evolve")
	contract, key := q.union("Event", "key")
	request, to := q.union("Command", "to")
	switch {
	case command == nil && event == nil && contract == nil && request == nil:
		return
	case contract != nil && command != nil:
		p.mistake(contract.spec.Pos(), "package %s has commands, so its events are folded, not routed: seal Event with evolve(State) State", q.name)
		return
	case request != nil && event != nil:
		p.mistake(request.spec.Pos(), "package %s has events that are folded, so its commands are decided, not routed: seal Command with decide(State) ([]Event, error)", q.name)
		return
	case contract != nil || request != nil:
		if (contract == nil || p.checkSignature(contract.file, "key", false, key, "Event")) && (request == nil || p.checkSignature(request.file, "to", false, to, "Command")) {
			p.readPoint(q, contract, request)
		}
		return
	case command == nil:
		p.mistake(event.spec.Pos(), "package %s has events but no commands: declare type Command interface{ decide(State) ([]Event, error) }", q.name)
	case event == nil:
		p.mistake(command.spec.Pos(), "package %s has commands but no events: declare type Event interface{ evolve(State) State }", q.name)
	case q.types["State"] == nil:
		p.mistake(command.spec.Pos(), "package %s has commands and events but no state: declare type State", q.name)
	case p.checkSignature(command.file, "decide", command.file.takesMeta("decide", decide), decide, "Command") && p.checkSignature(event.file, "evolve", false, evolve, "Event"):
		p.readAggregate(q, command, event, command.file.takesMeta("decide", decide))
	}
}

func (p *plugin) readAggregate(q *pkg, command, event *typeDecl, byMeta bool) {
	a := &aggregate{pkg: q, byMeta: byMeta, at: command.spec.Pos(), name: capitalized(q.name)}
	_, markers := split(command.in.Doc, command.doc, command.spec.Comment, event.in.Doc, event.doc, event.spec.Comment)
	for _, x := range markers {
		switch x.name {
		case "aggregate":
			a.name = x.args
		case "internal":
			a.internal = true
		case "inplace":
			a.inPlace = true
		}
	}
	a.commands = p.members(q, "decide", byMeta, "Command", command)
	a.events = p.members(q, "evolve", false, "Event", event)
	a.checks = p.optional(q, a, "check") > 0
	a.owns = p.optional(q, a, "owner") > 0
	p.optional(q, a, "allow")
	p.checkNeighbours(a)
	p.checkPaths(a)
	p.checkPersonal(a)
	a.access = q.vars["access"] != nil
	a.upcasts = p.upcasters(q, eventUpcasters, a.events)
	p.aggregates = append(p.aggregates, a)
}

func (p *plugin) readPoint(q *pkg, event, request *typeDecl) {
	declared := cmp.Or(event, request)
	if rest, ok := strings.CutPrefix(q.path, p.pkg.path+"/"); !ok || strings.Contains(rest, "/") || rest == "internal" {
		p.mistake(declared.spec.Pos(), "package %s declares an extension point's events or commands, but other plugins can't import it: put it directly below %s", q.name, p.pkg.name)
		return
	}
	x := &point{pkg: q, name: capitalized(q.name)}
	if event != nil {
		x.events = p.members(q, "key", false, "Event", event)
		x.upcasts = p.upcasters(q, eventUpcasters, x.events)
	}
	if request != nil {
		x.requests = p.members(q, "to", false, "Command", request)
		x.upcastsRequests = p.upcasters(q, requestUpcasters, x.requests)
	}
	for _, e := range append(slices.Clone(x.events), x.requests...) {
		if s := e.object.subject(); s != nil {
			p.mistake(s.at, "%s of extension point %s holds personal data, which other plugins would keep: publish the id, and let them ask", e.decl.name(), x.name)
		}
	}
	p.points = append(p.points, x)
}

// members are the types with the union's method, by name.
func (p *plugin) members(q *pkg, seal string, meta bool, union string, in *typeDecl) (out []*member) {
	seen := map[string]bool{}
	for _, x := range q.methods {
		if x.decl.Name.Name != seal || seen[x.on] {
			continue
		}
		seen[x.on] = true
		d := q.types[x.on]
		if d == nil {
			p.mistake(x.decl.Pos(), "%s is of %s, which package %s does not declare: declare type %s", seal, x.on, q.name, x.on)
			continue
		}
		at, name := x.decl.Name.Pos(), d.name()
		switch root := p.structOf(d); {
		case d.spec.Assign.IsValid():
			p.mistake(at, "%s is an alias, so it can't be a member of %s: declare it as a type of its own", name, union)
		case d.spec.TypeParams != nil:
			p.mistake(at, "%s has type parameters, so it can't be a member of %s: declare a type for each", name, union)
		case x.pointer:
			p.mistake(at, "%s of %s has a pointer receiver: members of %s are values, so write func (%s) %s", seal, name, union, name, seal)
		case !ast.IsExported(name):
			p.mistake(at, "%s is a member of %s but not exported: export it, since its name is part of what is stored", name, union)
		case root == nil:
			p.mistake(d.spec.Pos(), "%s is a member of %s but no struct, so it has no wire form: declare it as a struct", name, union)
		case p.checkSignature(x.file, seal, meta, x.decl.Type, name):
			o, err := p.object(root)
			if err != nil {
				p.mistake(d.spec.Pos(), "%s has type %s, %s", name, types.ExprString(d.spec.Type), err)
				continue
			}
			out = append(out, &member{decl: d, object: o, version: version(d), internal: marked(d, "internal"),
				creates: marked(d, "creates"), destructive: marked(d, "destructive"), erases: marked(d, "erases")})
		}
	}
	if len(seen) == 0 {
		p.mistake(in.spec.Pos(), "%s has no members: declare types with the method %s%s", union, seal, seals[seal])
	}
	slices.SortFunc(out, func(a, b *member) int { return strings.Compare(a.decl.name(), b.decl.name()) })
	return out
}

// marked says whether the type has the marker.
func marked(d *typeDecl, name string) bool {
	_, markers := split(d.doc, d.spec.Comment)
	return slices.ContainsFunc(markers, func(x marker) bool { return x.name == name })
}

// version is the marked one; 0 where none is.
func version(d *typeDecl) int {
	_, markers := split(d.doc, d.spec.Comment)
	for _, x := range markers {
		if x.name == "version" {
			n, _ := strconv.Atoi(x.args)
			return n
		}
	}
	return 0
}

// optional counts the commands with an optional method.
func (p *plugin) optional(q *pkg, a *aggregate, name string) (n int) {
	for _, x := range q.methods {
		if x.decl.Name.Name != name {
			continue
		}
		i := slices.IndexFunc(a.commands, func(c *member) bool { return c.decl.name() == x.on })
		switch {
		case i < 0 && x.file.signature(x.decl.Type) != seals[name] && !x.file.takesMeta(name, x.decl.Type): // something else of that name
		case i < 0:
			p.mistake(x.decl.Name.Pos(), "%s has the method %s, which says something about commands, but it has no rule: give it decide%s", x.on, name, seals["decide"])
		case x.pointer:
			p.mistake(x.decl.Name.Pos(), "%s of %s has a pointer receiver: write func (%s) %s", name, x.on, x.on, name)
		case p.checkSignature(x.file, name, x.file.takesMeta(name, x.decl.Type), x.decl.Type, x.on):
			n++
			a.checkMeta = a.checkMeta || x.file.takesMeta(name, x.decl.Type)
			a.commands[i].allow = a.commands[i].allow || name == "allow"
		}
	}
	return n
}

// checkNeighbours finds exported structs that stand in one declaration with
// commands or events but have no rule: it was forgotten.
func (p *plugin) checkNeighbours(a *aggregate) {
	for _, members := range []struct {
		seal, union string
		list        []*member
	}{{"decide", "commands", a.commands}, {"evolve", "events", a.events}} {
		for _, name := range slices.Sorted(maps.Keys(a.pkg.types)) {
			d := a.pkg.types[name]
			among := slices.ContainsFunc(members.list, func(m *member) bool { return m.decl.in == d.in })
			if among && d.spec.Name.IsExported() && p.structOf(d) != nil && !a.pkg.has(name, "decide") && !a.pkg.has(name, "evolve") {
				p.mistake(d.spec.Pos(), "%s stands among the %s but has no rule: give it %s%s, or declare it apart", name, members.union, members.seal, seals[members.seal])
			}
		}
	}
}

// checkPaths finds commands that HTTP can't tell apart.
func (p *plugin) checkPaths(a *aggregate) {
	first := map[string]string{}
	for _, c := range a.commands {
		name := c.decl.name()
		if other, ok := first[naming.PathSegment(name)]; ok {
			p.mistake(c.decl.spec.Pos(), "the commands %s and %s have the same path, %s: rename one", other, name, naming.PathSegment(name))
		}
		first[naming.PathSegment(name)] = name
	}
}

// checkPersonal finds personal data that nothing erases, and what erases none.
func (p *plugin) checkPersonal(a *aggregate) {
	erasing := slices.IndexFunc(a.events, func(e *member) bool { return e.erases })
	subject := a.subject()
	switch {
	case subject != nil && erasing < 0:
		p.mistake(subject.at, "%s has personal data, and no event erases it: mark the event //es:erases after which it is gone", a.name)
	case subject == nil && erasing >= 0:
		p.mistake(a.events[erasing].decl.spec.Pos(), "%s erases nothing: no event of %s has a field that is marked //es:personal", a.events[erasing].decl.name(), a.name)
	}
	for _, c := range a.commands {
		if s := c.object.subject(); s != nil && subject == nil {
			p.mistake(s.at, "%s of %s is personal, and no event of %s keeps it so: mark its field there //es:personal, too", c.decl.name(), a.name, a.name)
		}
	}
}

// subject is the marker of an event's first personal field; nil: there is none.
func (a *aggregate) subject() *marker {
	for _, e := range a.events {
		if s := e.object.subject(); s != nil {
			return s
		}
	}
	return nil
}

// checkState finds what a state must not embed: a row's JSON methods would
// become the state's, and its snapshots would hold nothing else; with an
// event's rule the state would be an event.
func (p *plugin) checkState(a *aggregate) {
	state := a.pkg.types["State"]
	s, ok := state.spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		d, _, _ := p.lookup(state.file, f.Type)
		switch {
		case len(f.Names) > 0 || d == nil:
		case slices.Contains(p.rows, d):
			p.mistake(f.Pos(), "State embeds %s, whose JSON methods as a read model's row would become the state's: give it a field name", d.name())
		case d.file.pkg == a.pkg && (a.pkg.has(d.name(), "evolve") || a.pkg.has(d.name(), "decide")):
			p.mistake(f.Pos(), "State embeds %s, whose rule would become the state's: embed a struct without methods, or give it a field name", d.name())
		}
	}
}

// Variables with upcasters, and what they read.
const eventUpcasters, requestUpcasters = "upcasters", "requestUpcasters"

var upcast = map[string]struct{ what, union string }{eventUpcasters: {"event", "Event"}, requestUpcasters: {"request", "Command"}}

// stored is an event, or a request, as the log has it.
type stored struct {
	typ     string
	version int
}

// upcasters reads the package's variable of that name, holds it against the
// members' versions, and reports whether there are any.
func (p *plugin) upcasters(q *pkg, variable string, members []*member) bool {
	known := map[stored]token.Pos{}
	what, union := upcast[variable].what, upcast[variable].union
	for _, e := range p.listed(q.vars[variable], union) {
		old, ok := upcaster(e)
		if !ok {
			p.mistake(e.Pos(), `upcasters are written as es.Upcast("Added", 1, func(old addedV1) %s { … }), with type and version as literals`, union)
			continue
		}
		if first, ok := known[old]; ok {
			p.mistake(e.Pos(), "version %d of %s %s is read twice: here and in %s", old.version, what, old.typ, p.where(first))
		}
		known[old] = e.Pos()
		for _, m := range members {
			if now := m.current(); m.decl.name() == old.typ && now <= old.version {
				p.mistake(e.Pos(), "the upcaster for version %d of %s %s is never used: the %s itself is in version %d; mark it //es:version %d", old.version, what, old.typ, what, now, old.version+1)
			}
		}
	}
	for _, m := range members {
		for v := 1; v < m.current(); v++ {
			if name := m.decl.name(); known[stored{name, v}] == token.NoPos {
				p.mistake(m.decl.spec.Pos(), "%s %s is in version %d, but nothing reads its version %d: add es.Upcast(%q, %d, …) to %s", what, name, m.version, v, name, v, variable)
			}
		}
	}
	return len(known) > 0
}

// listed are the elements of a variable's literal.
func (p *plugin) listed(s *ast.ValueSpec, union string) []ast.Expr {
	if s == nil {
		return nil
	}
	if len(s.Values) == 1 {
		if lit, ok := s.Values[0].(*ast.CompositeLit); ok {
			return lit.Elts
		}
	}
	p.mistake(s.Pos(), "%s must be a literal, as in var %s = es.Upcasters[%s]{es.Upcast(…)}", s.Names[0].Name, s.Names[0].Name, union)
	return nil
}

func upcaster(e ast.Expr) (old stored, ok bool) {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 3 {
		return old, false
	}
	name, ok1 := call.Args[0].(*ast.BasicLit)
	number, ok2 := call.Args[1].(*ast.BasicLit)
	if !ok1 || !ok2 {
		return old, false
	}
	typ, err1 := strconv.Unquote(name.Value)
	version, err2 := strconv.Atoi(number.Value)
	return stored{typ, version}, err1 == nil && err2 == nil
}
