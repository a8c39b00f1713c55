package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

const imports = "product-imports"

// put drops a file into the folder, whole.
func put(t *testing.T, dir, name, content string) {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "whole")
	if err := os.WriteFile(whole, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(whole, filepath.Join(dir, imports, name)); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, dir ...string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir...))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func finished(t *testing.T, p *Platform, key string, times int) func() bool {
	return func() bool {
		n := 0
		for _, e := range types(t, p, "Catalog.ProductImport", key) {
			if e == "Finished" || e == "Rejected" {
				n++
			}
		}
		return n == times
	}
}

func TestAFileIsImportedOnce(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	// When a file is dropped into the folder
	put(t, p.Dir, "june.csv", "id,name,description,price\np1,Book,,9.99\np2,Pen,,nothing\n")
	until(t, p, "it is imported", finished(t, p, "june.csv", 1))
	// Then its products are there, and a report on the row that was wrong
	caughtUp(t, p)
	expect(t, "view", view(t, p, "Catalog.Products", "p1"), `{"name":"Book","description":"","price":9.99}`)
	r, err := p.Report(t.Context(), "Catalog.ImportProducts", "june.csv")
	if err != nil {
		t.Fatal(err)
	}
	report, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(report), "\n"); lines[0] != "line,code,reason" || !strings.HasPrefix(lines[1], "3,InvalidPrice,") {
		t.Errorf("report: %s", report)
	}
	// And when a file of that name comes again, then it is another upload
	put(t, p.Dir, "june.csv", "id,name,description,price\np1,Book,,9.99\np2,Pen,,1\n")
	until(t, p, "it is imported", finished(t, p, "june.csv", 2))
	caughtUp(t, p)
	expect(t, "added", types(t, p, "Catalog.Product", "p1"), "[Added]")
	expect(t, "view", view(t, p, "Catalog.Products", "p2"), `{"name":"Pen","description":"","price":1}`)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "done", files(t, p.Dir, imports, doneDir), "[june-2.csv june.csv]")
	expect(t, "claimed", files(t, p.Dir, imports, claimedDir), "[]")
}

func TestAnImportGoesOnAfterACrash(t *testing.T) {
	// Given a file in the middle of its import
	const count = 1200
	var b strings.Builder
	b.WriteString("id,name,description,price\n")
	for i := range count {
		fmt.Fprintf(&b, "p%d,Product %d,,1\n", i, i)
	}
	plugins := shop(&outbox{}, 0)
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	put(t, p.Dir, "many.csv", b.String())
	until(t, p, "a checkpoint is there", func() bool {
		return slices.Contains(types(t, p, "Catalog.ProductImport", "many.csv"), "Progressed")
	})
	// When the shop crashes
	dir := crash(t, p)
	expect(t, "in the folder", files(t, dir, imports, doneDir), "[]")
	// Then it goes on when it is back: each row is there once, and counted once
	p = open(t, Options{Dir: dir, Plugins: plugins})
	until(t, p, "it is imported", finished(t, p, "many.csv", 1))
	caughtUp(t, p)
	for i := range count {
		if got := types(t, p, "Catalog.Product", fmt.Sprint("p", i)); fmt.Sprint(got) != "[Added]" {
			t.Fatalf("p%d: %v", i, got)
		}
	}
	row := view(t, p, "Catalog.ProductImports", "many.csv")
	if !strings.Contains(row, `"rows":1200,"added":1200,"unchanged":0,"rejected":0`) {
		t.Errorf("import: %s", row)
	}
}

func TestAFileThatIsRemovedWhileItIsImportedIsRejected(t *testing.T) {
	// Given a file in the middle of its import
	release := make(chan struct{})
	plugins := shop(&outbox{}, 0)
	task := &plugins[0].Tasks[0]
	importing, calls := task.OnObject, 0
	task.OnObject = func(ctx context.Context, o es.Object, s es.Shop) error {
		if calls++; calls == 1 {
			if err := importing(ctx, o, stopAtOnce{s}); !errors.Is(err, es.ErrUnfinished) {
				t.Errorf("the first call: %v", err)
			}
			<-release
			return es.ErrUnfinished
		}
		return importing(ctx, o, s)
	}
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	put(t, p.Dir, "gone.csv", "id,name,description,price\n"+strings.Repeat(",Book,,1\n", 501))
	until(t, p, "a checkpoint is there", func() bool {
		return slices.Contains(types(t, p, "Catalog.ProductImport", "gone.csv"), "Progressed")
	})
	// When it is removed
	claimed, err := filepath.Glob(filepath.Join(p.Dir, imports, claimedDir, "*", "gone.csv"))
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed: %v, %v", claimed, err)
	}
	if err := os.Remove(claimed[0]); err != nil {
		t.Fatal(err)
	}
	close(release)
	// Then its import ends, and says why
	until(t, p, "the import ends", func() bool {
		return slices.Contains(types(t, p, "Catalog.ProductImport", "gone.csv"), "Rejected")
	})
	caughtUp(t, p)
	if row := view(t, p, "Catalog.ProductImports", "gone.csv"); !strings.Contains(row, `"reason":"the file was removed or replaced before it was read to its end"`) {
		t.Errorf("import: %s", row)
	}
	until(t, p, "the claim ends", func() bool { return len(files(t, p.Dir, imports, claimedDir)) == 0 })
}

// stopAtOnce has a task stop at its first checkpoint.
type stopAtOnce struct{ es.Shop }

func (stopAtOnce) Stopping() bool { return true }

func TestAnUploadIsLaterThanTheOneBeforeWhateverTheClockSays(t *testing.T) {
	// Given a file that was imported when the clock was wrong
	plugins := shop(&outbox{}, 0)
	o := Options{Dir: t.TempDir(), Plugins: plugins}
	p := open(t, o)
	if err := p.store.setMarks(t.Context(), map[string]int64{"task:Catalog.ImportProducts": time.Now().Add(24 * time.Hour).UnixNano()}); err != nil {
		t.Fatal(err)
	}
	o.Dir = crash(t, p)
	p = open(t, o)
	put(t, p.Dir, "june.csv", "id,name,description,price\np1,Book,,9.99\n")
	until(t, p, "it is imported", finished(t, p, "june.csv", 1))
	// When another one of its name comes after a crash
	o.Dir = crash(t, p)
	p = open(t, o)
	put(t, p.Dir, "june.csv", "id,name,description,price\np2,Pen,,1\n")
	// Then it is imported, too
	until(t, p, "it is imported", finished(t, p, "june.csv", 2))
	expect(t, "added", types(t, p, "Catalog.Product", "p2"), "[Added]")
}

func TestFilesOfOneNameAreNumbered(t *testing.T) {
	long := strings.Repeat("ü", 125) // 250 bytes
	for _, x := range []struct{ name, want string }{
		{"june.csv", "june-2.csv"},
		{"june", "june-2"},
		{long + ".csv", long[:248] + "-2.csv"},
		{"a" + long + ".csv", "a" + long[:248] + "-2.csv"},
		{"." + long + "abcd", "_" + long + "ab-2"},
	} {
		got := numbered(x.name, 2)
		if got != x.want || len(got) > 255 {
			t.Errorf("%s is numbered %s, %d bytes; want %s", x.name, got, len(got), x.want)
		}
	}
}

func TestWhatIsNoFileIsLeftAlone(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	// Given what is no regular file, and what is hidden
	in := filepath.Join(p.Dir, imports)
	if err := os.Mkdir(filepath.Join(in, "folder.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(in, "link.csv")); err != nil {
		t.Fatal(err)
	}
	put(t, p.Dir, ".hidden.csv", "name,description,price\nBook,,1\n")
	put(t, p.Dir, "bad\xff.csv", "name,description,price\nBook,,1\n")
	// When a file comes after them
	put(t, p.Dir, "last.csv", "id,name,description,price\np1,Book,,1\n")
	until(t, p, "it is imported", finished(t, p, "last.csv", 1))
	// Then they are where they were, but for the one with the impossible name
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "folder", files(t, in), "[.claimed .hidden.csv done folder.csv link.csv]")
	expect(t, "done", files(t, in, doneDir), "[bad\xff.csv last.csv]")
	ids, _, err := p.store.Streams(t.Context(), "Catalog.Product", "")
	if err == nil {
		t.Errorf("a closed shop lists %v", ids)
	}
}

func TestThereMayBeNoReport(t *testing.T) {
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	if _, err := p.Report(t.Context(), "Catalog.ImportProducts", "../../shop.db"); err == nil || !strings.Contains(err.Error(), engine.ErrNotFound.Code) {
		t.Errorf("report: %v; NotFound was expected", err)
	}
}

func TestOutbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "emails")
	o := NewOutbox(dir, "Shop <shop@example.com>")
	// When a message is sent, and sent again
	for range 2 {
		if err := o.Send("order/1", "ada@example.com", "Ihre Bestellung für Ümläute", "Dear Ada,\n\nthank you for 1 × ☕.\n"); err != nil {
			t.Fatal(err)
		}
	}
	// Then there is one file, which mail programs read
	expect(t, "files", files(t, dir), "[order%2F1.eml]")
	f, err := os.Open(filepath.Join(dir, "order%2F1.eml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "ada@example.com" {
		t.Errorf("to %v, %v", to, err)
	}
	// And nobody can smuggle a header in
	if err := o.Send("2", "eve@example.com\r\nBcc: all@example.com", "s", "b"); err == nil {
		t.Error("a recipient with a line break was taken")
	}
}
