package dnsd

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/zone"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

func filled(t testing.TB) *Server {
	t.Helper()
	domain := addr.MustDomain("direct.example.org")
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Domain: domain, Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := zone.Build([]zone.Zone{{Domain: domain, NS: []zone.Host{{Name: "ns.direct.example.org", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Certs: []zone.Cert{{Cert: c.Cert}, {Address: addr.MustParse("a.b@direct.example.org"), Cert: c.Cert}},
		CNAME: []zone.CNAME{{Name: "one", Target: "two.direct.example.org"}, {Name: "two", Target: "one.direct.example.org"}, {Name: "www", Target: "ns.direct.example.org"}}}},
		zone.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{})
	s.Publish(snap)
	return s
}

// Whatever comes in: no panic, never more than allowed, never larger than the question by more than a
// real answer, readable by the library, about the same question, and never recursion.
func FuzzRespond(f *testing.F) {
	s := filled(f)
	for _, name := range []string{"direct.example.org.", "b.direct.example.org.", "one.direct.example.org.", "x.direct.example.org.", "example.com.", "."} {
		for _, qtype := range []uint16{dns.TypeCERT, dns.TypeNS, dns.TypeANY, dns.TypeAXFR} {
			m := new(dns.Msg)
			m.SetQuestion(name, qtype)
			m.SetEdns0(1232, true)
			wire, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(wire)
		}
	}
	signed := new(dns.Msg)
	signed.SetQuestion("direct.example.org.", dns.TypeSOA)
	signed.SetTsig("key.example.", dns.HmacSHA256, 300, 1)
	wire, _, err := dns.TsigGenerate(signed, "c2VjcmV0c2VjcmV0c2VjcmV0", "", false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte(emptyTSIG))
	f.Fuzz(func(t *testing.T, packet []byte) {
		for _, most := range []int{MaxUDPAnswer, 0xffff} {
			out := s.respond(new(query), nil, packet, most)
			if len(out) == 0 {
				continue
			}
			var got, asked dns.Msg
			if err := got.Unpack(out); err != nil {
				t.Fatalf("unreadable answer to %x: %v", packet, err)
			}
			if len(out) > most || got.RecursionAvailable || !got.Response || got.Id != binary.BigEndian.Uint16(packet) {
				t.Fatalf("answer %v", &got)
			}
			if asked.Unpack(packet) != nil || len(asked.Question) != 1 || len(got.Question) != 1 {
				continue
			}
			if got.Question[0] != asked.Question[0] {
				t.Fatalf("asked %v, answered %v", asked.Question[0], got.Question[0])
			}
			name := strings.ToLower(asked.Question[0].Name)
			if inside := name == "direct.example.org." || strings.HasSuffix(name, ".direct.example.org."); got.Authoritative && !inside && !strings.Contains(name, `\`) {
				t.Fatalf("authoritative about %s", name)
			}
		}
	})
}

// emptyTSIG asks for a zone and carries a signature record without data.
const emptyTSIG = "OL\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\xfc\x00\xfa\x00\x00\xfa)\xd0\x00\x00\x80\x00\x00\x00"

func TestASignatureWithoutItsData(t *testing.T) {
	var got dns.Msg
	if err := got.Unpack(filled(t).respond(new(query), nil, []byte(emptyTSIG), 0xffff)); err != nil || got.Rcode != dns.RcodeFormatError {
		t.Errorf("answered %v, %v", &got, err)
	}
}

// The answers agree with the library's own packing of the same records.
func TestAgreesWithTheLibrary(t *testing.T) {
	s := filled(t)
	for _, name := range []string{"direct.example.org.", "a.b.direct.example.org.", "www.direct.example.org.", "ns.direct.example.org."} {
		for _, qtype := range []uint16{dns.TypeCERT, dns.TypeNS, dns.TypeSOA, dns.TypeA} {
			m := new(dns.Msg)
			m.SetQuestion(name, qtype)
			wire, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			var got, again dns.Msg
			if err := got.Unpack(s.respond(new(query), nil, wire, 0xffff)); err != nil {
				t.Fatal(err)
			}
			packed, err := got.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Unpack(packed); err != nil || again.String() != got.String() {
				t.Errorf("%v\n%v", &got, &again)
			}
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	s := filled(b)
	m := new(dns.Msg)
	m.SetQuestion("a.b.direct.example.org.", dns.TypeCERT)
	m.SetEdns0(1232, false)
	wire, err := m.Pack()
	if err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, MaxUDPAnswer)
	var q query
	b.ReportAllocs()
	for b.Loop() {
		if out = s.respond(&q, out[:0], wire, MaxUDPAnswer); len(out) < 400 {
			b.Fatal("no answer")
		}
	}
}

func TestNoAllocationPerQuestion(t *testing.T) {
	s := filled(t)
	m := new(dns.Msg)
	m.SetQuestion("direct.example.org.", dns.TypeCERT)
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 0, MaxUDPAnswer)
	var q query
	if n := testing.AllocsPerRun(100, func() { out = s.respond(&q, out[:0], wire, MaxUDPAnswer) }); n > 0 {
		t.Errorf("%v allocations a question", n)
	}
}

func TestAliasLoopInsideTheZone(t *testing.T) {
	s := filled(t)
	m := new(dns.Msg)
	m.SetQuestion("one.direct.example.org.", dns.TypeA)
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var got dns.Msg
	if err := got.Unpack(s.respond(new(query), nil, wire, 0xffff)); err != nil || len(got.Answer) > maxAliases+1 {
		t.Errorf("%v: %d records", err, len(got.Answer))
	}
}
