package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"postern/smime/addr"
	"postern/trust"
	"postern/trust/policy"
)

// Manual is the source of anchors that a person added one by one.
const Manual = "manual"

// Anchor is a trust anchor of one of our domains, added by hand or brought by a bundle it subscribes to.
type Anchor struct {
	Domain      addr.Domain `json:"domain"`
	Fingerprint string      `json:"fingerprint"` // SHA-256 of the certificate, hex
	Org         string      `json:"-"`
	Incoming    bool        `json:"incoming"`
	Outgoing    bool        `json:"outgoing"`
	Certificate []byte      `json:"-"` // DER
	Subject     string      `json:"subject"`
	Expires     time.Time   `json:"expires"`
	Source      string      `json:"source"` // Manual, another word the adder chose, or "bundle NAME"
	Added       time.Time   `json:"added"`
	Blocked     string      `json:"blocked,omitempty"` // why this domain does not believe it all the same
	Fault       string      `json:"fault,omitempty"`   // why the stored row cannot be used; the others are
}

// trustCache keeps anchor sets, settings and policies between changes: a trust decision reads no database.
type trustCache struct {
	mu       sync.Mutex
	anchors  map[string]*trust.AnchorSet
	settings map[addr.Domain]trust.Settings
	policies map[string]trust.PolicySet
	domains  domainCache
}

func (c *trustCache) flush() {
	c.mu.Lock()
	c.anchors, c.settings, c.policies = nil, nil, nil
	c.mu.Unlock()
	c.domains.mu.Lock()
	c.domains.by = nil
	c.domains.mu.Unlock()
}

// AddAnchors adds trust anchors to a domain; one already there gets the given directions.
func (s *Store) AddAnchors(ctx context.Context, as []Anchor, entry AuditEntry) error {
	var in []scope
	seen := map[addr.Domain]bool{}
	for _, a := range as {
		if !seen[a.Domain] {
			seen[a.Domain] = true
			in = append(in, scope{"anchor", "domain", a.Domain.String()})
		}
	}
	_, err := s.changeTrust(ctx, entry, in, func(w *writer) error {
		for _, a := range as {
			if !w.exists("SELECT 1 FROM domain WHERE name=?", a.Domain.String()) && w.err == nil {
				return fmt.Errorf("domain %s: %w", a.Domain, ErrNotFound)
			}
			w.exec(`INSERT INTO anchor VALUES (?,?,?,?,?,?,?,?,?,?) ON CONFLICT(domain, fingerprint)
				DO UPDATE SET incoming=excluded.incoming, outgoing=excluded.outgoing`, a.Domain.String(), a.Fingerprint, a.Org,
				a.Incoming, a.Outgoing, a.Certificate, a.Subject, stamp(a.Expires), a.Source, stamp(s.now()))
		}
		return w.err
	})
	return err
}

// minPrint is how many digits of a fingerprint must be given at least.
const minPrint = 8

// RemoveAnchor removes one anchor that was added by hand, named by its fingerprint or the beginning of it (at
// least 8 digits, and only one may match). When it returns, this process trusts it no more.
func (s *Store) RemoveAnchor(ctx context.Context, d addr.Domain, fingerprint string, entry AuditEntry) error {
	if len(fingerprint) < minPrint {
		return errors.New("store: give at least 8 digits of the fingerprint")
	}
	_, err := s.changeTrust(ctx, entry, []scope{{"anchor", "domain", d.String()}}, func(w *writer) error {
		switch n := w.exec("DELETE FROM anchor WHERE domain=? AND substr(fingerprint, 1, ?)=?", d.String(), len(fingerprint), fingerprint); {
		case w.err != nil:
			return w.err
		case n == 0 && w.exists(`SELECT 1 FROM bundle_anchor b JOIN subscription s ON s.bundle=b.bundle WHERE s.domain=? AND substr(b.fingerprint, 1, ?)=? LIMIT 1`,
			d.String(), len(fingerprint), fingerprint):
			return fmt.Errorf("store: anchor %s of %s comes from a bundle: `postern trust anchor block` keeps this domain from believing it", fingerprint, d)
		case n == 0:
			return fmt.Errorf("anchor %s of %s: %w", fingerprint, d, ErrNotFound)
		case n > 1:
			return fmt.Errorf("store: %d anchors of %s begin with %s: give more digits", n, d, fingerprint)
		}
		return w.err
	})
	return err
}

// BlockAnchor keeps a domain from believing an anchor, whatever brings it (TB-53); why "" lets it go again.
func (s *Store) BlockAnchor(ctx context.Context, d addr.Domain, org, fingerprint, why string, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, []scope{{"anchor_block", "domain", d.String()}}, func(w *writer) error {
		if !w.exists("SELECT 1 FROM domain WHERE name=?", d.String()) && w.err == nil {
			return fmt.Errorf("domain %s: %w", d, ErrNotFound)
		}
		if why != "" {
			w.exec("INSERT INTO anchor_block VALUES (?,?,?,?,?) ON CONFLICT(domain, fingerprint) DO UPDATE SET why=excluded.why", d.String(), fingerprint, org, why, stamp(s.now()))
		} else if w.exec("DELETE FROM anchor_block WHERE domain=? AND fingerprint=?", d.String(), fingerprint) == 0 && w.err == nil {
			return fmt.Errorf("block of anchor %s by %s: %w", fingerprint, d, ErrNotFound)
		}
		return w.err
	})
	return err
}

// AnchorList lists the anchors of a domain, or of all when it is zero: those added by hand and those its
// bundles bring, each source on its own line.
func (s *Store) AnchorList(ctx context.Context, d addr.Domain) ([]Anchor, error) {
	return list(ctx, s, `SELECT a.domain, a.fingerprint, a.org, incoming, outgoing, certificate, subject, expires, source, added, coalesce(b.why, '')
		FROM (SELECT domain, fingerprint, org, incoming, outgoing, certificate, subject, expires, source, added FROM anchor
			UNION ALL SELECT s.domain, b.fingerprint, s.org, s.incoming, s.outgoing, b.certificate, b.subject, b.expires, 'bundle ' || b.bundle, b.added
			FROM subscription s JOIN bundle_anchor b ON b.bundle=s.bundle) a
		LEFT JOIN anchor_block b ON b.domain=a.domain AND b.fingerprint=a.fingerprint
		WHERE ?='' OR a.domain=? ORDER BY a.domain, subject, source`, []any{d.String(), d.String()}, scanAnchor)
}

func scanAnchor(r *sql.Rows) (a Anchor, err error) {
	var domain, expires, added string
	if err = r.Scan(&domain, &a.Fingerprint, &a.Org, &a.Incoming, &a.Outgoing, &a.Certificate, &a.Subject, &expires, &a.Source, &added, &a.Blocked); err != nil {
		return a, err
	}
	a.Expires, a.Added = parseStamp(expires), parseStamp(added)
	if _, err := x509.ParseCertificate(a.Certificate); err != nil {
		a.Fault = err.Error()
	}
	return a, a.Domain.UnmarshalText([]byte(domain))
}

// Parsed is the anchor's certificate, or the fault of the stored row.
func (a Anchor) Parsed() (*x509.Certificate, error) {
	if a.Fault != "" {
		return nil, errors.New("store: anchor " + a.Fingerprint + ": " + a.Fault)
	}
	c, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, fmt.Errorf("store: anchor %s: %w", a.Fingerprint, err)
	}
	return c, nil
}

// Anchors is the anchor set of a domain and direction (trust.Anchors): what was added by hand and what its
// bundles bring (TB-51), without what it blocks. A row that cannot be read is left out and costs the others
// nothing; AnchorList and `postern check` name it.
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
		if a.Blocked != "" || dir == trust.Incoming && !a.Incoming || dir == trust.Outgoing && !a.Outgoing {
			continue
		}
		if c, err := a.Parsed(); err == nil {
			certs = append(certs, c)
		}
	}
	set := trust.NewAnchorSet(certs)
	if s.cache.anchors == nil {
		s.cache.anchors = map[string]*trust.AnchorSet{}
	}
	s.cache.anchors[key] = set
	return set, nil
}

// PolicyRow is a domain's own rules for one direction and use, under a name.
type PolicyRow struct {
	Domain    addr.Domain     `json:"domain"`
	Direction trust.Direction `json:"direction"`
	Use       string          `json:"use"` // sign, encrypt, decrypt or trust
	Name      string          `json:"name"`
	Org       string          `json:"-"`
	Text      string          `json:"text"`
	Since     time.Time       `json:"since"`
}

// UseAny is the use of a policy about every certificate of partners in its direction; UseDecrypt of one about
// our own that open mail.
const (
	UseAny     = "trust"
	UseDecrypt = "decrypt"
)

// SetPolicy puts a policy in force, in place of one of the same name.
func (s *Store) SetPolicy(ctx context.Context, p PolicyRow, entry AuditEntry) (TrustChange, error) {
	return s.changeTrust(ctx, entry, []scope{{"policy", "domain", p.Domain.String()}}, func(w *writer) error {
		if !w.exists("SELECT 1 FROM domain WHERE name=?", p.Domain.String()) && w.err == nil {
			return fmt.Errorf("domain %s: %w", p.Domain, ErrNotFound)
		}
		w.exec(`INSERT INTO policy(domain, direction, use, name, org, text, since) VALUES (?,?,?,?,?,?,?)
			ON CONFLICT(domain, direction, use, name) DO UPDATE SET text=excluded.text, since=excluded.since`,
			p.Domain.String(), string(p.Direction), p.Use, p.Name, p.Org, p.Text, stamp(s.now()))
		return w.err
	})
}

// RemovePolicy takes a policy out of force.
func (s *Store) RemovePolicy(ctx context.Context, p PolicyRow, entry AuditEntry) (TrustChange, error) {
	return s.changeTrust(ctx, entry, []scope{{"policy", "domain", p.Domain.String()}}, func(w *writer) error {
		if w.exec("DELETE FROM policy WHERE domain=? AND direction=? AND use=? AND name=?", p.Domain.String(), string(p.Direction), p.Use, p.Name) == 0 && w.err == nil {
			return fmt.Errorf("policy %s of %s (%s, %s): %w", p.Name, p.Domain, p.Direction, p.Use, ErrNotFound)
		}
		return w.err
	})
}

// Policies lists the policies of a domain, or of all when it is zero.
func (s *Store) Policies(ctx context.Context, d addr.Domain) ([]PolicyRow, error) {
	return list(ctx, s, `SELECT domain, direction, use, name, org, text, since FROM policy WHERE ?='' OR domain=?
		ORDER BY domain, direction, use, name`, []any{d.String(), d.String()}, func(r *sql.Rows) (p PolicyRow, err error) {
		var domain, since string
		if err = r.Scan(&domain, &p.Direction, &p.Use, &p.Name, &p.Org, &p.Text, &since); err != nil {
			return p, err
		}
		p.Since = parseStamp(since)
		return p, p.Domain.UnmarshalText([]byte(domain))
	})
}

// TrustPolicies are a domain's rules about partners' certificates (trust.PolicySource): those of the use and
// those of every use.
func (s *Store) TrustPolicies(ctx context.Context, local addr.Domain, dir trust.Direction, use trust.Use) (trust.PolicySet, error) {
	return s.policySet(ctx, local, dir, string(use), UseAny)
}

// OwnPolicies are a domain's rules about its own certificates: outgoing ones that sign, incoming ones that decrypt.
func (s *Store) OwnPolicies(ctx context.Context, local addr.Domain, dir trust.Direction) (trust.PolicySet, error) {
	if dir == trust.Outgoing {
		return s.policySet(ctx, local, dir, string(trust.Sign))
	}
	return s.policySet(ctx, local, dir, UseDecrypt)
}

func (s *Store) policySet(ctx context.Context, local addr.Domain, dir trust.Direction, uses ...string) (trust.PolicySet, error) {
	key := fmt.Sprint(local, dir, uses)
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if set, ok := s.cache.policies[key]; ok {
		return set, nil
	}
	rows, err := s.Policies(ctx, local)
	if err != nil {
		return trust.PolicySet{}, err
	}
	var set trust.PolicySet
	h := sha256.New()
	for _, r := range rows {
		if r.Direction != dir || r.Use != uses[0] && r.Use != uses[len(uses)-1] {
			continue
		}
		p, err := policy.Compile(r.Name, r.Text)
		if err != nil { // it compiled when it was set: a program that reads it differently must not let everything pass
			return trust.PolicySet{}, fmt.Errorf("store: policy %s of %s: %w", r.Name, local, err)
		}
		set.Policies = append(set.Policies, p)
		fmt.Fprintf(h, "%q %q ", r.Name, r.Text)
		set.Version = hex.EncodeToString(h.Sum(nil)[:16])
	}
	if s.cache.policies == nil {
		s.cache.policies = map[string]trust.PolicySet{}
	}
	s.cache.policies[key] = set
	return set, nil
}
