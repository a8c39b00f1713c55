package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerifyComparesWithHeadsThatWereWrittenDown(t *testing.T) {
	data := t.TempDir()
	verify := func(args ...string) (code int, printed, said string) {
		t.Helper()
		var out, err strings.Builder
		code = program{&out, &err}.Run(context.Background(), append([]string{"verify"}, args...)...)
		return code, out.String(), err.String()
	}
	folder := []string{"--data", data, "--addr", "127.0.0.1:1"} // where no shop is
	file := filepath.Join(t.TempDir(), "heads.txt")
	// Given a shop with products, whose heads are written down while it is open
	shop := start(t, binary, data)
	for _, id := range []string{"mug", "cup"} {
		shop.must("/catalog/product/"+id+"/add", map[string]any{"name": "A", "description": "", "price": 1})
	}
	if code, printed, said := verify("--data", data, "--addr", shop.base, "--heads", file); code != exitOK || !strings.Contains(printed, " streams are whole, with ") {
		t.Fatalf("exit code %d: %s%s", code, printed, said)
	}
	// When one has grown, and the shop is closed
	shop.must("/catalog/product/mug/update-price", map[string]any{"price": 2})
	if code := shop.stop(); code != exitOK {
		t.Fatalf("the shop ends with %d: %s", code, shop.log)
	}
	// Then the folder is what it was, and more
	if code, printed, said := verify(append(folder, "--expect", file)...); code != exitOK {
		t.Errorf("exit code %d: %s%s", code, printed, said)
	}
	// And when another product was there, or other content, that shows
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	for i, line := range lines {
		if name, rest, ok := strings.Cut(line, " "); ok && name == `"Catalog.Product#mug"` {
			lines[i] = `"Catalog.Product#pot" ` + rest + "\n" + name + " 0 AAAAAAAAAAAAAAAAAAAAAA=="
		}
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	code, printed, said := verify(append(folder, "--expect", file)...)
	if code != exitFailed || !strings.Contains(printed, "Catalog.Product#mug  up to commit 0 it is not what it was") ||
		!strings.Contains(printed, "Catalog.Product#pot  it is gone, or damaged, and was there") || !strings.Contains(said, "wrong: 2;") || !strings.Contains(said, "Where it says unknown type, the data is whole") {
		t.Errorf("exit code %d: %s%s", code, printed, said)
	}
}
