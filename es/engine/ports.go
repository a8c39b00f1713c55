// Package engine runs what package es declares: it decides and appends, relays and
// follows, projects, parks and sweeps. It is a set of state machines over the ports
// below; a platform provides their adapters.
//
// One rule carries everything: the log is the queue, and every message is a hint. A
// consumer keeps its position in each stream and catches up from the log, so a hint may
// come late, early, twice or never.
//
// # Ports
//
// Every port must be safe for concurrent use. A method returns [ErrUnavailable] if its
// store is throttled or can't be reached: the engine retries such a call for about three
// seconds. It returns [ErrDamaged] if the store no longer holds what was written: the
// engine does not retry. Any other error is final for the call, and ends up in the log,
// in an answer, or in a parked key.
//
// What a port returns is shared: neither the engine nor the port modifies the slices of
// a commit, an entry or a row once they are handed over.
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

// Stream identifies one aggregate's log.
type Stream struct {
	Aggregate string // full name, e.g. "Catalog.Product"
	ID        string
}

// String returns the stream's name, e.g. "Catalog.Product#p1".
func (s Stream) String() string { return s.Aggregate + "#" + s.ID }

// ParseStream parses what [Stream.String] returned.
func ParseStream(s string) (Stream, error) {
	a, id, ok := strings.Cut(s, "#")
	if !ok {
		return Stream{}, fmt.Errorf("%q is not a stream: expected Plugin.Aggregate#id", s)
	}
	return Stream{a, id}, nil
}

// Commit holds what one command decided: all of its events are in the log, or none.
type Commit struct {
	Stream  Stream
	Seq     int64            // place in the stream: 0, 1, 2 … without gaps
	Version int64            // events in the stream up to and with this commit
	Events  []es.StoredEvent // at least one
	Meta    Meta
	Hash    []byte // shows that it is what was appended, after what: see [Commit.CheckStored]; empty: of an earlier version

	// UnlessRejected has [Log].Append refuse the commit with [ErrRejected] if a rejection of
	// its command is kept. It is not stored.
	UnlessRejected bool

	key     []byte    // that its personal fields were opened with; nil: none
	plain   bool      // they are stored as they are, by an earlier version
	open    bool      // its personal fields are as they were before they were sealed
	decoded *decoding // shared by copies of the commit in this process; nil: none is kept
	encoded *encoding // what the hash is of; nil: not kept
	checked bool      // by the hash
}

// Detached returns the commit as another process gets it, without what only this one
// has made of it.
func (c Commit) Detached() Commit {
	c.key, c.open, c.decoded, c.encoded, c.checked = nil, false, nil, nil, false
	return c
}

// Meta holds a commit's metadata. Its JSON is stored.
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
	Bulk          bool      `json:"bulk,omitempty"` // appended by bulk work: see [Bulk]
}

// CommandID names a command, so that it takes effect once: an idempotency key (Seq and
// Index 0), or a follower and its source stream at a commit's place. A remembered
// id covers every earlier one of the same Origin.
type CommandID struct {
	Origin string `json:"from"`
	Seq    int64  `json:"at,omitempty"`
	Index  int64  `json:"nr,omitempty"`
}

// Follower returns the name of the follower that sent the command.
func (id CommandID) Follower() string {
	follower, _, _ := strings.Cut(id.Origin, "/")
	return follower
}

// Source returns the name of the stream that the follower acted on.
func (id CommandID) Source() string {
	_, source, _ := strings.Cut(id.Origin, "/")
	if strings.HasPrefix(source, reacts) {
		_, source, _ = strings.Cut(source, "/")
	}
	return source
}

// reacts begins the part of an Origin, between follower and stream, that says which of the
// commit's commands was refused, so that this one followed.
const reacts = "rejected-"

// ErrConflict is what [ConflictError] is.
var ErrConflict = errors.New("another commit has this place in the stream")

// ConflictError is the error of an append whose place is taken: Theirs is the commit that
// has it.
type ConflictError struct{ Theirs Commit }

func (c *ConflictError) Error() string {
	return fmt.Sprintf("%s at %d: %v", c.Theirs.Stream, c.Theirs.Seq, ErrConflict)
}

// Unwrap makes errors.Is(err, ErrConflict) true.
func (c *ConflictError) Unwrap() error { return ErrConflict }

// ErrUnavailable marks a throttled or timed-out call that is worth a retry. An append
// that ends with it may or may not have happened.
var ErrUnavailable = errors.New("the store is not available now")

// ErrDamaged marks a store that no longer holds what was written. Retrying does not
// help, and the store accepts nothing more.
var ErrDamaged = errors.New("the store is damaged")

// Log is the event log. Reads are strongly consistent. A commit's hash is of its bytes as
// they are stored: a log stores what [Commit.Encode] returns, and has what it reads checked
// by [Commit.CheckStored].
type Log interface {
	// Read returns a page of the stream's commits from seq from on, in order: at most
	// limit, or if that is 0, as many as the store's pages hold. more reports whether
	// further ones may follow; such a page is not empty. A stream that does not exist
	// has no commits.
	Read(ctx context.Context, s Stream, from int64, limit int) (commits []Commit, more bool, err error)
	// ReadBackward returns commits with a sequence number below seq, newest first. The
	// page is empty only if there are none. The caller must not modify the commits.
	ReadBackward(ctx context.Context, s Stream, before int64) (commits []Commit, err error)
	// Append adds the commit if its place is the stream's next one, and returns a
	// [*ConflictError] if another commit has that place. When it returns nil the commit is
	// durable. See also [Commit].UnlessRejected.
	Append(ctx context.Context, c Commit) error
	// Streams returns a page of the ids of an aggregate's streams, in a stable order.
	// next is the cursor of the following page, empty at the end; a foreign cursor
	// gives [ErrCursor].
	Streams(ctx context.Context, aggregate, cursor string) (ids []string, next string, err error)
}

// Cursor is a follower's place in a stream.
type Cursor struct {
	Next   int64 // the next commit to act on
	Parked bool
}

// Cursors keeps followers' positions.
type Cursors interface {
	// Cursor returns the follower's cursor on the stream, strongly consistent: the zero
	// value if there is none yet.
	Cursor(ctx context.Context, consumer string, s Stream) (Cursor, error)
	// Advance moves the cursor from from to to. If it is no longer at from, somebody
	// else moved it: Advance does nothing and returns nil.
	Advance(ctx context.Context, consumer string, s Stream, from, to int64) error
}

// Starts keeps when mappings and side effects were first deployed. A new one ignores
// what was committed before.
type Starts interface {
	// Begin records now as the start of those of the plugin's followers that have none
	// yet; the record is durable when it returns. Followers of a new plugin start with
	// its first commit, or with what others publish from now on.
	Begin(ctx context.Context, plugin string, b Beginning) error
	// Past reports whether the commit was made before the follower started. A follower
	// without a record, from a program that kept none, has always been there.
	Past(ctx context.Context, follower string, s Stream, seq int64, committed time.Time) (bool, error)
}

// Beginning is what some of a plugin's followers begin with.
type Beginning struct {
	Followers []string
	// Others begin with them where the plugin has kept no start yet, and otherwise with what
	// reaches them first themselves.
	Others []string
	// First is the time of the first commit that reaches the followers, which is never before
	// their start; zero if there is none.
	First time.Time
}

// Row is a stored row of a read model.
type Row struct {
	Model string
	ID    string
	View  json.RawMessage // nil: absent (kept for its revision, or never there)
	Owner string          // of the commit that made the row
	// At is, per source aggregate, how far its stream is folded.
	At      map[string]Position
	Rev     int64             // counts writes, for conditional ones; 0: never written
	Made    int64             // by which code, of a view or a head of rows below it: see [Declared]
	Indexed map[string]string // declared index fields that have a value
	Sorted  map[string]string // by declared sort field: an order key, of one without a value, too
	Words   []string          // what the row can be found by, in order

	keys map[string][]byte // that the view is sealed with when it is stored, by source
	shut bool              // the stored view can't be opened: a subject of it was erased
}

// Position is how far a stream is folded.
type Position struct {
	Next    int64 `json:"next"`    // the next commit
	Version int64 `json:"version"` // events folded
}

// Query selects rows of a read model.
type Query struct {
	Model      string
	Field      string // a declared index, or empty
	Value      string
	Owner      string   // only this owner's rows; empty: all
	Sort       string   // a declared sort: in the order of its keys, see Query.Spans; empty: in any order
	Descending bool     // the last value first; rows without a value come last all the same
	From, To   string   // bounds of the order keys, which Query.Range sets; empty: none
	Words      []string // beginnings of words that a row must have; empty: any row
	Limit      int
	Cursor     string // of the adapter; empty: from the start
}

// Rows keeps read models.
type Rows interface {
	// Row returns the stored row, strongly consistent. A row that was never written has
	// revision 0.
	Row(ctx context.Context, model, id string) (Row, error)
	// Put writes the row if the stored one has revision row.Rev-1. Otherwise it writes
	// nothing and reports lost.
	Put(ctx context.Context, row Row) (lost bool, err error)
	// List returns a page of the rows that match, eventually consistent. A page may
	// hold fewer rows than the limit, even none, while next is not empty. A foreign
	// cursor gives [ErrCursor].
	List(ctx context.Context, q Query) (rows []Row, next string, err error)
	// Items returns a page of the rows below an ID, strongly consistent. See [ItemID].
	Items(ctx context.Context, q ItemsQuery) (rows []Row, more bool, err error)
	// PutItems writes a head as Put does, which keeps its positions though it has no view,
	// and with it all of the rows below and totals, or nothing: at most [ItemsAtOnce]. It
	// does not look at rows' revisions; one without a view is removed.
	PutItems(ctx context.Context, head Row, rows []Row, totals []Total) (lost bool, err error)
	// Keys returns a page of the keys that have totals, eventually consistent, in a stable
	// order. A foreign cursor gives [ErrCursor].
	Keys(ctx context.Context, model, cursor string, limit int) (keys []string, next string, err error)
}

// ItemsQuery selects rows below an ID, in the order of sub-ids.
type ItemsQuery struct {
	Model, ID  string
	From, To   string // sub-ids from From on, before To; empty: all, but never the head
	Descending bool
	Limit      int
}

// Total is what is added to a row of sums, which is made where there is none. The row's
// view has a text for each of them, a number.
type Total struct {
	Model, ID string            // below its key
	Add       map[string]string // decimal numbers, by name
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
	// Park records a failure and sets the follower's Cursor.Parked. A key that is
	// already parked keeps its Since, and its Attempts grow by one.
	Park(ctx context.Context, p Parked) error
	// Parked returns the parked key, or nil if it is not parked.
	Parked(ctx context.Context, consumer string, s Stream) (*Parked, error)
	// Unpark removes p, unless Last or Attempts show that the key was parked again
	// since p was read: a slow retry must not clear a later failure.
	Unpark(ctx context.Context, p Parked) error
	// ListParked returns a page of what is parked. next is the cursor of the following
	// page, empty at the end; a foreign cursor gives [ErrCursor].
	ListParked(ctx context.Context, cursor string) (parked []Parked, next string, err error)
}

// StreamEnd is a [Hint].Seq that means "up to the end of the stream".
const StreamEnd = math.MaxInt64

// Hint tells a follower that a stream has a commit for it.
type Hint struct {
	Follower string // e.g. "mapping:Ordering.AutoShip"
	Stream   Stream
	Seq      int64
	Commit   *Commit // for convenience; may be nil
	Entry    *Entry  // likewise, for an extension
	Parked   bool    // a redrive's: the key is listed, whatever its cursor says
	Waited   bool    // sent with a delay: it has been waited for the commits up to Seq
	Bulk     bool    // sent by bulk work: see [Bulk]

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
	// Send hands the hints over, to arrive after the delay, which may be years.
	// An implementation may call [Engine.Follow] before it returns.
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

	to audience
}

// audience is for which followers an entry is, where side effects have a lane of their
// own: see [Engine.RelayEffects].
type audience int

const (
	everybody audience = iota
	sideEffects
	others
)

// PublishedEvent is an extension point's event.
type PublishedEvent struct {
	es.StoredEvent
	Key string `json:"key"` // its route, e.g. the product's id
}

// Bus carries entries to the followers that listen, at least once, in any order. Which
// they are in a process, [Engine.Heard] says.
type Bus interface {
	// Publish hands the entries over. An implementation may call [Engine.Follow] before
	// it returns.
	Publish(ctx context.Context, entries ...Entry) error
}

// Publications is how an extension asks the publishing plugin for what it missed.
type Publications interface {
	// Since returns entries of the stream from seq from on, in order. Entries are
	// sparse: next is the seq to continue at, never beyond the stream's end. more is
	// as in [Log].
	Since(ctx context.Context, point string, s Stream, from int64) (entries []Entry, next int64, more bool, err error)
}

// Snapshots keeps folded states, best effort: whatever goes wrong, the log serves.
type Snapshots interface {
	// Snapshot returns the latest snapshot saved, or nil if there is none.
	Snapshot(ctx context.Context, s Stream) ([]byte, error)
	// SaveSnapshot replaces the stream's snapshot; nil removes it. data is the caller's.
	SaveSnapshot(ctx context.Context, s Stream, data []byte) error
}

// Clock tells the time and waits.
type Clock interface {
	// Now returns the current time. It may jump.
	Now() time.Time
	// Sleep waits for about d (the adapter adds jitter), or returns the context's error.
	Sleep(ctx context.Context, d time.Duration) error
	// NewID returns a unique message id.
	NewID() string
}

// StreamLock lets one command at a time decide on a stream within a process, so that
// neighbours don't race each other to the log. Optional: the log decides anyway.
type StreamLock interface {
	// Lock waits for the stream's turn and returns the function that ends it, or the
	// context's error.
	Lock(ctx context.Context, s Stream) (unlock func(), err error)
}
