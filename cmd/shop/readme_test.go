package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's tour works when it is pasted: its blocks, one after the other in
// one shell, against a real shop.
func TestREADMETour(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- tour -->\n```sh\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) < 5 {
		t.Fatalf("the README has %d blocks of a tour", len(blocks))
	}
	var script strings.Builder
	for _, b := range blocks {
		script.Write(b[1])
	}
	p := start(t, binary, filepath.Join(t.TempDir(), "data"))
	// The tour is run where bin/shop is.
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "shop")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tour := exec.CommandContext(ctx, "sh", "-eu", "-c", script.String())
	tour.Dir = dir
	tour.Env = append(os.Environ(), "SHOP_ADDR="+strings.TrimPrefix(p.base, "http://"), "SHOP_DATA="+p.data)
	out, err := tour.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour ended with %v:\n%s", err, out)
	}
	for _, want := range []string{
		`"aggregate":"Catalog.Product","id":"mug","version":1,"events":["Added"]`,
		`"version":2,"events":["PriceUpdated"]`,
		`"price":6.95`,
		`"rows":3,"added":2,"unchanged":0,"rejected":1`,
		"4,InvalidPrice,",
		`"version":1,"events":["Registered"]`,
		`"version":1,"events":["Placed"]`,
		`"status":"shipped"`,
		`"orderCount":1`,
		"To: <ann@example.com>",
		"Placed   local",
		"Shipped  system",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour never shows %s", want)
		}
	}
	if strings.Contains(string(out), `"code":`) {
		t.Error("the tour shows a problem")
	}
	if t.Failed() {
		t.Logf("it shows:\n%s", out)
	}
}
