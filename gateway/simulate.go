package gateway

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/gateway/rehearsal"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
	"postern/trust/policy"
)

// DefaultDays is how far back a change is held against real decisions.
const DefaultDays = 90

// MaxDays bounds how far back one looks.
const MaxDays = 400

// proposed is trust as it would be: what is in force, with anchors and policies changed. It is one
// rehearsal.Setting, and is used by one goroutine.
type proposed struct {
	db       *store.Store
	anchors  func([]store.Anchor) []store.Anchor       // changes the anchors of a domain; nil changes nothing
	policies func([]store.PolicyRow) []store.PolicyRow // changes its policies
	sets     map[string]*trust.AnchorSet
	rules    map[string]trust.PolicySet
}

// Anchors is the anchor set as it would be.
func (p *proposed) Anchors(ctx context.Context, local addr.Domain, dir trust.Direction) (*trust.AnchorSet, error) {
	key := local.String() + " " + string(dir)
	if set, ok := p.sets[key]; ok {
		return set, nil
	}
	rows, err := p.db.AnchorList(ctx, local)
	if err != nil {
		return nil, err
	}
	blocked := map[string]bool{} // what a domain does not believe it does not believe from another source either
	for _, a := range rows {
		blocked[a.Fingerprint] = blocked[a.Fingerprint] || a.Blocked != ""
	}
	if p.anchors != nil {
		rows = p.anchors(rows)
	}
	var list []*x509.Certificate
	for _, a := range rows {
		if !a.Domain.IsZero() && a.Domain != local { // a bundle brings anchors to each domain in that one's own directions
			continue
		}
		if blocked[a.Fingerprint] || dir == trust.Incoming && !a.Incoming || dir == trust.Outgoing && !a.Outgoing {
			continue
		}
		if c, err := a.Parsed(); err == nil {
			list = append(list, c)
		}
	}
	if p.sets == nil {
		p.sets = map[string]*trust.AnchorSet{}
	}
	p.sets[key] = trust.NewAnchorSet(list)
	return p.sets[key], nil
}

// TrustSettings is what is in force.
func (p *proposed) TrustSettings(ctx context.Context, local addr.Domain) (trust.Settings, error) {
	return p.db.TrustSettings(ctx, local)
}

// TrustPolicies is the policies as they would be.
func (p *proposed) TrustPolicies(ctx context.Context, local addr.Domain, dir trust.Direction, use trust.Use) (trust.PolicySet, error) {
	if p.policies == nil {
		return p.db.TrustPolicies(ctx, local, dir, use)
	}
	key := fmt.Sprint(local, dir, use)
	if set, ok := p.rules[key]; ok {
		return set, nil
	}
	rows, err := p.db.Policies(ctx, local)
	if err != nil {
		return trust.PolicySet{}, err
	}
	set := trust.PolicySet{Version: "proposed"}
	for _, r := range p.policies(rows) {
		if r.Domain != local || r.Direction != dir || r.Use != string(use) && r.Use != store.UseAny {
			continue
		}
		c, err := policy.Compile(r.Name, r.Text)
		if err != nil {
			return set, err
		}
		set.Policies = append(set.Policies, c)
	}
	if p.rules == nil {
		p.rules = map[string]trust.PolicySet{}
	}
	p.rules[key] = set
	return set, nil
}

// cases is the decisions of the last days, with their certificates.
func (s *Site) cases(ctx context.Context, d addr.Domain, days int) ([]rehearsal.Case, error) {
	if days <= 0 {
		days = DefaultDays
	}
	if days > MaxDays {
		return nil, fmt.Errorf("gateway: %d days back, at most %d are kept", days, MaxDays)
	}
	rows, err := s.Store.Judged(ctx, d, s.now().AddDate(0, 0, -days))
	if err != nil {
		return nil, err
	}
	known := map[string]*x509.Certificate{}
	paths := map[string][]*x509.Certificate{}
	out := make([]rehearsal.Case, 0, len(rows))
	for _, r := range rows {
		id := strings.Join(r.Path, " ")
		path, ok := paths[id]
		if !ok {
			if path, err = s.seen(ctx, r.Path, known); err != nil {
				return nil, err
			}
			paths[id] = path
		}
		out = append(out, rehearsal.Case{Domain: r.Domain, Direction: r.Direction, Purpose: r.Purpose, Peer: r.Peer, Path: path, PathID: id,
			Anchor: r.Anchor, Reason: r.Reason, Count: r.Count, Last: r.Last})
	}
	return out, nil
}

// seen is the certificates of a path; those known already are not read again.
func (s *Site) seen(ctx context.Context, prints []string, known map[string]*x509.Certificate) ([]*x509.Certificate, error) {
	var path []*x509.Certificate
	for _, print := range prints {
		c, ok := known[print]
		if !ok {
			var err error
			if c, err = s.Store.SeenCertificate(ctx, print); err != nil {
				return nil, err
			}
			known[print] = c
		}
		path = append(path, c)
	}
	return path, nil
}

// Touched is what a change does to decisions like those of the last days: judged by the trust in force, and by it changed.
type Touched struct {
	Days     int                 `json:"days"`
	Messages int64               `json:"messages"`   // decisions looked at
	Lost     []rehearsal.Partner `json:"lost"`       // accepted → refused, by partner
	Won      []rehearsal.Partner `json:"won"`        // refused → accepted, by partner
	LostN    int64               `json:"lost_count"` // messages
	WonN     int64               `json:"won_count"`
	Left     int64               `json:"not_judged"` // they hung on revocation or on what was fetched
}

func touched(days int, r rehearsal.Result) Touched {
	t := Touched{Days: days, Messages: r.Messages, Lost: rehearsal.Partners(r.Lost), Won: rehearsal.Partners(r.Won), Left: r.Left}
	for _, f := range r.Lost {
		t.LostN += f.Count
	}
	for _, f := range r.Won {
		t.WonN += f.Count
	}
	return t
}

// AnchorTouch is one anchor of a change, and whom it concerns.
type AnchorTouch struct {
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	Expires     time.Time `json:"expires"`
	Partners    int       `json:"partners"` // whose certificates ended at it, or would
	Messages    int64     `json:"messages"`
	Changed     int64     `json:"changed"` // messages that would come out differently
}

// touches says of each anchor whom it vouched for, and how many of their messages the change turns; for anchors
// that come, whom they would let in.
func touches(list []*x509.Certificate, cases []rehearsal.Case, r rehearsal.Result) []AnchorTouch {
	type sum struct {
		partners          map[string]bool
		messages, changed int64
	}
	by := map[string]*sum{}
	for _, c := range list {
		by[certs.Fingerprint(c)] = &sum{partners: map[string]bool{}}
	}
	count := func(print, peer string, n, changed int64) {
		if s := by[print]; s != nil {
			_, domain, _ := strings.Cut(peer, "@")
			s.partners[domain] = true
			s.messages += n
			s.changed += changed
		}
	}
	for _, c := range cases {
		count(c.Anchor, c.Peer, c.Count, 0)
	}
	for _, f := range r.Lost {
		count(f.Anchor, f.Peer, 0, f.Count)
	}
	for _, f := range r.Won {
		by, messages := certs.Fingerprint(f.By), f.Count
		if by == f.Then {
			messages = 0 // counted above
		}
		count(by, f.Peer, messages, f.Count)
	}
	out := make([]AnchorTouch, 0, len(list))
	for _, c := range list {
		s := by[certs.Fingerprint(c)]
		out = append(out, AnchorTouch{certs.Fingerprint(c), c.Subject.String(), c.NotAfter.UTC(), len(s.partners), s.messages, s.changed})
	}
	slices.SortStableFunc(out, func(a, b AnchorTouch) int { return cmp.Compare(b.Messages, a.Messages) })
	return out
}

// Simulate are the arguments of `trust simulate`: what would be changed. Anchors to add are the call's octets.
type Simulate struct {
	Domain       addr.Domain     `json:"domain,omitzero"` // zero: every domain of ours
	Days         int             `json:"days,omitempty"`
	Incoming     bool            `json:"incoming,omitempty"` // of anchors to add
	Outgoing     bool            `json:"outgoing,omitempty"`
	Leaf         bool            `json:"leaf,omitempty"`
	Remove       []string        `json:"remove,omitempty"` // fingerprints, or their first 8 digits or more
	PolicyName   string          `json:"policy_name,omitempty"`
	PolicyText   string          `json:"policy_text,omitempty"`
	Direction    trust.Direction `json:"direction,omitempty"` // of the policy
	Use          string          `json:"use,omitempty"`
	PolicyRemove bool            `json:"policy_remove,omitempty"`
}

// Simulated is the answer.
type Simulated struct {
	Touched
	Added   []AnchorTouch `json:"added"`
	Removed []AnchorTouch `json:"removed"`
}

// Simulate says what a set of changes would have done to the decisions of the last days. It changes nothing.
func (a Admin) Simulate(ctx context.Context, in Simulate, file []byte) (Simulated, error) {
	if in.Days <= 0 {
		in.Days = DefaultDays
	}
	p := &proposed{db: a.s.Store}
	var added []*x509.Certificate
	if len(file) > 0 {
		rows, err := a.anchorRows(AnchorAdd{Domain: in.Domain, Incoming: in.Incoming, Outgoing: in.Outgoing, AllowLeaf: in.Leaf}, file)
		if err != nil {
			return Simulated{}, err
		}
		for _, r := range rows {
			if c, err := r.Parsed(); err == nil {
				added = append(added, c)
			}
		}
		p.anchors = func(have []store.Anchor) []store.Anchor { return append(have, rows...) }
	}
	removed, err := a.simulateRemoval(ctx, in, p)
	if err != nil {
		return Simulated{}, err
	}
	if in.PolicyName != "" {
		if err := a.simulatesPolicy(ctx, in); err != nil {
			return Simulated{}, err
		}
		row := store.PolicyRow{Domain: in.Domain, Direction: in.Direction, Use: in.Use, Name: in.PolicyName, Text: in.PolicyText}
		p.policies = func(have []store.PolicyRow) []store.PolicyRow { return withPolicy(have, row, in.PolicyRemove) }
	}
	cases, err := a.s.cases(ctx, in.Domain, in.Days)
	if err != nil {
		return Simulated{}, err
	}
	r, err := rehearsal.Compare(ctx, cases, &proposed{db: a.s.Store}, p)
	if err != nil {
		return Simulated{}, err
	}
	return Simulated{touched(in.Days, r), touches(added, cases, r), touches(removed, cases, r)}, nil
}

// simulatesPolicy refuses a policy of which past decisions about partners could say nothing: that nothing would
// have come out differently would be no true answer.
func (a Admin) simulatesPolicy(ctx context.Context, in Simulate) error {
	arg := PolicyArg{Domain: in.Domain, Direction: in.Direction, Use: in.Use, Name: in.PolicyName}
	if err := checkPolicy(arg); err != nil {
		return err
	}
	if arg.own() {
		return fmt.Errorf("gateway: a policy about %s %s is about our own certificates, which decisions about partners do not show: postern trust policy test says which of ours it would refuse", in.Direction, in.Use)
	}
	if !in.PolicyRemove {
		return nil
	}
	have, err := a.s.Store.Policies(ctx, in.Domain)
	if err != nil {
		return err
	}
	if len(withPolicy(have, store.PolicyRow{Domain: in.Domain, Direction: in.Direction, Use: in.Use, Name: in.PolicyName}, true)) == len(have) {
		return fmt.Errorf("gateway: no policy %s is in force for %s, %s %s: postern trust policy list", in.PolicyName, in.Domain, in.Direction, in.Use)
	}
	return nil
}

// simulateRemoval takes the anchors to be removed out of what is proposed, and names them.
func (a Admin) simulateRemoval(ctx context.Context, in Simulate, p *proposed) ([]*x509.Certificate, error) {
	have, err := a.s.Store.AnchorList(ctx, in.Domain)
	if err != nil {
		return nil, err
	}
	var removed []*x509.Certificate
	byHand := map[string]bool{} // by domain and fingerprint: then what bundles bring stays, as with trust anchor remove
	for _, row := range have {
		if !strings.HasPrefix(row.Source, "bundle ") {
			byHand[row.Domain.String()+" "+row.Fingerprint] = true
		}
	}
	for _, prefix := range in.Remove {
		n := 0
		for _, row := range have {
			if len(prefix) < 8 || !strings.HasPrefix(row.Fingerprint, prefix) {
				continue
			}
			if n++; n > 1 {
				break
			}
			if c, err := row.Parsed(); err == nil {
				removed = append(removed, c)
			}
		}
		if n == 0 {
			return nil, fmt.Errorf("gateway: no anchor begins with %q (8 digits or more): postern trust anchor list", prefix)
		}
	}
	if len(in.Remove) > 0 {
		before := p.anchors
		p.anchors = func(rows []store.Anchor) []store.Anchor {
			if before != nil {
				rows = before(rows)
			}
			return slices.DeleteFunc(slices.Clone(rows), func(r store.Anchor) bool {
				if strings.HasPrefix(r.Source, "bundle ") && byHand[r.Domain.String()+" "+r.Fingerprint] {
					return false
				}
				return slices.ContainsFunc(in.Remove, func(prefix string) bool { return strings.HasPrefix(r.Fingerprint, prefix) })
			})
		}
	}
	return removed, nil
}

// withPolicy is a domain's policies with one put in its place, or taken away.
func withPolicy(have []store.PolicyRow, row store.PolicyRow, remove bool) []store.PolicyRow {
	out := slices.DeleteFunc(slices.Clone(have), func(p store.PolicyRow) bool {
		return p.Domain == row.Domain && p.Direction == row.Direction && p.Use == row.Use && p.Name == row.Name
	})
	if remove {
		return out
	}
	return append(out, row)
}
