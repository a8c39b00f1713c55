package portable_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/zstd"

	"onlineshop/es/engine"
	"onlineshop/platform/memory"
	"onlineshop/platform/platformtest"
	"onlineshop/platform/portable"
)

// history is a book's, with hashes, as an engine makes them, and a line of each kind.
func history(t *testing.T) (lines []portable.Line) {
	t.Helper()
	p, err := memory.New(platformtest.Library{World: platformtest.NewWorld()}.Plugins(), nil)
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Lend(t, platformtest.Ports{Engine: p.Engine(), Settle: p.Settle}, "b", "<otto> & \"ü\u2028\"", "nina")
	st := engine.Stream{Aggregate: "Lending.Book", ID: "b"}
	commits, _, err := p.Read(t.Context(), st, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commits {
		events, meta, err := c.Encode()
		if err != nil || len(c.Hash) == 0 {
			t.Fatalf("hash %x, %v", c.Hash, err)
		}
		lines = append(lines, portable.Line{Commit: &portable.Commit{Stream: c.Stream, Seq: c.Seq, Version: c.Version, Events: events, Meta: meta, Hash: c.Hash}})
	}
	now := time.Date(2026, 11, 26, 21, 0, 0, int(5*time.Millisecond), time.UTC)
	id := engine.CommandID{Origin: "mapping:Lending.Reserve/Lending.Book#b", Seq: 1, Index: -1}
	return append(lines,
		portable.Line{Commit: &portable.Commit{Stream: engine.Stream{Aggregate: "Lending.Book", ID: "old#1"}, Version: 1, Events: []byte(`[{"type":"Acquired","version":1,"data":{"text":"a <b>"}}]`), Meta: []byte(`{"time":"2026-01-01T00:00:00Z"}`)}},
		portable.Line{Cursor: &portable.Cursor{Consumer: "mapping:Lending.Remind", Stream: st, Next: 3}},
		portable.Line{Start: &portable.Start{Follower: "mapping:Lending.Recall", After: 2, Since: now}},
		portable.Line{Start: &portable.Start{Follower: "mapping:Lending.Remind"}},
		portable.Line{Parked: &engine.Parked{Consumer: "mapping:Lending.Remind", Stream: st, Error: "there is a\ncurse", Since: now, Last: now.Add(time.Hour), Attempts: 3}},
		portable.Line{Rejection: &engine.KeptRejection{Command: id, Target: engine.Stream{Aggregate: "Lending.Seat", ID: "s"}, Code: "SeatNotInOrder", Detail: "\u0000", Time: now, CorrelationID: "c", User: "u"}},
		portable.Line{Rejection: &engine.KeptRejection{Command: id, Code: engine.CodeSkipped, Time: now}},
		portable.Line{Schedule: &engine.ScheduleState{Name: "Lending.Stock.Nightly", Rev: 4, Since: now, Upto: now, Error: "x"}},
	)
}

// file writes the lines.
func file(t testing.TB, lines []portable.Line) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := portable.NewWriter(&b)
	if err == nil {
		err = portable.Make(t.Context(), w, portable.Header{Shop: "Library", Plugins: []string{"Lending"}}, func(_ context.Context, yield func(portable.Line) error) (err error) {
			for _, l := range lines {
				err = errors.Join(err, yield(l))
			}
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opener(b []byte) portable.File {
	return portable.File{Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
}

func check(t *testing.T, b []byte) error {
	t.Helper()
	_, err := portable.Check(t.Context(), opener(b), memory.Scratch{}, nil)
	return err
}

// target keeps what it is given.
type target struct {
	lines []portable.Line
	fail  int // after so many calls; 0: never
	done  int64
	ended bool
}

func (x *target) call() error {
	if x.fail--; x.fail == 0 {
		return errors.New("killed")
	}
	return nil
}

func (x *target) Begin(context.Context, string) (int64, error) { return x.done, nil }

func (x *target) Keep(_ context.Context, lines []portable.Line) error {
	x.lines = append(x.lines, lines...)
	return x.call()
}

func (x *target) Append(_ context.Context, commits []portable.Commit) error {
	for _, c := range commits {
		x.lines = append(x.lines, portable.Line{Commit: &c})
	}
	x.done += int64(len(commits))
	return x.call()
}

func (x *target) End(context.Context) error { x.ended = true; return nil }

func TestWhatIsWrittenIsRestoredAsItWas(t *testing.T) {
	// Given a file with a line of each kind
	lines := history(t)
	b := file(t, lines)
	checked, err := portable.Check(t.Context(), opener(b), memory.Scratch{}, []string{"Lending"})
	if err != nil {
		t.Fatal(err)
	}
	// When it is restored
	to := &target{}
	r, err := portable.Restore(t.Context(), opener(b), checked.Trailer, to, func(int64) {})
	// Then all of it is there as it was, first what is no commit
	if err != nil || r.Commits != 4 || r.Before != 0 || r.Shop != "Library" || !to.ended {
		t.Fatalf("restored %+v, %v", r, err)
	}
	want := slices.Concat(lines[4:], lines[:4])
	if d := cmp.Diff(want, to.lines, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAFileThatWasCutOrChangedIsRefused(t *testing.T) {
	b := file(t, history(t))
	if err := check(t, b); err != nil {
		t.Fatal(err)
	}
	// When it is cut anywhere, then that is said
	for n := range b {
		if err := check(t, b[:n]); !errors.Is(err, portable.ErrFile) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(b), err)
		}
	}
	// When any byte is another, or there is more, likewise. Of one byte zstd does not use all
	// bits; what is read is the same then, since its hash is.
	const unused = 4
	for n := range b {
		flipped := bytes.Clone(b)
		flipped[n] ^= 1 << (n % 8)
		if err := check(t, flipped); err == nil && n != unused {
			t.Errorf("byte %d of %d was changed, and nobody noticed", n, len(b))
		}
	}
	if err := check(t, append(bytes.Clone(b), b...)); !errors.Is(err, portable.ErrFile) {
		t.Errorf("twice the file: %v", err)
	}
}

// sealed compresses lines and adds the trailer that they need, so that a reader has to look
// at what they say.
func sealed(t testing.TB, lines []string) []byte {
	t.Helper()
	text := strings.Join(lines, "")
	all, commits := strings.Count(text, "\n")+1, strings.Count(text, `{"commit":`)
	text += fmt.Sprintf("{\"trailer\":{\"commits\":%d,\"lines\":%d,\"sha256\":\"%x\"}}\n", commits, all, sha256.Sum256([]byte(text)))
	var b bytes.Buffer
	zip, err := zstd.NewWriter(&b)
	if err == nil {
		_, err = zip.Write([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rewritten is the file with other text, as somebody makes it who knows the format; its
// trailer is right.
func rewritten(t *testing.T, b []byte, change func(lines []string) []string) []byte {
	t.Helper()
	zip, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer zip.Close()
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	lines := change(strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n"))
	return sealed(t, lines[:len(lines)-1])
}

func TestWhatIsNotWhatWasAppendedIsRefused(t *testing.T) {
	b := file(t, history(t))
	same := func(lines []string) []string { return lines }
	if err := check(t, rewritten(t, b, same)); err != nil {
		t.Fatalf("as it is: %v", err)
	}
	for what, change := range map[string]func(lines []string) []string{
		"it is not what was written":                              func(l []string) []string { l[2] = strings.Replace(l[2], "otto", "zoe!", 1); return l },
		"commit 2 with version 3 follows commit 0 with version 1": func(l []string) []string { return append(l[:2], l[3:]...) },
		"it does not follow what is there before it":              func(l []string) []string { l[1] = strings.Replace(l[1], `"hash":"`, `"was":"`, 1); return l },
		"a newer version of this program wrote it":                func(l []string) []string { l[0] = strings.Replace(l[0], `"format":1`, `"format":2`, 1); return l },
		"is a second header":                                      func(l []string) []string { l[1] = l[0]; return l },
	} {
		if err := check(t, rewritten(t, b, change)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// And what a later version adds is passed over
	if err := check(t, rewritten(t, b, func(l []string) []string { l[4] = "{\"later\":{\"x\":1}}\n" + l[4]; return l })); err != nil {
		t.Errorf("a line of a kind that is not known: %v", err)
	}
	// And a plugin that is not here is said
	if _, err := portable.Check(t.Context(), opener(b), memory.Scratch{}, []string{"Press"}); err == nil || !strings.Contains(err.Error(), "plugin Lending, which is not here") {
		t.Errorf("a file of another shop: %v", err)
	}
}

func TestARestoreGoesOnWhereItWas(t *testing.T) {
	// Given a file with several batches of commits
	var lines []portable.Line
	for i := range 2500 {
		st := engine.Stream{Aggregate: "Lending.Book", ID: fmt.Sprint("b", i)}
		lines = append(lines, portable.Line{Commit: &portable.Commit{Stream: st, Version: 1, Events: []byte(`[]`), Meta: []byte(`{}`)}},
			portable.Line{Cursor: &portable.Cursor{Consumer: "mapping:Lending.Remind", Stream: st, Next: 1}})
	}
	b := file(t, lines)
	checked, err := portable.Check(t.Context(), opener(b), memory.Scratch{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for calls := 1; ; calls++ {
		// When it is restored, killed after some calls, and restored again
		to := &target{fail: calls}
		_, err := portable.Restore(t.Context(), opener(b), checked.Trailer, to, func(int64) {})
		if err == nil {
			if calls < 5 {
				t.Errorf("all was restored by %d calls", calls)
			}
			return
		}
		if to.ended {
			t.Errorf("after %d calls it was killed, and looks whole", calls)
		}
		if _, err := portable.Restore(t.Context(), opener(b), checked.Trailer, to, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		// Then each commit is there once
		there := map[engine.Stream]int{}
		for _, l := range to.lines {
			if l.Commit != nil {
				there[l.Commit.Stream]++
			}
		}
		for s, n := range there {
			if n != 1 {
				t.Fatalf("killed after %d calls: %s is there %d times", calls, s, n)
			}
		}
		if len(there) != 2500 {
			t.Fatalf("killed after %d calls: %d commits are there", calls, len(there))
		}
	}
}
