package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// store keeps everything in one Pebble database: written by one goroutine, read by
// anybody. It implements the engine's ports.
type store struct {
	*writer
	db        *pebble.DB
	feed      *feed
	parked    *parkedKeys
	rejecting rejecting
	owned     map[string]bool // read models that are listed by owner
	trouble   *trouble
	ends      *acknowledged
	dir       string // of the database
	keys      *keyFile

	inUse sync.RWMutex // read-locked by whoever reads, locked once it is closed
}

// schemaVersion counts changes of what keys and values are made of.
const schemaVersion = 3 // 2: commits have hashes; those of 1, which have none, are read. 3: what is personal is sealed

// What the store knows about itself, by name.
const (
	schemaName = "schema" // schemaVersion of the program that made it
	jobsName   = "jobs"   // the number of the latest job
)

// storeOptions say where a store is, and on which disk; nil: the machine's.
type storeOptions struct {
	dir   string
	disk  vfs.FS
	owned map[string]bool
	log   *slog.Logger
	// acceptLoss goes on with a log whose end is lost; otherwise it is opened to be read.
	acceptLoss bool
	toRead     bool // writes nothing
	restore    bool // a restore into it may not have come to its end
}

// openStore opens the database in the folder, made where there is none.
func openStore(ctx context.Context, o storeOptions) (*store, error) {
	if o.disk == nil {
		o.disk = machine
	}
	s := &store{dir: o.dir, owned: o.owned, feed: newFeed(), trouble: newTrouble(), keys: &keyFile{disk: o.disk, name: o.dir + ".keys"}}
	if err := unlessFatal(func() error { return s.open(ctx, o) }); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database in %s: %w", o.dir, explained(err)), s.close())
	}
	return s, nil
}

// databaseOptions bound what the database takes: of memory some 100 MiB.
func databaseOptions(disk vfs.FS, log pebble.Logger, t *trouble) *pebble.Options {
	o := &pebble.Options{
		FS:                          disk,
		Logger:                      log,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   32 << 20,
		MemTableSize:                8 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                500,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		EventListener: &pebble.EventListener{
			BackgroundError: t.note,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { t.note(i.Details) },
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most appends and rows ask for a key that is not there
	}
	return o
}

func (s *store) open(ctx context.Context, o storeOptions) (err error) {
	var at time.Time
	if s.ends, at, err = openAcknowledged(o.disk, o.dir, o.toRead); err != nil {
		return err
	}
	if o.toRead || s.ends.position > 0 && !o.acceptLoss {
		if whole, err := s.openToRead(ctx, o, at); !whole || err != nil {
			return err
		}
	}
	// Pebble asks for its disk's patience, and tells of an end that it can't avoid.
	if s.db, err = openDatabase(o.dir, databaseOptions(s.trouble.waitingForRoom(o.disk, o.dir), databaseLog{o.log}, s.trouble)); err != nil {
		return err
	}
	version, err := s.about(schemaName)
	switch {
	case err != nil:
		return err
	case version > schemaVersion:
		return fmt.Errorf("it was written by a newer version of this program (schema %d, this one knows %d): use that one", version, schemaVersion)
	case version < schemaVersion:
		if err := s.db.Set(keyIn(tableStore).text(schemaName), value(nil).number(schemaVersion), pebble.Sync); err != nil {
			return err
		}
	}
	return s.begin(ctx, o)
}

// openDatabase opens a Pebble database.
func openDatabase(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	err = unlessFatal(func() (err error) {
		db, err = pebble.Open(dir, o)
		return err
	})
	return db, err
}

// begin reads what is kept in memory, and starts to write.
func (s *store) begin(ctx context.Context, o storeOptions) error {
	if unfinished, err := read(s.db, keyIn(tableStore).text(restoringName), func(*fields) {}); err != nil {
		return err
	} else if unfinished && !o.restore {
		return errRestoring
	}
	head, err := s.last(ctx)
	if err != nil {
		return err
	}
	s.feed.head = head.position
	if s.ends.position > head.position && s.trouble.final() == nil {
		if o.log != nil {
			o.log.WarnContext(ctx, "the end of the log is lost, and that is accepted", "acknowledged", s.ends.position, "end", head.position)
		}
		if err := s.ends.set(head.position); err != nil {
			return err
		}
	}
	if s.parked, err = s.loadParked(ctx); err != nil {
		return err
	}
	if err := s.loadRejecting(ctx); err != nil {
		return err
	}
	s.writer = startWriter(s.db, s.feed.head+1, s.trouble, s.ends)
	return nil
}

// last is the commit with the highest position; one that can't be read is its place only.
func (s *store) last(ctx context.Context) (p positioned, err error) {
	err = s.scan(ctx, keyIn(tableCommits), nil, backward, func(k, v []byte) (bool, error) {
		p.position = partsOf(k).number()
		if whole, err := commitOf(&fields{rest: v}, p.position); err == nil {
			p = *whole
		}
		return false, nil
	})
	return p, err
}

// openToRead opens the database without writing to it, and sees whether all is there that
// was acknowledged. If it is not, that is how it stays open: opened to be written, the
// database would drop what is left of the end, which somebody may still read.
func (s *store) openToRead(ctx context.Context, o storeOptions, at time.Time) (whole bool, err error) {
	options := databaseOptions(o.disk, databaseLog{o.log}, s.trouble)
	options.ReadOnly, options.FormatMajorVersion = true, 0 // whatever it has
	if s.db, err = openDatabase(o.dir, options); errors.Is(err, pebble.ErrDBDoesNotExist) || errors.Is(err, fs.ErrNotExist) {
		s.db = nil
		return false, lost(positioned{}, s.ends.position, at)
	} else if err != nil {
		return false, err
	}
	head, err := s.last(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case s.ends.position > head.position:
		s.trouble.lose(lost(head, s.ends.position, at))
		return false, s.begin(ctx, o)
	case o.toRead:
		s.trouble.lose(errToRead)
		return false, s.begin(ctx, o)
	}
	err = s.db.Close()
	s.db = nil
	return true, err
}

// about is what the store knows about itself; 0: nothing.
func (s *store) about(name string) (n int64, err error) {
	_, err = read(s.db, keyIn(tableStore).text(name), func(f *fields) { n = f.number() })
	return n, err
}

// close writes what is waiting. A database whose disk is full, or has failed, is left
// as it is: what was acknowledged is in it. A damaged one is closed, since it would try
// again and again in the background to write what it can't.
func (s *store) close() (err error) {
	written := s.writer == nil || s.writer.close()
	if s.ends != nil {
		defer func() { err = errors.Join(err, s.ends.close(), s.keys.close()) }()
	}
	if s.db == nil || !written || s.trouble.held.Load() {
		return nil
	}
	s.inUse.Lock() // for ever
	return s.db.Close()
}

// read reads a value, if it is there.
func read(from pebble.Reader, k key, each func(*fields)) (found bool, err error) {
	i, err := from.NewIter(seeking)
	if err != nil {
		return false, err
	}
	found, err = seek(i, k, each)
	return found, cmp.Or(err, i.Close())
}

// seeking asks the filters of the last level, too, which most keys are in: Pebble's Get
// reads a block of it for each key that is not there.
var seeking = &pebble.IterOptions{UseL6Filters: true}

// seek reads the value that the iterator has at the key, if it is there.
func seek(i *pebble.Iterator, k key, each func(*fields)) (found bool, err error) {
	if !i.SeekPrefixGE(k) { // to Pebble, all of a key is its prefix
		return false, i.Error()
	}
	v, err := i.ValueAndErr()
	if err != nil {
		return false, err
	}
	f := fields{rest: v}
	each(&f)
	return true, f.err()
}

// get reads a value, if it is there, for the engine.
func (s *store) get(ctx context.Context, k key, each func(*fields)) (found bool, err error) {
	done, err := s.reading(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	if found, err = read(s.db, k, each); err != nil {
		return found, s.trouble.unavailable(err)
	}
	return found, nil
}

// reading begins to read, which done ends. Nobody may begin again meanwhile.
func (s *store) reading(ctx context.Context) (done func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !s.inUse.TryRLock() {
		return nil, fmt.Errorf("read: %w", errShuttingDown)
	}
	return s.inUse.RUnlock, nil
}

// direction is that of a scan.
type direction bool

const (
	forward  direction = false
	backward direction = true
)

// scan calls each for what is at and after from, or in the other direction before it,
// among the keys that begin with the prefix; nil: for all of them. A false from each
// ends it. Keys and values are each's until it returns.
func (s *store) scan(ctx context.Context, prefix, from key, to direction, each func(k, v []byte) (more bool, err error)) error {
	done, err := s.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	return s.trouble.noted(scan(s.db, prefix, from, to, each))
}

// scanError marks an error of a scan's each, not of the database.
type scanError struct{ error }

func scan(db pebble.Reader, prefix, from key, to direction, each func(k, v []byte) (more bool, err error)) error {
	first, end := prefix, prefix.end()
	switch {
	case from != nil && to == forward:
		first = from
	case from != nil:
		end = from
	}
	return scanBetween(db, first, end, to, each)
}

// scanBetween calls each for what is at and after lower, and before upper.
func scanBetween(db pebble.Reader, lower, upper key, to direction, each func(k, v []byte) (more bool, err error)) (err error) {
	i, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, i.Close()) }()
	first, next := i.First, i.Next
	if to == backward {
		first, next = i.Last, i.Prev
	}
	for ok := first(); ok; ok = next() {
		v, err := i.ValueAndErr()
		if err != nil {
			return err
		}
		if more, err := each(i.Key(), v); err != nil {
			return scanError{err}
		} else if !more {
			return nil
		}
	}
	return i.Error()
}

// databaseLog is Pebble's logger.
type databaseLog struct{ log *slog.Logger }

func (databaseLog) Infof(string, ...any) {}

func (l databaseLog) Errorf(format string, args ...any) {
	if l.log != nil {
		l.log.Warn("the database", "error", fmt.Sprintf(format, args...))
	}
}

// Fatalf does not return, as Pebble expects. On the writer's goroutine it ends what is
// being written. On Pebble's own it ends the process: the next one goes on with all that
// was acknowledged.
func (l databaseLog) Fatalf(format string, args ...any) {
	panic(fatal{fmt.Errorf(format, args...)})
}

// fatal is what Pebble can't go on after.
type fatal struct{ error }

func (f fatal) Unwrap() error { return f.error }

func (f fatal) Error() string {
	return "the database can't go on, and what it acknowledged is safe: look at the disk, and start the shop again: " + f.error.Error()
}

// databaseDir is where a data folder has its database.
func databaseDir(folder string) string { return filepath.Join(folder, "database") }

// probe writes something, to see whether what was wrong with the database still is.
func (s *store) probe(ctx context.Context) error {
	if s.trouble.is() && s.trouble.final() == nil {
		_ = s.writer.write(ctx, func(t *tx) error { // it is noted how it ends
			t.set(keyIn(tableStore).text(schemaName), value(nil).number(schemaVersion))
			return nil
		}, nil)
	}
	return nil
}
