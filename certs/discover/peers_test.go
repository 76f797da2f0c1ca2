package discover_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/zone"
	"postern/gateway/lab/daemon"
	"postern/gateway/lab/port"
	"postern/smime/addr"
)

// Our records, through resolvers the world uses, back into our own search: RSA certificates, larger
// than 512 octets, one name with more than 1,232.
func TestThroughRealResolvers(t *testing.T) {
	ca := authority(t)
	domain := addr.MustDomain("direct.example.org")
	john, many := addr.MustParse("john.doe@direct.example.org"), addr.MustParse("many@direct.example.org")
	bound := leaf(t, ca, issue.LeafOptions{Address: john, Algorithm: issue.RSA2048})
	org := leaf(t, ca, issue.LeafOptions{Domain: domain, Algorithm: issue.RSA2048})
	z := zone.Zone{
		Domain: domain,
		NS:     []zone.Host{{Name: "ns.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}},
		MX:     []zone.MX{{Preference: 10, Host: "mx.direct.example.org"}},
		Hosts:  []zone.Host{{Name: "mx.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.25")}}},
		Certs:  []zone.Cert{{Address: john, Cert: bound.Cert}, {Cert: org.Cert}},
		SRV:    []zone.SRV{{Service: "_ldap._tcp", Target: "."}},
		CNAME:  []zone.CNAME{{Name: "alias", Target: "john.doe.direct.example.org"}},
	}
	for range 4 {
		z.Certs = append(z.Certs, zone.Cert{Address: many, Cert: leaf(t, ca, issue.LeafOptions{Address: many, Algorithm: issue.P256}).Cert})
	}
	_, server := serve(t, z)
	resolvers := map[string]func() string{
		"BIND":    func() string { return daemon.BIND(t, daemon.BINDForward(t, domain.String(), server)) },
		"unbound": func() string { return daemon.Unbound(t, daemon.UnboundStub(t, domain.String(), server)) },
	}
	for who, run := range resolvers {
		t.Run(who, func(t *testing.T) {
			client := dnsclient.New(dnsclient.Config{Servers: []string{run()}})
			f := discover.New(discover.Config{DNS: dnscert.New(client, nil)})
			for _, tc := range []struct {
				address  string
				status   discover.Status
				location discover.Location
				first    string
				n        int
				tcp      bool
			}{
				{"john.doe@direct.example.org", discover.Found, discover.DNSAddress, bound.ID, 1, false},
				{"JOHN.DOE@direct.example.org", discover.Found, discover.DNSAddress, bound.ID, 1, false},
				{"alias@direct.example.org", discover.Found, discover.DNSAddress, bound.ID, 1, false},
				{"doe@direct.example.org", discover.Found, discover.DNSDomain, org.ID, 1, false},
				{"nobody@direct.example.org", discover.Found, discover.DNSDomain, org.ID, 1, false},
				{"many@direct.example.org", discover.Found, discover.DNSAddress, "", 4, true},
			} {
				got, err := f.Find(t.Context(), addr.MustParse(tc.address))
				if err != nil || got.Status != tc.status || got.Location != tc.location || len(got.Certs) != tc.n {
					t.Errorf("%s: %v, %s at %s, %d certificates\n%+v", tc.address, err, got.Status, got.Location, len(got.Certs), got.Trace.Steps)
					continue
				}
				if tc.first != "" && certs.Fingerprint(got.Certs[0]) != tc.first {
					t.Errorf("%s: another certificate", tc.address)
				}
				last := got.Trace.Steps[len(got.Trace.Steps)-1]
				if strings.Contains(last.Answer, "over TCP") != tc.tcp {
					t.Errorf("%s: %q, TCP should be %v", tc.address, last.Answer, tc.tcp)
				}
			}
			if mx, err := client.MX(t.Context(), domain.String()); err != nil || len(mx) != 1 || mx[0].Host != "mx.direct.example.org" {
				t.Errorf("MX %v %v", mx, err)
			}
			if srv, err := client.SRV(t.Context(), "_ldap._tcp.direct.example.org"); err != nil || len(srv) != 1 || srv[0].Target != "" {
				t.Errorf("SRV %v %v", srv, err)
			}
		})
	}
}

// A resolver that knows nothing of the domain and cannot reach anybody: a fault, not an absence.
func TestResolverThatCannotReachTheDomain(t *testing.T) {
	resolver := daemon.Unbound(t, daemon.UnboundStub(t, "direct.example.org", port.At(daemon.Port(t))))     // where nobody is
	client := dnsclient.New(dnsclient.Config{Servers: []string{resolver}, Timeout: 200 * time.Millisecond}) // unbound itself tries for long
	got, err := discover.New(discover.Config{DNS: dnscert.New(client, nil)}).Find(t.Context(), addr.MustParse("a@direct.example.org"))
	if err != nil || got.Status != discover.Unknown || got.Trace.WhoActs != discover.WhoHere {
		t.Errorf("%v, %s\n%+v", err, got.Status, got.Trace.Steps)
	}
}
