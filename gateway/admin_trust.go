package gateway

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/keyring"
	"postern/gateway/store"
	"postern/smime/addr"
)

// AnchorAdd are the arguments of `trust anchor add`.
type AnchorAdd struct {
	Domain       addr.Domain `json:"domain"`
	Certificates [][]byte    `json:"certificates"` // DER
	Incoming     bool        `json:"incoming"`
	Outgoing     bool        `json:"outgoing"`
	AllowLeaf    bool        `json:"allow_leaf,omitempty"`
	Source       string      `json:"source,omitempty"`
}

// AnchorAdd makes certificates trust anchors of a domain: they bite from the moment it returns.
func (a Admin) AnchorAdd(ctx context.Context, in AnchorAdd) ([]store.Anchor, error) {
	if !in.Incoming && !in.Outgoing {
		return nil, fmt.Errorf("gateway: an anchor is for incoming mail, for outgoing mail, or both")
	}
	var rows []store.Anchor
	for i, der := range in.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("gateway: certificate %d cannot be read: %w", i+1, err)
		}
		if !c.IsCA && !in.AllowLeaf { // TB-16
			return nil, fmt.Errorf("gateway: certificate %d (%s) is not an authority's: as an anchor it would approve only itself; --leaf allows it", i+1, c.Subject)
		}
		rows = append(rows, store.Anchor{Domain: in.Domain, Fingerprint: certs.Fingerprint(c), Org: a.s.Org, Incoming: in.Incoming,
			Outgoing: in.Outgoing, Certificate: c.Raw, Subject: c.Subject.String(), Expires: c.NotAfter, Source: orDefault(in.Source, "manual"), Added: a.s.now()})
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("gateway: no certificate to add")
	}
	prints := make([]string, len(rows))
	for i, r := range rows {
		prints[i] = r.Fingerprint
	}
	return rows, a.s.Store.AddAnchors(ctx, rows, a.entry("anchor.add", in.Domain.String(), map[string]any{"anchors": prints,
		"incoming": in.Incoming, "outgoing": in.Outgoing}))
}

// AnchorRemove removes one anchor; what it alone vouched for is refused from the moment it returns.
func (a Admin) AnchorRemove(ctx context.Context, d addr.Domain, fingerprint string) error {
	return a.s.Store.RemoveAnchor(ctx, d, fingerprint, a.entry("anchor.remove", d.String(), map[string]any{"anchor": fingerprint}))
}

// CertCreate are the arguments of `cert create`: one of Domain and Address.
type CertCreate struct {
	Domain    addr.Domain     `json:"domain,omitzero"`
	Address   addr.Address    `json:"address,omitzero"`
	Pair      bool            `json:"pair,omitempty"` // two single-use certificates
	Algorithm issue.Algorithm `json:"algorithm,omitempty"`
	Days      int             `json:"days,omitempty"`
}

// CertCreate issues a certificate of the pilot authority for a domain or address of ours.
func (a Admin) CertCreate(ctx context.Context, in CertCreate) ([]store.Credential, error) {
	ca, err := a.pilot(ctx)
	if err != nil {
		return nil, err
	}
	o := issue.LeafOptions{Domain: in.Domain, Address: in.Address, Algorithm: in.Algorithm, Now: a.s.now(), Life: time.Duration(in.Days) * 24 * time.Hour}
	var made []certs.Credential
	if in.Pair {
		s, e, err := ca.Pair(o)
		if err != nil {
			return nil, err
		}
		made = []certs.Credential{s, e}
	} else {
		c, err := ca.Leaf(o)
		if err != nil {
			return nil, err
		}
		made = []certs.Credential{c}
	}
	return a.certStore(ctx, made, "cert.create")
}

// pilot is the site's pilot authority.
func (a Admin) pilot(ctx context.Context) (*issue.Authority, error) {
	text, err := a.s.Store.Meta(ctx, metaPilot)
	if err != nil {
		return nil, err
	}
	var p pilot
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("gateway: this site has no pilot authority: %w", err)
	}
	der, err := a.s.Keys.OpenSecret(a.s.Org, pilotPurpose, p.SealedKey)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("gateway: pilot authority: %w", err)
	}
	cert, err := x509.ParseCertificate(p.Certificate)
	if err != nil {
		return nil, fmt.Errorf("gateway: pilot authority: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok || !certs.Owns(key, cert) {
		return nil, fmt.Errorf("gateway: pilot authority: its key does not belong to its certificate")
	}
	return &issue.Authority{Cert: cert, Key: signer}, nil
}

// CertImport stores credentials that came from a file.
func (a Admin) CertImport(ctx context.Context, creds []certs.Credential) ([]store.Credential, error) {
	return a.certStore(ctx, creds, "cert.import")
}

// certStore seals each private key and stores the credentials, each under the domain of ours it is bound to.
func (a Admin) certStore(ctx context.Context, creds []certs.Credential, action string) ([]store.Credential, error) {
	domains, err := a.s.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var out []store.Credential
	for _, c := range creds {
		row, err := a.credentialRow(c, domains)
		if err != nil {
			return out, err
		}
		if err := a.s.Store.AddCredential(ctx, row, a.entry(action, row.ID, map[string]any{"domain": row.Domain.String(),
			"address": row.Address.String(), "subject": c.Cert.Subject.String(), "expires": c.Cert.NotAfter})); err != nil {
			return out, err
		}
		out = append(out, row)
	}
	a.s.published()
	return out, nil
}

func (a Admin) credentialRow(c certs.Credential, domains []store.Domain) (store.Credential, error) {
	row := store.Credential{ID: c.ID, Org: a.s.Org, Certificate: c.Cert.Raw, CanSign: c.CanSign(), CanDecrypt: c.CanDecrypt(),
		Expires: c.Cert.NotAfter, Created: a.s.now()}
	row.Published = row.CanDecrypt
	for _, up := range c.Chain {
		row.Chain = append(row.Chain, up.Raw)
	}
	for _, d := range domains {
		for _, name := range c.Cert.EmailAddresses {
			if ad, err := addr.Parse(name); err == nil && ad.Domain() == d.Name {
				row.Domain, row.Address = d.Name, ad
			}
		}
		if row.Domain.IsZero() {
			if _, ok := c.BoundTo(addr.MustParse("postmaster@" + d.Name.String())); ok {
				row.Domain = d.Name
			}
		}
	}
	if row.Domain.IsZero() {
		return row, fmt.Errorf("gateway: certificate %s names no domain or address of ours in its subjectAltName (AS-10)", c.Cert.Subject)
	}
	if !row.CanSign && !row.CanDecrypt {
		return row, fmt.Errorf("gateway: certificate %s may neither sign nor take encryption by its key usage (AS-15)", c.Cert.Subject)
	}
	if a.s.inDevice(c) {
		row.SealedKey = []byte{}
		return row, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return row, fmt.Errorf("gateway: private key of %s: %w", c.Cert.Subject, err)
	}
	defer clear(der)
	row.SealedKey, err = a.s.Keys.SealSecret(a.s.Org, keyring.Purpose(c.ID), der)
	return row, err
}

// CertInfo is one line of `cert list`.
type CertInfo struct {
	ID         string    `json:"id"`
	Domain     string    `json:"domain"`
	Address    string    `json:"address,omitempty"`
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	CanSign    bool      `json:"can_sign"`
	CanDecrypt bool      `json:"can_decrypt"`
	Published  bool      `json:"published"`
	Expires    time.Time `json:"expires"`
	Retired    time.Time `json:"retired,omitzero"`
}

// CertList lists our certificates.
func (a Admin) CertList(ctx context.Context) ([]CertInfo, error) {
	rows, err := a.s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return nil, err
	}
	out := make([]CertInfo, 0, len(rows))
	for _, r := range rows {
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return nil, fmt.Errorf("gateway: stored certificate %s: %w", r.ID, err)
		}
		out = append(out, CertInfo{r.ID, r.Domain.String(), r.Address.String(), c.Subject.String(), c.Issuer.String(), r.CanSign, r.CanDecrypt,
			r.Published, r.Expires, r.Retired})
	}
	return out, nil
}

// ExportArg are the arguments of `cert export`.
type ExportArg struct {
	ID      string `json:"id"` // SHA-256 in hex, or its first 8 digits or more
	WithKey bool   `json:"with_key,omitempty"`
}

// Exported is a certificate of ours with its chain, DER, leaf first, and on demand its key (PKCS#8).
type Exported struct {
	Certificates [][]byte `json:"certificates"`
	Key          []byte   `json:"key,omitempty"`
}

// CertExport gives a certificate of ours out. With its private key it is audited.
func (a Admin) CertExport(ctx context.Context, in ExportArg) (Exported, error) {
	rows, err := a.s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return Exported{}, err
	}
	for _, r := range rows {
		if len(in.ID) < 8 || !strings.HasPrefix(r.ID, strings.ToLower(in.ID)) {
			continue
		}
		out := Exported{Certificates: append([][]byte{r.Certificate}, r.Chain...)}
		if !in.WithKey {
			return out, nil
		}
		if len(r.SealedKey) == 0 {
			return Exported{}, errors.New("gateway: the private key is in the device and cannot be taken out of it")
		}
		if err := a.s.Store.AuditAct(ctx, a.entry("cert.export_key", r.ID, nil)); err != nil {
			return Exported{}, err
		}
		out.Key, err = a.s.Keys.OpenSecret(r.Org, keyring.Purpose(r.ID), r.SealedKey)
		return out, err
	}
	return Exported{}, fmt.Errorf("certificate %s: %w", in.ID, store.ErrNotFound)
}

// CertRetire stops a certificate from signing and being published; it goes on decrypting (AS-122).
func (a Admin) CertRetire(ctx context.Context, id string) error {
	defer a.s.published()
	return a.s.Store.RetireCredential(ctx, id, a.entry("cert.retire", id, nil))
}
