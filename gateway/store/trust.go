package store

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"postern/smime/addr"
	"postern/trust"
)

// Anchor is a trust anchor of one of our domains.
type Anchor struct {
	Domain      addr.Domain `json:"domain"`
	Fingerprint string      `json:"fingerprint"` // SHA-256 of the certificate, hex
	Org         string      `json:"-"`
	Incoming    bool        `json:"incoming"`
	Outgoing    bool        `json:"outgoing"`
	Certificate []byte      `json:"-"` // DER
	Subject     string      `json:"subject"`
	Expires     time.Time   `json:"expires"`
	Source      string      `json:"source"` // "manual" or a bundle's name
	Added       time.Time   `json:"added"`
}

// trustCache keeps anchor sets and domain settings between changes: a trust decision reads no database.
type trustCache struct {
	mu       sync.Mutex
	anchors  map[string]*trust.AnchorSet
	settings map[addr.Domain]trust.Settings
}

func (c *trustCache) flush() {
	c.mu.Lock()
	c.anchors, c.settings = nil, nil
	c.mu.Unlock()
}

// AddAnchors adds trust anchors to a domain; one already there gets the given directions.
func (s *Store) AddAnchors(ctx context.Context, as []Anchor, entry AuditEntry) error {
	defer s.cache.flush()
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, a := range as {
			if !w.exists("SELECT 1 FROM domain WHERE name=?", a.Domain.String()) && w.err == nil {
				return fmt.Errorf("domain %s: %w", a.Domain, ErrNotFound)
			}
			w.exec(`INSERT INTO anchor VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT(domain, fingerprint)
				DO UPDATE SET incoming=excluded.incoming, outgoing=excluded.outgoing`, a.Domain.String(), a.Fingerprint, a.Org,
				a.Incoming, a.Outgoing, a.Certificate, a.Subject, stamp(a.Expires), a.Source, stamp(s.now()))
		}
		w.audit(entry)
		return w.err
	})
}

// RemoveAnchor removes one anchor from a domain, named by its fingerprint or the beginning of it (at
// least 8 digits, and only one may match). When it returns, this process trusts it no more.
func (s *Store) RemoveAnchor(ctx context.Context, d addr.Domain, fingerprint string, entry AuditEntry) error {
	defer s.cache.flush()
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if len(fingerprint) < 8 {
			return errors.New("store: give at least 8 digits of the fingerprint")
		}
		switch n := w.exec("DELETE FROM anchor WHERE domain=? AND substr(fingerprint, 1, ?)=?", d.String(), len(fingerprint), fingerprint); {
		case w.err != nil:
			return w.err
		case n == 0:
			return fmt.Errorf("anchor %s of %s: %w", fingerprint, d, ErrNotFound)
		case n > 1:
			return fmt.Errorf("store: %d anchors of %s begin with %s: give more digits", n, d, fingerprint)
		}
		w.audit(entry)
		return w.err
	})
}

// AnchorList lists the anchors of a domain, or of all when it is zero.
func (s *Store) AnchorList(ctx context.Context, d addr.Domain) ([]Anchor, error) {
	return list(ctx, s, `SELECT domain, fingerprint, org, incoming, outgoing, certificate, subject, expires, source, added
		FROM anchor WHERE ?='' OR domain=? ORDER BY domain, subject`, []any{d.String(), d.String()}, func(r *sql.Rows) (a Anchor, err error) {
		var domain, expires, added string
		err = r.Scan(&domain, &a.Fingerprint, &a.Org, &a.Incoming, &a.Outgoing, &a.Certificate, &a.Subject, &expires, &a.Source, &added)
		a.Expires, a.Added = parseStamp(expires), parseStamp(added)
		return a, errors.Join(err, a.Domain.UnmarshalText([]byte(domain)))
	})
}

// Anchors is the anchor set of a domain and direction (trust.Anchors).
func (s *Store) Anchors(ctx context.Context, local addr.Domain, dir trust.Direction) (*trust.AnchorSet, error) {
	key := local.String() + " " + string(dir)
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if set, ok := s.cache.anchors[key]; ok {
		return set, nil
	}
	rows, err := s.AnchorList(ctx, local)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, a := range rows {
		if dir == trust.Incoming && !a.Incoming || dir == trust.Outgoing && !a.Outgoing {
			continue
		}
		c, err := x509.ParseCertificate(a.Certificate)
		if err != nil {
			return nil, fmt.Errorf("store: anchor %s of %s: %w", a.Fingerprint, local, err)
		}
		certs = append(certs, c)
	}
	set := trust.NewAnchorSet(certs)
	if s.cache.anchors == nil {
		s.cache.anchors = map[string]*trust.AnchorSet{}
	}
	s.cache.anchors[key] = set
	return set, nil
}
