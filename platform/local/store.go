package local

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"onlineshop/es/engine"
	"onlineshop/platform/internal/lanes"

	"modernc.org/sqlite"
)

// store keeps everything in one SQLite file: written by one goroutine, read over
// a small pool of connections. It implements the engine's ports.
type store struct {
	*writer
	write   *sql.DB
	read    [2]pool // by lane: live reads wait for no bulk ones
	feed    *feed
	tail    *unindexed
	parked  *parkedKeys
	owned   map[string]bool // read models that are listed by owner
	file    string
	trouble trouble
}

//go:embed schema.sql
var schema string

// schemaVersion counts changes of schema.sql.
const schemaVersion = 1

// applicationID says that a database is a shop's. Folders of earlier versions have
// none.
const applicationID = 0x53686f70 // "Shop"

// openStore opens the database in the file, made where there is none.
func openStore(ctx context.Context, file string, owned map[string]bool) (*store, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	if runtime.GOOS == "linux" {
		// As durable as fsync, and it spares writing the file's times. For the whole
		// process, which has no other databases.
		if _, err := sqlite.Fdatasync(true); err != nil {
			return nil, err
		}
	}
	write, err := openDB(file, 1, "journal_mode(wal)", "synchronous(full)", "cache_size(-16384)", "wal_autocheckpoint(8000)")
	if err != nil {
		return nil, err
	}
	s := &store{write: write, owned: owned, file: file, feed: newFeed(), tail: newTail()}
	if err := s.open(ctx, file); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", file, explained(err)), s.close())
	}
	return s, nil
}

func (s *store) open(ctx context.Context, file string) (err error) {
	conn, err := s.write.Conn(ctx)
	if err != nil {
		return err
	}
	var version, application, tables, ours int
	for query, dest := range map[string]*int{
		"PRAGMA user_version": &version, "PRAGMA application_id": &application, "SELECT count(*) FROM sqlite_schema": &tables,
		"SELECT count(*) FROM sqlite_schema WHERE name IN ('commits', 'rows_by_field', 'known')": &ours,
	} {
		if err := conn.QueryRowContext(ctx, query).Scan(dest); err != nil {
			return err
		}
	}
	switch {
	case application != 0 && application != applicationID, version == 0 && tables > 0, version > 0 && version <= schemaVersion && ours < 3:
		return errors.New("it is the database of another program: choose another data folder, or put it elsewhere")
	case version > schemaVersion:
		return fmt.Errorf("it was written by a newer version of this program (schema %d, this one knows %d): use that one", version, schemaVersion)
	case version == schemaVersion:
		if err := addLanes(ctx, conn); err != nil {
			return err
		}
	case version == 0:
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("BEGIN; %s; PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT", schema, schemaVersion, applicationID)); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(file)); err != nil {
			return err
		}
	}
	for lane := range s.read {
		if s.read[lane].DB, err = openDB(file, readers[lane], "query_only(true)", "cache_size(-2048)"); err != nil {
			return err
		}
	}
	if err := s.read[lanes.Live].QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM commits").Scan(&s.feed.head); err != nil {
		return err
	}
	if s.parked, err = s.loadParked(ctx); err != nil {
		return err
	}
	if err := s.loadTail(ctx); err != nil {
		return err
	}
	s.writer = startWriter(conn, func() (*sql.Conn, error) { return s.write.Conn(context.Background()) }, s.feed.head+1, s.tail, &s.trouble)
	return nil
}

// addLanes adds to a database of an earlier program what says whether a job is bulk
// work. Such a program goes on with it.
func addLanes(ctx context.Context, conn *sql.Conn) error {
	var has bool
	err := conn.QueryRowContext(ctx, "SELECT count(*) > 0 FROM pragma_table_info('later') WHERE name = 'bulk'").Scan(&has)
	if err != nil || has {
		return err
	}
	_, err = conn.ExecContext(ctx, "BEGIN; ALTER TABLE later ADD COLUMN bulk INTEGER NOT NULL DEFAULT 0; CREATE INDEX later_by_lane ON later (bulk, due); COMMIT")
	return err
}

// readers is how many connections read at a time, by lane.
var readers = [2]int{lanes.Live: 4, lanes.Bulk: 2}

// pool is connections to read with, and what is prepared on them.
type pool struct {
	*sql.DB
	prepared sync.Map // query → *sql.Stmt
}

// openDB waits shortly where another program has the database: whoever asks tries
// again, and has no more than seconds.
func openDB(file string, connections int, pragmas ...string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: file, RawQuery: url.Values{"_pragma": append(pragmas, "busy_timeout(20)")}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// close writes what is waiting, and leaves one file without a log of its own.
func (s *store) close() error {
	var errs []error
	if s.writer != nil {
		err := s.index(context.Background())
		s.writer.close()
		errs = append(errs, err)
		_, err = s.tx.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		errs = append(errs, err, s.tx.conn.Close())
	}
	for lane := range s.read {
		if db := s.read[lane].DB; db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(append(errs, s.write.Close())...)
}

// query runs a prepared query for each of its rows. A false from each ends it.
func (s *store) query(ctx context.Context, query string, args []any, each func(scan func(...any) error) (more bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	lane := lanes.Live
	if engine.IsBulk(ctx) {
		lane = lanes.Bulk
	}
	st, err := s.read[lane].prepare(query)
	if err != nil {
		return s.trouble.unavailable(err)
	}
	// Not ctx: the driver watches one that can end with a goroutine per query,
	// which costs more than these queries do.
	rows, err := st.QueryContext(context.WithoutCancel(ctx), args...)
	if err != nil {
		return s.trouble.unavailable(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if more, err := each(rows.Scan); err != nil || !more {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return s.trouble.unavailable(err)
	}
	return nil
}

// get reads at most one row.
func (s *store) get(ctx context.Context, query string, args, dest []any) (found bool, err error) {
	err = s.query(ctx, query, args, func(scan func(...any) error) (bool, error) {
		found = true
		return false, scan(dest...)
	})
	return found, err
}

func (p *pool) prepare(query string) (*sql.Stmt, error) {
	if st, ok := p.prepared.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := p.Prepare(query)
	if err != nil {
		return nil, err
	}
	if other, loaded := p.prepared.LoadOrStore(query, st); loaded {
		return other.(*sql.Stmt), st.Close()
	}
	return st, nil
}

// truncateFrom is how large the write-ahead log may be before it is cut: a reader
// that lasts lets it grow, and it does not shrink by itself.
const truncateFrom = 64 << 20

// truncate cuts the write-ahead log where it has grown and nobody reads what is in
// it. What is in it goes into the database beside the writer's work, so that the
// writer is kept waiting for the cut alone. The writer cuts it itself: it would take
// the lock of anybody else for another program's.
func (s *store) truncate(ctx context.Context, from int64) error {
	info, err := os.Stat(s.file + "-wal")
	if err != nil || info.Size() < from {
		return nil // there is none, or it is small
	}
	db, err := openDB(s.file, 1)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var busy, pages, done int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &done); err != nil {
		return s.trouble.unavailable(err)
	}
	if busy != 0 || done < pages {
		return nil // somebody still reads it
	}
	return s.writer.write(ctx, func(*tx) error { return nil }, func() {
		// That it fails, as where somebody reads again, shows in the next attempt.
		_ = s.tx.get("PRAGMA wal_checkpoint(TRUNCATE)", nil, []any{&busy, &pages, &done})
	})
}

// probe writes nothing, to see whether what was wrong with the database still is.
func (s *store) probe(ctx context.Context) error {
	if s.trouble.is() && s.trouble.final() == nil {
		_ = s.writer.write(ctx, func(*tx) error { return nil }, nil) // it is noted how it ends
	}
	return nil
}
