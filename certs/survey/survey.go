// Package survey looks at a health domain hosted here from outside, as a stranger's gateway would, and
// says what the world sees: delegation, name servers over UDP and TCP, mail exchangers, and each
// certificate that should be found, in DNS and, where the domain names a directory, in LDAP (spec CD
// §1 and §6; hosting tests H1 to H4).
//
// It asks through a resolver given by the caller, without a cache of its own, and never looks into the
// site's database: what is expected is told to it. It changes nothing.
//
// Limits: 200 names a domain (the rest is counted), 4 name server addresses, 2 minutes in all.
package survey

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"postern/certs/dnsclient"
	"postern/certs/ldapcert"
	"postern/smime/addr"
)

// Limits.
const (
	MaxNames   = 200
	MaxServers = 4
	MaxTime    = 2 * time.Minute
)

// Verdict is what a look at one thing came to.
type Verdict string

// The verdicts.
const (
	Good    Verdict = "good"
	Bad     Verdict = "bad"     // partners will fail
	Doubt   Verdict = "doubt"   // works, but should not be so
	Unknown Verdict = "unknown" // nothing answered: look again later
)

// Look is one thing that was looked at.
type Look struct {
	What    string  `json:"what"` // "certificate of john@…", "name servers" …
	Where   string  `json:"where,omitempty"`
	Verdict Verdict `json:"verdict"`
	Saw     string  `json:"saw"`
	Remedy  string  `json:"remedy,omitempty"`
}

// Report is a survey of one domain.
type Report struct {
	Version int         `json:"v"`
	Domain  addr.Domain `json:"domain"`
	Time    time.Time   `json:"time"`
	Looks   []Look      `json:"looks"`
}

// Count is the number of looks with a verdict.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, l := range r.Looks {
		if l.Verdict == v {
			n++
		}
	}
	return n
}

// Expected is what the world should see of a domain: by mail value (an address, or the domain itself)
// the fingerprints of the certificates published.
type Expected struct {
	Domain addr.Domain
	Certs  map[string][]string
}

// DNS is the resolver's view; *dnsclient.Client is one.
type DNS interface {
	NS(ctx context.Context, domain string) ([]string, error)
	MX(ctx context.Context, domain string) ([]dnsclient.MX, error)
	SRV(ctx context.Context, name string) ([]dnsclient.SRV, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
	Direct(ctx context.Context, network, server, name string) (dnsclient.Answer, error)
	CERT(ctx context.Context, name string) (dnsclient.Answer, error)
}

// LDAP is the directories' view; *ldapcert.Finder is one.
type LDAP interface {
	Find(ctx context.Context, domain addr.Domain, mail string) (ldapcert.Answer, error)
}

// Config of a survey. DNS and LDAP are needed.
type Config struct {
	DNS  DNS
	LDAP LDAP
	Now  time.Time
	Port string // of name servers; "" = 53
}

// Domain looks at one domain. The error is the context's own.
func Domain(ctx context.Context, cfg Config, want Expected) (Report, error) {
	if cfg.Port == "" {
		cfg.Port = "53"
	}
	limited, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	s := &survey{cfg: cfg, want: want, out: Report{Version: 1, Domain: want.Domain, Time: cfg.Now.UTC()}}
	s.servers(limited)
	s.mail(limited)
	s.certificates(limited)
	s.directory(limited)
	s.nobody(limited)
	return s.out, ctx.Err()
}

type survey struct {
	cfg  Config
	want Expected
	out  Report
}

func (s *survey) add(l Look) { s.out.Looks = append(s.out.Looks, l) }

// verdictOf is what an error means for a thing that should be there.
func verdictOf(err error) Verdict {
	if errors.Is(err, dnsclient.ErrNotFound) || errors.Is(err, ldapcert.ErrNotFound) {
		return Bad
	}
	return Unknown
}

// words is an error without what the look already says.
func words(err error) string {
	var e *dnsclient.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return err.Error()
}

// servers looks at the delegation and asks each name server itself, over UDP and TCP (CD-19).
func (s *survey) servers(ctx context.Context) {
	domain := s.want.Domain.String()
	hosts, err := s.cfg.DNS.NS(ctx, domain)
	if err != nil {
		s.add(Look{What: "delegation of " + domain, Verdict: verdictOf(err), Saw: words(err),
			Remedy: "have the parent domain delegate " + domain + " to this site's name server (NS records, and addresses beside them)"})
		return
	}
	s.add(Look{What: "delegation of " + domain, Verdict: Good, Saw: strings.Join(hosts, ", ")})
	asked := 0
	for _, host := range hosts {
		addrs, err := s.cfg.DNS.Addrs(ctx, host)
		if err != nil {
			s.add(Look{What: "name server " + host, Verdict: verdictOf(err), Saw: words(err), Remedy: "publish an address for " + host})
			continue
		}
		for _, ip := range addrs {
			if asked++; asked <= MaxServers {
				s.server(ctx, host, net.JoinHostPort(ip.String(), s.cfg.Port))
			}
		}
	}
}

func (s *survey) server(ctx context.Context, host, at string) {
	for _, network := range []string{"udp", "tcp"} {
		l := Look{What: "name server " + host, Where: at + " over " + strings.ToUpper(network), Verdict: Good, Saw: "answers with authority"}
		if _, err := s.cfg.DNS.Direct(ctx, network, at, s.want.Domain.String()); err != nil && !errors.Is(err, dnsclient.ErrNotFound) {
			l.Verdict, l.Saw = Bad, words(err)
			l.Remedy = "open port 53 " + strings.ToUpper(network) + " to the world on this address; certificates need both"
		}
		s.add(l)
	}
}

func (s *survey) mail(ctx context.Context) {
	domain := s.want.Domain.String()
	list, err := s.cfg.DNS.MX(ctx, domain)
	if err != nil {
		s.add(Look{What: "mail exchanger of " + domain, Verdict: verdictOf(err), Saw: words(err), Remedy: "publish an MX record"})
		return
	}
	for _, mx := range list {
		l := Look{What: "mail exchanger of " + domain, Where: mx.Host, Verdict: Good}
		addrs, err := s.cfg.DNS.Addrs(ctx, mx.Host)
		if err != nil {
			l.Verdict, l.Saw, l.Remedy = verdictOf(err), words(err), "publish an address for "+mx.Host
		}
		for _, ip := range addrs {
			l.Saw += ip.String() + " "
		}
		l.Saw = strings.TrimSpace(l.Saw)
		s.add(l)
	}
}
