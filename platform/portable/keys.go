package portable

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"onlineshop/es/engine"
)

// safe encrypts the keys of a file with a key of the file's own.
type safe struct{ cipher.AEAD }

func newSafe(key []byte) (*safe, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &safe{aead}, err
}

func (s *safe) seal(of engine.Stream, key []byte) []byte {
	return s.Seal(nil, nil, key, []byte(of.String()))
}

func (s *safe) open(of engine.Stream, sealed []byte) ([]byte, error) {
	key, err := s.Open(nil, nil, sealed, []byte(of.String()))
	if err != nil {
		return nil, fmt.Errorf("the key of %s is not what was written", of)
	}
	return key, nil
}

// HoldKeys has the file hold the keys of personal data, for the recipients alone: before
// the header is written. A file without holds only whose keys were destroyed.
func (w *Writer) HoldKeys(recipients ...age.Recipient) (err error) {
	key := make([]byte, engine.KeySize)
	_, _ = rand.Read(key) // which does not fail
	if w.safe, err = newSafe(key); err != nil {
		return err
	}
	var b bytes.Buffer
	in, err := age.Encrypt(&b, recipients...)
	if err != nil {
		return fmt.Errorf("encrypt for the recipients: %w", err)
	}
	if _, err := in.Write(key); err != nil {
		return err
	}
	err = in.Close()
	w.keys = b.Bytes()
	return err
}

// unlock reads the header's key, if the file holds keys.
func (r *Reader) unlock(h *Header) error {
	if len(h.Keys) == 0 || len(r.Identities) == 0 {
		return nil
	}
	out, err := age.Decrypt(bytes.NewReader(h.Keys), r.Identities...)
	if none := (*age.NoIdentityMatchError)(nil); errors.As(err, &none) {
		return errors.New("its keys are encrypted for another identity")
	}
	if err != nil {
		return err
	}
	key, err := io.ReadAll(out)
	if err != nil {
		return err
	}
	r.safe, err = newSafe(key)
	return err
}
