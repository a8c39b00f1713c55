package generate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// codeVersion counts changes of how generated code reads events and writes rows.
const codeVersion = 1

// code is a hash of what a read model's rows are made by: its row type, its projections,
// the upcasters of its sources, and whatever of this module they use. Comments and
// formatting don't count. A method counts where something of its name is used.
func (p *plugin) code(c *component) (string, error) {
	r := &reached{plugin: p, found: map[symbol]ast.Node{}, called: map[string]bool{}, packages: map[*pkg]bool{}}
	i := slices.Index(names(c.pkg.vars[c.name]), c.name)
	switch v := c.pkg.vars[c.name]; {
	case c.method != "": // the view of an import, which is the framework's
		if p.owns(runs) {
			if from := p.load(runs); from != nil {
				r.use(symbol{from, "NewView"})
			}
		}
	case i < len(v.Values):
		root := unchain(v.Values[i]) // not who may read the rows, and how they are listed
		r.found[symbol{c.pkg, c.name}] = root
		r.follow(c.pkg, root)
	}
	for more := true; more; {
		more = false
		for q := range maps.Clone(r.packages) {
			for _, x := range q.methods {
				s := symbol{q, x.on + "." + x.decl.Name.Name}
				if r.called[x.decl.Name.Name] && r.found[s] == nil {
					r.found[s], more = x.decl, true
					r.follow(q, x.decl)
				}
			}
		}
	}
	h := sha256.New()
	fmt.Fprintln(h, codeVersion)
	for _, s := range slices.SortedFunc(maps.Keys(r.found), symbol.compare) {
		fmt.Fprintf(h, "%s %s\n", s.in.path, s.name)
		if err := p.write(h, r.found[s]); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

func names(v *ast.ValueSpec) (out []string) {
	for _, id := range v.Names {
		out = append(out, id.Name)
	}
	return out
}

// symbol is something that a package declares: Name, or Type.Method.
type symbol struct {
	in   *pkg
	name string
}

func (s symbol) compare(other symbol) int {
	return cmp.Or(strings.Compare(s.in.path, other.in.path), strings.Compare(s.name, other.name))
}

// reached is what some code uses.
type reached struct {
	*plugin
	found    map[symbol]ast.Node
	called   map[string]bool // names of fields and methods
	packages map[*pkg]bool
}

// follow finds what the syntax of a package uses.
func (r *reached) follow(q *pkg, n ast.Node) {
	r.packages[q] = true
	f := q.fileAt(n.Pos())
	var walk func(ast.Node) bool
	walk = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			return false // it has no code; what is called on its values counts by name
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && f.imports[id.Name] != "" {
				if from := r.ours(f.imports[id.Name]); from != nil {
					r.use(symbol{from, n.Sel.Name})
				}
				return false
			}
			r.called[n.Sel.Name] = true
			ast.Inspect(n.X, walk)
			return false
		case *ast.Ident:
			r.use(symbol{q, n.Name})
		}
		return true
	}
	ast.Inspect(n, walk)
}

func (r *reached) use(s symbol) {
	if s.name == "Aggregate" { // which is generated: its events are read by these
		s.name = "upcasters"
	}
	n := s.in.names[s.name]
	if n == nil || r.found[s] != nil {
		return
	}
	for _, d := range s.in.fileAt(n.Pos()).Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST && g.Pos() <= n.Pos() && n.End() <= g.End() {
			n = g // where iota counts, and values repeat
		}
	}
	r.found[s] = n
	r.follow(s.in, n)
}

// ours is the package if it is of this module, and no part of the framework.
func (r *reached) ours(importPath string) *pkg {
	if i := slices.IndexFunc(r.plugin.packages, func(q *pkg) bool { return q.path == importPath }); i >= 0 {
		return r.plugin.packages[i]
	}
	if !r.owns(importPath) || importPath == framework || strings.HasPrefix(importPath, framework+"/") {
		return nil
	}
	return r.load(importPath)
}

func (q *pkg) fileAt(at token.Pos) *file {
	return q.files[slices.IndexFunc(q.files, func(f *file) bool { return f.FileStart <= at && at < f.FileEnd })]
}

// write writes the tokens of the syntax, and the markers that change how its values are
// written, or stored.
func (m *module) write(h hash.Hash, n ast.Node) error {
	from, to := m.fset.Position(n.Pos()), m.fset.Position(n.End())
	text, err := os.ReadFile(filepath.Join(m.root, filepath.FromSlash(from.Filename)))
	if err != nil {
		return err
	}
	text = text[from.Offset:to.Offset]
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(text)), text, nil, 0)
	ending := "" // a comma or semicolon that a bracket may follow on the same line, or not
	for {
		_, t, literal := s.Scan()
		switch {
		case t == token.EOF:
			ast.Inspect(n, func(n ast.Node) bool {
				if x, ok := n.(*ast.Field); ok {
					_, found := split(x.Doc, x.Comment)
					for _, m := range found {
						if m.name != "optional" && m.name != "personal" {
							continue
						}
						for _, id := range x.Names {
							fmt.Fprintf(h, "%s %s\n", m.name, id.Name)
						}
					}
				}
				return true
			})
			return nil
		case t == token.RPAREN || t == token.RBRACE || t == token.RBRACK:
			ending = ""
		}
		fmt.Fprint(h, ending)
		ending = ""
		switch {
		case t == token.COMMA || t == token.SEMICOLON:
			ending = t.String() + "\n"
		case literal != "":
			fmt.Fprintln(h, literal)
		default:
			fmt.Fprintln(h, t)
		}
	}
}
