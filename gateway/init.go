package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"postern/certs/issue"
	"postern/gateway/config"
	"postern/gateway/spool/keys"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Names of the database's own settings.
const (
	metaKeyCheck = "master_key_check"
	metaPilot    = "pilot_authority"
)

// InitOptions say what a new site is.
type InitOptions struct {
	Dir      string
	Domain   addr.Domain
	Hostname string // "" is the domain itself
	Now      time.Time
	// Ports for a site that is not run as root or shares its machine; zero values are the well-known ones.
	SMTP, Submission, SubmissionTLS, DNS string // host:port
	Web                                  string // host:port of the clinic's pages; "" is none
}

// Initialised is what Init made.
type Initialised struct {
	Config string `json:"config"`
	Anchor string `json:"anchor"` // PEM file for partners to install
	Sheet  string `json:"-"`      // the master key for paper
	Number string `json:"key_number"`
}

// Init makes a new site: configuration, master key, database, pilot authority and a certificate for its
// first domain, a postmaster inbox, and a self-signed TLS certificate. It overwrites nothing.
func Init(ctx context.Context, o InitOptions) (Initialised, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Initialised{}, fmt.Errorf("gateway: init: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "postern.toml")); err == nil {
		return Initialised{}, fmt.Errorf("gateway: init: %s holds a site already", dir)
	}
	if o.Hostname == "" {
		o.Hostname = o.Domain.String()
	}
	for _, d := range []string{dir, filepath.Join(dir, "data"), filepath.Join(dir, "tls")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return Initialised{}, fmt.Errorf("gateway: init: %w", err)
		}
	}
	if err := selfSigned(filepath.Join(dir, "tls"), o.Hostname, o.Now); err != nil {
		return Initialised{}, err
	}
	master := keys.New()
	if err := (keys.Source{File: filepath.Join(dir, "master.key"), Data: filepath.Join(dir, "data")}).Save(master); err != nil {
		return Initialised{}, err
	}
	if err := newDatabase(ctx, filepath.Join(dir, "data", "postern.db"), master, o); err != nil {
		return Initialised{}, err
	}
	out := Initialised{Config: filepath.Join(dir, "postern.toml"), Anchor: filepath.Join(dir, "anchor.pem"), Sheet: master.Sheet(), Number: master.Number()}
	if err := os.WriteFile(out.Config, []byte(configText(o)), 0o600); err != nil {
		return out, fmt.Errorf("gateway: init: %w", err)
	}
	c, err := config.Load(out.Config)
	if err != nil {
		return out, err
	}
	s, err := Open(ctx, c, Options{Now: func() time.Time { return o.Now }})
	if err != nil {
		return out, err
	}
	defer s.Close()
	return out, firstDomain(ctx, s, o, out.Anchor)
}

func newDatabase(ctx context.Context, path string, master keys.Master, o InitOptions) error {
	if err := store.Create(path); err != nil {
		return err
	}
	db, err := store.Open(store.Config{Path: path, Now: func() time.Time { return o.Now }})
	if err != nil {
		return err
	}
	org := "o-" + strings.ToLower(rand.Text()[:12])
	wrapped, err := master.NewOrg(org)
	if err == nil {
		err = db.AddOrg(ctx, store.Org{ID: org, Name: o.Domain.String(), WrappedKey: wrapped})
	}
	if err == nil {
		err = db.SetMeta(ctx, metaKeyCheck, master.Check())
	}
	return errors.Join(err, db.Close())
}

// firstDomain adds the domain with its postmaster and a pilot certificate, and writes the pilot anchor.
func firstDomain(ctx context.Context, s *Site, o InitOptions, anchorFile string) error {
	a := s.As("init")
	if err := a.DomainAdd(ctx, DomainAdd{Domain: o.Domain}); err != nil {
		return err
	}
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot anchor of " + o.Domain.String(), Now: o.Now})
	if err != nil {
		return err
	}
	if err := a.savePilot(ctx, ca); err != nil {
		return err
	}
	if _, err := a.CertCreate(ctx, CertCreate{Domain: o.Domain}); err != nil {
		return err
	}
	return os.WriteFile(anchorFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw}), 0o644)
}

// pilot is the pilot authority as the database keeps it.
type pilot struct {
	Certificate []byte `json:"certificate"`
	SealedKey   []byte `json:"sealed_key"`
}

const pilotPurpose = "pilot authority"

func (a Admin) savePilot(ctx context.Context, ca *issue.Authority) error {
	der, err := x509.MarshalPKCS8PrivateKey(ca.Key)
	if err != nil {
		return fmt.Errorf("gateway: pilot authority: %w", err)
	}
	sealed, err := a.s.Keys.SealSecret(a.s.Org, pilotPurpose, der)
	clear(der)
	if err != nil {
		return err
	}
	text, err := json.Marshal(pilot{ca.Cert.Raw, sealed})
	if err != nil {
		return err
	}
	return a.s.Store.SetMeta(ctx, metaPilot, string(text))
}

// selfSigned writes a TLS certificate for a site that has none yet. Peers use TLS opportunistically and
// do not check it (AS-120); mail clients will ask.
func selfSigned(dir, host string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("gateway: TLS key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fmt.Errorf("gateway: TLS certificate: %w", err)
	}
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return fmt.Errorf("gateway: TLS certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("gateway: TLS key: %w", err)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// configText is the configuration of a new site, with a word on each line.
func configText(o InitOptions) string {
	return fmt.Sprintf(`# Postern: the machine's configuration. Domains, addresses, anchors and people are in the database.
hostname   = %q                # our name in SMTP greetings and notices
data       = "data"            # database and spool
master_key = "master.key"      # move it off this disk, or to a systemd credential; `+"`postern init`"+` printed it for paper

[smtp]                         # other gateways
listen = [%q]

[submission]                   # our own users: STARTTLS, then a login
listen = [%q]

[submission_tls]               # the same with TLS from the first octet
listen = [%q]

[tls]                          # self-signed by init; replace the files, they are read again when they change
certificate = "tls/cert.pem"
key         = "tls/key.pem"

[dns]                          # the public DNS of the domains hosted here
listen = [%q]
`, o.Hostname, orDefault(o.SMTP, ":25"), orDefault(o.Submission, ":587"), orDefault(o.SubmissionTLS, ":465"), orDefault(o.DNS, ":53")) + webText(o)
}

func webText(o InitOptions) string {
	if o.Web == "" {
		return ""
	}
	return fmt.Sprintf(`
[web]                          # the clinic's pages, over TLS with the certificate above unless one is named here
listen = %q
`, o.Web)
}
