package store

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"postern/certs"
	"postern/gateway/agent"
	"postern/smime"
	"postern/smime/addr"
)

// KnownFor is how long what a peer's mail taught is used after the last such mail.
const KnownFor = 400 * 24 * time.Hour

// relearn is how old the time of a lesson may grow while what it says stays the same: a row is not
// written for every message.
const relearn = 24 * time.Hour

// Peer is what a domain of ours knows of the algorithms a peer reads.
type Peer struct {
	Local       addr.Domain `json:"local"`
	Name        string      `json:"name"` // an address or a domain
	Learnt      smime.Known `json:"learnt,omitzero"`
	Heard       time.Time   `json:"heard,omitzero"`        // when the mail was signed that last taught
	Certificate string      `json:"certificate,omitempty"` // of its signer, fingerprint
	KeyType     string      `json:"key_type,omitempty"`    // "RSA 2048"
	Setting     smime.Known `json:"setting,omitzero"`      // by a person: Cipher and Transport
}

func scanPeer(r *sql.Rows) (p Peer, err error) {
	var local, learnt, heard, setting string
	if err = r.Scan(&local, &p.Name, &learnt, &heard, &p.Certificate, &p.KeyType, &setting); err != nil {
		return p, err
	}
	p.Heard = parseStamp(heard)
	return p, errors.Join(p.Local.UnmarshalText([]byte(local)), json.Unmarshal([]byte(learnt), &p.Learnt), json.Unmarshal([]byte(setting), &p.Setting))
}

const peerColumns = "SELECT local, name, learnt, heard, certificate, key_type, setting FROM peer "

// Peers lists what is known of peers, of one domain of ours or of all when it is zero.
func (s *Store) Peers(ctx context.Context, local addr.Domain) ([]Peer, error) {
	return list(ctx, s, peerColumns+"WHERE ?='' OR local=? ORDER BY local, name", []any{local.String(), local.String()}, scanPeer)
}

// Known is what a domain of ours knows of a peer (agent.Peers): of its domain, over that of the address
// itself, over that what a person set, for the domain and then for the address.
func (s *Store) Known(ctx context.Context, local addr.Domain, peer addr.Address) (smime.Known, error) {
	domain := peer.Domain().String()
	rows, err := list(ctx, s, peerColumns+"WHERE local=? AND name IN (?,?) ORDER BY name<>?", []any{local.String(), domain, peer.WithoutTag().Key(), domain}, scanPeer)
	if err != nil {
		return smime.Known{}, fmt.Errorf("store: algorithms of %s: %w", peer, err)
	}
	var learnt, set smime.Known
	for _, p := range rows {
		if s.now().Sub(p.Heard) < KnownFor {
			learnt = learnt.With(p.Learnt)
		}
		set = set.With(p.Setting)
	}
	return learnt.With(set), nil
}

// SetPeer sets the cipher and key transport that a domain of ours sends a peer; an empty one is chosen
// again by what is known of the peer.
func (s *Store) SetPeer(ctx context.Context, org string, p Peer, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if !w.exists("SELECT 1 FROM domain WHERE name=?", p.Local.String()) && w.err == nil {
			return fmt.Errorf("domain %s: %w", p.Local, ErrNotFound)
		}
		w.exec(`INSERT INTO peer(local, name, org, setting) VALUES (?,?,?,?) ON CONFLICT(local, name) DO UPDATE SET setting=excluded.setting`,
			p.Local.String(), p.Name, org, column(p.Setting))
		w.audit(entry)
		return w.err
	})
}

// ForgetPeer removes what is known of a peer and what was set for it (ErrNotFound when that is nothing).
func (s *Store) ForgetPeer(ctx context.Context, local addr.Domain, name string, entry AuditEntry) error {
	return s.do(ctx, func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		if w.exec("DELETE FROM peer WHERE local=? AND name=?", local.String(), name) == 0 && w.err == nil {
			return fmt.Errorf("peer %s of %s: %w", name, local, ErrNotFound)
		}
		w.audit(entry)
		return w.err
	})
}

// keyType is a certificate's kind of key, for people.
func keyType(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}

// lesson learns from a message. An older message than the last that taught changes nothing, so that one
// sent again by somebody else does not bring old algorithms back.
func (w *writer) lesson(l agent.Lesson) {
	if w.err != nil {
		return
	}
	local := l.Local.String()
	var old, heard, cert string
	err := w.tx.QueryRow("SELECT learnt, heard, certificate FROM peer WHERE local=? AND name=?", local, l.Name).Scan(&old, &heard, &cert)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.err = fmt.Errorf("store: %w", err)
		return
	}
	last := parseStamp(heard)
	if l.Time.Before(last) {
		return
	}
	var k smime.Known
	if err == nil {
		if w.err = json.Unmarshal([]byte(old), &k); w.err != nil {
			return
		}
	}
	if old == "" { // a new one: those not heard of for long, for whom nothing is set, make room
		w.exec("DELETE FROM peer WHERE heard<>'' AND heard<? AND setting='{}'", stamp(w.s.now().Add(-KnownFor)))
	}
	print := certs.Fingerprint(l.Cert)
	learnt := column(k.With(l.Known))
	if learnt == old && cert == print && l.Time.Sub(last) < relearn {
		return
	}
	w.exec(`INSERT INTO peer(local, name, org, learnt, heard, certificate, key_type) SELECT name, ?, org, ?, ?, ?, ? FROM domain WHERE name=? ON CONFLICT(local, name)
		DO UPDATE SET learnt=excluded.learnt, heard=excluded.heard, certificate=excluded.certificate, key_type=excluded.key_type`,
		l.Name, learnt, stamp(l.Time), print, keyType(l.Cert), local)
}
