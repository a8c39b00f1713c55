package httpapi

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
)

// sealer encrypts cursors, which may name rows and streams. Safe for concurrent
// use.
type sealer struct {
	key func(context.Context) ([]byte, error)

	mu   sync.Mutex
	aead cipher.AEAD // nil: the key is not known yet
}

// newKey is for those who need none that outlives the process.
func newKey() func(context.Context) ([]byte, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return func(context.Context) ([]byte, error) { return key, nil }
}

func (s *sealer) cipher(ctx context.Context) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead != nil {
		return s.aead, nil
	}
	key, err := s.key(ctx)
	if err != nil {
		return nil, fmt.Errorf("the key of cursors: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key of cursors: %w", err)
	}
	s.aead, err = cipher.NewGCMWithRandomNonce(block)
	return s.aead, err
}

// belongs is what a cursor is valid for: one endpoint, id, filter, sort, range and search and, where a page
// shows the caller's own rows only, caller.
func (c *call) belongs() []byte {
	owner := ""
	if c.endpoint.owner != nil {
		owner = c.endpoint.owner(c.caller)
	}
	return fmt.Appendf(nil, "%q%s", []string{c.endpoint.path, c.id, c.field, c.value, owner}, c.selection.Identity())
}

// encodeCursor makes a cursor for the caller of what the engine or the store made; ""
// stays "".
func (c *call) encodeCursor(inner string) (string, error) {
	if inner == "" {
		return "", nil
	}
	aead, err := c.cursors.cipher(c.Context())
	if err != nil {
		return "", err
	}
	c.sealed, c.unsealed = base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, []byte(inner), c.belongs())), inner
	return c.sealed, nil
}

// decodeCursor reads what encodeCursor made.
func (c *call) decodeCursor(cursor string) (inner string, err error) {
	foreign := errMalformed.Because("this cursor is not one of these pages; start again without one")
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return "", foreign
	}
	aead, err := c.cursors.cipher(c.Context())
	if err != nil {
		return "", err
	}
	plain, err := aead.Open(nil, nil, b, c.belongs())
	if err != nil {
		return "", foreign
	}
	return string(plain), nil
}
