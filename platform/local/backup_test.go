package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

// scratch is one that the test closes.
func scratch(t testing.TB) *Scratch {
	t.Helper()
	s, err := OpenScratch(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// restoreInto restores a file into a folder, as "shop restore" does.
func restoreInto(t testing.TB, file portable.File, dir string, plugins []es.Plugin) {
	t.Helper()
	to, err := OpenToRestore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Restore(t, file, scratch(t), to)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Fold(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet}, func(int) {}); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderMovesToAnother(t *testing.T) {
	var p *Platform
	movable := func(t *testing.T, dir string, plugins []es.Plugin) platformtest.Movable {
		var ports func(t *testing.T, plugins []es.Plugin) platformtest.Ports
		ports = func(t *testing.T, plugins []es.Plugin) platformtest.Ports {
			if p != nil {
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			p = open(t, Options{Dir: dir, Plugins: plugins})
			at := p
			return platformtest.Ports{
				Log: at.store, Cursors: at.store, Rows: at.store, Parking: at.store, Rejections: at.store, Schedules: at.store, Snapshots: at.store,
				Engine: at.engine, Settle: at.CaughtUp, Reopen: ports,
			}
		}
		m := platformtest.Movable{Ports: ports(t, plugins)}
		m.Backup = func(ctx context.Context, yield func(portable.Line) error) error { return p.Backup(ctx, yield) }
		return m
	}
	platformtest.Move(t, platformtest.NewWorld(), func(t *testing.T, plugins []es.Plugin) platformtest.Movable {
		return movable(t, t.TempDir(), plugins)
	}, func(t *testing.T, plugins []es.Plugin, file portable.File) platformtest.Movable {
		dir := t.TempDir()
		restoreInto(t, file, dir, plugins)
		return movable(t, dir, plugins)
	})
}

// scribble has many books lent at once, whose names begin like that, until the test stops it.
func scribble(t *testing.T, p *Platform, name string) (stop func()) {
	t.Helper()
	var work sync.WaitGroup
	end := make(chan struct{})
	for w := range 8 {
		work.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				platformtest.Lend(t, platformtest.Ports{Engine: p.engine, Settle: func(context.Context) error { return nil }}, fmt.Sprint(name, "-", w, "-", n), "otto", fmt.Sprint("reader-", name, "-", w, "-", n), "sits-here")
			}
		})
	}
	return func() { close(end); work.Wait() }
}

func TestABackupOfABusyShopIsAPrefixOfItsHistory(t *testing.T) {
	// Given a library in which books are lent all the time
	plugins := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	platformtest.Lend(t, platformtest.Ports{Engine: p.engine, Settle: p.CaughtUp}, "first", "otto")
	for round := range 3 {
		stop := scribble(t, p, fmt.Sprint("busy-", round))
		before := p.store.feed.last()
		until(t, p, "a hundred commits more are there", func() bool { return p.store.feed.last() >= before+100 })
		// When it is backed up
		file := platformtest.BackUp(t, p.Backup)
		stop() // or a slow machine has more and more to restore
		// Then the file has what was acknowledged before, and no commit before its cause
		commits, cursors := platformtest.Content(t, file)
		if int64(len(commits)) < before+100 {
			t.Errorf("%d commits are in it, and %d were acknowledged", len(commits), before+100)
		}
		if platformtest.CheckCauses(t, commits) == 0 {
			t.Error("no commit follows from another")
		}
		// And nobody is further than the log
		ends := map[string]int64{}
		for _, c := range commits {
			ends[c.Stream.String()] = c.Seq + 1
		}
		for on, next := range cursors {
			if _, stream, _ := strings.Cut(on, " on "); next > ends[stream] {
				t.Errorf("%s is at %d, beyond the end of the stream, %d", on, next, ends[stream])
			}
		}
		// And what is restored verifies
		dir := t.TempDir()
		restoreInto(t, file, dir, plugins)
		verified(t, dir, plugins)
	}
}

// verified fails unless what shop verify looks at is right.
func verified(t *testing.T, dir string, plugins []es.Plugin) {
	t.Helper()
	p, err := OpenToRead(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for cursor := ""; ; {
		v, err := p.engine.Verify(t.Context(), cursor, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Findings) > 0 || v.Claims.Behind > 0 {
			t.Errorf("%d rows are behind, and wrong are %d findings, such as %v", v.Claims.Behind, len(v.Findings), v.Findings[:min(1, len(v.Findings))])
		}
		if cursor = v.Next; cursor == "" {
			return
		}
	}
}

func TestAFolderWhoseRestoreWasKilledOpensOnlyWhenThatHasComeToItsEnd(t *testing.T) {
	// Given a backup
	plugins := platformtest.Library{World: platformtest.NewWorld()}.Plugins()
	p := open(t, Options{Dir: t.TempDir(), Plugins: plugins})
	for n := range 20 {
		platformtest.Lend(t, platformtest.Ports{Engine: p.engine, Settle: p.CaughtUp}, fmt.Sprint("b", n), "otto", "nina")
	}
	file := platformtest.BackUp(t, p.Backup)
	trailer, err := portable.Check(t.Context(), file, scratch(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	commits, _ := platformtest.Content(t, file)
	dir := t.TempDir()
	for _, done := range []int{0, 1, len(commits) / 2, len(commits)} {
		// When its restore is killed after some commits
		to, err := OpenToRestore(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		there, err := to.Begin(t.Context(), trailer.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if err := to.Append(t.Context(), commits[there:done]); err != nil {
			t.Fatal(err)
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		// Then nobody takes that for a shop
		if _, err := Open(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet}); !errors.Is(err, errRestoring) {
			t.Fatalf("open after %d commits: %v", done, err)
		}
		if _, err := OpenToRead(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet}); !errors.Is(err, errRestoring) {
			t.Fatalf("open to read after %d commits: %v", done, err)
		}
		// And no other file is restored into it
		if to, err = OpenToRestore(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Begin(t.Context(), "another"); !errors.Is(err, errRestoring) {
			t.Errorf("another file: %v", err)
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// When it comes to its end, and is killed before its views are folded, then it is none yet
	to, err := OpenToRestore(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Restore(t, file, scratch(t), to)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: dir, Plugins: plugins, Logger: quiet}); !errors.Is(err, errRestoring) {
		t.Fatalf("open without views: %v", err)
	}
	// When they are folded, too, then it is a shop
	restoreInto(t, file, dir, plugins)
	verified(t, dir, plugins)
	// And who asks for it once more is told that it is one
	if to, err = OpenToRestore(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for id, want := range map[string]string{trailer.SHA256: "has been restored from this file", "another": "is not empty"} {
		if _, err := to.Begin(t.Context(), id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("restored once more: %v, want %q", err, want)
		}
	}
}

func TestWhatAKilledProcessHasLeftOfAScratchGoes(t *testing.T) {
	// Given the scratch of a process that was killed, and one that is at work
	dir := t.TempDir()
	left := filepath.Join(dir, strings.Replace(scratches, "*", "left", 1))
	if err := os.MkdirAll(filepath.Join(left, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	used, err := OpenScratch(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := used.Set([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	// When another is opened, then what was left is gone, and both serve
	other, err := OpenScratch(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
	if v, err := used.Get([]byte("k")); string(v) != "v" || err != nil {
		t.Errorf("the one at work says %q, %v", v, err)
	}
	if v, err := other.Get([]byte("k")); v != nil || err != nil {
		t.Errorf("the other one says %q, %v", v, err)
	}
	// And in the end there is none
	if err := errors.Join(used.Close(), other.Close()); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(dir); len(files) > 0 || err != nil {
		t.Errorf("%v are left, %v", files, err)
	}
}

func TestWhereAFollowerBeganIsKnownByTimeHoweverTheClockRan(t *testing.T) {
	// Given a log in which the clock has gone back, and a follower that began in the middle
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for i, minute := range []int{0, 9, 3, 4, 5, 10} {
		c := commit(fmt.Sprint("s", i), 0)
		c.Meta.Time = noon.Add(time.Duration(minute) * time.Minute)
		if err := s.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.write(t.Context(), func(tx *tx) error {
		tx.set(keyIn(tableStarts).text("mapping:A.New"), value(nil).number(3))
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	p := &Platform{store: s}
	// When it is backed up
	var began portable.Start
	past := map[string]bool{}
	commits := map[string]time.Time{}
	err = p.Backup(t.Context(), func(l portable.Line) error {
		switch {
		case l.Start != nil:
			began = *l.Start
		case l.Cursor != nil:
			past[l.Cursor.Stream.ID] = l.Cursor.Next == 1
		case l.Commit != nil:
			at, err := record{meta: l.Commit.Meta}.time()
			commits[l.Commit.Stream.ID] = at
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Then the first three are past by their number, and by their time or a cursor
	if began.After != 3 {
		t.Errorf("it began after %d", began.After)
	}
	for id, at := range commits {
		if got, want := at.Before(began.Since) || past[id], id <= "s2"; got != want {
			t.Errorf("%s is past: %t", id, got)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}
