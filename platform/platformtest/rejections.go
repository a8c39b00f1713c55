package platformtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"onlineshop/es"
	"onlineshop/es/engine"
)

// testRejections tests that a rejection and a commit of the same command exclude each
// other, and how rejections are listed.
func testRejections(t *testing.T, p Ports) {
	command := func(id string, seq, index int64) engine.CommandID {
		return engine.CommandID{Origin: remind + "/" + stream(id).String(), Seq: seq, Index: index}
	}
	noon := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour)
	rejection := func(id engine.CommandID, target string, minute int) engine.KeptRejection {
		return engine.KeptRejection{
			Command: id, Target: engine.Stream{Aggregate: probeName, ID: target}, Code: "ProbeNotInOrder", Detail: "said \u0000 😀",
			Time: noon.Add(time.Duration(minute) * time.Minute), CorrelationID: "c1",
		}
	}
	reject := func(t *testing.T, r engine.KeptRejection, next int64, want bool) {
		t.Helper()
		kept, err := p.Rejections.Reject(t.Context(), r, next)
		if err != nil || kept != want {
			t.Fatalf("reject %v: kept %v, %v; %v was expected", r.Command, kept, err, want)
		}
	}
	read := func(t *testing.T, id engine.CommandID) *engine.KeptRejection {
		t.Helper()
		r, err := p.Rejections.Rejection(t.Context(), id)
		if err != nil {
			t.Fatalf("read the rejection of %v: %v", id, err)
		}
		return r
	}
	probed := func(target string, seq int64, of engine.CommandID) engine.Commit {
		return engine.Commit{
			Stream: engine.Stream{Aggregate: probeName, ID: target}, Seq: seq, Version: seq + 1,
			Events:         []es.StoredEvent{{Type: "Probed", Version: 1, Data: []byte(`{"text":"knock"}`)}},
			Meta:           engine.Meta{Command: of, Time: noon, User: "system", Service: "Lending"},
			UnlessRejected: true,
		}
	}
	add := func(t *testing.T, c engine.Commit) {
		t.Helper()
		if err := p.Log.Append(t.Context(), c); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	t.Run("the first rejection of a command is kept", func(t *testing.T) {
		id := command("reject-first", 3, 1)
		if r := read(t, id); r != nil {
			t.Fatalf("nothing was rejected, %+v is kept", r)
		}
		first, second := rejection(id, "reject-first", 0), rejection(id, "reject-first", 5)
		second.Code = "Other"
		reject(t, first, 0, true)
		reject(t, second, 0, false)
		reject(t, second, -1, false)
		same(t, "the rejection", *read(t, id), first)
		if r := read(t, command("reject-first", 3, 0)); r != nil {
			t.Errorf("another command of the same commit: %+v", r)
		}
	})
	t.Run("a rejection is kept only if its target has not moved on", func(t *testing.T) {
		id := command("reject-moved", 0, 0)
		add(t, probed("reject-moved", 0, command("reject-other", 0, 0)))
		if kept, err := p.Rejections.Reject(t.Context(), rejection(id, "reject-moved", 0), 0); kept || !errors.Is(err, engine.ErrConflict) {
			t.Errorf("rejected on the state before a commit: %v, %v; ErrConflict was expected", kept, err)
		}
		if r := read(t, id); r != nil {
			t.Errorf("it is kept: %+v", r)
		}
		reject(t, rejection(id, "reject-moved", 0), 1, true)
	})
	t.Run("a command that was rejected is not appended where that is asked for", func(t *testing.T) {
		id := command("reject-append", 0, 0)
		reject(t, rejection(id, "reject-append", 0), 0, true)
		c := probed("reject-append", 0, id)
		if err := p.Log.Append(t.Context(), c); !errors.Is(err, engine.ErrRejected) {
			t.Errorf("append: %v; ErrRejected was expected", err)
		}
		add(t, probed("reject-append", 0, command("reject-append", 1, 0)))
		var conflict *engine.ConflictError
		if err := p.Log.Append(t.Context(), probed("reject-append", 0, command("reject-append", 2, 0))); !errors.As(err, &conflict) {
			t.Errorf("append to a place that is taken: %v; a conflict was expected", err)
		} else if got := conflict.Theirs.Meta.Command; got != command("reject-append", 1, 0) {
			t.Errorf("the place is taken by %v", got)
		}
	})
	t.Run("they are listed by follower, newest first", func(t *testing.T) {
		var want []string
		for minute := range 5 {
			id := command(strings.Repeat("long", 200)+fmt.Sprint(minute), 1, 0)
			id.Origin = mention + strings.TrimPrefix(id.Origin, remind)
			r := rejection(id, "reject-list", 10-minute)
			r.User, r.Target = "op", engine.Stream{}
			reject(t, r, -1, true)
			want = append(want, r.Order())
		}
		var got []string
		for before := ""; ; before = got[len(got)-1] {
			page, err := p.Rejections.ListRejections(t.Context(), mention, before, 2)
			if err != nil || len(page) > 2 {
				t.Fatalf("list two: %d, %v", len(page), err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if r.Follower() != mention || r.User != "op" || r.Target != (engine.Stream{}) {
					t.Errorf("%+v is listed", r)
				}
				got = append(got, r.Order())
			}
		}
		same(t, "the list", got, want)
	})
}
