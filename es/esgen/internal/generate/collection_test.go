package generate_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onlineshop/es/esgen/internal/generate"
)

// collection is a folder with the sound plugin and others.
func collection(t *testing.T, others map[string]string) string {
	t.Helper()
	files := map[string]string{"plugins.go": "// Package plugins is all plugins.\n//\n//es:plugins\npackage plugins\n"}
	maps.Copy(files, others)
	return filepath.Dir(given(t, files))
}

func garden(function string) map[string]string {
	return map[string]string{
		"garden/doc.go":                 "// Package garden is a plugin.\n//\n//es:plugin Garden heartbeat=1m\npackage garden\n",
		"garden/internal/beds/beds.go":  "package beds\n\nimport (\n\t\"time\"\n\n\t\"onlineshop/es\"\n\n\t\"shop/garden/tools\"\n)\n\nvar _ time.Duration\nvar _ tools.Spade\n\ntype Rake interface{}\n\n" + function,
		"garden/tools/tools.go":         "package tools\n\ntype Spade interface{}\n",
		"garden/notes/notes.go":         "package notes\n",
		"notaplugin/doc.go":             "// Package notaplugin is none.\npackage notaplugin\n",
		"notaplugin/internal/a/doc.go":  "package a\n",
		"notaplugin/internal/a/more.go": "package a\n",
	}
}

func TestAllPluginsOfAFolderAreListed(t *testing.T) {
	// Given two plugins that ask for something, partly the same
	dir := collection(t, garden("func Dig(spade tools.Spade, after time.Duration) es.Task { return es.Task{Name: \"Dig\"} }\n"))
	// When their folder is generated
	files, err := generate.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	// Then it has them all, and asks once for what they need
	if names := slices.Collect(maps.Keys(files)); len(names) != 1 || filepath.Base(names[0]) != "plugins_gen.go" {
		t.Fatalf("generated %v", names)
	}
	for _, text := range files {
		for _, want := range []string{
			"type Deps interface {\n\tcellar.Deps\n\tgarden.Deps\n}",
			"return []es.Plugin{cellar.Plugin(d), garden.Plugin(d)}",
			"func (NoDeps) After() (none time.Duration) { return none }",
			"func (NoDeps) Spade() (none tools.Spade) { return none }",
		} {
			if strings.Count(string(text), want) != 1 {
				t.Errorf("it does not have %q once:\n%s", want, text)
			}
		}
	}
}

func TestPluginsGeneratedFilesAreTheirOwn(t *testing.T) {
	// Given a plugin that is generated
	dir := collection(t, nil)
	plugin := filepath.Join(dir, "cellar")
	if err := generate.Plugin(plugin); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, plugin)
	// When the folder around it is
	if err := generate.Plugin(dir); err != nil {
		t.Fatal(err)
	}
	// Then the plugin's files are there
	if after := snapshot(t, plugin); len(before) == 0 || !maps.Equal(before, after) {
		t.Errorf("the plugin had %v, and has %v", slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	}
	if _, err := os.Stat(filepath.Join(dir, "plugins_gen.go")); err != nil {
		t.Error(err)
	}
}

func TestWhatPluginsCantAskForTogether(t *testing.T) {
	for function, want := range map[string]string{
		"func Dig(after int) es.Task { return es.Task{} }\n": "two plugins ask for After: here it is int, in cellar/internal/bottle/connections.go:9 it is time.Duration: rename one",
		"func Dig(rake Rake) es.Task { return es.Task{} }\n": "Rake is asked of the platform, which can't import shop/garden/internal/beds: move its type out of internal",
	} {
		_, err := generate.Files(collection(t, garden(function)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v\nwant %s", function, err, want)
		}
	}
}

func TestWhatIsWrongInAPluginIsSaidOnce(t *testing.T) {
	// Given a plugin with a mistake
	dir := collection(t, garden("//es:water\nvar Dig = es.Task{Name: \"Dig\"}\n"))
	const mistake = "there is no marker //es:water"
	// When it is generated, it says what is wrong
	if _, err := generate.Files(filepath.Join(dir, "garden")); err == nil || !strings.Contains(err.Error(), mistake) {
		t.Errorf("the plugin's own: %v", err)
	}
	// Then the folder around it says where, and not what
	_, err := generate.Files(dir)
	if want := "the list of plugins waits until nothing is wrong in garden: go generate says there what it is"; fmt.Sprint(err) != want {
		t.Errorf("the folder's: %v\nwant %s", err, want)
	}
}

func TestTwoPluginsOfOneNameAreToldApart(t *testing.T) {
	others := garden("")
	others["garden/doc.go"] = strings.Replace(others["garden/doc.go"], "Garden heartbeat", "Cellar heartbeat", 1)
	_, err := generate.Files(collection(t, others))
	if want := "garden/doc.go:3: two plugins are called Cellar: here and in cellar/doc.go:3"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("found %v, want %s", err, want)
	}
}

func TestReferencesIntoOtherPluginsAreHeldToThem(t *testing.T) {
	const (
		bed   = "package beds\n\nimport \"onlineshop/es\"\n\ntype Bed struct {\n\tWine string //es:ref %s\n}\n\nvar Beds = es.NewReadModel[Bed](\"Beds\", nil)\n"
		place = "garden/internal/beds/beds.go:6: "
	)
	for ref, want := range map[string]string{
		"Cellar.Bottles": "",
		"Garden.Beds":    "",
		"Cellar.Beds":    place + "//es:ref Cellar.Beds points into a read model that does not exist: Cellar has Bottles",
		"Attic.Bottles":  place + "//es:ref Attic.Bottles points into a plugin that does not exist",
	} {
		others := garden("")
		others["garden/internal/beds/beds.go"] = strings.Replace(bed, "%s", ref, 1)
		_, err := generate.Files(collection(t, others))
		if got := fmt.Sprint(err); got != cmp.Or(want, "<nil>") {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
	}
}
