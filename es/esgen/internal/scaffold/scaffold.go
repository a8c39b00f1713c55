// Package scaffold writes the start of a plugin, and of what a plugin is made of: code
// that compiles, with a test, for the author to change.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"onlineshop/es/esgen/internal/generate"
	"onlineshop/es/naming"
)

//go:embed templates/*.tmpl
var files embed.FS

var templates = template.Must(template.ParseFS(files, "templates/*.tmpl"))

// Folder is where plugins are, below the module's root.
const Folder = "plugins"

// data is what the templates say.
type data struct {
	Name    string   // StockItem
	Package string   // stockitem
	Words   string   // stock item
	Article string   // a
	Path    string   // of the package, for imports
	Bucket  string   // stock-item
	Events  []string // of the aggregate

	// Of an import: what its runs are called, and where its rows go.
	Runs     string // CountsImport of the task ImportCounts
	Into     generate.Found
	IntoPath string // of the aggregate's package
}

// Line is a row of a file for the test.
func (d data) Line() string {
	var cells []string
	for _, f := range d.Into.Fields {
		cells = append(cells, map[string]string{"string": "x", "es.Price": "1.50", "int": "1", "int64": "1"}[f.Type])
	}
	return strings.Join(append(cells, "first"), ",")
}

// Header is the first line of such a file.
func (d data) Header() string {
	var names []string
	for _, f := range d.Into.Fields {
		names = append(names, f.JSON)
	}
	return strings.Join(append(names, "id"), ",")
}

// Prices reports whether a row has one, which es has the type of.
func (d data) Prices() bool {
	return slices.ContainsFunc(d.Into.Fields, func(f generate.FoundField) bool { return f.Type == "es.Price" })
}

var properName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)

func newData(kind, name string) (data, error) {
	if !properName.MatchString(name) {
		return data{}, fmt.Errorf("NAME=%s can't be the name of %s: write it as in NAME=StockItem", name, kind)
	}
	words := strings.ToLower(strings.Join(naming.Words(name), " "))
	article := "a"
	if strings.ContainsAny(words[:1], "aeiou") {
		article = "an"
	}
	return data{Name: name, Package: strings.ToLower(name), Words: words, Article: article, Bucket: naming.PathSegment(name)}, nil
}

// Plugin writes the start of a plugin and returns the files, relative to the module's
// root. Like the others here, it overwrites nothing.
func Plugin(root, name string) ([]string, error) {
	d, err := newData("a plugin", name)
	if err != nil {
		return nil, err
	}
	return write(root, path.Join(Folder, d.Package), d, map[string]string{"doc.go": "plugin_doc.go"})
}

// Aggregate writes the start of an aggregate of the plugin.
func Aggregate(root, plugin, name string) ([]string, error) {
	return component(root, plugin, name, "an aggregate", "aggregate")
}

// Task writes the start of a task of the plugin, with a bucket.
func Task(root, plugin, name string) ([]string, error) {
	return component(root, plugin, name, "a task", "task")
}

// Import writes the start of a task of the plugin that imports CSV files, whose rows are
// commands of an aggregate.
func Import(root, plugin, name, aggregate string) ([]string, error) {
	d, err := newData("a task", name)
	if err == nil {
		err = exists(root, plugin)
	}
	if err != nil {
		return nil, err
	}
	module, err := generate.ModulePath(root)
	if err != nil {
		return nil, err
	}
	if d.Into, err = generate.Aggregate(filepath.Join(root, Folder, strings.ToLower(plugin)), aggregate); err != nil {
		return nil, err
	}
	if d.Into.Command == "" {
		return nil, fmt.Errorf("%s has no command of texts, prices and whole numbers alone, which a row of a file could be: leave out AGGREGATE", aggregate)
	}
	d.IntoPath = path.Join(module, d.Into.Folder)
	if of, ok := strings.CutPrefix(name, "Import"); ok && properName.MatchString(of) {
		d.Runs = of + "Import"
	} else {
		d.Runs = name + "Run"
	}
	d.Bucket = naming.PathSegment(d.Runs + "s")
	folder := path.Join(Folder, strings.ToLower(plugin), "internal", d.Package)
	return write(root, folder, d, map[string]string{d.Package + ".go": "import.go", d.Package + "_test.go": "import_test.go"})
}

func component(root, plugin, name, kind, template string) ([]string, error) {
	d, err := newData(kind, name)
	if err == nil {
		err = exists(root, plugin)
	}
	if err != nil {
		return nil, err
	}
	folder := path.Join(Folder, strings.ToLower(plugin), "internal", d.Package)
	return write(root, folder, d, map[string]string{d.Package + ".go": template + ".go", d.Package + "_test.go": template + "_test.go"})
}

// View writes the start of a read model of the plugin's aggregate.
func View(root, plugin, aggregate, name string) ([]string, error) {
	d, err := newData("a view", name)
	if err == nil {
		err = exists(root, plugin)
	}
	if err != nil {
		return nil, err
	}
	of, err := generate.Aggregate(filepath.Join(root, Folder, strings.ToLower(plugin)), aggregate)
	if err != nil {
		return nil, err
	}
	file := d.Package
	d.Package, d.Events, d.Words = of.Package, of.Events, strings.ToLower(strings.Join(naming.Words(aggregate), " "))
	return write(root, of.Folder, d, map[string]string{file + ".go": "view.go", file + "_test.go": "view_test.go"})
}

// exists wants the plugin to be there.
func exists(root, plugin string) error {
	if _, err := os.Stat(filepath.Join(root, Folder, strings.ToLower(plugin), "doc.go")); errors.Is(err, fs.ErrNotExist) || plugin == "" {
		return fmt.Errorf("there is no plugin %q: make it with make plugin NAME=%s", plugin, plugin)
	} else if err != nil {
		return err
	}
	return nil
}

// write fills in templates by file name. Either all files are new, or nothing is written.
func write(root, folder string, d data, from map[string]string) (written []string, err error) {
	module, err := generate.ModulePath(root)
	if err != nil {
		return nil, err
	}
	d.Path = path.Join(module, folder)
	for name := range from {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(folder), name)); err == nil {
			return nil, fmt.Errorf("%s is there already", path.Join(folder, name))
		}
	}
	if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(folder)), 0o755); err != nil {
		return nil, err
	}
	for name, source := range from {
		var b bytes.Buffer
		if err := templates.ExecuteTemplate(&b, source+".tmpl", d); err != nil {
			return nil, err
		}
		text, err := format.Source(b.Bytes())
		if err != nil {
			return nil, fmt.Errorf("what is written to %s is no Go, a fault of esgen: %w", name, err)
		}
		name = path.Join(folder, name)
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), text, 0o644); err != nil {
			return nil, err
		}
		written = append(written, name)
	}
	return written, nil
}
