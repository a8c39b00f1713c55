package generate

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
	"time"
)

// calledName is a name that a component is given.
type calledName struct {
	kind, name string
	at         token.Pos
}

// component is a part of the plugin that is not generated.
type component struct {
	list       string // the field of es.Plugin that it goes to
	pkg        *pkg
	name       string // of the variable or function
	method     string // of the variable that returns the component; empty: it is one
	at         token.Pos
	function   bool
	parameters []parameter
}

// parameter is what a component asks for, and a field of the plugin's Deps.
type parameter struct {
	field string
	file  *file
	typ   ast.Expr
	at    token.Pos
}

// constructors of package es: the field of es.Plugin that their results go to,
// and what the components are called in messages.
var constructors = map[string]struct{ list, kind string }{
	"NewReadModel":          {"ReadModels", "read models"},
	"NewMapping":            {"Mappings", "event mappings"},
	"Publish":               {"Publications", ""},
	"Ask":                   {"Publications", ""},
	"NewExtension":          {"Extensions", "extensions"},
	"Accept":                {"Extensions", "extensions"},
	"NewSideEffect":         {"", "side effects"},
	"NewBoundarySideEffect": {"", "side effects"},
}

// imports is what declares a task with an aggregate and a view of its runs.
const imports = framework + "/csvimport.New"

// runs is the package of what an import is made of, beside its task.
const runs = framework + "/csvimport/run"

// importMethods return what an import is made of, by the field of es.Plugin that
// it goes to.
var importMethods = map[string]string{"Aggregates": "Aggregate", "ReadModels": "View", "Tasks": "Task"}

// results of functions that are components.
var results = map[string]string{
	"Mapping": "Mappings", "Publication": "Publications", "Extension": "Extensions", "Task": "Tasks",
}

func (p *plugin) readComponents(q *pkg) {
	for _, f := range q.files {
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				p.readCall(f, n)
			case *ast.CompositeLit:
				p.readTask(f, n)
			}
			return true
		})
		if p.shared {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				p.readFunction(f, d)
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					p.readVariable(f, s.(*ast.ValueSpec))
				}
			}
		}
	}
	slices.SortStableFunc(p.components, func(a, b *component) int {
		return strings.Compare(a.pkg.path+"."+a.name, b.pkg.path+"."+b.name)
	})
}

// readCall notes a component's name, and a read model's row and indexes.
func (p *plugin) readCall(f *file, call *ast.CallExpr) {
	if s, ok := call.Fun.(*ast.SelectorExpr); ok && listings[s.Sel.Name].verb != "" {
		if root, ok := unchain(call).(*ast.CallExpr); ok && f.es(root.Fun) == "NewReadModel" {
			p.checkIndex(f, root, call, listings[s.Sel.Name])
		}
	}
	if s, ok := call.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "After" && len(call.Args) == 1 {
		if root, ok := unchain(call).(*ast.CallExpr); ok && f.es(root.Fun) == "NewMapping" {
			p.checkDelay(f, call.Args[0])
		}
	}
	if f.symbol(call.Fun) == imports && len(call.Args) > 1 {
		p.call("tasks", call.Args[0])
		p.call("aggregates", call.Args[1])
		if last := len(p.called) - 1; last >= 0 && p.called[last].kind == "aggregates" {
			p.called = append(p.called, calledName{"read models", p.called[last].name + "s", call.Args[1].Pos()})
		}
	}
	name := f.es(call.Fun)
	switch {
	case name == "Publish" && len(call.Args) > 1:
		p.checkOwn(f, call.Args[1], "a plugin publishes at its own extension points alone: declare one below %s, or ask by es.Ask")
	case name == "Accept" && len(call.Args) > 1:
		p.checkOwn(f, call.Args[1], "a plugin accepts what its own extension points are asked alone: declare one below %s")
	case name == "AllowGroups" && len(call.Args) == 1 && types.ExprString(call.Args[0]) == `""`:
		p.mistake(call.Args[0].Pos(), "es.AllowGroups(\"\") admits nobody: name a group, or write es.DenyAll()")
	}
	c, ok := constructors[name]
	if !ok || c.kind == "" || len(call.Args) == 0 {
		return
	}
	if !p.shared { // whose names its users give
		p.call(c.kind, call.Args[0])
	}
	if name == "NewReadModel" {
		p.readView(f, call)
		if d := p.row(f, call); d != nil {
			p.addRow(d)
		}
	}
}

// view is a read model as its constructor's call says it.
type view struct {
	sources []viewSource
	lists   []*ast.CallExpr // .By(…), .Sort(…) and .Search(…)
}

// viewSource is an argument such as es.From(customer.Aggregate, …).
type viewSource struct {
	kind string // "From"
	pkg  string // path of the aggregate's package
	at   token.Pos
}

// readView notes what a read model's rows come from, and how they are listed.
func (p *plugin) readView(f *file, call *ast.CallExpr) {
	var v view
	for _, arg := range call.Args[1:] {
		from, ok := arg.(*ast.CallExpr)
		if !ok || len(from.Args) == 0 {
			continue
		}
		if of, found := strings.CutSuffix(f.symbol(from.Args[0]), ".Aggregate"); found {
			v.sources = append(v.sources, viewSource{f.es(from.Fun), of, arg.Pos()})
		}
	}
	for _, d := range f.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			listed, ok := n.(*ast.CallExpr)
			if !ok || ast.Node(listed) == ast.Node(call) || unchain(listed) != ast.Expr(call) {
				return true
			}
			if s, ok := listed.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"By", "Sort", "Search"}, s.Sel.Name) {
				v.lists = append(v.lists, listed)
			}
			return true
		})
	}
	p.viewCalls = append(p.viewCalls, v)
}

// checkSubjects finds views that would keep personal data where it can't be encrypted: in
// what rows are found by, and in sums.
func (p *plugin) checkSubjects() {
	for _, v := range p.viewCalls {
		for _, s := range v.sources {
			i := slices.IndexFunc(p.aggregates, func(a *aggregate) bool { return a.pkg.path == s.pkg && a.subject() != nil })
			switch {
			case i < 0:
				continue
			case s.kind == "PartsFrom":
				p.mistake(s.at, "%s has personal data, and parts are added up with those of others: make rows es.From it", p.aggregates[i].name)
			}
			for _, l := range v.lists {
				p.mistake(l.Args[0].Pos(), "%s has personal data, so the rows are stored encrypted: they can't be listed, sorted or searched by %s", p.aggregates[i].name, types.ExprString(l.Args[0]))
			}
		}
	}
}

// readTask notes a task's name.
func (p *plugin) readTask(f *file, lit *ast.CompositeLit) {
	if lit.Type == nil || f.es(lit.Type) != "Task" || len(lit.Elts) == 0 {
		return
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "Name" {
				p.call("tasks", kv.Value)
				return
			}
		}
	}
	p.mistake(lit.Pos(), "the task has no name: give it one, as in es.Task{Name: \"ImportProducts\", …}")
}

func (p *plugin) call(kind string, e ast.Expr) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		p.mistake(e.Pos(), "names of %s are stored, so write this one as a literal, not as %s", kind, types.ExprString(e))
		return
	}
	name, err := strconv.Unquote(lit.Value)
	if err != nil || !properName.MatchString(name) {
		p.mistake(e.Pos(), "%s is not a name for one of the %s: use letters and digits, a capital first, as in ProductDemands", lit.Value, kind)
		return
	}
	p.called = append(p.called, calledName{kind, name, e.Pos()})
}

// row is the type argument of es.NewReadModel; what is wrong with it is noted.
func (p *plugin) row(f *file, call *ast.CallExpr) *typeDecl {
	var arg ast.Expr
	switch g := call.Fun.(type) {
	case *ast.IndexExpr:
		arg = g.Index
	default:
		p.mistake(call.Pos(), "the read model's row type can't be told from syntax: write es.NewReadModel[Row](…)")
		return nil
	}
	d, _, _ := p.lookup(f, arg)
	name := types.ExprString(arg)
	switch {
	case d == nil:
		p.mistake(arg.Pos(), "the row type %s is declared nowhere in this module: declare it as a struct", name)
	case !slices.Contains(p.packages, d.file.pkg):
		p.mistake(arg.Pos(), "the row type %s is declared outside of the plugin, so it can't be given its JSON methods: declare a type of it here", name)
	case d.spec.Assign.IsValid() || d.spec.TypeParams != nil:
		p.mistake(arg.Pos(), "the row type %s is an alias or has type parameters: declare it as a struct", name)
	default:
		root := p.structOf(d)
		if root == nil {
			p.mistake(arg.Pos(), "the row type %s is not a struct: declare it as one", name)
			return nil
		}
		if _, err := p.object(root); err == nil {
			return d
		}
	}
	return nil
}

// listing is how rows are listed by a field, and the kinds of fields that fit.
type listing struct {
	verb, fields string
	kinds        []kind
}

var listings = map[string]listing{
	"By":     {"listed by", "text fields", []kind{text}},
	"Search": {"searched in", "text fields", []kind{text}},
	"Sort":   {"sorted by", "texts, numbers, prices, times and booleans", []kind{text, integer, natural, float, price, moment, truth}},
	"Sum":    {"added up by", "numbers and prices", []kind{integer, natural, float, price}},
	"First":  {"merged by the first", "numbers, prices, times and booleans", []kind{integer, natural, float, price, moment, truth}},
	"Last":   {"merged by the last", "numbers, prices, times and booleans", []kind{integer, natural, float, price, moment, truth}},
}

// checkIndex holds a .By("field"), .Sort("field", …) or the like against the row's fields.
func (p *plugin) checkIndex(f *file, root, by *ast.CallExpr, how listing) {
	g, ok := root.Fun.(*ast.IndexExpr)
	if !ok {
		return
	}
	d, _, _ := p.lookup(f, g.Index)
	if d == nil || p.structOf(d) == nil {
		return
	}
	o, err := p.object(p.structOf(d))
	if err != nil {
		return
	}
	var fitting []string
	for _, l := range o.leaves() {
		if slices.Contains(how.kinds, l.typ.kind) {
			fitting = append(fitting, l.wire)
		}
	}
	for _, arg := range by.Args {
		if lit, ok := arg.(*ast.BasicLit); ok {
			if name, _ := strconv.Unquote(lit.Value); slices.Contains(fitting, name) {
				continue
			}
		}
		why := "they have no " + how.fields
		if len(fitting) > 0 {
			why = "it is none of their " + how.fields + ": " + strings.Join(fitting, ", ")
		}
		p.mistake(arg.Pos(), "rows of %s can't be %s %s: %s", d.name(), how.verb, types.ExprString(arg), why)
	}
}

// checkOwn finds extension points of other plugins where it takes one of this plugin's own.
func (p *plugin) checkOwn(f *file, point ast.Expr, advice string) {
	s, ok := point.(*ast.SelectorExpr)
	if !ok {
		return // which the engine sees when it starts
	}
	id, ok := s.X.(*ast.Ident)
	if !ok {
		return
	}
	if from := f.imports[id.Name]; p.owns(from) && !strings.HasPrefix(from, p.pkg.path+"/") {
		p.mistake(point.Pos(), "%s is another plugin's: "+advice, types.ExprString(point), p.pkg.name)
	}
}

// checkDelay refuses a delay below zero, where it can be told from the sources.
func (p *plugin) checkDelay(f *file, e ast.Expr) {
	v := f.duration(e)
	if v == nil || v.Kind() != constant.Int {
		return // which the engine sees when it starts
	}
	if n, exact := constant.Int64Val(v); !exact || n < 0 {
		p.mistake(e.Pos(), "a mapping can't wait %s: a delay is at least 0s, and at most what a time.Duration holds", types.ExprString(e))
	}
}

// duration is the value of a constant expression, in nanoseconds; nil: it can't be
// told.
func (f *file) duration(e ast.Expr) constant.Value {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return f.duration(e.X)
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.SelectorExpr:
		if f.symbol(e) == "time."+e.Sel.Name {
			if d, err := time.ParseDuration(units[e.Sel.Name]); err == nil {
				return constant.MakeInt64(int64(d))
			}
		}
	case *ast.UnaryExpr:
		if x := f.duration(e.X); x != nil && (e.Op == token.SUB || e.Op == token.ADD) {
			return constant.UnaryOp(e.Op, x, 0)
		}
	case *ast.BinaryExpr:
		x, y := f.duration(e.X), f.duration(e.Y)
		if x != nil && y != nil && (e.Op == token.MUL || e.Op == token.ADD || e.Op == token.SUB) {
			return constant.BinaryOp(x, e.Op, y)
		}
	}
	return nil
}

// units are the constants of package time.
var units = map[string]string{
	"Nanosecond": "1ns", "Microsecond": "1us", "Millisecond": "1ms", "Second": "1s", "Minute": "1m", "Hour": "1h",
}

// symbol is what an expression names of a package, as in "time.Hour"; "": it is no
// name.
func (f *file) symbol(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return f.symbol(e.X)
	case *ast.Ident:
		return f.pkg.path + "." + e.Name
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok && f.imports[id.Name] != "" {
			return f.imports[id.Name] + "." + e.Sel.Name
		}
	}
	return ""
}

// unchain is the expression that method calls such as .By(…).Allow(…) start from.
func unchain(e ast.Expr) ast.Expr {
	for {
		switch x := e.(type) {
		case *ast.ParenExpr:
			e = x.X
			continue
		case *ast.CallExpr:
			if s, ok := x.Fun.(*ast.SelectorExpr); ok {
				switch s.X.(type) {
				case *ast.CallExpr, *ast.CompositeLit, *ast.ParenExpr:
					e = s.X
					continue
				}
			}
		}
		return e
	}
}

func (p *plugin) readVariable(f *file, s *ast.ValueSpec) {
	for i, id := range s.Names {
		if i < len(s.Values) {
			if root, ok := unchain(s.Values[i]).(*ast.CallExpr); ok && f.symbol(root.Fun) == imports {
				p.readImport(f, id)
				continue
			}
		}
		list := ""
		if s.Type != nil {
			list = listOf(f, s.Type)
			p.notePart(f, id, s.Type)
		} else if i < len(s.Values) {
			p.notePartValue(f, id, s.Values[i])
			switch root := unchain(s.Values[i]).(type) {
			case *ast.CallExpr:
				list = constructors[f.es(root.Fun)].list
			case *ast.CompositeLit:
				list = listOf(f, root.Type)
			}
		}
		switch {
		case list == "" || id.Name == "_":
		case !id.IsExported():
			p.mistake(id.Pos(), "%s is not exported, so it is not part of the plugin: export it, or call es where it is used", id.Name)
		default:
			p.components = append(p.components, &component{list: list, pkg: f.pkg, name: id.Name, at: id.Pos()})
		}
	}
}

// readImport notes what an import is made of.
func (p *plugin) readImport(f *file, id *ast.Ident) {
	if !id.IsExported() {
		p.mistake(id.Pos(), "%s is not exported, so it is not part of the plugin: export it", id.Name)
		return
	}
	for list, method := range importMethods {
		p.components = append(p.components, &component{list: list, pkg: f.pkg, name: id.Name, method: method, at: id.Pos()})
	}
}

// listOf is the field of es.Plugin that values of a type go to, or "".
func listOf(f *file, t ast.Expr) string {
	name := f.es(t)
	if name == "ReadModel" {
		return "ReadModels"
	}
	return results[name]
}

func (p *plugin) readFunction(f *file, d *ast.FuncDecl) {
	if d.Recv != nil || d.Type.Results.NumFields() != 1 {
		return
	}
	p.notePart(f, d.Name, d.Type.Results.List[0].Type)
	if !d.Name.IsExported() {
		return
	}
	list := listOf(f, d.Type.Results.List[0].Type)
	switch {
	case list == "":
		return
	case list == "ReadModels":
		p.mistake(d.Pos(), "%s returns a read model: declare it as a variable", d.Name.Name)
		return
	case d.Type.TypeParams != nil:
		p.mistake(d.Pos(), "%s has type parameters, so it can't be part of the plugin: declare a function for each", d.Name.Name)
		return
	}
	c := &component{list: list, pkg: f.pkg, name: d.Name.Name, at: d.Pos(), function: true}
	for _, x := range d.Type.Params.List {
		if _, ok := x.Type.(*ast.Ellipsis); ok || len(x.Names) == 0 {
			p.mistake(x.Pos(), "parameters of %s are what the plugin asks for by name: give each a name and a single value", d.Name.Name)
			continue
		}
		for _, id := range x.Names {
			if id.Name == "_" {
				p.mistake(id.Pos(), "parameters of %s are what the plugin asks for by name: give each a name", d.Name.Name)
				continue
			}
			p.checkVisible(f, d, x.Type)
			c.parameters = append(c.parameters, parameter{exported(id.Name), f, x.Type, id.Pos()})
		}
	}
	p.components = append(p.components, c)
}

// checkVisible finds types that the plugin's Deps can't name.
func (p *plugin) checkVisible(f *file, d *ast.FuncDecl, t ast.Expr) {
	f.spell(t, func(from, name string) string {
		if !ast.IsExported(name) && from != p.pkg.path {
			p.mistake(t.Pos(), "%s asks for a %s, which the plugin's Deps can't name: export it", d.Name.Name, name)
		}
		return from
	})
}
