package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrBroken marks a stream of which a commit is not what was appended, or is gone. Nothing is
// decided on such a stream, nor made from it.
var ErrBroken = errors.New("the stream is damaged")

// broken is the error of a damaged stream, for people.
func broken(s Stream, seq int64, what string, args ...any) error {
	return fmt.Errorf(`%w: %s at commit %d: %s; nothing is decided on it until it is mended: "shop verify" says what else is damaged; restore a backup`,
		ErrBroken, s, seq, fmt.Sprintf(what, args...))
}

// A commit's hash is in two halves: a digest of the commit itself, so that whoever reads it
// alone can check it, and a digest of that and the previous commit's second half, its link,
// so that whoever reads both can check that they follow one another.
const (
	halfHash = 16
	// HashSize is the size of a [Commit].Hash.
	HashSize = 2 * halfHash
)

// Link is the part of the hash that the next commit's is made from, and that a whole stream
// up to this commit can be told by; nil if the commit has no hash.
func (c Commit) Link() []byte {
	if len(c.Hash) != HashSize {
		return nil
	}
	return c.Hash[halfHash:]
}

// encoding is the stored form of a commit's events and metadata.
type encoding struct{ events, meta []byte }

// Encode returns the commit's events and metadata in JSON, as a log is to store them: the
// hash is of these bytes.
func (c Commit) Encode() (events, meta []byte, err error) {
	if c.encoded != nil {
		return c.encoded.events, c.encoded.meta, nil
	}
	if events, err = json.Marshal(c.Events); err != nil {
		return nil, nil, fmt.Errorf("events of %s at %d: %w", c.Stream, c.Seq, err)
	}
	if meta, err = json.Marshal(c.Meta); err != nil {
		return nil, nil, fmt.Errorf("metadata of %s at %d: %w", c.Stream, c.Seq, err)
	}
	return events, meta, nil
}

// Lean returns the commit without its stored form, for those who keep it in memory.
func (c Commit) Lean() Commit {
	c.encoded = nil
	return c
}

// CheckStored returns an [ErrBroken] unless the hash says that these are the commit's events
// and metadata, as they are stored. It marks the commit as checked. A commit without a hash
// is of an earlier version, and taken as it is.
func (c *Commit) CheckStored(events, meta []byte) error {
	switch {
	case len(c.Hash) == 0:
	case len(c.Hash) != HashSize:
		return broken(c.Stream, c.Seq, "its hash has %d bytes", len(c.Hash))
	default:
		if digest := c.digest(events, meta); !bytes.Equal(digest[:], c.Hash[:halfHash]) {
			return broken(c.Stream, c.Seq, "it is not what was written")
		}
	}
	c.checked = true
	return nil
}

func (c Commit) digest(events, meta []byte) (out [halfHash]byte) {
	h := sha256.New()
	var n [2 * binary.MaxVarintLen64]byte
	for _, part := range [][]byte{
		[]byte(c.Stream.Aggregate), []byte(c.Stream.ID), binary.AppendVarint(binary.AppendVarint(n[:0], c.Seq), c.Version), events, meta,
	} {
		var size [binary.MaxVarintLen64]byte
		h.Write(binary.AppendUvarint(size[:0], uint64(len(part))))
		h.Write(part)
	}
	copy(out[:], h.Sum(nil))
	return out
}

func linked(previous, digest []byte) []byte {
	h := sha256.Sum256(append(append(make([]byte, 0, HashSize), previous...), digest...))
	return h[:halfHash]
}

// seal gives the commit its hash. previous is the link of the commit before; nil: there is
// none, or it has no hash.
func (c Commit) seal(previous []byte) (Commit, error) {
	events, meta, err := c.Encode()
	if err != nil {
		return c, err
	}
	digest := c.digest(events, meta)
	c.Hash = append(digest[:], linked(previous, digest[:])...)
	c.encoded, c.checked = &encoding{events, meta}, true
	return c, nil
}

// check is CheckStored for a commit that a port returned: none has to keep the stored form.
func (c *Commit) check() error {
	if c.checked || len(c.Hash) == 0 {
		return nil
	}
	events, meta, err := c.Encode()
	if err != nil {
		return broken(c.Stream, c.Seq, "it is not what was written: %v", err)
	}
	return c.CheckStored(events, meta)
}

// CheckFollows returns an [ErrBroken] unless the commit follows one with that
// [Commit.Link]; nil: there is none before it, or that one has no hash. One without a hash
// follows anything: while a stack is updated, old code may still append. It shows in
// [Engine.Verify].
func (c Commit) CheckFollows(previous []byte) error {
	if len(c.Hash) != 0 && !bytes.Equal(c.Link(), linked(previous, c.Hash[:halfHash])) {
		return broken(c.Stream, c.Seq, "it does not follow what is there before it")
	}
	return nil
}

// chain is a place in a stream that is read forward.
type chain struct {
	stream Stream
	next   int64
	link   []byte // of the commit before
	known  bool   // whether that one was seen, or there is none
}

func chainAt(s Stream, from int64) chain { return chain{stream: s, next: from, known: from == 0} }

// step returns an [ErrBroken] unless the commit is the next one.
func (h *chain) step(c Commit) error {
	if c.Seq != h.next {
		return broken(h.stream, h.next, "it is missing, and %d is there", c.Seq)
	}
	if h.known {
		if err := c.CheckFollows(h.link); err != nil {
			return err
		}
	}
	h.next, h.link, h.known = c.Seq+1, c.Link(), true
	return nil
}

// checkedLog checks each commit that it returns. Whoever reads a stream forward checks its
// chain, too: see [Engine.commits].
type checkedLog struct {
	Log
	found func(context.Context, Stream, error)
}

// note tells of damage.
func (l checkedLog) note(ctx context.Context, s Stream, err error) error {
	if errors.Is(err, ErrBroken) {
		l.found(ctx, s, err)
	}
	return err
}

func (l checkedLog) Read(ctx context.Context, s Stream, from int64, limit int) (commits []Commit, more bool, err error) {
	if commits, more, err = l.Log.Read(ctx, s, from, limit); err == nil {
		err = checkAll(commits)
	}
	return commits, more, l.note(ctx, s, err)
}

func (l checkedLog) ReadBackward(ctx context.Context, s Stream, before int64) (commits []Commit, err error) {
	if commits, err = l.Log.ReadBackward(ctx, s, before); err == nil {
		err = checkAll(commits)
	}
	for i := len(commits) - 1; i >= 0 && err == nil; i-- { // oldest first
		at := chainAt(s, commits[i].Seq)
		if i+1 < len(commits) {
			at = chain{s, commits[i+1].Seq + 1, commits[i+1].Link(), true}
		}
		err = at.step(commits[i])
	}
	return commits, l.note(ctx, s, err)
}

func (l checkedLog) Append(ctx context.Context, c Commit) error {
	err := l.Log.Append(ctx, c)
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
		if broken := conflict.Theirs.check(); broken != nil {
			return l.note(ctx, c.Stream, broken)
		}
	}
	return l.note(ctx, c.Stream, err)
}

func checkAll(commits []Commit) error {
	for i := range commits {
		if err := commits[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// noteBroken tells of damage, if that is what the error is.
func (e *Engine) noteBroken(ctx context.Context, s Stream, err error) {
	if errors.Is(err, ErrBroken) {
		e.damaged(ctx, s, err)
	}
}

// damaged tells of a damaged stream.
func (e *Engine) damaged(ctx context.Context, s Stream, err error) {
	e.Count(StreamDamaged, s.Aggregate)
	e.Logger.ErrorContext(ctx, "a stream is damaged", "stream", s, "error", err)
}
