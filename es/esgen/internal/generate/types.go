package generate

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"onlineshop/es"
)

// kind is how a type is written in JSON.
type kind int

const (
	text kind = iota
	truth
	integer
	natural
	float
	price
	moment
	list
	nested // an object
)

// wireType is a type that has a wire form.
type wireType struct {
	kind   kind
	basic  string    // Go's name for it, e.g. "int64"; of text, truth and numbers
	bits   int       // of a number
	named  *typeDecl // nil: unnamed or predeclared
	item   *wireType // of a list
	object *object   // of a nested
	values []string  // the constants that a text type declares
}

// object is a struct type's wire form. Types declared through one another
// share it.
type object struct {
	root   *typeDecl // whose declaration lists the fields
	fields []field
}

type field struct {
	name, wire string // in Go, in JSON
	typ        *wireType
	embedded   bool // its fields are the object's
	doc        string

	ref, title                      string // for a page: the view that its ids point into, and what to call it
	optional, trim, email, distinct bool
	label                           bool    // names a row
	personal                        *marker // it is about the subject of its stream; nil: it is not
	length                          *limits
	min, max                        string // of a number, as Go and JSON write it; "": no bound
}

var basics = map[string]wireType{
	"string": {kind: text}, "bool": {kind: truth},
	"int": {kind: integer, bits: 64}, "int8": {kind: integer, bits: 8}, "int16": {kind: integer, bits: 16},
	"int32": {kind: integer, bits: 32}, "rune": {kind: integer, bits: 32}, "int64": {kind: integer, bits: 64},
	"uint": {kind: natural, bits: 64}, "uint8": {kind: natural, bits: 8}, "byte": {kind: natural, bits: 8},
	"uint16": {kind: natural, bits: 16}, "uint32": {kind: natural, bits: 32}, "uint64": {kind: natural, bits: 64},
	"float32": {kind: float, bits: 32}, "float64": {kind: float, bits: 64},
}

// noWireFormError says why a type has none, and what to use.
type noWireFormError string

func (n noWireFormError) Error() string { return "which has no wire form: " + string(n) }

// wireType finds how a type expression in f is written.
func (m *module) wireType(f *file, e ast.Expr) (*wireType, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return m.wireType(f, e.X)
	case *ast.ArrayType:
		if e.Len != nil {
			return nil, noWireFormError("use a slice")
		}
		item, err := m.wireType(f, e.Elt)
		if err != nil {
			return nil, err
		}
		if item.kind == natural && item.bits == 8 {
			return nil, noWireFormError("use a string")
		}
		return &wireType{kind: list, item: item}, nil
	case *ast.MapType:
		return nil, noWireFormError("use a slice of a struct type that holds key and value")
	case *ast.StarExpr:
		return nil, noWireFormError("use the value, marked //es:optional where it may be absent")
	case *ast.InterfaceType:
		return nil, noWireFormError("use a concrete type")
	case *ast.FuncType, *ast.ChanType:
		return nil, noWireFormError("use data")
	case *ast.StructType:
		return nil, noWireFormError("declare the struct as a type with a name")
	case *ast.IndexExpr, *ast.IndexListExpr:
		return nil, noWireFormError("use a type without type parameters")
	case *ast.Ident, *ast.SelectorExpr:
		return m.namedType(f, e)
	}
	return nil, noWireFormError("use a basic type, a slice, a struct of this module, es.Price or time.Time")
}

func (m *module) namedType(f *file, e ast.Expr) (*wireType, error) {
	d, elsewhere, name := m.lookup(f, e)
	switch {
	case d != nil:
		return m.declaredType(d)
	case elsewhere == framework && name == "Price":
		return &wireType{kind: price}, nil
	case elsewhere == "time" && name == "Time":
		return &wireType{kind: moment}, nil
	case elsewhere != "":
		return nil, noWireFormError("use a basic type, a slice, a struct of this module, es.Price or time.Time")
	case name == "any" || name == "error":
		return nil, noWireFormError("use a concrete type")
	}
	if t, ok := basics[name]; ok {
		t.basic = name
		return &t, nil
	}
	return nil, noWireFormError("it is declared nowhere in the package, or a complex number or machine word: use a basic type, a slice, a struct of this module, es.Price or time.Time")
}

func (m *module) declaredType(d *typeDecl) (*wireType, error) {
	if d.spec.TypeParams != nil {
		return nil, noWireFormError("use a type without type parameters")
	}
	if d.spec.Assign.IsValid() {
		return m.wireType(d.file, d.spec.Type)
	}
	if root := m.structOf(d); root != nil {
		o, err := m.object(root)
		if err != nil {
			return nil, err
		}
		return &wireType{kind: nested, named: d, object: o}, nil
	}
	t, err := m.wireType(d.file, d.spec.Type)
	if err != nil {
		return nil, err
	}
	own := *t
	own.named = d
	if own.kind == text {
		own.values = m.values(d)
	}
	return &own, nil
}

// structOf is the declaration that lists the fields of struct type d; nil where it
// is no struct.
func (m *module) structOf(d *typeDecl) *typeDecl {
	for seen := map[*typeDecl]bool{}; d != nil && !seen[d]; {
		seen[d] = true
		switch t := d.spec.Type.(type) {
		case *ast.StructType:
			return d
		default:
			d, _, _ = m.lookup(d.file, t)
		}
	}
	return nil
}

// object reads a struct declaration's fields; what is wrong with them is noted
// where they stand.
func (m *module) object(root *typeDecl) (*object, error) {
	if o, ok := m.objects[root]; ok {
		if o == nil {
			return nil, noWireFormError("it contains itself")
		}
		return o, nil
	}
	m.objects[root] = nil // being read
	o := &object{root: root}
	for _, f := range root.spec.Type.(*ast.StructType).Fields.List {
		o.fields = append(o.fields, m.fields(root, f)...)
	}
	wires := map[string]string{}
	for _, l := range o.leaves() {
		if first, ok := wires[l.wire]; ok {
			m.mistake(root.spec.Pos(), "%s has two fields that are %q in JSON: %s and %s: rename one", root.name(), l.wire, first, l.path)
		}
		wires[l.wire] = l.path
	}
	if labels := slices.DeleteFunc(o.leaves(), func(l leaf) bool { return !l.label }); len(labels) > 1 {
		m.mistake(root.spec.Pos(), "%s has two fields that name it, %s and %s: mark one //es:label", root.name(), labels[0].path, labels[1].path)
	}
	m.objects[root] = o
	return o, nil
}

// label is the field that names a row for people: the one marked so, else the first
// text that is free and always there. "": it has none.
func (o *object) label() string {
	leaves := o.leaves()
	i := slices.IndexFunc(leaves, func(l leaf) bool { return l.label })
	if i < 0 {
		i = slices.IndexFunc(leaves, func(l leaf) bool {
			return l.typ.kind == text && l.typ.values == nil && l.ref == "" && !l.optional
		})
	}
	if i < 0 {
		return ""
	}
	return leaves[i].wire
}

func (m *module) fields(root *typeDecl, syntax *ast.Field) (out []field) {
	doc, markers := split(syntax.Doc, syntax.Comment)
	proto := field{doc: doc, embedded: len(syntax.Names) == 0}
	names := syntax.Names
	if proto.embedded {
		names = []*ast.Ident{embeddedName(syntax.Type)}
	}
	typ, err := m.wireType(root.file, syntax.Type)
	for _, id := range names {
		f := proto
		f.name, f.wire, f.typ = id.Name, wireName(id.Name), typ
		switch {
		case err != nil:
			m.mistake(id.Pos(), "field %s of %s has type %s, %s", id.Name, root.name(), types.ExprString(syntax.Type), err)
			continue
		case !ast.IsExported(id.Name):
			m.mistake(id.Pos(), "field %s of %s is not exported, so it has no wire form: export it", id.Name, root.name())
			continue
		case f.embedded && typ.kind != nested:
			m.mistake(id.Pos(), "%s embeds %s, which is not a struct: give it a field name", root.name(), types.ExprString(syntax.Type))
			continue
		}
		for _, x := range markers {
			m.mark(root, &f, x)
		}
		if f.personal != nil && f.ref != "" {
			m.mistake(f.personal.at, "field %s of %s is an id, and ids are stored as they are: it can't be personal", id.Name, root.name())
		}
		if f.optional && typ.kind == nested && !typ.object.comparable() {
			m.mistake(id.Pos(), "field %s of %s can't be optional: it has lists in it, so whether it is absent can't be told: use a slice of at most one", id.Name, root.name())
		}
		out = append(out, f)
	}
	return out
}

func embeddedName(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return e.Sel
	case *ast.StarExpr:
		return embeddedName(e.X)
	case *ast.IndexExpr:
		return embeddedName(e.X)
	case *ast.IndexListExpr:
		return embeddedName(e.X)
	}
	return &ast.Ident{NamePos: e.Pos(), Name: "_"}
}

// mark applies a field's marker.
func (m *module) mark(root *typeDecl, f *field, x marker) {
	k := f.typ.kind
	fits := func(ok bool, what string) {
		if !ok || f.embedded {
			m.mistake(x.at, "//es:%s on field %s of %s says nothing: it is for %s", x.name, f.name, root.name(), what)
		}
	}
	switch x.name {
	case "optional":
		f.optional = true
		fits(true, "fields with a name of their own")
	case "trim":
		f.trim = true
		fits(k == text, "text")
	case "email":
		f.email = true
		fits(k == text, "text")
	case "distinct":
		f.distinct = true
		fits(k == list && f.typ.item.comparable(), "lists of what == compares")
	case "title":
		f.title = x.args
		fits(true, "fields with a name of their own")
	case "personal":
		f.personal = &x
		fits(true, "fields with a name of their own")
	case "label":
		f.label = true
		fits(k == text, "text")
	case "ref":
		f.ref = x.args
		fits(k == text || k == list && f.typ.item.kind == text, "text and lists of text, which are ids")
		m.refs = append(m.refs, x)
	case "len":
		if l, ok := lenArgs(x.args); ok {
			f.length = &l
		}
		fits(k == text || k == list, "text and lists")
	case "min":
		f.min = x.args
		m.bound(root, f, x, fits)
	case "max":
		f.max = x.args
		m.bound(root, f, x, fits)
	}
}

// bound checks a number's bound.
func (m *module) bound(root *typeDecl, f *field, x marker, fits func(bool, string)) {
	if !f.typ.number() {
		fits(false, "numbers and prices")
		return
	}
	fits(true, "fields with a name of their own")
	if !numeral.MatchString(x.args) {
		return // which is a mistake of the marker's already
	}
	if what := f.typ.outside(x.args); what != "" {
		m.mistake(x.at, "//es:%s %s on field %s of %s is not a bound: it must be %s", x.name, x.args, f.name, root.name(), what)
		return
	}
	min, max := value(f.min), value(f.max)
	if min != nil && max != nil && min.Cmp(max) > 0 {
		m.mistake(x.at, "field %s of %s has a least value of %s and a greatest of %s: no number is both", f.name, root.name(), f.min, f.max)
	}
}

func (t *wireType) number() bool {
	return t.kind == integer || t.kind == natural || t.kind == float || t.kind == price
}

// value is the number that a bound is; nil: there is no bound.
func value(bound string) *big.Rat {
	n, _ := new(big.Rat).SetString(bound)
	return n
}

// outside says what a bound of that type must be; "": it is.
func (t *wireType) outside(bound string) string {
	n := value(bound)
	between := func(low, high *big.Int) string {
		if !n.IsInt() || n.Num().Cmp(low) < 0 || n.Num().Cmp(high) > 0 {
			return fmt.Sprintf("a whole number from %d to %d", low, high)
		}
		return ""
	}
	power := func(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }
	below := func(n *big.Int) *big.Int { return new(big.Int).Sub(n, big.NewInt(1)) }
	switch t.kind {
	case integer:
		return between(new(big.Int).Neg(power(t.bits-1)), below(power(t.bits-1)))
	case natural:
		return between(new(big.Int), below(power(t.bits)))
	case price:
		if _, err := es.ParsePrice(bound); err != nil {
			return "a price such as 0.01"
		}
	}
	return ""
}

func (t *wireType) comparable() bool {
	return t.kind != list && (t.kind != nested || t.object.comparable())
}

func (o *object) comparable() bool {
	for _, f := range o.fields {
		if !f.typ.comparable() {
			return false
		}
	}
	return true
}

// subject is the marker that says that the object holds personal data; nil: it does not.
func (o *object) subject() *marker {
	for _, f := range o.fields {
		if x := f.subject(); x != nil {
			return x
		}
	}
	return nil
}

func (f *field) subject() *marker {
	if f.personal != nil {
		return f.personal
	}
	t := f.typ
	for t.kind == list {
		t = t.item
	}
	if t.kind == nested {
		return t.object.subject()
	}
	return nil
}

// personal are the members of the object's JSON that hold personal data.
func (o *object) personal() (wires []string) {
	for _, l := range o.leaves() {
		if l.subject() != nil {
			wires = append(wires, l.wire)
		}
	}
	return wires
}

// leaf is a field of an object's JSON, wherever it is embedded.
type leaf struct {
	field
	path string // from the object, as in "Details.Name"
}

func (o *object) leaves() (out []leaf) {
	for _, f := range o.fields {
		if !f.embedded {
			out = append(out, leaf{f, f.name})
			continue
		}
		for _, l := range f.typ.object.leaves() {
			l.path = f.name + "." + l.path
			out = append(out, l)
		}
	}
	return out
}

// limited reports whether what users send in the object has limits or a normal form.
func (o *object) limited() bool {
	for _, f := range o.fields {
		if f.trim || f.email || f.distinct || f.length != nil || f.min != "" || f.max != "" || f.typ.limited() {
			return true
		}
	}
	return false
}

func (t *wireType) limited() bool {
	return t.values != nil || t.kind == list && t.item.limited() || t.kind == nested && t.object.limited()
}

// identity is equal for structs that Go converts into each other and that are
// written alike; where limits count, also limited alike.
func (o *object) identity(limits bool) string {
	var b strings.Builder
	for _, f := range o.fields {
		fmt.Fprintf(&b, "%s %s %v %v", f.name, f.typ.identity(), f.embedded, f.optional)
		if limits {
			fmt.Fprintf(&b, " %v %v %v %q %q", f.trim, f.email, f.distinct, f.min, f.max)
			if f.length != nil {
				fmt.Fprintf(&b, " %d..%d", f.length.min, f.length.max)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (t *wireType) identity() string {
	switch {
	case t.named != nil:
		return t.named.file.pkg.path + "." + t.named.name()
	case t.kind == list:
		return "[]" + t.item.identity()
	}
	return cmp.Or(t.basic, strconv.Itoa(int(t.kind)))
}

// values are the constants that a text type's package declares of it, in the
// order of the sources.
func (m *module) values(d *typeDecl) (out []string) {
	for _, f := range d.file.pkg.files {
		for _, decl := range f.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				out = append(out, m.constants(d, s.(*ast.ValueSpec))...)
			}
		}
	}
	return out
}

func (m *module) constants(d *typeDecl, s *ast.ValueSpec) (out []string) {
	is := func(e ast.Expr) bool { id, ok := e.(*ast.Ident); return ok && id.Name == d.name() }
	for i, v := range s.Values {
		if call, ok := v.(*ast.CallExpr); ok && is(call.Fun) && len(call.Args) == 1 {
			v = call.Args[0]
		} else if s.Type == nil || !is(s.Type) {
			continue
		}
		lit, ok := v.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			m.mistake(v.Pos(), "the constant %s is a value of %s, which the generator lists: write its text as a literal", s.Names[i].Name, d.name())
			continue
		}
		text, err := strconv.Unquote(lit.Value)
		if err == nil {
			out = append(out, text)
		}
	}
	return out
}
