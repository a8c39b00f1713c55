package scaffold_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"onlineshop/es/esgen/internal/generate"
	"onlineshop/es/esgen/internal/scaffold"
)

// folder is a module in which there is nothing yet.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module onlineshop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func done(t *testing.T) func(files []string, err error) {
	return func(files []string, err error) {
		t.Helper()
		if err != nil || len(files) == 0 {
			t.Fatalf("wrote %v, %v", files, err)
		}
	}
}

// What is written is laid over this module, compiled, and its tests are run.
func TestWhatIsWrittenWorksUntouched(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages")
	}
	// Given one of each
	dir := folder(t)
	done(t)(scaffold.Plugin(dir, "Attic"))
	done(t)(scaffold.Aggregate(dir, "Attic", "OldBox"))
	done(t)(scaffold.View(dir, "Attic", "OldBox", "OldBoxes"))
	done(t)(scaffold.Task(dir, "Attic", "CountBoxes"))
	done(t)(scaffold.Import(dir, "Attic", "ImportBoxes", "OldBox"))
	plugin := filepath.Join(dir, "plugins", "attic")
	// When it is generated
	if err := generate.Plugin(plugin); err != nil {
		t.Fatal(err)
	}
	// Then it compiles, as gofmt writes it, and its tests pass
	root, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{}
	err = filepath.WalkDir(plugin, func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, file)
			overlay[filepath.Join(root, rel)] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	over := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(over, b, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(in, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = in
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if unformatted := run(plugin, "gofmt", "-l", "."); unformatted != "" {
		t.Errorf("gofmt these templates: %s", unformatted)
	}
	run(root, "go", "build", "-overlay", over, "./plugins/attic")
	for _, p := range []string{"oldbox", "countboxes", "importboxes"} {
		test := filepath.Join(dir, p+".test")
		run(root, "go", "test", "-c", "-vet=off", "-overlay", over, "-o", test, "./plugins/attic/internal/"+p)
		if out := run(dir, test, "-test.v"); !strings.Contains(out, "--- PASS") {
			t.Errorf("no test of %s was run:\n%s", p, out)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := folder(t)
	done(t)(scaffold.Plugin(dir, "Attic"))
	done(t)(scaffold.Aggregate(dir, "Attic", "Box"))
	name := filepath.Join(dir, "plugins", "attic", "internal", "box", "box.go")
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := scaffold.Aggregate(dir, "Attic", "Box")
	if text, _ := os.ReadFile(name); err == nil || string(text) != "mine" {
		t.Errorf("%v, and the file says %q", err, text)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	dir := folder(t)
	done(t)(scaffold.Plugin(dir, "Attic"))
	done(t)(scaffold.Aggregate(dir, "Attic", "Box"))
	for _, c := range []struct {
		do   func() ([]string, error)
		want string
	}{
		{func() ([]string, error) { return scaffold.Plugin(dir, "attic") }, "NAME=attic can't be the name of a plugin: write it as in NAME=StockItem"},
		{func() ([]string, error) { return scaffold.Aggregate(dir, "Cellar", "Box") }, `there is no plugin "Cellar": make it with make plugin NAME=Cellar`},
		{func() ([]string, error) { return scaffold.View(dir, "Attic", "Bag", "Bags") }, `Attic has no aggregate "Bag"; it has Box`},
		{func() ([]string, error) { return scaffold.Import(dir, "Attic", "ImportBags", "Bag") }, `Attic has no aggregate "Bag"; it has Box`},
		{func() ([]string, error) { return scaffold.Plugin(dir, "Attic") }, path.Join("plugins", "attic", "doc.go") + " is there already"},
	} {
		if _, err := c.do(); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
