package dnsclient_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"postern/certs/dnsclient"
	"postern/gateway/lab/corpus"
	"postern/smime/addr"

	"github.com/miekg/dns"
)

const (
	name = "a.direct.example.org"
	soa  = "direct.example.org. 600 IN SOA ns. hostmaster. 1 2 3 4 60"
	cert = name + ". 300 IN CERT PKIX 12345 RSASHA1 MAUCAQE="
)

func TestAnswersThatMeanSomething(t *testing.T) {
	many := []string{"n0.example. 60 IN CNAME n1.example."}
	for i := 1; i <= dnsclient.MaxCNAMEs+2; i++ {
		many = append(many, fmt.Sprintf("n%d.example. 60 IN CNAME n%d.example.", i, i+1))
	}
	chain := append([]string{strings.Replace(many[0], "n0.example", name, 1)}, many[1:]...)
	for _, tc := range []struct {
		situation string
		handler   func(network string, ask *dns.Msg) [][]byte
		kind      error // nil = found
		certs     int
		tcp       bool
		words     string // in the error
	}{
		{"found", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, []string{cert})} }, nil, 1, false, ""},
		{"found in other case", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{strings.Replace(cert, name, strings.ToUpper(name), 1)})}
		}, nil, 1, false, ""},
		{"no such name", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 3, []string{soa})} }, dnsclient.ErrNotFound, 0, false, "NXDOMAIN"},
		{"name without the type", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, []string{soa})} }, dnsclient.ErrNotFound, 0, false, "NODATA"},
		{"empty answer of a resolver, no SOA", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, nil)} }, dnsclient.ErrNotFound, 0, false, "NODATA"},
		{"SERVFAIL", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 2, nil)} }, dnsclient.ErrTemporary, 0, false, "SERVFAIL"},
		{"REFUSED", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 5, nil)} }, dnsclient.ErrTemporary, 0, false, "REFUSED"},
		{"referral", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, nil, func(m *dns.Msg) {
				m.RecursionAvailable = false
				rr, _ := dns.NewRR("example.org. 60 IN NS ns.example.org.")
				m.Ns = append(m.Ns, rr)
			})}
		}, dnsclient.ErrTemporary, 0, false, "referral"},
		{"truncated over UDP, whole over TCP", func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return [][]byte{reply(q, 0, []string{cert})}
			}
			return [][]byte{reply(q, 0, nil, func(m *dns.Msg) { m.Truncated = true })}
		}, nil, 1, true, ""},
		{"truncated in the middle of a record", func(network string, q *dns.Msg) [][]byte {
			whole := reply(q, 0, []string{cert}, func(m *dns.Msg) { m.Truncated = network == "udp" })
			if network == "udp" {
				whole = whole[:len(whole)-4]
			}
			return [][]byte{whole}
		}, nil, 1, true, ""},
		{"truncated over TCP too", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, nil, func(m *dns.Msg) { m.Truncated = true })}
		}, dnsclient.ErrTemporary, 0, false, "truncated answer over TCP"},
		{"server without EDNS0", func(_ string, q *dns.Msg) [][]byte {
			if q.IsEdns0() != nil {
				return [][]byte{reply(q, 1, nil, func(m *dns.Msg) { m.Question = nil })}
			}
			return [][]byte{reply(q, 0, []string{cert})}
		}, nil, 1, true, ""},
		{"forged: another id first", func(_ string, q *dns.Msg) [][]byte {
			bad := reply(q, 0, []string{strings.Replace(cert, "MAUCAQE=", "MAUCAQI=", 1)})
			bad[0] ^= 0xff
			return [][]byte{bad, reply(q, 0, []string{cert})}
		}, nil, 1, false, ""},
		{"forged: another question first", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, nil, func(m *dns.Msg) { m.Question[0].Name = "b.example.org." }), reply(q, 0, []string{cert})}
		}, nil, 1, false, ""},
		{"forged: a question as answer first", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, nil, func(m *dns.Msg) { m.Response = false }), reply(q, 0, []string{cert})}
		}, nil, 1, false, ""},
		{"forged: no such name, without the question, first", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 3, nil, func(m *dns.Msg) { m.Question = nil }), reply(q, 0, []string{cert})}
		}, nil, 1, false, ""},
		{"garbage first", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{[]byte("garbage"), {0}, reply(q, 0, []string{cert})}
		}, nil, 1, false, ""},
		{"nothing but forgeries over UDP: TCP", func(network string, q *dns.Msg) [][]byte {
			if network == "tcp" {
				return [][]byte{reply(q, 0, []string{cert})}
			}
			return forgeries(q)
		}, nil, 1, true, ""},
		{"nothing but forgeries", func(_ string, q *dns.Msg) [][]byte { return forgeries(q) }, dnsclient.ErrTemporary, 0, false, "another id"},
		{"record of another name", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{strings.Replace(cert, name, "b.direct.example.org", 1)})}
		}, dnsclient.ErrTemporary, 0, false, "other names"},
		{"record of another class", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{strings.Replace(cert, " IN ", " CH ", 1)})}
		}, dnsclient.ErrTemporary, 0, false, "other names"},
		{"record of another name beside the right one", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{strings.Replace(cert, name, "b.direct.example.org", 1), cert})}
		}, nil, 1, false, ""},
		{"alias and its certificate", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{name + ". 60 IN CNAME b.example.", strings.Replace(cert, name, "b.example", 1)})}
		}, nil, 1, false, ""},
		{"alias to nothing", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{name + ". 60 IN CNAME b.example.", soa})}
		}, dnsclient.ErrNotFound, 0, false, "NODATA"},
		{"alias out of the server's zone: asked again", func(_ string, q *dns.Msg) [][]byte {
			if q.Question[0].Name == "b.example." {
				return [][]byte{reply(q, 0, []string{strings.Replace(cert, name, "b.example", 1)})}
			}
			return [][]byte{reply(q, 0, []string{name + ". 60 IN CNAME b.example."})}
		}, nil, 1, false, ""},
		{"alias loop", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{name + ". 60 IN CNAME b.example.", "b.example. 60 IN CNAME " + name + "."})}
		}, dnsclient.ErrTemporary, 0, false, "CNAME"},
		{"alias to itself", func(_ string, q *dns.Msg) [][]byte {
			return [][]byte{reply(q, 0, []string{name + ". 60 IN CNAME " + name + "."})}
		}, dnsclient.ErrTemporary, 0, false, "CNAME"},
		{"alias loop over several answers", func(_ string, q *dns.Msg) [][]byte {
			next := map[string]string{name + ".": "b.example.", "b.example.": name + "."}[q.Question[0].Name]
			return [][]byte{reply(q, 0, []string{q.Question[0].Name + " 60 IN CNAME " + next})}
		}, dnsclient.ErrTemporary, 0, false, "CNAME"},
		{"too many aliases", func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, chain)} }, dnsclient.ErrTemporary, 0, false, "CNAME"},
		{"more records than are read", func(_ string, q *dns.Msg) [][]byte {
			var all []string
			for i := range dnsclient.MaxRecords + 20 {
				all = append(all, fmt.Sprintf("%s. 300 IN CERT PKIX %d RSASHA1 MAUCAQE=", name, i))
			}
			if q.IsEdns0() == nil {
				return nil
			}
			return [][]byte{reply(q, 0, all, func(m *dns.Msg) { m.Compress = true })}
		}, nil, dnsclient.MaxRecords, false, ""},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			f := newFake(t, tc.handler)
			c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Timeout: time.Minute, Tries: 1})
			got, err := c.CERT(t.Context(), name)
			if !errors.Is(err, tc.kind) || tc.kind != nil && !strings.Contains(err.Error(), tc.words) {
				t.Fatalf("error %v, want %v with %q", err, tc.kind, tc.words)
			}
			if tc.kind != nil {
				var e *dnsclient.Error
				if !errors.As(err, &e) || len(e.Trace) == 0 {
					t.Errorf("no trace in %v", err)
				}
				return
			}
			if len(got.Certs()) != tc.certs || got.TCP != tc.tcp || got.Server != f.addr || string(got.Certs()[0]) != "\x30\x05\x02\x01\x01" || got.Records[0].Algorithm != 5 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// forgeries are answers with a wrong id, one more than are waited past.
func forgeries(q *dns.Msg) [][]byte {
	var out [][]byte
	for range dnsclient.MaxStray + 1 {
		bad := reply(q, 0, []string{strings.Replace(cert, "MAUCAQE=", "MAUCAQI=", 1)})
		bad[1] ^= 1
		out = append(out, bad)
	}
	return out
}

func TestServersInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &fake{addr: "192.0.2.1:53", handler: func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, []string{cert})} }}
		broken := &fake{addr: "192.0.2.2:53", handler: func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 2, nil)} }}
		mute := &fake{addr: "192.0.2.3:53", handler: func(string, *dns.Msg) [][]byte { return nil }}
		dial := inMemory(good, broken, mute)
		c := dnsclient.New(dnsclient.Config{Servers: []string{broken.addr, mute.addr, good.addr}, Timeout: 30 * time.Millisecond, Dial: dial})
		got, err := c.CERT(t.Context(), name)
		if err != nil || got.Server != good.addr || len(got.Trace) != 3 {
			t.Fatalf("%v %+v", err, got)
		}
		if got.Trace[0].Answer != "SERVFAIL" || got.Trace[1].Answer != "no answer in 30ms" || !got.Trace[1].Silent || got.Trace[0].Silent {
			t.Errorf("trace %+v", got.Trace)
		}
		c = dnsclient.New(dnsclient.Config{Servers: []string{broken.addr, mute.addr}, Timeout: 10 * time.Millisecond, Dial: dial})
		broken.asked.Store(0)
		mute.asked.Store(0)
		if _, err := c.CERT(t.Context(), name); !errors.Is(err, dnsclient.ErrTemporary) {
			t.Fatal(err)
		}
		if broken.asked.Load() != 1 || mute.asked.Load() != dnsclient.DefaultTries {
			t.Errorf("broken asked %d times, want 1; mute %d, want %d", broken.asked.Load(), mute.asked.Load(), dnsclient.DefaultTries)
		}
	})
}

func TestUDPIsSwallowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{addr: "192.0.2.1:53", handler: func(network string, q *dns.Msg) [][]byte {
			if network == "udp" {
				return nil
			}
			return [][]byte{reply(q, 0, []string{cert})}
		}}
		got, err := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Timeout: 50 * time.Millisecond, Dial: inMemory(f)}).CERT(t.Context(), name)
		if err != nil || !got.TCP || len(got.Trace) != dnsclient.DefaultTries {
			t.Errorf("%v %+v", err, got)
		}
	})
}

func TestForwarders(t *testing.T) {
	private := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		return [][]byte{reply(q, 0, []string{q.Question[0].Name + " 60 IN CERT PKIX 0 0 MAUCAQE="})}
	})
	public := newFake(t, func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 3, []string{soa})} })
	c := dnsclient.New(dnsclient.Config{Servers: []string{public.addr}, Forward: map[addr.Domain]string{addr.MustDomain("direct.example.org"): private.addr}})
	for question, server := range map[string]string{
		"direct.example.org": private.addr, "a.direct.example.org": private.addr, "A.b.Direct.Example.Org": private.addr,
		"example.org": public.addr, "xdirect.example.org": public.addr, "direct.example.org.evil.example": public.addr,
	} {
		got, err := c.CERT(t.Context(), question)
		var e *dnsclient.Error
		if errors.As(err, &e) {
			got.Server = e.Trace[0].Server
		}
		if got.Server != server {
			t.Errorf("%s asked of %s, want %s (%v)", question, got.Server, server, err)
		}
	}
}

// clock is a time that stands until it is moved.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(1_800_000_000+c.now.Load(), 0) }
func (c *clock) Advance(d time.Duration) { c.now.Add(int64(d / time.Second)) }

func TestCache(t *testing.T) {
	for _, tc := range []struct {
		situation string
		rcode     int
		record    string
		keep      time.Duration
	}{
		{"by TTL", 0, cert, 300 * time.Second},
		{"a long TTL is cut", 0, strings.Replace(cert, " 300 ", " 999999 ", 1), dnsclient.MaxPositiveTTL},
		{"TTL zero", 0, strings.Replace(cert, " 300 ", " 0 ", 1), 0},
		{"nothing there: the SOA's minimum", 3, soa, 60 * time.Second},
		{"nothing there: the SOA's own TTL", 0, strings.Replace(soa, " 600 ", " 30 ", 1), 30 * time.Second},
		{"nothing there: cut", 3, strings.Replace(strings.Replace(soa, " 600 ", " 86400 ", 1), "4 60", "4 86400", 1), dnsclient.MaxNegativeTTL},
		{"nothing there, no SOA", 3, "", 0},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			f := newFake(t, func(_ string, q *dns.Msg) [][]byte {
				if tc.record == "" {
					return [][]byte{reply(q, tc.rcode, nil)}
				}
				return [][]byte{reply(q, tc.rcode, []string{tc.record})}
			})
			var now clock
			c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Clock: now.Now})
			ask := func(want int64) {
				t.Helper()
				got, err := c.CERT(t.Context(), name)
				if err != nil && !errors.Is(err, dnsclient.ErrNotFound) {
					t.Fatal(err)
				}
				if f.asked.Load() != want {
					t.Fatalf("server was asked %d times, want %d", f.asked.Load(), want)
				}
				if err == nil && got.TTL > tc.keep {
					t.Errorf("TTL %v, more than %v", got.TTL, tc.keep)
				}
			}
			ask(1)
			if tc.keep == 0 {
				ask(2)
				return
			}
			now.Advance(tc.keep - time.Second)
			ask(1)
			now.Advance(time.Second)
			ask(2)
		})
	}
}

func TestFaultsAreNotCached(t *testing.T) {
	var healthy atomic.Bool
	f := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		if healthy.Load() {
			return [][]byte{reply(q, 0, []string{cert})}
		}
		return [][]byte{reply(q, 2, nil)}
	})
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}})
	if _, err := c.CERT(t.Context(), name); !errors.Is(err, dnsclient.ErrTemporary) {
		t.Fatal(err)
	}
	healthy.Store(true)
	if _, err := c.CERT(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	f := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		return [][]byte{reply(q, 0, []string{q.Question[0].Name + " 300 IN CERT PKIX 0 0 MAUCAQE="})}
	})
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Cache: 2})
	for _, n := range []string{"a.example", "b.example", "a.example", "c.example", "a.example", "b.example"} { // c pushes out b, the least used
		if _, err := c.CERT(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if f.asked.Load() != 4 {
		t.Errorf("asked %d times, want 4", f.asked.Load())
	}
}

func TestOneFlightPerName(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	f := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		arrived <- struct{}{}
		<-release
		return [][]byte{reply(q, 0, []string{strings.Replace(cert, " 300 ", " 0 ", 1)})} // TTL 0: the cache has no part in it
	})
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Timeout: time.Minute})
	var work sync.WaitGroup
	var failed atomic.Int64
	ask := func(ctx context.Context) {
		if _, err := c.CERT(ctx, name); err != nil {
			failed.Add(1)
		}
	}
	leader, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { defer close(gone); ask(leader) }()
	<-arrived
	for range 20 {
		work.Go(func() { ask(t.Context()) })
	}
	cancel() // the others must not inherit this
	<-gone
	close(release)
	work.Wait()
	if failed.Load() != 1 {
		t.Errorf("%d failed, want only the one who gave up", failed.Load())
	}
	if n := f.asked.Load(); n > 21 {
		t.Errorf("server was asked %d times", n)
	}
}

func TestContextEnds(t *testing.T) {
	mute := newFake(t, func(string, *dns.Msg) [][]byte { return nil })
	c := dnsclient.New(dnsclient.Config{Servers: []string{mute.addr}, Timeout: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := c.CERT(ctx, name); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's own error", err)
	}
}

func TestMailAndServices(t *testing.T) {
	records := map[string][]string{
		"order.example. MX":   {"order.example. 60 IN MX 20 b.example.", "order.example. 60 IN MX 10 Z.example.", "order.example. 60 IN MX 20 A.example."},
		"null.example. MX":    {"null.example. 60 IN MX 0 ."},
		"mixed.example. MX":   {"mixed.example. 60 IN MX 0 .", "mixed.example. 60 IN MX 5 a.example."},
		"_l.example. SRV":     {"_l.example. 60 IN SRV 1 5 389 c.example.", "_l.example. 60 IN SRV 0 0 390 b.example.", "_l.example. 60 IN SRV 0 100 391 A.example."},
		"absent.example. SRV": {"absent.example. 60 IN SRV 0 0 0 ."},
		"both.example. A":     {"both.example. 60 IN A 192.0.2.1"},
		"both.example. AAAA":  {"both.example. 60 IN AAAA 2001:db8::1"},
		"six.example. AAAA":   {"six.example. 60 IN AAAA 2001:db8::2"},
	}
	f := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		if q.Question[0].Name == "half.example." && q.Question[0].Qtype == dns.TypeA {
			return [][]byte{reply(q, 2, nil)}
		}
		list := records[q.Question[0].Name+" "+dns.TypeToString[q.Question[0].Qtype]]
		if list == nil {
			list = []string{soa}
		}
		return [][]byte{reply(q, 0, list)}
	})
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}})
	mx, err := c.MX(t.Context(), "order.example")
	if want := []dnsclient.MX{{Host: "z.example", Preference: 10}, {Host: "a.example", Preference: 20}, {Host: "b.example", Preference: 20}}; err != nil || !reflect.DeepEqual(mx, want) {
		t.Errorf("MX %v %v", mx, err)
	}
	if _, err := c.MX(t.Context(), "null.example"); !errors.Is(err, dnsclient.ErrNullMX) {
		t.Errorf("null MX: %v", err)
	}
	if mx, err := c.MX(t.Context(), "mixed.example"); err != nil || len(mx) != 1 {
		t.Errorf("null MX beside another: %v %v", mx, err)
	}
	if _, err := c.MX(t.Context(), "none.example"); !errors.Is(err, dnsclient.ErrNotFound) {
		t.Errorf("no MX: %v", err)
	}
	srv, err := c.SRV(t.Context(), "_l.example")
	if err != nil || len(srv) != 3 || srv[0].Target != "a.example" || srv[1].Target != "b.example" || srv[2].Target != "c.example" || srv[0].Port != 391 {
		t.Errorf("SRV %v %v", srv, err)
	}
	if srv, err := c.SRV(t.Context(), "absent.example"); err != nil || len(srv) != 1 || srv[0].Target != "" {
		t.Errorf("absent service: %v %v", srv, err)
	}
	for host, want := range map[string]string{"both.example": "[192.0.2.1 2001:db8::1]", "six.example": "[2001:db8::2]"} {
		got, err := c.Addrs(t.Context(), host)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v %v", host, got, err)
		}
	}
	if _, err := c.Addrs(t.Context(), "none.example"); !errors.Is(err, dnsclient.ErrNotFound) {
		t.Errorf("no address: %v", err)
	}
	if _, err := c.Addrs(t.Context(), "half.example"); !errors.Is(err, dnsclient.ErrTemporary) {
		t.Errorf("one kind faulty, the other absent: %v", err)
	}
}

// A resolver that refuses CERT questions, as some do, and answers all others.
func TestDomainsOwnServerIsAsked(t *testing.T) {
	authority := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		return [][]byte{reply(q, 0, []string{cert}, func(m *dns.Msg) { m.Authoritative = true })}
	})
	host, port, err := net.SplitHostPort(authority.addr)
	if err != nil {
		t.Fatal(err)
	}
	resolver := newFake(t, func(_ string, q *dns.Msg) [][]byte {
		switch k := q.Question[0].Name + " " + dns.TypeToString[q.Question[0].Qtype]; k {
		case "direct.example.org. NS":
			return [][]byte{reply(q, 0, []string{"direct.example.org. 60 IN NS ns.example.org."})}
		case "ns.example.org. A":
			return [][]byte{reply(q, 0, []string{"ns.example.org. 60 IN A " + host})}
		}
		if q.Question[0].Qtype == dns.TypeCERT {
			return [][]byte{reply(q, 5, nil)}
		}
		return [][]byte{reply(q, 0, []string{soa})}
	})
	guarded := func(allow bool) dnsclient.Dial {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			if !allow {
				return nil, errors.New("address not allowed")
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	for _, tc := range []struct {
		situation string
		dial      dnsclient.Dial
		found     bool
	}{
		{"allowed", guarded(true), true},
		{"the guard refuses the address", guarded(false), false},
		{"switched off", nil, false},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			c := dnsclient.New(dnsclient.Config{Servers: []string{resolver.addr}, Authority: tc.dial, AuthorityPort: port})
			got, err := c.CERT(t.Context(), name)
			if tc.found {
				if err != nil || !got.Authoritative || got.Server != authority.addr {
					t.Errorf("%v %+v", err, got)
				}
			} else if !errors.Is(err, dnsclient.ErrTemporary) {
				t.Errorf("%v, want temporary", err)
			}
		})
	}
}

func TestNamesThatCannotBeAsked(t *testing.T) {
	f := newFake(t, func(string, *dns.Msg) [][]byte { return nil })
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Timeout: 50 * time.Millisecond})
	for _, n := range []string{"", ".", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefgh.", 40) + "example", "a..example"} {
		if _, err := c.CERT(t.Context(), n); !errors.Is(err, dnsclient.ErrNotFound) {
			t.Errorf("%q: %v", n, err)
		}
	}
	if f.asked.Load() != 0 {
		t.Error("a packet was sent for a name that cannot exist")
	}
}

// Answers recorded from real name servers: aliases and empty answers are not certificates.
func TestRecordedAnswers(t *testing.T) {
	want := map[string]string{ // by file: what the answer means
		"cert.hvnhind.hsgincubator.com.bin": "1 records", "mx.hvnhind.hsgincubator.com.bin": "1 records",
		"aname.bing.com.bin": "3 records", "aname.epic.com.bin": "1 records", "aname.google.com.bin": "1 records",
		"aname.hvnhind.hsgincubator.com.bin": "1 records", "aname.ibm.com.bin": "1 records", "aname.microsoft.com.bin": "1 records",
	}
	for _, e := range corpus.Walk(t, "dns") {
		if strings.HasPrefix(e.File, "soa.") {
			continue // the client asks no SOA questions
		}
		t.Run(e.File, func(t *testing.T) {
			wire := e.Read(t)
			recorded := new(dns.Msg)
			if err := recorded.Unpack(wire); err != nil {
				t.Fatal(err)
			}
			f := &fake{addr: "192.0.2.1:53", handler: func(_ string, q *dns.Msg) [][]byte {
				out := append([]byte(nil), wire...)
				out[0], out[1] = byte(q.Id>>8), byte(q.Id)
				return [][]byte{out}
			}}
			q := recorded.Question[0]
			var got string
			var err error
			synctest.Test(t, func(t *testing.T) {
				c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}, Tries: 1, Dial: inMemory(f)}) // the recording answers one type only
				got, err = lookup(t, c, q)
			})
			meaning := want[e.File]
			if meaning == "" {
				meaning = "nothing there"
			}
			if err != nil && errors.Is(err, dnsclient.ErrNotFound) {
				got = "nothing there"
			} else if err != nil {
				got = err.Error()
			}
			t.Logf("%s %s: %s", q.Name, dns.TypeToString[q.Qtype], got)
			if got != meaning {
				t.Errorf("%s, want %s\n%v", got, meaning, recorded)
			}
		})
	}
}

// lookup asks for what the recorded question was about, and counts.
func lookup(t *testing.T, c *dnsclient.Client, q dns.Question) (string, error) {
	t.Helper()
	switch q.Qtype {
	case dns.TypeCERT:
		a, err := c.CERT(t.Context(), q.Name)
		for _, der := range a.Certs() {
			if len(der) < 500 || base64.StdEncoding.EncodeToString(der) == "" {
				t.Errorf("certificate of %d octets", len(der))
			}
		}
		return fmt.Sprintf("%d records", len(a.Certs())), err
	case dns.TypeMX:
		mx, err := c.MX(t.Context(), q.Name)
		return fmt.Sprintf("%d records", len(mx)), err
	case dns.TypeA:
		ips, err := c.Addrs(t.Context(), q.Name)
		return fmt.Sprintf("%d records", len(ips)), err
	}
	t.Fatalf("the client does not ask for %s", dns.TypeToString[q.Qtype])
	return "", nil
}

func BenchmarkLookupFromCache(b *testing.B) {
	f := newFake(b, func(_ string, q *dns.Msg) [][]byte { return [][]byte{reply(q, 0, []string{cert})} })
	c := dnsclient.New(dnsclient.Config{Servers: []string{f.addr}})
	for b.Loop() {
		if _, err := c.CERT(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
	if f.asked.Load() != 1 {
		b.Fatalf("asked %d times", f.asked.Load())
	}
}
