package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"time"

	"postern/gateway/auth/oidc"
	"postern/gateway/clinic/staff"
	"postern/gateway/config"
	"postern/gateway/edge/web/door"
	"postern/gateway/store"
)

// checkAdd takes one finding.
type checkAdd func(level, about, format string, args ...any)

// checkWeb looks over the clinic's pages: what browsers will say of the certificate, whether people can come and
// passkeys can work, who is trusted to say where they come from, and of each organisation whether somebody
// administers it, with a second proof, and answers for every team.
func (s *Site) checkWeb(ctx context.Context, add checkAdd) {
	c := s.Config.Web
	if c.Listen == "" {
		return
	}
	host := "localhost"
	if u, err := url.Parse(s.publicURL(nil)); err != nil {
		add("error", "web", "public_url: %v", err)
	} else {
		host = u.Hostname()
		checkOrigin(c, u, add)
	}
	if len(c.Proxies) == 0 {
		s.checkWebCertificate(host, add)
	}
	checkProxies(c, add)
	orgs, err := s.Store.Orgs(ctx)
	if err != nil {
		add("error", "web", "%v", err)
		return
	}
	for _, o := range orgs {
		if err := s.checkOrg(ctx, o, add); err != nil {
			add("error", "web", "%s: %v", o.Name, err)
		}
	}
}

// checkOrigin compares where people are told to come with where the pages are.
func checkOrigin(c config.Web, u *url.URL, add checkAdd) {
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		add("warning", "web", "the pages are at an IP address (%s): passkeys need a host name; set [web] public_url", u.Host)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		add("error", "web", "listen %q: %v", c.Listen, err)
		return
	}
	at, ip := u.Port(), net.ParseIP(host)
	if at == "" {
		at = "443"
	}
	if len(c.Proxies) > 0 {
		return
	}
	if port != at && port != "0" {
		add("warning", "web", "people are sent to port %s and the pages listen at port %s: nobody comes through unless something passes it on", at, port)
	}
	if host == "localhost" || ip != nil && ip.IsLoopback() {
		add("warning", "web", "the pages listen at %s, which only this machine reaches", c.Listen)
	}
}

// checkWebCertificate says what a browser will of the pages' certificate.
func (s *Site) checkWebCertificate(host string, add checkAdd) {
	c := s.Config.Web
	pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		add("error", "web", "certificate: %v", err)
		return
	}
	leaf, now := pair.Leaf, s.now()
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if x, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(x)
		}
	}
	if err := leaf.VerifyHostname(host); err != nil {
		add("error", "web", "browsers will refuse the certificate of %s at %s: %v", leaf.Subject, host, err)
	}
	switch left := leaf.NotAfter.Sub(now); {
	case now.Before(leaf.NotBefore):
		add("error", "web", "the certificate of %s counts only from %s", leaf.Subject, leaf.NotBefore.Format(time.DateTime))
	case left <= 0:
		add("error", "web", "the certificate of %s expired on %s: browsers let nobody in", leaf.Subject, leaf.NotAfter.Format(time.DateOnly))
	case left < webExpirySoon:
		add("warning", "web", "the certificate of %s expires in %d days, on %s", leaf.Subject, int(left.Hours()/24), leaf.NotAfter.Format(time.DateOnly))
	default:
		add("ok", "web", "%s, certificate until %s", host, leaf.NotAfter.Format(time.DateOnly))
	}
	var unknown x509.UnknownAuthorityError
	if _, err := leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now}); errors.As(err, &unknown) {
		add("warning", "web", "this machine does not know who issued the certificate of %s (%s): so may browsers; is its chain in the file?", leaf.Subject, leaf.Issuer)
	}
}

// webExpirySoon is when the end of the pages' certificate is near: automatic issuers renew a month before.
const webExpirySoon = 14 * 24 * time.Hour

// checkProxies says who may claim to speak for others.
func checkProxies(c config.Web, add checkAdd) {
	all, err := c.Networks()
	if err != nil {
		add("error", "web", "proxies: %v", err)
		return
	}
	here := len(all) > 0
	for _, p := range all {
		here = here && p.Addr().IsLoopback()
		size := p.Addr().BitLen() - p.Bits()
		switch {
		case p.Bits() == 0:
			add("error", "web", "proxies holds %s, everybody: whoever comes may name any address as their own and speak without TLS; name the proxy alone", p)
		case !p.Addr().IsPrivate() && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() && size > 8:
			add("warning", "web", "proxies holds %s, 2^%d public addresses that may each name any address as theirs; name the proxy alone", p, size)
		case size > 16 && !p.Addr().IsLoopback():
			add("warning", "web", "proxies holds %s, 2^%d addresses that may each name any address as theirs; name the proxy alone", p, size)
		}
	}
	if host, _, err := net.SplitHostPort(c.Listen); here && err == nil {
		if ip := net.ParseIP(host); host == "" || ip != nil && !ip.IsLoopback() {
			add("warning", "web", "the proxy is on this machine, and the pages listen in the clear at %s for others too; listen = \"127.0.0.1:PORT\" is enough", c.Listen)
		}
	}
}

// checkOrg looks over one organisation's people, teams and single sign-on.
func (s *Site) checkOrg(ctx context.Context, o store.Org, add checkAdd) error {
	people, err := s.Store.People(ctx, o.ID)
	if err != nil {
		return err
	}
	here := map[staff.PersonID]staff.Person{}
	chiefs, proven := 0, 0
	for _, p := range people {
		if p.Disabled {
			continue
		}
		here[p.ID] = p
		if !staff.Of(p, nil, nil, s.now()).Can(staff.ManagePeople) {
			continue
		}
		chiefs++
		fs, err := s.Store.Factors(ctx, o.ID, p.ID)
		if err != nil {
			return err
		}
		for _, f := range fs {
			if f.Kind == store.FactorTOTP || f.Kind == store.FactorPasskey {
				proven++
				break
			}
		}
	}
	switch {
	case len(here) == 0:
		add("warning", "web", "nobody can sign in for %s: postern person add LOGIN --name NAME --role manager --org %s", o.Name, o.ID)
	case chiefs == 0:
		add("warning", "web", "nobody administers %s: postern person role LOGIN --admin --org %s", o.Name, o.ID)
	case proven == 0:
		add("warning", "web", "of the %d who administer %s none has a second proof: whoever guesses a password rules its messages; they add a passkey or an app under Your account", chiefs, o.Name)
	}
	if err := s.checkPools(ctx, o, here, add); err != nil {
		return err
	}
	return s.checkSSO(ctx, o, add)
}

// checkPools says which teams nobody answers for.
func (s *Site) checkPools(ctx context.Context, o store.Org, here map[staff.PersonID]staff.Person, add checkAdd) error {
	pools, err := s.Store.Pools(ctx, o.ID)
	if err != nil {
		return err
	}
	for _, pl := range pools {
		if !pl.Retired.IsZero() {
			continue
		}
		owner, ok := here[pl.Owner]
		switch {
		case pl.Owner == "":
			add("warning", "web", "nobody answers for the team %q of %s: choose somebody under Settings, Teams", pl.Name, o.Name)
			continue
		case !ok:
			add("warning", "web", "who answers for the team %q of %s is shut out or gone: choose somebody else under Settings, Teams", pl.Name, o.Name)
			continue
		}
		ms, err := s.Store.Memberships(ctx, o.ID, owner.ID)
		if err != nil {
			return err
		}
		if staff.Of(owner, ms, nil, s.now()).InPool(pl.ID) < staff.Draft {
			add("warning", "web", "%s answers for the team %q of %s and may not work there: give them the right under Settings, People", owner.Login, pl.Name, o.Name)
		}
	}
	return nil
}

// checkSSO asks the organisation's provider what it is.
func (s *Site) checkSSO(ctx context.Context, o store.Org, add checkAdd) error {
	row, err := s.Store.SingleSignOn(ctx, o.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(row.Secret) > 0 {
		if _, err := s.Keys.OpenSecret(o.ID, door.SSOPurpose, row.Secret); err != nil {
			add("error", "web", "the client secret of the single sign-on of %s cannot be opened (%v): postern org sso sets it again", o.Name, err)
		}
	}
	client := oidc.New(s.publicURL(nil)+door.SSOBack, nil, s.now)
	err = client.Look(ctx, o.ID, oidc.Settings{Issuer: row.Issuer, ClientID: row.Client, Claim: row.Claim, Suffix: row.Suffix})
	if err != nil {
		add("warning", "web", "the single sign-on of %s at %s does not answer as it should, so nobody signs in that way: %v", o.Name, row.Issuer, err)
		return nil
	}
	add("ok", "web", "the single sign-on of %s at %s answers; it must let people come back to %s", o.Name, row.Issuer, s.publicURL(nil)+door.SSOBack)
	return nil
}
