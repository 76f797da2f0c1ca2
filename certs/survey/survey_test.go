package survey_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/certs/survey"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/gateway/edge/ldapd"
	"postern/gateway/lab/port"
	"postern/smime/addr"
)

var (
	domain = addr.MustDomain("direct.example.org")
	john   = addr.MustParse("john@direct.example.org")
	local  = netip.MustParseAddr("127.0.0.1")
)

// site publishes a zone and a directory, and returns the survey's view of it.
func site(t *testing.T, z zone.Zone, all bool, entries []ldapd.Entry) survey.Config {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	running := 1
	if entries != nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d, err := ldapd.NewDirectory("", entries)
		if err != nil {
			t.Fatal(err)
		}
		s := ldapd.New(nil)
		s.Publish(d)
		running++
		go func() { done <- s.Serve(ctx, l) }()
		z.SRV = []zone.SRV{{Service: "_ldap._tcp", Port: uint16(l.Addr().(*net.TCPAddr).Port), Target: "ns.direct.example.org"}}
	}
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now(), All: all})
	if err != nil {
		t.Fatal(err)
	}
	s := dnsd.New(dnsd.Config{Rate: -1})
	s.Publish(snap)
	l, err := dnsd.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		for range running {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	_, port, _ := net.SplitHostPort(l.Addr())
	dial := (&net.Dialer{}).DialContext
	client := dnsclient.New(dnsclient.Config{Servers: []string{l.Addr()}, Authority: dial, AuthorityPort: port, Cache: -1, Tries: 1})
	return survey.Config{DNS: client, LDAP: ldapcert.New(ldapcert.Config{Resolver: client, Dial: dial}), Now: time.Now(), Port: port}
}

func TestWhatTheWorldSees(t *testing.T) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now().AddDate(-3, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	made := func(o issue.LeafOptions) *x509.Certificate {
		if o.Now.IsZero() {
			o.Now = time.Now()
		}
		o.Algorithm = issue.P256
		c, err := ca.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		return c.Cert
	}
	bound, other, org := made(issue.LeafOptions{Address: john}), made(issue.LeafOptions{Address: john}), made(issue.LeafOptions{Domain: domain})
	old := made(issue.LeafOptions{Address: john, Now: time.Now().AddDate(-2, 0, 0)})
	want := map[string][]string{john.String(): {certs.Fingerprint(bound)}, domain.String(): {certs.Fingerprint(org)}}
	good := zone.Zone{Domain: domain, NS: []zone.Host{{Name: "ns.direct.example.org", Addrs: []netip.Addr{local}}}, MX: []zone.MX{{Host: "ns.direct.example.org"}},
		Certs: []zone.Cert{{Address: john, Cert: bound}, {Cert: org}}}
	with := func(f func(*zone.Zone)) zone.Zone { z := good; f(&z); return z }
	entries := []ldapd.Entry{{Mail: john.String(), Certs: []*x509.Certificate{bound}}, {Mail: domain.String(), Certs: []*x509.Certificate{org}}}
	for _, tc := range []struct {
		situation string
		zone      zone.Zone
		entries   []ldapd.Entry
		bad       []string // "what|where contains|verdict"
	}{
		{"all is well", good, nil, nil},
		{"all is well, with a directory", good, entries, nil},
		{"a certificate is missing", with(func(z *zone.Zone) { z.Certs = z.Certs[1:] }), nil, []string{"certificate of john@|CERT record at john.direct|bad"}},
		{"another certificate is there", with(func(z *zone.Zone) { z.Certs = []zone.Cert{{Address: john, Cert: other}, {Cert: org}} }), nil, []string{"certificate of john@|CERT|bad"}},
		{"another one beside it", with(func(z *zone.Zone) {
			z.Certs = []zone.Cert{{Address: john, Cert: other}, {Address: john, Cert: bound}, {Cert: org}}
		}), nil, []string{"certificate of john@|CERT|doubt"}},
		{"an expired one beside it", with(func(z *zone.Zone) {
			z.Certs = []zone.Cert{{Address: john, Cert: old}, {Address: john, Cert: bound}, {Cert: org}}
		}), nil, []string{"certificate of john@|CERT|doubt"}},
		{"no mail exchanger", with(func(z *zone.Zone) { z.MX = nil }), nil, []string{"mail exchanger||bad"}},
		{"name server without an address", with(func(z *zone.Zone) { z.NS = append(z.NS, zone.Host{Name: "lost.direct.example.org"}) }), nil, []string{"name server lost||bad"}},
		{"a second name server that is silent", with(func(z *zone.Zone) {
			z.NS = append(z.NS, zone.Host{Name: "dead.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.2")}})
		}), nil, []string{"name server dead|UDP|bad", "name server dead|TCP|bad"}},
		{"the directory lacks one", good, entries[:1], []string{"certificate of direct.example.org|LDAP|bad"}},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			r, err := survey.Domain(t.Context(), site(t, tc.zone, true, tc.entries), survey.Expected{Domain: domain, Certs: want})
			if err != nil {
				t.Fatal(err)
			}
			left := map[string]bool{}
			for _, b := range tc.bad {
				left[b] = true
			}
			for _, l := range r.Looks {
				if l.Verdict == survey.Good {
					continue
				}
				matched := false
				for b := range left {
					p := strings.Split(b, "|")
					if strings.Contains(l.What, p[0]) && strings.Contains(l.Where, p[1]) && string(l.Verdict) == p[2] {
						delete(left, b)
						matched = true
						break
					}
				}
				if !matched {
					t.Errorf("unexpected: %+v", l)
				}
				if l.Remedy == "" || l.Saw == "" {
					t.Errorf("without words: %+v", l)
				}
			}
			for b := range left {
				t.Errorf("not seen: %s in %+v", b, r.Looks)
			}
			if len(tc.bad) == 0 && (r.Count(survey.Good) < 6 || r.Version != 1) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	dead, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	client := dnsclient.New(dnsclient.Config{Servers: []string{port.At(dead)}, Tries: 1, Timeout: 100 * time.Millisecond})
	r, err := survey.Domain(t.Context(), survey.Config{DNS: client, LDAP: ldapcert.New(ldapcert.Config{Resolver: client}), Now: time.Now()},
		survey.Expected{Domain: domain, Certs: map[string][]string{john.String(): {"00"}}})
	if err != nil || r.Count(survey.Good)+r.Count(survey.Bad) != 0 || r.Count(survey.Unknown) == 0 {
		t.Errorf("%v: %+v", err, r)
	}
}

func TestBounds(t *testing.T) {
	z := zone.Zone{Domain: domain, NS: []zone.Host{{Name: "ns.direct.example.org"}}, MX: []zone.MX{{Host: "ns.direct.example.org"}}}
	for i := range survey.MaxServers + 2 {
		z.NS[0].Addrs = append(z.NS[0].Addrs, netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}))
	}
	want := map[string][]string{}
	for i := range survey.MaxNames + 7 {
		want[fmt.Sprintf("a%d@direct.example.org", i)] = []string{"00"}
	}
	r, err := survey.Domain(t.Context(), site(t, z, true, nil), survey.Expected{Domain: domain, Certs: want})
	if err != nil {
		t.Fatal(err)
	}
	names, servers, rest := 0, 0, ""
	for _, l := range r.Looks {
		switch {
		case strings.HasPrefix(l.What, "certificate of"):
			names++
		case strings.HasPrefix(l.What, "name server"):
			servers++
		case l.What == "certificates":
			rest = l.Saw
		}
	}
	if names != survey.MaxNames || servers != 2*survey.MaxServers || !strings.HasPrefix(rest, "7 names") {
		t.Errorf("%d names, %d looks at servers, %q", names, servers, rest)
	}
}
