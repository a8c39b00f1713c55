package local

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onlineshop/es/engine"
	"onlineshop/platform/platformtest"
)

// earlier makes a data folder as the version before this one left it: with a SQLite file,
// changed by the statements.
func earlier(t *testing.T, statements string) (dir string) {
	t.Helper()
	dump, err := os.ReadFile(filepath.Join("testdata", "shop.db.sql"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, sqliteFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), string(dump)+statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAFolderOfAnEarlierVersionIsBroughtUpToDate(t *testing.T) {
	// Given a folder of the version that kept a SQLite file, with something parked
	dir := earlier(t, `INSERT INTO parked VALUES ('mapping:Ordering.AutoShip', 'Ordering.Order', 'o1', 'out of paper', 1, 4000000000000000000, 3); UPDATE later SET due = 4000000000000000000`)
	// When it is opened, once and again
	for range 2 {
		p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 15*time.Minute)})
		// Then the log, the views, the owners' lists, what waits and what is parked are there
		expect(t, "the log's end", p.store.feed.last(), 231)
		expect(t, "events of the mug", len(types(t, p, "Catalog.Product", "mug")), 107)
		expect(t, "the mug", view(t, p, "Catalog.Products", "mug"), `{"name":"Mug","description":"For tea","price":105,"categoryId":"kitchen"}`)
		expect(t, "an order", view(t, p, "Ordering.Orders", "o2"), `{"customerId":"ann","productIds":["teapot","mug"],"status":"cancelled"}`)
		rows, _, err := p.store.List(t.Context(), engine.Query{Model: "Ordering.Orders", Owner: "local", Limit: 10})
		if err != nil || len(rows) != 2 {
			t.Errorf("the owner's orders: %v, %v", rows, err)
		}
		jobs := 0
		if err := p.store.jobs(t.Context(), false, nil, func(job) bool { jobs++; return true }); err != nil {
			t.Fatal(err)
		}
		expect(t, "jobs", jobs, 2)
		key, err := p.store.Parked(t.Context(), "mapping:Ordering.AutoShip", engine.Stream{Aggregate: "Ordering.Order", ID: "o1"})
		if err != nil || key == nil || key.Error != "out of paper" {
			t.Errorf("parked: %+v, %v", key, err)
		}
		snapshot, err := p.store.Snapshot(t.Context(), engine.Stream{Aggregate: "Catalog.Product", ID: "mug"})
		if err != nil || len(snapshot) == 0 {
			t.Errorf("snapshot: %d bytes, %v", len(snapshot), err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// And the shop goes on, and what was there before is kept
	p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
	send(t, p, "Catalog.Product", "mug", "UpdatePrice", `{"price":3}`)
	if _, err := os.Stat(filepath.Join(dir, sqliteFile+afterUpgrade)); err != nil {
		t.Error(err)
	}
}

func TestAnUpgradeThatWasBrokenOffIsFinished(t *testing.T) {
	for name, breakOff := range map[string]func(t *testing.T, dir string){
		"while it was copied": func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Join(dir, "database.upgrading", "half a database"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"before the old file had its other name": func(t *testing.T, dir string) {
			if err := (disk{machine}).makeDir(databaseDir(dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := copySQLite(t.Context(), disk{machine}, filepath.Join(dir, sqliteFile), databaseDir(dir)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			// Given an upgrade that ended in the middle
			dir := earlier(t, "")
			breakOff(t, dir)
			// When the folder is opened, then it is finished
			p := open(t, Options{Dir: dir, Plugins: shop(&outbox{}, 0)})
			expect(t, "the log's end", p.store.feed.last() >= 231, true)
			if _, err := os.Stat(filepath.Join(dir, sqliteFile)); err == nil {
				t.Error("the old file still has its name")
			}
		})
	}
}

func TestAnOldDatabaseBesideANewOneIsLeftAlone(t *testing.T) {
	// Given a folder with a database, to which somebody restored one of an earlier version
	dir := t.TempDir()
	p := open(t, Options{Dir: dir})
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(earlier(t, ""), sqliteFile), filepath.Join(dir, sqliteFile)); err != nil {
		t.Fatal(err)
	}
	// When it is opened, then somebody has to decide
	_, err := Open(t.Context(), Options{Dir: dir, Logger: quiet})
	if err == nil || !strings.Contains(err.Error(), "move away the one that you don't want") {
		t.Errorf("open: %v", err)
	}
}

func TestASQLiteFileThatIsNotOursIsLeftAlone(t *testing.T) {
	for name, change := range map[string]string{
		"another program's":         "DROP TABLE commits",
		"another application's":     "PRAGMA application_id = 1",
		"a newer version of ours":   "PRAGMA user_version = 99",
		"of a version with no name": "PRAGMA user_version = 0",
	} {
		t.Run(name, func(t *testing.T) {
			dir := earlier(t, ";"+change)
			before, err := os.ReadFile(filepath.Join(dir, sqliteFile))
			if err != nil {
				t.Fatal(err)
			}
			p, err := Open(t.Context(), Options{Dir: dir, Logger: quiet})
			if err == nil {
				_ = p.Close(t.Context())
				t.Fatal("it is opened")
			}
			after, err := os.ReadFile(filepath.Join(dir, sqliteFile))
			if err != nil || !bytes.Equal(after, before) {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
}

func TestFollowersOfAnEarlierVersionWereThereFromTheBeginning(t *testing.T) {
	const remind, congratulate, recall = "mapping:Lending.Remind", "effect:Lending.Congratulate", "mapping:Lending.Recall"
	for name, forget := range map[string][]byte{
		"that had been given the log": {tableStarts},
		"that was stopped before":     {tableStarts, tableKnown},
	} {
		t.Run(name, func(t *testing.T) {
			// Given a folder of a version that kept no starts
			dir := t.TempDir()
			p := open(t, Options{Dir: dir, Plugins: platformtest.Library{World: platformtest.NewWorld()}.Plugins()})
			send(t, p, "Lending.Book", "b", "Acquire", `{"text":"B"}`)
			send(t, p, "Lending.Book", "b", "Lend", `{"text":"ann"}`)
			caughtUp(t, p)
			for _, table := range forget {
				if err := p.store.db.DeleteRange(keyIn(table), keyIn(table).end(), nil); err != nil {
					t.Fatal(err)
				}
			}
			dir = crash(t, p)
			// When it is opened by one that keeps them, and has one mapping more
			p = open(t, Options{Dir: dir, Plugins: platformtest.Library{World: platformtest.NewWorld(), Later: true}.Plugins()})
			// Then the others are there from the beginning, and that one begins
			for follower, want := range map[string]int64{remind: 0, congratulate: 0, recall: 4} { // the log then, with the reminder and the mention
				var position int64
				if _, err := p.store.get(t.Context(), keyIn(tableStarts).text(follower), func(f *fields) { position = f.number() }); err != nil {
					t.Fatal(err)
				}
				expect(t, follower, position, want)
			}
		})
	}
}
