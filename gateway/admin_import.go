package gateway

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/store"
	"postern/smime/addr"
)

// RequestArg are the arguments of `cert csr`: one of Domain and Address.
type RequestArg struct {
	Domain       addr.Domain     `json:"domain,omitzero"`
	Address      addr.Address    `json:"address,omitzero"`
	Organization string          `json:"organization,omitempty"`
	Use          issue.Use       `json:"use,omitempty"`
	Algorithm    issue.Algorithm `json:"algorithm,omitempty"`
	Replaces     string          `json:"replaces,omitempty"` // the certificate whose place the answer takes
}

// Requested is a signing request whose key waits here.
type Requested struct {
	ID      string `json:"id"`
	Request []byte `json:"request"` // PKCS#10, DER
}

// CertRequest makes a key, keeps it sealed, and gives the signing request for a real authority.
func (a Admin) CertRequest(ctx context.Context, in RequestArg) (Requested, error) {
	replaces := ""
	if in.Replaces != "" {
		old, err := a.credential(ctx, in.Replaces)
		if err != nil {
			return Requested{}, err
		}
		replaces = old.ID
		if in.Address.IsZero() && in.Domain.IsZero() {
			if in.Address = old.Address; old.Address.IsZero() {
				in.Domain = old.Domain
			}
		}
		if in.Use == "" {
			in.Use = useOf(old)
		}
	}
	whose := in.Domain
	if !in.Address.IsZero() {
		whose = in.Address.Domain()
	}
	if _, err := a.s.Store.Domain(ctx, whose); err != nil {
		return Requested{}, fmt.Errorf("gateway: domain %s is not hosted here: %w", whose, err)
	}
	key, err := issue.NewKey(in.Algorithm)
	if err != nil {
		return Requested{}, err
	}
	der, err := issue.Request(issue.LeafOptions{Domain: in.Domain, Address: in.Address, Organization: in.Organization, Use: in.Use, Key: key})
	if err != nil {
		return Requested{}, err
	}
	row := store.Request{ID: "r-" + strings.ToLower(rand.Text()[:10]), Org: a.s.Org, Domain: whose, Address: in.Address, Request: der, Replaces: replaces}
	if row.PublicKey, err = keyPrint(key.Public()); err != nil {
		return Requested{}, err
	}
	if row.SealedKey, err = a.sealKey(requestPurpose(row.ID), key); err != nil {
		return Requested{}, err
	}
	return Requested{row.ID, der}, a.s.Store.AddRequest(ctx, row, a.entry("cert.request", row.ID, map[string]any{"domain": whose, "address": in.Address.String(), "replaces": replaces}))
}

// CertRequestAgain gives the request of a key that waits for its answer once more.
func (a Admin) CertRequestAgain(ctx context.Context, id string) (Requested, error) {
	all, err := a.s.Store.Requests(ctx)
	if err != nil {
		return Requested{}, err
	}
	for _, q := range all {
		if q.ID == id {
			return Requested{q.ID, q.Request}, nil
		}
	}
	return Requested{}, fmt.Errorf("gateway: no request %.40q waits for its answer (postern cert csr --list): %w", id, store.ErrNotFound)
}

func requestPurpose(id string) string { return "request " + id }

func (a Admin) sealKey(purpose string, key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("gateway: private key: %w", err)
	}
	defer clear(der)
	return a.s.Keys.SealSecret(a.s.Org, purpose, der)
}

// keyPrint names a public key.
func keyPrint(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("gateway: public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// MaxImport bounds the files of one import.
const MaxImport = 500

// ImportArg are the arguments of `cert import`. The files are the call's octets, one after the other.
type ImportArg struct {
	Files     []ImportFile `json:"files"`
	Look      bool         `json:"look,omitempty"`     // say what would be imported, and do nothing
	Replaces  string       `json:"replaces,omitempty"` // the certificate whose place the one in the files takes
	Force     bool         `json:"force,omitempty"`    // it signs at once, although others may still have the old answer
	GraceDays int          `json:"grace_days,omitempty"`
}

// ImportFile is one file of an import.
type ImportFile struct {
	Name     string `json:"name"`
	Size     int    `json:"size"`
	Password string `json:"password,omitempty"`
}

// Imported is one certificate that was imported.
type Imported struct {
	File      string    `json:"file"`
	ID        string    `json:"id"`
	Subject   string    `json:"subject"`
	Expires   time.Time `json:"expires"`
	Request   string    `json:"request,omitempty"`  // the request it answers
	Replaces  string    `json:"replaces,omitempty"` // whose place it takes
	SignsFrom time.Time `json:"signs_from,omitzero"`

	DecryptsUntil time.Time `json:"decrypts_until,omitzero"` // of the one it replaced at once
	Beside        []string  `json:"beside,omitempty"`        // of the same name and in use, not replaced
}

// incoming is what one file brings.
type incoming struct {
	creds   []certs.Credential
	request store.Request // answered by it; zero: it brought its own key
}

// importing is an import as it is put together: every file or none.
type importing struct {
	arg     ImportArg
	domains []store.Domain
	waiting []store.Request
	places  []store.Placement
	out     []Imported
}

// CertImportFiles imports certificates with their keys, and certificates that answer requests of ours: every
// file or none. One that takes another's place is published at once and signs when every answer given before has
// run out, as in CertRoll.
func (a Admin) CertImportFiles(ctx context.Context, in ImportArg, octets []byte) ([]Imported, error) {
	if len(in.Files) == 0 || len(in.Files) > MaxImport {
		return nil, fmt.Errorf("gateway: %d files, 1 to %d at once", len(in.Files), MaxImport)
	}
	if in.Force && in.Replaces == "" {
		return nil, errors.New("gateway: --force is about a certificate that replaces another: say which with --replaces")
	}
	im := &importing{arg: in, out: []Imported{}}
	var err error
	if im.waiting, err = a.s.Store.Requests(ctx); err != nil {
		return nil, err
	}
	if im.domains, err = a.s.Store.Domains(ctx); err != nil {
		return nil, err
	}
	for _, f := range in.Files {
		if f.Size < 0 || f.Size > len(octets) {
			return nil, fmt.Errorf("gateway: %s: the call is cut short", f.Name)
		}
		got, err := a.readImport(octets[:f.Size], f, im.waiting)
		if err == nil {
			octets = octets[f.Size:]
			err = a.importFile(ctx, im, f.Name, got)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if in.Replaces != "" && len(im.places) != 1 {
		return nil, fmt.Errorf("gateway: --replaces is about one certificate, the files hold %d: import them one by one", len(im.places))
	}
	if in.Look {
		return im.out, nil
	}
	if err := a.s.Store.AddCredentials(ctx, im.places); err != nil {
		return nil, err
	}
	a.s.published()
	return im.out, nil
}

// importFile adds what one file brought.
func (a Admin) importFile(ctx context.Context, im *importing, name string, got incoming) error {
	for _, c := range got.creds {
		row, err := a.credentialRow(c, im.domains)
		if err == nil {
			err = a.notHere(ctx, row.ID)
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(im.places, func(r store.Placement) bool { return r.ID == row.ID }) {
			return fmt.Errorf("certificate %s is in another of these files too: give each once", row.ID[:16])
		}
		p := store.Placement{Credential: row, Request: got.request.ID}
		if im.arg.Replaces != "" {
			err = a.replace(ctx, &p, im.arg)
		} else {
			err = a.intoPlace(ctx, &p.Credential, got.request.Replaces)
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(im.places, func(r store.Placement) bool { return p.Replaces != "" && r.Replaces == p.Replaces }) {
			return fmt.Errorf("another of these files takes the place of certificate %s already: import one of them", p.Replaces[:16])
		}
		beside, err := a.beside(ctx, p.Credential)
		if err != nil {
			return err
		}
		p.Entry = a.entry("cert.import", p.ID, map[string]any{"domain": p.Domain.String(), "address": p.Address.String(), "subject": c.Cert.Subject.String(),
			"expires": c.Cert.NotAfter, "request": got.request.ID, "replaces": p.Replaces, "signs_from": p.SignsFrom, "forced": im.arg.Force})
		im.places = append(im.places, p)
		im.out = append(im.out, Imported{File: name, ID: p.ID, Subject: c.Cert.Subject.String(), Expires: c.Cert.NotAfter.UTC(), Request: got.request.ID,
			Replaces: p.Replaces, SignsFrom: p.SignsFrom, DecryptsUntil: p.OldUntil, Beside: beside})
	}
	return nil
}

// replace lets an imported credential take the place it is given, staged as in CertRoll; by force at once.
func (a Admin) replace(ctx context.Context, p *store.Placement, in ImportArg) error {
	old, err := a.credential(ctx, in.Replaces)
	if err != nil {
		return err
	}
	if !old.Retired.IsZero() {
		return fmt.Errorf("gateway: certificate %s is retired already, so there is nothing to wait for: import without --replaces", old.ID[:16])
	}
	if err := a.intoPlace(ctx, &p.Credential, old.ID); err != nil {
		return err
	}
	if !in.Force {
		return nil
	}
	if err := validNow(p.Credential, a.s.now()); err != nil {
		return fmt.Errorf("%w, so the old one, %s, stays: import without --force, and it signs from its first day", err, old.ID[:16])
	}
	if err := a.allowed(ctx, old, p.Credential); err != nil {
		return fmt.Errorf("%w, so the old one, %s, stays: change the policy first (postern trust policy list)", err, old.ID[:16])
	}
	p.SignsFrom, p.OldUntil = a.s.now().UTC(), a.s.now().Add(graceOf(in.GraceDays)).UTC()
	return nil
}

func validNow(p store.Credential, now time.Time) error {
	cert, err := x509.ParseCertificate(p.Certificate)
	if err == nil && (now.Before(cert.NotBefore) || now.After(cert.NotAfter)) {
		err = fmt.Errorf("gateway: certificate %s is valid from %s until %s", p.ID[:16], cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return err
}

// beside is the certificates in use that are bound to the same name, can do something that the new one can, and are
// not the one it replaces: they and it are used side by side.
func (a Admin) beside(ctx context.Context, c store.Credential) ([]string, error) {
	rows, err := a.s.Store.Credentials(ctx, c.Domain)
	var out []string
	for _, r := range rows {
		if r.ID != c.ID && r.ID != c.Replaces && r.Retired.IsZero() && r.Address.Key() == c.Address.Key() && r.Expires.After(a.s.now()) &&
			(r.CanSign && c.CanSign || r.CanDecrypt && c.CanDecrypt) {
			out = append(out, r.ID)
		}
	}
	return out, err
}

// intoPlace lets the answer to a request take the place it was asked for, when it can: an authority may have left
// something out. A place that is free by now needs no wait.
func (a Admin) intoPlace(ctx context.Context, row *store.Credential, replaces string) error {
	if replaces == "" {
		return nil
	}
	old, err := a.credential(ctx, replaces)
	if err != nil {
		return err
	}
	if !old.Retired.IsZero() {
		return nil
	}
	if there, err := a.successorOf(ctx, old); err != nil {
		return err
	} else if there != nil && there.ID != row.ID {
		return fmt.Errorf("gateway: certificate %s is already being replaced by %s: when that is done, this one can be imported", old.ID[:16], there.ID[:16])
	}
	if row.SignsFrom, err = a.takesPlace(ctx, old, *row); err != nil {
		return fmt.Errorf("it cannot take the place it was asked for: %w", err)
	}
	row.Replaces = old.ID
	return nil
}

// readImport reads one file: certificates with keys, or one that answers a request.
func (a Admin) readImport(file []byte, f ImportFile, waiting []store.Request) (incoming, error) {
	c, err := keyfile.Parse(file, f.Password)
	if err != nil {
		return incoming{}, err
	}
	if len(c.Credentials) > 0 {
		return incoming{creds: c.Credentials}, nil
	}
	for _, cert := range c.Others {
		print, err := keyPrint(cert.PublicKey)
		if err != nil {
			continue
		}
		for _, q := range waiting {
			if q.PublicKey == print {
				creds, err := a.answer(q, c.Others)
				return incoming{creds, q}, err
			}
		}
	}
	return incoming{}, errors.New("gateway: it holds certificates but no private key, and none answers a request of ours (postern cert csr): give the file that also holds the key")
}

// answer joins a request's key with the certificates that came for it.
func (a Admin) answer(q store.Request, list []*x509.Certificate) ([]certs.Credential, error) {
	der, err := a.s.Keys.OpenSecret(q.Org, requestPurpose(q.ID), q.SealedKey)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	var text []byte
	for _, c := range list {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	defer clear(text)
	return keyfile.Credentials(text, "")
}
