package discover

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/certs/ldapcert"
	"postern/smime/addr"
)

// LDAP finds certificates in the directories of a domain; *ldapcert.Finder is one. mail is the whole
// address or the domain. Errors match ldapcert's kinds.
type LDAP interface {
	Find(ctx context.Context, domain addr.Domain, mail string) (ldapcert.Answer, error)
}

// place is one location and how it is asked.
type place struct {
	location Location
	name     func(addr.Address) (string, bool)
	ask      func(ctx context.Context, a addr.Address, name string) (record, error) // error: the caller's store only
	limit    time.Duration                                                          // of asking once; 0 = this site's own knowledge: no limit, never remembered
}

// places is the order of CD-40 after this site's own knowledge (AS-112).
func places(cfg Config) []place {
	var out []place
	address := func(a addr.Address) (string, bool) { return a.WithoutTag().Key(), true }
	domain := func(a addr.Address) (string, bool) { return a.Domain().String(), true }
	if cfg.Local != nil {
		out = append(out, place{Local, address, askKnown(cfg.Local), 0})
	}
	if cfg.Static != nil {
		out = append(out, place{Static, address, askKnown(cfg.Static), 0})
	}
	if cfg.DNS != nil {
		ask := askDNS(cfg.DNS, cfg.Log)
		out = append(out, place{DNSAddress, dnscert.AddressName, ask, timeDNS}, place{DNSDomain, domain, ask, timeDNS})
	}
	if cfg.LDAP != nil {
		out = append(out, place{LDAPAddress, address, askLDAP(cfg.LDAP), timeLDAP},
			place{LDAPDomain, domain, askLDAP(cfg.LDAP), timeLDAP})
	}
	return out
}

func askKnown(known Known) func(context.Context, addr.Address, string) (record, error) {
	return func(ctx context.Context, a addr.Address, _ string) (record, error) {
		list, err := known.Certificates(ctx, a)
		if err != nil {
			return record{}, err
		}
		r := found(list)
		r.Asked = "this site"
		return r, nil
	}
}

func askDNS(dns DNS, log *slog.Logger) func(context.Context, addr.Address, string) (record, error) {
	return func(ctx context.Context, _ addr.Address, name string) (record, error) {
		got, err := dns.Find(ctx, name)
		var failed *dnsclient.Error
		switch {
		case err == nil:
			r := found(got.Certs)
			r.ttl = got.TTL
			r.Asked, r.Notes, r.questions = got.Server, got.Notes, got.Trace
			if got.TCP {
				r.Answer += " over TCP"
			}
			if got.Authoritative { // CD-20: works, but slower and without the resolvers' cache
				log.Warn("the configured DNS resolvers do not answer CERT questions; use others", "name", name, "answered_by", got.Server)
				r.Notes = append(r.Notes, "the configured resolvers do not answer CERT questions; the domain's own name server was asked")
			}
			return r, nil
		case errors.As(err, &failed) && errors.Is(err, dnsclient.ErrNotFound):
			r := record{Status: None, Answer: failed.Detail, questions: failed.Trace, Expires: failed.Expires}
			r.Asked = lastServer(failed.Trace)
			return r, nil
		case errors.As(err, &failed):
			return record{Status: Unknown, Answer: failed.Detail, questions: failed.Trace, Asked: lastServer(failed.Trace), Silent: silent(failed.Trace)}, nil
		}
		return record{Status: Unknown, Answer: err.Error()}, nil
	}
}

func askLDAP(ldap LDAP) func(context.Context, addr.Address, string) (record, error) {
	return func(ctx context.Context, a addr.Address, name string) (record, error) {
		got, err := ldap.Find(ctx, a.Domain(), name)
		r := found(got.Certs)
		r.Asked, r.Notes = got.Server, got.Notes
		switch {
		case err == nil:
			r.ttl = MaxFound
		case errors.Is(err, ldapcert.ErrNotFound):
			r.Status, r.Answer = None, err.Error()
			r.ttl = MaxNone
		default:
			r.Status, r.Answer = Unknown, err.Error()
		}
		return r, nil
	}
}

// silent says that no server answered anything: more likely our own network than the peer.
func silent(trace []dnsclient.Step) bool {
	for _, s := range trace {
		if !s.Silent {
			return false
		}
	}
	return len(trace) > 0
}

func lastServer(trace []dnsclient.Step) string {
	if len(trace) == 0 {
		return ""
	}
	return trace[len(trace)-1].Server
}

func found(list []*x509.Certificate) record {
	r := record{Status: Found, certs: list, Answer: fmt.Sprintf("%d certificates", len(list))}
	switch len(list) {
	case 0:
		r.Status, r.Answer = None, "no certificate"
	case 1:
		r.Answer = "1 certificate"
	}
	for _, c := range list {
		r.DER = append(r.DER, c.Raw)
	}
	return r
}

// look answers from memory or asks, at most one search at a time.
func (f *Finder) look(ctx context.Context, p place, name string, a addr.Address) (record, error) {
	if p.limit == 0 {
		return p.ask(ctx, a, name)
	}
	key := string(p.location) + " " + name
	if r, ok, err := f.recall(ctx, key); ok || err != nil {
		return r, err
	}
	leave, err := f.flights.enter(ctx, key)
	if err != nil {
		return f.outOfTime(), nil
	}
	defer leave()
	before, _, err := f.memory.load(ctx, key)
	if err != nil {
		return record{}, err
	}
	if before.fresh(f.cfg.Clock()) {
		before.remembered = true
		return before, nil
	}
	domain := circuitKey(p, a)
	silent, open, probe := f.circuits.enter(domain, f.cfg.Clock())
	if open { // no try of this place's own: only its waiting counts (CD-22)
		if silent.Faults, silent.Since = 0, f.cfg.Clock(); before.counts(f.cfg.Clock()) {
			silent.Faults, silent.Since = before.Faults, before.Since
		}
		return silent, f.memory.save(ctx, key, silent)
	}
	limit := p.limit
	if before.Status == Unknown && f.givenUp(before) || probe && f.givenUp(silent) {
		limit = timePassed
	}
	r, crowded, err := f.ask(ctx, p, name, a, limit)
	if err != nil || errors.Is(ctx.Err(), context.Canceled) { // the asker went away: that says nothing about the place
		f.circuits.leave(domain, probe)
		return f.outOfTime(), err
	}
	now := f.cfg.Clock()
	if crowded { // no try of its own, but the domain's servers did keep it waiting
		r = f.outOfTime()
		r.Answer = errCrowded.Error()
		f.circuits.settle(domain, r, true, now)
		return r, nil
	}
	f.date(&r, before, now)
	f.circuits.settle(domain, r, r.Silent || r.took >= Quick, now)
	return r, f.memory.save(context.WithoutCancel(ctx), key, r)
}

// ask asks one place, with a place to wait in if it takes long. The error is the caller's store's.
func (f *Finder) ask(ctx context.Context, p place, name string, a addr.Address, limit time.Duration) (r record, crowded bool, err error) {
	began := f.cfg.Clock()
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	inner, end := f.patience.wait(limited)
	r, err = p.ask(inner, a, name)
	crowded = end() && r.Status == Unknown
	r.Version, r.took = 1, f.cfg.Clock().Sub(began)
	return r, crowded, err
}

func (f *Finder) recall(ctx context.Context, key string) (record, bool, error) {
	r, ok, err := f.memory.load(ctx, key)
	if err != nil || !ok || !r.fresh(f.cfg.Clock()) {
		return record{}, false, err
	}
	r.remembered = true
	return r, true, nil
}

// date sets until when the record holds, and counts faults on from what was remembered.
func (f *Finder) date(r *record, before record, now time.Time) {
	if r.Status != Unknown {
		most := MaxFound
		if r.Status == None {
			most = MaxNone
		}
		if r.ttl > 0 {
			r.Expires = now.Add(r.ttl)
		}
		if r.Expires.After(now.Add(most)) {
			r.Expires = now.Add(most)
		}
		return
	}
	r.Faults, r.Since = 1, now
	if before.counts(now) {
		r.Faults, r.Since = before.Faults+1, before.Since
	}
	gap := f.cfg.FaultGap
	if gap > 0 && f.givenUp(*r) {
		gap = f.cfg.FaultWait
	}
	r.Retry = now.Add(gap)
}

// counts says that faults are counted on from the record: it is one, and not too old.
func (r record) counts(now time.Time) bool {
	return r.Status == Unknown && now.Sub(r.Retry) < faultForget
}

// outOfTime is the answer of a place that this search's own time did not suffice to ask.
func (f *Finder) outOfTime() record {
	now := f.cfg.Clock()
	return record{Status: Unknown, Answer: "the time for this search ran out", Faults: 1, Since: now, Retry: now.Add(f.cfg.FaultGap)}
}
