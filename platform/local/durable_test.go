package local

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"onlineshop/es/engine"
)

// fullDisk is a disk that can be filled and emptied.
type fullDisk struct {
	vfs.FS
	full  atomic.Bool
	syncs atomic.Int64 // of write-ahead logs
	noLog atomic.Bool  // these can't be written
	read  atomic.Pointer[error]
}

func newDisk() *fullDisk {
	d := &fullDisk{}
	d.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			if strings.HasSuffix(op.Path, ".log") {
				d.syncs.Add(1)
			}
		case errorfs.OpFileWrite, errorfs.OpCreate:
			if d.full.Load() {
				return syscall.ENOSPC
			}
			if d.noLog.Load() && strings.HasSuffix(op.Path, ".log") {
				return syscall.EIO
			}
		case errorfs.OpFileRead, errorfs.OpFileReadAt:
			if err := d.read.Load(); err != nil && strings.HasSuffix(op.Path, ".sst") {
				return *err
			}
		}
		return nil
	}))
	return d
}

func TestAnAcknowledgedCommitIsSynced(t *testing.T) {
	disk := newDisk()
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir(), disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for seq := range int64(20) {
		// When a commit is acknowledged
		before := disk.syncs.Load()
		if err := s.Append(t.Context(), commit("a", seq)); err != nil {
			t.Fatal(err)
		}
		// Then the log was synced since
		if disk.syncs.Load() == before {
			t.Fatalf("commit %d is acknowledged, and was not synced", seq)
		}
	}
}

func TestADamagedDatabaseTakesNothingMore(t *testing.T) {
	for name, failure := range map[string]error{
		"a block that is not what was written": fmt.Errorf("checksum mismatch: %w", pebble.ErrCorruption),
		"a log that can't be written":          fatal{errors.New("input/output error")},
	} {
		t.Run(name, func(t *testing.T) {
			// Given a shop with a product
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			send(t, p, "Catalog.Product", "p1", "Add", `{"name":"A","description":"","price":1}`)
			caughtUp(t, p)
			// When the database says that it is damaged
			p.store.trouble.note(failure)
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

// aStoreOnDisk is one with 3,000 rows, none of which is in memory.
func aStoreOnDisk(t *testing.T, o storeOptions) *store {
	t.Helper()
	s, err := openStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 3000 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), engine.Row{Model: "A.Things", ID: fmt.Sprintf("%04d", i), Rev: 1, View: fmt.Appendf(nil, `{"n":"%0200d"}`, i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(s.db.Flush(), s.close()); err != nil {
		t.Fatal(err)
	}
	if s, err = openStore(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return s
}

// Pebble panics where its write-ahead log has failed before, once a block of it is full, and
// keeps its locks.
func TestALogThatHasFailedEndsNoProcess(t *testing.T) {
	// Given a write-ahead log that can't be written
	disk := newDisk()
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir(), disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	disk.noLog.Store(true)
	write := func(v value) *pebble.Batch {
		x := &tx{db: s.db, mine: map[string]value{}}
		x.begin()
		x.set(keyIn(tableMarks), v)
		if err := x.apply(); err != nil {
			t.Fatal(err)
		}
		return x.batch
	}
	if err := guarded(write(nil).SyncWait); !errors.Is(err, syscall.EIO) {
		t.Fatalf("it is synced: %v", err)
	}
	write(make(value, 100<<10)) // more than a block
	// When more is written before anybody has noted that, then it is refused, and so is what
	// comes later
	for range 2 {
		if err := s.Append(t.Context(), commit("a", 0)); !errors.Is(err, engine.ErrDamaged) {
			t.Errorf("append: %v", err)
		}
	}
	// And the store can be closed, though Pebble can't, unless it was late to know of the failure
	if err := s.close(); err != nil && !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}

func TestAReadThatFailsIsNoEnd(t *testing.T) {
	// Given a table that is not in memory
	disk := newDisk()
	s := aStoreOnDisk(t, storeOptions{dir: t.TempDir(), disk: disk})
	defer s.close()
	// When reading fails in the middle of it
	n := 0
	err := s.scan(t.Context(), keyIn(tableRows).text("A.Things"), nil, forward, func(_, _ []byte) (bool, error) {
		if n++; n == 5 {
			failure := error(syscall.EIO)
			disk.read.Store(&failure)
		}
		return true, nil
	})
	disk.read.Store(nil)
	// Then it is an error, not the end
	if !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("after %d rows: %v", n, err)
	}
}

func TestAChangedByteIsNoticed(t *testing.T) {
	// Given a database of which a byte in the middle of a table is changed
	dir := t.TempDir()
	s := aStoreOnDisk(t, storeOptions{dir: dir})
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("there are no tables: %v", err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(table, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// When what is in it is read
	s, err = openStore(t.Context(), storeOptions{dir: dir})
	if err != nil {
		t.Logf("it is not opened: %v", err)
		return
	}
	defer s.close()
	var rows []engine.Row
	for cursor := ""; ; {
		page, next, failure := s.List(t.Context(), engine.Query{Model: "A.Things", Limit: 100, Cursor: cursor})
		rows, err = append(rows, page...), failure
		if cursor = next; cursor == "" || err != nil {
			break
		}
	}
	// Then it is damaged, and nothing is shown as if it were all
	if !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	// And nothing more is written
	if err := s.Append(t.Context(), commit("a", 0)); !errors.Is(err, engine.ErrDamaged) {
		t.Errorf("append: %v", err)
	}
}

func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	disk := newDisk()
	s, err := openStore(t.Context(), storeOptions{dir: t.TempDir(), disk: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	// Given many who append
	var mu sync.Mutex
	acknowledged, refused := map[string]int64{}, 0
	var some, wg sync.WaitGroup
	some.Add(16)
	for w := range 16 {
		wg.Go(func() {
			id := fmt.Sprintf("w%d", w)
			for i := int64(0); ; i++ {
				err := s.Append(t.Context(), commit(id, i))
				if i == 3 {
					some.Done()
				}
				mu.Lock()
				switch {
				case err == nil:
					acknowledged[id]++
				case errors.Is(err, engine.ErrUnavailable):
					refused++
				default:
					t.Errorf("append: %v; ErrUnavailable was expected", err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	// When the disk is full
	some.Wait()
	disk.full.Store(true)
	wg.Wait()
	// Then all of them are refused, and what was acknowledged is there
	expect(t, "refused", refused, 16)
	for id, n := range acknowledged {
		commits, _, err := s.Read(t.Context(), engine.Stream{Aggregate: "Test.Thing", ID: id}, n-1, 1)
		if err != nil || len(commits) != 1 {
			t.Errorf("the last acknowledged commit of %s: %v, %v", id, commits, err)
		}
	}
	// And when there is room again, the writer goes on, with what it had in hand then
	disk.full.Store(false)
	eventually(t, "the writer has found room", func() bool { return s.trouble.stuck() == nil })
	for id, n := range acknowledged {
		err := s.Append(t.Context(), commit(id, n))
		if conflict := (*engine.ConflictError)(nil); errors.As(err, &conflict) {
			n++
			err = s.Append(t.Context(), commit(id, n))
		}
		if err != nil {
			t.Errorf("append to %s: %v", id, err)
		}
		checkStream(t, s, id, n+1)
	}
}

func TestAWriteIsRefusedWhereTheDiskWasFullForAMoment(t *testing.T) {
	// Given a write that waits
	w := &writer{trouble: newTrouble(), wake: make(chan struct{}, 1)}
	ended := make(chan error)
	go func() {
		ended <- w.write(t.Context(), func(*tx) error { return nil }, nil)
	}()
	for {
		// When the disk is full, and has room again before the one who waits has looked
		w.trouble.mu.Lock()
		close(w.trouble.room)
		w.trouble.room = make(chan struct{})
		w.trouble.mu.Unlock()
		// Then it is not acknowledged: nothing is written yet
		select {
		case err := <-ended:
			if !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("the write: %v; ErrUnavailable was expected", err)
			}
			return
		default:
			runtime.Gosched()
		}
	}
}

// unsyncedFolders is a disk that can't make a folder's entries durable.
type unsyncedFolders struct {
	vfs.FS
	fails bool
	syncs int
}

func (d *unsyncedFolders) OpenDir(name string) (vfs.File, error) {
	if d.syncs++; d.fails {
		return nil, syscall.EIO
	}
	return d.FS.OpenDir(name)
}

func TestAFolderThatIsThereMayNotBeDurableYet(t *testing.T) {
	// Given a folder that was made, and could not be made durable
	d := &unsyncedFolders{FS: machine, fails: true}
	dir := filepath.Join(t.TempDir(), "emails")
	if err := (disk{d}).makeDir(dir); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	d.fails = false
	for _, want := range []int{2, 2} {
		// When it is asked for again
		if err := (disk{d}).makeDir(dir); err != nil {
			t.Fatal(err)
		}
		// Then it is made durable, once
		expect(t, "folders synced", d.syncs, want)
	}
}

// fill fills the disk, and returns when the database has met it. makeRoom empties it.
func fill(t *testing.T, p *Platform, disk *fullDisk) (makeRoom func()) {
	t.Helper()
	disk.full.Store(true)
	makeRoom = func() {
		t.Helper()
		disk.full.Store(false)
		eventually(t, "the database has found room", func() bool { return p.store.trouble.stuck() == nil })
	}
	t.Cleanup(makeRoom)
	eventually(t, "the database has met the full disk, and told of it", func() bool {
		_ = p.store.heartbeat(t.Context(), "Catalog", time.Now())
		return p.store.trouble.stuck() != nil && p.store.trouble.is()
	})
	return makeRoom
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

func TestAFullDiskIsAProblemAndPasses(t *testing.T) {
	// Given a shop whose disk is full
	disk := newDisk()
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), disk: disk})
	makeRoom := fill(t, p, disk)
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
	if x := problem(t, p, "database"); x == nil || !strings.HasPrefix(x.Detail, "the disk is full: make room") {
		t.Errorf("health says %+v of the database", x)
	}
	// And what is there is shown
	if _, err := p.store.Row(t.Context(), "Catalog.Products", "a"); err != nil {
		t.Errorf("a row: %v", err)
	}
	// And when there is room, the problem is over
	makeRoom()
	send(t, p, "Catalog.Product", "p1", "Add", aProduct)
	eventually(t, "health has no problem of the database", func() bool { return problem(t, p, "database") == nil })
}

func TestNobodyWaitsInLineForWhatCantBeWritten(t *testing.T) {
	// Given a database that can't be written, and somebody who still tries to write
	// to a product
	disk := newDisk()
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(&outbox{}, 0), disk: disk})
	makeRoom := fill(t, p, disk)
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
	makeRoom()
	send(t, p, "Catalog.Product", "p2", "Add", aProduct)
	go func() { errs <- order(t.Context(), p, "Catalog.Product", "p1", "Add", aProduct) }()
	unlockStream()
	if err := <-errs; err != nil {
		t.Errorf("a command that had its turn: %v", err)
	}
}

func TestAFullDiskLosesAndParksNothing(t *testing.T) {
	// Given orders whose shipping, counting and e-mails are due
	disk, mails := newDisk(), &outbox{}
	p := open(t, Options{Dir: t.TempDir(), Plugins: shop(mails, 0), disk: disk})
	send(t, p, "Catalog.Product", "p1", "Add", aProduct)
	send(t, p, "Ordering.Customer", "c1", "Register", `{"email":"a@example.com","address":"Main Street 1"}`)
	caughtUp(t, p)
	const orders = 20
	for i := range orders {
		send(t, p, "Ordering.Order", fmt.Sprint("o", i), "Place", `{"customerId":"c1","productIds":["p1"]}`)
	}
	// When the disk is full before all of it is done
	makeRoom := fill(t, p, disk)
	if err := order(t.Context(), p, "Catalog.Product", "p2", "Add", aProduct); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("a command: %v", err)
	}
	makeRoom()
	// Then it is done afterwards, and nothing is parked
	until(t, p, "all is counted", func() bool { return len(types(t, p, "Catalog.ProductDemand", "p1")) == orders })
	for i := range orders {
		id := fmt.Sprint("o", i)
		until(t, p, "the order is shipped", func() bool { return len(types(t, p, "Ordering.Order", id)) == 2 })
	}
	caughtUp(t, p)
	nothingIsPutOff(t, p)
	for i := range orders {
		if mails.count(fmt.Sprint("o", i)) == 0 { // one that was sent when the disk was full replaces itself
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
	eventually(t, "nothing is put off", func() bool {
		putOff, err := p.later.overdue(t.Context(), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return len(putOff) == 0
	})
}

func TestAMissingCommitIsNoticed(t *testing.T) {
	// Given a shop whose log has lost a commit in the middle
	dir := t.TempDir()
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	send(t, p, "Catalog.Product", "p1", "Add", `{"name":"A","description":"","price":1}`)
	send(t, p, "Catalog.Product", "p1", "UpdatePrice", `{"price":2}`)
	send(t, p, "Catalog.Product", "p1", "UpdateName", `{"name":"B"}`)
	caughtUp(t, p)
	if err := p.store.db.Delete(streamKey(engine.Stream{Aggregate: "Catalog.Product", ID: "p1"}, 1), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
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

func TestAWriteThatEndedWellDoesNotHideAFullDisk(t *testing.T) {
	// Given a disk that is full
	x := newTrouble()
	close(x.room)
	x.note(syscall.ENOSPC)
	// When a write is told of that ended before
	x.note(nil)
	// Then it is still known to be full
	if !x.is() {
		t.Error("nothing is wrong, and the disk is full")
	}
}
