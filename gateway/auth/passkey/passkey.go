// Package passkey is signing in with a passkey: WebAuthn level 3 registration and assertion, bound to one host.
//
// github.com/go-webauthn/webauthn (BSD-3-Clause, kept by a group, released every few weeks, tested against the FIDO
// conformance vectors) is taken because CBOR, COSE keys and attestation formats are no place for code of our own; this
// package is its only home. No attestation is asked for: which make of key a person has is none of our business.
//
// A ceremony is bound to the browser that began it, to one challenge of 256 bits, and to a few minutes; it is spent
// by its first answer. User verification (a PIN or a fingerprint) is required, so that a passkey alone is two
// proofs. A counter that falls back tells of a copied key and is refused.
//
// What is under way is in memory only, on purpose: a challenge that no process remembers can be answered by nobody, so an
// answer from before a restart, used or not, is ErrOver and the person begins again; nothing of it could be replayed.
// What must outlive a restart is with the caller: the key, and its counter. Several nodes need the same browser to come
// to the same node for its minutes. Limits: MaxPending ceremonies of Time each, MaxResponse octets of an answer.
package passkey

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Limits of ceremonies.
const (
	MaxPending  = 10000
	Time        = 5 * time.Minute
	MaxResponse = 64 << 10 // octets
)

// ErrRefused is an answer that proves nothing: another challenge, host, key or person, too late, or used before. ErrOver is
// an ErrRefused to which nothing is under way in this browser: too late, used before, or begun before a restart.
var (
	ErrRefused = errors.New("passkey: not proved")
	ErrOver    = fmt.Errorf("%w: nothing is under way", ErrRefused)
)

// Service does ceremonies for one host.
type Service struct {
	lib   *webauthn.WebAuthn
	clock func() time.Time

	mu      sync.Mutex
	pending map[string]ceremony // by browser and kind
}

type ceremony struct {
	data webauthn.SessionData
	ends time.Time
}

// Person is a person as passkeys know them.
type Person struct {
	Handle string   // what a passkey says of whom it is; at most 64 octets
	Login  string   // shown when choosing
	Name   string   // shown too
	Keys   [][]byte // what Registered gave, of each of their passkeys
}

// New makes a service for the host of the public URL. It fails for a host that passkeys cannot be bound to: an IP
// address, for one.
func New(host, origin, name string, clock func() time.Time) (*Service, error) {
	if host == "" {
		return nil, errors.New("passkey: no host")
	}
	lib, err := webauthn.New(&webauthn.Config{RPID: host, RPDisplayName: name, RPOrigins: []string{origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired,
			UserVerification: protocol.VerificationRequired}})
	if err != nil {
		return nil, fmt.Errorf("passkey: %s: %w", host, err)
	}
	return &Service{lib: lib, clock: clock, pending: map[string]ceremony{}}, nil
}

// Register begins a registration; options is what the browser's navigator.credentials.create wants, as JSON.
func (s *Service) Register(browser string, p Person) (options []byte, err error) {
	u, err := p.user()
	if err != nil {
		return nil, err
	}
	var known []protocol.CredentialDescriptor
	for _, c := range u.keys {
		known = append(known, c.Descriptor())
	}
	o, data, err := s.lib.BeginRegistration(u, webauthn.WithExclusions(known))
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	s.keep("create "+browser, *data)
	return json.Marshal(o.Response)
}

// Registered ends it: id finds the passkey again, data is kept for the person.
func (s *Service) Registered(browser string, p Person, response []byte) (id string, data []byte, err error) {
	began, ok := s.take("create " + browser)
	if !ok {
		return "", nil, ErrOver
	}
	if len(response) > MaxResponse {
		return "", nil, ErrRefused
	}
	u, err := p.user()
	if err != nil {
		return "", nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return "", nil, refused(err)
	}
	c, err := s.lib.CreateCredential(u, began, parsed)
	if err != nil {
		return "", nil, refused(err)
	}
	data, err = json.Marshal(c)
	return keyID(c.ID), data, err
}

// Ask begins a proof: by the person's own passkeys, or, for nil, by whichever passkey the browser has for this host.
func (s *Service) Ask(browser string, p *Person) (options []byte, err error) {
	var o *protocol.CredentialAssertion
	var data *webauthn.SessionData
	if p == nil {
		o, data, err = s.lib.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	} else {
		u, uerr := p.user()
		if uerr != nil {
			return nil, uerr
		}
		o, data, err = s.lib.BeginLogin(u, webauthn.WithUserVerification(protocol.VerificationRequired))
	}
	if err != nil {
		return nil, fmt.Errorf("passkey: %w", err)
	}
	s.keep("get "+browser, *data)
	return json.Marshal(o.Response)
}

// Proof is a passkey that was used, with what is to be kept of it now.
type Proof struct {
	Handle string
	ID     string
	Data   []byte
	Count  int64 // of the key's own counter; 0 for those that do not count
}

// Answer ends a proof; find gives the person of a handle.
func (s *Service) Answer(browser string, response []byte, find func(handle string) (Person, error)) (Proof, error) {
	began, ok := s.take("get " + browser)
	if !ok {
		return Proof{}, ErrOver
	}
	if len(response) > MaxResponse {
		return Proof{}, ErrRefused
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Proof{}, refused(err)
	}
	var who Person
	var fault error
	user := func(_, handle []byte) (webauthn.User, error) {
		if who, fault = find(string(handle)); fault != nil {
			return nil, fault
		}
		return who.user()
	}
	var c *webauthn.Credential
	if len(began.UserID) == 0 {
		_, c, err = s.lib.ValidatePasskeyLogin(user, began, parsed)
	} else {
		u, uerr := user(nil, began.UserID)
		if uerr != nil {
			return Proof{}, uerr
		}
		c, err = s.lib.ValidateLogin(u, began, parsed)
	}
	switch {
	case fault != nil && !errors.Is(fault, ErrRefused):
		return Proof{}, fault
	case err != nil:
		return Proof{}, refused(err)
	case c.Authenticator.CloneWarning:
		return Proof{}, fmt.Errorf("%w: the key's counter fell back", ErrRefused)
	}
	data, err := json.Marshal(c)
	return Proof{Handle: who.Handle, ID: keyID(c.ID), Data: data, Count: int64(c.Authenticator.SignCount)}, err
}

func keyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// refused keeps the cause for the log; protocol errors say it in their details.
func refused(err error) error {
	var p *protocol.Error
	if errors.As(err, &p) {
		return fmt.Errorf("%w: %s %s", ErrRefused, p.Details, p.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// keep remembers a ceremony; the browser's one before is over. When there are too many, those that are over go, and
// if none is, the one that ends first.
func (s *Service) keep(key string, data webauthn.SessionData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if len(s.pending) >= MaxPending {
		oldest := ""
		for k, c := range s.pending {
			if !now.Before(c.ends) {
				delete(s.pending, k)
			} else if oldest == "" || c.ends.Before(s.pending[oldest].ends) {
				oldest = k
			}
		}
		if len(s.pending) >= MaxPending {
			delete(s.pending, oldest)
		}
	}
	s.pending[key] = ceremony{data, now.Add(Time)}
}

// take gives a ceremony once.
func (s *Service) take(key string) (webauthn.SessionData, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.pending[key]
	delete(s.pending, key)
	return c.data, ok && s.clock().Before(c.ends)
}

// user is a Person as the library wants it.
type user struct {
	Person
	keys []webauthn.Credential
}

func (p Person) user() (user, error) {
	u := user{Person: p}
	for _, k := range p.Keys {
		var c webauthn.Credential
		if err := json.NewDecoder(bytes.NewReader(k)).Decode(&c); err != nil {
			return u, fmt.Errorf("passkey: a stored key cannot be read: %w", err)
		}
		u.keys = append(u.keys, c)
	}
	return u, nil
}

func (u user) WebAuthnID() []byte                         { return []byte(u.Handle) }
func (u user) WebAuthnName() string                       { return u.Login }
func (u user) WebAuthnDisplayName() string                { return u.Name }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }
