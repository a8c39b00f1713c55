package onlineshop_test

import (
	"cmp"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Imports point one way: commands → platforms and HTTP → engine → es, and
// plugins → es only. Each row says what the packages may depend on beside the
// standard library, tests aside: prefixes of import paths.
func TestImportsPointOneWay(t *testing.T) {
	const (
		module = "onlineshop/"
		json   = "github.com/go-json-experiment/json"
		uuid   = "github.com/google/uuid"
		text   = "golang.org/x/text"
	)
	type rule struct {
		packages string
		may      []string // nil: anything
		mustNot  []string
	}
	rules := []rule{
		{"./es", []string{module + "es", json, text}, append(framework(module), "net/http", "database/sql")},
		{"./es/csvimport", []string{module + "es", json, uuid, text}, inner(module)},
		{"./es/estest", []string{module + "es", json, text, "github.com/google/go-cmp", "github.com/robfig/cron/v3"}, []string{module + "es/esgen"}},
		{"./es/engine", []string{module + "es", json, text, "github.com/robfig/cron/v3"}, []string{module + "es/estest", module + "es/esgen", "database/sql"}},
		{"./plugins/catalog/products", []string{module + "es", module + "plugins/catalog/products", json, text}, framework(module)},
		{"./plugins/ordering/orders", []string{module + "es", module + "plugins/ordering/orders", json, text}, framework(module)},
		{"./httpapi", nil, []string{module + "plugins", module + "platform", module + "cmd"}},
		{"./platform/...", nil, []string{module + "plugins", module + "httpapi", module + "cmd"}},
		{"./lambdas/...", nil, []string{"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", module + "cdk", module + "cmd", module + "platform/local", module + "platform/sim", "testing"}},
		{"./cdk", nil, []string{"github.com/aws/aws-sdk-go-v2", module + "cmd", module + "lambdas", module + "platform/local", module + "platform/sim", "testing"}},
		{"./cmd/shop", nil, []string{"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", module + "es/estest", module + "es/esgen", module + "platform/sim", "testing"}},
	}
	// Each plugin's own packages, and what others publish: their contracts.
	plugins, err := filepath.Glob("plugins/*/plugin_gen.go")
	if err != nil || len(plugins) < 2 {
		t.Fatalf("plugins: %v, %v", plugins, err)
	}
	for _, p := range plugins {
		own := filepath.ToSlash(filepath.Dir(p))
		may := []string{module + "es", json, uuid, text, module + own}
		contracts, err := filepath.Glob("plugins/*/*/*_gen.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range contracts {
			may = append(may, module+filepath.ToSlash(filepath.Dir(c)))
		}
		rules = append(rules, rule{"./" + own + "/...", may, inner(module)})
	}
	for _, rule := range rules {
		t.Run(rule.packages, func(t *testing.T) {
			for _, p := range dependencies(t, rule.packages) {
				if p.of(rule.mustNot) {
					t.Errorf("%s depends on %s, which it must not", rule.packages, p.path)
				}
				if rule.may != nil && !p.standard && !p.of(rule.may) {
					t.Errorf("%s depends on %s; it may depend on %s alone", rule.packages, p.path, strings.Join(rule.may, ", "))
				}
			}
		})
	}
}

// framework are the packages that neither authors nor es itself depend on.
func framework(module string) []string { return append(inner(module), module+"es/naming") }

// inner are those that plugins depend on in no way.
func inner(module string) []string {
	return []string{module + "es/engine", module + "es/esgen", module + "es/estest"}
}

// Package wire is for generated code, and for what reads and writes JSON as strictly.
func TestNobodyImportsWireByHand(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, may := range []string{"_gen.go", "_test.go"} {
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, may) {
				return nil
			}
		}
		for _, may := range []string{"es/", "httpapi/", "platform/platformtest/"} {
			if strings.HasPrefix(filepath.ToSlash(path), may) {
				return nil
			}
		}
		source, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(source), `"onlineshop/es/wire"`) {
			t.Errorf("%s imports es/wire, which is for generated code", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

type dependency struct {
	path     string
	standard bool // of the standard library
}

// of says whether the package is one of those named, or below one of them; a
// name with a slash at the end stands for what is below alone.
func (d dependency) of(names []string) bool {
	for _, n := range names {
		if d.path == n || strings.HasPrefix(d.path, strings.TrimSuffix(n, "/")+"/") {
			return true
		}
	}
	return false
}

// notCached opens all sources: the test cache, which does not see what a program
// that a test runs looks at, then knows that the result depends on them.
func notCached(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "bin" || d.Name() == ".git"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			f, err := os.Open(path) // what a test opens is
			if err != nil {
				return err
			}
			return f.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dependencies lists the packages and whatever they import, however far away.
func dependencies(t *testing.T, packages string) (all []dependency) {
	t.Helper()
	notCached(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.Standard}} {{.ImportPath}}", packages).Output()
	if err != nil {
		t.Fatalf("list the dependencies of %s: %v", packages, err)
	}
	for line := range strings.Lines(string(out)) {
		standard, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, dependency{path, standard == "true"})
	}
	return all
}

// What the framework says is plain English. These are translations from another
// language; each has an idiomatic counterpart.
func TestTheFrameworkSpeaksPlainly(t *testing.T) {
	phrases := regexp.MustCompile(`(?i)\b(?:is|are) no [a-z]|which there is not|look after|side by side|\bput off\b|\bin vain\b|\bmade good\b|\bbut for\b|\bgoes? on\b`)
	idiomatic := regexp.MustCompile(`(?i)there (?:is|are) no |(?:is|are) no longer`)
	err := filepath.WalkDir("es", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "esgen" {
			return cmp.Or(err, fs.SkipDir)
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_gen.go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for n, line := range strings.Split(string(source), "\n") {
			if m := phrases.FindString(idiomatic.ReplaceAllString(line, "")); m != "" {
				t.Errorf("%s:%d: %q: say it in idiomatic English", path, n+1, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
