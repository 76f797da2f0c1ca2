package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"postern/gateway/delivery/route"
	"postern/smime/addr"
	"postern/trust"
)

// Domain is a health domain of ours.
type Domain struct {
	Name        addr.Domain       `json:"name"`
	Org         string            `json:"org"`
	Postmaster  string            `json:"postmaster"`  // who answers for it, for people
	Destination route.Destination `json:"destination"` // for addresses without one of their own
	Settings    DomainSettings    `json:"settings"`
}

// DomainSettings are the choices of one domain.
type DomainSettings struct {
	CatchAll   bool     `json:"catch_all,omitempty"`    // every address is accepted, for the domain's own destination
	Legacy     bool     `json:"legacy,omitempty"`       // accept what receive-matrix calls legacy
	HardFail   bool     `json:"hard_fail,omitempty"`    // unknown revocation state refuses, after trying again
	Lax        []string `json:"envelope_lax,omitempty"` // partners (domains) whose envelope may differ from the headers (pre-1.3)
	ConsumeMDN bool     `json:"consume_mdn,omitempty"`  // do not hand processed notices to SMTP edges (DN-50)
}

// Address is an address of ours.
type Address struct {
	Address     addr.Address      `json:"address"`
	Org         string            `json:"org"`
	Destination route.Destination `json:"destination"`
	Since       time.Time         `json:"since"`
}

// AddDomain adds a health domain (ErrExists when it is there).
func (s *Store) AddDomain(ctx context.Context, d Domain, a AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("INSERT INTO domain VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING", d.Name.String(), d.Org, d.Postmaster,
			column(d.Destination), column(d.Settings), stamp(s.now())) == 0 && w.err == nil {
			return fmt.Errorf("domain %s: %w", d.Name, ErrExists)
		}
		w.audit(a)
		return w.err
	})
}

// SetDomain changes a domain's destination and settings.
func (s *Store) SetDomain(ctx context.Context, d Domain, a AuditEntry) error {
	defer s.cache.flush()
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("UPDATE domain SET destination=?, settings=?, postmaster=? WHERE name=?", column(d.Destination), column(d.Settings),
			d.Postmaster, d.Name.String()) == 0 && w.err == nil {
			return fmt.Errorf("domain %s: %w", d.Name, ErrNotFound)
		}
		w.audit(a)
		return w.err
	})
}

// RemoveDomain removes a domain that has no addresses left but its postmaster, with its anchors and credentials.
func (s *Store) RemoveDomain(ctx context.Context, name addr.Domain, a AuditEntry) error {
	defer s.cache.flush()
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n := name.String()
		if w.exists("SELECT 1 FROM address WHERE domain=? AND until='' AND key<>? LIMIT 1", n, "postmaster@"+n) {
			return fmt.Errorf("store: domain %s still has addresses: remove them first", name)
		}
		if w.exists("SELECT 1 FROM job WHERE recipients"+holds+" LIMIT 1", holding("@"+n+`"`)) {
			return fmt.Errorf("store: domain %s still has mail in the queue", name)
		}
		w.exec("DELETE FROM address WHERE domain=?", n)
		for _, table := range []string{"anchor", "subscription", "anchor_block", "policy"} {
			w.exec("DELETE FROM "+table+" WHERE domain=?", n)
		}
		w.exec("DELETE FROM peer WHERE local=?", n)
		w.exec("UPDATE credential SET retired=? WHERE domain=? AND retired=''", stamp(s.now()), n)
		if w.exec("DELETE FROM domain WHERE name=?", n) == 0 && w.err == nil {
			return fmt.Errorf("domain %s: %w", name, ErrNotFound)
		}
		w.audit(a)
		return w.err
	})
}

func scanDomain(r *sql.Rows) (d Domain, err error) {
	var name, dest, settings string
	if err = r.Scan(&name, &d.Org, &d.Postmaster, &dest, &settings); err != nil {
		return d, err
	}
	return d, errors.Join(d.Name.UnmarshalText([]byte(name)), json.Unmarshal([]byte(dest), &d.Destination),
		json.Unmarshal([]byte(settings), &d.Settings))
}

// Domains lists our health domains.
func (s *Store) Domains(ctx context.Context) ([]Domain, error) {
	return list(ctx, s, "SELECT name, org, postmaster, destination, settings FROM domain ORDER BY name", nil, scanDomain)
}

// domainCache keeps our domains between changes: each recipient is asked for one.
type domainCache struct {
	mu sync.Mutex
	by map[addr.Domain]Domain
}

// Domain is one health domain of ours (ErrNotFound otherwise).
func (s *Store) Domain(ctx context.Context, name addr.Domain) (Domain, error) {
	c := &s.cache.domains
	c.mu.Lock()
	defer c.mu.Unlock() // while it is read too: a change flushes after it, and so what was read before it
	if d, ok := c.by[name]; ok {
		return d, nil
	}
	d, err := one(ctx, s, "SELECT name, org, postmaster, destination, settings FROM domain WHERE name=?", []any{name.String()}, scanDomain)
	if err == nil {
		if c.by == nil {
			c.by = map[addr.Domain]Domain{}
		}
		c.by[name] = d
	}
	return d, err
}

// AddAddresses adds addresses, all or none; each domain must be ours.
func (s *Store) AddAddresses(ctx context.Context, as []Address, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		for _, a := range as {
			d := a.Address.Domain().String()
			if !w.exists("SELECT 1 FROM domain WHERE name=?", d) && w.err == nil {
				return fmt.Errorf("address %s: domain %s is not ours: %w", a.Address, d, ErrNotFound)
			}
			if w.exists("SELECT 1 FROM address WHERE key=? AND until=''", a.Address.Key()) {
				return fmt.Errorf("address %s: %w", a.Address, ErrExists)
			}
			w.inbox(a.Org, a.Destination.Inbox)
			w.exec("INSERT INTO address VALUES (?,?,?,?,?,?,'')", a.Address.Key(), a.Org, d, a.Address.String(), column(a.Destination), stamp(s.now()))
		}
		w.audit(entry)
		return w.err
	})
}

// inbox makes an inbox of that id when there is none.
func (w *writer) inbox(org, id string) {
	if id != "" {
		w.exec("INSERT INTO inbox VALUES (?,?,?,1,?) ON CONFLICT DO NOTHING", id, org, id, stamp(w.s.now()))
	}
}

// RemoveAddress ends an address; what it received stays.
func (s *Store) RemoveAddress(ctx context.Context, a addr.Address, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if strings.EqualFold(a.Local(), "postmaster") {
			return fmt.Errorf("store: %s must reach a person (RFC 5321 §4.5.1): give it another destination instead", a)
		}
		if w.exec("UPDATE address SET until=? WHERE key=? AND until=''", stamp(s.now()), a.Key()) == 0 && w.err == nil {
			return fmt.Errorf("address %s: %w", a, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

func scanAddress(r *sql.Rows) (a Address, err error) {
	var spelled, dest, since string
	if err = r.Scan(&spelled, &a.Org, &dest, &since); err != nil {
		return a, err
	}
	a.Since = parseStamp(since)
	return a, errors.Join(a.Address.UnmarshalText([]byte(spelled)), json.Unmarshal([]byte(dest), &a.Destination))
}

// Addresses lists the live addresses of a domain, or of all when it is zero.
func (s *Store) Addresses(ctx context.Context, d addr.Domain) ([]Address, error) {
	return list(ctx, s, "SELECT spelled, org, destination, since FROM address WHERE until='' AND (?='' OR domain=?) ORDER BY domain, key",
		[]any{d.String(), d.String()}, scanAddress)
}

// Mailbox is what Resolve found out about an address.
type Mailbox struct {
	Ours        bool // the domain is ours
	Known       bool // the address exists
	Org         string
	Destination route.Destination // an inbox or an edge
	Domain      Domain
}

// Resolve finds where mail for an address ends: without its +tag (AS-04), through aliases (at most
// route.MaxAlias), else the domain's own destination.
func (s *Store) Resolve(ctx context.Context, a addr.Address) (Mailbox, error) {
	d, err := s.Domain(ctx, a.Domain())
	if errors.Is(err, ErrNotFound) {
		return Mailbox{}, nil
	}
	if err != nil {
		return Mailbox{}, err
	}
	mb := Mailbox{Ours: true, Org: d.Org, Domain: d}
	at := a.WithoutTag()
	for range route.MaxAlias + 1 {
		row, err := one(ctx, s, "SELECT spelled, org, destination, since FROM address WHERE key=? AND until=''", []any{at.Key()}, scanAddress)
		switch {
		case errors.Is(err, ErrNotFound) && d.Settings.CatchAll && at.Domain() == d.Name && !d.Destination.IsZero():
			mb.Known, mb.Destination = true, d.Destination
			return mb, nil
		case errors.Is(err, ErrNotFound):
			return mb, nil
		case err != nil:
			return mb, err
		case !row.Destination.Alias.IsZero():
			at = row.Destination.Alias.WithoutTag()
			continue
		case row.Destination.IsZero():
			mb.Known, mb.Destination = !d.Destination.IsZero(), d.Destination
			return mb, nil
		}
		mb.Known, mb.Destination = true, row.Destination
		return mb, nil
	}
	return mb, fmt.Errorf("store: address %s: more than %d aliases in a row", a, route.MaxAlias)
}

// Inboxes lists inbox ids with the number of items in each.
func (s *Store) Inboxes(ctx context.Context) (map[string]int64, error) {
	type row struct {
		id string
		n  int64
	}
	rows, err := list(ctx, s, "SELECT b.id, (SELECT count(*) FROM item i WHERE i.inbox=b.id) FROM inbox b", nil, func(r *sql.Rows) (v row, err error) {
		err = r.Scan(&v.id, &v.n)
		return v, err
	})
	out := map[string]int64{}
	for _, r := range rows {
		out[r.id] = r.n
	}
	return out, err
}

// EnsureInbox makes an inbox when there is none of that id.
func (s *Store) EnsureInbox(ctx context.Context, org, id string) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		w.inbox(org, id)
		return w.err
	})
}

// TrustSettings are a domain's choices for the trust evaluator (trust.SettingsSource).
func (s *Store) TrustSettings(ctx context.Context, local addr.Domain) (trust.Settings, error) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	if v, ok := s.cache.settings[local]; ok {
		return v, nil
	}
	d, err := s.Domain(ctx, local)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return trust.Settings{}, err
	}
	v := trust.Settings{Legacy: d.Settings.Legacy, RevocationHardFail: d.Settings.HardFail}
	if s.cache.settings == nil {
		s.cache.settings = map[addr.Domain]trust.Settings{}
	}
	s.cache.settings[local] = v
	return v, nil
}
