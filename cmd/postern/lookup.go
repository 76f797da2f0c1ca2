package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/ldapcert"
	"postern/gateway/config"
	"postern/smime/addr"
	"postern/trust/fetch"
)

const lookupHelp = `usage: postern lookup ADDRESS [--resolver HOST:PORT]... [--allow CIDR]... [-c FILE] [--json]

Looks for the certificates to which a message for ADDRESS would be encrypted, as
the gateway does: DNS at the address, DNS at the domain, LDAP by address, LDAP by
domain. The first place that holds any certificate ends the search. Each step is
printed with who was asked and what came back. Whether a certificate found may be
used is another question: postern trust verify, postern why.

Without --resolver the site's configuration says whom to ask ([resolver], [peer]);
with none, /etc/resolv.conf does. What is hosted or pinned at this site is not
looked up: postern why shows that.

  --resolver HOST:PORT  ask this DNS resolver (port 53 if left out) and no other;
                        may be given several times
  --allow CIDR          directories and name servers in this private range may be
                        contacted too; may be given several times
  -c FILE               the site's configuration
  --json                one JSON object on standard output

exit codes: 0 a certificate was found; 1 none is published; 2 used wrongly;
            3 not known: a server does not answer, try again later

example: postern lookup john.doe@direct.clinic.example --resolver 192.0.2.53
`

func lookupCommand() command {
	return command{
		name:  "lookup",
		short: "find the certificates of an address, step by step",
		help:  lookupHelp,
		run:   runLookup,
	}
}

func runLookup(ctx context.Context, c *console, args []string) error {
	fs := c.flags("lookup")
	var resolvers, allow listFlag
	fs.Var(&resolvers, "resolver", "")
	fs.Var(&allow, "allow", "")
	named := configFlag(fs)
	asJSON := fs.Bool("json", false, "")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return usagef("give one address, e.g. john.doe@direct.clinic.example")
	}
	a, err := addr.Parse(operands[0])
	if err != nil {
		return usagef("%v", err)
	}
	via, err := c.lookupRoute(resolvers, allow, *named)
	if err != nil {
		return err
	}
	found, err := via.finder().Find(ctx, a)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := c.printJSON(found.Trace); err != nil {
			return err
		}
	} else {
		printTrace(c.out, found.Trace)
	}
	switch found.Status {
	case discover.Found:
		return nil
	case discover.None:
		return errShown
	}
	return notYetError{errors.New("not known: " + a.String() + " may have a certificate, but a server does not answer; try again later")}
}

// lookupRoute is whom a lookup asks, and which private networks it may enter.
type lookupRoute struct {
	servers []string
	forward map[addr.Domain]string
	guard   fetch.Guard
}

func (c *console) lookupRoute(resolvers, allow []string, named string) (lookupRoute, error) {
	r := lookupRoute{forward: map[addr.Domain]string{}}
	for _, s := range allow {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return r, usagef("--allow %q is not an address range such as 10.0.0.0/8", s)
		}
		r.guard.Allow = append(r.guard.Allow, p.Masked())
	}
	for _, s := range resolvers {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(s, "53")
		}
		r.servers = append(r.servers, s)
	}
	if _, err := config.Find(named, c.env); named != "" || len(resolvers) == 0 && err == nil {
		if err := r.configure(c, named); err != nil {
			return r, err
		}
	}
	if len(r.servers) > 0 {
		return r, nil
	}
	var err error
	if r.servers, err = dnsclient.SystemServers("/etc/resolv.conf"); err != nil {
		return r, fmt.Errorf("no resolver: %w; name one with --resolver HOST:PORT", err)
	}
	return r, nil
}

// configure takes what the site's configuration says; resolvers named on the command line come before it.
func (r *lookupRoute) configure(c *console, named string) error {
	cfg, err := c.loadConfig(named)
	if err != nil {
		return err
	}
	private, err := cfg.Private()
	if err != nil {
		return err
	}
	r.guard.Allow = append(r.guard.Allow, private...)
	if len(r.servers) > 0 {
		return nil
	}
	r.servers = cfg.Resolver.Servers
	for name, p := range cfg.Peer {
		if d, err := addr.ParseDomain(name); err == nil && p.DNS != "" {
			r.forward[d] = p.DNS
		}
	}
	return nil
}

// finder asks once and goes on past a fault, where the gateway would wait: the point is to see.
func (r *lookupRoute) finder() *discover.Finder {
	dialer := &net.Dialer{Control: r.guard.Control}
	client := dnsclient.New(dnsclient.Config{Servers: r.servers, Forward: r.forward, Authority: dialer.DialContext})
	return discover.New(discover.Config{
		DNS:        dnscert.New(client, certFetcher{fetch.New(fetch.Config{Guard: &r.guard})}),
		LDAP:       ldapcert.New(ldapcert.Config{Resolver: client, Dial: dialer.DialContext}),
		FaultTries: 1,
	})
}

// certFetcher lets discovery fetch certificates by URL under the guard.
type certFetcher struct{ client *fetch.Client }

func (f certFetcher) Fetch(ctx context.Context, url string, max int64) ([]byte, error) {
	return f.client.Get(ctx, fetch.Request{URL: url, MaxBytes: max})
}

func printTrace(w io.Writer, t discover.Trace) {
	fmt.Fprintf(w, "%s\n", t.Address)
	for i, s := range t.Steps {
		fmt.Fprintf(w, "\n%d. %s %s\n", i+1, s.Location, s.Name)
		for _, q := range s.Questions {
			fmt.Fprintf(w, "   asked %s (%s) for %s: %s, %v\n", q.Server, q.Network, q.Question, q.Answer, q.Took.Round(time.Microsecond))
		}
		if len(s.Questions) == 0 && s.Asked != "" {
			fmt.Fprintf(w, "   asked %s\n", s.Asked)
		}
		for _, n := range s.Notes {
			fmt.Fprintf(w, "   note: %s\n", n)
		}
		fmt.Fprintf(w, "   %s: %s [%s]\n   → %s\n", s.Verdict, s.Answer, s.Rule, s.Meaning)
		if s.Remedy != "" {
			fmt.Fprintf(w, "   → %s\n", s.Remedy)
		}
	}
	fmt.Fprintf(w, "\n%s: %s\n", t.Status, t.Conclusion)
	for _, c := range t.Certificates {
		fmt.Fprintf(w, "  subject  %s\n  issuer   %s\n  names    %v %v\n  valid    %s to %s\n  key      %s, can receive: %v\n  SHA-256  %s\n",
			c.Subject, c.Issuer, c.Emails, c.Domains, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), c.Key, c.Receives, c.Fingerprint)
	}
	if t.WhoActs != discover.WhoNobody {
		fmt.Fprintf(w, "who must act: %s\n", t.WhoActs)
	}
}
