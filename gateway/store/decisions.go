package store

import (
	"context"
	"crypto/x509"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"postern/gateway/message"
	"postern/smime/addr"
	"postern/trust"
)

// MaxPathCerts bounds the certificates kept of one decision: leaf, then its chain or what came with it.
const MaxPathCerts = 12

// DecisionsKept is how long decisions are kept.
const DecisionsKept = 400 * 24 * time.Hour

// Decision is one trust decision about a partner's certificate.
type Decision struct {
	Org       string
	At        time.Time
	Message   message.ID
	Domain    addr.Domain // whose anchors decided
	Direction trust.Direction
	Purpose   trust.Purpose
	Peer      addr.Address
	Path      []*x509.Certificate // leaf first: up to its anchor when approved, else with what came along
	Reason    string              // "" is approved
}

// decision keeps a decision: the certificates, the way it was judged and the row, each certificate and way once.
func (w *writer) decision(d Decision) {
	if len(d.Path) == 0 {
		return
	}
	path := d.Path[:min(len(d.Path), MaxPathCerts)]
	prints := make([]string, len(path))
	for i, c := range path {
		prints[i] = fingerprint(c)
	}
	anchor := ""
	if d.Reason == "" {
		anchor = prints[len(prints)-1]
	}
	id := w.number("SELECT id FROM trust_path WHERE certificates=?", strings.Join(prints, " "))
	if id == 0 {
		for i, c := range path {
			w.exec("INSERT INTO trust_certificate VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", prints[i], c.Raw, c.Subject.String(), stamp(c.NotAfter), stamp(d.At))
		}
		w.exec("INSERT INTO trust_path(certificates, leaf, anchor) VALUES (?,?,?)", strings.Join(prints, " "), prints[0], anchor)
		id = w.number("SELECT id FROM trust_path WHERE certificates=?", strings.Join(prints, " "))
	}
	if anchor != "" {
		w.exec("UPDATE trust_path SET anchor=? WHERE id=? AND anchor=''", anchor, id)
	}
	same := []any{d.Domain.String(), string(d.Direction), string(d.Purpose), d.Peer.Key(), id, d.Reason, d.Org}
	const find = "SELECT id FROM judgement WHERE domain=? AND direction=? AND purpose=? AND peer=? AND path=? AND reason=? AND org=?"
	judged := w.number(find, same...)
	if judged == 0 {
		w.exec("INSERT INTO judgement(domain, direction, purpose, peer, path, reason, org) VALUES (?,?,?,?,?,?,?)", same...)
		judged = w.number(find, same...)
	}
	w.exec("INSERT INTO decision(at, judgement, message) VALUES (?,?,?)", stamp(d.At), judged, string(d.Message))
}

// number is the first column of the first row; 0 when there is none.
func (w *writer) number(query string, args ...any) (n int64) {
	if w.err != nil {
		return 0
	}
	if err := w.row(query, args...).Scan(&n); err != nil && err != sql.ErrNoRows {
		w.err = fmt.Errorf("store: %w", err)
	}
	return n
}

// Judged is every decision of one kind in a span: the same domain, direction, purpose, partner, certificates
// and outcome.
type Judged struct {
	ID        int64
	Domain    addr.Domain
	Direction trust.Direction
	Purpose   trust.Purpose
	Peer      string // address key
	Path      []string
	Anchor    string // fingerprint; "" when refused
	Reason    string
	Count     int64
	First     time.Time
	Last      time.Time
}

// Judged groups the decisions since an instant, of one domain or of all when it is zero.
func (s *Store) Judged(ctx context.Context, d addr.Domain, since time.Time) ([]Judged, error) {
	return list(ctx, s, `SELECT j.id, j.domain, j.direction, j.purpose, j.peer, p.certificates, p.anchor, j.reason, n, first, last
		FROM (SELECT judgement, count(*) n, min(at) first, max(at) last FROM decision WHERE at>=? GROUP BY judgement) c
		JOIN judgement j ON j.id=c.judgement JOIN trust_path p ON p.id=j.path WHERE ?='' OR j.domain=? ORDER BY j.id`,
		[]any{stamp(since), d.String(), d.String()}, scanJudged)
}

func scanJudged(r *sql.Rows) (j Judged, err error) {
	var domain, certs, first, last string
	if err = r.Scan(&j.ID, &domain, &j.Direction, &j.Purpose, &j.Peer, &certs, &j.Anchor, &j.Reason, &j.Count, &first, &last); err != nil {
		return j, err
	}
	j.Path, j.First, j.Last = strings.Fields(certs), parseStamp(first), parseStamp(last)
	if j.Reason != "" {
		j.Anchor = ""
	}
	return j, j.Domain.UnmarshalText([]byte(domain))
}

// DecisionsOf is the decisions about one message, oldest first.
func (s *Store) DecisionsOf(ctx context.Context, id message.ID) ([]Judged, error) {
	return list(ctx, s, `SELECT j.id, j.domain, j.direction, j.purpose, j.peer, p.certificates, p.anchor, j.reason, 1, d.at, d.at FROM decision d
		JOIN judgement j ON j.id=d.judgement JOIN trust_path p ON p.id=j.path WHERE d.message=? ORDER BY d.seq`, []any{string(id)}, scanJudged)
}

// SeenCertificate is a certificate of a partner as it was first seen.
func (s *Store) SeenCertificate(ctx context.Context, fingerprint string) (*x509.Certificate, error) {
	der, err := one(ctx, s, "SELECT certificate FROM trust_certificate WHERE fingerprint=?", []any{fingerprint}, func(r *sql.Rows) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", fingerprint, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("store: certificate %s: %w", fingerprint, err)
	}
	return c, nil
}

// maxForgotten bounds the decisions, or the rows that only they named, which one change removes.
const maxForgotten = 5000

// ForgetDecisions removes decisions older than DecisionsKept, up to 5,000, and what no decision names any more:
// addresses of partners, ways and certificates. It says how many decisions went.
func (s *Store) ForgetDecisions(ctx context.Context) (n int64, err error) {
	err = s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		n = w.exec("DELETE FROM decision WHERE at<? AND seq IN (SELECT seq FROM decision ORDER BY seq LIMIT ?)", stamp(s.now().Add(-DecisionsKept)), maxForgotten)
		if n == 0 {
			return w.err
		}
		w.exec(`DELETE FROM judgement WHERE id IN (SELECT j.id FROM judgement j WHERE NOT EXISTS
			(SELECT 1 FROM decision d WHERE d.judgement=j.id) LIMIT ?)`, maxForgotten)
		w.exec("DELETE FROM trust_path WHERE id NOT IN (SELECT path FROM judgement)")
		w.exec(`DELETE FROM trust_certificate WHERE NOT EXISTS (SELECT 1 FROM trust_path p WHERE p.certificates LIKE '%' || trust_certificate.fingerprint || '%')`)
		return w.err
	})
	return n, err
}
