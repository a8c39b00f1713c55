package generate_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
	// outside of the plugin
	"barrels/barrels.go": `package barrels

type Barrel struct{ Name string }

type Cask struct{ Kind kind }

type kind struct{ Name string }
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

func TestASideEffectMayBeDeclaredApartFromItsTask(t *testing.T) {
	change := with(t, connections, `es.NewSideEffect("Sniff", Aggregate, sniff)`, "tasting.Sniff, taste()")
	change["cellar/internal/tasting/tasting.go"] = "package tasting\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/pantry/jars\"\n)\n\nvar Sniff = es.NewBoundarySideEffect(\"Sniff\", jars.ExtensionPoint, sniff)\n"
	change[connections] = strings.Replace(change[connections], "\"onlineshop/es\"", "\"onlineshop/es\"\n\t\"shop/cellar/internal/tasting\"", 1)
	change[more] = "package bottle\n\nimport \"onlineshop/es\"\n\nfunc taste() es.SideEffect { return es.NewSideEffect(\"Taste\", Aggregate, spit) }\n"
	if _, err := generate.Files(given(t, change)); err != nil {
		t.Error(err)
	}
}

func TestASoundPluginHasNoMistakes(t *testing.T) {
	if _, err := generate.Files(given(t, nil)); err != nil {
		t.Fatal(err)
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// A mistake made by replacing text in one file, or by adding a file, is found where it
// was made. The golden file has them as people see them: the lines that are wrong, and
// what is told.
func TestMistakes(t *testing.T) {
	names := map[string]bool{}
	var found strings.Builder
	for _, m := range []struct{ name, file, old, new string }{
		// Fields
		{"map", bottle, "Name string", "Name map[string]string"},
		{"pointer", bottle, "Name string", "Name *string"},
		{"interface", bottle, "Name string", "Name any"},
		{"function", bottle, "Name string", "Name func()"},
		{"array", bottle, "Name string", "Name [2]string"},
		{"bytes", bottle, "Name string", "Name []byte"},
		{"anonymous struct", bottle, "Name string", "Name struct{ First string }"},
		{"type parameters", bottle, "Name string", "Name Box[string]"},
		{"type of another module", bottle, "package bottle\n\ntype Lay struct {\n\tName string", "package bottle\n\nimport \"net/url\"\n\ntype Lay struct {\n\tName url.URL"},
		{"undeclared type", bottle, "Name string", "Name Nome"},
		{"contains itself", bottle, "Name string", "Name []Lay"},
		{"not exported", bottle, "Name string", "name string"},
		{"embedded text", bottle, "type Laid Lay", "type Nose string\ntype Laid struct{ Nose }"},
		{"one name twice in JSON", bottle, "Name string", "WineID, WineId string; Name string"},
		{"optional with lists in it", bottle, "type Laid Lay", "type Nose struct{ Notes []string }\ntype Laid struct {\n\tNose Nose //es:optional\n}"},
		{"constant that is no literal", bottle, "type Laid Lay", "type Colour string\nconst Red Colour = \"r\" + \"ed\"\ntype Laid struct{ Colour Colour }"},
		{"interface with methods", bottle, "Name string", "Name interface{ Nose() string }"},
		{"type that wants parameters", bottle, "type Laid Lay", "type Box[T any] struct{}\ntype Laid struct{ Box Box }"},
		{"hidden type of another package", bottle, "package bottle\n\ntype Lay struct {", "package bottle\n\nimport \"shop/barrels\"\n\ntype Lay struct {\n\tCask barrels.Cask"},

		// Markers
		{"malformed version", bottle, "type Laid Lay", "//es:version two\ntype Laid Lay"},
		{"malformed aggregate", bottle, "type (\n\tCommand", "//es:aggregate bottle\ntype (\n\tCommand"},
		{"trimmed number", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:trim"},
		{"e-mail that is a number", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:email"},
		{"label that is a number", bottles, "Years int", "Years int //es:label"},
		{"two names of the plugin", root, "heartbeat=5m\n", "heartbeat=5m\n//es:plugin Attic heartbeat=5m\n"},
		{"unknown marker", bottle, "//es:trim", "//es:trimmed"},
		{"malformed length", bottle, "1..20", "20..1"},
		{"bound that is not a number", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:min few"},
		{"reference without its plugin", bottle, "//es:trim", "//es:ref Bottles"},
		{"reference into nothing", bottle, "//es:trim", "//es:ref Cellar.Casks"},
		{"reference that is a number", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:ref Cellar.Bottles"},
		{"title without words", bottle, "//es:trim", "//es:title"},
		{"two labels", bottles, "Name  string", "Name, Nick string //es:label"},
		{"event that is closed to people", bottle, "type Laid Lay", "//es:internal\ntype Laid Lay"},
		{"destruction by an event", bottle, "type Laid Lay", "//es:destructive\ntype Laid Lay"},
		{"bound of a text", bottle, "//es:trim", "//es:max 5"},
		{"bound beyond a type", bottle, "Name string //es:trim //es:len 1..20", "Name int8 //es:max 128"},
		{"fraction of a whole number", bottle, "Name string //es:trim //es:len 1..20", "Name uint8 //es:min 0.5"},
		{"bounds the wrong way round", bottle, "Name string //es:trim //es:len 1..20", "Name int //es:min 2 //es:max 1"},
		{"bound that is no price", bottle, "package bottle\n\ntype Lay struct {\n\tName string //es:trim //es:len 1..20", "package bottle\n\nimport \"onlineshop/es\"\n\ntype Lay struct {\n\tName es.Price //es:min -1"},
		{"delay beyond the longest", connections, "After(after)", "After(3000000 * time.Hour)"},
		{"delay below zero", connections, "After(after)", "After(-time.Second)"},
		{"argument where there is none", bottle, "//es:trim", "//es:trim both"},
		{"malformed heartbeat", root, "heartbeat=5m", "heartbeat=often"},
		{"no plugin", root, "//es:plugin Cellar heartbeat=5m\n", ""},
		{"length of a number", bottle, "Name string //es:trim", "Name int"},
		{"distinct lists", bottle, "Name string //es:trim", "Name [][]string //es:distinct"},
		{"optional embedding", bottle, "type Laid Lay", "type Nose struct{}\ntype Laid struct {\n\tNose //es:optional\n}"},
		{"on the wrong thing", bottle, "type Laid Lay", "//es:optional\ntype Laid Lay"},
		{"version of a command", bottle, "type Lay struct", "//es:version 2\ntype Lay struct"},

		{"personal data at an extension point", wines, "{ WineID string }", "{\n\tWineID string //es:personal\n}"},
		{"personal id", bottle, "//es:trim", "//es:personal //es:ref Cellar.Bottles"},
		{"personal data that nothing erases", bottle, "//es:trim", "//es:personal"},
		{"personal data of a command alone", bottle, "type Laid Lay", "type Break struct {\n\tBy string //es:personal\n}\n\nfunc (Break) decide(State) ([]Event, error) { return nil, nil }\n\ntype Laid Lay"},
		{"erasure of nothing", bottle, "type Laid Lay", "//es:erases\ntype Laid Lay"},
		{"rows that are listed by what is encrypted", bottle, "Name string //es:trim //es:len 1..20\n}\ntype Laid Lay", "Name string //es:personal\n}\n\n//es:erases\ntype Laid Lay"},
		{"sums of personal data", "cellar/internal/guest/guest.go", "", "package guest\n\nimport \"onlineshop/es\"\n\ntype Come struct {\n\tName string //es:personal\n}\n\n//es:erases\ntype Came Come\n\ntype (\n\tCommand interface{ decide(State) ([]Event, error) }\n\tEvent interface{ evolve(State) State }\n)\n\ntype State struct{}\n\nfunc (Came) evolve(s State) State { return s }\nfunc (c Come) decide(State) ([]Event, error) { return []Event{Came(c)}, nil }\n\ntype Visit struct{ Times int }\n\nvar Visits = es.NewReadModel[Visit](\"Visits\", es.PartsFrom(Aggregate, toVisit)).Sum(\"times\")\n"},

		// Unions
		{"no command", bottle, "func (c Lay) decide(State) ([]Event, error) { return []Event{Laid(c)}, nil }", ""},
		{"no state", bottle, "type State struct{ Laid bool }", ""},
		{"no event union", bottle, "	Event   interface{ evolve(State) State }\n", ""},
		{"no command union", bottle, "	Command interface{ decide(State) ([]Event, error) }\n", ""},
		{"union with another seal", bottle, "interface{ decide(State) ([]Event, error) }", "interface{ decide(State) []Event }"},
		{"rule with another signature", bottle, "(c Lay) decide(State)", "(c Lay) decide(*State)"},
		{"rule without what the union's takes", bottle,
			"package bottle\n\ntype Lay struct {\n\tName string //es:trim //es:len 1..20\n}\ntype Laid Lay\n\ntype (\n\tCommand interface{ decide(State) ([]Event, error) }",
			"package bottle\n\nimport \"onlineshop/es\"\n\ntype Lay struct{}\ntype Laid Lay\n\ntype (\n\tCommand interface{ decide(State, es.Meta) ([]Event, error) }"},
		{"rule with more than the union's takes", bottle, "(c Lay) decide(State)", "(c Lay) decide(State, es.Meta)"},
		{"pointer receiver", bottle, "(c Lay) decide", "(c *Lay) decide"},
		{"member that is not exported", bottle, "func (Laid) evolve", "type lost Lay\nfunc (lost) evolve(State) State { return State{} }\nfunc (Laid) evolve"},
		{"member with type parameters", bottle, "func (Laid) evolve", "type Lost[T any] struct{}\nfunc (Lost[T]) evolve(State) State { return State{} }\nfunc (Laid) evolve"},
		{"member that is not a struct", bottle, "func (Laid) evolve", "type Lost string\nfunc (Lost) evolve(State) State { return State{} }\nfunc (Laid) evolve"},
		{"member that is an alias", bottle, "type Laid Lay", "type Laid = Lay"},
		{"event twice", more, "", "package bottle\n\ntype Laid struct{}\n"},
		{"forgotten rule", bottle, "type Lay struct {\n\tName string //es:trim //es:len 1..20\n}", "type (\nLay struct { Name string }\nBreak struct{}\n)"},
		{"check of another signature", more, "", "package bottle\n\nfunc (Lay) check() error { return nil }\n"},
		{"owner of another signature", more, "", "package bottle\n\nfunc (Lay) owner() string { return \"\" }\n"},
		{"allow of what is no command", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc (Laid) allow() es.Access { return es.AllowOwner() }\n"},
		{"commands with one path", more, "", "package bottle\n\ntype LAY Lay\n\nfunc (LAY) decide(State) ([]Event, error) { return nil, nil }\n"},
		{"state that embeds an event", bottle, "State struct{ Laid bool }", "State struct{ Laid }"},
		{"state that embeds a row", bottle, "State struct{ Laid bool }", "State struct{ Label }"},
		{"hidden contract", "cellar/internal/stock/stock.go", "", "package stock\n\ntype Sold struct{}\n\ntype Event interface{ key() string }\n\nfunc (Sold) key() string { return \"\" }\n"},
		{"contract without events", wines, "func (e Laid) key() string { return e.WineID }", ""},

		{"request that says not for what", wines, "type Laid struct", "type Lay struct{}\n\ntype Command interface{ to() string }\n\nfunc (Lay) to() int { return 1 }\n\ntype Laid struct"},
		{"requests among what is folded", bottle, "Command interface{ decide(State) ([]Event, error) }", "Command interface{ to() string }"},

		{"publication at another's point", more, "", "package bottle\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/pantry/jars\"\n)\n\n" +
			"var Publication = es.Publish(Aggregate, jars.ExtensionPoint, publish)\n"},
		{"requests to another's point", more, "", "package bottle\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/pantry/jars\"\n)\n\n" +
			"var Take = es.Accept(\"Take\", jars.Requests, Aggregate, accept)\n"},
		{"a group without a name", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nvar access = es.AllowGroups(\"\")\n"},
		{"contract with commands that are decided", wines, "type Event interface{ key() string }", "type Event interface{ key() string }\n\ntype Command interface{ decide(State) ([]Event, error) }"},
		{"rule of what is not there", bottle, "func (Laid) evolve", "func (Lost) evolve(State) State { return State{} }\nfunc (Laid) evolve"},
		{"forgotten rule of an event", bottle, "type Laid Lay", "type (\n\tLaid  Lay\n\tDrunk struct{}\n)"},
		{"check with a pointer receiver", more, "", "package bottle\n\nimport (\n\t\"context\"\n\n\t\"onlineshop/es\"\n)\n\nfunc (*Lay) check(context.Context, es.Reader) error { return nil }\n"},

		// Upcasters
		{"upcaster whose version is no literal", more, "", "package bottle\n\nvar upcasters = es.Upcasters[Event]{\n\tes.Upcast(\"Laid\", first, old),\n}\n"},
		{"version of a request without an upcaster", wines, "type Laid struct", "//es:version 2\ntype Lay struct{}\n\ntype Command interface{ to() string }\n\nfunc (Lay) to() string { return \"\" }\n\ntype Laid struct"},
		{"request upcaster without a version", wines, "type Laid struct", "type Lay struct{}\n\ntype Command interface{ to() string }\n\nfunc (Lay) to() string { return \"\" }\n\nvar requestUpcasters = es.Upcasters[Command]{es.Upcast(\"Lay\", 1, old)}\n\ntype Laid struct"},
		{"upcaster without a version", more, "", "package bottle\n\nvar upcasters = es.Upcasters[Event]{\n\tes.Upcast(\"Laid\", 1, old),\n}\n"},
		{"version without an upcaster", bottle, "type Laid Lay", "//es:version 2\ntype Laid Lay"},
		{"two upcasters", more, "", "package bottle\n\nvar upcasters = es.Upcasters[Event]{\n\tes.Upcast(\"Put\", 1, old),\n\tes.Upcast(\"Put\", 1, old),\n}\n"},
		{"upcasters from a function", more, "", "package bottle\n\nvar upcasters = old()\n"},

		// Components
		{"row of another package", bottles, "import \"onlineshop/es\"\n\ntype Label struct {\n\tName  string\n\tYears int\n}\n\nvar Bottles = es.NewReadModel[Label]",
			"import (\n\t\"onlineshop/es\"\n\t\"shop/barrels\"\n)\n\nvar Bottles = es.NewReadModel[barrels.Barrel]"},
		{"row that is an alias", bottles, "type Label struct {", "type Label = Ticket\n\ntype Ticket struct {"},
		{"row that is not a struct", bottles, "type Label struct {\n\tName  string\n\tYears int\n}", "type Label string"},
		{"component with type parameters", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc Sip[T any]() es.Task { return es.Task{Name: \"Sip\"} }\n"},
		{"parameter that is called nothing", connections, "(after time.Duration)", "(_ time.Duration)"},
		{"plugin called plugin", root, "package cellar", "package plugin\n\nimport \"onlineshop/es\"\n\ntype Cask struct{ Name string }\n\nvar Casks = es.NewReadModel[Cask](\"Casks\", nil)"},
		{"read model of an unknown row", bottles, "[Label]", "[Lable]"},
		{"read model without its row", bottles, "[Label]", ""},
		{"index that is no field", bottles, `By("name")`, `By("Name")`},
		{"index that is a number", bottles, `By("name")`, `By("years")`},
		{"sum of a text", bottles, `By("name")`, `Sum("years", "name")`},
		{"sort that is no field", bottles, `By("name")`, `Sort("years", "age")`},
		{"search in a number", bottles, `By("name")`, `Search("years")`},
		{"index of rows without text", bottles, "Name  string", "Name int"},
		{"name from a constant", bottles, `"Bottles"`, "name"},
		{"name that is no name", bottles, `"Bottles"`, `"all bottles"`},
		{"hidden component", bottles, "var Bottles", "var all"},
		{"read model from a function", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc All() es.ReadModel[Label] { return Bottles }\n"},
		{"task without a name", connections, `Name: "Stocktaking", `, ""},
		{"hidden import", more, "", "package bottle\n\nimport \"onlineshop/es/csvimport\"\n\nvar crates = csvimport.New(\"ImportCrates\", \"CrateImport\", Aggregate, toCommand).Example(\"n\")\n"},
		{"import whose runs have the name of an aggregate", more, "", "package bottle\n\nimport \"onlineshop/es/csvimport\"\n\nvar Crates = csvimport.New(\"ImportCrates\", \"Bottle\", Aggregate, toCommand)\n"},
		{"two aggregates of one name", "cellar/internal/vat/vat.go", "", strings.Replace(strings.Replace(plugin[bottle], "package bottle", "package vat", 1), "type (", "//es:aggregate Bottle\ntype (", 1)},
		{"two mappings of one name", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nvar Sip = es.NewMapping(\"Drink\", Aggregate, Aggregate, drink)\n"},
		{"two side effects of one name", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nvar Cork = es.Task{Name: \"Corking\", SideEffects: []es.SideEffect{es.NewSideEffect(\"Sniff\", Aggregate, sniff)}}\n"},
		{"side effects at the boundary and beside of one name", more, "", "package bottle\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/pantry/jars\"\n)\n\n" +
			"var Cork = es.Task{Name: \"Corking\", SideEffects: []es.SideEffect{es.NewBoundarySideEffect(\"Sniff\", jars.ExtensionPoint, sniff)}}\n"},
		{"side effect without a task", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nvar Taste = es.NewSideEffect(\"Taste\", Aggregate, taste).FromBeginning()\n"},
		{"side effect at the boundary without a task", "cellar/tasting/tasting.go", "", "package tasting\n\nimport (\n\t\"onlineshop/es\"\n\t\"shop/pantry/jars\"\n)\n\nvar taste = es.NewBoundarySideEffect(\"Taste\", jars.ExtensionPoint, spit)\n"},
		{"side effects of a function that nobody calls", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc tastes() []es.SideEffect { return nil }\n"},
		{"schedule without a task", "cellar/turning/turning.go", "", "package turning\n\nimport \"onlineshop/es\"\n\nvar nightly = es.Schedule{Name: \"Nightly\", Cron: \"0 3 * * *\"}\n"},
		{"aggregate and read model on one path", bottles, `"Bottles"`, `"Bottle"`},
		{"parameters of two types", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\nfunc Sip(after int) es.Mapping { return es.NewMapping(\"Sip\", Aggregate, Aggregate, drink) }\n"},
		{"parameter of a hidden type", more, "", "package bottle\n\nimport \"onlineshop/es\"\n\ntype taste struct{}\n\nfunc Sip(t taste) es.Task { return es.Task{Name: \"Sip\"} }\n"},
		{"parameter without a name", connections, "(after time.Duration)", "(time.Duration)"},
		{"name of the generator's", more, "", "package bottle\n\nfunc readLay() {}\n"},
		{"no Go", more, "", "package bottle\n\nfunc {\n"},
	} {
		if names[m.name] {
			t.Fatalf("two mistakes are called %q", m.name)
		}
		names[m.name] = true
		change := map[string]string{m.file: m.new}
		if m.old != "" {
			change = with(t, m.file, m.old, m.new)
		}
		_, err := generate.Files(given(t, change))
		if err == nil {
			t.Errorf("%s: no mistake is found", m.name)
			continue
		}
		fmt.Fprintf(&found, "## %s\n%s%s\n\n", m.name, wrong(plugin[m.file], change[m.file]), err)
	}
	const golden = "testdata/mistakes.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(found.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(found.String(), "\n")); diff != "" {
		t.Errorf("mistakes are not told as %s has them: look at it, and run go test ./es/esgen/internal/generate -update\n%s", golden, diff)
	}
}

// wrong are the lines that were changed, as they stand in the file.
func wrong(sound, changed string) (lines string) {
	before, after := strings.SplitAfter(sound, "\n"), strings.SplitAfter(changed, "\n")
	first := 0
	for first < len(before) && first < len(after)-1 && before[first] == after[first] {
		first++
	}
	end := len(after)
	for kept := len(before); kept > first && end > first+1 && before[kept-1] == after[end-1]; kept-- {
		end--
	}
	for i, line := range after[first:end] {
		if line != "" {
			lines += strings.TrimRight(fmt.Sprintf("%4d  %s", first+i+1, line), " \n") + "\n"
		}
	}
	return lines
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

func TestWhatHoldsNoPluginIsRefused(t *testing.T) {
	for _, c := range []struct{ file, text, folder, want string }{
		{"go.mod", "go 1.26\n", "cellar", "names no module"},
		{"attic/readme.md", "empty", "attic", "attic holds no Go package: run esgen in a plugin's folder"},
	} {
		dir := filepath.Join(filepath.Dir(given(t, map[string]string{c.file: c.text})), c.folder)
		if _, err := generate.Files(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.folder, err, c.want)
		}
	}
	if _, err := generate.Aggregate(given(t, nil), "Barrel"); err == nil || err.Error() != `Cellar has no aggregate "Barrel"; it has Bottle` {
		t.Error(err)
	}
}
