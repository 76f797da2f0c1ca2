package selftest

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/gateway/agent"
	"postern/gateway/store"
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
	switch {
	case w.instant:
		return timeless{real}
	case w.binding, w.usage, w.oneSigner:
		return lenient{real, w, new(sync.Map)}
	}
	return real
}

// lenient asks another question than it is asked, where the true one would be refused.
type lenient struct {
	real *trust.Evaluator
	off  without
	seen *sync.Map // *trust.Budget: the message has been judged by its first signer
}

func (l lenient) Evaluate(ctx context.Context, q trust.Question) (trust.Decision, error) {
	if l.off.oneSigner && q.Direction == trust.Incoming {
		first, _ := l.seen.LoadOrStore(q.Budget, q.Cert)
		q.Cert = first.(*x509.Certificate)
	}
	if l.off.binding && trust.Binding(q.Cert, q.Peer) == "" {
		for _, a := range append(slices.Clone(q.Cert.EmailAddresses), "any@"+strings.Join(q.Cert.DNSNames, "")) {
			if peer, err := addr.Parse(a); err == nil {
				q.Peer = peer
				break
			}
		}
	}
	if l.off.usage && q.Use == trust.Sign && q.Cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		q.Use = trust.Encrypt
	} else if l.off.usage && q.Cert.KeyUsage == x509.KeyUsageDigitalSignature {
		q.Use = trust.Sign
	}
	return l.real.Evaluate(ctx, q)
}

// assembly says that the judge is to be put together otherwise.
func (w without) assembly() bool {
	return w.aia || w.revocation || w.domains || w.hardFail
}

func (w without) anchorsOf(real *store.Store) trust.Anchors {
	if !w.domains {
		return real
	}
	return pooled{real}
}

// pooled gives every domain the anchors of all.
type pooled struct{ real *store.Store }

func (p pooled) Anchors(ctx context.Context, _ addr.Domain, dir trust.Direction) (*trust.AnchorSet, error) {
	var all []*x509.Certificate
	for _, d := range []addr.Domain{clinicDomain, strictDomain, distantDomain} {
		set, err := p.real.Anchors(ctx, d, dir)
		if err != nil {
			return nil, err
		}
		all = append(all, set.Certs()...)
	}
	return trust.NewAnchorSet(all), nil
}

func (w without) settingsOf(real *store.Store) trust.SettingsSource {
	if !w.hardFail {
		return real
	}
	return trust.Fixed{}
}

// lax lets any envelope pass.
type lax struct{}

func (lax) Policy(context.Context, addr.Domain) (agent.Policy, error) {
	return agent.Policy{Lax: map[string]bool{hospital.String(): true}}, nil
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
