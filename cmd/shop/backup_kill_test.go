package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

// tool is a run of the real program other than a shop that is served.
type tool struct {
	t      *testing.T
	cmd    *exec.Cmd
	said   lockedBuffer
	exited chan struct{}
}

// begin runs a command, which finds no shop unless its arguments say where. Of the program
// without the race detector, with which reading files takes long.
func begin(t *testing.T, args ...string) *tool {
	t.Helper()
	r := &tool{t: t, cmd: exec.Command(plainBinary, args...), exited: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), "SHOP_ADDR=127.0.0.1:1", "SHOP_TOKEN=", "SHOP_AUTH=none", "SHOP_STACK=", "TMPDIR="+t.TempDir())
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // its state is in cmd.ProcessState
		close(r.exited)
	}()
	t.Cleanup(r.kill)
	return r
}

// kill ends it as a power failure would, and waits for its end.
func (r *tool) kill() {
	_ = r.cmd.Process.Kill() // it may have ended by itself
	<-r.exited
}

// ended is whether it has.
func (r *tool) ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// end waits for its end, and returns what it said and its exit code.
func (r *tool) end() (said string, code int) {
	r.t.Helper()
	select {
	case <-r.exited:
	case <-time.After(patience):
		r.t.Fatalf("shop %s still runs after %s; it said: %s", r.cmd.Args[1], patience, r.said.String())
	}
	return r.said.String(), r.cmd.ProcessState.ExitCode()
}

// well is a command that is to succeed.
func well(t *testing.T, args ...string) (said string) {
	t.Helper()
	said, code := begin(t, args...).end()
	if code != exitOK {
		t.Fatalf("shop %s: exit code %d: %s", strings.Join(args, " "), code, said)
	}
	return said
}

// longHistory makes a shop with some thousand commits, and returns its data folder when all has
// come to its end and it is closed.
func longHistory(t *testing.T) (data string) {
	t.Helper()
	data = t.TempDir()
	p := start(t, binary, data)
	var b strings.Builder
	b.WriteString("id,name,description,price\n")
	for n := range 1500 {
		fmt.Fprintf(&b, "p%d,Product %d,%x,%d\n", n, n, n*n*n, n%100)
	}
	p.drop("many.csv", b.String())
	p.must("/ordering/customer/ann/register", map[string]any{"email": "ann@example.com", "address": "1 Lane"})
	p.must("/ordering/customer/bob/register", map[string]any{"email": "bob@example.com", "address": "2 Lane"})
	p.must("/ordering/customer/bob/erase", nil)
	p.must("/catalog/product/mug/add", map[string]any{"name": "Mug", "description": "", "price": 7})
	eventually(t, "the mug can be ordered", func() (bool, any) {
		v, ok := row[map[string]any](p, "/ordering/available-products/mug")
		return ok, v
	})
	for n := range 5 {
		p.must(fmt.Sprintf("/ordering/order/o%d/place", n), map[string]any{"customerId": "ann", "productIds": []string{"mug"}})
	}
	eventually(t, "the file is imported", func() (bool, any) {
		r, ok := row[importRun](p, "/catalog/product-imports/many.csv")
		return ok && r.ended(), r
	})
	p.settled()
	if code := p.stop(); code != exitOK {
		t.Fatalf("the shop ends with %d: %s", code, p.log)
	}
	return data
}

// mailed is how many e-mails a data folder has.
func mailed(t *testing.T, data string) int {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(data, "emails"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(files)
}

// inBackup reads a file: its commits in their order, and the places of followers.
func inBackup(t *testing.T, file string) (commits []portable.Commit, cursors map[string]int64) {
	t.Helper()
	return platformtest.Content(t, portable.File{Open: func() (io.ReadCloser, error) { return os.Open(file) }})
}

// slowFile is a file whose readers get no more of it than the test hands out: a named pipe
// takes its place, a fresh one each time it is opened.
type slowFile struct {
	t       *testing.T
	name    string
	content []byte
}

func newSlowFile(t *testing.T, content []byte) *slowFile {
	t.Helper()
	f := &slowFile{t: t, name: filepath.Join(t.TempDir(), "slow.backup"), content: content}
	f.renew()
	return f
}

func (f *slowFile) renew() {
	f.t.Helper()
	next := f.name + ".next"
	if err := syscall.Mkfifo(next, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(next, f.name); err != nil {
		f.t.Fatal(err)
	}
}

// hand waits until the program opens the file once more, and hands it so much of it. What it
// returns hands it the end.
func (f *slowFile) hand(to *tool, part float64) (end io.Closer) {
	f.t.Helper()
	var pipe *os.File
	eventually(f.t, "the file is opened", func() (bool, any) {
		var err error
		pipe, err = os.OpenFile(f.name, os.O_WRONLY|syscall.O_NONBLOCK, 0) // an error as long as nobody reads
		if err != nil && to.ended() {
			f.t.Fatalf("it ended before it read the file to its end: %s", to.said.String())
		}
		return err == nil, err
	})
	f.renew()
	if _, err := pipe.Write(f.content[:int(part*float64(len(f.content)))]); err != nil {
		f.t.Fatalf("hand out the file: %v; it said: %s", err, to.said.String())
	}
	return pipe
}

// whole hands the program all of the file.
func (f *slowFile) whole(to *tool) {
	f.t.Helper()
	if err := f.hand(to, 1).Close(); err != nil {
		f.t.Fatal(err)
	}
}

// sizeOf is how large the files of a folder are.
func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // which comes and goes
		t.Fatal(err)
	}
	return size
}

// TestARestoreThatIsKilledGoesOn kills the real program with SIGKILL while it restores.
func TestARestoreThatIsKilledGoesOn(t *testing.T) {
	// Given a backup of a shop, and the heads of its streams
	source := longHistory(t)
	dir := t.TempDir()
	heads, keys, backup := filepath.Join(dir, "heads.txt"), filepath.Join(dir, "identity.txt"), filepath.Join(dir, "shop.backup")
	well(t, "verify", "--data", source, "--heads", heads)
	well(t, "backup", backup, "--keys", keys, "--data", source)
	if n := mailed(t, source); n != 5 {
		t.Fatalf("%d e-mails were sent", n)
	}
	content, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "restored")
	const again = `run "shop restore" again with the same file`
	slow := newSlowFile(t, content)
	restore := func(file string) *tool {
		t.Helper()
		return begin(t, "restore", file, "--keys", keys, "--bring-back", "--data", data)
	}
	// When its restore is killed while the file is checked
	r := restore(slow.name)
	slow.hand(r, 0.9)
	r.kill()
	// Then nothing was made
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a folder is there: %v", err)
	}
	// When it is killed while it reads what is beside the log, while it appends commits, early
	// and late, and when it has read all of them
	for _, kill := range []struct {
		pass int
		part float64
	}{{2, 0.5}, {3, 0.5}, {3, 0.9}, {3, 0.7}, {3, 1}} {
		r := restore(slow.name)
		for range kill.pass - 1 {
			slow.whole(r)
		}
		before := sizeOf(t, data)
		end := slow.hand(r, kill.part)
		switch {
		case kill.part == 1:
			if err := end.Close(); err != nil { // it goes on, to the views
				t.Fatal(err)
			}
		case kill.pass == 3 && kill.part < 0.6:
			eventually(t, "commits are there", func() (bool, any) {
				now := sizeOf(t, data)
				return now > before+100_000, now
			})
		}
		r.kill()
		// Then nobody takes what is there for a shop
		for _, args := range [][]string{{"verify", "--data", data}, {"backup", filepath.Join(dir, "half.backup"), "--data", data}} {
			if said, code := begin(t, args...).end(); code != exitFailed || !strings.Contains(said, again) {
				t.Errorf("killed in pass %d at %v, and shop %s: exit code %d: %s", kill.pass, kill.part, args[0], code, said)
			}
		}
		if _, err := launch(t, binary, data); err == nil || !strings.Contains(err.Error(), again) {
			t.Fatalf("killed in pass %d at %v, and served: %v", kill.pass, kill.part, err)
		}
	}
	// When it is run once more, then it goes on where it was, and what it has made verifies
	said, code := restore(backup).end()
	if code != exitOK || !strings.Contains(said, "were there from an earlier attempt") || !strings.Contains(said, "streams are whole") {
		t.Fatalf("exit code %d: %s", code, said)
	}
	well(t, "verify", "--data", data, "--expect", heads)
	// And it is the same shop, commit by commit and hash by hash
	second := filepath.Join(dir, "second.backup")
	well(t, "backup", second, "--data", data)
	commits, cursors := inBackup(t, backup)
	restored, restoredCursors := inBackup(t, second)
	if d := cmp.Diff(commits, restored); d != "" || len(commits) < 3000 {
		t.Errorf("of %d commits (-before +after):\n%s", len(commits), d)
	}
	if d := cmp.Diff(cursors, restoredCursors); d != "" {
		t.Errorf("places of followers (-before +after):\n%s", d)
	}
	// And nobody is told again, and who was erased is not back
	p := start(t, binary, data)
	p.settled()
	if n := mailed(t, data); n != 0 {
		t.Errorf("%d e-mails were sent again", n)
	}
	if v, ok := row[map[string]any](p, "/ordering/customers/bob"); ok && v["email"] != nil && v["email"] != "" {
		t.Errorf("who was erased is %v", v)
	}
	if v, ok := row[map[string]any](p, "/ordering/customers/ann"); !ok || v["email"] != "ann@example.com" {
		t.Errorf("who was not erased is %v", v)
	}
}

// unfinished are the files that backups to the file have not come to the end of.
func unfinished(t *testing.T, file string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*unfinished-*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// isCut reports whether a file is refused as one that was cut.
func isCut(t *testing.T, file string) bool {
	t.Helper()
	data := filepath.Join(t.TempDir(), "nothing")
	said, code := begin(t, "restore", file, "--data", data).end()
	if code != exitFailed {
		t.Errorf("restore %s: exit code %d: %s", file, code, said)
	}
	if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is there: %v", err)
	}
	return strings.Contains(said, "the file can't be used")
}

// TestABackupThatIsKilledLeavesNoFile kills the real program with SIGKILL while it backs up.
func TestABackupThatIsKilledLeavesNoFile(t *testing.T) {
	data := longHistory(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "shop.backup")
	// Given a backup of a shop that is open, which is sent no further than to its middle
	well(t, "backup", file, "--data", data)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p := start(t, binary, data)
	var holding atomic.Bool
	holding.Store(true)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		in, err := http.NewRequestWithContext(q.Context(), q.Method, p.base+q.URL.String(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		out, err := http.DefaultClient.Do(in)
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Body.Close()
		w.WriteHeader(out.StatusCode)
		if !holding.Load() {
			_, _ = io.Copy(w, out.Body) // an error is the other side's
			return
		}
		_, err = io.CopyN(w, out.Body, int64(len(whole)/2))
		if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
			t.Error(err)
		}
		<-q.Context().Done()
	}))
	t.Cleanup(between.Close) // after the programs have ended that it serves
	backup := func() *tool {
		t.Helper()
		return begin(t, "backup", file, "--addr", between.URL, "--data", filepath.Join(dir, "none"))
	}
	killed := func() {
		t.Helper()
		before := sizeOf(t, dir)
		r := backup()
		eventually(t, "half of the file is there", func() (bool, any) {
			if r.ended() {
				t.Fatalf("it has ended: %s", r.said.String())
			}
			now := sizeOf(t, dir)
			return now >= before+int64(len(whole)/2), now
		})
		r.kill()
	}
	// When it is killed, then there is no such file, and what is there is refused
	killed()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a file is there: %v", err)
	}
	if left := unfinished(t, file); len(left) != 1 {
		t.Errorf("%v are left", left)
	}
	for _, f := range unfinished(t, file) {
		if !isCut(t, f) {
			t.Errorf("%s is not refused as one that was cut", f)
		}
	}
	// When another comes to its end, then its file is whole, and what was left is gone
	holding.Store(false)
	if said, code := backup().end(); code != exitOK {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if files, err := os.ReadDir(dir); len(files) != 1 || err != nil {
		t.Errorf("%v are left, %v", files, err)
	}
	commits, _ := inBackup(t, file)
	if len(commits) < 3000 {
		t.Errorf("it has %d commits", len(commits))
	}
	// When a later one is killed, then that file is as it was
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	holding.Store(true)
	killed()
	after, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed: %v", err)
	}
	if code := p.stop(); code != exitOK {
		t.Fatalf("the shop ends with %d: %s", code, p.log)
	}
	// When one of a folder that no shop has open is killed as its file grows, then what is there
	// is whole, or refused; it may be whole before it has its name
	for n := range 5 {
		other := filepath.Join(t.TempDir(), "folder.backup")
		r := begin(t, "backup", other, "--data", data)
		eventually(t, "the file grows", func() (bool, any) {
			for _, f := range unfinished(t, other) {
				if info, err := os.Stat(f); err == nil && info.Size() >= int64(n*len(whole)/5) {
					return true, info
				}
			}
			return r.ended(), nil
		})
		r.kill()
		files := unfinished(t, other)
		if _, err := os.Stat(other); err == nil {
			files = append(files, other)
		}
		for _, f := range files {
			if f != other && isCut(t, f) {
				continue
			}
			if got, _ := inBackup(t, f); len(got) < len(commits) {
				t.Errorf("%s has %d of %d commits", f, len(got), len(commits))
			}
		}
	}
}
