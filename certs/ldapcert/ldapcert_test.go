package ldapcert_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/dnsclient"
	"postern/certs/issue"
	"postern/certs/ldapcert"
	"postern/gateway/lab/daemon"
	"postern/gateway/lab/port"
	"postern/smime/addr"
	"postern/smime/cms"

	ber "github.com/go-asn1-ber/asn1-ber"
)

var domain = addr.MustDomain("direct.example.org")

// resolver answers SRV with what the test names; every host is on loopback.
type resolver struct {
	srv []dnsclient.SRV
	err error
}

func (r resolver) SRV(_ context.Context, name string) ([]dnsclient.SRV, error) {
	if name != "_ldap._tcp.direct.example.org" {
		return nil, fmt.Errorf("asked for %s", name)
	}
	return r.srv, r.err
}

func (r resolver) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	if host == "nowhere.example" {
		return nil, dnsclient.ErrNotFound
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// at is an SRV record for a server on loopback.
func at(t testing.TB, address string) dnsclient.SRV {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return dnsclient.SRV{Target: "ldap.example", Port: a.Port()}
}

func finder(r ldapcert.Resolver) *ldapcert.Finder {
	return ldapcert.New(ldapcert.Config{Resolver: r, Dial: (&net.Dialer{}).DialContext, Timeout: 20 * time.Second})
}

func leaf(t testing.TB, o issue.LeafOptions) certs.Credential {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	o.Algorithm, o.Now = issue.P256, time.Now()
	c, err := ca.Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authorityOf(t testing.TB) *x509.Certificate {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Other", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return ca.Cert
}

// serving answers every search with the certificate under the attribute name.
func serving(attribute string, values ...string) func(net.Conn, int64, *ber.Packet) bool {
	return directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
		conn.Write(entry(id, "cn=x,dc=example", attribute, values...))
		conn.Write(result(id, opDone, 0))
		return true
	})
}

func TestDirectories(t *testing.T) {
	cert := string(leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")}).Cert.Raw)
	own := leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")})
	bundle, err := cms.WriteBundle([]*x509.Certificate{own.Cert, authorityOf(t)})
	if err != nil {
		t.Fatal(err)
	}
	empty := directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
		conn.Write(result(id, opDone, 0))
		return true
	})
	failing := func(code int64) func(net.Conn, int64, *ber.Packet) bool {
		return directory(func(conn net.Conn, id int64, _ *ber.Packet) bool { conn.Write(result(id, opDone, code)); return true })
	}
	flood := func(conn net.Conn, id int64, filler []byte) bool {
		for {
			if _, err := conn.Write(filler); err != nil {
				return false
			}
		}
	}
	nested := bytes.Repeat([]byte{0x30, 0x80}, 1000)
	deep := []byte{}
	for range 40 {
		deep = append([]byte{0x30, byte(len(deep))}, deep...)
	}
	tiny := append([]byte{0x30, 0x83, 0x07, 0x00, 0x00}, bytes.Repeat([]byte{5, 0}, 0x70000/2)...)
	for _, tc := range []struct {
		situation string
		handler   func(net.Conn, int64, *ber.Packet) bool
		certs     int
		kind      error
		note      string // in the notes
	}{
		{"userCertificate;binary", serving("userCertificate;binary", cert), 1, nil, ""},
		{"userCertificate", serving("userCertificate", cert), 1, nil, ""},
		{"attribute in other case", serving("USERCERTIFICATE;Binary", cert), 1, nil, ""},
		{"userSMIMECertificate: end-entity certificates of the bundle", serving("userSMIMECertificate;binary", string(bundle)), 1, nil, ""},
		{"userSMIMECertificate that is no bundle", serving("userSMIMECertificate", "rubbish"), 0, ldapcert.ErrNotFound, "no bundle"},
		{"one value is no certificate", serving("userCertificate", "rubbish", cert), 1, nil, "no certificate"},
		{"octets behind the certificate", serving("userCertificate", cert+"\x00\x00"), 1, nil, ""},
		{"only rubbish", serving("userCertificate", "rubbish"), 0, ldapcert.ErrNotFound, "no certificate"},
		{"another attribute", serving("jpegPhoto", cert), 0, ldapcert.ErrNotFound, "no certificate for"},
		{"no entry", empty, 0, ldapcert.ErrNotFound, "no certificate for"},
		{"base that is not there", failing(32), 0, ldapcert.ErrNotFound, "no certificate for"},
		{"referral elsewhere", failing(10), 0, ldapcert.ErrNotFound, "no certificate for"},
		{"search reference beside the entry", directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
			op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opRefer, nil, "")
			op.AppendChild(text("ldap://169.254.169.254/"))
			conn.Write(message(id, op))
			conn.Write(entry(id, "cn=x", "userCertificate", cert))
			conn.Write(result(id, opDone, 0))
			return true
		}), 1, nil, ""},
		{"more entries than the limit", directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
			for range ldapcert.MaxEntries {
				conn.Write(entry(id, "cn=x", "userCertificate", cert))
			}
			conn.Write(result(id, opDone, 4))
			return true
		}), 1, nil, "more than 10 entries"},
		{"server busy", failing(51), 0, ldapcert.ErrTemporary, "Busy"},
		{"search not allowed", failing(50), 0, ldapcert.ErrTemporary, "Insufficient Access"},
		{"wants credentials", func(conn net.Conn, id int64, op *ber.Packet) bool {
			conn.Write(result(id, opBindDone, 48))
			return true
		}, 0, ldapcert.ErrTemporary, "wants credentials"},
		{"names no base", func(conn net.Conn, id int64, op *ber.Packet) bool {
			if op.Tag == opBind {
				conn.Write(result(id, opBindDone, 0))
			} else {
				conn.Write(result(id, opDone, 0))
			}
			return op.Tag != 2
		}, 0, ldapcert.ErrTemporary, "no base DN"},
		{"stalls at once", func(net.Conn, int64, *ber.Packet) bool { return true }, 0, ldapcert.ErrTemporary, "timed out"},
		{"stalls in the search", directory(func(net.Conn, int64, *ber.Packet) bool { return true }), 0, ldapcert.ErrTemporary, "timed out"},
		{"hangs up", func(net.Conn, int64, *ber.Packet) bool { return false }, 0, ldapcert.ErrTemporary, "bind"},
		{"speaks HTTP", func(conn net.Conn, _ int64, _ *ber.Packet) bool {
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			return false
		}, 0, ldapcert.ErrTemporary, "begins with 0x48"},
		{"announces a gigabyte", func(conn net.Conn, _ int64, _ *ber.Packet) bool {
			conn.Write([]byte{0x30, 0x84, 0x40, 0, 0, 0})
			return true
		}, 0, ldapcert.ErrTemporary, "octets, at most"},
		{"endless nesting", func(conn net.Conn, id int64, _ *ber.Packet) bool { return flood(conn, id, nested) }, 0, ldapcert.ErrTemporary, "indefinite"},
		{"deep nesting", func(conn net.Conn, _ int64, _ *ber.Packet) bool { conn.Write(deep); return true }, 0, ldapcert.ErrTemporary, "deeper than"},
		{"a message of tiny elements", func(conn net.Conn, _ int64, _ *ber.Packet) bool { conn.Write(tiny); return true }, 0, ldapcert.ErrTemporary, "elements"},
		{"element longer than its message", func(conn net.Conn, _ int64, _ *ber.Packet) bool {
			conn.Write([]byte{0x30, 4, 2, 9, 1, 1})
			return true
		}, 0, ldapcert.ErrTemporary, "longer than its message"},
		{"gigabytes of entries", directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
			return flood(conn, id, entry(id, "cn=x", "userCertificate", strings.Repeat("x", 100_000)))
		}), 0, ldapcert.ErrTemporary, "more than 2097152 octets"},
		{"gigabytes for somebody else's question", directory(func(conn net.Conn, id int64, _ *ber.Packet) bool {
			return flood(conn, id, entry(id+1000, "cn=x", "userCertificate", strings.Repeat("x", 100_000)))
		}), 0, ldapcert.ErrTemporary, ""},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			f := newFake(t, tc.handler)
			timeout := 20 * time.Second
			if strings.HasPrefix(tc.situation, "stalls") {
				timeout = 200 * time.Millisecond
			}
			finder := ldapcert.New(ldapcert.Config{Resolver: resolver{srv: []dnsclient.SRV{at(t, f.addr)}}, Dial: (&net.Dialer{}).DialContext, Timeout: timeout})
			got, err := finder.Find(t.Context(), domain, "a@direct.example.org")
			if !errors.Is(err, tc.kind) || len(got.Certs) != tc.certs {
				t.Fatalf("%d certificates, error %v; want %d, %v", len(got.Certs), err, tc.certs, tc.kind)
			}
			if notes := strings.Join(got.Notes, "\n"); !strings.Contains(notes, tc.note) {
				t.Errorf("notes do not say %q:\n%s", tc.note, notes)
			}
		})
	}
}

func TestEveryServerInOrder(t *testing.T) {
	one := leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")})
	two := leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")})
	good := at(t, newFake(t, serving("userCertificate", string(one.Cert.Raw))).addr)
	other := at(t, newFake(t, serving("userCertificate", string(two.Cert.Raw))).addr)
	empty := at(t, newFake(t, directory(func(conn net.Conn, id int64, _ *ber.Packet) bool { conn.Write(result(id, opDone, 0)); return true })).addr)
	nobody, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	dead := at(t, port.At(nobody))
	nowhere := dnsclient.SRV{Target: "nowhere.example", Port: 389}
	absent := dnsclient.SRV{}
	for _, tc := range []struct {
		situation string
		servers   []dnsclient.SRV
		err       error // of the SRV question
		want      *x509.Certificate
		kind      error
	}{
		{"the first has it", []dnsclient.SRV{good, other}, nil, one.Cert, nil},
		{"order decides", []dnsclient.SRV{other, good}, nil, two.Cert, nil},
		{"the first is dead", []dnsclient.SRV{dead, good}, nil, one.Cert, nil},
		{"three are dead", []dnsclient.SRV{dead, nowhere, dead, good}, nil, one.Cert, nil},
		{"the first is empty", []dnsclient.SRV{empty, good}, nil, one.Cert, nil},
		{"all are empty", []dnsclient.SRV{empty, empty}, nil, nil, ldapcert.ErrNotFound},
		{"all are dead", []dnsclient.SRV{dead, dead}, nil, nil, ldapcert.ErrTemporary},
		{"one dead, one empty", []dnsclient.SRV{dead, empty}, nil, nil, ldapcert.ErrTemporary},
		{"port of another service", []dnsclient.SRV{{Target: "ldap.example", Port: 25}}, nil, nil, ldapcert.ErrTemporary},
		{"port of another service, then a directory", []dnsclient.SRV{{Target: "ldap.example", Port: 80}, good}, nil, one.Cert, nil},
		{"declared absent", []dnsclient.SRV{absent}, nil, nil, ldapcert.ErrNotFound},
		{"no directory", nil, dnsclient.ErrNotFound, nil, ldapcert.ErrNotFound},
		{"DNS faults", nil, dnsclient.ErrTemporary, nil, ldapcert.ErrTemporary},
		{"more servers than are asked", append(slicesOf(absent, ldapcert.MaxServers), good), nil, nil, ldapcert.ErrNotFound},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			got, err := finder(resolver{tc.servers, tc.err}).Find(t.Context(), domain, "a@direct.example.org")
			if !errors.Is(err, tc.kind) {
				t.Fatalf("error %v, want %v", err, tc.kind)
			}
			if tc.want != nil && (len(got.Certs) != 1 || !got.Certs[0].Equal(tc.want)) {
				t.Errorf("found %d certificates, or the wrong one; %v", len(got.Certs), got.Notes)
			}
		})
	}
}

func slicesOf(s dnsclient.SRV, n int) []dnsclient.SRV {
	out := make([]dnsclient.SRV, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func TestGuardIsAsked(t *testing.T) {
	f := newFake(t, serving("userCertificate", "x"))
	refused := errors.New("address not allowed")
	var asked []string
	finder := ldapcert.New(ldapcert.Config{
		Resolver: resolver{srv: []dnsclient.SRV{at(t, f.addr)}},
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			asked = append(asked, network+" "+address)
			return nil, refused
		},
	})
	got, err := finder.Find(t.Context(), domain, "a@direct.example.org")
	if !errors.Is(err, ldapcert.ErrTemporary) || len(asked) != 1 || asked[0] != "tcp "+f.addr || !strings.Contains(strings.Join(got.Notes, " "), "not allowed") {
		t.Errorf("%v, dialled %v, %v", err, asked, got.Notes)
	}
	if _, err := ldapcert.New(ldapcert.Config{Resolver: resolver{srv: []dnsclient.SRV{at(t, f.addr)}}}).Find(t.Context(), domain, "x"); !errors.Is(err, ldapcert.ErrTemporary) {
		t.Errorf("without a dial function: %v", err)
	}
}

// An address may hold filter characters; the directory must see them as data (RFC 4515 §3).
func TestFilterIsEscaped(t *testing.T) {
	var seen string
	f := newFake(t, directory(func(conn net.Conn, id int64, op *ber.Packet) bool {
		filter := op.Children[6]
		seen = fmt.Sprintf("%d %s=%s", filter.Tag, filter.Children[0].Value, filter.Children[1].Value)
		conn.Write(result(id, opDone, 0))
		return true
	}))
	_, err := finder(resolver{srv: []dnsclient.SRV{at(t, f.addr)}}).Find(t.Context(), domain, "a*)(mail=*\\@direct.example.org")
	if !errors.Is(err, ldapcert.ErrNotFound) || seen != "3 mail=a*)(mail=*\\@direct.example.org" { // 3: equalityMatch
		t.Errorf("%v; the directory saw %q", err, seen)
	}
}

func TestMemoryStaysSmall(t *testing.T) {
	tiny := append([]byte{0x30, 0x83, 0x07, 0x00, 0x00}, bytes.Repeat([]byte{5, 0}, 0x70000/2)...)
	f := newFake(t, func(conn net.Conn, _ int64, _ *ber.Packet) bool {
		for {
			if _, err := conn.Write(tiny); err != nil {
				return false
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := finder(resolver{srv: []dnsclient.SRV{at(t, f.addr)}}).Find(t.Context(), domain, "x"); !errors.Is(err, ldapcert.ErrTemporary) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d octets were allocated for a hostile server", grown)
	}
}

func TestContextEndsTheSearch(t *testing.T) {
	f := newFake(t, func(net.Conn, int64, *ber.Packet) bool { return true })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	slow := ldapcert.New(ldapcert.Config{Resolver: resolver{srv: []dnsclient.SRV{at(t, f.addr)}}, Dial: (&net.Dialer{}).DialContext, Timeout: time.Minute})
	if _, err := slow.Find(ctx, domain, "x"); !errors.Is(err, ldapcert.ErrTemporary) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// A real directory, filled as publishers fill theirs (CD-38).
func TestSlapd(t *testing.T) {
	person := leaf(t, issue.LeafOptions{Address: addr.MustParse("john.doe@direct.example.org")})
	second := leaf(t, issue.LeafOptions{Address: addr.MustParse("john.doe@direct.example.org")})
	org := leaf(t, issue.LeafOptions{Domain: domain})
	b64 := func(c certs.Credential) string { return base64.StdEncoding.EncodeToString(c.Cert.Raw) }
	ldif := fmt.Sprintf(`dn: dc=example,dc=org
objectClass: domain
dc: example

dn: cn=John Doe,dc=example,dc=org
objectClass: inetOrgPerson
cn: John Doe
sn: Doe
mail: John.Doe@direct.example.org
userCertificate;binary:: %s
userCertificate;binary:: %s

dn: cn=direct,dc=example,dc=org
objectClass: inetOrgPerson
cn: direct
sn: direct
mail: direct.example.org
userCertificate;binary:: %s

dn: cn=No Certificate,dc=example,dc=org
objectClass: inetOrgPerson
cn: No Certificate
sn: None
mail: none@direct.example.org
`, b64(person), b64(second), b64(org))
	server := daemon.Slapd(t, "dc=example,dc=org", ldif)
	f := ldapcert.New(ldapcert.Config{Resolver: resolver{srv: []dnsclient.SRV{at(t, server)}}, Dial: (&net.Dialer{}).DialContext})
	for _, tc := range []struct {
		mail  string
		certs int
		kind  error
	}{
		{"john.doe@direct.example.org", 2, nil},
		{"JOHN.DOE@DIRECT.EXAMPLE.ORG", 2, nil},
		{"direct.example.org", 1, nil},
		{"none@direct.example.org", 0, ldapcert.ErrNotFound},
		{"nobody@direct.example.org", 0, ldapcert.ErrNotFound},
		{"*", 0, ldapcert.ErrNotFound},
		{"*@direct.example.org", 0, ldapcert.ErrNotFound},
	} {
		got, err := f.Find(t.Context(), domain, tc.mail)
		if !errors.Is(err, tc.kind) || len(got.Certs) != tc.certs {
			t.Errorf("%s: %d certificates, %v", tc.mail, len(got.Certs), err)
		}
	}
}

func TestBounds(t *testing.T) {
	cert := string(leaf(t, issue.LeafOptions{Address: addr.MustParse("a@direct.example.org")}).Cert.Raw)
	t.Run("base DNs", func(t *testing.T) {
		searches := 0
		f := newFake(t, func(conn net.Conn, id int64, op *ber.Packet) bool {
			switch base, _ := op.Children[0].Value.(string); {
			case op.Tag == opBind:
				conn.Write(result(id, opBindDone, 0))
			case base == "":
				var many []string
				for i := range ldapcert.MaxBases + 5 {
					many = append(many, fmt.Sprintf("dc=b%d", i))
				}
				conn.Write(entry(id, "", "namingContexts", many...))
				conn.Write(result(id, opDone, 0))
			default:
				searches++
				conn.Write(result(id, opDone, 0))
			}
			return true
		})
		got, err := finder(resolver{srv: []dnsclient.SRV{at(t, f.addr)}}).Find(t.Context(), domain, "x")
		if !errors.Is(err, ldapcert.ErrNotFound) || searches != ldapcert.MaxBases || !strings.Contains(strings.Join(got.Notes, " "), "only 20 of 25 base DNs") {
			t.Errorf("%v, %d searches, %v", err, searches, got.Notes)
		}
	})
	t.Run("values", func(t *testing.T) {
		var values []string
		for range ldapcert.MaxCerts {
			values = append(values, "rubbish")
		}
		f := newFake(t, serving("userCertificate", append(values, cert)...))
		if got, err := finder(resolver{srv: []dnsclient.SRV{at(t, f.addr)}}).Find(t.Context(), domain, "x"); !errors.Is(err, ldapcert.ErrNotFound) || len(got.Notes) > 50 {
			t.Errorf("%v: %d certificates, %d notes", err, len(got.Certs), len(got.Notes))
		}
	})
	t.Run("addresses", func(t *testing.T) {
		dialled := 0
		f := ldapcert.New(ldapcert.Config{Resolver: manyAddrs{}, Dial: func(context.Context, string, string) (net.Conn, error) {
			dialled++
			return nil, errors.New("refused")
		}})
		if _, err := f.Find(t.Context(), domain, "x"); !errors.Is(err, ldapcert.ErrTemporary) || dialled != ldapcert.MaxAddrs {
			t.Errorf("%v, %d dialled", err, dialled)
		}
	})
}

// manyAddrs is a host with more addresses than are tried.
type manyAddrs struct{}

func (manyAddrs) SRV(context.Context, string) ([]dnsclient.SRV, error) {
	return []dnsclient.SRV{{Target: "ldap.example", Port: 389}}, nil
}

func (manyAddrs) Addrs(context.Context, string) ([]netip.Addr, error) {
	return make([]netip.Addr, ldapcert.MaxAddrs+3), nil
}
