package survey

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"postern/certs"
	"postern/certs/dnscert"
	"postern/certs/dnsclient"
	"postern/smime/addr"
)

// names is the mail values expected, the domain first.
func (s *survey) names() []string {
	var out []string
	for mail := range s.want.Certs {
		out = append(out, mail)
	}
	sort.Slice(out, func(i, j int) bool {
		if a, b := strings.Contains(out[i], "@"), strings.Contains(out[j], "@"); a != b {
			return b
		}
		return out[i] < out[j]
	})
	return out
}

// certificates looks each name up through the resolver.
func (s *survey) certificates(ctx context.Context) {
	finder := dnscert.New(s.cfg.DNS, nil)
	for i, mail := range s.names() {
		if i == MaxNames {
			s.add(Look{What: "certificates", Verdict: Doubt, Saw: fmt.Sprintf("%d names were not looked at", len(s.want.Certs)-MaxNames), Remedy: "survey the rest by name with postern lookup"})
			return
		}
		name := mail
		if a, err := addr.Parse(mail); err == nil {
			n, ok := dnscert.AddressName(a)
			if !ok {
				continue // found by the domain's certificate or LDAP only (CD-17)
			}
			name = n
		}
		got, err := finder.Find(ctx, name)
		l := Look{What: "certificate of " + mail, Where: "CERT record at " + name}
		if err != nil {
			l.Verdict, l.Saw, l.Remedy = verdictOf(err), words(err), "if it was published just now, wait for the time others remember its absence (5 minutes); else check that the name server runs and is delegated to"
			s.add(l)
			continue
		}
		s.add(s.compare(l, mail, got.Certs))
	}
}

// compare holds what was found against what is expected, and against the calendar (CD-03).
func (s *survey) compare(l Look, mail string, found []*x509.Certificate) Look {
	want := s.want.Certs[mail]
	var seen, foreign, stale []string
	for _, c := range found {
		fp := certs.Fingerprint(c)
		seen = append(seen, fp)
		if !slices.Contains(want, fp) {
			foreign = append(foreign, fp[:16])
		}
		if s.cfg.Now.After(c.NotAfter) || s.cfg.Now.Before(c.NotBefore) {
			stale = append(stale, fp[:16])
		}
	}
	missing := 0
	for _, fp := range want {
		if !slices.Contains(seen, fp) {
			missing++
		}
	}
	l.Verdict, l.Saw = Good, fmt.Sprintf("%d of %d certificates, as published", len(want)-missing, len(want))
	switch {
	case missing == len(want) && missing > 0:
		l.Verdict, l.Saw = Bad, fmt.Sprintf("none of the %d certificates published here", missing)
		l.Remedy = "another name server answers for this name, or an old answer is still remembered: look again after its TTL"
	case len(stale) > 0:
		l.Verdict, l.Saw = Doubt, "certificates out of date beside good ones: "+strings.Join(stale, ", ")
		l.Remedy = "retire them (postern cert retire)"
	case missing > 0 || len(foreign) > 0:
		l.Verdict, l.Saw = Doubt, fmt.Sprintf("%d missing, %d that this site does not publish %s", missing, len(foreign), strings.Join(foreign, ", "))
		l.Remedy = "if certificates changed just now, look again after the TTL; else another name server answers differently"
	}
	return l
}

// directory looks the same names up by LDAP, where the domain announces one (CD-30).
func (s *survey) directory(ctx context.Context) {
	if _, err := s.cfg.DNS.SRV(ctx, "_ldap._tcp."+s.want.Domain.String()); errors.Is(err, dnsclient.ErrNotFound) {
		s.add(Look{What: "directory of " + s.want.Domain.String(), Verdict: Good, Saw: "none is announced; DNS suffices (CD-01)"})
		return
	}
	for i, mail := range s.names() {
		if i == MaxNames {
			return
		}
		got, err := s.cfg.LDAP.Find(ctx, s.want.Domain, mail)
		l := Look{What: "certificate of " + mail, Where: "LDAP " + got.Server}
		if err != nil {
			l.Verdict, l.Saw, l.Remedy = verdictOf(err), words(err), "publish there what DNS publishes, or take the SRV record away"
			s.add(l)
			continue
		}
		s.add(s.compare(l, mail, got.Certs))
	}
}

// nobody asks for a name that should not exist: a wildcard would give every address a certificate.
func (s *survey) nobody(ctx context.Context) {
	name := "no-such-name-" + fmt.Sprintf("%x", s.cfg.Now.UnixNano()&0xffffff) + "." + s.want.Domain.String()
	_, err := s.cfg.DNS.CERT(ctx, name)
	l := Look{What: "a name that does not exist", Where: name, Verdict: Good, Saw: "nothing there"}
	switch {
	case err == nil:
		l.Verdict, l.Saw, l.Remedy = Bad, "certificate records", "a wildcard record answers for every name: remove it"
	case !errors.Is(err, dnsclient.ErrNotFound):
		l.Verdict, l.Saw = Unknown, words(err)
	}
	s.add(l)
}
