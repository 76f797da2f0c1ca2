package dnsclient

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ask answers from the cache, from a running question, or from the network.
func (c *Client) ask(ctx context.Context, name string, qtype uint16) (*reply, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, ok := dns.IsDomainName(name); !ok || name == "" || len(name) > 253 {
		return nil, &Error{Kind: ErrNotFound, Name: name, Type: dns.TypeToString[qtype], Detail: "not a DNS name (RFC 1035 §2.3.4)"}
	}
	k := key{name, qtype}
	if r, ok := c.cache.get(k, c.cfg.Clock()); ok {
		return r.again()
	}
	r, err := c.flights.do(ctx, k, func() (*reply, error) {
		inner, cancel := context.WithTimeout(ctx, MaxQuestion)
		defer cancel()
		r, err := c.resolve(inner, k)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			c.cache.put(k, r, c.cfg.Clock())
		}
		return r, err
	})
	if err != nil {
		return nil, err
	}
	if r.notFound != nil {
		return nil, r.notFound
	}
	return r, nil
}

// again is a reply out of the cache.
func (r *reply) again() (*reply, error) {
	if r.notFound != nil {
		e := *r.notFound
		e.Detail += " (remembered)"
		return nil, &e
	}
	copied := *r
	copied.cached = true
	return &copied, nil
}

// question is one lookup under way.
type question struct {
	key
	name  string // where the CNAME chain has led so far
	seen  map[string]bool
	ttl   time.Duration
	trace []Step
}

func (q *question) fail(kind error, detail string) *Error {
	return &Error{Kind: kind, Name: q.key.name, Type: dns.TypeToString[q.qtype], Detail: detail, Trace: q.trace}
}

// resolve follows the CNAME chain, asking again where a server gave only part of it.
func (c *Client) resolve(ctx context.Context, k key) (*reply, error) {
	q := &question{key: k, name: k.name, seen: map[string]bool{k.name: true}, ttl: MaxPositiveTTL}
	for {
		from, msg, err := c.exchangeAny(ctx, q)
		if err != nil {
			return nil, err
		}
		r, err := c.read(q, msg)
		if err != nil {
			return nil, err
		}
		if r != nil {
			r.server, r.tcp, r.authority = from.server, from.tcp, from.authority
			r.trace = q.trace
			if r.notFound != nil {
				r.notFound.Trace = q.trace
			}
			return r, nil
		}
	}
}

// read takes what one message says; nil, nil means the chain leads on to a name to be asked for.
func (c *Client) read(q *question, msg *dns.Msg) (*reply, error) {
	now := c.cfg.Clock()
	for {
		records := matching(msg, q.name, q.qtype)
		if len(records) > 0 {
			for _, rr := range records {
				q.ttl = min(q.ttl, time.Duration(rr.Header().Ttl)*time.Second)
			}
			return &reply{name: q.key.name, records: records, expires: now.Add(q.ttl)}, nil
		}
		alias := matching(msg, q.name, dns.TypeCNAME)
		if len(alias) == 0 {
			break
		}
		target := strings.ToLower(strings.TrimSuffix(alias[0].(*dns.CNAME).Target, "."))
		q.ttl = min(q.ttl, time.Duration(alias[0].Header().Ttl)*time.Second)
		if q.seen[target] || len(q.seen) > MaxCNAMEs {
			return nil, q.fail(ErrTemporary, fmt.Sprintf("CNAME chain loops or has more than %d links at %s", MaxCNAMEs, target))
		}
		q.seen[target] = true
		q.name = target
	}
	asked := strings.ToLower(strings.TrimSuffix(msg.Question[0].Name, "."))
	if q.name != asked && msg.Rcode == dns.RcodeSuccess && soaOf(msg) == nil {
		return nil, nil // QUIRK: authoritative servers and forwarders stop at a CNAME that leaves their zone
	}
	if len(msg.Answer) > 0 && len(q.seen) == 1 && msg.Rcode == dns.RcodeSuccess && soaOf(msg) == nil {
		return nil, q.fail(ErrTemporary, "the answer holds only records of other names or types")
	}
	detail := "name exists, no such record (NODATA)"
	if msg.Rcode == dns.RcodeNameError {
		detail = "no such name (NXDOMAIN)"
	}
	e := q.fail(ErrNotFound, detail)
	e.Expires = now.Add(min(q.ttl, negativeTTL(msg)))
	return &reply{name: q.key.name, expires: e.Expires, notFound: e}, nil
}

// matching is the records of class IN and the type in the answer section that belong to the name.
func matching(msg *dns.Msg, name string, qtype uint16) []dns.RR {
	var out []dns.RR
	for _, rr := range msg.Answer {
		h := rr.Header()
		if h.Rrtype == qtype && h.Class == dns.ClassINET && strings.EqualFold(strings.TrimSuffix(h.Name, "."), name) {
			if out = append(out, rr); len(out) == MaxRecords {
				break
			}
		}
	}
	return out
}

func soaOf(msg *dns.Msg) *dns.SOA {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

// negativeTTL is RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM; without SOA nothing is kept.
func negativeTTL(msg *dns.Msg) time.Duration {
	soa := soaOf(msg)
	if soa == nil {
		return 0
	}
	return min(MaxNegativeTTL, time.Duration(min(soa.Hdr.Ttl, soa.Minttl))*time.Second)
}
