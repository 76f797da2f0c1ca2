package selftest

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"time"

	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/gateway/agent"
	"postern/smime/addr"
	"postern/trust"
)

// dial refuses TCP when that check is switched off.
func (w without) dial(real dnsclient.Dial) dnsclient.Dial {
	if !w.tcp {
		return real
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if network == "tcp" {
			return nil, errors.New("TCP is switched off")
		}
		return real(ctx, network, address)
	}
}

// dns and directories make the search go on past certificates out of date.
func (w without) dns(real discover.DNS, now time.Time) discover.DNS {
	if !w.stop {
		return real
	}
	return goingOnDNS{real, now}
}

func (w without) directories(real discover.LDAP, now time.Time) discover.LDAP {
	if !w.stop {
		return real
	}
	return goingOnLDAP{real, now}
}

type goingOnDNS struct {
	real discover.DNS
	now  time.Time
}

func (g goingOnDNS) Find(ctx context.Context, name string) (dnscert.Answer, error) {
	a, err := g.real.Find(ctx, name)
	a.Certs = current(a.Certs, g.now)
	return a, err
}

type goingOnLDAP struct {
	real discover.LDAP
	now  time.Time
}

func (g goingOnLDAP) Find(ctx context.Context, d addr.Domain, mail string) (ldapcert.Answer, error) {
	a, err := g.real.Find(ctx, d, mail)
	a.Certs = current(a.Certs, g.now)
	return a, err
}

func current(list []*x509.Certificate, now time.Time) []*x509.Certificate {
	return slices.DeleteFunc(slices.Clone(list), func(c *x509.Certificate) bool { return now.After(c.NotAfter) })
}

// resolver spoils the order or number of directories.
func (w without) resolver(real *dnsclient.Client) ldapcert.Resolver {
	if !w.srvOrder && !w.nextServer {
		return real
	}
	return spoiled{real, w}
}

type spoiled struct {
	real *dnsclient.Client
	w    without
}

func (s spoiled) SRV(ctx context.Context, name string) ([]dnsclient.SRV, error) {
	list, err := s.real.SRV(ctx, name)
	if s.w.srvOrder {
		slices.Reverse(list)
	}
	if s.w.nextServer && len(list) > 1 {
		list = list[:1]
	}
	return list, err
}

func (s spoiled) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	return s.real.Addrs(ctx, host)
}

// judge asks about the day after issue instead of now when that is wanted.
func (w without) judge(real *trust.Evaluator) agent.Judge {
	if !w.instant {
		return real
	}
	return timeless{real}
}

type timeless struct{ real *trust.Evaluator }

func (t timeless) Evaluate(ctx context.Context, q trust.Question) (trust.Decision, error) {
	q.Time = q.Cert.NotBefore.Add(time.Hour)
	if q.Time.After(q.Cert.NotAfter) {
		q.Time = q.Cert.NotAfter
	}
	return t.real.Evaluate(ctx, q)
}

// issueList is a revocation list in the making.
type issueList struct {
	by      *issue.Authority
	serials []*big.Int
}

func (l *issueList) add(c *x509.Certificate) {
	if string(c.RawIssuer) == string(l.by.Cert.RawSubject) {
		l.serials = append(l.serials, c.SerialNumber)
	}
}

func (l *issueList) sign(now time.Time) ([]byte, error) {
	return l.by.RevocationList(1, now.Add(-time.Hour), now.Add(24*time.Hour), l.serials...)
}
