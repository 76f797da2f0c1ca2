package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"postern/gateway/spool/seal"
)

// MaxName bounds the names that keys are bound to, MaxSecret a sealed secret, in octets.
const (
	MaxName   = 200
	MaxSecret = 64 << 10
)

// ErrDamaged means that a wrapped key or sealed secret does not open: altered, another's, or wrapped
// by another key.
var ErrDamaged = errors.New("keys: wrapped key or secret does not open")

// format is the first octet of everything wrapped; another is a later version's.
const format = 1

// wrap seals secret for one use and name under a key made for them alone.
func wrap(above seal.Key, use, name string, secret []byte) ([]byte, error) {
	aead, err := cipherFor(above, use, name)
	if err != nil {
		return nil, err
	}
	if len(secret) > MaxSecret {
		return nil, fmt.Errorf("keys: %s of %d octets, at most %d", use, len(secret), MaxSecret)
	}
	return aead.Seal([]byte{format}, nil, secret, []byte{format}), nil
}

// open is the opposite of wrap.
func open(above seal.Key, use, name string, wrapped []byte) ([]byte, error) {
	aead, err := cipherFor(above, use, name)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 1+seal.Overhead || len(wrapped) > 1+seal.Overhead+MaxSecret || wrapped[0] != format {
		return nil, fmt.Errorf("%w: %s of %q is not in a known form", ErrDamaged, use, name)
	}
	secret, err := aead.Open(nil, nil, wrapped[1:], wrapped[:1])
	if err != nil {
		return nil, fmt.Errorf("%w: %s of %q", ErrDamaged, use, name)
	}
	return secret, nil
}

// unwrap is open for a key.
func unwrap(above seal.Key, use, name string, wrapped []byte) (seal.Key, error) {
	b, err := open(above, use, name, wrapped)
	if err != nil {
		return seal.Key{}, err
	}
	if len(b) != seal.KeySize {
		return seal.Key{}, fmt.Errorf("%w: %s of %q has %d octets", ErrDamaged, use, name, len(b))
	}
	return seal.Key(b), nil
}

func cipherFor(above seal.Key, use, name string) (cipher.AEAD, error) {
	if name == "" || len(name) > MaxName {
		return nil, fmt.Errorf("keys: name of %d octets, must be 1 to %d", len(name), MaxName)
	}
	k := expand(above, use, name)
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return aead, nil
}
