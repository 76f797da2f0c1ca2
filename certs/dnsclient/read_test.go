package dnsclient

import (
	"errors"
	"testing"
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
