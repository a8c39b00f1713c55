package engine

import (
	"context"
	"errors"
)

// KeySize is how many bytes a key has.
const KeySize = 32

// ErrErased marks a stream whose subject was erased: its key is destroyed, for ever.
var ErrErased = errors.New("its subject was erased, and the key of what was personal is destroyed")

// Keys keep the keys that personal fields are sealed with: one per stream, of [KeySize]
// bytes. Reads are strongly consistent. Nothing of a destroyed key is left in what the
// adapter stores.
type Keys interface {
	// Key returns the stream's key: made, durably, if make is set and there is none; nil if
	// there is none. [ErrErased] if it was destroyed, which is for ever. The caller must not
	// modify it.
	Key(ctx context.Context, s Stream, make bool) ([]byte, error)
	// Destroy destroys the stream's key, durably; also where there is none yet.
	Destroy(ctx context.Context, s Stream) error
}
