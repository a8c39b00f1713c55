package local

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"onlineshop/es/engine"
)

var mug = engine.Stream{Aggregate: "Catalog.Product", ID: "mug"}

// stored is a stream's commits as they are stored.
func stored(t *testing.T, s *store, st engine.Stream) []engine.Commit {
	t.Helper()
	commits, _, err := s.Read(t.Context(), st, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return commits
}

func TestAFolderWithoutHashesIsReadAndGoesOnWithThem(t *testing.T) {
	for _, before := range []int{3, 100} { // the hundredth is followed by a snapshot
		t.Run(fmt.Sprint(before, " commits"), func(t *testing.T) {
			// Given a folder of an earlier version
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0), unsealed: true})
			send(t, p, mug.Aggregate, mug.ID, "Add", aProduct)
			for i := 1; i < before; i++ {
				if _, err := request(t.Context(), p, "", mug.Aggregate, mug.ID, "UpdatePrice", fmt.Sprintf(`{"price":%d}`, i+1)); err != nil {
					t.Fatal(err)
				}
			}
			caughtUp(t, p)
			if err := errors.Join(p.store.db.Set(keyIn(tableStore).text(schemaName), value(nil).number(1), pebble.Sync), p.Close(t.Context())); err != nil {
				t.Fatal(err)
			}
			// When this version goes on with it
			p = open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			for _, name := range []string{"B", "C"} {
				if _, err := request(t.Context(), p, "", mug.Aggregate, mug.ID, "UpdateName", fmt.Sprintf(`{"name":%q}`, name)); err != nil {
					t.Fatal(err)
				}
			}
			// Then what was there has no hashes, and what is new has
			commits := stored(t, p.store, mug)
			expect(t, "commits", len(commits), before+2)
			for i, c := range commits {
				expect(t, fmt.Sprint("hash of ", i), len(c.Hash), map[bool]int{false: 0, true: engine.HashSize}[i >= before])
			}
			events, _, err := p.Engine().History(t.Context(), mug.Aggregate, mug.ID, "", 1000)
			if err != nil || len(events) != before+2 {
				t.Errorf("its history has %d events: %v", len(events), err)
			}
			// And one without that comes after them is read, and found
			c := commits[before+1].Detached()
			c.Seq, c.Version, c.Hash = c.Seq+1, c.Version+1, nil
			if err := p.store.Append(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if events, _, err = p.Engine().History(t.Context(), mug.Aggregate, mug.ID, "", 1000); err != nil || len(events) != before+3 {
				t.Errorf("with a commit without a hash after those with, its history has %d events: %v", len(events), err)
			}
			var found []engine.Finding
			for cursor, more := "", true; more; more = cursor != "" {
				v, err := p.Engine().Verify(t.Context(), cursor, time.Time{})
				if err != nil {
					t.Fatal(err)
				}
				found, cursor = append(found, v.Findings...), v.Next
			}
			if !strings.Contains(fmt.Sprint(found), "has no hash, and the one before has") {
				t.Errorf("verify finds %v", found)
			}
		})
	}
}

func TestAChangedCommitIsNoticed(t *testing.T) {
	// Given a shop in whose log somebody has changed a price, in a database that is whole
	dir := t.TempDir()
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	send(t, p, mug.Aggregate, mug.ID, "Add", `{"name":"A","description":"","price":7.25}`)
	send(t, p, mug.Aggregate, mug.ID, "UpdateName", `{"name":"B"}`)
	send(t, p, mug.Aggregate, "cup", "Add", aProduct)
	caughtUp(t, p)
	err := p.store.scan(t.Context(), keyIn(tableCommits), nil, forward, func(k, v []byte) (bool, error) {
		changed := bytes.Replace(v, []byte(`"price":7.25`), []byte(`"price":1.25`), 1)
		return true, p.store.db.Set(bytes.Clone(k), changed, pebble.Sync)
	})
	if err := errors.Join(err, p.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	// When the shop is opened
	p = open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	// Then the product's history is an error, its commands are refused, and its view can't be folded
	if events, _, err := p.Engine().History(t.Context(), mug.Aggregate, mug.ID, "", 10); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("its history has %d events: %v", len(events), err)
	}
	if err := order(t.Context(), p, mug.Aggregate, mug.ID, "UpdatePrice", `{"price":3}`); !errors.Is(err, engine.ErrBroken) {
		t.Errorf("a command: %v", err)
	}
	for cursor := ""; ; {
		progress, err := p.Engine().Rebuild(t.Context(), "Catalog.Products", cursor)
		if err != nil {
			t.Fatal(err)
		}
		if cursor = progress.Next; cursor == "" {
			break
		}
	}
	parked, _, err := p.Engine().ListParked(t.Context(), "")
	if err != nil || len(parked) != 1 || parked[0].Stream != mug {
		t.Errorf("parked: %+v, %v", parked, err)
	}
	// And health says so
	if x := problem(t, p, "log"); x == nil {
		t.Error("health says nothing of the log")
	}
	// And the other product is as it was
	if err := order(t.Context(), p, mug.Aggregate, "cup", "UpdatePrice", `{"price":3}`); err != nil {
		t.Errorf("a command on another: %v", err)
	}
}
