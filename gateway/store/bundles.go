package store

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/smime/addr"
)

// Bundle is a published set of anchors that domains of ours may subscribe to.
type Bundle struct {
	Name          string         `json:"name"`
	Org           string         `json:"-"`
	URL           string         `json:"url,omitempty"` // "" is a file given by hand
	Settings      BundleSettings `json:"settings"`
	Created       time.Time      `json:"created"`
	Anchors       int            `json:"anchors"`
	Look          BundleLook     `json:"look"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// BundleSettings say how a bundle is fetched, judged and taken over.
type BundleSettings struct {
	Signers           [][]byte      `json:"signers,omitempty"` // DER: who may sign it; none accepts an unsigned one over HTTPS
	AllowLeaves       bool          `json:"allow_leaves,omitempty"`
	AllowPlain        bool          `json:"allow_plain,omitempty"` // unsigned over plain HTTP
	Interval          time.Duration `json:"interval_ns"`           // between looks; 0 is by hand only
	Auto              bool          `json:"auto,omitempty"`        // a change inside the limits is applied without a person
	MaxRemovedPercent int           `json:"max_removed_percent"`   // more of the anchors than this go only by a person
	TwoPersons        bool          `json:"two_persons,omitempty"` // a change needs two of them
}

// BundleLook is what the last looks at a bundle's source came to.
type BundleLook struct {
	Checksum  string          `json:"checksum,omitempty"` // of the file in force
	Seen      string          `json:"seen,omitempty"`     // of the file last fetched, in force or waiting
	ETag      string          `json:"etag,omitempty"`
	Modified  string          `json:"modified,omitempty"`
	Signer    []byte          `json:"-"` // DER: who signed the file in force
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	Attempted time.Time       `json:"attempted,omitzero"`
	Succeeded time.Time       `json:"succeeded,omitzero"`
	Failures  int             `json:"failures"` // since the last success
	Reason    string          `json:"reason,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Due       time.Time       `json:"due,omitzero"`
}

// Subscription is a domain's use of a bundle (TB-50).
type Subscription struct {
	Domain   addr.Domain `json:"domain"`
	Bundle   string      `json:"bundle"`
	Org      string      `json:"-"`
	Incoming bool        `json:"incoming"`
	Outgoing bool        `json:"outgoing"`
	Since    time.Time   `json:"since"`
}

// AddBundle adds a bundle with its first anchors. No domain believes them before it subscribes.
func (s *Store) AddBundle(ctx context.Context, b Bundle, anchors []*x509.Certificate, entry AuditEntry) (TrustChange, error) {
	return s.changeTrust(ctx, entry, bundleScope(b.Name), func(w *writer) error {
		if w.exec("INSERT INTO bundle VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", b.Name, b.Org, b.URL, column(b.Settings), stamp(s.now())) == 0 && w.err == nil {
			return fmt.Errorf("bundle %s: %w", b.Name, ErrExists)
		}
		w.bundleAnchors(b.Name, anchors)
		w.bundleLook(b.Name, b.Look)
		return w.err
	})
}

func bundleScope(name string) []scope {
	return []scope{{"bundle", "name", name}, {"bundle_anchor", "bundle", name}, {"subscription", "bundle", name}}
}

// bundleAnchors makes the anchors of a bundle exactly those given (TB-33).
func (w *writer) bundleAnchors(name string, anchors []*x509.Certificate) {
	keep := map[string]bool{}
	for _, c := range anchors {
		print := fingerprint(c)
		keep[print] = true
		w.exec("INSERT INTO bundle_anchor VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING", name, print, c.Raw, c.Subject.String(), stamp(c.NotAfter), stamp(w.s.now()))
	}
	for _, r := range w.trustRows([]scope{{"bundle_anchor", "bundle", name}}) {
		if print, _ := r.Values["fingerprint"].(string); !keep[print] {
			w.exec("DELETE FROM bundle_anchor WHERE bundle=? AND fingerprint=?", name, print)
		}
	}
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func (w *writer) bundleLook(name string, l BundleLook) {
	w.exec(`INSERT INTO bundle_look VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(bundle) DO UPDATE SET checksum=excluded.checksum, seen=excluded.seen,
		etag=excluded.etag, modified=excluded.modified, signer=excluded.signer, metadata=excluded.metadata, attempted=excluded.attempted,
		succeeded=excluded.succeeded, failures=excluded.failures, reason=excluded.reason, detail=excluded.detail, due=excluded.due`,
		name, l.Checksum, l.Seen, l.ETag, l.Modified, l.Signer, string(l.Metadata), stamp(l.Attempted), stamp(l.Succeeded), l.Failures, l.Reason, l.Detail, stamp(l.Due))
}

// LookedAt records what a look at a bundle's source came to.
func (s *Store) LookedAt(ctx context.Context, name string, l BundleLook) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if !w.exists("SELECT 1 FROM bundle WHERE name=?", name) && w.err == nil {
			return fmt.Errorf("bundle %s: %w", name, ErrNotFound)
		}
		w.bundleLook(name, l)
		return w.err
	})
}

// ApplyBundle makes the anchors of a bundle those given, and settles the proposal that led to it ("" is none).
func (s *Store) ApplyBundle(ctx context.Context, name string, anchors []*x509.Certificate, look BundleLook, proposal string, entry AuditEntry) (TrustChange, error) {
	return s.changeTrust(ctx, entry, bundleScope(name), func(w *writer) error {
		if len(anchors) == 0 {
			return fmt.Errorf("store: bundle %s is never emptied", name) // TB-15, TB-31
		}
		if !w.exists("SELECT 1 FROM bundle WHERE name=?", name) && w.err == nil {
			return fmt.Errorf("bundle %s: %w", name, ErrNotFound)
		}
		w.bundleAnchors(name, anchors)
		w.bundleLook(name, look)
		w.settleProposal(proposal, Applied)
		return w.err
	})
}

// SetBundle changes where a bundle is fetched and how it is judged.
func (s *Store) SetBundle(ctx context.Context, name, url string, set BundleSettings, due time.Time, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, bundleScope(name), func(w *writer) error {
		if w.exec("UPDATE bundle SET url=?, settings=? WHERE name=?", url, column(set), name) == 0 && w.err == nil {
			return fmt.Errorf("bundle %s: %w", name, ErrNotFound)
		}
		w.exec("UPDATE bundle_look SET due=? WHERE bundle=?", stamp(due), name)
		return w.err
	})
	return err
}

// RemoveBundle removes a bundle that nobody subscribes to.
func (s *Store) RemoveBundle(ctx context.Context, name string, entry AuditEntry) error {
	_, err := s.changeTrust(ctx, entry, bundleScope(name), func(w *writer) error {
		if w.exists("SELECT 1 FROM subscription WHERE bundle=? LIMIT 1", name) {
			return fmt.Errorf("store: bundle %s is subscribed to: `postern trust bundle unsubscribe` first, and see what that touches", name)
		}
		w.exec("DELETE FROM bundle_anchor WHERE bundle=?", name)
		w.exec("DELETE FROM bundle_look WHERE bundle=?", name)
		w.exec("UPDATE proposal SET state=?, decided=? WHERE kind=? AND object=? AND state=?", Superseded, stamp(s.now()), ProposeBundle, name, Waiting)
		if w.exec("DELETE FROM bundle WHERE name=?", name) == 0 && w.err == nil {
			return fmt.Errorf("bundle %s: %w", name, ErrNotFound)
		}
		return w.err
	})
	return err
}

// Subscribe lets a domain believe a bundle's anchors, in the directions given; neither ends it.
func (s *Store) Subscribe(ctx context.Context, sub Subscription, proposal string, entry AuditEntry) (TrustChange, error) {
	return s.changeTrust(ctx, entry, []scope{{"subscription", "domain", sub.Domain.String()}}, func(w *writer) error {
		w.settleProposal(proposal, Applied)
		if !sub.Incoming && !sub.Outgoing {
			if w.exec("DELETE FROM subscription WHERE domain=? AND bundle=?", sub.Domain.String(), sub.Bundle) == 0 && w.err == nil {
				return fmt.Errorf("subscription of %s to %s: %w", sub.Domain, sub.Bundle, ErrNotFound)
			}
			return w.err
		}
		for _, q := range []struct{ what, query, value string }{{"domain", "SELECT 1 FROM domain WHERE name=?", sub.Domain.String()},
			{"bundle", "SELECT 1 FROM bundle WHERE name=?", sub.Bundle}} {
			if !w.exists(q.query, q.value) && w.err == nil {
				return fmt.Errorf("%s %s: %w", q.what, q.value, ErrNotFound)
			}
		}
		w.exec(`INSERT INTO subscription VALUES (?,?,?,?,?,?) ON CONFLICT(domain, bundle) DO UPDATE SET incoming=excluded.incoming, outgoing=excluded.outgoing`,
			sub.Domain.String(), sub.Bundle, sub.Org, sub.Incoming, sub.Outgoing, stamp(s.now()))
		return w.err
	})
}

// Bundles lists the bundles with their state and subscriptions.
func (s *Store) Bundles(ctx context.Context) ([]Bundle, error) {
	subs, err := list(ctx, s, "SELECT domain, bundle, org, incoming, outgoing, since FROM subscription ORDER BY domain", nil, func(r *sql.Rows) (v Subscription, err error) {
		var domain, since string
		if err = r.Scan(&domain, &v.Bundle, &v.Org, &v.Incoming, &v.Outgoing, &since); err != nil {
			return v, err
		}
		v.Since = parseStamp(since)
		return v, v.Domain.UnmarshalText([]byte(domain))
	})
	if err != nil {
		return nil, err
	}
	return list(ctx, s, `SELECT b.name, b.org, b.url, b.settings, b.created, (SELECT count(*) FROM bundle_anchor a WHERE a.bundle=b.name),
		coalesce(l.checksum, ''), coalesce(l.seen, ''), coalesce(l.etag, ''), coalesce(l.modified, ''), l.signer, coalesce(l.metadata, ''), coalesce(l.attempted, ''),
		coalesce(l.succeeded, ''), coalesce(l.failures, 0), coalesce(l.reason, ''), coalesce(l.detail, ''), coalesce(l.due, '')
		FROM bundle b LEFT JOIN bundle_look l ON l.bundle=b.name ORDER BY b.name`, nil, func(r *sql.Rows) (b Bundle, err error) {
		var settings, created, metadata, attempted, succeeded, due string
		l := &b.Look
		if err = r.Scan(&b.Name, &b.Org, &b.URL, &settings, &created, &b.Anchors, &l.Checksum, &l.Seen, &l.ETag, &l.Modified, &l.Signer, &metadata,
			&attempted, &succeeded, &l.Failures, &l.Reason, &l.Detail, &due); err != nil {
			return b, err
		}
		b.Created, l.Attempted, l.Succeeded, l.Due = parseStamp(created), parseStamp(attempted), parseStamp(succeeded), parseStamp(due)
		if metadata != "" {
			l.Metadata = json.RawMessage(metadata)
		}
		b.Subscriptions = []Subscription{}
		for _, sub := range subs {
			if sub.Bundle == b.Name {
				b.Subscriptions = append(b.Subscriptions, sub)
			}
		}
		return b, json.Unmarshal([]byte(settings), &b.Settings)
	})
}

// Bundle is one bundle.
func (s *Store) Bundle(ctx context.Context, name string) (Bundle, error) {
	all, err := s.Bundles(ctx)
	for _, b := range all {
		if b.Name == name {
			return b, nil
		}
	}
	return Bundle{}, errors.Join(err, fmt.Errorf("bundle %s: %w", name, ErrNotFound))
}

// BundleAnchors is the anchors of a bundle in force, by subject; one that cannot be read is left out.
func (s *Store) BundleAnchors(ctx context.Context, name string) ([]*x509.Certificate, error) {
	ders, err := list(ctx, s, "SELECT certificate FROM bundle_anchor WHERE bundle=? ORDER BY subject, fingerprint", []any{name}, func(r *sql.Rows) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	})
	var out []*x509.Certificate
	for _, der := range ders {
		if c, err := x509.ParseCertificate(der); err == nil {
			out = append(out, c)
		}
	}
	return out, err
}
