// Package keyring is the private keys of our health domains: stored sealed, unsealed when first used,
// kept in memory until the stored set changes.
//
// It answers two questions: which credential signs for a sender (AS-70), and which keys may open a
// message for a recipient (CMS-22: keys bound to the message's own recipients and no others). It judges
// binding, usage and dates, never trust. Retired and expired credentials still decrypt (AS-122).
//
// A key may also be in a PKCS#11 device (package hsm): then it is found there by its certificate, and used
// where it is.
package keyring

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"postern/certs"
	"postern/smime/addr"
)

// ErrNoKey means that no credential of ours serves the address.
var ErrNoKey = errors.New("keyring: no usable certificate of ours")

// Refused is a certificate of ours that could be used but for the domain's own policy. It is ErrNoKey too.
type Refused struct {
	ID     string // of the certificate
	Policy string
	Rule   string
	Detail string // the rule and what it asks, in words
}

func (r Refused) Error() string {
	return fmt.Sprintf("certificate %.16s is refused by policy %s of the domain itself: %s", r.ID, r.Policy, r.Detail)
}

// Is makes it a case of ErrNoKey.
func (r Refused) Is(target error) bool { return target == ErrNoKey }

// Stored is a credential as the database keeps it.
type Stored struct {
	Credential certs.Credential // without Key
	SealedKey  []byte           // empty: the key is in the device
	Org        string
	CanSign    bool
	CanDecrypt bool
	Retired    bool

	SignsFrom     time.Time // not used to sign before: it is published first (zero: at once)
	DecryptsUntil time.Time // not used to open mail after (zero: for ever)
	Unsigning     *Refused  // why the domain's own policy keeps it from signing, or nil
	Unpublished   *Refused  // why it keeps it from being published, or nil; CanDecrypt is false then
}

// Source lists the stored credentials of one of our domains.
type Source interface {
	StoredCredentials(ctx context.Context, d addr.Domain) ([]Stored, error)
}

// Unsealer opens what was sealed for a purpose.
type Unsealer interface {
	OpenSecret(org, purpose string, sealed []byte) ([]byte, error)
}

// Device holds private keys that never leave it.
type Device interface {
	Credential(cert *x509.Certificate, chain []*x509.Certificate) (certs.Credential, error)
}

// ErrNoDevice means that a key is in a device and none is configured.
var ErrNoDevice = errors.New("keyring: the private key is in a PKCS#11 device, and none is configured ([hsm] in postern.toml)")

// Purpose is what the private key of a credential is sealed for.
func Purpose(credentialID string) string { return "credential " + credentialID }

// Ring is the keys of all our domains.
type Ring struct {
	source Source
	unseal Unsealer
	device Device // nil: none
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]any // by credential id
}

// New makes a ring over what is stored.
func New(source Source, unseal Unsealer, now func() time.Time) *Ring {
	return &Ring{source: source, unseal: unseal, now: now, keys: map[string]any{}}
}

// With gives the ring a device to find keys in; to be called before the ring is used.
func (r *Ring) With(d Device) *Ring {
	r.device = d
	return r
}

// Signing is the credential that signs for a sender: bound to the address before the domain, able to
// sign, valid now, not retired; of several the newest.
func (r *Ring) Signing(ctx context.Context, from addr.Address) (certs.Credential, error) {
	all, err := r.source.StoredCredentials(ctx, from.Domain())
	if err != nil {
		return certs.Credential{}, fmt.Errorf("keyring: %w", err)
	}
	var best *Stored
	bestHow := ""
	why := ""
	var refused *Refused
	because := func(c *Stored, words string) {
		if why == "" { // the newest that is in use comes first
			why = fmt.Sprintf("certificate %.16s %s", c.Credential.ID, words)
		}
	}
	for i := range all {
		c := &all[i]
		how, ok := c.Credential.BoundTo(from)
		switch {
		case !ok:
			continue
		case c.Retired:
			because(c, "is retired")
			continue
		case !c.CanSign:
			because(c, "cannot sign")
			continue
		case r.now().Before(c.SignsFrom):
			because(c, "signs from "+c.SignsFrom.UTC().Format(time.RFC3339))
			continue
		case !valid(c.Credential.Cert, r.now()):
			because(c, fmt.Sprintf("is not valid now (it is from %s until %s)", c.Credential.Cert.NotBefore.UTC().Format(time.DateOnly), c.Credential.Cert.NotAfter.UTC().Format(time.DateOnly)))
			continue
		case c.Unsigning != nil:
			if refused == nil {
				refused = c.Unsigning
			}
			continue
		}
		if best == nil || how == "address" && bestHow != "address" ||
			how == bestHow && c.Credential.Cert.NotBefore.After(best.Credential.Cert.NotBefore) {
			best, bestHow = c, how
		}
	}
	switch {
	case best == nil && refused != nil:
		return certs.Credential{}, fmt.Errorf("keyring: nothing can sign for %s: %w", from, *refused)
	case best == nil && why == "":
		return certs.Credential{}, fmt.Errorf("%w to sign for %s: none is stored", ErrNoKey, from)
	case best == nil:
		return certs.Credential{}, fmt.Errorf("%w to sign for %s: %s", ErrNoKey, from, why)
	}
	return r.withKey(*best)
}

// Decryption is every credential that may open a message for a recipient of ours, whatever its dates, but for
// those whose grace after a roll-over has run out.
func (r *Ring) Decryption(ctx context.Context, to addr.Address) ([]certs.Credential, error) {
	all, err := r.source.StoredCredentials(ctx, to.Domain())
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	var out []certs.Credential
	for _, c := range all {
		if _, ok := c.Credential.BoundTo(to); !ok || !c.DecryptsUntil.IsZero() && r.now().After(c.DecryptsUntil) {
			continue
		}
		k, err := r.withKey(c)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// Published is the certificates a peer may find for an address or domain of ours: able to take
// encryption, valid now, not retired, address-bound ones first and alone where there are any (CD-04).
func (r *Ring) Published(ctx context.Context, a addr.Address) ([]*x509.Certificate, error) {
	all, err := r.source.StoredCredentials(ctx, a.Domain())
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	var byAddress, byDomain []*x509.Certificate
	for _, c := range all {
		how, ok := c.Credential.BoundTo(a)
		if !ok || c.Retired || !c.CanDecrypt || !valid(c.Credential.Cert, r.now()) {
			continue
		}
		if how == "address" {
			byAddress = append(byAddress, c.Credential.Cert)
		} else {
			byDomain = append(byDomain, c.Credential.Cert)
		}
	}
	if len(byAddress) > 0 {
		return byAddress, nil
	}
	return byDomain, nil
}

func valid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

func (r *Ring) withKey(s Stored) (certs.Credential, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := s.Credential
	if k, ok := r.keys[c.ID]; ok {
		c.Key = k
		return c, nil
	}
	if len(s.SealedKey) == 0 {
		return r.inDevice(c)
	}
	der, err := r.unseal.OpenSecret(s.Org, Purpose(c.ID), s.SealedKey)
	if err != nil {
		return c, fmt.Errorf("keyring: private key of %s: %w", c.ID, err)
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	clear(der)
	if err != nil {
		return c, fmt.Errorf("keyring: private key of %s: %w", c.ID, err)
	}
	if !certs.Owns(k, c.Cert) {
		return c, fmt.Errorf("keyring: private key of %s does not belong to its certificate", c.ID)
	}
	r.keys[c.ID] = k
	c.Key = k
	return c, nil
}

// inDevice finds a key in the device, once.
func (r *Ring) inDevice(c certs.Credential) (certs.Credential, error) {
	if r.device == nil {
		return c, fmt.Errorf("%w: certificate %s", ErrNoDevice, c.ID)
	}
	found, err := r.device.Credential(c.Cert, c.Chain)
	if err != nil {
		return c, fmt.Errorf("keyring: private key of %s: %w", c.ID, err)
	}
	if !certs.Owns(found.Key, c.Cert) {
		return c, fmt.Errorf("keyring: private key of %s does not belong to its certificate", c.ID)
	}
	r.keys[c.ID] = found.Key
	c.Key = found.Key
	return c, nil
}
