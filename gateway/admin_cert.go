package gateway

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/keyring"
	"postern/gateway/store"
	"postern/smime/addr"
)

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

// CertImport stores credentials that came from a file: all or none.
func (a Admin) CertImport(ctx context.Context, creds []certs.Credential) ([]store.Credential, error) {
	return a.certStore(ctx, creds, "cert.import")
}

// successor says whose place a new credential takes, and from when on it signs.
type successor struct {
	replaces string
	signs    time.Time
}

// certStore seals each private key and stores the credentials, each under the domain of ours it is bound to: all
// or none.
func (a Admin) certStore(ctx context.Context, creds []certs.Credential, action string) ([]store.Credential, error) {
	return a.certPlace(ctx, creds, action, successor{})
}

// certPlace is certStore for credentials that take another's place.
func (a Admin) certPlace(ctx context.Context, creds []certs.Credential, action string, to successor) ([]store.Credential, error) {
	domains, err := a.s.Store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	var out []store.Credential
	var places []store.Placement
	for _, c := range creds {
		row, err := a.credentialRow(c, domains)
		if err == nil {
			err = a.notHere(ctx, row.ID)
		}
		if err != nil {
			return nil, err
		}
		row.Replaces, row.SignsFrom = to.replaces, to.signs
		out = append(out, row)
		places = append(places, store.Placement{Credential: row, Entry: a.entry(action, row.ID, map[string]any{"domain": row.Domain.String(),
			"address": row.Address.String(), "subject": c.Cert.Subject.String(), "expires": c.Cert.NotAfter, "replaces": to.replaces})})
	}
	if err := a.s.Store.AddCredentials(ctx, places); err != nil {
		return nil, err
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
		return row, fmt.Errorf("gateway: certificate %s names no domain or address of ours in its subjectAltName (AS-10): postern domain list names ours; add the domain first, or ask for another certificate (postern cert csr)", c.Cert.Subject)
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

	SignsFrom     time.Time `json:"signs_from,omitzero"`
	Replaces      string    `json:"replaces,omitempty"`
	DecryptsUntil time.Time `json:"decrypts_until,omitzero"`
	Refused       []string  `json:"refused,omitempty"` // by the domain's own policies: what they keep it from, and why
}

// CertList lists our certificates.
func (a Admin) CertList(ctx context.Context) ([]CertInfo, error) {
	rows, err := a.s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return nil, err
	}
	judged, err := credentials{a.s.Store}.StoredCredentials(ctx, addr.Domain{})
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
			r.Published, r.Expires, r.Retired, r.SignsFrom, r.Replaces, r.DecryptsUntil, refusals(judged, r)})
	}
	return out, nil
}

// refusals is what the domain's own policies keep a certificate in use from.
func refusals(judged []keyring.Stored, r store.Credential) (out []string) {
	i := slices.IndexFunc(judged, func(s keyring.Stored) bool { return s.Credential.ID == r.ID })
	if i < 0 || !r.Retired.IsZero() {
		return nil
	}
	for _, p := range []struct {
		refused  *keyring.Refused
		what, by string
	}{{judged[i].Unsigning, "does not sign", "outgoing, sign"}, {judged[i].Unpublished, "is not published", "incoming, decrypt"}} {
		if p.refused != nil {
			out = append(out, fmt.Sprintf("%s: policy %s (%s), %s", p.what, p.refused.Policy, p.by, p.refused.Detail))
		}
	}
	return out
}

// ExportArg are the arguments of `cert export`.
type ExportArg struct {
	ID      string `json:"id"` // SHA-256 in hex, or its first 8 digits or more
	WithKey bool   `json:"with_key,omitempty"`
	Format  string `json:"format,omitempty"` // the file it is for: for the audit of a key
}

// Exported is a certificate of ours with its chain, DER, leaf first, and on demand its key (PKCS#8).
type Exported struct {
	Certificates [][]byte `json:"certificates"`
	Key          []byte   `json:"key,omitempty"`
}

// CertExport gives a certificate of ours out. With its private key it is audited.
func (a Admin) CertExport(ctx context.Context, in ExportArg) (Exported, error) {
	r, err := a.credential(ctx, in.ID)
	if err != nil {
		return Exported{}, err
	}
	out := Exported{Certificates: append([][]byte{r.Certificate}, r.Chain...)}
	if !in.WithKey {
		return out, nil
	}
	if len(r.SealedKey) == 0 {
		return Exported{}, errors.New("gateway: the private key is in the device and cannot be taken out of it")
	}
	if err := a.s.Store.AuditAct(ctx, a.entry("cert.export_key", r.ID, map[string]any{"format": in.Format})); err != nil {
		return Exported{}, err
	}
	out.Key, err = a.s.Keys.OpenSecret(r.Org, keyring.Purpose(r.ID), r.SealedKey)
	return out, err
}

// CertRetire stops a certificate from signing and being published; it goes on decrypting (AS-122).
func (a Admin) CertRetire(ctx context.Context, id string) error {
	row, err := a.credential(ctx, id)
	if err != nil {
		return err
	}
	if !row.Retired.IsZero() {
		return fmt.Errorf("gateway: certificate %s was retired on %s already: nothing is changed", row.ID[:16], row.Retired.UTC().Format(time.DateOnly))
	}
	defer a.s.published()
	next, err := a.successorOf(ctx, row)
	if err != nil {
		return err
	}
	if next != nil && validNow(*next, a.s.now()) == nil { // its wait has lost its reason: nothing else would sign
		return a.s.Store.FinishRoll(ctx, row.ID, next.ID, time.Time{}, a.entry("cert.retire", row.ID, map[string]any{"new": next.ID}))
	}
	return a.s.Store.RetireCredential(ctx, row.ID, a.entry("cert.retire", row.ID, nil))
}

// notHere refuses a certificate that is stored already, and says how it stands.
func (a Admin) notHere(ctx context.Context, id string) error {
	rows, err := a.s.Store.Credentials(ctx, addr.Domain{})
	for _, r := range rows {
		switch {
		case r.ID != id:
		case r.Retired.IsZero():
			return fmt.Errorf("gateway: certificate %s is here already and in use (postern cert list): nothing is changed", id[:16])
		default:
			return fmt.Errorf("gateway: certificate %s is here already, retired on %s: to use it again, take its retirement back (postern trust changes, postern trust undo)",
				id[:16], r.Retired.UTC().Format(time.DateOnly))
		}
	}
	return err
}

// credential is the one whose id begins so.
func (a Admin) credential(ctx context.Context, prefix string) (store.Credential, error) {
	rows, err := a.s.Store.Credentials(ctx, addr.Domain{})
	if err != nil {
		return store.Credential{}, err
	}
	var found []store.Credential
	for _, r := range rows {
		if len(prefix) >= 8 && strings.HasPrefix(r.ID, strings.ToLower(prefix)) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return store.Credential{}, fmt.Errorf("certificate %.80q of ours: %w: give 8 digits of its id or more (postern cert list)", prefix, store.ErrNotFound)
	case 1:
		return found[0], nil
	}
	return store.Credential{}, fmt.Errorf("gateway: %d certificates begin with %s: give more digits", len(found), prefix)
}
