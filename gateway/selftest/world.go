package selftest

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/gateway/agent"
	"postern/gateway/lab/internet"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/revoke"
)

// years is how long the authorities of a run have existed: longer than its expired certificates.
const years = 5 * 365 * 24 * time.Hour

// pki is the certificates of a run. All end-entity certificates share one key (RSA-2048): making keys is
// slow, and no scenario is about keys.
type pki struct {
	now     time.Time
	net     *internet.Internet
	root    *issue.Authority // the anchor
	sub     *issue.Authority // under it; its certificate is only at its AIA address
	foreign *issue.Authority // nobody's anchor
	key     crypto.Signer
}

func newPKI(ctx context.Context, now time.Time, quick bool) (*pki, error) {
	kind := issue.RSA2048
	if quick {
		kind = issue.P256
	}
	n, err := internet.New(ctx, now)
	if err != nil {
		return nil, err
	}
	p := &pki{now: now, net: n}
	if p.key, err = issue.NewKey(kind); err != nil {
		return nil, err
	}
	old := issue.AuthorityOptions{Name: "Selftest Root", Algorithm: kind, Now: now.Add(-years)}
	if p.root, err = issue.NewAuthority(old); err != nil {
		return nil, err
	}
	old.Name, old.CRL, old.AIA = "Selftest Issuing", []string{n.URL("/root.crl")}, []string{n.URL("/root.cer")}
	if p.sub, err = p.root.Intermediate(old); err != nil {
		return nil, err
	}
	p.foreign, err = issue.NewAuthority(issue.AuthorityOptions{Name: "Foreign Root", Algorithm: kind, Now: now.Add(-years)})
	return p, err
}

// leaf issues a certificate under the root with its revocation list's address.
func (p *pki) leaf(by *issue.Authority, o issue.LeafOptions) (*x509.Certificate, error) {
	o.Key, o.Organization = p.key, "Selftest"
	if o.Now.IsZero() {
		o.Now = p.now
	}
	if len(o.CRL) == 0 {
		o.CRL = []string{p.net.URL("/" + map[*issue.Authority]string{p.root: "root", p.sub: "sub", p.foreign: "foreign"}[by] + ".crl")}
	}
	c, err := by.Leaf(o)
	if err != nil {
		return nil, err
	}
	return c.Cert, nil
}

// publishLists puts the revocation lists and the issuer's certificate on the web.
func (p *pki) publishLists(revoked ...*x509.Certificate) error {
	for name, by := range map[string]*issue.Authority{"root": p.root, "sub": p.sub} {
		list := issueList{by: by}
		for _, c := range revoked {
			list.add(c)
		}
		der, err := list.sign(p.now)
		if err != nil {
			return err
		}
		p.net.File("/"+name+".crl", der)
	}
	p.net.File("/sub.cer", p.sub.Cert.Raw)
	p.net.File("/root.cer", p.root.Cert.Raw)
	return nil
}

// sender is the local side of a run.
type sender struct{ cred certs.Credential }

func (s sender) Signing(context.Context, addr.Address) (certs.Credential, error) { return s.cred, nil }
func (s sender) Decryption(context.Context, addr.Address) ([]certs.Credential, error) {
	return nil, errors.New("selftest: nothing is received here")
}

// agent is put together as gateway.New does it, over the run's own internet.
func (p *pki) agent(w without, from addr.Address) (*agent.Agent, error) {
	cred, err := p.root.Leaf(issue.LeafOptions{Address: from, Key: p.key, Now: p.now})
	if err != nil {
		return nil, err
	}
	guard := &fetch.Guard{Allow: []netip.Prefix{internet.Loopback}}
	dialer := &net.Dialer{Control: guard.Control}
	clock := func() time.Time { return p.now }
	client := dnsclient.New(dnsclient.Config{Servers: []string{p.net.Resolver()}, Dial: w.dial(dialer.DialContext), Timeout: 2 * time.Second, Tries: 1})
	dns := w.dns(dnscert.New(client, nil), p.now)
	cfg := discover.Config{DNS: dns, Clock: clock}
	if !w.ldap {
		cfg.LDAP = w.directories(ldapcert.New(ldapcert.Config{Resolver: w.resolver(client), Dial: dialer.DialContext, Timeout: 2 * time.Second}), p.now)
	}
	web := fetch.New(fetch.Config{Guard: guard})
	anchors := []*x509.Certificate{p.root.Cert}
	if w.anchors {
		anchors = append(anchors, p.foreign.Cert)
	}
	if w.dates {
		for i, c := range anchors {
			anchors[i] = undated(c)
		}
	}
	judge := trust.Config{Anchors: trust.Fixed{Set: trust.NewAnchorSet(anchors)}, Clock: clock}
	if !w.aia {
		judge.Fetcher = web
	}
	if !w.revocation {
		judge.Revocation = revoke.New(revoke.Config{Fetcher: web, Clock: clock})
	}
	return &agent.Agent{Finder: discover.New(cfg), Judge: w.judge(trust.New(judge)), Keys: sender{cred}, Now: clock,
		Scratch: func() (smime.Scratch, error) { return nil, errors.New("selftest: nothing is opened here") }}, nil
}

func fingerprint(c *x509.Certificate) string { return certs.Fingerprint(c) }

// short is enough of a fingerprint to tell the certificates of a run apart.
func short(fp string) string { return fmt.Sprintf("%.12s", fp) }
