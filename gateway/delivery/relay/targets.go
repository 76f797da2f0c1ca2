package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sort"
	"strings"

	"postern/certs/dnsclient"
)

// target is one address to try.
type target struct {
	host  string
	addr  netip.AddrPort
	noTLS bool // TLS failed there just now
}

// targets is the addresses of a route in the order they are to be tried, or why there are none.
func (c *Client) targets(ctx context.Context, r Route) ([]target, *Outcome) {
	hosts := []string{r.Host}
	if r.Host == "" {
		var failed *Outcome
		if hosts, failed = c.mailHosts(ctx, r.Domain.String()); failed != nil {
			return nil, failed
		}
	}
	port := r.Port
	if port == 0 {
		port = c.cfg.Port
	}
	var out []target
	var failed *Outcome
	for _, h := range hosts {
		addrs, err := c.addresses(ctx, h)
		if err != nil {
			if o := c.noAddress(h, err); failed == nil || o.Status == Temporary {
				failed = o
			}
			continue
		}
		for _, a := range addrs[:min(len(addrs), MaxPerHost)] {
			out = append(out, target{host: h, addr: netip.AddrPortFrom(a.Unmap(), uint16(port))})
		}
		if len(out) >= MaxTargets {
			out = out[:MaxTargets]
			break
		}
	}
	return c.withoutSelf(out, failed)
}

// withoutSelf drops addresses that are this gateway's own: mail that comes back would go round for ever.
func (c *Client) withoutSelf(all []target, failed *Outcome) ([]target, *Outcome) {
	var out []target
	for _, t := range all {
		if c.isSelf(t.addr) {
			failed = fault(ReasonLoop, fmt.Sprintf("%s at %s is this gateway itself", t.host, t.addr))
			continue
		}
		out = append(out, t)
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}

func (c *Client) noAddress(host string, err error) *Outcome {
	if errors.Is(err, dnsclient.ErrNotFound) {
		return fault(ReasonNoDomain, fmt.Sprintf("host %s has no address", host))
	}
	return fault(ReasonDNS, fmt.Sprintf("DNS does not tell the address of %s: %v", host, err))
}

// mailHosts is the domain's MX hosts by preference, equal ones in random order (RFC 5321 §5.1). Where
// one of them is this gateway, those no better than it are dropped, or mail would go in circles.
func (c *Client) mailHosts(ctx context.Context, domain string) ([]string, *Outcome) {
	mx, err := c.cfg.Resolver.MX(ctx, domain)
	switch {
	case errors.Is(err, dnsclient.ErrNullMX):
		return nil, fault(ReasonNullMX, fmt.Sprintf("domain %s takes no mail (null MX)", domain))
	case errors.Is(err, dnsclient.ErrNotFound), err == nil && len(mx) == 0:
		return []string{domain}, nil // the implicit MX
	case err != nil:
		return nil, fault(ReasonDNS, fmt.Sprintf("DNS does not tell the mail hosts of %s: %v", domain, err))
	}
	mx = append([]dnsclient.MX(nil), mx...)
	rand.Shuffle(len(mx), func(i, j int) { mx[i], mx[j] = mx[j], mx[i] })
	sort.SliceStable(mx, func(i, j int) bool { return mx[i].Preference < mx[j].Preference })
	worst := uint16(0xffff)
	ours := false
	for _, m := range mx {
		if c.isOurName(m.Host) {
			worst, ours = m.Preference, true
			break
		}
	}
	var out []string
	for _, m := range mx {
		if !ours || m.Preference < worst {
			out = append(out, m.Host)
		}
	}
	if len(out) == 0 {
		return nil, fault(ReasonLoop, fmt.Sprintf("the first mail host of %s is this gateway itself", domain))
	}
	return out, nil
}

// addresses resolves a host. A host may be an IP address, or localhost, which no DNS need know.
func (c *Client) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{a}, nil
	}
	if host == "localhost" { // RFC 6761 §6.3
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addrs, err := c.cfg.Resolver.Addrs(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = dnsclient.ErrNotFound
	}
	return addrs, err
}

func (c *Client) isOurName(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(c.cfg.Hello, "."))
}

// isSelf reports whether one of our own listeners answers there.
func (c *Client) isSelf(a netip.AddrPort) bool {
	for _, s := range c.cfg.Self {
		if s.Port() != a.Port() {
			continue
		}
		if s.Addr().Unmap() == a.Addr() || s.Addr().IsUnspecified() && (a.Addr().IsLoopback() || c.local[a.Addr()]) {
			return true
		}
	}
	return a.Addr().IsUnspecified()
}

// localAddrs is the addresses of this machine, needed where a listener has all of them.
func localAddrs(self []netip.AddrPort) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	if len(self) == 0 {
		return out
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return out // loopback is still known
	}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out[ip.Unmap()] = true
			}
		}
	}
	return out
}
