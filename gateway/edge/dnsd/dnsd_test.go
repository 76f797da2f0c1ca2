package dnsd_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/zone"
	"postern/gateway/edge/dnsd"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

const domain = "direct.example.org"

// site is a zone with everything in it: a small certificate (P-256) and large ones (RSA).
type site struct {
	server *dnsd.Server
	addr   string
	john   certs.Credential // RSA: fits into 1,232 octets
	large  []certs.Credential
	zone   zone.Zone
}

func newSite(t testing.TB, cfg dnsd.Config) *site {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	make1 := func(a string) certs.Credential {
		c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse(a), Algorithm: issue.P256, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := &site{john: make1("john.doe@" + domain)}
	z := zone.Zone{
		Domain: addr.MustDomain(domain),
		NS: []zone.Host{
			{Name: "ns1." + domain, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
			{Name: "ns2.elsewhere.example"},
		},
		MX:    []zone.MX{{Preference: 10, Host: "mx." + domain}},
		Hosts: []zone.Host{{Name: "mx." + domain, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.25")}}},
		Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.80")},
		SRV:   []zone.SRV{{Service: "_ldap._tcp", Priority: 0, Weight: 100, Port: 389, Target: "mx." + domain}},
		TXT:   []zone.TXT{{Text: "v=spf1 -all"}},
		CAA:   []zone.CAA{{Tag: "issue", Value: ";"}},
		CNAME: []zone.CNAME{{Name: "www", Target: "mx." + domain}, {Name: "far", Target: "elsewhere.example"}, {Name: "gone", Target: "nowhere." + domain}},
		Certs: []zone.Cert{{Address: addr.MustParse("john.doe@" + domain), Cert: s.john.Cert}},
	}
	for range 3 {
		c := make1("big@" + domain)
		s.large = append(s.large, c)
		z.Certs = append(z.Certs, zone.Cert{Address: addr.MustParse("big@" + domain), Cert: c.Cert})
	}
	s.zone = z
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now(), Serial: 7})
	if err != nil {
		t.Fatal(err)
	}
	s.server, s.addr = start(t, cfg, snap)
	return s
}

func start(t testing.TB, cfg dnsd.Config, snap *zone.Snapshot) (*dnsd.Server, string) {
	t.Helper()
	server := dnsd.New(cfg)
	server.Publish(snap)
	l, err := dnsd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return server, l.Addr()
}

// ask is an independent client: the library's own. size 0 = no EDNS0.
func (s *site) ask(t testing.TB, network, name string, qtype, size uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	if size > 0 {
		m.SetEdns0(size, true)
	}
	c := &dns.Client{Net: network, Timeout: patience, UDPSize: 4096}
	r, _, err := c.ExchangeContext(t.Context(), m, s.addr)
	if err != nil {
		t.Fatalf("%s %s: %v", name, network, err)
	}
	return r
}

func TestAnswers(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	before := s.server.Stats()
	for _, tc := range []struct {
		situation, name string
		qtype           uint16
		rcode, answers  int
		soa             bool
		authoritative   bool
	}{
		{"address certificate", "john.doe." + domain, dns.TypeCERT, dns.RcodeSuccess, 1, false, true},
		{"other case", "JoHn.dOe.DIRECT.example.ORG", dns.TypeCERT, dns.RcodeSuccess, 1, false, true},
		{"empty non-terminal", "doe." + domain, dns.TypeCERT, dns.RcodeSuccess, 0, true, true},
		{"empty non-terminal of a service", "_tcp." + domain, dns.TypeA, dns.RcodeSuccess, 0, true, true},
		{"name without that type", "john.doe." + domain, dns.TypeMX, dns.RcodeSuccess, 0, true, true},
		{"domain without a certificate", domain, dns.TypeCERT, dns.RcodeSuccess, 0, true, true},
		{"no such name", "mary." + domain, dns.TypeCERT, dns.RcodeNameError, 0, true, true},
		{"below a name that exists", "x.john.doe." + domain, dns.TypeCERT, dns.RcodeNameError, 0, true, true},
		{"MX", domain, dns.TypeMX, dns.RcodeSuccess, 1, false, true},
		{"SOA", domain, dns.TypeSOA, dns.RcodeSuccess, 1, false, true},
		{"NS", domain, dns.TypeNS, dns.RcodeSuccess, 2, false, true},
		{"A of the domain", domain, dns.TypeA, dns.RcodeSuccess, 1, false, true},
		{"AAAA of a name server", "ns1." + domain, dns.TypeAAAA, dns.RcodeSuccess, 1, false, true},
		{"SRV", "_ldap._tcp." + domain, dns.TypeSRV, dns.RcodeSuccess, 1, false, true},
		{"TXT", domain, dns.TypeTXT, dns.RcodeSuccess, 1, false, true},
		{"CAA", domain, dns.TypeCAA, dns.RcodeSuccess, 1, false, true},
		{"alias inside, followed", "www." + domain, dns.TypeA, dns.RcodeSuccess, 2, false, true},
		{"alias inside, no such type at its end", "www." + domain, dns.TypeCERT, dns.RcodeSuccess, 1, true, true},
		{"alias inside, no such name at its end", "gone." + domain, dns.TypeCERT, dns.RcodeNameError, 1, true, true},
		{"alias outside, given alone", "far." + domain, dns.TypeA, dns.RcodeSuccess, 1, false, true},
		{"the alias itself", "www." + domain, dns.TypeCNAME, dns.RcodeSuccess, 1, false, true},
		{"ANY is answered shortly", domain, dns.TypeANY, dns.RcodeSuccess, 1, false, true},
		{"a type nobody has", domain, dns.TypeDNSKEY, dns.RcodeSuccess, 0, true, true},
		{"not our zone", "example.org", dns.TypeSOA, dns.RcodeRefused, 0, false, false},
		{"not our zone, recursion wanted", "www.example.com", dns.TypeA, dns.RcodeRefused, 0, false, false},
		{"the root", ".", dns.TypeNS, dns.RcodeRefused, 0, false, false},
		{"a whole zone for a stranger", domain, dns.TypeAXFR, dns.RcodeRefused, 0, false, false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tc.situation+" "+network, func(t *testing.T) {
				name := dns.Fqdn(tc.name)
				r := s.ask(t, network, name, tc.qtype, 1232)
				if r.Rcode != tc.rcode || len(r.Answer) != tc.answers || r.Authoritative != tc.authoritative || r.RecursionAvailable || r.Truncated {
					t.Fatalf("got:\n%v", r)
				}
				if soa := len(r.Ns) == 1 && r.Ns[0].Header().Rrtype == dns.TypeSOA; soa != tc.soa {
					t.Errorf("SOA in authority is %v:\n%v", soa, r)
				}
				if tc.soa && (r.Ns[0].Header().Name != domain+"." && !strings.EqualFold(r.Ns[0].Header().Name, domain+".") || r.Ns[0].Header().Ttl != 300) {
					t.Errorf("SOA is %v", r.Ns[0])
				}
				if r.Question[0].Name != name {
					t.Errorf("question came back as %q", r.Question[0].Name)
				}
				if opt := r.IsEdns0(); opt == nil || opt.UDPSize() != 1232 || !opt.Do() || opt.Version() != 0 {
					t.Errorf("OPT is %v", opt)
				}
			})
		}
	}
	after := s.server.Stats()
	if after.UDP-before.UDP != 27 || after.TCP-before.TCP < 26 || after.Refused == 0 || after.NXDomain == 0 || after.NoData == 0 {
		t.Errorf("counts %+v", after)
	}
}

func TestCertificateRecord(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	r := s.ask(t, "udp", "john.doe."+domain+".", dns.TypeCERT, 1232)
	rr := r.Answer[0].(*dns.CERT)
	der, err := base64.StdEncoding.DecodeString(rr.Certificate)
	if err != nil || !bytes.Equal(der, s.john.Cert.Raw) {
		t.Error("not the certificate published")
	}
	tag, algorithm := zone.KeyTag(s.john.Cert)
	if rr.Type != 1 || rr.Algorithm != algorithm || rr.KeyTag != tag || rr.Hdr.Ttl != 3600 {
		t.Errorf("record %d %d %d ttl %d", rr.Type, rr.KeyTag, rr.Algorithm, rr.Hdr.Ttl)
	}
}

func TestTruncation(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	for _, tc := range []struct {
		situation, network, name string
		size                     uint16
		truncated                bool
		answers                  int
	}{
		{"one certificate, no EDNS0: 512 octets", "udp", "john.doe.", 0, true, 0},
		{"one certificate, EDNS0 says 512", "udp", "john.doe.", 512, true, 0},
		{"one certificate, EDNS0 says less than 512", "udp", "john.doe.", 100, true, 0},
		{"one certificate, 1,232", "udp", "john.doe.", 1232, false, 1},
		{"three certificates, asker takes 4,096 but we send 1,232 at most", "udp", "big.", 4096, true, 0},
		{"three certificates over TCP", "tcp", "big.", 4096, false, 3},
		{"three certificates over TCP without EDNS0", "tcp", "big.", 0, false, 3},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			r := s.ask(t, tc.network, tc.name+domain+".", dns.TypeCERT, tc.size)
			if r.Truncated != tc.truncated || len(r.Answer) != tc.answers || r.Rcode != 0 {
				t.Errorf("got:\n%v", r)
			}
			if (r.IsEdns0() != nil) != (tc.size > 0) {
				t.Errorf("OPT without being asked, or none: %v", r.IsEdns0())
			}
		})
	}
}

const (
	patience = time.Minute           // for what comes: it only ends a wait for nothing
	quiet    = 50 * time.Millisecond // for what is not to come, once it would be under way
)

// exchange sends octets as they are and returns what comes back within the time, or nothing.
func exchange(t testing.TB, server string, packet []byte, wait time.Duration) []byte {
	t.Helper()
	c := connect(t, server, packet)
	defer c.Close()
	return answer(c, wait)
}

// connect sends octets from a socket of its own.
func connect(t testing.TB, server string, packet []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(packet); err != nil {
		c.Close()
		t.Fatal(err)
	}
	return c
}

// answer is what comes within the time, or nothing.
func answer(c net.Conn, wait time.Duration) []byte {
	c.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func TestBadQuestions(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	good := new(dns.Msg)
	good.SetQuestion("john.doe."+domain+".", dns.TypeCERT)
	wire, err := good.Pack()
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(p []byte) []byte) []byte { return f(bytes.Clone(wire)) }
	const silent = -1
	for _, tc := range []struct {
		situation string
		packet    []byte
		rcode     int
	}{
		{"the good one", wire, 0},
		{"shorter than a header", wire[:11], silent},
		{"an answer, not a question", change(func(p []byte) []byte { p[2] |= 0x80; return p }), silent},
		{"NOTIFY", change(func(p []byte) []byte { p[2] |= 4 << 3; return p }), dns.RcodeNotImplemented},
		{"two questions", change(func(p []byte) []byte { p[5] = 2; return p }), dns.RcodeFormatError},
		{"no question", change(func(p []byte) []byte { p[5] = 0; return p }), dns.RcodeFormatError},
		{"an answer section", change(func(p []byte) []byte { p[7] = 1; return p }), dns.RcodeFormatError},
		{"cut off in the name", wire[:20], dns.RcodeFormatError},
		{"a compressed name", change(func(p []byte) []byte { p[12] = 0xc0; return p }), dns.RcodeFormatError},
		{"a name of 300 octets", append(append(bytes.Clone(wire[:12]), bytes.Repeat([]byte{9, 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a'}, 30)...), 0, 0, 37, 0, 1), dns.RcodeFormatError},
		{"octets behind", append(bytes.Clone(wire), 0), dns.RcodeFormatError},
		{"additional record promised", change(func(p []byte) []byte { p[11] = 1; return p }), dns.RcodeFormatError},
		{"two OPT", append(change(func(p []byte) []byte { p[11] = 2; return p }), 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0, 0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0), dns.RcodeFormatError},
		{"class CHAOS", change(func(p []byte) []byte { p[len(p)-1] = 3; return p }), dns.RcodeRefused},
		{"a question larger than any", append(bytes.Clone(wire), make([]byte, 1600)...), silent},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			wait := patience
			if tc.rcode == silent {
				wait = quiet
			}
			got := exchange(t, s.addr, tc.packet, wait)
			if tc.rcode == silent {
				if got != nil {
					t.Fatalf("answered %x", got)
				}
				return
			}
			if len(got) < 12 || int(got[3]&15) != tc.rcode || !bytes.Equal(got[:2], wire[:2]) || got[2]&0xf8 != (tc.packet[2]|0x80)&0xf8 {
				t.Fatalf("got %x, want rcode %d", got, tc.rcode)
			}
		})
	}
	future := good.Copy()
	future.SetEdns0(1232, false)
	future.IsEdns0().SetVersion(1)
	wire, err = future.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var r dns.Msg
	if err := r.Unpack(exchange(t, s.addr, wire, patience)); err != nil || r.Rcode != dns.RcodeBadVers {
		t.Errorf("EDNS version 1: %v %v", err, &r)
	}
}

func TestReflectionIsLimited(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: 5, Clock: func() time.Time { return time.Unix(1e9, 0) }}) // time stands still: 10 answers, no refill
	q := new(dns.Msg)
	q.SetQuestion("john.doe."+domain+".", dns.TypeCERT)
	q.SetEdns0(1232, false)
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	whole, short, none := 0, 0, 0
	for i := range 30 {
		switch got := s.limited(t, wire, i); {
		case got == nil:
			none++
		case got[2]&2 != 0:
			short++
			if len(got) > len(wire)+11 {
				t.Errorf("truncated answer of %d octets to %d", len(got), len(wire))
			}
		default:
			whole++
		}
	}
	for i := range 2 { // one of them is cut short, the other dropped
		q.SetQuestion("www.example.com.", dns.TypeA)
		if wire, err = q.Pack(); err != nil {
			t.Fatal(err)
		}
		if got := s.limited(t, wire, 30+i); got != nil && (got[2]&2 == 0 || got[2]&4 != 0) {
			t.Errorf("flags %#x of an answer cut short about a name that is not ours", got[2])
		}
	}
	if whole != 10 || short != 10 || none != 10 {
		t.Errorf("%d whole, %d truncated, %d dropped; want 10 of each", whole, short, none)
	}
	if r := s.ask(t, "tcp", "john.doe."+domain+".", dns.TypeCERT, 1232); len(r.Answer) != 1 {
		t.Error("a limited asker is not served over TCP")
	}
	if got := s.server.Stats().Limited; got != 22 {
		t.Errorf("%d counted as limited, want 22", got)
	}
}

// limited sends a question, of which n came before it, and is its answer. Of those over the limit, every second is to be
// dropped: for it, no answer is waited for once the server has counted it.
func (s *site) limited(t *testing.T, wire []byte, n int) []byte {
	t.Helper()
	if n < 10 || n%2 == 0 {
		return exchange(t, s.addr, wire, patience)
	}
	before, c := s.server.Stats().Limited, connect(t, s.addr, wire)
	defer c.Close()
	for end := time.Now().Add(patience); s.server.Stats().Limited == before; {
		if time.Now().After(end) {
			t.Fatalf("question %d is not limited", n+1)
		}
		runtime.Gosched()
	}
	return answer(c, quiet)
}

func TestZoneChangesLive(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	z := s.zone
	z.Certs = append(z.Certs, zone.Cert{Cert: domainCert(t)})
	snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now(), Serial: 8})
	if err != nil {
		t.Fatal(err)
	}
	if r := s.ask(t, "tcp", domain+".", dns.TypeCERT, 0); len(r.Answer) != 0 {
		t.Fatal("already there")
	}
	s.server.Publish(snap)
	if r := s.ask(t, "tcp", domain+".", dns.TypeCERT, 0); len(r.Answer) != 1 {
		t.Error("not published")
	}
	if soa := s.ask(t, "udp", domain+".", dns.TypeSOA, 0).Answer[0].(*dns.SOA); soa.Serial != 8 || soa.Mbox != "hostmaster."+domain+"." {
		t.Errorf("SOA %v", soa)
	}
}

func domainCert(t testing.TB) *x509.Certificate {
	t.Helper()
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Domain: addr.MustDomain(domain), Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return c.Cert
}

// Many questions on one TCP connection, sent at once; then the server ends the conversation.
func TestTCPConversation(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	var all []byte
	for i := range dnsd.MaxPerTCP + 1 {
		m := new(dns.Msg)
		m.SetQuestion("big."+domain+".", dns.TypeCERT)
		m.Id = uint16(i)
		wire, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(wire))), wire...)
	}
	go conn.Write(all)
	for i := range dnsd.MaxPerTCP {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		buf := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, buf); err != nil {
			t.Fatal(err)
		}
		var m dns.Msg
		if err := m.Unpack(buf); err != nil || int(m.Id) != i || len(m.Answer) != 3 {
			t.Fatalf("answer %d: %v %v", i, err, &m)
		}
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
		t.Error("went on after the limit")
	}
}

func TestTCPConnectionsPerPeer(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range dnsd.MaxTCPPerPeer {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		// one answered question makes sure that the server has counted it
		m := new(dns.Msg)
		m.SetQuestion(domain+".", dns.TypeSOA)
		co := &dns.Conn{Conn: c}
		if err := co.WriteMsg(m); err != nil {
			t.Fatal(err)
		}
		if _, err := co.ReadMsg(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(fmt.Sprint(err), "reset") {
		t.Errorf("one connection too many: %v, want it closed", err)
	}
}

// On all addresses of the machine, an answer leaves from the address that was asked.
func TestAnswersLeaveFromTheAddressAsked(t *testing.T) {
	snap, err := zone.Build([]zone.Zone{{Domain: addr.MustDomain(domain), NS: []zone.Host{{Name: "ns." + domain}}}}, zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, listen := range []string{":0", "0.0.0.0:0"} {
		server := dnsd.New(dnsd.Config{})
		server.Publish(snap)
		l, err := dnsd.Listen(t.Context(), listen)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- server.Serve(ctx, l) }()
		_, port, _ := net.SplitHostPort(l.Addr())
		asked := []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}
		if listen == ":0" {
			if six, err := net.Listen("tcp", "[::1]:0"); err == nil { // a machine may have no IPv6
				six.Close()
				asked = append(asked, "::1")
			}
		}
		for _, host := range asked {
			s := &site{addr: net.JoinHostPort(host, port)} // a connected socket takes answers from this address only
			if r := s.ask(t, "udp", domain+".", dns.TypeSOA, 1232); len(r.Answer) != 1 {
				t.Errorf("%s %s: %v", listen, host, r)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := dnsd.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := dnsd.Listen(t.Context(), l.Addr()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("second listener: %v", err)
	}
}

// Zones change under load: every answer is of one snapshot or the other, none is lost or mixed.
func TestSwapUnderLoad(t *testing.T) {
	s := newSite(t, dnsd.Config{Rate: -1})
	z := s.zone
	var snaps []*zone.Snapshot
	for serial := range uint32(2) {
		snap, err := zone.Build([]zone.Zone{z}, zone.Options{Now: time.Now(), Serial: serial + 100})
		if err != nil {
			t.Fatal(err)
		}
		snaps = append(snaps, snap)
		z.Certs = z.Certs[:1]
	}
	s.server.Publish(snaps[0])
	stop := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				s.server.Publish(snaps[i%2])
			}
		}
	})
	for range 4 {
		work.Go(func() {
			for range 50 {
				r := s.ask(t, "udp", "john.doe."+domain+".", dns.TypeCERT, 1232)
				if len(r.Answer) != 1 || r.Rcode != 0 {
					t.Errorf("while zones change: %v", r)
				}
				soa := s.ask(t, "udp", domain+".", dns.TypeSOA, 1232)
				if n := soa.Answer[0].(*dns.SOA).Serial; n != 100 && n != 101 {
					t.Errorf("serial %d", n)
				}
			}
		})
	}
	time.AfterFunc(300*time.Millisecond, func() { close(stop) })
	work.Wait()
}
