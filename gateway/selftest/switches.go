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
	"postern/gateway/lab/internet"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/revoke"
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

// judge asks about the day after issue instead of now when that is wanted, or otherwise than it is asked.
func (w without) judge(real *trust.Evaluator) agent.Judge {
	switch {
	case w.instant:
		return timeless{real}
	case w.binding, w.usage, w.oneSigner, w.dates:
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
	if l.off.dates {
		q.Cert, q.Extra = undated(q.Cert), slices.Clone(q.Extra)
		for i, c := range q.Extra {
			q.Extra[i] = undated(c)
		}
	}
	return l.real.Evaluate(ctx, q)
}

// undated is a certificate as somebody reads it who does not look at its dates.
func undated(c *x509.Certificate) *x509.Certificate {
	ever := *c
	ever.NotBefore, ever.NotAfter = time.Time{}, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	return &ever
}

// assembly says that the judge is to be put together otherwise.
func (w without) assembly() bool {
	return w.aia || w.revocation || w.domains || w.hardFail || w.dates || w.anchors || w.direction || w.removal || w.freshness || w.listSigner
}

// anchorsOf gives the anchors without the rules about whose they are, for what, and until when. anyone is trusted by
// everybody once anchors are no matter.
func (w without) anchorsOf(real *store.Store, anyone ...*x509.Certificate) trust.Anchors {
	if !w.domains && !w.dates && !w.direction && !w.removal && !w.anchors {
		return real
	}
	if !w.anchors {
		anyone = nil
	}
	return &pooled{real: real, off: w, anyone: anyone, ever: map[string][]*x509.Certificate{}}
}

// pooled gives more anchors than there are for a domain and direction.
type pooled struct {
	real   *store.Store
	off    without
	anyone []*x509.Certificate
	mu     sync.Mutex
	ever   map[string][]*x509.Certificate // what has been an anchor, by domain and direction
}

func (p *pooled) Anchors(ctx context.Context, local addr.Domain, dir trust.Direction) (*trust.AnchorSet, error) {
	domains, directions := []addr.Domain{local}, []trust.Direction{dir}
	if p.off.domains {
		domains = []addr.Domain{clinicDomain, strictDomain, distantDomain}
	}
	if p.off.direction && dir == trust.Incoming {
		directions = append(directions, trust.Outgoing)
	}
	all := slices.Clone(p.anyone)
	for _, d := range domains {
		for _, way := range directions {
			set, err := p.real.Anchors(ctx, d, way)
			if err != nil {
				return nil, err
			}
			all = append(all, p.remembered(d.String()+" "+string(way), set.Certs())...)
		}
	}
	if p.off.dates {
		for i, c := range all {
			all[i] = undated(c)
		}
	}
	return trust.NewAnchorSet(all), nil
}

// remembered is the anchors of a place, with those that were removed where that is switched off.
func (p *pooled) remembered(place string, now []*x509.Certificate) []*x509.Certificate {
	if !p.off.removal {
		return now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range now {
		if !slices.ContainsFunc(p.ever[place], c.Equal) {
			p.ever[place] = append(p.ever[place], c)
		}
	}
	return slices.Clone(p.ever[place])
}

// revocationOf asks without the rule how old an answer may be, or without the one whose word counts.
func (w without) revocationOf(real trust.Revocation, forger *x509.Certificate) trust.Revocation {
	if !w.freshness && !w.listSigner {
		return real
	}
	return gullible{real, w, forger}
}

// gullible asks again, where the true question found nobody to believe: as of the days before, or with another
// authority's key in the place of the issuer's.
type gullible struct {
	trust.Revocation
	off    without
	forger *x509.Certificate
}

func (g gullible) Check(ctx context.Context, q revoke.Query) revoke.Answer {
	a := g.Revocation.Check(ctx, q)
	if a.State != revoke.Unknown {
		return a
	}
	if g.off.freshness {
		q.Time = q.Time.Add(-2 * 24 * time.Hour)
	}
	if g.off.listSigner {
		posing := *q.Issuer
		posing.PublicKey = g.forger.PublicKey
		q.Issuer = &posing
	}
	return g.again(ctx, q)
}

// again asks with a checker that has not failed at the same place before.
func (g gullible) again(ctx context.Context, q revoke.Query) revoke.Answer {
	web := fetch.New(fetch.Config{Guard: &fetch.Guard{Allow: []netip.Prefix{internet.Loopback}}})
	return revoke.New(revoke.Config{Fetcher: web}).Check(ctx, q)
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
