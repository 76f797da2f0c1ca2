package discover_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/smime/addr"
)

// authority is a P-256 pilot authority: quick to make.
func authority(t testing.TB) *issue.Authority {
	t.Helper()
	a, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot Root", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t testing.TB, a *issue.Authority, o issue.LeafOptions) certs.Credential {
	t.Helper()
	if o.Algorithm == "" {
		o.Algorithm = issue.P256
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	c, err := a.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a name server with the zones and returns its address.
func serve(t testing.TB, zones ...zone.Zone) (*dnsd.Server, string) {
	t.Helper()
	snap, err := zone.Build(zones, zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := dnsd.New(dnsd.Config{Rate: -1})
	s.Publish(snap)
	l, err := dnsd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l.Addr()
}

func TestSearchOverRealSockets(t *testing.T) {
	ca := authority(t)
	domain := addr.MustDomain("direct.example.org")
	john := addr.MustParse("John.Doe@direct.example.org")
	bound := leaf(t, ca, issue.LeafOptions{Address: john})
	org := leaf(t, ca, issue.LeafOptions{Domain: domain})
	_, server := serve(t, zone.Zone{
		Domain: domain,
		NS:     []zone.Host{{Name: "ns.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Certs:  []zone.Cert{{Address: john, Cert: bound.Cert}, {Cert: org.Cert}},
	})
	client := dnsclient.New(dnsclient.Config{Servers: []string{server}})
	f := discover.New(discover.Config{DNS: dnscert.New(client, nil)})
	for _, tc := range []struct {
		situation, address string
		status             discover.Status
		location           discover.Location
		want               string
	}{
		{"address-bound, other case", "JOHN.DOE@Direct.Example.ORG", discover.Found, discover.DNSAddress, bound.ID},
		{"address-bound, with a tag", "john.doe+lab@direct.example.org", discover.Found, discover.DNSAddress, bound.ID},
		{"no certificate of its own: the domain's", "mary@direct.example.org", discover.Found, discover.DNSDomain, org.ID},
		{"empty non-terminal: the domain's", "doe@direct.example.org", discover.Found, discover.DNSDomain, org.ID},
		{"a local part that is no name", `"a b"@direct.example.org`, discover.Found, discover.DNSDomain, org.ID},
		{"a zone that the server refuses", "a@elsewhere.example", discover.Unknown, "", ""},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			got, err := f.Find(t.Context(), addr.MustParse(tc.address))
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != tc.status || got.Location != tc.location {
				t.Fatalf("%s at %q, want %s at %q\n%+v", got.Status, got.Location, tc.status, tc.location, got.Trace)
			}
			if tc.want != "" && (len(got.Certs) != 1 || certs.Fingerprint(got.Certs[0]) != tc.want) {
				t.Errorf("found %d certificates, not the one published", len(got.Certs))
			}
		})
	}
}
