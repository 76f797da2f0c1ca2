package keys

import (
	"errors"
	"fmt"
	"sync"

	"postern/gateway/spool/seal"
)

// ErrUnknownOrg means that the ring holds no key for that organisation.
var ErrUnknownOrg = errors.New("keys: no key for this organisation")

// Ring holds the master key and the opened keys of the organisations: what the gateway carries while
// it runs. Several goroutines may use it at once.
type Ring struct {
	master Master
	mu     sync.RWMutex
	orgs   map[string]seal.Key
}

// NewRing is a ring without organisations.
func NewRing(m Master) *Ring { return &Ring{master: m, orgs: map[string]seal.Key{}} }

// Master is the master key of the ring.
func (r *Ring) Master() Master { return r.master }

// AddOrg opens an organisation's key from its row and holds it. Its error wraps ErrDamaged when the
// key is not this organisation's or was wrapped by another master key.
func (r *Ring) AddOrg(org string, wrapped []byte) error {
	key, err := r.master.openOrg(org, wrapped)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orgs[org] = key
	return nil
}

// DropOrg forgets an organisation's key.
func (r *Ring) DropOrg(org string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.orgs, org)
}

func (r *Ring) org(org string) (seal.Key, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	key, ok := r.orgs[org]
	if !ok {
		return seal.Key{}, fmt.Errorf("%w: %q", ErrUnknownOrg, org)
	}
	return key, nil
}

// WrapData wraps the data key of one blob, for the blob's row.
func (r *Ring) WrapData(org, blob string, key seal.Key) ([]byte, error) {
	above, err := r.org(org)
	if err != nil {
		return nil, err
	}
	return wrap(above, "data key", blob, key[:])
}

// UnwrapData is the data key of the blob.
func (r *Ring) UnwrapData(org, blob string, wrapped []byte) (seal.Key, error) {
	above, err := r.org(org)
	if err != nil {
		return seal.Key{}, err
	}
	return unwrap(above, "data key", blob, wrapped)
}

// SealSecret seals a small secret (a private key, an edge's password; at most MaxSecret octets) of an
// organisation for one purpose, such as "credential/c-123". It opens only for the same organisation and
// purpose, so a purpose that names its row keeps rows from being exchanged.
func (r *Ring) SealSecret(org, purpose string, secret []byte) ([]byte, error) {
	above, err := r.org(org)
	if err != nil {
		return nil, err
	}
	return wrap(above, "secret", purpose, secret)
}

// OpenSecret is the secret sealed for that organisation and purpose.
func (r *Ring) OpenSecret(org, purpose string, sealed []byte) ([]byte, error) {
	above, err := r.org(org)
	if err != nil {
		return nil, err
	}
	return open(above, "secret", purpose, sealed)
}
