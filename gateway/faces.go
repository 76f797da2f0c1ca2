package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"postern/certs/zone"
	"postern/gateway/auth"
	"postern/gateway/edge/smtpd"
	"postern/gateway/spool"
	"postern/smime/addr"
)

// directory answers the SMTP edges about our addresses.
type directory struct{ s *Site }

func (d directory) Local(ctx context.Context, a addr.Address) (smtpd.Mailbox, error) {
	mb, err := d.s.Store.Resolve(ctx, a)
	switch {
	case err != nil:
		return "", err
	case !mb.Ours:
		return smtpd.NotOurs, nil
	case !mb.Known:
		return smtpd.Unknown, nil
	}
	return smtpd.Known, nil
}

func (d directory) MayUse(ctx context.Context, principal string, a addr.Address) (bool, error) {
	return d.s.Store.MayUse(ctx, principal, a)
}

// loginFace is the login service as the SMTP edges want it.
type loginFace struct{ *auth.Service }

func (f loginFace) Login(ctx context.Context, login, password, peer string) (string, error) {
	principal, err := f.Service.Login(ctx, login, password, peer)
	if errors.Is(err, auth.ErrRefused) {
		err = fmt.Errorf("%w: %w", smtpd.ErrBadLogin, err)
	}
	return principal, err
}

// spoolFace is the spool as the SMTP edges want it.
type spoolFace struct{ *spool.Store }

func (f spoolFace) Create(org string) (smtpd.Writer, error) { return f.Store.Create(org) }

// published lists where a certificate stands in the zone of a domain: under each address of the domain it
// is bound to, or under the domain (CD-04).
func published(d addr.Domain, c *x509.Certificate) []zone.Cert {
	var out []zone.Cert
	for _, name := range c.EmailAddresses {
		if a, err := addr.Parse(name); err == nil && a.Domain() == d {
			out = append(out, zone.Cert{Address: a, Cert: c})
		}
	}
	for _, name := range c.DNSNames {
		if n, err := addr.ParseDomain(name); err == nil && n == d {
			out = append(out, zone.Cert{Cert: c})
		}
	}
	return out
}
