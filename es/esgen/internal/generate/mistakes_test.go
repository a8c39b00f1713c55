package generate_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onlineshop/es/esgen/internal/generate"
)

// plugin is a sound plugin with one aggregate, one contract and one of every
// component; tests put one thing wrong.
var plugin = map[string]string{
	"go.mod": "module shop\n",
	"cellar/doc.go": `// Package cellar is a plugin.
//
//es:plugin Cellar heartbeat=5m
package cellar
`,
	"cellar/wines/wines.go": `package wines

type Laid struct{ WineID string }

type Event interface{ key() string }

func (e Laid) key() string { return e.WineID }
`,
	"cellar/internal/bottle/bottle.go": `package bottle

type Lay struct {
	Name string //es:trim //es:len 1..20
}
type Laid Lay

type (
	Command interface{ decide(State) ([]Event, error) }
	Event   interface{ evolve(State) State }
)

type State struct{ Laid bool }

func (Laid) evolve(State) State                { return State{true} }
func (c Lay) decide(State) ([]Event, error) { return []Event{Laid(c)}, nil }
`,
	"cellar/internal/bottle/bottles.go": `package bottle

import "onlineshop/es"

type Label struct {
	Name  string
	Years int
}

var Bottles = es.NewReadModel[Label]("Bottles", es.From(Aggregate, toLabel)).By("name")
`,
	"cellar/internal/bottle/connections.go": `package bottle

import (
	"time"

	"onlineshop/es"
)

func Drink(after time.Duration) es.Mapping {
	return es.NewMapping("Drink", Aggregate, Aggregate, drink).After(after)
}

var Task = es.Task{Name: "Stocktaking", SideEffects: []es.SideEffect{es.NewSideEffect("Sniff", Aggregate, sniff)}}
`,
}

const (
	bottle      = "cellar/internal/bottle/bottle.go"
	bottles     = "cellar/internal/bottle/bottles.go"
	connections = "cellar/internal/bottle/connections.go"
	more        = "cellar/internal/bottle/more.go" // an additional file
	root        = "cellar/doc.go"
	wines       = "cellar/wines/wines.go"
)

// given writes the sound plugin with some files changed, and returns its folder.
func given(t *testing.T, changes map[string]string) string {
	t.Helper()
	files := maps.Clone(plugin)
	maps.Copy(files, changes)
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cellar")
}

// with is a file of the sound plugin, with old replaced.
func with(t *testing.T, file, old, new string) map[string]string {
	t.Helper()
	if strings.Count(plugin[file], old) != 1 {
		t.Fatalf("%s does not have %q once", file, old)
	}
	return map[string]string{file: strings.Replace(plugin[file], old, new, 1)}
}

func TestASoundPluginHasNoMistakes(t *testing.T) {
	if _, err := generate.Files(given(t, nil)); err != nil {
		t.Fatal(err)
	}
}

// A mistake made by replacing text in one file, or by adding a file, is found
// where it was made.
func TestMistakes(t *testing.T) {
	for _, m := range []struct{ name, file, old, new, want string }{
		// Fields
		{"map", bottle, "Name string", "Name map[string]string",
			bottle + ":4: field Name of Lay has type map[string]string, which has no wire form: use a slice of a struct type that holds key and value"},
		{"pointer", bottle, "Name string", "Name *string",
			bottle + ":4: field Name of Lay has type *string, which has no wire form: use the value, marked //es:optional where it may be absent"},
		{"interface", bottle, "Name string", "Name any",
			bottle + ":4: field Name of Lay has type any, which has no wire form: use a concrete type"},
		{"function", bottle, "Name string", "Name func()",
			bottle + ":4: field Name of Lay has type func(), which has no wire form: use data"},
		{"array", bottle, "Name string", "Name [2]string",
			bottle + ":4: field Name of Lay has type [2]string, which has no wire form: use a slice"},
		{"bytes", bottle, "Name string", "Name []byte",
			bottle + ":4: field Name of Lay has type []byte, which has no wire form: use a string"},
		{"anonymous struct", bottle, "Name string", "Name struct{ First string }",
			bottle + ":4: field Name of Lay has type struct{First string}, which has no wire form: declare the struct as a type with a name"},
		{"type parameters", bottle, "Name string", "Name Box[string]",
			bottle + ":4: field Name of Lay has type Box[string], which has no wire form: use a type without type parameters"},
		{"type of another module", bottle, "package bottle\n\ntype Lay struct {\n\tName string", "package bottle\n\nimport \"net/url\"\n\ntype Lay struct {\n\tName url.URL",
			bottle + ":6: field Name of Lay has type url.URL, which has no wire form: use a basic type, a slice, a struct of this module, es.Price or time.Time"},
		{"undeclared type", bottle, "Name string", "Name Nome",
			bottle + ":4: field Name of Lay has type Nome, which has no wire form: it is declared nowhere in the package, or a complex number or machine word: use a basic type, a slice, a struct of this module, es.Price or time.Time"},
		{"contains itself", bottle, "Name string", "Name []Lay",
			bottle + ":4: field Name of Lay has type []Lay, which has no wire form: it contains itself"},
		{"not exported", bottle, "Name string", "name string",
			bottle + ":4: field name of Lay is not exported, so it has no wire form: export it"},
		{"embedded text", bottle, "type Laid Lay", "type Nose string\ntype Laid struct{ Nose }",
			bottle + ":7: Laid embeds Nose, which is not a struct: give it a field name"},
		{"one name twice in JSON", bottle, "Name string", "WineID, WineId string; Name string",
			bottle + `:3: Lay has two fields that are "wineId" in JSON: WineID and WineId: rename one`},
		{"optional with lists in it", bottle, "type Laid Lay", "type Nose struct{ Notes []string }\ntype Laid struct {\n\tNose Nose //es:optional\n}",
			bottle + ":8: field Nose of Laid can't be optional: it has lists in it, so whether it is absent can't be told: use a slice of at most one"},
		{"constant that is no literal", bottle, "type Laid Lay", "type Colour string\nconst Red Colour = \"r\" + \"ed\"\ntype Laid struct{ Colour Colour }",
			bottle + ":7: the constant Red is a value of Colour, which the generator lists: write its text as a literal"},

		// Markers
		{"unknown marker", bottle, "//es:trim", "//es:trimmed",
			bottle + ":4: there is no marker //es:trimmed: the generator knows plugin, plugins, aggregate, internal, inplace, version, optional, trim, len, min, max, email, distinct"},
		{"malformed length", bottle, "1..20", "20..1",
			bottle + ":4: the marker //es:len 20..1 can't be read: write it as in //es:len 1..200 or //es:len 1.."},
		{"bound that is not a number", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:min few",
			bottle + ":4: the marker //es:min few can't be read: write it as in //es:min 1"},
		{"bound of a text", bottle, "//es:trim", "//es:max 5",
			bottle + ":4: //es:max on field Name of Lay says nothing: it is for numbers and prices"},
		{"bound beyond a type", bottle, "Name string //es:trim //es:len 1..20", "Name int8 //es:max 128",
			bottle + ":4: //es:max 128 on field Name of Lay is not a bound: it must be a whole number from -128 to 127"},
		{"fraction of a whole number", bottle, "Name string //es:trim //es:len 1..20", "Name uint8 //es:min 0.5",
			bottle + ":4: //es:min 0.5 on field Name of Lay is not a bound: it must be a whole number from 0 to 255"},
		{"bounds the wrong way round", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:min 2 //es:max 1",
			bottle + ":4: field Name of Lay has a least value of 2 and a greatest of 1: no number is both"},
		{"bound that is no price", bottle, "package bottle\n\ntype Lay struct {\n\tName string //es:trim //es:len 1..20", "package bottle\n\nimport \"onlineshop/es\"\n\ntype Lay struct {\n\tName es.Price //es:min -1",
			bottle + ":6: //es:min -1 on field Name of Lay is not a bound: it must be a price such as 0.01"},
		{"delay beyond the longest", connections, "After(after)", "After(2 * time.Hour)",
			connections + ":10: a mapping can't wait 2 * time.Hour: a delay is between 0s and 15m0s"},
		{"delay below zero", connections, "After(after)", "After(-time.Second)",
			connections + ":10: a mapping can't wait -time.Second: a delay is between 0s and 15m0s"},
		{"two sources of a point", more, "", "package bottle\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/cellar/wines\"\n)\n\n" +
			"var Publication = es.Publish(Aggregate, wines.ExtensionPoint, publish)\nvar Another = es.Publish(Other, wines.ExtensionPoint, publish)\n",
			more + ":9: Other publishes to wines.ExtensionPoint, and so does another aggregate in " + more + ":8: a point has one source, so give this one a point of its own"},
		{"argument where there is none", bottle, "//es:trim", "//es:trim both",
			bottle + ":4: the marker //es:trim both can't be read: write it as in //es:trim"},
		{"malformed heartbeat", root, "heartbeat=5m", "heartbeat=often",
			root + ":3: the marker //es:plugin Cellar heartbeat=often can't be read: write it as in //es:plugin Catalog heartbeat=5m"},
		{"no plugin", root, "//es:plugin Cellar heartbeat=5m\n", "",
			root + ":3: package cellar is not a plugin yet: write //es:plugin Cellar heartbeat=5m in its doc comment"},
		{"length of a number", bottle, "Name string //es:trim", "Name int",
			bottle + ":4: //es:len on field Name of Lay says nothing: it is for text and lists"},
		{"distinct lists", bottle, "Name string //es:trim", "Name [][]string //es:distinct",
			bottle + ":4: //es:distinct on field Name of Lay says nothing: it is for lists of what == compares"},
		{"optional embedding", bottle, "type Laid Lay", "type Nose struct{}\ntype Laid struct {\n\tNose //es:optional\n}",
			bottle + ":8: //es:optional on field Nose of Laid says nothing: it is for fields with a name of their own"},
		{"on the wrong thing", bottle, "type Laid Lay", "//es:optional\ntype Laid Lay",
			bottle + ":6: the marker //es:optional says nothing here: it belongs on a field"},
		{"version of a command", bottle, "type Lay struct", "//es:version 2\ntype Lay struct",
			bottle + ":3: the marker //es:version says nothing here: it belongs on an event"},

		// Unions
		{"no command", bottle, "func (c Lay) decide(State) ([]Event, error) { return []Event{Laid(c)}, nil }", "",
			bottle + ":9: Command has no members: declare types with the method decide(State) ([]Event, error)"},
		{"no state", bottle, "type State struct{ Laid bool }", "",
			bottle + ":9: package bottle has commands and events but no state: declare type State"},
		{"no event union", bottle, "	Event   interface{ evolve(State) State }\n", "",
			bottle + ":9: package bottle has commands but no events: declare type Event interface{ evolve(State) State }"},
		{"no command union", bottle, "	Command interface{ decide(State) ([]Event, error) }\n", "",
			bottle + ":9: package bottle has events but no commands: declare type Command interface{ decide(State) ([]Event, error) }"},
		{"union with another seal", bottle, "interface{ decide(State) ([]Event, error) }", "interface{ decide(State) []Event }",
			bottle + ":9: decide of Command must be decide(State) ([]Event, error)"},
		{"rule with another signature", bottle, "(c Lay) decide(State)", "(c Lay) decide(*State)",
			bottle + ":16: decide of Lay must be decide(State) ([]Event, error)"},
		{"pointer receiver", bottle, "(c Lay) decide", "(c *Lay) decide",
			bottle + ":16: decide of Lay has a pointer receiver: members of Command are values, so write func (Lay) decide"},
		{"member that is not exported", bottle, "func (Laid) evolve", "type lost Lay\nfunc (lost) evolve(State) State { return State{} }\nfunc (Laid) evolve",
			bottle + ":16: lost is a member of Event but not exported: export it, since its name is part of what is stored"},
		{"member with type parameters", bottle, "func (Laid) evolve", "type Lost[T any] struct{}\nfunc (Lost[T]) evolve(State) State { return State{} }\nfunc (Laid) evolve",
			bottle + ":16: Lost has type parameters, so it can't be a member of Event: declare a type for each"},
		{"member that is not a struct", bottle, "func (Laid) evolve", "type Lost string\nfunc (Lost) evolve(State) State { return State{} }\nfunc (Laid) evolve",
			bottle + ":15: Lost is a member of Event but no struct, so it has no wire form: declare it as a struct"},
		{"member that is an alias", bottle, "type Laid Lay", "type Laid = Lay",
			bottle + ":15: Laid is an alias, so it can't be a member of Event: declare it as a type of its own"},
		{"event twice", more, "", "package bottle\n\ntype Laid struct{}\n",
			more + ":3: Laid is declared twice: here and in " + bottle + ":6"},
		{"forgotten rule", bottle, "type Lay struct {\n\tName string //es:trim //es:len 1..20\n}", "type (\nLay struct { Name string }\nBreak struct{}\n)",
			bottle + ":5: Break stands among the commands but has no rule: give it decide(State) ([]Event, error), or declare it apart"},
		{"check of another signature", more, "", "package bottle\n\nfunc (Lay) check() error { return nil }\n",
			more + ":3: check of Lay must be check(context.Context, es.Reader) error"},
		{"owner of another signature", more, "", "package bottle\n\nfunc (Lay) owner() string { return \"\" }\n",
			more + ":3: owner of Lay must be owner(context.Context, es.Reader) (string, error)"},
		{"allow of what is no command", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc (Laid) allow() es.Access { return es.AllowOwner() }\n",
			more + ":5: Laid has the method allow, which says something about commands, but it has no rule: give it decide(State) ([]Event, error)"},
		{"commands with one path", more, "", "package bottle\n\ntype LAY Lay\n\nfunc (LAY) decide(State) ([]Event, error) { return nil, nil }\n",
			bottle + ":3: the commands LAY and Lay have the same path, lay: rename one"},
		{"state that embeds an event", bottle, "State struct{ Laid bool }", "State struct{ Laid }",
			bottle + ":13: State embeds Laid, whose rule would become the state's: embed a struct without methods, or give it a field name"},
		{"state that embeds a row", bottle, "State struct{ Laid bool }", "State struct{ Label }",
			bottle + ":13: State embeds Label, whose JSON methods as a read model's row would become the state's: give it a field name"},
		{"hidden contract", "cellar/internal/stock/stock.go", "", "package stock\n\ntype Sold struct{}\n\ntype Event interface{ key() string }\n\nfunc (Sold) key() string { return \"\" }\n",
			"cellar/internal/stock/stock.go:5: package stock declares an extension point's events, but other plugins can't import it: put it directly below cellar"},
		{"contract without events", wines, "func (e Laid) key() string { return e.WineID }", "",
			wines + ":5: Event has no members: declare types with the method key() string"},

		// Upcasters
		{"upcaster without a version", more, "", "package bottle\n\nvar upcasters = es.Upcasters[Event]{\n\tes.Upcast(\"Laid\", 1, old),\n}\n",
			more + ":4: the upcaster for version 1 of event Laid is never used: the event itself is in version 1; mark it //es:version 2"},
		{"version without an upcaster", bottle, "type Laid Lay", "//es:version 2\ntype Laid Lay",
			bottle + `:7: event Laid is in version 2, but nothing reads its version 1: add es.Upcast("Laid", 1, …) to upcasters`},
		{"two upcasters", more, "", "package bottle\n\nvar upcasters = es.Upcasters[Event]{\n\tes.Upcast(\"Put\", 1, old),\n\tes.Upcast(\"Put\", 1, old),\n}\n",
			more + ":5: version 1 of event Put is read twice: here and in " + more + ":4"},
		{"upcasters from a function", more, "", "package bottle\n\nvar upcasters = old()\n",
			more + ":3: upcasters must be a literal, as in var upcasters = es.Upcasters[Event]{es.Upcast(…)}"},

		// Components
		{"read model of an unknown row", bottles, "[Label]", "[Lable]",
			bottles + ":10: the row type Lable is declared nowhere in this module: declare it as a struct"},
		{"read model without its row", bottles, "[Label]", "",
			bottles + ":10: the read model's row type can't be told from syntax: write es.NewReadModel[Row](…)"},
		{"index that is no field", bottles, `By("name")`, `By("Name")`,
			bottles + `:10: rows of Label can't be listed by "Name": it is none of their text fields name`},
		{"index that is a number", bottles, `By("name")`, `By("years")`,
			bottles + `:10: rows of Label can't be listed by "years": it is none of their text fields name`},
		{"name from a constant", bottles, `"Bottles"`, "name",
			bottles + ":10: names of read models are stored, so write this one as a literal, not as name"},
		{"name that is no name", bottles, `"Bottles"`, `"all bottles"`,
			bottles + `:10: "all bottles" is not a name for one of the read models: use letters and digits, a capital first, as in ProductDemands`},
		{"hidden component", bottles, "var Bottles", "var all",
			bottles + ":10: all is not exported, so it is not part of the plugin: export it, or call es where it is used"},
		{"read model from a function", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc All() es.ReadModel[Label] { return Bottles }\n",
			more + ":5: All returns a read model: declare it as a variable"},
		{"task without a name", connections, `Name: "Stocktaking", `, "",
			connections + `:13: the task has no name: give it one, as in es.Task{Name: "ImportProducts", …}`},
		{"two aggregates of one name", "cellar/internal/vat/vat.go", "", strings.Replace(strings.Replace(plugin[bottle], "package bottle", "package vat", 1), "type (", "//es:aggregate Bottle\ntype (", 1),
			"cellar/internal/vat/vat.go:10: two aggregates are called Bottle: here and in " + bottle + ":9"},
		{"two mappings of one name", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nvar Sip = es.NewMapping(\"Drink\", Aggregate, Aggregate, drink)\n",
			more + ":5: two event mappings are called Drink: here and in " + connections + ":10"},
		{"two side effects of one name", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc sniffer() es.SideEffect { return es.NewSideEffect(\"Sniff\", Aggregate, sniff) }\n",
			more + ":5: two side effects are called Sniff: here and in " + connections + ":13"},
		{"aggregate and read model on one path", bottles, `"Bottles"`, `"Bottle"`,
			bottles + ":10: Bottle of the read models and Bottle of the aggregates have the same path, bottle: rename one"},
		{"parameters of two types", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc Sip(after int) es.Mapping { return es.NewMapping(\"Sip\", Aggregate, Aggregate, drink) }\n",
			more + ":5: the plugin's Deps can't have After twice: here as int, in " + connections + ":9 as time.Duration: rename one"},
		{"parameter of a hidden type", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\ntype taste struct{}\n\nfunc Sip(t taste) es.Task { return es.Task{Name: \"Sip\"} }\n",
			more + ":7: Sip asks for a taste, which the plugin's Deps can't name: export it"},
		{"parameter without a name", connections, "(after time.Duration)", "(time.Duration)",
			connections + ":9: parameters of Drink are what the plugin asks for by name: give each a name and a single value"},
		{"name of the generator's", more, "", "package bottle\n\nfunc readLay() {}\n",
			more + ":3: readLay is a name that generated code uses: choose another"},
		{"no Go", more, "", "package bottle\n\nfunc {\n",
			more + ":3: expected 'IDENT', found '{'"},
	} {
		t.Run(m.name, func(t *testing.T) {
			change := map[string]string{m.file: m.new}
			if m.old != "" {
				change = with(t, m.file, m.old, m.new)
			}
			_, err := generate.Files(given(t, change))
			if err == nil {
				t.Fatalf("no mistake is found, want %s", m.want)
			}
			if err.Error() != m.want {
				t.Errorf("found\n%s\nwant\n%s", err, m.want)
			}
		})
	}
}

func TestEveryMistakeIsListedByPlace(t *testing.T) {
	changes := with(t, bottle, "Name string", "Name any")
	maps.Copy(changes, with(t, wines, "WineID string", "WineID, Taste complex128"))
	_, err := generate.Files(given(t, changes))
	if err == nil {
		t.Fatal("no mistake is found")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], bottle+":4: field Name") ||
		!strings.HasPrefix(lines[1], wines+":3: field WineID") || !strings.HasPrefix(lines[2], wines+":3: field Taste") {
		t.Errorf("found\n%s", err)
	}
}

func TestAFolderOutsideOfAModuleIsRefused(t *testing.T) {
	if _, err := generate.Files(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is in no Go module: run esgen in a plugin's folder") {
		t.Error(err)
	}
}
