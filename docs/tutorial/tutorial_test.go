package tutorial_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onlineshop/docs/tutorial"
)

const root = "../.."

// What the tutorial says compiles, passes its own tests, and does over HTTP what it shows:
// on this machine, or where make e2e has deployed it.
func TestTheTutorial(t *testing.T) {
	if url := os.Getenv("SHOP_TUTORIAL_API"); url != "" {
		tour(t, url)
		return
	}
	if testing.Short() {
		t.Skip("builds a shop")
	}
	// Given a clone in which somebody followed the tutorial
	dir := t.TempDir()
	if err := tutorial.Make(t.Context(), root, dir); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "gofmt", "-l", "plugins")
	run(t, dir, "go", "vet", "./plugins/...")
	run(t, dir, "go", "test", "./plugins/...")
	run(t, dir, "go", "build", "-trimpath", "-o", "bin/shop", "./cmd/shop")
	// When the shop is started as it says
	serve := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "shop"), "serve", "--json")
	serve.Cancel = func() error { return serve.Process.Signal(os.Interrupt) }
	serve.WaitDelay = time.Minute
	serve.Env = append(os.Environ(), "SHOP_ADDR=127.0.0.1:0", "SHOP_DATA="+filepath.Join(dir, "data"), "SHOP_SHIP_DELAY=1h", "SHOP_AUTH=none", "SHOP_TOKEN=")
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(os.Interrupt)
		_ = serve.Wait() // how it ends says nothing about the tutorial
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var hello struct{ URL string }
	if err := json.Unmarshal(line, &hello); err != nil {
		t.Fatal(err)
	}
	// Then it is toured
	tour(t, hello.URL)
}

func tour(t *testing.T, url string) {
	t.Helper()
	script, err := tutorial.Tour(root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	sh := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", script)
	sh.Dir = t.TempDir()
	sh.Env = append(os.Environ(), "SHOP="+url)
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour ended with %v:\n%s", err, out)
	}
	for _, want := range []string{
		`"id":"mug","name":"Mug","left":0`,
		`"events":["Counted"]`,
		`"status":"cancelled"`,
		`"subId":"o1","orderId":"o1"`,
		`"id":"o1","reserved":1,"missing":0`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour never shows %s:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), `"code":`) {
		t.Errorf("the tour shows a problem:\n%s", out)
	}
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || program == "gofmt" && len(out) > 0 {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}
