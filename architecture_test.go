package onlineshop_test

import (
	"os/exec"
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
	)
	catalog := []string{module + "es", json, uuid, module + "plugins/catalog", module + "plugins/ordering/orders"}
	ordering := []string{module + "es", json, uuid, module + "plugins/ordering", module + "plugins/catalog/products"}
	for _, rule := range []struct {
		packages string
		may      []string // nil: anything
		mustNot  []string
	}{
		{"./es", []string{module + "es", json}, []string{module + "es/", "net/http", "database/sql"}},
		{"./es/estest", []string{module + "es", json, "github.com/google/go-cmp"}, []string{module + "es/engine"}},
		{"./es/engine", []string{module + "es", json}, []string{module + "es/estest", module + "es/esgen", "database/sql"}},
		{"./plugins/catalog/products", []string{module + "es", module + "plugins/catalog/products", json}, []string{module + "es/"}},
		{"./plugins/ordering/orders", []string{module + "es", module + "plugins/ordering/orders", json}, []string{module + "es/"}},
		{"./plugins/catalog/...", catalog, []string{module + "es/"}},
		{"./plugins/ordering/...", ordering, []string{module + "es/"}},
		{"./httpapi", nil, []string{module + "plugins", module + "platform", module + "cmd"}},
		{"./platform/...", nil, []string{module + "plugins", module + "httpapi", module + "cmd"}},
		{"./lambdas/...", nil, []string{"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", module + "cdk", module + "cmd", module + "platform/local", module + "platform/sim", "testing"}},
		{"./cdk", nil, []string{"github.com/aws/aws-sdk-go-v2", module + "cmd", module + "lambdas", module + "platform/local", module + "platform/sim", "testing"}},
		{"./cmd/shop", nil, []string{"github.com/aws/jsii-runtime-go", "github.com/aws/aws-cdk-go", module + "es/estest", module + "es/esgen", module + "platform/sim", "testing"}},
	} {
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

// dependencies lists the packages and whatever they import, however far away.
func dependencies(t *testing.T, packages string) (all []dependency) {
	t.Helper()
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
