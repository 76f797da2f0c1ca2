package dnsclient

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// Whatever comes back: no panic; what is accepted answers the question asked, within the limits, and
// every failure is of exactly one kind.
func FuzzAnswer(f *testing.F) {
	ask := new(dns.Msg)
	ask.SetQuestion("a.direct.example.org.", dns.TypeCERT)
	ask.Id = 7
	for _, records := range [][]string{
		{"a.direct.example.org. 300 IN CERT PKIX 12345 RSASHA1 MAUCAQE="},
		{"a.direct.example.org. 60 IN CNAME b.example.", "b.example. 60 IN CERT 1 0 0 AA=="},
		{"a.direct.example.org. 60 IN CNAME a.direct.example.org."},
		{},
	} {
		m := new(dns.Msg)
		m.SetReply(ask)
		for _, s := range records {
			rr, err := dns.NewRR(s)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		soa, err := dns.NewRR("direct.example.org. 600 IN SOA ns. hostmaster. 1 2 3 4 60")
		if err != nil {
			f.Fatal(err)
		}
		m.Ns = append(m.Ns, soa)
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	now := time.Unix(1_800_000_000, 0)
	c := New(Config{Clock: func() time.Time { return now }})
	f.Fuzz(func(t *testing.T, wire []byte) {
		msg, err := accept(wire, ask)
		if err != nil {
			var fault faultError
			if !errors.As(err, &fault) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if meaningful(msg) != nil {
			return
		}
		k := key{"a.direct.example.org", dns.TypeCERT}
		q := &question{key: k, name: k.name, seen: map[string]bool{k.name: true}, ttl: MaxPositiveTTL}
		r, err := c.read(q, msg)
		switch {
		case err != nil && errors.Is(err, ErrNotFound) == errors.Is(err, ErrTemporary):
			t.Fatalf("error of no kind: %v", err)
		case err != nil || r == nil:
		case r.notFound != nil:
			if r.left(now) > MaxNegativeTTL {
				t.Fatalf("absence kept for %v", r.left(now))
			}
		case len(r.records) == 0 || len(r.records) > MaxRecords || r.left(now) > MaxPositiveTTL:
			t.Fatalf("%d records for %v", len(r.records), r.left(now))
		default:
			for _, rr := range r.records {
				if rr.Header().Rrtype != dns.TypeCERT || rr.Header().Class != dns.ClassINET {
					t.Fatalf("took %v", rr)
				}
			}
		}
		if len(q.seen) > MaxCNAMEs+2 {
			t.Fatalf("%d names in the chain", len(q.seen))
		}
	})
}

func TestCacheIsBoundedInOctets(t *testing.T) {
	c := newCache(1 << 30)
	now := time.Unix(1_800_000_000, 0)
	big := &dns.TXT{Hdr: dns.RR_Header{Name: "x.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
	for range 250 {
		big.Txt = append(big.Txt, string(make([]byte, 255)))
	}
	n := MaxCacheOctets/dns.Len(big) + 10
	for i := range n {
		c.put(key{string(rune(i)), dns.TypeTXT}, &reply{records: []dns.RR{big}, expires: now.Add(time.Hour)}, now)
	}
	if c.octets > MaxCacheOctets || c.order.Len() != len(c.byKey) || c.order.Len() >= n {
		t.Errorf("%d octets in %d answers", c.octets, c.order.Len())
	}
	for k := range c.byKey {
		if _, ok := c.get(k, now.Add(2*time.Hour)); ok {
			t.Fatal("expired answer")
		}
	}
	if c.octets != 0 || c.order.Len() != 0 {
		t.Errorf("%d octets left over", c.octets)
	}
}

// silent is a connection to a server that never answers.
func silent(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go io.Copy(io.Discard, theirs) // takes the question; ends when ours is closed
	return ours, nil
}

// However many resolvers are silent, the domain's own servers still get their turn, and the whole ends.
func TestTimeIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var servers []string
		for i := range 10 {
			servers = append(servers, net.JoinHostPort("192.0.2.1", string(rune('0'+i))))
		}
		c := New(Config{Servers: servers, Dial: silent, Authority: silent})
		ns := &dns.NS{Hdr: dns.RR_Header{Name: "direct.example.org.", Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "ns.example."}
		later := time.Now().Add(time.Hour)
		c.cache.put(key{"direct.example.org", dns.TypeNS}, &reply{records: []dns.RR{ns}, expires: later}, time.Now())
		var addrs []dns.RR
		for range MaxAuthorities + 3 {
			addrs = append(addrs, &dns.A{Hdr: dns.RR_Header{Name: "ns.example.", Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(192, 0, 2, 53)})
		}
		c.cache.put(key{"ns.example", dns.TypeA}, &reply{records: addrs, expires: later}, time.Now())
		c.cache.put(key{"ns.example", dns.TypeAAAA}, &reply{notFound: &Error{Kind: ErrNotFound}, expires: later}, time.Now())
		began := time.Now()
		_, err := c.CERT(t.Context(), "direct.example.org")
		took := time.Since(began)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrTemporary) || took > MaxQuestion {
			t.Fatalf("%v after %v", err, took)
		}
		resolvers, own := 0, 0
		for _, s := range e.Trace {
			if s.Server == "192.0.2.53:53" {
				own++
			} else {
				resolvers++
			}
		}
		if own == 0 || own > MaxAuthorities || resolvers > int(MaxResolving/DefaultTimeout)+1 {
			t.Errorf("%d questions to resolvers, %d to the domain's own servers", resolvers, own)
		}
	})
}
