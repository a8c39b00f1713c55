package local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/es/naming"
)

var (
	damages    = flag.Int("damages", 40, "how many places of a data folder TestADamagedFolderIsNeverServedAsTheTruth damages")
	damageSeed = flag.Int64("damage", -1, "the one to replay")
)

// answers are what a shop says to everything: histories, states, lists of ids and rows. An
// answer is a text, or an error.
func answers(ctx context.Context, p *Platform) (texts map[string]string, failed map[string]error) {
	texts, failed = map[string]string{}, map[string]error{}
	note := func(what, text string, err error) {
		if texts[what] = text; err != nil {
			failed[what] = err
		}
	}
	admin := es.Caller{User: "boss", Groups: []string{es.Admin}}
	for _, x := range p.Plugins {
		for _, a := range x.Aggregates {
			name := a.Definition().Name
			for i := range 12 {
				id := fmt.Sprint("x", i)
				events, _, err := p.Engine().History(ctx, name, id, "", 100)
				var text strings.Builder
				for _, e := range events {
					fmt.Fprintf(&text, "%d %s %s %s\n", e.Number, e.Type, e.Data, e.Meta.User)
				}
				note("history of "+name+" "+id, text.String(), err)
				state, err := p.Engine().State(ctx, admin, name, id, nil)
				note("state of "+name+" "+id, string(state.State), err)
			}
			ids, _, err := p.Engine().Streams(ctx, name, "", 100)
			note("ids of "+name, strings.Join(ids, " "), err)
		}
		for _, m := range x.ReadModels {
			name := naming.Full(x.Name, m.Name())
			for i := range 12 {
				id, version := fmt.Sprint("x", i), int64(0)
				row, err := p.Engine().Row(ctx, admin, name, id, &version)
				note("row "+id+" of "+name, string(row.View), err)
			}
		}
	}
	return texts, failed
}

// TestADamagedFolderIsNeverServedAsTheTruth flips bits and zeroes pages of a data folder.
// -damages=1000 does more, -damage=42 replays one.
func TestADamagedFolderIsNeverServedAsTheTruth(t *testing.T) {
	// Given a shop that was killed, with tables and a write-ahead log
	first := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			id := fmt.Sprint("x", i)
			send(t, first, "Catalog.Product", id, "Add", fmt.Sprintf(`{"name":"A%d","description":"","price":%d.25}`, i, i+1))
			send(t, first, "Catalog.Product", id, "UpdateName", `{"name":"B"}`)
			send(t, first, "Ordering.Customer", id, "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
		}
		caughtUp(t, first)
		for i := from; i < to; i++ {
			id := fmt.Sprint("x", i)
			until(t, first, "the product is known", func() bool { return len(types(t, first, "Ordering.CatalogProduct", id)) == 1 })
			send(t, first, "Ordering.Order", id, "Place", fmt.Sprintf(`{"customerId":%q,"productIds":[%q]}`, id, id))
			until(t, first, "the order is shipped and counted", func() bool {
				return len(types(t, first, "Ordering.Order", id)) == 2 && len(types(t, first, "Catalog.ProductDemand", id)) == 1
			})
		}
		caughtUp(t, first)
	}
	fill(0, 6)
	if err := first.store.db.Flush(); err != nil {
		t.Fatal(err)
	}
	fill(6, 10)
	truth, failed := answers(t.Context(), first)
	missing := slices.Sorted(maps.Keys(failed)) // those that are not there
	dir := killed(t, first)
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if info, failure := d.Info(); failure == nil && d.Type().IsRegular() && info.Size() > 0 && !strings.HasSuffix(path, "lock") {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 5 {
		t.Fatalf("the folder has the files %v: %v", files, err)
	}
	from, to := int64(0), int64(*damages)
	if *damageSeed >= 0 {
		from, to = *damageSeed, *damageSeed+1
	}
	refused, told, lost := 0, 0, 0
	for seed := from; seed < to; seed++ {
		func() {
			// When it is damaged at one place
			r := rand.New(rand.NewPCG(uint64(seed), 0))
			copied := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(dir, files[r.IntN(len(files))])
			what := fmt.Sprintf("damage %d, of %s", seed, rel)
			if !spoil(t, r, filepath.Join(copied, rel)) {
				return
			}
			// Then it is not opened, or each answer is an error or the truth
			p, err := Open(t.Context(), Options{Dir: copied, Plugins: shop(&outbox{}, 0), Logger: quiet})
			if err != nil {
				refused++
				return
			}
			defer p.Close(context.Background()) // it is damaged
			said, failed := answers(t.Context(), p)
			damaged := false
			for name, want := range truth {
				err := failed[name]
				switch {
				case p.Lost() != nil && strings.HasPrefix(want, said[name]) || p.Lost() != nil && !strings.HasPrefix(name, "history"):
					// what is missing is told, and nobody builds on it
				case errors.Is(err, engine.ErrBroken), errors.Is(err, engine.ErrDamaged), errors.Is(err, engine.ErrUnavailable):
					damaged = true
				case slices.Contains(missing, name) != (err != nil):
					t.Errorf("%s: the %s is %v", what, name, err)
				case said[name] != want:
					t.Errorf("%s: the %s is\n%s\nand was\n%s", what, name, said[name], want)
				}
			}
			if damaged {
				told++
				if h, err := p.Health(t.Context()); err == nil && h.Status == "ok" {
					t.Errorf("%s: health is ok", what)
				}
			}
			if p.Lost() != nil {
				lost++
			}
		}()
	}
	t.Logf("of %d damages, %d were refused at the start, %d were told by errors, %d lost the end of the log; the others changed nothing", to-from, refused, told, lost)
}

// spoil flips a bit of the file, or zeroes a page, and says whether that changed it.
func spoil(t *testing.T, r *rand.Rand, name string) bool {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	was := slices.Clone(b)
	if end := len(strings.TrimRight(string(b), "\x00")); r.IntN(2) == 0 || end < 4096 {
		b[r.IntN(max(1, end))] ^= 1 << r.IntN(8)
	} else {
		page := r.IntN((end+4095)/4096) * 4096
		clear(b[page:min(page+4096, len(b))])
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return !slices.Equal(was, b)
}
