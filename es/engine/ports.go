// Package engine runs what package es declares: it decides and appends, follows
// and relays, projects, parks and sweeps. It is a set of state machines over
// the ports below; a platform brings their adapters.
//
// One rule carries everything: the log is the queue, and every message is a
// hint. A consumer keeps its place in each stream and catches up from the log,
// so a hint may come late, early, twice or never.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"onlineshop/es"
)

// Stream names one aggregate's log.
type Stream struct {
	Aggregate string // full name, e.g. "Catalog.Product"
	ID        string
}

// String is "Catalog.Product#p1".
func (s Stream) String() string { return s.Aggregate + "#" + s.ID }

// ParseStream reads what [Stream.String] wrote.
func ParseStream(s string) (Stream, error) {
	a, id, ok := strings.Cut(s, "#")
	if !ok {
		return Stream{}, fmt.Errorf("%q is not a stream: expected Plugin.Aggregate#id", s)
	}
	return Stream{a, id}, nil
}

// Commit is what one command decided: all of its events or none are in the log.
type Commit struct {
	Stream  Stream
	Seq     int64            // place in the stream: 0, 1, 2 … without gaps
	Version int64            // events in the stream up to and with this commit
	Events  []es.StoredEvent // at least one
	Meta    Meta

	decoded *decoding // shared by copies of the commit in this process; nil: none is kept
}

// Detached returns the commit as another process gets it, without what only this one
// has made of it.
func (c Commit) Detached() Commit {
	c.decoded = nil
	return c
}

// Meta is what a commit knows beside its events. Its JSON is stored.
type Meta struct {
	Command       CommandID `json:"command"`
	Payload       string    `json:"payload"`   // hash of the command, see hashCommand
	MessageID     string    `json:"messageId"` // the command's
	CorrelationID string    `json:"correlationId"`
	CausationID   string    `json:"causationId,omitempty"`
	User          string    `json:"user"`
	Owner         string    `json:"owner,omitempty"`
	Service       string    `json:"service"` // the plugin
	Time          time.Time `json:"time"`    // milliseconds, never before the previous commit's or its cause's
	Traceparent   string    `json:"traceparent,omitempty"`
}

// CommandID names a command, so that it takes effect once: an idempotency key (At and
// Nr 0), or a follower and its source stream at a commit's place. A remembered
// id covers every earlier one of the same From.
type CommandID struct {
	Origin string `json:"from"`
	Seq    int64  `json:"at,omitempty"`
	Index  int64  `json:"nr,omitempty"`
}

// ErrConflict is what [Conflict] is.
var ErrConflict = errors.New("another commit has this place in the stream")

// Conflict refuses an append: Theirs is the commit that has the place.
type Conflict struct{ Theirs Commit }

func (c *Conflict) Error() string {
	return fmt.Sprintf("%s at %d: %v", c.Theirs.Stream, c.Theirs.Seq, ErrConflict)
}

// Unwrap makes errors.Is(err, ErrConflict) true.
func (c *Conflict) Unwrap() error { return ErrConflict }

// ErrUnavailable marks a throttle or time-out of a store: worth a retry. An
// append that ends with it may or may not have happened.
var ErrUnavailable = errors.New("the store is not available now")

// ErrDamaged marks a store that is known not to hold what was written: no retry
// helps, and nothing more is accepted.
var ErrDamaged = errors.New("the store is damaged")

// Log is the event log.
type Log interface {
	// Read returns commits of the stream from seq on, in order, strongly
	// consistent. more says that there are further ones (the store pages by size);
	// a page with more is not empty.
	Read(ctx context.Context, s Stream, from int64) (commits []Commit, more bool, err error)
	// ReadBackward returns commits with a sequence number below seq, newest first. The
	// page is empty only if there are none. The caller must not modify the commits.
	ReadBackward(ctx context.Context, s Stream, before int64) (commits []Commit, err error)
	// Append adds the commit if its place is free and is the stream's next;
	// otherwise [*Conflict]. When it returns nil the commit is durable.
	Append(ctx context.Context, c Commit) error
	// Streams lists streams of an aggregate in a stable order; next is empty at the end.
	Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error)
}

// Cursor is a follower's place in a stream.
type Cursor struct {
	Next   int64 // the next commit to act on
	Parked bool
}

// Cursors keeps followers' places.
type Cursors interface {
	Cursor(ctx context.Context, consumer string, s Stream) (Cursor, error)
	// Advance moves the cursor if it still is at from; a loser is told nothing.
	Advance(ctx context.Context, consumer string, s Stream, from, to int64) error
}

// Starts keeps since when followers that act on the world are here: mappings and
// side effects. What was committed before is not for a new one.
type Starts interface {
	// Begin lets those of a plugin's followers begin now that are not known yet;
	// durable when it returns. Those of a plugin that is new here begin with the
	// first commit. first is when the commit was made that is the first to reach
	// them, which is not before they began; zero: none did.
	Begin(ctx context.Context, plugin string, followers []string, first time.Time) error
	// Past says whether the commit was there before the follower began. One that
	// never began, as of a program that kept no starts, is there from the beginning.
	Past(ctx context.Context, follower string, s Stream, seq int64, committed time.Time) (bool, error)
}

// Row is a read model's row as it is stored.
type Row struct {
	Model string
	ID    string
	View  json.RawMessage // nil: absent (kept for its revision, or never there)
	Owner string          // of the commit that made the row
	// At is, per source aggregate, how far its stream is folded.
	At      map[string]Position
	Rev     int64             // counts writes, for conditional ones; 0: never written
	Indexed map[string]string // declared index fields that have a value
}

// Position is how far a stream is folded.
type Position struct {
	Next    int64 `json:"next"`    // the next commit
	Version int64 `json:"version"` // events folded
}

// Query selects rows of a read model.
type Query struct {
	Model  string
	Field  string // a declared index, or empty
	Value  string
	Owner  string // only this owner's rows; empty: all
	Limit  int
	Cursor string // of the adapter; empty: from the start
}

// Rows keeps read models.
type Rows interface {
	// Row is the stored row; one that was never written has revision 0.
	Row(ctx context.Context, model, id string) (Row, error)
	// Put writes the row if the stored one has revision row.Rev-1; lost otherwise.
	Put(ctx context.Context, row Row) (lost bool, err error)
	// List pages through rows that are there. A page may hold fewer rows than the
	// limit, even none, while next is not empty.
	List(ctx context.Context, q Query) (rows []Row, next string, err error)
}

// Parked is a key that failed: a follower or read model on one stream.
type Parked struct {
	Consumer string    `json:"consumer"` // e.g. "mapping:Ordering.AutoShip"
	Stream   Stream    `json:"-"`
	Error    string    `json:"error"`
	Since    time.Time `json:"since"`
	Last     time.Time `json:"last"` // the latest attempt
	Attempts int       `json:"attempts"`
}

// Parking keeps the keys that failed.
type Parking interface {
	// Park notes a failure; a follower's Cursor.Parked is set from then on. A key
	// that is parked already keeps its Since, and one is added to its Attempts.
	Park(ctx context.Context, p Parked) error
	// Parked is the key as it is parked; nil: it is not.
	Parked(ctx context.Context, consumer string, s Stream) (*Parked, error)
	// Unpark ends a parking, unless Last or Attempts say that the key was parked
	// again since p was read: what a slow copy got done is not what failed later.
	Unpark(ctx context.Context, p Parked) error
	// ListParked pages through what is parked; next is empty at the end.
	ListParked(ctx context.Context, cursor string) (parked []Parked, next string, err error)
}

// StreamEnd is a hint's Seq that stands for whatever the stream's end is.
const StreamEnd = math.MaxInt64

// Hint says that a stream has a commit that concerns a follower.
type Hint struct {
	Follower string // e.g. "mapping:Ordering.AutoShip"
	Stream   Stream
	Seq      int64
	Commit   *Commit // for convenience; may be nil
	Entry    *Entry  // likewise, for an extension
	Parked   bool    // a redrive's: the key is listed, whatever its cursor says
	Waited   bool    // sent with a delay: it has been waited for the commits up to Seq

	act func(context.Context) error // what the follower does about Commit, where that is known already
}

// Detached returns the hint as another process gets it, without what only this one has
// made of its commit.
func (h Hint) Detached() Hint {
	h.act = nil
	if h.Commit != nil {
		c := h.Commit.Detached()
		h.Commit = &c
	}
	return h
}

// Hints carries hints to the followers, at least once, in any order.
type Hints interface {
	// Send hands hints over, to arrive after the delay (at most [es.MaxDelay]).
	Send(ctx context.Context, delay time.Duration, hints ...Hint) error
}

// Entry is what one commit published at an extension point.
type Entry struct {
	Point  string // e.g. "Catalog.Products"
	Stream Stream
	Seq    int64
	Prev   int64 // place of the stream's previous commit that published here; -1: none
	Time   time.Time
	Meta   Meta
	Events []PublishedEvent // nil: too large to carry; the follower fetches them
	// Swept says that a sweep put it on the bus again, as the stream's latest. One
	// without events stands for a stream that published nothing.
	Swept bool
}

// PublishedEvent is an extension point's event.
type PublishedEvent struct {
	es.StoredEvent
	Key string `json:"key"` // its route, e.g. the product's id
}

// Bus carries entries to the extensions that listen, at least once, in any order.
type Bus interface {
	Publish(ctx context.Context, entries ...Entry) error
}

// Publications is how an extension asks the publishing plugin for what it
// missed: entries of the stream from seq on, in order. more as in [Log].Read;
// next is where to go on (entries are sparse), and never beyond the stream's end.
type Publications interface {
	Since(ctx context.Context, point string, s Stream, from int64) (entries []Entry, next int64, more bool, err error)
}

// Snapshots keeps folded states, best effort.
type Snapshots interface {
	// Snapshot returns the latest one saved, or nil.
	Snapshot(ctx context.Context, s Stream) ([]byte, error)
	SaveSnapshot(ctx context.Context, s Stream, data []byte) error
}

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// Sleep waits about so long (the adapter adds jitter), or returns the context's error.
	Sleep(ctx context.Context, d time.Duration) error
	// NewID makes a unique message id.
	NewID() string
}

// StreamLock lets one command at a time decide on a stream within a process, so that
// neighbours don't race each other to the log. Optional: the log decides anyway.
type StreamLock interface {
	Enter(ctx context.Context, s Stream) (leave func(), err error)
}
