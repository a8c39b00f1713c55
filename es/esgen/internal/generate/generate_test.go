package generate_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onlineshop/es/esgen/internal/generate"
)

// library is the plugin whose generated code is kept as the example of all
// that the generator writes.
const library = "../library"

func TestTheLibrarysGeneratedCodeIsWhatIsKept(t *testing.T) {
	files, err := generate.Files(library)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		kept, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(kept, text) {
			t.Errorf("%s is not what esgen writes today: run go generate in es/esgen/internal/library and look at the difference", name)
		}
	}
	if len(files) != 3 {
		t.Errorf("generated %v, want the plugin, one aggregate and one extension point", slices.Collect(maps.Keys(files)))
	}
}

func TestARuleMayTakeTheCommandsMetadata(t *testing.T) {
	files, err := generate.Files(given(t, map[string]string{bottle: strings.NewReplacer(
		"package bottle\n", "package bottle\n\nimport \"onlineshop/es\"\n", "decide(State)", "decide(State, es.Meta)").Replace(plugin[bottle])}))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if filepath.Base(name) == "bottle_gen.go" && !strings.Contains(string(text), "DecideMeta: Command.decide,") {
			t.Errorf("it decides without:\n%s", text)
		}
	}
}

func TestACommentBehindAStructsBraceIsAboutTheType(t *testing.T) {
	for _, c := range []struct {
		lay      string
		help     bool
		internal bool
	}{
		{"type Lay struct { // Put it into the cellar. //es:internal\n\t// What it is called.\n\tName string", true, true},
		{"type Lay struct { //es:internal\n\tName string", false, true},
		{"type Lay struct {\n\t// Put it into the cellar.\n\tName string", false, false},
		{"type Lay struct { Name string // Put it into the cellar.", false, false},
		{"// Put it into the cellar.\ntype Lay struct { Name string // What it is called.", true, false},
	} {
		files, err := generate.Files(given(t, map[string]string{bottle: strings.Replace(plugin[bottle], "type Lay struct {\n\tName string", c.lay, 1)}))
		if err != nil {
			t.Fatalf("%s: %v", c.lay, err)
		}
		for name, text := range files {
			if filepath.Base(name) != "bottle_gen.go" {
				continue
			}
			help := strings.Contains(string(text), "`Put it into the cellar.`")
			if internal := strings.Contains(string(text), "Internal: true"); help != c.help || internal != c.internal {
				t.Errorf("of %s it takes the comment: %t, want %t; the marker: %t, want %t", c.lay, help, c.help, internal, c.internal)
			}
		}
	}
}

func TestARowIsNamedByItsMarkedFieldElseByItsFirstFreeText(t *testing.T) {
	for _, c := range []struct{ fields, want string }{
		{"Name  string", `"name"`},
		{"Colour Colour; Owner string //es:ref Cellar.Bottles\n\tNose string //es:optional\n\tName, Nick string", `"name"`},
		{"Name string; Nick string //es:label", `"nick"`},
		{"Colour Colour", ""},
	} {
		dir := given(t, map[string]string{
			more:    "package bottle\n\ntype Colour string\n\nconst Red Colour = \"red\"\n",
			bottles: strings.Replace(strings.Replace(plugin[bottles], "Name  string", c.fields, 1), `.By("name")`, "", 1),
		})
		files, err := generate.Files(dir)
		if err != nil {
			t.Fatal(err)
		}
		_, label, _ := strings.Cut(string(files[filepath.Join(dir, "internal", "bottle", "bottle_gen.go")]), "JSONLabel() string { return ")
		if got, _, _ := strings.Cut(label, " }"); got != c.want {
			t.Errorf("a row of %s is named by %s, want %s", c.fields, got, c.want)
		}
	}
}

func TestGeneratingTwiceIsTheSame(t *testing.T) {
	first, err := generate.Files(library)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // maps are walked in another order each time
		again, err := generate.Files(library)
		if err != nil {
			t.Fatal(err)
		}
		if !maps.EqualFunc(first, again, bytes.Equal) {
			t.Fatal("the same sources give other code")
		}
	}
}

// snapshot is the text of every generated file below a folder.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, "_gen.go") {
			text, err := os.ReadFile(name)
			files[filepath.Base(name)] = string(text)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestFilesAreWrittenOnlyWhenTheyChange(t *testing.T) {
	dir := given(t, nil)
	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}
	first := snapshot(t, dir)
	if got := slices.Sorted(maps.Keys(first)); !slices.Equal(got, []string{"bottle_gen.go", "plugin_gen.go", "wines_gen.go"}) {
		t.Fatal("generated", got)
	}
	long := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	written := filepath.Join(dir, "plugin_gen.go")
	if err := os.Chtimes(written, long, long); err != nil {
		t.Fatal(err)
	}

	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}

	if again := snapshot(t, dir); !maps.Equal(first, again) {
		t.Error("a second run changed something")
	}
	if info, err := os.Stat(written); err != nil || !info.ModTime().Equal(long) {
		t.Error("a file without changes was written", err)
	}
}

func TestComponentsAreFoundUnderWhateverNameESIsImported(t *testing.T) {
	text := strings.ReplaceAll(plugin[bottles], "es.", "framework.")
	text = strings.Replace(text, `import "onlineshop/es"`, `import framework "onlineshop/es"`, 1)
	dir := given(t, map[string]string{bottles: text})
	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}
	if got := snapshot(t, dir)["plugin_gen.go"]; !strings.Contains(got, "[]es.AnyReadModel{es.FoldedBy(bottle.Bottles, ") {
		t.Errorf("the read model is missing in\n%s", got)
	}
}

func TestPackagesOfOneNameAreImportedUnderTwo(t *testing.T) {
	second := strings.Replace(plugin[bottle], "type (", "//es:aggregate Magnum\ntype (", 1)
	dir := given(t, map[string]string{"cellar/internal/magnum/bottle/bottle.go": second})
	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}
	got := snapshot(t, dir)["plugin_gen.go"]
	for _, want := range []string{`bottle2 "shop/cellar/internal/magnum/bottle"`, "[]es.AnyAggregate{bottle.Aggregate, bottle2.Aggregate}"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
}

func TestFilesOfWhatIsGoneAreRemoved(t *testing.T) {
	const header = "// Code generated by esgen. DO NOT EDIT.\n"
	dir := given(t, map[string]string{
		"cellar/internal/gone/gone_gen.go":   header + "\npackage gone\n",
		"cellar/internal/other/other_gen.go": "// Code generated by another tool. DO NOT EDIT.\n\npackage other\n",
	})
	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}
	files := snapshot(t, dir)
	if _, ok := files["gone_gen.go"]; ok {
		t.Error("the file of a package that is gone stayed")
	}
	if _, ok := files["other_gen.go"]; !ok {
		t.Error("another tool's file was removed")
	}
}

func TestNothingIsTouchedWhereSomethingIsWrong(t *testing.T) {
	changes := with(t, bottle, "Name string", "Name any")
	changes["cellar/internal/gone/gone_gen.go"] = "// Code generated by esgen. DO NOT EDIT.\n\npackage gone\n"
	dir := given(t, changes)
	if err := generate.Plugin(dir); err == nil {
		t.Fatal("no mistake is found")
	}
	if got := slices.Collect(maps.Keys(snapshot(t, dir))); !slices.Equal(got, []string{"gone_gen.go"}) {
		t.Error("there is now", got)
	}
}

func TestSourcesChangeTheHashAndTestsDoNot(t *testing.T) {
	hash := func(changes map[string]string) string {
		files, err := generate.Files(given(t, changes))
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range files {
			if filepath.Base(name) == "bottle_gen.go" {
				_, after, _ := strings.Cut(string(text), "Sources:")
				line, _, _ := strings.Cut(after, ",")
				return strings.TrimSpace(line)
			}
		}
		t.Fatal("no bottle_gen.go")
		return ""
	}
	before := hash(nil)
	if got := hash(map[string]string{"cellar/internal/bottle/bottle_test.go": "package bottle\n"}); got != before {
		t.Error("a test changes the hash")
	}
	if got := hash(map[string]string{"cellar/internal/bottle/bottle_gen.go": "package bottle\n"}); got != before {
		t.Error("generated code changes the hash")
	}
	if got := hash(with(t, bottle, "return State{true}", "return State{}")); got == before {
		t.Error("another rule leaves the hash as it was")
	}
}

// The generated code must not outlive a change to a struct that it would read
// or write wrongly.
func TestGeneratedCodeStopsCompilingWhenAStructChanges(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command to compile with")
	}
	source, err := filepath.Abs("../library/internal/book/book.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ change, old, new, want string }{
		{"fields change places", "	Contact    string  //es:optional //es:email\n	UIBundleID string  // \"as in the manifest\", with a `backquote`\n",
			"	UIBundleID string\n	Contact    string //es:optional //es:email\n", "cannot convert in"},
		{"an embedded struct grows", "	Year      uint16 //es:optional //es:min 1450 //es:title Published in\n", "	Year      uint16 //es:optional\n	City string\n", "cannot convert x.Imprint"},
		{"an event gets its own shape", "	Moved Move\n", "	Moved struct{ Shelf shelves.Shelf; By string }\n", "cannot convert e"},
		{"a payload-free event gets one", "	Retired struct{}\n", "	Retired struct{ Why string }\n", "cannot convert"},
	} {
		t.Run(c.change, func(t *testing.T) {
			if !bytes.Contains(text, []byte(c.old)) {
				t.Fatalf("book.go has no %q", c.old)
			}
			changed := filepath.Join(t.TempDir(), "book.go")
			if err := os.WriteFile(changed, bytes.Replace(text, []byte(c.old), []byte(c.new), 1), 0o644); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: changed}})
			if err != nil {
				t.Fatal(err)
			}
			list := filepath.Join(t.TempDir(), "overlay.json")
			if err := os.WriteFile(list, overlay, 0o644); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("go", "build", "-overlay", list, "onlineshop/es/esgen/internal/library/internal/book").CombinedOutput()
			if err == nil || !bytes.Contains(out, []byte("book_gen.go")) || !bytes.Contains(out, []byte(c.want)) {
				t.Errorf("go build says %q, want book_gen.go not to compile: %s", out, c.want)
			}
		})
	}
}
