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
}

// AddCredential adds a credential of one of our domains (ErrExists when its certificate is there).
func (s *Store) AddCredential(ctx context.Context, c Credential, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if !w.exists("SELECT 1 FROM domain WHERE name=?", c.Domain.String()) && w.err == nil {
			return fmt.Errorf("domain %s: %w", c.Domain, ErrNotFound)
		}
		if w.exists("SELECT 1 FROM credential WHERE id=?", c.ID) {
			return fmt.Errorf("certificate %s: %w", c.ID, ErrExists)
		}
		w.exec("INSERT INTO credential VALUES (?,?,?,?,?,?,?,?,?,?,?,?,'')", c.ID, c.Org, c.Domain.String(), c.Address.Key(), c.Certificate,
			column(c.Chain), c.SealedKey, c.CanSign, c.CanDecrypt, c.Published, stamp(c.Expires), stamp(s.now()))
		w.audit(entry)
		return w.err
	})
}

// Credentials lists a domain's credentials, or all when it is zero, newest first, retired ones last.
func (s *Store) Credentials(ctx context.Context, d addr.Domain) ([]Credential, error) {
	return list(ctx, s, `SELECT id, org, domain, address, certificate, chain, sealed_key, can_sign, can_decrypt, published, expires, created, retired
		FROM credential WHERE ?='' OR domain=? ORDER BY retired, created DESC, id`, []any{d.String(), d.String()}, func(r *sql.Rows) (c Credential, err error) {
		var domain, address, chain, expires, created, retired string
		if err = r.Scan(&c.ID, &c.Org, &domain, &address, &c.Certificate, &chain, &c.SealedKey, &c.CanSign, &c.CanDecrypt, &c.Published,
			&expires, &created, &retired); err != nil {
			return c, err
		}
		c.Expires, c.Created, c.Retired = parseStamp(expires), parseStamp(created), parseStamp(retired)
		return c, errors.Join(c.Domain.UnmarshalText([]byte(domain)), c.Address.UnmarshalText([]byte(address)),
			json.Unmarshal([]byte(chain), &c.Chain))
	})
}

// RetireCredential stops a credential from signing and being published; it goes on decrypting.
func (s *Store) RetireCredential(ctx context.Context, id string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE credential SET retired=?, published=0 WHERE id=? AND retired=''", stamp(s.now()), id) == 0 && w.err == nil {
			return fmt.Errorf("certificate %s: %w", id, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// AddStatic pins a peer's certificate under an address or domain (AS-112); it is believed no more than
// one that was discovered.
func (s *Store) AddStatic(ctx context.Context, org, name, fingerprint string, der []byte, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.exec("INSERT INTO static_certificate VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", name, org, fingerprint, der, stamp(s.now()))
		w.audit(entry)
		return w.err
	})
}

// Static lists the certificates pinned under an address key or domain name.
func (s *Store) Static(ctx context.Context, name string) ([][]byte, error) {
	return list(ctx, s, "SELECT certificate FROM static_certificate WHERE name=? ORDER BY added", []any{name}, func(r *sql.Rows) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	})
}
