package generate

import (
	"go/ast"
	"go/token"
	"slices"
)

// part is a side effect or a schedule, which is part of the plugin where a task names it.
type part struct {
	kind, list string // for messages; the task's field
	pkg        *pkg
	name       string // of the variable or function
	at         token.Pos
}

// partTypes are the types of package es whose values are parts of tasks.
var partTypes = map[string]part{
	"SideEffect": {kind: "side effect", list: "SideEffects"}, "Schedule": {kind: "schedule", list: "Schedules"},
}

// notePart notes a variable or function of that type, or of a list of it.
func (p *plugin) notePart(f *file, id *ast.Ident, typ ast.Expr) {
	if list, ok := typ.(*ast.ArrayType); ok {
		typ = list.Elt
	}
	if x, ok := partTypes[f.es(typ)]; ok && id.Name != "_" {
		x.pkg, x.name, x.at = f.pkg, id.Name, id.Pos()
		p.parts = append(p.parts, x)
	}
}

// notePartValue is notePart for a variable whose type its value tells.
func (p *plugin) notePartValue(f *file, id *ast.Ident, value ast.Expr) {
	switch root := unchain(value).(type) {
	case *ast.CompositeLit:
		p.notePart(f, id, root.Type)
	case *ast.CallExpr:
		if x := partTypes["SideEffect"]; constructors[f.es(root.Fun)].kind == "side effects" && id.Name != "_" {
			x.pkg, x.name, x.at = f.pkg, id.Name, id.Pos()
			p.parts = append(p.parts, x)
		}
	}
}

// checkParts finds parts that nothing names: no task does, so they would never run.
func (p *plugin) checkParts() {
	for _, x := range p.parts {
		if !slices.ContainsFunc(p.packages, func(q *pkg) bool { return q.mentions(x) }) {
			p.mistake(x.at, "the %s %s is in no task, so it would never run: name it in the %s of an es.Task", x.kind, x.name, x.list)
		}
	}
}

// mentions reports whether something of the package's names the part, beside its
// declaration.
func (q *pkg) mentions(x part) (found bool) {
	for _, f := range q.files {
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if id, ok := n.X.(*ast.Ident); ok && n.Sel.Name == x.name && f.imports[id.Name] == x.pkg.path {
					found = true
				}
			case *ast.Ident:
				found = found || q == x.pkg && n.Name == x.name && n.Pos() != x.at
			}
			return !found
		})
	}
	return found
}
