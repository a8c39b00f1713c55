package local

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"onlineshop/es/engine"
)

// verify is all that is verified, and what is found, a line each.
func verify(t *testing.T, p *Platform) (claims engine.Claims, found []string) {
	t.Helper()
	for cursor := ""; ; {
		v, err := p.Engine().Verify(t.Context(), cursor, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		claims.Streams, claims.Rows, claims.Commits = claims.Streams+v.Claims.Streams, claims.Rows+v.Claims.Rows, claims.Commits+v.Claims.Commits
		for _, f := range v.Findings {
			found = append(found, f.Stream+": "+f.Detail)
		}
		if cursor = v.Next; cursor == "" {
			return claims, found
		}
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	product := func(id string) engine.Stream { return engine.Stream{Aggregate: mug.Aggregate, ID: id} }
	rewrite := func(t *testing.T, s *store, k key, from, to string) {
		t.Helper()
		v, closer, err := s.db.Get(k)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(v, []byte(from), []byte(to), 1)
		if bytes.Equal(changed, v) {
			t.Fatalf("there is no %s in %q", from, v)
		}
		if err := errors.Join(closer.Close(), s.db.Set(k, changed, pebble.Sync)); err != nil {
			t.Fatal(err)
		}
	}
	position := func(t *testing.T, s *store, st engine.Stream, seq int64) int64 {
		t.Helper()
		var at int64
		if found, err := read(s.db, streamKey(st, seq), func(f *fields) { at = f.number() }); err != nil || !found {
			t.Fatalf("%s at %d: %v", st, seq, err)
		}
		return at
	}
	remove := func(t *testing.T, s *store, k key) {
		t.Helper()
		if err := s.db.Delete(k, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]struct {
		damage func(*testing.T, *store)
		finds  []string
	}{
		"nothing": {func(*testing.T, *store) {}, nil},
		"an event is another": {func(t *testing.T, s *store) {
			rewrite(t, s, commitKey(position(t, s, mug, 0)), "7.25", "1.25")
		}, []string{"Catalog.Product#mug: ", "commit 0: it is not what was written"}},
		"a row is another": {func(t *testing.T, s *store) {
			rewrite(t, s, rowKey("Catalog.Products", "mug"), "7.25", "1.25")
		}, []string{"Catalog.Product#mug: row of Catalog.Products: it is ", "and the log says"}},
		"a row is gone": {func(t *testing.T, s *store) {
			remove(t, s, rowKey("Catalog.Products", "mug"))
		}, []string{"Catalog.Product#mug: row of Catalog.Products: it lacks commits"}},
		"a stream is not listed": {func(t *testing.T, s *store) {
			remove(t, s, streamKey(product("cup"), 0))
		}, []string{"Catalog.Product#cup: commit 0 is at position", "does not have it there"}},
		"a commit is gone, and its place in the stream": {func(t *testing.T, s *store) {
			remove(t, s, commitKey(position(t, s, product("cup"), 0)))
			remove(t, s, streamKey(product("cup"), 0))
		}, []string{"the log: positions ", "are missing; "}},
		"a cursor is beyond the end": {func(t *testing.T, s *store) {
			if err := s.db.Set(cursorKey("extension:Ordering.Products_Extension", mug), value(nil).number(7), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}, []string{"Catalog.Product#mug: extension:Ordering.Products_Extension is at 7, beyond its end, 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			// Given a shop with products, of which everything is done, and then that
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			send(t, p, mug.Aggregate, "cup", "Add", `{"name":"A","description":"","price":3}`)
			send(t, p, mug.Aggregate, "mug", "Add", `{"name":"A","description":"","price":7.25}`)
			send(t, p, mug.Aggregate, "mug", "UpdateName", `{"name":"B"}`)
			caughtUp(t, p)
			x.damage(t, p.store)
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			// When it is verified, opened to be read
			p, err := OpenToRead(t.Context(), Options{Dir: dir, Plugins: shop(&outbox{}, 0), Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			claims, found := verify(t, p)
			// Then that is found, and nothing else
			if x.finds == nil && (len(found) > 0 || claims.Streams < 2 || claims.Rows < 2 || claims.Commits < 3) {
				t.Errorf("found %q, and claims %+v", found, claims)
			}
			for _, part := range x.finds {
				if !strings.Contains(strings.Join(found, "\n"), part) {
					t.Errorf("found %q; %q was expected", found, part)
				}
			}
			// And nobody could have written
			if err := order(t.Context(), p, mug.Aggregate, "new", "Add", aProduct); !errors.Is(err, errToRead) {
				t.Errorf("a command: %v", err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
