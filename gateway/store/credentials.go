package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/smime/addr"
)

// Credential is a certificate of ours with its private key, sealed. Exactly one of Domain and Address
// says what it is bound to; Domain is always the health domain it serves.
type Credential struct {
	ID          string // SHA-256 of the certificate, hex
	Org         string
	Domain      addr.Domain
	Address     addr.Address // zero: bound to the whole domain
	Certificate []byte       // DER
	Chain       [][]byte     // intermediates, DER, without the anchor
	SealedKey   []byte       // PKCS#8, sealed under the purpose "credential <id>"
	CanSign     bool
	CanDecrypt  bool
	Published   bool // in our DNS
	Expires     time.Time
	Created     time.Time
	Retired     time.Time // no longer used to sign or published; still decrypts

	SignsFrom     time.Time // not used to sign before; zero: at once
	Replaces      string    // the credential whose place it takes, or ""
	DecryptsUntil time.Time // not used to open mail after; zero: for ever
}

// Placement is a credential that is added, and what goes with it in the same transaction.
type Placement struct {
	Credential
	Entry    AuditEntry
	Request  string    // the request it answers, or "": its key is in the credential from now on
	OldUntil time.Time // not zero: the one it replaces leaves at once, and decrypts until then
}

// AddCredentials adds credentials of our domains, all or none (ErrExists when a certificate is there). Each is one
// change, so that a renewal and what it replaces are never seen apart.
func (s *Store) AddCredentials(ctx context.Context, ps []Placement) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, p := range ps {
			in := credentialScope(p.ID)
			if p.Replaces != "" {
				in = append(in, credentialScope(p.Replaces)...)
			}
			w.change(p.Entry, in, func() error { return w.place(p) })
		}
		return w.err
	})
}

func credentialScope(id string) []scope { return []scope{{"credential", "id", id}} }

func (w *writer) place(p Placement) error {
	c := p.Credential
	if !w.exists("SELECT 1 FROM domain WHERE name=?", c.Domain.String()) && w.err == nil {
		return fmt.Errorf("domain %s: %w", c.Domain, ErrNotFound)
	}
	if w.exists("SELECT 1 FROM credential WHERE id=?", c.ID) {
		return fmt.Errorf("certificate %s: %w", c.ID, ErrExists)
	}
	w.exec(`INSERT INTO credential(id, org, domain, address, certificate, chain, sealed_key, can_sign, can_decrypt, published, expires, created,
		signs_from, replaces) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, c.ID, c.Org, c.Domain.String(), c.Address.Key(), c.Certificate,
		[]byte(column(c.Chain)), c.SealedKey, c.CanSign, c.CanDecrypt, c.Published, stamp(c.Expires), stamp(w.s.now()), stamp(c.SignsFrom), c.Replaces)
	if !p.OldUntil.IsZero() {
		w.leave(c.Replaces, p.OldUntil)
	}
	if p.Request != "" {
		w.exec("UPDATE certificate_request SET answered=?, sealed_key=? WHERE id=?", stamp(w.s.now()), []byte{}, p.Request)
	}
	return w.err
}

// leave takes a credential out of signing and publication; it goes on decrypting until then (zero: for ever).
func (w *writer) leave(id string, until time.Time) {
	if w.exec("UPDATE credential SET retired=?, published=0, decrypts_until=? WHERE id=? AND retired=''", stamp(w.s.now()), stamp(until), id) == 0 && w.err == nil {
		w.err = fmt.Errorf("certificate %s in use: %w", id, ErrNotFound)
	}
}

// AddCredential adds one credential.
func (s *Store) AddCredential(ctx context.Context, c Credential, entry AuditEntry) error {
	return s.AddCredentials(ctx, []Placement{{Credential: c, Entry: entry}})
}

// StageCredential makes a stored credential take another's place: it signs only from an instant on.
func (s *Store) StageCredential(ctx context.Context, id, replaces string, signs time.Time, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, credentialScope(id), func(w *writer) error {
		if w.exec("UPDATE credential SET replaces=?, signs_from=? WHERE id=? AND retired=''", replaces, stamp(signs), id) == 0 && w.err == nil {
			return fmt.Errorf("certificate %s in use: %w", id, ErrNotFound)
		}
		return w.err
	})
	return err
}

// FinishRoll lets the successor sign from now on and takes the old credential out of signing and publication; it
// goes on decrypting until the instant given.
func (s *Store) FinishRoll(ctx context.Context, old, successor string, until time.Time, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, append(credentialScope(old), credentialScope(successor)...), func(w *writer) error {
		w.leave(old, until)
		now := stamp(s.now())
		w.exec("UPDATE credential SET signs_from=? WHERE id=? AND signs_from>?", now, successor, now)
		return w.err
	})
	return err
}

// Credentials lists a domain's credentials, or all when it is zero, newest first, retired ones last.
func (s *Store) Credentials(ctx context.Context, d addr.Domain) ([]Credential, error) {
	return list(ctx, s, `SELECT id, org, domain, address, certificate, chain, sealed_key, can_sign, can_decrypt, published, expires, created, retired,
		signs_from, replaces, decrypts_until
		FROM credential WHERE ?='' OR domain=? ORDER BY retired, created DESC, id`, []any{d.String(), d.String()}, func(r *sql.Rows) (c Credential, err error) {
		var domain, address, chain, expires, created, retired, signs, until string
		if err = r.Scan(&c.ID, &c.Org, &domain, &address, &c.Certificate, &chain, &c.SealedKey, &c.CanSign, &c.CanDecrypt, &c.Published,
			&expires, &created, &retired, &signs, &c.Replaces, &until); err != nil {
			return c, err
		}
		c.Expires, c.Created, c.Retired = parseStamp(expires), parseStamp(created), parseStamp(retired)
		c.SignsFrom, c.DecryptsUntil = parseStamp(signs), parseStamp(until)
		return c, errors.Join(c.Domain.UnmarshalText([]byte(domain)), c.Address.UnmarshalText([]byte(address)),
			json.Unmarshal([]byte(chain), &c.Chain))
	})
}

// Request is a private key of ours that waits for the certificate somebody else issues for it.
type Request struct {
	ID        string       `json:"id"`
	Org       string       `json:"-"`
	Domain    addr.Domain  `json:"domain"`
	Address   addr.Address `json:"address,omitzero"`
	PublicKey string       `json:"public_key"` // SHA-256 of the SubjectPublicKeyInfo, hex
	SealedKey []byte       `json:"-"`          // PKCS#8, sealed under the purpose "request <id>"
	Request   []byte       `json:"-"`          // PKCS#10, DER
	Replaces  string       `json:"replaces,omitempty"`
	Created   time.Time    `json:"created"`
}

// AddRequest keeps a signing request with its key.
func (s *Store) AddRequest(ctx context.Context, q Request, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("INSERT INTO certificate_request VALUES (?,?,?,?,?,?,?,?,?,'')", q.ID, q.Org, q.Domain.String(), q.Address.Key(), q.PublicKey, q.SealedKey,
			q.Request, q.Replaces, stamp(s.now()))
		w.audit(entry)
		return w.err
	})
}

// Requests lists the requests that no certificate has answered.
func (s *Store) Requests(ctx context.Context) ([]Request, error) {
	return list(ctx, s, `SELECT id, org, domain, address, public_key, sealed_key, request, replaces, created FROM certificate_request
		WHERE answered='' ORDER BY created, id`, nil, func(r *sql.Rows) (q Request, err error) {
		var domain, address, created string
		if err = r.Scan(&q.ID, &q.Org, &domain, &address, &q.PublicKey, &q.SealedKey, &q.Request, &q.Replaces, &created); err != nil {
			return q, err
		}
		q.Created = parseStamp(created)
		return q, errors.Join(q.Domain.UnmarshalText([]byte(domain)), q.Address.UnmarshalText([]byte(address)))
	})
}

// RetireCredential stops a credential from signing and being published; it goes on decrypting.
func (s *Store) RetireCredential(ctx context.Context, id string, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, credentialScope(id), func(w *writer) error {
		w.leave(id, time.Time{})
		return w.err
	})
	return err
}

// AddStatic pins a peer's certificate under an address or domain (AS-112); it is believed no more than
// one that was discovered.
func (s *Store) AddStatic(ctx context.Context, org, name, fingerprint string, der []byte, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, []scope{{"static_certificate", "name", name}}, func(w *writer) error {
		w.exec("INSERT INTO static_certificate VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", name, org, fingerprint, der, stamp(s.now()))
		return w.err
	})
	return err
}

// Static lists the certificates pinned under an address key or domain name.
func (s *Store) Static(ctx context.Context, name string) ([][]byte, error) {
	return list(ctx, s, "SELECT certificate FROM static_certificate WHERE name=? ORDER BY added", []any{name}, func(r *sql.Rows) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	})
}
