package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// dedupEntry is what is kept of a commit's command to recognize and answer a repeat.
type dedupEntry struct {
	From    fromHash  `json:"f"`
	At      int64     `json:"a,omitempty"`
	Nr      int64     `json:"n,omitempty"`
	Payload string    `json:"p"`
	Version int64     `json:"v"`
	Events  []string  `json:"e"`
	Time    time.Time `json:"t"`
}

// fromHash identifies a [CommandID]'s Origin: 128 bits of its SHA-256.
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

// covers reports whether this commit shows that a command with the id was decided.
func (r dedupEntry) covers(from fromHash, id CommandID) bool {
	return r.From == from && (r.At > id.Seq || r.At == id.Seq && r.Nr >= id.Index)
}

// find returns the entry that covers the id, or nil.
func (f *aggregateState) find(from fromHash, id CommandID) *dedupEntry {
	for i := len(f.window) - 1; i >= 0; i-- {
		if f.window[i].covers(from, id) {
			return &f.window[i]
		}
	}
	return nil
}

// mayBeEvicted reports whether a commit that covers the id may have left the window,
// given when the command was made.
func (f *aggregateState) mayBeEvicted(from fromHash, since time.Time) bool {
	return f.evicted != nil && !since.After(f.evictedUntil) && f.evicted.mayHave(from)
}

// filter is a Bloom filter of the origins that have left the window. Without it, a
// follower that catches up with thousands of old commands on one aggregate would search
// the whole stream for each of them. With 10,000 ids, 5 % of the searches are false
// positives.
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

// decidedBy reports whether the commit shows that the command was decided earlier. A
// repeated import row usually meets its own commit this way.
func (o *attempt) decidedBy(c Commit) bool {
	id := c.Meta.Command
	return dedupEntry{From: hashFrom(id.Origin), At: id.Seq, Nr: id.Index}.covers(o.from, o.id)
}

// lookup searches the whole log for the command's id.
func (e *Engine) lookup(ctx context.Context, o *attempt) (found bool, err error) {
	err = e.commits(ctx, o.stream, 0, func(c Commit) error {
		found = found || o.decidedBy(c)
		return nil
	})
	return found, err
}

// hashCommand returns a hash of the payload, to detect [ErrKeyReused]. What is personal could
// be guessed from it, so there it is keyed.
func hashCommand(key []byte, typ string, data []byte) string {
	h := sha256.New()
	if key != nil {
		h = hmac.New(sha256.New, key)
	}
	h.Write([]byte(typ + "\n"))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil)[:12])
}
