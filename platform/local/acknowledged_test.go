package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es/engine"
)

// killed is a copy of the data folder of a shop that is at work, as kill -9 leaves it.
func killed(t *testing.T, p *Platform) (dir string) {
	t.Helper()
	// It goes on while it is copied: what it has acknowledged is not to be newer than its log.
	file := func(folder string) string { return databaseDir(folder) + ".acknowledged" }
	b, err := os.ReadFile(file(p.Dir))
	if err != nil {
		t.Fatal(err)
	}
	dir = copied(t, p.Dir)
	if err := os.WriteFile(file(dir), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// damageEnd changes the latest write-ahead log of the folder.
func damageEnd(t *testing.T, dir string, change func([]byte) []byte) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(databaseDir(dir), "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("there is no write-ahead log: %v", err)
	}
	slices.Sort(logs)
	name := logs[len(logs)-1]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 && b[len(b)-1] == 0 { // room for what is to come
		b = b[:len(b)-1]
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestALogWhoseEndIsLostIsReadOnlyUntilThatIsAccepted(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:bytes.LastIndex(b, []byte(`"messageId"`))] }, // in the latest commit
		"empty":   func([]byte) []byte { return nil },
		"flipped": func(b []byte) []byte { b[bytes.LastIndex(b, []byte(`"messageId"`))] ^= 1; return b },
	} {
		t.Run(name, func(t *testing.T) {
			// Given a shop that was killed, and of whose latest commits something is lost
			first := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
			for i := range 20 {
				send(t, first, mug.Aggregate, fmt.Sprint("p", i), "Add", aProduct)
			}
			caughtUp(t, first) // all is acknowledged
			dir := killed(t, first)
			damageEnd(t, dir, change)
			before, err := os.ReadDir(databaseDir(dir))
			if err != nil {
				t.Fatal(err)
			}
			// When it is started
			mails := &outbox{}
			p, err := Open(t.Context(), Options{Dir: dir, Plugins: shop(mails, 0), Logger: quiet})
			if name == "flipped" && err != nil && strings.Contains(err.Error(), "it is damaged") {
				return // where something was written after it, the database itself notices
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close(context.Background()) })
			// Then it says what is lost and what to do
			if p.Lost() == nil || !strings.Contains(p.Lost().Error(), "were acknowledged") || !strings.Contains(p.Lost().Error(), "--accept-loss") {
				t.Fatalf("it says %v", p.Lost())
			}
			if x := problem(t, p, "log"); x == nil {
				t.Error("health says nothing of the log")
			}
			// And shows what is there, and refuses commands
			if _, _, err := p.Engine().History(t.Context(), mug.Aggregate, "p0", "", 10); err != nil {
				t.Errorf("the history of p0: %v", err)
			}
			if err := order(t.Context(), p, mug.Aggregate, "new", "Add", aProduct); !errors.Is(err, engine.ErrDamaged) {
				t.Errorf("a command: %v", err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			// And leaves the database as it is
			if after, err := os.ReadDir(databaseDir(dir)); err != nil || len(after) != len(before) {
				t.Errorf("the database has the files %v, and had %v: %v", after, before, err)
			}
			// And when the loss is accepted, it goes on, and the next start knows of no loss
			p = open(t, Options{Dir: dir, Plugins: shop(mails, 0), AcceptLoss: true})
			send(t, p, mug.Aggregate, "new", "Add", aProduct)
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			p = open(t, Options{Dir: dir, Plugins: shop(mails, 0)})
			if p.Lost() != nil {
				t.Error(p.Lost())
			}
			send(t, p, mug.Aggregate, "newer", "Add", aProduct)
		})
	}
}

func TestAShopThatWasKilledHasLostNothing(t *testing.T) {
	// Given a shop that is killed right after an answer
	first := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	send(t, first, mug.Aggregate, mug.ID, "Add", aProduct)
	// When it is started, then nothing is lost
	p := open(t, Options{Dir: killed(t, first), Plugins: shop(&outbox{}, 0)})
	if p.Lost() != nil {
		t.Error(p.Lost())
	}
	expect(t, "commits", len(stored(t, p.store, mug)), 1)
}

func TestAFolderWithoutItsDatabaseIsNotAnEmptyShop(t *testing.T) {
	// Given a folder whose database is gone
	first := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	send(t, first, mug.Aggregate, mug.ID, "Add", aProduct)
	dir := killed(t, first)
	if err := os.RemoveAll(databaseDir(dir)); err != nil {
		t.Fatal(err)
	}
	// When it is started, then it refuses, and says why
	if p, err := Open(t.Context(), Options{Dir: dir, Plugins: shop(&outbox{}, 0), Logger: quiet}); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("it is opened: %v, %v", p, err)
	}
}

func TestWhatSaysUpToWhereIsNeverAheadOfTheLog(t *testing.T) {
	// Given a disk that loses power, and keeps that file whole
	disk := vfs.NewCrashableMem()
	s, err := openStore(t.Context(), storeOptions{dir: "database", disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	for seq := range int64(10) {
		if err := s.Append(t.Context(), commit("a", seq)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ends.file.Sync(); err != nil {
		t.Fatal(err)
	}
	lost := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	// When it is started, then nothing is missing
	s, err = openStore(t.Context(), storeOptions{dir: "database", disk: lost})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.trouble.final(); err != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}
