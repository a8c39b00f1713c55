package local

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The tables of the store: the first byte of a key. What follows is listed with each,
// and after the arrow, the value.
const (
	// The event log: one commit per position, in the order in which they became durable.
	tableCommits = 'c' // position → commit
	tableStreams = 's' // aggregate, id, seq → position

	// Consumers.
	tableMarks   = 'm' // consumer → position: it has seen the log up to there. Of a task: when its latest file was claimed
	tableKnown   = 'k' // consumer that has been given every stream → nothing
	tableStarts  = 'b' // follower → position of the log's last commit before it began
	tableCursors = 'f' // follower, aggregate, id → seq of the next commit
	tableParked  = 'p' // consumer, aggregate, id → what failed
	// Of a command id: its origin, seq, index.
	tableRejections     = 'x' // id → rejection
	tableRejectionOrder = 'o' // follower, order → id
	tableJobs           = 'j' // lane, when it is due, number → job

	tableRows      = 'r' // model, id → row
	tableIndexes   = 'i' // model, field, value, id → nothing; the field "" is the owner
	tableSorted    = 'q' // model, sort, field, value, order key → id, words; the field "*" is for all rows
	tableWords     = 'w' // model, word, id → nothing
	tableSnapshots = 'z' // aggregate, id → snapshot
	tableKeys      = 'y' // aggregate, id → slot of the key of what is personal; below 0: it was destroyed

	tableSchedules  = 't' // schedule → revision, its state
	tableHeartbeats = 'h' // plugin → when it was alive
	tableStore      = '!' // name → a number: what there is to know about the store itself, and by what its read models' rows are sorted and searched
)

// key is a key of the store, or the beginning of one. Keys sort as what they are made of:
// texts by their bytes, numbers by size.
type key []byte

func keyIn(table byte) key { return append(make(key, 0, 64), table) }

// text adds a text. What ends it sorts before all that can follow in a longer one.
func (k key) text(s string) key {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			return append(append(k, s...), 0, 1)
		}
		k = append(append(k, s[:i]...), 0, 0xff)
		s = s[i+1:]
	}
}

// number adds a number.
func (k key) number(n int64) key { return binary.BigEndian.AppendUint64(k, uint64(n)^1<<63) }

// end is the key after all that begin with this one.
func (k key) end() key {
	end := bytes.Clone(k)
	end[len(end)-1]++ // a table, a text's end, or a number that is not the largest
	return end
}

// parts reads what a key is made of, from its table on.
type parts struct {
	rest []byte
	bad  bool
}

func partsOf(k []byte) *parts { return &parts{rest: k[1:]} }

func (p *parts) text() string {
	var out []byte
	for {
		i := bytes.IndexByte(p.rest, 0)
		if i < 0 || i+1 == len(p.rest) {
			p.bad = true
			return ""
		}
		part, mark := p.rest[:i], p.rest[i+1]
		p.rest = p.rest[i+2:]
		if mark == 1 {
			return string(append(out, part...))
		}
		out = append(append(out, part...), 0)
	}
}

func (p *parts) number() int64 {
	if len(p.rest) < 8 {
		p.bad = true
		return 0
	}
	n := int64(binary.BigEndian.Uint64(p.rest) ^ 1<<63)
	p.rest = p.rest[8:]
	return n
}

func (p *parts) err() error { return malformed(p.bad, "a key") }

// value is a value of the store: numbers and texts, one after the other.
type value []byte

func (v value) number(n int64) value { return binary.AppendVarint(v, n) }

func (v value) text(s string) value { return append(binary.AppendUvarint(v, uint64(len(s))), s...) }

func (v value) bytes(b []byte) value { return append(binary.AppendUvarint(v, uint64(len(b))), b...) }

func (v value) bool(b bool) value {
	if b {
		return v.number(1)
	}
	return v.number(0)
}

// fields reads a value. What it returns is copied.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() int64 {
	n, size := binary.Varint(f.rest)
	if size <= 0 {
		f.bad, f.rest = true, nil
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// raw is the next text, in place.
func (f *fields) raw() []byte {
	n, size := binary.Uvarint(f.rest)
	if size <= 0 || n > uint64(len(f.rest)-size) {
		f.bad, f.rest = true, nil
		return nil
	}
	b := f.rest[size : size+int(n)]
	f.rest = f.rest[size+int(n):]
	return b
}

func (f *fields) text() string  { return string(f.raw()) }
func (f *fields) bytes() []byte { return bytes.Clone(f.raw()) }
func (f *fields) bool() bool    { return f.number() != 0 }
func (f *fields) err() error    { return malformed(f.bad, "a value") }

func malformed(bad bool, what string) error {
	if bad {
		return fmt.Errorf("%w: %s is not what this program writes", pebble.ErrCorruption, what)
	}
	return nil
}

// nanos is a time as it is stored; fromNanos reads it.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time { return time.Unix(0, n).UTC() }
