package generate_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"onlineshop/es/esgen/internal/generate"
)

// vintages is a view whose rows several declarations have a part in.
const vintages = `package bottle

import (
	"onlineshop/es"
	"shop/cellar/internal/grape"
)

var Vintages = es.NewReadModel[Label]("Vintages", es.From(Aggregate, toVintage)).By("name")

const prefix = "Château "

func toVintage(e es.Recorded[Event]) es.Change[Label] {
	switch e := e.Event.(type) {
	case Laid:
		return es.Set(Label{Name: prefix + grape.Of(e.Name).title(), Years: years})
	}
	return nil
}

var years = 1

func unused() int { return 1 }
`

const grapes = `package grape

type Grape struct{ name string }

func Of(s string) Grape { return Grape{s} }

func (g Grape) title() string { return g.name }

func (g Grape) other() string { return g.name }
`

func TestTheHashOfAViewsCodeChangesWithWhatMakesItsRows(t *testing.T) {
	const view, used = "cellar/internal/bottle/vintages.go", "cellar/internal/grape/grape.go"
	code := func(t *testing.T, change map[string]string) string {
		t.Helper()
		files := map[string]string{view: vintages, used: grapes}
		maps.Copy(files, change)
		dir := given(t, files)
		out, err := generate.Files(dir)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`FoldedBy\(bottle\.Vintages, "([0-9a-f]{16})"\)`).FindSubmatch(out[filepath.Join(dir, "plugin_gen.go")])
		if found == nil {
			t.Fatal("the plugin does not say what Vintages is folded by")
		}
		return string(found[1])
	}
	before := code(t, nil)
	in := func(file, old, new string) map[string]string {
		text := map[string]string{view: vintages, used: grapes, bottle: plugin[bottle], bottles: plugin[bottles]}[file]
		if strings.Count(text, old) != 1 {
			t.Fatalf("%s does not have %q once", file, old)
		}
		return map[string]string{file: strings.Replace(text, old, new, 1)}
	}
	for _, c := range []struct {
		what   string
		change map[string]string
		counts bool
	}{
		{"a field of the row", in(bottles, "Years int", "Years, Months int"), true},
		{"a field that may be absent", in(bottles, "Years int", "Years int //es:optional"), true},
		{"the projection", in(view, "return nil", "return es.Delete[Label]()"), true},
		{"a constant", in(view, `"Château "`, `"Castle "`), true},
		{"a variable", in(view, "years = 1", "years = 2"), true},
		{"a field of the event", in(bottle, "Name string", "Name, Maker string"), true},
		{"a function of another package", in(used, "Grape{s}", "Grape{s + s}"), true},
		{"a method of another package", in(used, "title() string { return g.name", "title() string { return g.name + g.name"), true},
		{"how an event is read", map[string]string{more: "package bottle\n\nimport \"onlineshop/es\"\n\nvar upcasters = es.Upcasters[Event]{es.Upcast(\"Put\", 1, old)}\n\nfunc old(l Laid) Event { return l }\n"}, true},

		{"a comment", in(view, "var years = 1", "// years it has lain\nvar years = 1 // at least"), false},
		{"the formatting", in(view, "es.Set(Label{Name: prefix + grape.Of(e.Name).title(), Years: years})", "es.Set(Label{\n\t\t\tName:  prefix + grape.Of(e.Name).title(),\n\t\t\tYears: years,\n\t\t})"), false},
		{"a function that is not used", in(view, "return 1", "return 2"), false},
		{"a method that is not used", in(used, "other() string { return g.name", "other() string { return g.name + g.name"), false},
		{"how its rows are listed", in(view, `.By("name")`, ""), false},
		{"a rule of the aggregate", in(bottle, "{ return []Event{Laid(c)}, nil }", "{ return nil, nil }"), false},
		{"the state", in(bottle, "State struct{ Laid bool }", "State struct{ Laid, Drunk bool }"), false},
	} {
		t.Run(c.what, func(t *testing.T) {
			if changed := code(t, c.change) != before; changed != c.counts {
				t.Errorf("the hash changes: %t, want %t", changed, c.counts)
			}
		})
	}
}
