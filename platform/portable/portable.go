// Package portable is the file that holds a whole shop: what "shop backup" writes and "shop
// restore" reads, on every platform.
//
// # The file
//
// A file is text, compressed by zstd: lines that end with a newline, each a JSON object with
// one member, whose name is the kind of the line. `zstd -dc FILE | head` shows it.
//
//	{"header":{"format":1,"shop":"Online shop","time":"2026-11-26T21:00:00Z","program":"v1","plugins":["Catalog","Ordering"]}}
//	{"cursor":{"consumer":"mapping:Ordering.AutoShip","stream":"Ordering.Order#o1","next":1}}
//	{"commit":{"stream":"Catalog.Product#mug","seq":0,"version":1,"hash":"…","events":[…],"meta":{…}}}
//	{"start":{"follower":"mapping:Ordering.AutoShip","after":0}}
//	{"trailer":{"commits":1,"lines":5,"sha256":"…"}}
//
// The header comes first, the trailer last. Between them are, in any order:
//
//   - commit: a commit of the log. Events and meta are byte for byte what the log stores, so
//     that hash, in base64, still says that they are what was appended; it is absent where an
//     earlier version appended it. Commits are in causal order: each comes after its
//     predecessor in its stream, and after the commit that it follows from.
//   - cursor: the next commit of a stream for a follower to act on. Of two cursors of a
//     follower on a stream, the later line holds, and is the further one.
//   - start: where a new follower began. It passes over the first "after" commits of the
//     file. "since" says the same by time: those are the commits before that time, except
//     some of the same time or out of order, which have cursors. Both are absent where it
//     began with the first commit.
//   - parked: a consumer that failed on a stream.
//   - rejection: the answer "no" to a follower's command, of the past 30 days.
//   - schedule: what a schedule last did.
//   - key: that a stream has personal data, which its commits have encrypted. "erased" says
//     that its key was destroyed. Otherwise "key" has the key, if the file holds keys:
//     encrypted by AES-256-GCM, the nonce first, with the stream's name as additional data,
//     and the file's key, which the header's "keys" has, encrypted by age (age-encryption.org)
//     for whoever may open it.
//
// The trailer has the number of commits, the number of lines including the trailer's own, and
// the SHA-256 of everything before its line. A file without a trailer was cut.
//
// Views are not in the file, since they are folded again, nor snapshots, for the same reason.
// Objects in buckets and folders, reports and kept e-mails are no part of the log, and are
// not in it, either.
//
// A reader refuses a format that is higher than its own. Within a format, members and kinds
// of lines may be added; a reader passes over those that it does not know.
package portable

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"onlineshop/es/engine"
)

// Format is the format that this package writes, and the highest one that it reads.
const Format = 1

// Line is a line of a file: one of its fields is set, or none where the kind is unknown.
type Line struct {
	Header    *Header
	Commit    *Commit
	Cursor    *Cursor
	Start     *Start
	Parked    *engine.Parked
	Rejection *engine.KeptRejection
	Schedule  *engine.ScheduleState
	Key       *Key
	Trailer   *Trailer
}

// Header says what the file is.
type Header struct {
	Format  int       `json:"format"`
	Shop    string    `json:"shop"`
	Time    time.Time `json:"time"`
	Program string    `json:"program"` // version of the program that wrote it
	Plugins []string  `json:"plugins"`
	Keys    []byte    `json:"keys,omitempty"` // the file's key, encrypted; empty: it holds no keys
}

// Commit is a commit as a log stores it.
type Commit struct {
	Stream       engine.Stream
	Seq, Version int64
	Events, Meta []byte // JSON
	Hash         []byte // empty: of an earlier version
}

// Check returns an error unless the commit's hash says that it is what was appended.
func (c *Commit) Check() error {
	of := engine.Commit{Stream: c.Stream, Seq: c.Seq, Version: c.Version, Hash: c.Hash}
	return of.CheckStored(c.Events, c.Meta)
}

// Cursor is a follower's place in a stream.
type Cursor struct {
	Consumer string
	Stream   engine.Stream
	Next     int64
}

// Start is where a follower began: see the package's description.
type Start struct {
	Follower string    `json:"follower"`
	After    int64     `json:"after,omitempty"`
	Since    time.Time `json:"since,omitzero"`
}

// Key is the key of a stream's personal data.
type Key struct {
	Stream engine.Stream
	Key    []byte // nil: it was destroyed, or can't be read
	Erased bool   // it was destroyed
}

// Trailer ends a file.
type Trailer struct {
	Commits int64  `json:"commits"`
	Lines   int64  `json:"lines"`
	SHA256  string `json:"sha256"`
}

// Source is a shop that is backed up: it calls yield with each line except header and
// trailer. What it yields is yield's until that returns. The commits are a prefix of the
// shop's history: with a commit, all that it follows from is there.
type Source func(ctx context.Context, yield func(Line) error) error

// Target is an empty shop that is restored. Nobody works on it from Begin to End.
type Target interface {
	// Begin returns how many commits of the file of that id are there already. It returns
	// an error if the shop is not empty, and not the unfinished restore of this file.
	Begin(ctx context.Context, id string) (done int64, err error)
	// Keep stores lines other than commits, all of which come before the commits. Where a
	// restore is resumed, they come again.
	Keep(ctx context.Context, lines []Line) error
	// Append stores the next commits.
	Append(ctx context.Context, commits []Commit) error
	// End makes it a shop that can be opened. It is durable.
	End(ctx context.Context) error
}

// Scratch keeps keys and values in order, on disk rather than in memory.
type Scratch interface {
	Set(key, value []byte) error
	// Get returns nil if there is no such key. The value is the caller's.
	Get(key []byte) ([]byte, error)
	// Each calls yield for the keys that begin with the prefix, in order. Keys and values
	// are yield's until it returns.
	Each(prefix []byte, yield func(key, value []byte) error) error
}

// Make writes what the source yields as a file. It checks each commit's hash.
func Make(ctx context.Context, w *Writer, h Header, from Source) error {
	h.Format = Format
	if err := w.Write(Line{Header: &h}); err != nil {
		return err
	}
	err := from(ctx, func(l Line) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.Commit != nil {
			if err := l.Commit.Check(); err != nil {
				return err
			}
		}
		return w.Write(l)
	})
	if err != nil {
		return err
	}
	return w.Close()
}

// heads are the ends of streams as far as a file was read.
type heads struct{ Scratch }

// follow returns an error unless the commit is the next one of its stream.
func (h heads) follow(c *Commit) error {
	key := append([]byte("head "), c.Stream.String()...)
	at, err := h.Get(key)
	if err != nil {
		return err
	}
	last := engine.Commit{Seq: -1}
	if len(at) >= 16 {
		last.Seq, last.Version, last.Hash = int64(binary.BigEndian.Uint64(at)), int64(binary.BigEndian.Uint64(at[8:])), at[16:]
	}
	if c.Seq != last.Seq+1 || c.Version <= last.Version {
		return fmt.Errorf("%w: %s: commit %d with version %d follows commit %d with version %d", engine.ErrBroken, c.Stream, c.Seq, c.Version, last.Seq, last.Version)
	}
	this := engine.Commit{Stream: c.Stream, Seq: c.Seq, Version: c.Version, Hash: c.Hash}
	if err := this.CheckFollows(last.Link()); err != nil {
		return err
	}
	at = binary.BigEndian.AppendUint64(nil, uint64(c.Seq))
	return h.Set(key, append(binary.BigEndian.AppendUint64(at, uint64(c.Version)), c.Hash...))
}
