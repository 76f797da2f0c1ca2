// Package dnsclient asks recursive resolvers for the records a Direct gateway needs: CERT (RFC 4398)
// for certificates, SRV (RFC 2782) for directories, MX, A and AAAA for delivery. It uses UDP with
// EDNS0, TCP when an answer is truncated (CD-18), several servers in turn, one forwarder per private
// domain, and a cache by TTL.
//
// An answer is taken only from the address asked, with the id and the question that were asked, and
// only records that hang on the question by an unbroken CNAME chain count. "Nothing there" (NXDOMAIN,
// NODATA) and "not known" (SERVFAIL, REFUSED, no answer, nonsense) are different errors, because
// different things happen to the message (CD-22). When resolvers fault on a CERT question, the
// domain's own name servers are asked (CD-20).
//
// It does not validate DNSSEC, does not recurse from the root and never decides trust (CD-23).
// github.com/miekg/dns was taken for its complete record formats; sockets and retries are ours.
//
// Limits: 1,232 octets over UDP, 64 KiB over TCP, 8 CNAMEs, 100 records used of an answer, 3 s a try,
// 3 rounds over the servers, the last by TCP, 9 s for them and
// 15 s in all a question, 10,000 cached answers of 64 MiB for at most 1 h (nothing there:
// 5 min), 16 foreign packets ignored a try.
package dnsclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"time"

	"postern/smime/addr"

	"github.com/miekg/dns"
)

// Limits and defaults.
const (
	UDPSize        = 1232             // octets announced by EDNS0 and accepted over UDP
	MaxCNAMEs      = 8                // links followed from a question
	MaxRecords     = 100              // records taken from one answer
	MaxStray       = 16               // packets with a foreign id or question ignored in one try
	MaxQuestion    = 15 * time.Second // everything for one question
	MaxResolving   = 9 * time.Second  // of it, for the resolvers; the rest is for the domain's own servers
	MaxPositiveTTL = time.Hour        // CD-50
	MaxNegativeTTL = 5 * time.Minute  // CD-51
	DefaultTimeout = 3 * time.Second  // one try, as CD-20
	DefaultTries   = 3                // rounds over the servers, as CD-20
	DefaultCache   = 10000            // answers
	MaxCacheOctets = 64 << 20         // octets of records in the cache
)

// The two ways in which a lookup fails. Every error of Client matches exactly one, or is the
// caller's context error, or ErrNullMX.
var (
	ErrNotFound  = errors.New("dnsclient: nothing there")
	ErrTemporary = errors.New("dnsclient: not known")
	ErrNullMX    = errors.New("dnsclient: domain accepts no mail (null MX, RFC 7505)")
)

// Dial opens a connection; net.Dialer's DialContext is one.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Config says whom to ask and how. Servers (or Forward) is needed; zero values elsewhere are the defaults.
type Config struct {
	Servers       []string               // recursive resolvers, "host:port", in order of preference
	Forward       map[addr.Domain]string // a server of its own for a domain and everything below it
	Timeout       time.Duration          // one try
	Tries         int                    // rounds over the servers
	Clock         func() time.Time       // nil = time.Now
	Dial          Dial                   // to the resolvers; nil = net.Dialer
	Authority     Dial                   // to name servers found in the DNS: give a guarded one; nil = never ask them
	AuthorityPort string                 // their port; "" = 53
	Cache         int                    // answers kept; negative = none
}

// Client asks. It is safe for concurrent use; equal questions at the same time are asked once.
type Client struct {
	cfg     Config
	cache   *cache
	flights flights
}

// New makes a client; it opens nothing.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Tries <= 0 {
		cfg.Tries = DefaultTries
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{}).DialContext
	}
	if cfg.AuthorityPort == "" {
		cfg.AuthorityPort = "53"
	}
	if cfg.Cache == 0 {
		cfg.Cache = DefaultCache
	}
	return &Client{cfg: cfg, cache: newCache(cfg.Cache), flights: flights{running: map[key]*flight{}}}
}

// Step is one question to one server and what came of it.
type Step struct {
	Server   string        `json:"server"`
	Network  string        `json:"network"` // udp or tcp
	Question string        `json:"question"`
	Answer   string        `json:"answer"`           // words: "2 records", "NXDOMAIN", "no answer in 3s"
	Silent   bool          `json:"silent,omitempty"` // nothing came back: the server or the way to it is down
	Took     time.Duration `json:"took_ns"`
}

// CERT is one certificate record (RFC 4398 §2).
type CERT struct {
	Type      uint16 // 1 PKIX, 4 IPKIX, 253 URI …
	KeyTag    uint16
	Algorithm uint8
	Data      []byte
}

// Answer is the certificate records at a name.
type Answer struct {
	Name          string // as asked, lower case
	Records       []CERT
	TTL           time.Duration // the lowest of the chain, what is left of it when Cached
	Server        string        // who answered
	TCP           bool          // whether the answer came over TCP
	Cached        bool
	Authoritative bool // the resolvers faulted and the domain's own name server answered
	Truncated     bool // of Direct over UDP only: the records do not fit, TCP is needed
	Trace         []Step
}

// Certs is the content of the PKIX records.
func (a Answer) Certs() [][]byte {
	var out [][]byte
	for _, r := range a.Records {
		if r.Type == dns.CertPKIX {
			out = append(out, r.Data)
		}
	}
	return out
}

// CERT asks for the certificate records of a name.
func (c *Client) CERT(ctx context.Context, name string) (Answer, error) {
	r, err := c.ask(ctx, name, dns.TypeCERT)
	if err != nil {
		return Answer{}, err
	}
	return r.certs(c.cfg.Clock()), nil
}

func (r *reply) certs(now time.Time) Answer {
	a := Answer{Name: r.name, TTL: r.left(now), Server: r.server, TCP: r.tcp, Cached: r.cached, Authoritative: r.authority, Trace: r.trace}
	for _, rr := range r.records {
		if cert, ok := rr.(*dns.CERT); ok {
			a.Records = append(a.Records, CERT{cert.Type, cert.KeyTag, cert.Algorithm, decodeBase64(cert.Certificate)})
		}
	}
	return a
}

// MX is one mail exchanger.
type MX struct {
	Host       string // lower case, no final dot
	Preference uint16
}

// MX asks for the mail exchangers of a domain, best first, equal ones by name. A null MX (RFC 7505)
// is ErrNullMX. No MX at all is ErrNotFound: what then happens is the caller's rule (RFC 5321 §5.1).
func (c *Client) MX(ctx context.Context, domain string) ([]MX, error) {
	r, err := c.ask(ctx, domain, dns.TypeMX)
	if err != nil {
		return nil, err
	}
	var out []MX
	for _, rr := range r.records {
		if mx, ok := rr.(*dns.MX); ok {
			out = append(out, MX{hostName(mx.Mx), mx.Preference})
		}
	}
	if len(out) == 1 && out[0].Host == "" {
		return nil, ErrNullMX
	}
	out = slices.DeleteFunc(out, func(m MX) bool { return m.Host == "" })
	if len(out) == 0 {
		return nil, &Error{Kind: ErrNotFound, Name: r.name, Type: "MX", Detail: "no usable record"}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Preference != out[j].Preference {
			return out[i].Preference < out[j].Preference
		}
		return out[i].Host < out[j].Host
	})
	return out, nil
}

// SRV is one service location.
type SRV struct {
	Target           string // lower case, no final dot; "" = service absent (CD-32)
	Port             uint16
	Priority, Weight uint16
}

// SRV asks for the service records of a name, lowest priority number first and then highest weight:
// a fixed order, as the network's tests expect (CD-31).
func (c *Client) SRV(ctx context.Context, name string) ([]SRV, error) {
	r, err := c.ask(ctx, name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var out []SRV
	for _, rr := range r.records {
		if s, ok := rr.(*dns.SRV); ok {
			out = append(out, SRV{hostName(s.Target), s.Port, s.Priority, s.Weight})
		}
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].Priority != out[j].Priority {
			return out[i].Priority < out[j].Priority
		}
		return out[i].Weight > out[j].Weight
	})
	return out, nil
}

// Addrs asks for the IPv4 and IPv6 addresses of a host, IPv4 first. It fails only when neither kind
// is there: with ErrTemporary if one of the two answers is not known, else with ErrNotFound.
func (c *Client) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		r, err := c.ask(ctx, host, qtype)
		if err != nil {
			if failed == nil || errors.Is(err, ErrTemporary) {
				failed = err
			}
			continue
		}
		for _, rr := range r.records {
			switch a := rr.(type) {
			case *dns.A:
				if ip, ok := netip.AddrFromSlice(a.A.To4()); ok {
					out = append(out, ip)
				}
			case *dns.AAAA:
				if ip, ok := netip.AddrFromSlice(a.AAAA.To16()); ok {
					out = append(out, ip.Unmap())
				}
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, failed
}

func hostName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
