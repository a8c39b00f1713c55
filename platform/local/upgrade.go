package local

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	_ "modernc.org/sqlite" // reads folders of earlier versions

	"onlineshop/es/engine"
)

// Earlier versions kept everything in a SQLite file.
const (
	sqliteFile = "shop.db"
	// afterUpgrade is added to its name.
	afterUpgrade = ".upgraded"
	// upgradedName says of a store that it holds what sqliteFile does, which still has its
	// name.
	upgradedName = "upgraded"
)

// sqliteApplication is the application id of such a file; earlier ones have none.
const sqliteApplication = 0x53686f70 // "Shop"

// upgrade brings a data folder of an earlier version up to date: what its SQLite file
// holds is copied to a new database, and the file gets another name. It may be broken off
// at any moment, and begun again.
func upgrade(ctx context.Context, d disk, folder string, log *slog.Logger) error {
	old := filepath.Join(folder, sqliteFile)
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	database := databaseDir(folder)
	if _, err := os.Stat(database); err == nil {
		return finishUpgrade(d, folder)
	}
	log.WarnContext(ctx, "the data folder is of an earlier version: its database is copied to a new one, which takes a while", "from", old, "to", database)
	unfinished := database + ".upgrading"
	if err := d.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := d.makeDir(unfinished); err != nil {
		return err
	}
	commits, err := copySQLite(ctx, d, old, unfinished)
	if err != nil {
		return errors.Join(fmt.Errorf("copy %s, which stays as it is: %w", old, err), d.RemoveAll(unfinished))
	}
	if err := d.Rename(unfinished, database); err != nil {
		return err
	}
	if err := d.syncDir(folder); err != nil {
		return err
	}
	log.WarnContext(ctx, "the data folder is up to date; what it was before is kept until you delete it", "commits", commits, "before", old+afterUpgrade)
	return finishUpgrade(d, folder)
}

// finishUpgrade gives the SQLite file, of which there is a copy, its other name.
func finishUpgrade(d disk, folder string) (err error) {
	db, err := pebble.Open(databaseDir(folder), databaseOptions(d.FS, databaseLog{}, newTrouble()))
	if err != nil {
		return explained(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	k := keyIn(tableStore).text(upgradedName)
	ours, err := read(db, k, func(*fields) {})
	switch {
	case err != nil:
		return explained(err)
	case !ours:
		return fmt.Errorf("%s has a database and also %s, of an earlier version: move away the one that you don't want", folder, sqliteFile)
	}
	for _, suffix := range []string{"-shm", "-wal", ""} {
		name := filepath.Join(folder, sqliteFile)
		if err := d.Rename(name+suffix, name+afterUpgrade+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := d.syncDir(folder); err != nil {
		return err
	}
	return db.Delete(k, pebble.Sync)
}

// copySQLite copies the file's tables to a database in the folder, and says how many
// commits there are.
func copySQLite(ctx context.Context, d disk, file, folder string) (commits int, err error) {
	from, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: file}).String())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := checkSQLite(ctx, from); err != nil {
		return 0, err
	}
	to, err := pebble.Open(folder, databaseOptions(d.FS, databaseLog{}, newTrouble()))
	if err != nil {
		return 0, explained(err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	c := copier{from: from, to: to, batch: to.NewBatch()}
	for _, table := range []func(context.Context) error{
		c.log, c.consumers, c.rows, c.later,
	} {
		if err := table(ctx); err != nil {
			return 0, err
		}
	}
	c.set(keyIn(tableStore).text(schemaName), value(nil).number(schemaVersion))
	c.set(keyIn(tableStore).text(upgradedName), value(nil).number(1))
	return c.commits, errors.Join(c.err, c.batch.Commit(pebble.Sync), to.Flush())
}

// checkSQLite returns an error unless the file is one of ours.
func checkSQLite(ctx context.Context, db *sql.DB) error {
	var version, application, ours int
	for query, dest := range map[string]*int{
		"PRAGMA user_version": &version, "PRAGMA application_id": &application,
		"SELECT count(*) FROM sqlite_schema WHERE name IN ('commits', 'rows_by_field', 'known')": &ours,
	} {
		if err := db.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return err
		}
	}
	if application != 0 && application != sqliteApplication || version != 1 || ours < 3 {
		return errors.New("it is not a database that this program knows: choose another data folder, or put it elsewhere")
	}
	var found string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("see whether it is whole: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("it is damaged: restore it from a backup: %s", found)
	}
	return nil
}

// copier copies tables.
type copier struct {
	from    *sql.DB
	to      *pebble.DB
	batch   *pebble.Batch
	err     error // of the batches before
	commits int
}

func (c *copier) set(k key, v value) {
	_ = c.batch.Set(k, v, nil)
	if c.batch.Len() > 4<<20 {
		c.err = errors.Join(c.err, c.batch.Commit(pebble.NoSync)) // what ends it syncs
		c.batch = c.to.NewBatch()
	}
}

// each copies the rows of a query.
func (c *copier) each(ctx context.Context, query string, dest []any, one func() error) error {
	rows, err := c.from.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := one(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// has says whether there is such a table, or such a column of one.
func (c *copier) has(ctx context.Context, table, column string) (has bool, err error) {
	err = c.from.QueryRowContext(ctx, "SELECT count(*) > 0 FROM pragma_table_info(?) WHERE ? IN ('', name)", table, column).Scan(&has)
	return has, err
}

func (c *copier) log(ctx context.Context) error {
	var position, seq, version int64
	var st engine.Stream
	var events, meta sql.RawBytes
	return c.each(ctx, "SELECT position, aggregate, id, seq, version, events, meta FROM commits ORDER BY position",
		[]any{&position, &st.Aggregate, &st.ID, &seq, &version, &events, &meta}, func() error {
			c.set(commitKey(position), value(nil).text(st.Aggregate).text(st.ID).number(seq).number(version).bytes(events).bytes(meta))
			c.set(streamKey(st, seq), value(nil).number(position))
			c.commits++
			return nil
		})
}

// consumers copies what is kept of consumers and of streams.
func (c *copier) consumers(ctx context.Context) error {
	var name, text string
	var st engine.Stream
	var n, last, attempts int64
	var data sql.RawBytes
	tables := []struct {
		query string
		dest  []any
		one   func()
	}{
		{"SELECT consumer, position FROM marks WHERE consumer <> 'index'", []any{&name, &n}, func() { c.set(keyIn(tableMarks).text(name), value(nil).number(n)) }},
		{"SELECT consumer FROM known", []any{&name}, func() { c.set(keyIn(tableKnown).text(name), nil) }},
		{"SELECT follower, aggregate, id, next FROM cursors", []any{&name, &st.Aggregate, &st.ID, &n}, func() { c.set(cursorKey(name, st), value(nil).number(n)) }},
		{"SELECT plugin, time FROM heartbeats", []any{&name, &n}, func() { c.set(keyIn(tableHeartbeats).text(name), value(nil).number(n)) }},
		{"SELECT aggregate, id, data FROM snapshots", []any{&st.Aggregate, &st.ID, &data}, func() { c.set(snapshotKey(st), value(nil).bytes(data)) }},
		{"SELECT consumer, aggregate, id, error, since, last, attempts FROM parked", []any{&name, &st.Aggregate, &st.ID, &text, &n, &last, &attempts}, func() {
			c.set(parkedAt(name, st), parkedValue(engine.Parked{Error: text, Since: fromNanos(n), Last: fromNanos(last), Attempts: int(attempts)}))
		}},
	}
	if has, err := c.has(ctx, "starts", ""); err != nil {
		return err
	} else if has {
		tables = append(tables, tables[0])
		t := &tables[len(tables)-1]
		t.query, t.one = "SELECT follower, position FROM starts", func() { c.set(keyIn(tableStarts).text(name), value(nil).number(n)) }
	}
	for _, t := range tables {
		if err := c.each(ctx, t.query, t.dest, func() error { t.one(); return nil }); err != nil {
			return fmt.Errorf("%s: %w", strings.TrimPrefix(t.query, "SELECT "), err)
		}
	}
	return nil
}

func (c *copier) rows(ctx context.Context) error {
	var row engine.Row
	var at, view, indexed sql.RawBytes
	return c.each(ctx, "SELECT model, id, rev, view, owner, at, indexed FROM rows",
		[]any{&row.Model, &row.ID, &row.Rev, &view, &row.Owner, &at, &indexed}, func() error {
			row.View, row.At = json.RawMessage(view), nil
			if err := json.Unmarshal(at, &row.At); err != nil {
				return fmt.Errorf("positions of row %s of %s: %w", row.ID, row.Model, err)
			}
			var fields map[string]string
			if indexed != nil {
				if err := json.Unmarshal(indexed, &fields); err != nil {
					return fmt.Errorf("index of row %s of %s: %w", row.ID, row.Model, err)
				}
			}
			c.set(rowKey(row.Model, row.ID), rowValue(row, fields))
			for field, value := range fields {
				c.set(indexPrefix(row.Model, field, value).text(row.ID), nil)
			}
			return nil
		})
}

func (c *copier) later(ctx context.Context) error {
	bulk := "bulk"
	if has, err := c.has(ctx, "later", bulk); err != nil {
		return err
	} else if !has {
		bulk = "0"
	}
	var j job
	var latest int64
	err := c.each(ctx, "SELECT number, consumer, aggregate, id, seq, since, due, attempts, "+bulk+" FROM later",
		[]any{&j.number, &j.consumer, &j.Aggregate, &j.ID, &j.seq, &j.since, &j.due, &j.attempts, &j.bulk}, func() error {
			latest = max(latest, j.number)
			c.set(j.key(), j.value())
			return nil
		})
	c.set(keyIn(tableStore).text(jobsName), value(nil).number(latest))
	return err
}
