package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// dedupEntry is a commit's command, as much of it as a repeat needs.
type dedupEntry struct {
	From    fromHash  `json:"f"`
	At      int64     `json:"a,omitempty"`
	Nr      int64     `json:"n,omitempty"`
	Payload string    `json:"p"`
	Version int64     `json:"v"`
	Events  []string  `json:"e"`
	Time    time.Time `json:"t"`
}

// fromHash stands for an ID's From: 128 bits of SHA-256.
type fromHash [16]byte

func (h fromHash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *fromHash) UnmarshalText(b []byte) error {
	_, err := hex.Decode(h[:], b)
	return err
}

func hashFrom(from string) fromHash {
	h := sha256.Sum256([]byte(from))
	return fromHash(h[:16])
}

// covers says whether a command with the id was decided already, as far as this
// commit can tell.
func (r dedupEntry) covers(from fromHash, id CommandID) bool {
	return r.From == from && (r.At > id.Seq || r.At == id.Seq && r.Nr >= id.Index)
}

// find returns the commit that covers the id.
func (f *aggregateState) find(from fromHash, id CommandID) *dedupEntry {
	for i := len(f.window) - 1; i >= 0; i-- {
		if f.window[i].covers(from, id) {
			return &f.window[i]
		}
	}
	return nil
}

// mayBeEvicted says whether a commit that covers the id may lie further
// back than recent reaches, given when the command was made.
func (f *aggregateState) mayBeEvicted(from fromHash, since time.Time) bool {
	return f.evicted != nil && !since.After(f.evictedUntil) && f.evicted.mayHave(from)
}

// filter is a Bloom filter of the Froms that are no longer remembered: it keeps
// a catch-up of thousands of old commands on one aggregate from reading the
// whole stream for each. Of 10,000 ids 5 % are looked up in vain.
type filter [1024]uint64

func (f *filter) bits(h fromHash) (out [4]uint64) {
	a, b := binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:])
	for i := range out {
		out[i] = (a + uint64(i)*b) % uint64(len(f)*64)
	}
	return out
}

func (f *filter) add(h fromHash) {
	for _, b := range f.bits(h) {
		f[b/64] |= 1 << (b % 64)
	}
}

func (f *filter) mayHave(h fromHash) bool {
	for _, b := range f.bits(h) {
		if f[b/64]&(1<<(b%64)) == 0 {
			return false
		}
	}
	return true
}

// decidedBy says whether the commit tells that the order was decided earlier: a
// row of an import that is done again most often meets its own.
func (o *attempt) decidedBy(c Commit) bool {
	id := c.Meta.Command
	return dedupEntry{From: hashFrom(id.Origin), At: id.Seq, Nr: id.Index}.covers(o.from, o.id)
}

// lookup searches the whole log for the order's id.
func (e *Engine) lookup(ctx context.Context, o *attempt) (found bool, err error) {
	err = e.commits(ctx, o.stream, 0, func(c Commit) error {
		found = found || o.decidedBy(c)
		return nil
	})
	return found, err
}

// hashCommand tells one payload from another, for [ErrKeyReused].
func hashCommand(typ string, data []byte) string {
	h := sha256.Sum256(append([]byte(typ+"\n"), data...))
	return hex.EncodeToString(h[:12])
}
