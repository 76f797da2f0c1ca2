package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"postern/gateway/spool/seal"
)

// ErrWrongKey means that the master key is not the one this site's data was sealed with.
var ErrWrongKey = errors.New("keys: this is not the master key of this site")

// Master is the key above all others. Its zero value is no key and opens nothing.
type Master struct {
	key seal.Key
	set bool
}

// New makes a master key: once in the life of a site, when it is first set up.
func New() Master { return Master{seal.NewKey(), true} }

// String keeps the key out of logs; it is the key's public number.
func (m Master) String() string { return "master key " + m.Number() }

// GoString is String.
func (m Master) GoString() string { return m.String() }

// Number tells one master key from another for people (on the recovery sheet, in error texts). It
// says nothing about the key itself.
func (m Master) Number() string {
	if !m.set {
		return "none"
	}
	k := m.derive("number")
	h := hex.EncodeToString(k[:4])
	return h[:4] + "-" + h[4:]
}

// Check is the key check value: kept in the database from the first start, compared at every other.
// Who reads it learns nothing about the key.
func (m Master) Check() string {
	k := m.derive("check")
	return hex.EncodeToString(k[:16])
}

// Matches is nil if check was made by this key, else ErrWrongKey.
func (m Master) Matches(check string) error {
	if !m.set || subtle.ConstantTimeCompare([]byte(m.Check()), []byte(check)) != 1 {
		return fmt.Errorf("%w (it is %s)", ErrWrongKey, m)
	}
	return nil
}

// NewOrg makes the key of a new organisation and returns it wrapped, for the organisation's row.
func (m Master) NewOrg(org string) ([]byte, error) {
	if !m.set {
		return nil, errNoMaster
	}
	return wrap(m.key, "organisation key", org, rand32())
}

// openOrg is the organisation's key.
func (m Master) openOrg(org string, wrapped []byte) (seal.Key, error) {
	if !m.set {
		return seal.Key{}, errNoMaster
	}
	return unwrap(m.key, "organisation key", org, wrapped)
}

var errNoMaster = errors.New("keys: no master key")

// derive is a value for one use, made from the master key.
func (m Master) derive(use string) seal.Key { return expand(m.key, use, "") }

// expand makes the key for one use of a key above it (HKDF-Expand, RFC 5869 §2.3: the key above is
// uniformly random, so there is nothing to extract). use is a constant of this package, name comes
// last: no two pairs give the same text.
func expand(above seal.Key, use, name string) seal.Key {
	b, err := hkdf.Expand(sha256.New, above[:], "postern/keys/1\x00"+use+"\x00"+name, seal.KeySize)
	if err != nil {
		panic("keys: HKDF of a constant length failed: " + err.Error())
	}
	return seal.Key(b)
}

func rand32() []byte {
	b := make([]byte, seal.KeySize)
	rand.Read(b) // never fails (crypto/rand)
	return b
}
