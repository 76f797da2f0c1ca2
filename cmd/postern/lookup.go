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
	"postern/smime/addr"
	"postern/trust/fetch"
)

const lookupHelp = `usage: postern lookup ADDRESS [--resolver HOST:PORT]... [--allow CIDR]... [--json]

Looks for the certificates to which a message for ADDRESS would be encrypted, as
the gateway does: DNS at the address, DNS at the domain, LDAP by address, LDAP by
domain. The first place that holds any certificate ends the search. Each step is
printed with who was asked and what came back. Whether a certificate found may be
used is another question: postern trust verify, postern why.

  --resolver HOST:PORT  ask this DNS resolver (port 53 if left out); may be given
                        several times; default: those of /etc/resolv.conf
  --allow CIDR          directories and name servers in this private range may be
                        contacted; may be given several times
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
	finder, err := lookupFinder(resolvers, allow)
	if err != nil {
		return err
	}
	found, err := finder.Find(ctx, a)
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

// lookupFinder asks once and goes on past a fault, where the gateway would wait: the point is to see.
func lookupFinder(resolvers, allow []string) (*discover.Finder, error) {
	guard := &fetch.Guard{}
	for _, s := range allow {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, usagef("--allow %q is not an address range such as 10.0.0.0/8", s)
		}
		guard.Allow = append(guard.Allow, p.Masked())
	}
	servers, err := resolverAddresses(resolvers)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Control: guard.Control}
	client := dnsclient.New(dnsclient.Config{Servers: servers, Authority: dialer.DialContext})
	return discover.New(discover.Config{
		DNS:        dnscert.New(client, certFetcher{fetch.New(fetch.Config{Guard: guard})}),
		LDAP:       ldapcert.New(ldapcert.Config{Resolver: client, Dial: dialer.DialContext}),
		FaultTries: 1,
	}), nil
}

func resolverAddresses(given []string) ([]string, error) {
	const system = "/etc/resolv.conf"
	if len(given) == 0 {
		servers, err := dnsclient.SystemServers(system)
		if err != nil {
			return nil, fmt.Errorf("no resolver: %w; name one with --resolver HOST:PORT", err)
		}
		return servers, nil
	}
	var out []string
	for _, s := range given {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(s, "53")
		}
		out = append(out, s)
	}
	return out, nil
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
