package selftest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"postern/certs"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/gateway/edge/ldapd"
	"postern/smime/addr"
)

// host is a site that publishes, built as gateway.New builds it.
type host struct {
	*pki
	domain     addr.Domain
	address    addr.Address
	bound, org *x509.Certificate
	resolver   string
	stop       func() error
}

// hosting plays H1 to H4: what a stranger sees of a domain hosted here.
func hosting(ctx context.Context, w without) (out []Outcome, err error) {
	p, err := newPKI(ctx, time.Now(), w.quick)
	if err != nil {
		return nil, err
	}
	defer p.net.Close()
	h := &host{pki: p, domain: domain("30"), address: addr.MustParse("John.Doe@" + domain("30").String())}
	if err := h.publish(ctx, w); err != nil {
		return nil, err
	}
	defer func() {
		if e := h.stop(); err == nil && e != nil {
			err = e
		}
	}()
	client := dnsclient.New(dnsclient.Config{Servers: []string{h.resolver}, Tries: 1})
	dns := dnscert.New(client, nil)
	ldap := ldapcert.New(ldapcert.Config{Resolver: client, Dial: (&net.Dialer{}).DialContext})
	name, _ := dnscert.AddressName(h.address)
	inDNS := func(name string) func() ([]*x509.Certificate, string, error) {
		return func() ([]*x509.Certificate, string, error) {
			a, err := dns.Find(ctx, name)
			return a.Certs, "CERT record at " + name + " of " + a.Server, err
		}
	}
	inLDAP := func(mail string) func() ([]*x509.Certificate, string, error) {
		return func() ([]*x509.Certificate, string, error) {
			a, err := ldap.Find(ctx, h.domain, mail)
			return a.Certs, "userCertificate of mail=" + mail + " at " + a.Server, err
		}
	}
	return []Outcome{
		h.seen("H1", "address certificate in DNS", h.bound, certs.BoundAddress, inDNS(name)),
		h.seen("H2", "domain certificate in DNS", h.org, certs.BoundDomain, inDNS(h.domain.String())),
		h.seen("H3", "address certificate in LDAP", h.bound, certs.BoundAddress, inLDAP(h.address.String())),
		h.seen("H4", "domain certificate in LDAP", h.org, certs.BoundDomain, inLDAP(h.domain.String())),
	}, nil
}

// publish opens name server and directory with good certificates, and with expired and signing-only
// ones that must not be given out.
func (h *host) publish(ctx context.Context, w without) error {
	made := func(o issue.LeafOptions) *x509.Certificate {
		c, err := h.leaf(h.root, o)
		if err != nil && h.bound == nil {
			return nil
		}
		return c
	}
	old := h.now.AddDate(-2, 0, 0)
	h.bound, h.org = made(issue.LeafOptions{Address: h.address}), made(issue.LeafOptions{Domain: h.domain})
	if h.bound == nil || h.org == nil {
		return errors.New("certificates cannot be made")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	local := netip.MustParseAddr("127.0.0.1")
	z := zone.Zone{Domain: h.domain, NS: []zone.Host{{Name: "ns." + h.domain.String(), Addrs: []netip.Addr{local}}},
		SRV: []zone.SRV{{Service: "_ldap._tcp", Port: uint16(l.Addr().(*net.TCPAddr).Port), Target: "ns." + h.domain.String()}}}
	for _, c := range []*x509.Certificate{h.bound, made(issue.LeafOptions{Address: h.address, Now: old, Life: time.Hour}), made(issue.LeafOptions{Address: h.address, Use: issue.Sign})} {
		z.Certs = append(z.Certs, zone.Cert{Address: h.address, Cert: c})
	}
	for _, c := range []*x509.Certificate{made(issue.LeafOptions{Domain: h.domain, Now: old, Life: time.Hour}), h.org} {
		z.Certs = append(z.Certs, zone.Cert{Cert: c})
	}
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: h.now, All: w.publish})
	if err != nil {
		return err
	}
	directory, err := ldapd.FromZones("", snap)
	if err != nil {
		return err
	}
	return h.serve(ctx, snap, directory, l)
}

func (h *host) serve(ctx context.Context, snap *zone.Snapshot, directory *ldapd.Directory, l net.Listener) error {
	names := dnsd.New(dnsd.Config{})
	names.Publish(snap)
	dl, err := dnsd.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.resolver = dl.Addr()
	entries := ldapd.New(nil)
	entries.Publish(directory)
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 2)
	go func() { done <- names.Serve(ctx, dl) }()
	go func() { done <- entries.Serve(ctx, l) }()
	h.stop = func() error {
		stop()
		return errors.Join(<-done, <-done)
	}
	return nil
}

// seen checks what a stranger got: exactly the good certificate, bound by its SAN, in date.
func (h *host) seen(id, title string, want *x509.Certificate, bound string, look func() ([]*x509.Certificate, string, error)) Outcome {
	began := time.Now()
	list, where, err := look()
	o := Outcome{ID: id, Title: title, Expected: "1 certificate, bound by " + bound + ", in date", Took: time.Since(began)}
	if err != nil {
		o.Got = err.Error()
		return o
	}
	o.Evidence = []string{where}
	good := len(list) == 1 && list[0].Equal(want)
	for _, c := range list {
		how, ok := certs.Binding(c, h.address)
		inDate := !h.now.After(c.NotAfter) && !h.now.Before(c.NotBefore)
		o.Evidence = append(o.Evidence, fmt.Sprintf("%s: SAN %v %v, bound by %s, valid until %s", short(fingerprint(c)), c.EmailAddresses, c.DNSNames, how, c.NotAfter.Format(time.RFC3339)))
		good = good && ok && how == bound && inDate
	}
	o.Got = fmt.Sprintf("%d certificates", len(list))
	if good {
		o.Got = o.Expected
	}
	o.Pass = good
	return o
}
