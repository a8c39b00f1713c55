package generate

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// framework is the import path of package es.
const framework = "onlineshop/es"

// module is the Go module around the plugin, as far as its syntax tells.
type module struct {
	root, path string // folder and import path
	fset       *token.FileSet
	packages   map[string]*pkg
	objects    map[*typeDecl]*object
	mistakes   []mistake
	refs       []marker // of fields that were read
}

// mistake is something that the author has to put right.
type mistake struct {
	at   token.Position
	text string
}

// pkg is a package without its tests and generated files.
type pkg struct {
	path, name string
	files      []*file // by name
	types      map[string]*typeDecl
	vars       map[string]*ast.ValueSpec
	methods    []*method           // in the order of the sources
	names      map[string]ast.Node // everything declared at package level
}

type file struct {
	*ast.File
	pkg     *pkg
	imports map[string]string // path by local name
}

type typeDecl struct {
	file *file
	spec *ast.TypeSpec
	doc  *ast.CommentGroup // the type's own; of a group of types: none
	in   *ast.GenDecl
}

func (d *typeDecl) name() string { return d.spec.Name.Name }

type method struct {
	file    *file
	decl    *ast.FuncDecl
	on      string // the receiver's type
	pointer bool
}

// openModule finds the module that dir lies in.
func openModule(dir string) (*module, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for root := dir; ; root = filepath.Dir(root) {
		text, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			line := regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`).FindSubmatch(text)
			if line == nil {
				return nil, fmt.Errorf("%s names no module", filepath.Join(root, "go.mod"))
			}
			return &module{root: root, path: string(line[1]), fset: token.NewFileSet(),
				packages: map[string]*pkg{}, objects: map[*typeDecl]*object{}}, nil
		}
		if root == filepath.Dir(root) {
			return nil, fmt.Errorf("%s is in no Go module: run esgen in a plugin's folder", dir)
		}
	}
}

func (m *module) dir(importPath string) string {
	return filepath.Join(m.root, filepath.FromSlash(strings.TrimPrefix(importPath, m.path)))
}

func (m *module) owns(importPath string) bool {
	return importPath == m.path || strings.HasPrefix(importPath, m.path+"/")
}

func (m *module) mistake(at token.Pos, format string, args ...any) {
	m.mistakes = append(m.mistakes, mistake{m.fset.Position(at), fmt.Sprintf(format, args...)})
}

// where is a place for messages, without the column.
func (m *module) where(at token.Pos) string {
	p := m.fset.Position(at)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// Error is every mistake, one a line, by place.
type Error struct{ lines []string }

func (e *Error) Error() string { return strings.Join(e.lines, "\n") }

func (m *module) err() error {
	if len(m.mistakes) == 0 {
		return nil
	}
	slices.SortStableFunc(m.mistakes, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.at.Filename, b.at.Filename), cmp.Compare(a.at.Line, b.at.Line))
	})
	e := &Error{}
	for _, x := range slices.Compact(m.mistakes) {
		e.lines = append(e.lines, fmt.Sprintf("%s:%d: %s", x.at.Filename, x.at.Line, x.text))
	}
	return e
}

func isSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, generatedSuffix)
}

// load parses a package of the module once; nil where the folder has no sources.
func (m *module) load(importPath string) *pkg {
	if p, ok := m.packages[importPath]; ok {
		return p
	}
	p := &pkg{path: importPath, types: map[string]*typeDecl{}, vars: map[string]*ast.ValueSpec{}, names: map[string]ast.Node{}}
	m.packages[importPath] = nil // until it turns out to have sources
	entries, err := os.ReadDir(m.dir(importPath))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if match, err := build.Default.MatchFile(m.dir(importPath), e.Name()); e.IsDir() || !isSource(e.Name()) || err == nil && !match {
			continue
		}
		full := filepath.Join(m.dir(importPath), e.Name())
		shown, err := filepath.Rel(m.root, full)
		if err != nil {
			shown = full
		}
		m.parse(p, full, filepath.ToSlash(shown))
	}
	if len(p.files) == 0 {
		return nil
	}
	m.packages[importPath] = p
	return p
}

func (m *module) parse(p *pkg, full, shown string) {
	text, err := os.ReadFile(full)
	if err != nil {
		m.mistakes = append(m.mistakes, mistake{token.Position{Filename: shown}, err.Error()})
		return
	}
	syntax, err := parser.ParseFile(m.fset, shown, text, parser.ParseComments|parser.SkipObjectResolution)
	if list := (scanner.ErrorList)(nil); errors.As(err, &list) {
		for _, e := range list {
			m.mistakes = append(m.mistakes, mistake{e.Pos, e.Msg})
		}
		return
	}
	f := &file{File: syntax, pkg: p, imports: map[string]string{}}
	p.name, p.files = syntax.Name.Name, append(p.files, f)
	for _, i := range syntax.Imports {
		to, _ := strconv.Unquote(i.Path.Value)
		name := path.Base(to)
		if regexp.MustCompile(`^v\d+$`).MatchString(name) {
			name = path.Base(path.Dir(to))
		}
		if i.Name != nil {
			name = i.Name.Name
		} else if m.owns(to) && to != framework && to != p.path {
			if q := m.load(to); q != nil {
				name = q.name
			}
		}
		f.imports[name] = to
	}
	for _, d := range syntax.Decls {
		m.declare(f, d)
	}
}

func (m *module) declare(f *file, d ast.Decl) {
	p := f.pkg
	name := func(id *ast.Ident, n ast.Node) {
		if id.Name == "_" || id.Name == "init" {
			return
		}
		if first, ok := p.names[id.Name]; ok {
			m.mistake(id.Pos(), "%s is declared twice: here and in %s", id.Name, m.where(first.Pos()))
		}
		p.names[id.Name] = n
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			name(d.Name, d)
			return
		}
		on := method{file: f, decl: d}
		t := d.Recv.List[0].Type
		if star, ok := t.(*ast.StarExpr); ok {
			t, on.pointer = star.X, true
		}
		switch g := t.(type) {
		case *ast.IndexExpr:
			t = g.X
		case *ast.IndexListExpr:
			t = g.X
		}
		if id, ok := t.(*ast.Ident); ok {
			on.on = id.Name
			p.methods = append(p.methods, &on)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				name(s.Name, s)
				doc := s.Doc
				if doc == nil && !d.Lparen.IsValid() {
					doc = d.Doc
				}
				if s.Comment == nil {
					s.Comment = m.besideBrace(f, s)
				}
				p.types[s.Name.Name] = &typeDecl{f, s, doc, d}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					name(id, s)
					if d.Tok == token.VAR {
						p.vars[id.Name] = s
					}
				}
			}
		}
	}
}

// besideBrace is the comment that stands behind a struct's opening brace, where go/parser
// gives it to nobody: it is about the type, as it would be behind a struct of one line.
func (m *module) besideBrace(f *file, s *ast.TypeSpec) *ast.CommentGroup {
	t, ok := s.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	line := func(p token.Pos) int { return m.fset.Position(p).Line }
	i := slices.IndexFunc(f.Comments, func(g *ast.CommentGroup) bool {
		return g.Pos() > t.Fields.Opening && line(g.Pos()) == line(t.Fields.Opening)
	})
	if i < 0 || t.Fields.NumFields() > 0 && t.Fields.List[0].Pos() < f.Comments[i].Pos() {
		return nil
	}
	return f.Comments[i]
}

// has reports whether a type of the package has a method.
func (q *pkg) has(typeName, methodName string) bool {
	return slices.ContainsFunc(q.methods, func(x *method) bool { return x.on == typeName && x.decl.Name.Name == methodName })
}

// lookup finds the declaration that an expression names, where it is in this
// module; else its package's path ("" for predeclared names) and its name.
func (m *module) lookup(f *file, e ast.Expr) (d *typeDecl, elsewhere, name string) {
	switch e := e.(type) {
	case *ast.Ident:
		return f.pkg.types[e.Name], "", e.Name
	case *ast.SelectorExpr:
		id, ok := e.X.(*ast.Ident)
		if !ok {
			return nil, "", ""
		}
		from := f.imports[id.Name]
		if m.owns(from) && from != framework {
			if p := m.load(from); p != nil {
				return p.types[e.Sel.Name], from, e.Sel.Name
			}
		}
		return nil, from, e.Sel.Name
	}
	return nil, "", ""
}

// es is the name of package es's symbol that the expression is, or "".
func (f *file) es(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.IndexExpr:
		e = x.X
	case *ast.IndexListExpr:
		e = x.X
	}
	if s, ok := e.(*ast.SelectorExpr); ok {
		if id, ok := s.X.(*ast.Ident); ok && f.imports[id.Name] == framework {
			return s.Sel.Name
		}
	}
	return ""
}

// spell writes a type expression of the file with the qualifiers that the
// callback has for the packages of the names in it; "" for none.
func (f *file) spell(e ast.Expr, qualifier func(importPath, name string) string) string {
	parsed, err := parser.ParseExpr(types.ExprString(e)) // a copy to change
	if err != nil {
		return types.ExprString(e)
	}
	var walk func(ast.Node) bool
	walk = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field: // its names are no types
			ast.Inspect(n.Type, walk)
			return false
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && f.imports[id.Name] != "" {
				id.Name = qualifier(f.imports[id.Name], n.Sel.Name)
			}
			return false
		case *ast.Ident:
			if _, ok := f.pkg.types[n.Name]; !ok {
				return true
			}
			if q := qualifier(f.pkg.path, n.Name); q != "" {
				n.Name = q + "." + n.Name
			}
		}
		return true
	}
	ast.Inspect(parsed, walk)
	return types.ExprString(parsed)
}

// qualified is a type expression with import paths for package names; equal
// for equal types.
func (f *file) qualified(e ast.Expr) string {
	return f.spell(e, func(from, _ string) string { return from })
}

// signature is a function type's parameters and results, as in
// "(context.Context, onlineshop/es.Reader) error"; local types by their names.
func (f *file) signature(t *ast.FuncType) string {
	list := func(fields *ast.FieldList) (out []string) {
		if fields == nil {
			return nil
		}
		for _, x := range fields.List {
			s := f.spell(x.Type, func(from, _ string) string {
				if from == f.pkg.path {
					return ""
				}
				return from
			})
			for range max(1, len(x.Names)) {
				out = append(out, s)
			}
		}
		return out
	}
	in, out := strings.Join(list(t.Params), ", "), list(t.Results)
	switch len(out) {
	case 0:
		return "(" + in + ")"
	case 1:
		return "(" + in + ") " + out[0]
	}
	return "(" + in + ") (" + strings.Join(out, ", ") + ")"
}
