package dnsclient

import (
	"context"
	"net"
	"strings"

	"postern/smime/addr"

	"github.com/miekg/dns"
)

// Limits of asking a domain's own servers.
const (
	MaxZoneCuts    = 6 // names walked upwards for NS records
	MaxAuthorities = 4 // server addresses asked
)

// askAuthority finds the name servers of the domain through the resolvers and asks them directly:
// some resolvers refuse or break CERT questions (CD-20). The addresses come from strangers, so the
// dial function given for it must be guarded.
func (c *Client) askAuthority(ctx context.Context, q *question) (source, *dns.Msg, bool) {
	asked := 0
	for _, host := range c.nameServers(ctx, q.name) {
		addrs, err := c.Addrs(ctx, host)
		if err != nil {
			continue
		}
		for _, ip := range addrs {
			if asked++; asked > MaxAuthorities || ctx.Err() != nil {
				return source{}, nil, false
			}
			server := net.JoinHostPort(ip.String(), c.cfg.AuthorityPort)
			msg, tcp, err := c.exchange(ctx, exchange{c.cfg.Authority, "udp", server}, q)
			if err == nil && msg.Authoritative {
				return source{server: server, tcp: tcp, authority: true}, msg, true
			}
		}
	}
	return source{}, nil, false
}

// nameServers is the NS set of the closest enclosing zone that the resolvers know.
func (c *Client) nameServers(ctx context.Context, name string) []string {
	for cuts := 0; cuts < MaxZoneCuts && ctx.Err() == nil; cuts++ {
		if _, err := addr.ParseDomain(name); err != nil && !strings.Contains(name, ".") {
			return nil // never the servers of a top-level domain
		}
		if r, err := c.ask(ctx, name, dns.TypeNS); err == nil {
			var hosts []string
			for _, rr := range r.records {
				if ns, ok := rr.(*dns.NS); ok {
					hosts = append(hosts, hostName(ns.Ns))
				}
			}
			return hosts
		}
		_, up, ok := strings.Cut(name, ".")
		if !ok {
			return nil
		}
		name = up
	}
	return nil
}

// Direct asks one name server, named by its address, for the certificate records of a name, over udp or
// tcp, without recursion, retries or cache: to see what that server itself says. An answer that is not
// authoritative is ErrTemporary. The server is dialled through the Authority function.
func (c *Client) Direct(ctx context.Context, network, server, name string) (Answer, error) {
	q := &question{key: key{hostName(name), dns.TypeCERT}, name: hostName(name), seen: map[string]bool{}, ttl: MaxPositiveTTL}
	if c.cfg.Authority == nil {
		return Answer{}, q.fail(ErrTemporary, "asking name servers directly is switched off")
	}
	msg, err := c.once(ctx, exchange{c.cfg.Authority, network, server}, q, true)
	switch {
	case err != nil:
		return Answer{}, q.fail(ErrTemporary, err.Error())
	case msg.Truncated && network == "udp":
		return Answer{Name: q.name, Server: server, Truncated: true, Trace: q.trace}, nil
	}
	if err := meaningful(msg); err != nil {
		return Answer{}, q.fail(ErrTemporary, err.Error())
	}
	if !msg.Authoritative {
		return Answer{}, q.fail(ErrTemporary, "the server answers, but not with authority for this name")
	}
	r, err := c.read(q, msg)
	switch {
	case err != nil:
		return Answer{}, err
	case r == nil:
		return Answer{}, q.fail(ErrTemporary, "an alias that leaves the zone")
	case r.notFound != nil:
		return Answer{}, r.notFound
	}
	r.server, r.tcp, r.authority, r.trace = server, network == "tcp", true, q.trace
	return r.certs(c.cfg.Clock()), nil
}

// NS asks for the name servers of exactly this name.
func (c *Client) NS(ctx context.Context, domain string) ([]string, error) {
	r, err := c.ask(ctx, domain, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, rr := range r.records {
		if ns, ok := rr.(*dns.NS); ok {
			hosts = append(hosts, hostName(ns.Ns))
		}
	}
	return hosts, nil
}
