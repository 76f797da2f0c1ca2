// Package fetch is guarded outward traffic: it decides which addresses the gateway may dial on
// behalf of strangers, and fetches small things over HTTP under that rule.
//
// Certificates, DNS answers and redirects written by strangers name hosts for us to contact. Without
// a guard they turn the gateway into a scanner of its own network. The decision is taken at dial
// time on the address really dialled, so a name that resolves differently the second time (DNS
// rebinding) gains nothing. The same Guard serves HTTP, LDAP SRV targets and MX targets.
//
// Limits of one fetch: 10 s to connect, 30 s in all, 3 redirects, 32 KiB of response header, the
// body limit the caller names (1 MiB by default). Schemes http and https only; ports 80, 443 and
// those from 1024 up.
package fetch

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrForbidden is the cause of every refusal by a Guard.
var ErrForbidden = errors.New("fetch: address not allowed")

// Guard says which addresses may be dialled. The zero Guard, and a nil one, allow public unicast
// addresses only. A Guard is not changed after its first use.
type Guard struct {
	// Allow lists prefixes that are let through although they are not public: a test bed, a
	// hospital's own network. IPv4 prefixes are written as IPv4.
	Allow []netip.Prefix
}

// special is every range that is not public unicast: the IANA special-purpose registries (RFC 6890
// and its updates), multicast and the reserved blocks.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

// Prefixes whose last or middle octets are an IPv4 address that the packet finally reaches.
var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 §2.1
	sixToIV = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Check is nil when a may be dialled, else an error that wraps ErrForbidden and names the address.
func (g *Guard) Check(a netip.Addr) error {
	if !a.IsValid() {
		return fmt.Errorf("%w: no address", ErrForbidden)
	}
	if a.Zone() != "" {
		return fmt.Errorf("%w: %s is bound to one network interface", ErrForbidden, a)
	}
	a = a.Unmap() // ::ffff:10.0.0.1 reaches 10.0.0.1
	if g != nil {
		for _, p := range g.Allow {
			if p.Contains(a) {
				return nil
			}
		}
	}
	for _, p := range special {
		if p.Contains(a) {
			return fmt.Errorf("%w: %s is in %s, which is not public; allow the range in the configuration if it is meant", ErrForbidden, a, p)
		}
	}
	if v4, ok := embedded(a); ok {
		return g.Check(v4)
	}
	return nil
}

// embedded is the IPv4 address that a translated IPv6 address stands for.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToIV.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// Control is for net.Dialer.Control: it runs after name resolution, once for each address the
// dialler is about to connect to, and refuses those Check refuses.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s %q: %v", ErrForbidden, network, address, err)
	}
	return g.Check(ap.Addr())
}
