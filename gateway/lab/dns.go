package lab

import (
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Answer is how the lab's DNS treats a domain and all below it.
type Answer string

// The ways to answer. A domain that is not set is NXDOMAIN.
const (
	ServFail Answer = "servfail" // SERVFAIL
	Garbage  Answer = "garbage"  // octets that are no DNS message
	Silence  Answer = "silence"  // nothing at all
	NoData   Answer = "nodata"   // exists, with no record of any type
	NullMX   Answer = "null_mx"  // takes no mail (RFC 7505)
)

// DNS is the resolver of every site in a lab: it knows no records, only ways to answer. The sites' own
// zones are found through their peer entries.
type DNS struct {
	mu    sync.Mutex
	says  map[string]Answer
	asked map[string]int
	udp   *dns.Server
	tcp   *dns.Server
	done  sync.WaitGroup
}

func startDNS(at string) (*DNS, error) {
	d := &DNS{says: map[string]Answer{}, asked: map[string]int{}}
	u, err := net.ListenPacket("udp", at)
	if err != nil {
		return nil, fmt.Errorf("lab: DNS: %w", err)
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		u.Close()
		return nil, fmt.Errorf("lab: DNS: %w", err)
	}
	d.udp = &dns.Server{PacketConn: u, Handler: d}
	d.tcp = &dns.Server{Listener: l, Handler: d}
	for _, s := range []*dns.Server{d.udp, d.tcp} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		d.done.Go(func() { _ = s.ActivateAndServe() })
		<-up
	}
	return d, nil
}

// Set says how a domain and all below it are answered from now on.
func (d *DNS) Set(domain string, a Answer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.says[dns.CanonicalName(domain)] = a
}

// Asked is how many questions came for names at or below a domain.
func (d *DNS) Asked(domain string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[dns.CanonicalName(domain)]
}

func (d *DNS) close() {
	_ = d.udp.Shutdown()
	_ = d.tcp.Shutdown()
	d.done.Wait()
}

// answer is what is set for the nearest domain at or above the name.
func (d *DNS) answer(name string) Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := dns.CanonicalName(name); ; {
		if a, ok := d.says[n]; ok {
			d.asked[n]++
			return a
		}
		_, up, ok := strings.Cut(n, ".")
		if !ok || up == "" {
			return ""
		}
		n = up
	}
}

// ServeDNS answers one question.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) != 1 {
		return
	}
	name := q.Question[0].Name
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	switch d.answer(name) {
	case ServFail:
		m.Rcode = dns.RcodeServerFailure
	case Garbage:
		_, _ = w.Write([]byte("\x00not a DNS message"))
		return
	case Silence:
		return
	case NoData:
	case NullMX:
		if q.Question[0].Qtype == dns.TypeMX {
			m.Answer = []dns.RR{&dns.MX{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Mx: "."}}
		}
	default:
		m.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(m)
}
