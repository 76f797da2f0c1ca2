package zone_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/zone"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

var (
	now    = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	domain = addr.MustDomain("direct.example.org")
	ns     = []zone.Host{{Name: "ns.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.2"), netip.MustParseAddr("2001:db8::1")}}}
)

func build(t testing.TB, z ...zone.Zone) *zone.Snapshot {
	t.Helper()
	s, err := zone.Build(z, zone.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func leaf(t testing.TB, o issue.LeafOptions) *x509.Certificate {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: now.AddDate(-5, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if o.Now.IsZero() {
		o.Now = now
	}
	o.Algorithm = issue.P256
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.Cert
}

func TestOnlyUsefulCertificatesArePublished(t *testing.T) {
	a := addr.MustParse("John.Doe@direct.example.org")
	for _, tc := range []struct {
		situation string
		cert      zone.Cert
		name      string // where it is published
		left      string // or why not
	}{
		{"address", zone.Cert{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a})}, "john.doe.direct.example.org", ""},
		{"domain", zone.Cert{Cert: leaf(t, issue.LeafOptions{Domain: domain})}, "direct.example.org", ""},
		{"encryption one of a pair", zone.Cert{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a, Use: issue.Encrypt})}, "john.doe.direct.example.org", ""},
		{"signing one of a pair", zone.Cert{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a, Use: issue.Sign})}, "", "cannot receive"},
		{"expired", zone.Cert{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a, Now: now.AddDate(-2, 0, 0)})}, "", "expired"},
		{"not yet valid", zone.Cert{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a, Now: now.AddDate(0, 1, 0)})}, "", "not yet valid"},
		{"no certificate", zone.Cert{Address: a}, "", "no certificate"},
		{"address of another domain", zone.Cert{Address: addr.MustParse("a@elsewhere.example"), Cert: leaf(t, issue.LeafOptions{Domain: domain})}, "", "address of another domain"},
		{"address that is no name", zone.Cert{Address: addr.MustParse(`"a b"@direct.example.org`), Cert: leaf(t, issue.LeafOptions{Domain: domain})}, "", "name cannot be published"},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			s := build(t, zone.Zone{Domain: domain, NS: ns, Certs: []zone.Cert{tc.cert}})
			if tc.left != "" {
				if len(s.Left) != 1 || s.Left[0].Reason != tc.left || len(s.Certs) != 0 {
					t.Errorf("left %+v, published %d", s.Left, len(s.Certs))
				}
				return
			}
			n := s.Lookup(tc.name)
			if n == nil || len(n.Records[zone.TypeCERT]) != 1 || len(s.Certs) != 1 || len(s.Left) != 0 {
				t.Errorf("%s: %+v, left %+v", tc.name, n, s.Left)
			}
		})
	}
}

func TestWhenToBuildAgain(t *testing.T) {
	a := addr.MustParse("a@direct.example.org")
	soon := leaf(t, issue.LeafOptions{Address: a, Life: 48 * time.Hour})
	later := leaf(t, issue.LeafOptions{Address: a, Now: now.Add(24 * time.Hour)})
	for _, tc := range []struct {
		situation string
		certs     []*x509.Certificate
		want      time.Time
	}{
		{"nothing changes", nil, time.Time{}},
		{"one ends", []*x509.Certificate{soon}, soon.NotAfter.Add(time.Second)},
		{"another begins before that", []*x509.Certificate{soon, later}, later.NotBefore},
		{"what is over changes nothing", []*x509.Certificate{leaf(t, issue.LeafOptions{Address: a, Now: now.AddDate(-2, 0, 0)})}, time.Time{}},
	} {
		z := zone.Zone{Domain: domain, NS: ns}
		for _, c := range tc.certs {
			z.Certs = append(z.Certs, zone.Cert{Address: a, Cert: c})
		}
		if s := build(t, z); !s.Until.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.situation, s.Until, tc.want)
		}
		if !tc.want.IsZero() {
			after, err := zone.Build([]zone.Zone{z}, zone.Options{Now: tc.want})
			if err != nil || len(after.Certs) == len(build(t, z).Certs) {
				t.Errorf("%s: nothing changed then (%v)", tc.situation, err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	a := addr.MustParse("a.b.c@direct.example.org")
	s := build(t, zone.Zone{Domain: domain, NS: ns, Certs: []zone.Cert{{Address: a, Cert: leaf(t, issue.LeafOptions{Address: a})}}},
		zone.Zone{Domain: addr.MustDomain("sub.direct.example.org"), NS: []zone.Host{{Name: "ns.elsewhere.example"}}})
	for name, want := range map[string]string{ // zone, and whether it exists
		"direct.example.org": "direct.example.org yes", "a.b.c.direct.example.org": "direct.example.org yes",
		"b.c.direct.example.org": "direct.example.org yes", "c.direct.example.org": "direct.example.org yes",
		"x.direct.example.org": "direct.example.org no", "sub.direct.example.org": "sub.direct.example.org yes",
		"a.sub.direct.example.org": "sub.direct.example.org no", "example.org": "none", "org": "none",
		"xdirect.example.org": "none",
	} {
		got := "none"
		if z := s.Zone(name); z != nil {
			got = z.Name + " no"
			if n := s.Lookup(name); n != nil {
				got = z.Name + " yes"
				if n.Zone != z.Name {
					t.Errorf("%s says it lies in %s", name, n.Zone)
				}
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if n := s.Lookup("ns.direct.example.org"); len(n.Records[zone.TypeA]) != 2 || len(n.Records[zone.TypeAAAA]) != 1 {
		t.Errorf("name server's addresses: %+v", n)
	}
	if s.Lookup("ns.elsewhere.example") != nil {
		t.Error("addresses outside the zones are published")
	}
}

func TestZonesThatContradictThemselves(t *testing.T) {
	good := zone.Zone{Domain: domain, NS: ns}
	with := func(f func(*zone.Zone)) zone.Zone { z := good; f(&z); return z }
	for situation, zones := range map[string][]zone.Zone{
		"no name server":              {{Domain: domain}},
		"no domain":                   {{NS: ns}},
		"twice":                       {good, good},
		"CNAME beside other records":  {with(func(z *zone.Zone) { z.CNAME = []zone.CNAME{{Name: "", Target: "x.example"}} })},
		"two CNAMEs":                  {with(func(z *zone.Zone) { z.CNAME = []zone.CNAME{{"a", "x.example"}, {"a", "y.example"}} })},
		"administrator is no address": {with(func(z *zone.Zone) { z.Admin = "nobody" })},
		"label too long":              {with(func(z *zone.Zone) { z.TXT = []zone.TXT{{Name: strings.Repeat("a", 64), Text: "x"}} })},
		"name too long":               {with(func(z *zone.Zone) { z.TXT = []zone.TXT{{Name: strings.Repeat("a.", 120) + "a", Text: "x"}} })},
		"empty label":                 {with(func(z *zone.Zone) { z.MX = []zone.MX{{Host: "a..example"}} })},
		"CAA tag":                     {with(func(z *zone.Zone) { z.CAA = []zone.CAA{{Tag: "is sue"}} })},
	} {
		if _, err := zone.Build(zones, zone.Options{Now: now}); !errors.Is(err, zone.ErrZone) {
			t.Errorf("%s: %v", situation, err)
		}
	}
	if _, err := zone.Build(make([]zone.Zone, zone.MaxZones+1), zone.Options{Now: now}); !errors.Is(err, zone.ErrZone) || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too many zones: %v", err)
	}
	if _, err := zone.Build([]zone.Zone{good}, zone.Options{}); !errors.Is(err, zone.ErrZone) {
		t.Error("built without the time")
	}
}

// Every record read back by an independent reader.
func TestRecordsOnTheWire(t *testing.T) {
	long := strings.Repeat("text ", 100)
	s := build(t, zone.Zone{
		Domain: domain, Serial: 42, TTL: 10 * time.Minute, NS: ns, Admin: "dns.admin@example.org",
		MX:  []zone.MX{{Preference: 10, Host: "mx.example.org"}},
		SRV: []zone.SRV{{Service: "_ldap._tcp", Priority: 1, Weight: 2, Port: 389, Target: "ldap.example.org"}, {Service: "_x._tcp", Target: "."}},
		TXT: []zone.TXT{{Text: long}}, CAA: []zone.CAA{{Flag: 128, Tag: "ISSUE", Value: "ca.example"}},
		CNAME: []zone.CNAME{{Name: "www", Target: "Host.Example.ORG"}},
	})
	for _, want := range []string{
		"direct.example.org.\t600\tIN\tSOA\tns.direct.example.org. dns\\.admin.example.org. 42 3600 600 1209600 300",
		"direct.example.org.\t600\tIN\tNS\tns.direct.example.org.",
		"direct.example.org.\t600\tIN\tMX\t10 mx.example.org.",
		"_ldap._tcp.direct.example.org.\t600\tIN\tSRV\t1 2 389 ldap.example.org.",
		"_x._tcp.direct.example.org.\t600\tIN\tSRV\t0 0 0 .",
		"direct.example.org.\t600\tIN\tTXT\t\"" + long[:255] + "\" \"" + long[255:] + "\"",
		"direct.example.org.\t600\tIN\tCAA\t128 issue \"ca.example\"",
		"www.direct.example.org.\t600\tIN\tCNAME\thost.example.org.",
		"ns.direct.example.org.\t600\tIN\tAAAA\t2001:db8::1",
	} {
		name, _, _ := strings.Cut(want, ".\t")
		found := ""
		for _, list := range s.Lookup(name).Records {
			for _, r := range list {
				h := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: r.Type, Class: dns.ClassINET, Ttl: r.TTL, Rdlength: uint16(len(r.Data))}
				rr, off, err := dns.UnpackRRWithHeader(h, r.Data, 0)
				if err != nil || off != len(r.Data) {
					t.Fatalf("%s: %v", name, err)
				}
				if rr.String() == want {
					found = want
				}
			}
		}
		if found == "" {
			t.Errorf("missing: %s", want)
		}
	}
}

// The key tag is that of the library's DNSKEY over the same key.
func TestKeyTag(t *testing.T) {
	for _, bits := range []int{2048, 3072, 4096, 4104} { // any odd number does for a sum
		n := new(big.Int).SetBit(big.NewInt(time.Now().UnixNano()|1), bits-1, 1)
		key := &rsa.PublicKey{N: n, E: 65537}
		wire := append([]byte{3, 1, 0, 1}, n.Bytes()...)
		want, algorithm := (&dns.DNSKEY{Flags: 256, Protocol: 3, Algorithm: 5, PublicKey: base64.StdEncoding.EncodeToString(wire)}).KeyTag(), uint8(5)
		if bits > 4096 { // no DNSSEC form (RFC 3110 §2)
			want, algorithm = 0, 0
		}
		if tag, alg := zone.KeyTag(&x509.Certificate{PublicKey: key}); tag != want || alg != algorithm {
			t.Errorf("RSA %d: %d, algorithm %d; want %d, %d", bits, tag, alg, want, algorithm)
		}
	}
	for curve, alg := range map[elliptic.Curve]uint8{elliptic.P256(): 13, elliptic.P384(): 14} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		want := (&dns.DNSKEY{Flags: 256, Protocol: 3, Algorithm: alg, PublicKey: base64.StdEncoding.EncodeToString(point[1:])}).KeyTag()
		if tag, got := zone.KeyTag(&x509.Certificate{PublicKey: &key.PublicKey}); tag != want || got != alg {
			t.Errorf("%s: %d, algorithm %d; want %d, %d", curve.Params().Name, tag, got, want, alg)
		}
	}
	if tag, alg := zone.KeyTag(&x509.Certificate{}); tag != 0 || alg != 0 {
		t.Errorf("a key without a DNSSEC form: %d, %d", tag, alg)
	}
}

func BenchmarkBuild(b *testing.B) {
	c := leaf(b, issue.LeafOptions{Domain: domain})
	z := zone.Zone{Domain: domain, NS: ns}
	for i := range 10000 {
		z.Certs = append(z.Certs, zone.Cert{Address: addr.MustParse("p" + big.NewInt(int64(i)).String() + "@direct.example.org"), Cert: c})
	}
	for b.Loop() {
		if _, err := zone.Build([]zone.Zone{z}, zone.Options{Now: now}); err != nil {
			b.Fatal(err)
		}
	}
}
