// Package tutorial does what docs/plugins.md says, so that the tutorial stays true: it makes
// a shop with a third plugin, and tries it.
package tutorial

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Document is the tutorial's file, from the module's root.
const Document = "docs/plugins.md"

// Blocks of the tutorial: what is typed while the plugin is written, a file by its path, and
// what is typed while the shop runs.
var blocks = regexp.MustCompile("(?m)^(?:<!-- (make|tour) -->\n```sh|```go (\\S+))\n((?s:.*?)\n)```$")

// Make copies the module at root to the new folder dir, and writes the plugin there, step
// by step. What programs print is part of the error if one fails.
func Make(ctx context.Context, root, dir string) error {
	text, err := os.ReadFile(filepath.Join(root, Document))
	if err != nil {
		return err
	}
	if err := copyModule(root, dir); err != nil {
		return fmt.Errorf("copy the module: %w", err)
	}
	sh := func(script string) error {
		cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", script, err, out)
		}
		return nil
	}
	// A clone, as a reader has one.
	if err := sh("git init -q && git add -A && git -c user.name=reader -c user.email=reader@example.com commit -qm 'The shop'"); err != nil {
		return err
	}
	for _, b := range blocks.FindAllStringSubmatch(string(text), -1) {
		switch kind, file, content := b[1], b[2], b[3]; {
		case kind == "make":
			err = sh(content)
		case file != "":
			err = write(filepath.Join(dir, filepath.FromSlash(file)), content)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", Document, err)
		}
	}
	return nil
}

// Tour returns a script of what the tutorial types while the shop runs.
func Tour(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, Document))
	if err != nil {
		return "", err
	}
	var script strings.Builder
	for _, b := range blocks.FindAllStringSubmatch(string(text), -1) {
		if b[1] == "tour" {
			script.WriteString(b[3])
		}
	}
	return script.String(), nil
}

func write(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o600)
}

// leftOut of the copy: what is made, and the page's sources, so that it is not built anew.
var leftOut = []string{".git", "bin", "data", "node_modules", "cdk.out", "localstack/.home", "tools/peers/node_modules"}

// copyModule keeps the files' times, which make goes by.
func copyModule(root, dir string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(rel)
		page := strings.HasPrefix(slashed, "console/") && !strings.HasPrefix(slashed, "console/dist") && filepath.Ext(path) != ".go"
		leave := page || slices.Contains(leftOut, slashed)
		switch {
		case leave && d.IsDir():
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o700)
		case leave || !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	})
}
