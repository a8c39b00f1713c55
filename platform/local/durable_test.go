package local

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"onlineshop/es/engine"
)

func TestAnAcknowledgedCommitIsSynced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.db")
	log := watched(t, file+"-wal")
	s, err := openStore(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for seq := range int64(20) {
		// When a commit is acknowledged
		before := log.syncs.Load()
		if err := s.Append(t.Context(), commit("a", seq)); err != nil {
			t.Fatal(err)
		}
		// Then the log was synced since
		if log.syncs.Load() == before {
			t.Fatalf("commit %d is acknowledged, and was not synced", seq)
		}
	}
}

func TestADamagedDatabaseTakesNothingMore(t *testing.T) {
	for name, code := range map[string]int32{"malformed": sqlite3.SQLITE_CORRUPT, "no database": sqlite3.SQLITE_NOTADB} {
		t.Run(name, func(t *testing.T) {
			// Given a shop with a product
			dir := t.TempDir()
			db := watched(t, filepath.Join(dir, "shop.db"))
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			send(t, p, "Catalog.Product", "p1", "Add", `{"name":"A","description":"","price":1}`)
			caughtUp(t, p)
			// When the database says that it is damaged
			p.store.trouble.note(sqliteError(t, db, code))
			defer p.store.trouble.damage.Store(nil) // so that it can be closed
			// Then commands are refused at once, and health says why and what to do
			err := order(t.Context(), p, "Catalog.Product", "p2", "Add", `{"name":"A","description":"","price":1}`)
			if !errors.Is(err, engine.ErrDamaged) {
				t.Errorf("a command: %v", err)
			}
			h, err := p.Health(t.Context())
			if err != nil || h.Status != "degraded" || len(h.Problems) == 0 || h.Problems[0].Component != "database" {
				t.Errorf("health: %+v, %v", h, err)
			}
			// Even when the next use of it goes well
			p.store.trouble.note(nil)
			if err := order(t.Context(), p, "Catalog.Product", "p2", "Add", `{"name":"A","description":"","price":1}`); !errors.Is(err, engine.ErrDamaged) {
				t.Errorf("a command after a use that went well: %v", err)
			}
		})
	}
}

// sqliteError is the error that the driver makes of a read that fails with the code.
func sqliteError(t *testing.T, f *diskFile, code int32) error {
	t.Helper()
	db, err := openDB(f.name, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f.read.Store(code)
	defer f.read.Store(0)
	var n int
	err = db.QueryRowContext(t.Context(), "SELECT count(*) FROM commits").Scan(&n)
	if err == nil {
		t.Fatal("a read that fails is no error")
	}
	return err
}

func TestAReadThatFailsIsNoEnd(t *testing.T) {
	// Given a table that is larger than what is kept of it in memory
	file := filepath.Join(t.TempDir(), "shop.db")
	db := watched(t, file)
	s, err := openStore(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if _, err := s.Put(t.Context(), engine.Row{Model: "A.Things", ID: string(rune('a'+i%26)) + string(rune('0'+i/26)), Rev: 1, View: []byte(`{"n":"` + string(make([]byte, 0)) + `"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openStore(t.Context(), file, nil); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	// When reading fails in the middle of a page
	n := 0
	err = s.query(t.Context(), "SELECT id FROM rows WHERE model = ? ORDER BY id", []any{"A.Things"}, func(scan func(...any) error) (bool, error) {
		if n++; n == 5 {
			db.read.Store(sqlite3.SQLITE_IOERR_READ)
		}
		var id string
		return true, scan(&id)
	})
	db.read.Store(0)
	// Then it is an error, not the end
	if !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("after %d rows: %v", n, err)
	}
}

// alter changes a database's file while no shop has it open.
func alter(t *testing.T, file, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseThatIsNotOursIsLeftAlone(t *testing.T) {
	for name, change := range map[string]string{
		"another program's":         "CREATE TABLE theirs (a)",
		"another program's version": "CREATE TABLE theirs (a); PRAGMA user_version = 1",
		"another application's":     "PRAGMA application_id = 1",
		"a newer version of ours":   schema + "; PRAGMA user_version = 99",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "shop.db")
			alter(t, file, change)
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := openStore(t.Context(), file, nil); err == nil {
				_ = s.close()
				t.Fatal("it is opened")
			} else {
				t.Log(err)
			}
			db, err := sql.Open("sqlite", file)
			if err != nil {
				t.Fatal(err)
			}
			var tables int
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name = 'heartbeats'").Scan(&tables); err != nil {
				t.Fatal(err)
			}
			_ = db.Close()
			if want := map[bool]int{true: 1}[name == "a newer version of ours"]; tables != want {
				t.Errorf("it has %d tables of ours after it was refused; it had %d bytes", tables, len(before))
			}
		})
	}
}

// lockedByAnother is the folder's database with changes of another program that it
// has not saved; unlock lets it save them.
func lockedByAnother(t *testing.T, dir string) (unlock func()) {
	t.Helper()
	other, err := openDB(filepath.Join(dir, "shop.db"), 1)
	if err != nil {
		t.Fatal(err)
	}
	for { // between two writes of the shop's
		_, err := other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
		if err == nil {
			break
		}
		if _, primary := result(err); primary != sqlite3.SQLITE_BUSY {
			t.Fatal(err)
		}
	}
	var once sync.Once
	unlock = func() {
		once.Do(func() {
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(unlock)
	return unlock
}

// problem is what health says of the component; nil: nothing.
func problem(t *testing.T, p *Platform, component string) *engine.Problem {
	t.Helper()
	h, err := p.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range h.Problems {
		if x.Component == component {
			if h.Status != "degraded" {
				t.Errorf("health is %s with the problem %s", h.Status, x.Detail)
			}
			return &x
		}
	}
	return nil
}

const aProduct = `{"name":"A","description":"","price":1}`

func TestALockedDatabaseIsAProblemAndPasses(t *testing.T) {
	// Given another program that has the database open with unsaved changes
	dir := t.TempDir()
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	unlock := lockedByAnother(t, dir)
	// When eight commands come at once
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			errs <- order(t.Context(), p, "Catalog.Product", string(rune('a'+i)), "Add", aProduct)
		}()
	}
	// Then each is told to come again, and health says why
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a command: %v", err)
		}
	}
	if x := problem(t, p, "database"); x == nil || !strings.HasPrefix(x.Detail, "another program has it locked: close ") {
		t.Errorf("health says %+v of the database", x)
	}
	// And what is there is shown
	if _, err := p.store.Row(t.Context(), "Catalog.Products", "a"); err != nil {
		t.Errorf("a row: %v", err)
	}
	// And when the other program is done, so is the problem
	unlock()
	send(t, p, "Catalog.Product", "p1", "Add", aProduct)
	if x := problem(t, p, "database"); x != nil {
		t.Errorf("still a problem: %+v", x)
	}
}

func TestNobodyWaitsInLineForWhatCantBeWritten(t *testing.T) {
	// Given a database that can't be written, and somebody who still tries to write
	// to a product
	dir := t.TempDir()
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	unlock := lockedByAnother(t, dir)
	_ = p.store.heartbeat(t.Context(), "Catalog", time.Now()) // who finds that out
	unlockStream, err := p.Engine().StreamLock.Lock(t.Context(), engine.Stream{Aggregate: "Catalog.Product", ID: "p1"})
	if err != nil {
		t.Fatal(err)
	}
	// When others come with commands for the same product, then they are told to come
	// again, although that one is still there
	errs := make(chan error, 8)
	for i := range cap(errs) {
		go func() {
			errs <- order(t.Context(), p, "Catalog.Product", "p1", "Add", fmt.Sprintf(`{"name":"A","description":"","price":%d}`, i))
		}()
	}
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a command: %v", err)
		}
	}
	// And when all is well, those who wait have their turn
	unlock()
	send(t, p, "Catalog.Product", "p2", "Add", aProduct)
	go func() { errs <- order(t.Context(), p, "Catalog.Product", "p1", "Add", aProduct) }()
	unlockStream()
	if err := <-errs; err != nil {
		t.Errorf("a command that had its turn: %v", err)
	}
}

func TestALockLosesAndParksNothing(t *testing.T) {
	// Given orders whose shipping, counting and e-mails are due
	dir, mails := t.TempDir(), &outbox{}
	plugins := shop(mails, 0)
	p := open(t, Options{Dir: dir, Plugins: plugins})
	send(t, p, "Catalog.Product", "p1", "Add", aProduct)
	send(t, p, "Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	caughtUp(t, p)
	const orders = 20
	for i := range orders {
		send(t, p, "Ordering.Order", fmt.Sprint("o", i), "Place", `{"customerId":"c1","productIds":["p1"]}`)
	}
	// When another program locks the database before all of it is done
	unlock := lockedByAnother(t, dir)
	if err := order(t.Context(), p, "Catalog.Product", "p2", "Add", aProduct); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("a command: %v", err)
	}
	unlock()
	// Then it is done afterwards, and nothing is parked
	until(t, p, "all is counted", func() bool { return len(types(t, p, "Catalog.ProductDemand", "p1")) == orders })
	for i := range orders {
		id := fmt.Sprint("o", i)
		until(t, p, "the order is shipped", func() bool { return len(types(t, p, "Ordering.Order", id)) == 2 })
	}
	caughtUp(t, p)
	nothingIsPutOff(t, p)
	for i := range orders {
		if mails.count(fmt.Sprint("o", i)) == 0 { // one that was sent when the lock came replaces itself
			t.Errorf("no e-mail for order %d", i)
		}
	}
	if parked, _, err := p.store.ListParked(t.Context(), ""); err != nil || len(parked) > 0 {
		t.Errorf("parked: %v, %v", parked, err)
	}
}

// nothingIsPutOff waits until what was put off is done.
func nothingIsPutOff(t *testing.T, p *Platform) {
	t.Helper()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		putOff, err := p.later.overdue(t.Context(), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if len(putOff) == 0 {
			return
		}
	}
}

func TestALogThatAReaderLetGrowIsCutWhenTheReaderIsGone(t *testing.T) {
	// Given a reader that lasts, and a log that grew meanwhile
	s := newStore(t)
	db, err := openDB(s.file, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := reader.QueryRowContext(t.Context(), "SELECT count(*) FROM commits").Scan(&n); err != nil {
		t.Fatal(err)
	}
	for seq := range int64(50) {
		if err := s.Append(t.Context(), commit("a", seq)); err != nil {
			t.Fatal(err)
		}
	}
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(s.file + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	// Then it stays while the reader is there
	if err := s.truncate(t.Context(), 1); err != nil || size() == 0 {
		t.Errorf("with a reader: %d bytes, %v", size(), err)
	}
	// And is cut when the reader is gone
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.truncate(t.Context(), 1); err != nil || size() != 0 {
		t.Errorf("without: %d bytes, %v", size(), err)
	}
	checkStream(t, s, "a", 50)
}

func TestAMissingCommitIsNoticed(t *testing.T) {
	// Given a shop whose log has lost a commit in the middle
	dir := t.TempDir()
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"A","description":"","price":1}`)
	send(t, p, "Catalog.Product", "p1", "UpdatePrice", `{"price":2}`)
	send(t, p, "Catalog.Product", "p1", "UpdateName", `{"name":"B"}`)
	caughtUp(t, p)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	alter(t, filepath.Join(dir, "shop.db"), "DELETE FROM streams WHERE seq = 1 AND id = 'p1' AND aggregate = 'Catalog.Product'; DELETE FROM snapshots")
	// When it is read, then that is an error, not a shorter history
	p = open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	events, _, err := p.Engine().History(t.Context(), "Catalog.Product", "p1", "", 10)
	if err == nil {
		t.Errorf("its history has %d events", len(events))
	}
}

func TestASnapshotOfOtherCodeIsNotUsed(t *testing.T) {
	for _, x := range []struct {
		about, sources string
		used           bool
	}{{"of the same code", "", true}, {"of other code", "another", false}} {
		t.Run(x.about, func(t *testing.T) {
			// Given a product with a snapshot that says that its price is 9999
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			reprice := func(price int) []string {
				t.Helper()
				out, err := request(t.Context(), p, "", "Catalog.Product", "p1", "UpdatePrice", fmt.Sprintf(`{"price":%d}`, price))
				if err != nil {
					t.Fatal(err)
				}
				return out.Events
			}
			send(t, p, "Catalog.Product", "p1", "Add", aProduct)
			for i := range 99 { // the hundredth commit is followed by a snapshot
				reprice(2 + i)
			}
			s := engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}
			data, err := p.store.Snapshot(t.Context(), s)
			if err != nil || data == nil {
				t.Fatalf("there is no snapshot: %v", err)
			}
			if err := p.store.SaveSnapshot(t.Context(), s, altered(t, data, x.sources)); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			// When the shop is started again, and its last price is set again
			p = open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			changed := len(reprice(100)) > 0
			// Then only a snapshot of the same code was believed
			if changed != x.used {
				t.Errorf("the price changed: %t; the snapshot was to be used: %t", changed, x.used)
			}
		})
	}
}

// altered is a snapshot that says that the price is 9999, and that it is of those
// sources; empty: of its own.
func altered(t *testing.T, data []byte, sources string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&s); err != nil {
		t.Fatal(err)
	}
	s["state"] = regexp.MustCompile(`(?i)"price":[0-9.]+`).ReplaceAll(s["state"], []byte(`"price":9999`))
	if sources != "" {
		s["sources"], _ = json.Marshal(sources)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
