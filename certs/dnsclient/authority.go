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
			msg, tcp, err := c.exchange(ctx, c.cfg.Authority, server, q)
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
