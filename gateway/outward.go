package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"postern/certs/discover"
	"postern/certs/dnsclient"
	"postern/certs/ldapcert"
	"postern/certs/survey"
	"postern/gateway/pipeline"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust/fetch"
)

// maxPartners bounds the partners' addresses looked at in one round: those with most messages first.
const maxPartners = 200

// What was looked at, of a partner.
const (
	whatCERT = "certificate of a partner"
)

// OutwardArg names what is looked at; the zero value is everything.
type OutwardArg struct {
	Domain addr.Domain `json:"domain,omitzero"`
	All    bool        `json:"all,omitempty"` // the history, not only how it stands
}

// LookOutward looks at our own publication from outside, and whether the partners we write to can be found; it
// keeps what it saw, and tells the postmaster what is no longer so. It returns what has changed.
func (a Admin) LookOutward(ctx context.Context, in OutwardArg) ([]store.Sighting, error) {
	own, err := a.s.lookAtOwn(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	partners, err := a.s.lookAtPartners(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	before, err := a.s.Store.Sightings(ctx, "", true, maxSeen)
	if err != nil {
		return nil, err
	}
	news, err := a.s.Store.Sighted(ctx, append(own, partners...))
	if err != nil {
		return nil, err
	}
	return append([]store.Sighting{}, news...), a.s.tellOutward(ctx, before, news)
}

// lookAtOwn surveys our domains as a stranger would.
func (s *Site) lookAtOwn(ctx context.Context, only addr.Domain) ([]store.Sighting, error) {
	wanted, err := s.expected(ctx, only)
	if err != nil {
		return nil, err
	}
	private, err := s.Config.Private()
	if err != nil {
		return nil, err
	}
	guard := &fetch.Guard{Allow: private}
	dialer := &net.Dialer{Control: guard.Control}
	servers := s.Config.Resolver.Servers
	if len(servers) == 0 {
		if servers, err = dnsclient.SystemServers("/etc/resolv.conf"); err != nil {
			return nil, err
		}
	}
	dns := dnsclient.New(dnsclient.Config{Servers: servers, Timeout: s.Config.Resolver.Timeout.D(), Clock: s.now, Authority: dialer.DialContext, Cache: -1})
	cfg := survey.Config{DNS: dns, LDAP: ldapcert.New(ldapcert.Config{Resolver: dns, Dial: dialer.DialContext}), Now: s.now()}
	var out []store.Sighting
	for _, w := range wanted {
		r, err := survey.Domain(ctx, cfg, w)
		if err != nil {
			return nil, err
		}
		for _, l := range r.Looks {
			place := l.Where
			if l.What == "a name that does not exist" {
				place = "" // another name each time
			}
			out = append(out, store.Sighting{Org: s.Org, Subject: w.Domain.String(), What: l.What, Place: place, Verdict: string(l.Verdict), Saw: l.Saw, Remedy: l.Remedy})
		}
	}
	return out, nil
}

// expected is what the world should see of our domains.
func (s *Site) expected(ctx context.Context, only addr.Domain) ([]survey.Expected, error) {
	rows, err := s.Store.Credentials(ctx, only)
	if err != nil {
		return nil, err
	}
	by := map[addr.Domain]survey.Expected{}
	for _, r := range rows {
		if !r.Retired.IsZero() || !r.Published {
			continue
		}
		e, ok := by[r.Domain]
		if !ok {
			e = survey.Expected{Domain: r.Domain, Certs: map[string][]string{}}
			by[r.Domain] = e
		}
		mail := r.Domain.String()
		if !r.Address.IsZero() {
			mail = r.Address.String()
		}
		e.Certs[mail] = append(e.Certs[mail], r.ID)
	}
	var out []survey.Expected
	for _, e := range by {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b survey.Expected) int { return cmp.Compare(a.Domain.String(), b.Domain.String()) })
	return out, nil
}

// lookAtPartners asks whether the partners that mail was sealed for can still be found, one address of each
// domain.
func (s *Site) lookAtPartners(ctx context.Context, only addr.Domain) ([]store.Sighting, error) {
	judged, err := s.Store.Judged(ctx, addr.Domain{}, s.now().AddDate(0, 0, -partnerDays))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(judged, func(a, b store.Judged) int { return cmp.Compare(b.Count, a.Count) })
	seen := map[addr.Domain]bool{}
	var out []store.Sighting
	for _, j := range judged {
		to, err := addr.Parse(j.Peer)
		if err != nil || j.Direction != "outgoing" || seen[to.Domain()] || !only.IsZero() && to.Domain() != only {
			continue
		}
		if len(seen) == maxPartners {
			break
		}
		seen[to.Domain()] = true
		if mb, err := s.Store.Resolve(ctx, to); err != nil || mb.Ours {
			continue
		}
		f, err := s.Finder.Find(ctx, to)
		if err != nil {
			return nil, err
		}
		out = append(out, store.Sighting{Org: s.Org, Subject: to.Domain().String(), What: whatCERT, Place: to.Key(), Verdict: string(discoverable(f)),
			Saw: f.Trace.Conclusion, Remedy: discoverRemedy(f)})
	}
	return out, nil
}

// discoverable is a look at a partner in the words of a survey.
func discoverable(f discover.Finding) survey.Verdict {
	switch {
	case f.Status == discover.Found && len(f.Certs) > 0:
		return survey.Good
	case f.Status == discover.Unknown:
		return survey.Unknown
	}
	return survey.Bad
}

func discoverRemedy(f discover.Finding) string {
	switch discoverable(f) {
	case survey.Good:
		return ""
	case survey.Unknown:
		return "their name servers do not answer: tell their administrator if it lasts"
	}
	return "they publish no certificate any more: ask their administrator; mail to them is refused here meanwhile"
}

// tellOutward tells the postmaster what was good and is not now, and what is good again.
func (s *Site) tellOutward(ctx context.Context, before, news []store.Sighting) error {
	was := map[string]string{}
	for _, b := range before {
		was[b.Subject+"\x00"+b.What+"\x00"+b.Place] = b.Verdict
	}
	home, err := s.home(ctx)
	if err != nil || home.IsZero() {
		return err
	}
	by := map[addr.Domain][]string{}
	for _, n := range news {
		old, known := was[n.Subject+"\x00"+n.What+"\x00"+n.Place]
		if n.Verdict == string(survey.Doubt) || !known && n.Verdict == string(survey.Good) || n.What != whatCERT && !known {
			continue // first looks tell how it stands (postern cert watch); only what changes is told
		}
		if old == string(survey.Doubt) && n.Verdict == string(survey.Good) {
			continue
		}
		to := home
		if d, err := addr.ParseDomain(n.Subject); err == nil {
			if _, err := s.Store.Domain(ctx, d); err == nil {
				to = d
			}
		}
		line := seen(n, s.now()).Words
		s.Log.Warn("a look from outside", "subject", n.Subject, "what", n.What, "verdict", n.Verdict, "saw", n.Saw)
		if n.Remedy != "" {
			line += "\n    To do: " + n.Remedy
		}
		by[to] = append(by[to], line)
	}
	var errs []error
	for d, lines := range by {
		subject, _, _ := strings.Cut(lines[0], "\n")
		if len(subject) > maxSubject {
			subject = subject[:maxSubject] + "…"
		}
		errs = append(errs, s.Pipeline.Tell(ctx, s.Org, pipeline.Word{Domain: d, Subject: subject, Text: strings.Join(lines, "\n\n") + "\n\nHow everything stands: postern cert watch\n"}))
	}
	return errors.Join(errs...)
}

// Seen is one thing looked at, in words.
type Seen struct {
	store.Sighting
	Words string `json:"words"`
}

// maxSeen bounds one list of what was seen.
const maxSeen = 10_000

// Outward says how our publication and our partners stand, and since when.
func (a Admin) Outward(ctx context.Context, in OutwardArg) ([]Seen, error) {
	rows, err := a.s.Store.Sightings(ctx, in.Domain.String(), !in.All, maxSeen)
	out := make([]Seen, 0, len(rows))
	for _, r := range rows {
		out = append(out, seen(r, a.s.now()))
	}
	return out, err
}

// seen words a sighting: "clinic.example has not answered CERT queries since Tuesday".
func seen(v store.Sighting, now time.Time) Seen {
	since := sinceWords(v.Since, now)
	words := fmt.Sprintf("%s of %s is %s since %s: %s", v.What, v.Subject, v.Verdict, since, v.Saw)
	if v.What == whatCERT {
		switch survey.Verdict(v.Verdict) {
		case survey.Good:
			words = fmt.Sprintf("%s answers CERT queries, seen since %s", v.Subject, since)
		case survey.Unknown:
			words = fmt.Sprintf("%s has not answered CERT queries since %s", v.Subject, since)
		default:
			words = fmt.Sprintf("%s has published no certificate for %s since %s", v.Subject, v.Place, since)
		}
	}
	return Seen{v, words}
}

// sinceWords is an instant as a person says it: today, the day of the week within six days, else the date.
func sinceWords(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return "today " + t.Format("15:04 MST")
	case now.Sub(t) < 6*24*time.Hour:
		return t.Weekday().String()
	}
	return t.Format("2 January 2006")
}
