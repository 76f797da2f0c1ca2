package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"postern/smime/addr"
)

// Finding is something a person should know about a site.
type Finding struct {
	Level string `json:"level"` // "ok", "warning" or "error"
	About string `json:"about"`
	Text  string `json:"text"`
}

// ExpirySoon is how long before its end a certificate is reported.
const ExpirySoon = 45 * 24 * time.Hour

// Check looks over what the database says: each domain must be able to sign, to be written to, and to
// trust somebody.
func (s *Site) Check(ctx context.Context) []Finding {
	var out []Finding
	add := func(level, about, format string, args ...any) {
		out = append(out, Finding{level, about, fmt.Sprintf(format, args...)})
	}
	if copies, err := secondaries(s.Config); err != nil {
		add("error", "dns", "%v", err)
	} else if len(copies) > 0 {
		add("ok", "dns", "zones are copied by %s", strings.Join(slices.Sorted(maps.Keys(s.Config.DNS.Secondary)), ", "))
	}
	s.checkBundles(ctx, add)
	s.checkTeams(ctx, add)
	s.checkWeb(ctx, add)
	domains, err := s.Store.Domains(ctx)
	if err != nil {
		add("error", "database", "%v", err)
		return out
	}
	for _, d := range domains {
		name := d.Name.String()
		if _, err := s.Ring.Signing(ctx, addr.MustParse("postmaster@"+name)); err != nil {
			add("warning", name, "%v; mail from addresses without their own certificate cannot be sent: postern cert create --domain %s", err, name)
		}
		anchors, err := s.Store.AnchorList(ctx, d.Name)
		if err != nil {
			add("error", name, "%v", err)
		}
		if len(anchors) == 0 {
			add("warning", name, "it has no trust anchors, so it trusts nobody: postern trust anchor add FILE --domain %s", name)
		}
		for _, a := range anchors {
			if _, err := a.Parsed(); err != nil {
				add("error", name, "the anchor %s is stored damaged and left out, the others count: %v", a.Subject, err)
				continue
			}
			s.expiring(add, "anchor", name, a.Subject, a.Expires)
		}
		creds, err := s.Store.Credentials(ctx, d.Name)
		if err != nil {
			add("error", name, "%v", err)
		}
		for _, c := range creds {
			s.checkDevice(add, name, c)
			if c.Retired.IsZero() {
				s.expiring(add, "certificate", name, c.ID[:16], c.Expires)
			}
		}
	}
	return out
}

func (s *Site) expiring(add func(level, about, format string, args ...any), what, name, which string, end time.Time) {
	switch left := end.Sub(s.now()); {
	case left <= 0:
		add("warning", name, "%s %s expired on %s", what, which, end.Format(time.DateOnly))
	case left < ExpirySoon:
		add("warning", name, "%s %s expires in %d days, on %s", what, which, int(left.Hours()/24), end.Format(time.DateOnly))
	}
}
