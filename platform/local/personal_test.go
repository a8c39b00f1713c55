package local

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"onlineshop/es"
	"onlineshop/es/engine"
	"onlineshop/plugins/ordering/mail"
)

const (
	plantedEmail   = "zaphod-quendelstein@planted.example"
	plantedAddress = "Trillianweg 4711, Betelgeuse"
)

// planted are the files below a folder that have what was planted.
func planted(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was moved or removed meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.Contains(b, []byte(plantedEmail)) || bytes.Contains(b, []byte(plantedAddress)) || bytes.Contains(b, []byte("Betelgeuse")) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestNoFileHasWhatIsPersonalOnceItIsErased(t *testing.T) {
	// Given a customer with an order and an e-mail
	dir := filepath.Join(t.TempDir(), "data")
	sent := NewOutbox(filepath.Join(dir, "emails"), "shop@example.com")
	options := Options{Dir: dir, Plugins: shop(mail.By(sent), 0), Forget: sent.Forget}
	p := open(t, options)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(order(t.Context(), p, "Catalog.Product", "p1", "Add", `{"name":"Tea","description":"","price":1}`))
	must(p.CaughtUp(t.Context()))
	must(order(t.Context(), p, "Ordering.Customer", "zaphod", "Register", fmt.Sprintf(`{"email":%q,"address":%q}`, plantedEmail, plantedAddress)))
	must(order(t.Context(), p, "Ordering.Order", "o1", "Place", `{"customerId":"zaphod","productIds":["p1"]}`))
	must(p.CaughtUp(t.Context()))
	// Then only the e-mail tells
	if files := planted(t, dir); len(files) != 1 || !strings.HasSuffix(files[0], ".eml") {
		t.Errorf("files with what is personal: %q, want the e-mail", files)
	}
	// When they are erased
	must(order(t.Context(), p, "Ordering.Customer", "zaphod", "Erase", ""))
	must(p.CaughtUp(t.Context()))
	// Then no file does, nor after a crash, a restart and a rebuild
	if files := planted(t, dir); files != nil {
		t.Errorf("files with what is personal: %q", files)
	}
	options.Dir = crash(t, p)
	p = open(t, options)
	must(p.CaughtUp(t.Context()))
	for cursor, more := "", true; more; more = cursor != "" {
		progress, err := p.Engine().Rebuild(t.Context(), "Ordering.Customers", cursor)
		must(err)
		cursor = progress.Next
	}
	if files := planted(t, options.Dir); files != nil {
		t.Errorf("files with what is personal after a crash: %q", files)
	}
	row, err := p.Engine().Row(t.Context(), es.System(), "Ordering.Customers", "zaphod", nil)
	if want := `{"email":"","address":"","deactivated":false,"erased":true}`; err != nil || string(row.View) != want {
		t.Errorf("row %s, %v, want %s", row.View, err, want)
	}
	// And the order is still there
	if _, err := p.Engine().Row(t.Context(), es.System(), "Ordering.Orders", "o1", nil); err != nil {
		t.Error(err)
	}
}

// A key is durable before what is sealed with it, and once it is destroyed no loss of power
// brings it back.
func TestAPowerLossLosesNoKeyAndBringsNoneBack(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		disk := vfs.NewCrashableMem()
		s, err := openStore(t.Context(), storeOptions{dir: "database", disk: disk})
		if err != nil {
			t.Fatal(err)
		}
		// Given streams with keys, each with a commit after it, of which some are destroyed
		keys, destroyed := map[engine.Stream][]byte{}, map[engine.Stream]bool{}
		for i := range 10 {
			c := commit(fmt.Sprint("k", i), 0)
			key, err := s.Key(t.Context(), c.Stream, true)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Append(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if keys[c.Stream] = key; r.IntN(2) == 0 {
				if err := s.Destroy(t.Context(), c.Stream); err != nil {
					t.Fatal(err)
				}
				destroyed[c.Stream] = true
			}
		}
		// When the power is lost
		lost := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed % 101), RNG: r})
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if s, err = openStore(t.Context(), storeOptions{dir: "database", disk: lost}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		// Then each is as it was
		for st, want := range keys {
			key, err := s.Key(t.Context(), st, false)
			if destroyed[st] && !errors.Is(err, engine.ErrErased) || !destroyed[st] && !bytes.Equal(key, want) {
				t.Errorf("seed %d: the key of %s is %x, %v; destroyed: %t", seed, st, key, err, destroyed[st])
			}
		}
		// And the file has none that was destroyed
		f, err := lost.Open("database.keys")
		if err != nil {
			t.Fatal(err)
		}
		content := make([]byte, len(keys)*slotSize)
		if _, err := f.ReadAt(content, 0); err != nil {
			t.Fatal(err)
		}
		for st := range destroyed {
			if bytes.Contains(content, keys[st]) {
				t.Errorf("seed %d: the key of %s is still in the file", seed, st)
			}
		}
		if err := errors.Join(f.Close(), s.close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedKeyIsNoErasure(t *testing.T) {
	// Given a key of which the file has lost a bit, or all
	for name, spoil := range map[string]func([]byte){"a bit": func(b []byte) { b[3] ^= 1 }, "all": func(b []byte) { clear(b) }} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "database")
			s, err := openStore(t.Context(), storeOptions{dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			st := engine.Stream{Aggregate: "Test.Thing", ID: "one"}
			if _, err := s.Key(t.Context(), st, true); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(dir + ".keys")
			if err != nil {
				t.Fatal(err)
			}
			spoil(b)
			if err := os.WriteFile(dir+".keys", b, 0o600); err != nil {
				t.Fatal(err)
			}
			// When it is asked for, then that is told
			if _, err := s.Key(t.Context(), st, false); !errors.Is(err, engine.ErrBroken) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAKeyThatIsDestroyedMeanwhileIsNotTakenForDamage(t *testing.T) {
	// Given somebody who reads keys while they are destroyed
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0)})
	for i := range 300 {
		st := engine.Stream{Aggregate: "Ordering.Customer", ID: fmt.Sprint("c", i)}
		if _, err := p.store.Key(t.Context(), st, true); err != nil {
			t.Fatal(err)
		}
		destroyed := make(chan error, 1)
		go func() { destroyed <- p.store.Destroy(t.Context(), st) }()
		// When it is read until it is gone, then it is there, or erased, and never damaged
		for {
			_, err := p.store.Key(t.Context(), st, false)
			if errors.Is(err, engine.ErrErased) {
				break
			}
			if err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
		}
		if err := <-destroyed; err != nil {
			t.Fatal(err)
		}
	}
}
