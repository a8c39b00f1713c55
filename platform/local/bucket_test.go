package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/csvimport/run"
	"onlineshop/es/email"
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
	task := importing(plugins)
	importing := task.OnObject
	task.OnObject = func(ctx context.Context, o es.Object, s es.Shop) error {
		return importing(ctx, o, unending{s})
	}
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	put(t, p.Dir, "many.csv", b.String())
	until(t, p, "a checkpoint is there", func() bool {
		return slices.Contains(types(t, p, "Catalog.ProductImport", "many.csv"), "Progressed")
	})
	// When the shop crashes
	dir := crash(t, p)
	expect(t, "in the folder", files(t, dir, imports, doneDir), "[]")
	// Then it goes on when it is back: each row is there once, and counted once
	p = open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
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
	task := importing(plugins)
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

// unending lets an import do everything but end: it is in the middle for as long as others
// take.
type unending struct{ es.Shop }

func (u unending) Execute(ctx context.Context, commands ...es.TaskCommand) []es.Outcome {
	if _, ends := commands[0].Payload.(run.Finish); ends {
		<-ctx.Done()
	}
	return u.Shop.Execute(ctx, commands...)
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

func TestAFileThatIsStillWrittenIsNotTaken(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells who writes a file")
	}
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	// Given an upload that pauses inside a row
	f, err := os.Create(filepath.Join(p.Dir, imports, "stall.csv"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	write("id,name,description,price\nst1,One,,10\nst2,Two,,3")
	// When a file that came later is imported
	for n := range 2 { // the first one as soon as it is still, so that the second is later than that
		put(t, p.Dir, fmt.Sprintf("whole-%d.csv", n), "id,name,description,price\nw,Whole,,1\n")
		until(t, p, "it is imported", finished(t, p, fmt.Sprintf("whole-%d.csv", n), 1))
	}
	// Then that one waits
	expect(t, "the stalled one", types(t, p, "Catalog.ProductImport", "stall.csv"), "[]")
	// And is imported whole once it is
	write("9\nst3,Three,,30\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, p, "it is imported", finished(t, p, "stall.csv", 1))
	caughtUp(t, p)
	expect(t, "the row of the pause", view(t, p, "Catalog.Products", "st2"), `{"name":"Two","description":"","price":39}`)
	expect(t, "the row after it", view(t, p, "Catalog.Products", "st3"), `{"name":"Three","description":"","price":30}`)
}

// folder is a bucket of its own whose task is handle.
func folder(t *testing.T, handle func(b *bucket, o es.Object) error) *bucket {
	t.Helper()
	b := &bucket{
		disk: disk{machine},
		dir:  filepath.Join(t.TempDir(), imports), plugin: "Catalog", task: es.Task{Name: "ImportProducts", Bucket: imports}, store: newStore(t), log: quiet,
		problems: &problems{log: quiet}, report: func(string) string { return filepath.Join(t.TempDir(), "report") },
		growing: map[string]growth{}, odd: map[string]bool{}, running: map[string]bool{}, room: make(chan struct{}, filesAtOnce), freed: make(chan struct{}, 1),
	}
	b.handle = func(_ context.Context, o es.Object) error { return handle(b, o) }
	if err := b.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// later lets so much time pass for the bucket, and its work come to an end.
func (b *bucket) later(t *testing.T, now *time.Time, by time.Duration) error {
	t.Helper()
	*now = now.Add(by)
	_, err := b.scan(t.Context(), *now)
	b.start(t.Context(), *now)
	b.workers.Wait()
	return err
}

func content(t *testing.T, o es.Object) string {
	t.Helper()
	r, err := o.Open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFileThatChangesWhileItIsImportedIsImportedAgain(t *testing.T) {
	// Given a file that grows while the task works on it
	var seen, uploads []string
	b := folder(t, func(b *bucket, o es.Object) error {
		seen, uploads = append(seen, content(t, o)), append(uploads, o.Upload)
		if len(seen) == 1 {
			claimed, err := filepath.Glob(filepath.Join(b.dir, claimedDir, "*", "grows.csv"))
			if err != nil || len(claimed) != 1 {
				t.Fatalf("claimed: %v, %v", claimed, err)
			}
			f, err := os.OpenFile(claimed[0], os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("second\n"); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	})
	if err := os.WriteFile(filepath.Join(b.dir, "grows.csv"), []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// When it has been still, and still again
	now := time.Now()
	for range 6 {
		if err := b.later(t, &now, 2*settleTime); err != nil {
			t.Fatal(err)
		}
	}
	// Then it was a second upload, whole, and what lies in done is what was imported
	expect(t, "imported", fmt.Sprintf("%q", seen), `["first\n" "first\nsecond\n"]`)
	if len(uploads) != 2 || uploads[1] <= uploads[0] {
		t.Errorf("uploads: %v", uploads)
	}
	last, err := os.ReadFile(filepath.Join(b.dir, doneDir, "grows.csv"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "in done", string(last), seen[1])
	expect(t, "claimed", files(t, b.dir, claimedDir), "[]")
}

func TestNamesOfUnfinishedDownloadsWaitForTheirRename(t *testing.T) {
	var seen []string
	b := folder(t, func(_ *bucket, o es.Object) error { seen = append(seen, o.Key); return nil })
	for _, name := range []string{"a.csv.part", "b.csv.crdownload", "c.csv.tmp", "d.csv~", "E.CSV.PART", ".f.csv", "g.csv"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for range 3 {
		if err := b.later(t, &now, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "imported", seen, "[g.csv]")
}

func TestAFolderThatIsGoneIsAProblemUntilItIsBack(t *testing.T) {
	var seen []string
	b := folder(t, func(_ *bucket, o es.Object) error { seen = append(seen, o.Key); return nil })
	now := time.Now()
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	// When it is gone, then that is said
	if err := b.later(t, &now, settleTime); err == nil || !strings.Contains(err.Error(), "make "+b.dir+" again") {
		t.Errorf("without the folder: %v", err)
	}
	// And when it is made again, with nothing in it, files are imported as before
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "a.csv"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.later(t, &now, settleTime); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "imported", seen, "[a.csv]")
	expect(t, "done", files(t, b.dir, doneDir), "[a.csv]")
}

func TestOddEntriesAmongTheClaimedFilesAreSetAside(t *testing.T) {
	// Given what power cuts and other programs leave there
	dir := t.TempDir()
	claimed := filepath.Join(dir, imports, claimedDir)
	whole := filepath.Join(claimed, "00000000000000000001-7")
	for _, d := range []string{filepath.Join(claimed, "odd", "deep"), filepath.Join(whole, "folder", "in it"), filepath.Join(claimed, "00000000000000000002-8")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(claimed, ".DS_Store"), filepath.Join(claimed, "stray.csv"), filepath.Join(whole, ".DS_Store"), filepath.Join(whole, "good.csv")} {
		if err := os.WriteFile(f, []byte("id,name,description,price\ng,Good,,1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// When the shop starts, then it imports what was claimed
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	until(t, p, "it is imported", finished(t, p, "good.csv", 1))
	// And has put the rest where it can be looked at
	if aside := files(t, dir, imports, asideDir); len(aside) != 5 {
		t.Errorf("set aside: %v", aside)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "claimed", files(t, dir, imports, claimedDir), "[]")
}

func TestAClaimedFileThatCantBeReadForLongIsToBeRejected(t *testing.T) {
	c := &claim{key: "a.csv"}
	denied := &os.PathError{Op: "open", Path: "/somewhere/a.csv", Err: os.ErrPermission}
	if err := c.unreadable(denied); errors.Is(err, es.ErrUnreadable) {
		t.Errorf("at first: %v", err)
	}
	c.failing = c.failing.Add(-unreadableFor)
	err := c.unreadable(denied)
	if !errors.Is(err, es.ErrUnreadable) || strings.Contains(err.Error(), "/somewhere") || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("later: %v", err)
	}
}

func TestFilesAndTheirFoldersAreSynced(t *testing.T) {
	// Given a folder whose parents are not there, on a disk that counts what is synced
	synced := map[string]int{}
	var mu sync.Mutex
	top := t.TempDir()
	counting, err := newLosingDisk(top, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	counting.ignored = func(name string, _ bool) bool {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(name, ".writing-") {
			name = filepath.Join(filepath.Dir(name), strings.TrimPrefix(filepath.Base(name), ".writing-"))
		}
		synced[name]++
		return false
	}
	dir := filepath.Join(top, "a", "data")
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0), disk: counting})
	// When a file is imported, with a report, and an e-mail is written
	if err := p.Receive(t.Context(), "Catalog.ImportProducts", "june.csv", strings.NewReader("id,name,description,price\np1,Book,,x\n")); err != nil {
		t.Fatal(err)
	}
	until(t, p, "it is imported", finished(t, p, "june.csv", 1))
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := NewOutbox(filepath.Join(dir, "emails"), "shop@example.com")
	mails.disk = disk{counting}
	if err := mails.Send(t.Context(), email.Message{ID: "m1", To: "ann@example.com", Subject: "s", Text: "b"}); err != nil {
		t.Fatal(err)
	}
	// Then each file and each folder that has a new entry was synced
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{
		top, filepath.Join(top, "a"), dir, filepath.Join(dir, imports), filepath.Join(dir, imports, claimedDir), filepath.Join(dir, imports, doneDir), filepath.Join(dir, imports, "june.csv"),
		filepath.Join(dir, "reports"), filepath.Join(dir, "reports", "Catalog.ImportProducts"), filepath.Join(dir, "emails"), filepath.Join(dir, "emails", "m1.eml"),
	} {
		if synced[name] == 0 {
			t.Errorf("%s was not synced: %v", name, synced)
		}
	}
}

func TestATaskSendsToThoseAggregatesAloneThatItNames(t *testing.T) {
	// Given a task that says that it sends to imports alone
	plugins := shop(&outbox{}, 0)
	task := importing(plugins)
	task.Sends = slices.DeleteFunc(slices.Clone(task.Sends), func(a es.AnyAggregate) bool { return a.Definition().Name == "Catalog.Product" })
	outcomes := make(chan es.Outcome, 1)
	task.OnObject = func(ctx context.Context, _ es.Object, s es.Shop) error {
		outcomes <- s.Execute(ctx, es.TaskCommand{Command: es.Command{Aggregate: "Catalog.Product", ID: "p1"}})[0]
		return nil
	}
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	// When it sends to a product
	put(t, p.Dir, "a.csv", "id,name,description,price\n")
	// Then that is refused, and says why
	if out := <-outcomes; out.Err == nil || !strings.Contains(out.Err.Error(), "it sends to Catalog.Product, which its Sends does not name") {
		t.Errorf("outcome: %+v", out)
	}
}

// importing is the task that imports products.
func importing(plugins []es.Plugin) *es.Task {
	for _, p := range plugins {
		for i := range p.Tasks {
			if p.Tasks[i].Bucket == imports {
				return &p.Tasks[i]
			}
		}
	}
	panic("nobody imports products")
}
