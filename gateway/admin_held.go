package gateway

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/gateway/agent"
	"postern/gateway/rehearsal"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// Limits of what is shown of held mail.
const (
	maxHeldSenders = 10
	maxHeldIDs     = 200
	maxHeldLook    = 10_000 // the newest so many are looked at
)

// HeldGroup is held messages of one cause, partner and domain of ours. Nothing of their content is known.
type HeldGroup struct {
	Group    string       `json:"group"` // names it, as long as cause, partner, domain and certificate are these
	Reason   string       `json:"reason"`
	Advice   agent.Advice `json:"advice"`
	Partner  string       `json:"partner"` // the domain of the certificate, else of the sender as claimed
	Claimed  bool         `json:"claimed"` // nobody's signature says that it is this partner
	Domain   addr.Domain  `json:"domain"`  // ours
	Subject  string       `json:"subject,omitempty"`
	Cert     string       `json:"certificate,omitempty"`
	Messages int          `json:"messages"`
	Octets   int64        `json:"octets"`
	Senders  []string     `json:"senders"`
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
	Goes     time.Time    `json:"goes"` // when the first of them is let go
	IDs      []string     `json:"ids"`
}

// HeldGroups lists what is held, grouped by cause and partner, the largest group first.
func (a Admin) HeldGroups(ctx context.Context) ([]HeldGroup, error) {
	all, err := a.s.Store.HeldList(ctx, maxHeldLook)
	if err != nil {
		return nil, err
	}
	by := map[string]*HeldGroup{}
	for _, h := range all {
		g := groupOf(h)
		old := by[g.Group]
		if old == nil {
			by[g.Group] = &g
			old = &g
		}
		old.Messages++
		old.Octets += h.Size
		if len(old.IDs) < maxHeldIDs {
			old.IDs = append(old.IDs, h.ID)
		}
		if !slices.Contains(old.Senders, h.MailFrom) && len(old.Senders) < maxHeldSenders {
			old.Senders = append(old.Senders, h.MailFrom)
		}
		if h.At.Before(old.First) {
			old.First = h.At
		}
		if h.At.After(old.Last) {
			old.Last = h.At
		}
		if h.Expires.Before(old.Goes) {
			old.Goes = h.Expires
		}
	}
	out := make([]HeldGroup, 0, len(by))
	for _, g := range by {
		slices.Sort(g.Senders)
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b HeldGroup) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Group, b.Group))
	})
	return out, nil
}

// groupOf is the group a held message belongs to, with itself as its only member.
func groupOf(h store.Held) HeldGroup {
	var v struct{ Certificate, Subject string }
	_ = json.Unmarshal(h.Trace, &v) // a message refused before any certificate was judged has none
	g := HeldGroup{Reason: h.Reason, Advice: agent.AdviceOn(h.Reason), Claimed: v.Certificate == "", Subject: v.Subject, Cert: v.Certificate,
		Senders: []string{}, First: h.At, Last: h.At, Goes: h.Expires}
	if len(h.Recipients) > 0 {
		g.Domain = h.Recipients[0].Domain()
	}
	_, g.Partner, _ = strings.Cut(h.MailFrom, "@")
	if g.Partner == "" {
		g.Partner = h.Peer
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{g.Reason, g.Partner, g.Domain.String(), g.Cert}, "\x00")))
	g.Group = "g-" + hex.EncodeToString(sum[:5])
	return g
}

// Candidate is an authority that would vouch for held mail.
type Candidate struct {
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	Expires     time.Time `json:"expires"`
	From        string    `json:"from"` // where it is known from
	Messages    int       `json:"messages"`
}

// HeldTrust are the arguments of `held trust`. The anchor is named, or is the call's octets; with neither the
// candidates are listed.
type HeldTrust struct {
	Group    string `json:"group"`
	Anchor   string `json:"anchor,omitempty"` // fingerprint of a candidate, or its first 8 digits or more
	Incoming bool   `json:"incoming"`
	Outgoing bool   `json:"outgoing"`
	Days     int    `json:"days,omitempty"`
	Apply    bool   `json:"apply,omitempty"`   // add the anchor
	Release  bool   `json:"release,omitempty"` // and release what then passes
}

// HeldTrusted is what trusting an anchor would let in, or has let in.
type HeldTrusted struct {
	Group      HeldGroup    `json:"group"`
	Candidates []Candidate  `json:"candidates"`
	Anchor     *AnchorTouch `json:"anchor,omitempty"`
	Passes     []string     `json:"passes"` // held messages, of every group, that pass then
	Stays      int          `json:"stays"`  // of this group, that do not
	Touched    Touched      `json:"touched"`
	Applied    bool         `json:"applied"`
	Released   int          `json:"released"`
}

// HeldTrust says who could vouch for a group of held mail; of one anchor what it would let in; and on demand trusts
// it and releases what then passes. The checks are all made again on release.
func (a Admin) HeldTrust(ctx context.Context, in HeldTrust, file []byte) (HeldTrusted, error) {
	group, cases, err := a.heldCases(ctx, in.Group)
	if err != nil {
		return HeldTrusted{}, err
	}
	out := HeldTrusted{Group: group, Candidates: []Candidate{}, Passes: []string{}}
	known, err := a.authorities(ctx, group.Domain, cases)
	if err != nil {
		return out, err
	}
	if in.Anchor == "" && len(file) == 0 {
		out.Candidates, err = a.candidates(ctx, known, cases, group)
		return out, err
	}
	if in.Anchor != "" {
		c, err := pick(known, in.Anchor)
		if err != nil {
			return out, err
		}
		file = c.Raw
	}
	rows, err := a.anchorRows(AnchorAdd{Domain: group.Domain, Incoming: in.Incoming, Outgoing: in.Outgoing, Source: "held mail"}, file)
	if err != nil {
		return out, err
	}
	if len(rows) > 1 {
		return out, fmt.Errorf("gateway: the file holds %d authorities: give the one that is the partner's, by itself, so that what it lets in is seen", len(rows))
	}
	more := func(have []store.Anchor) []store.Anchor { return append(slices.Clone(have), rows...) }
	r, err := rehearsal.Run(ctx, cases, &proposed{db: a.s.Store, anchors: more})
	if err != nil {
		return out, err
	}
	for _, f := range r.Won {
		id, _, _ := strings.Cut(f.Peer, "@")
		out.Passes = append(out.Passes, id)
	}
	for _, id := range group.IDs {
		if !slices.Contains(out.Passes, id) {
			out.Stays++
		}
	}
	if c, err := rows[0].Parsed(); err == nil {
		out.Anchor = &touches([]*x509.Certificate{c}, nil, r)[0]
	}
	if out.Touched, err = a.s.anchorsTouch(ctx, group.Domain, in.Days, more); err != nil || !in.Apply {
		return out, err
	}
	if err := a.widenBy(ctx, group.Domain, rows); err != nil {
		return out, err
	}
	if err := a.s.Store.AddAnchors(ctx, rows, a.entry("anchor.add", group.Domain.String(), map[string]any{"from": "held mail", "group": group.Group, "passes": len(out.Passes)})); err != nil {
		return out, err
	}
	out.Applied = true
	for _, id := range out.Passes {
		if !in.Release {
			break
		}
		if err := a.HeldRelease(ctx, id); err != nil {
			return out, err
		}
		out.Released++
	}
	return out, nil
}

// pick is the one authority whose fingerprint begins so.
func pick(known []knownAuthority, prefix string) (*x509.Certificate, error) {
	for _, k := range known {
		if len(prefix) >= 8 && strings.HasPrefix(certs.Fingerprint(k.cert), strings.ToLower(prefix)) {
			return k.cert, nil
		}
	}
	return nil, fmt.Errorf("gateway: no authority known here begins with %q (8 digits or more); `postern held trust GROUP` lists those that would vouch, --file takes one from a file", prefix)
}

// heldCases is a group, and every held message of its domain as a case that a change of anchors may turn; the
// peer of a case is the held message's own id.
func (a Admin) heldCases(ctx context.Context, name string) (HeldGroup, []rehearsal.Case, error) {
	all, err := a.s.Store.HeldList(ctx, maxHeldLook)
	if err != nil {
		return HeldGroup{}, nil, err
	}
	groups, err := a.HeldGroups(ctx)
	if err != nil {
		return HeldGroup{}, nil, err
	}
	i := slices.IndexFunc(groups, func(g HeldGroup) bool { return g.Group == name || slices.Contains(g.IDs, name) })
	if i < 0 {
		return HeldGroup{}, nil, fmt.Errorf("held group %s (postern held groups): %w", name, store.ErrNotFound)
	}
	group := groups[i]
	known := map[string]*x509.Certificate{}
	var cases []rehearsal.Case
	for _, h := range all {
		if len(h.Recipients) == 0 || h.Recipients[0].Domain() != group.Domain {
			continue
		}
		judged, err := a.s.Store.DecisionsOf(ctx, h.Message)
		if err != nil {
			return group, nil, err
		}
		for _, j := range slices.Backward(judged) {
			if j.Domain != group.Domain || j.Reason != h.Reason {
				continue
			}
			path, err := a.s.seen(ctx, j.Path, known)
			if err != nil {
				return group, nil, err
			}
			_, partner, _ := strings.Cut(j.Peer, "@")
			cases = append(cases, rehearsal.Case{Domain: j.Domain, Direction: j.Direction, Purpose: j.Purpose, Peer: h.ID + "@" + partner, Path: path,
				PathID: strings.Join(j.Path, " "), Reason: j.Reason, Count: 1, Last: a.s.now()})
			break
		}
	}
	return group, cases, nil
}

// knownAuthority is an authority's certificate that is at hand, and where from.
type knownAuthority struct {
	cert *x509.Certificate
	from string
}

// authorities is every authority at hand that the domain does not trust already: those that came with the held
// mail, those of bundles here, and the anchors of our other domains.
func (a Admin) authorities(ctx context.Context, d addr.Domain, cases []rehearsal.Case) ([]knownAuthority, error) {
	have, err := a.s.Store.AnchorList(ctx, addr.Domain{})
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, r := range have {
		if r.Domain == d && r.Incoming {
			seen[r.Fingerprint] = true
		}
	}
	var out []knownAuthority
	add := func(c *x509.Certificate, from string) {
		if print := certs.Fingerprint(c); c.IsCA && !seen[print] {
			seen[print] = true
			out = append(out, knownAuthority{c, from})
		}
	}
	for _, c := range cases {
		for _, cert := range c.Path {
			add(cert, "it came with the message")
		}
	}
	bundles, err := a.s.Store.Bundles(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		list, err := a.s.Store.BundleAnchors(ctx, b.Name)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			add(c, "bundle "+b.Name+", to which "+d.String()+" does not subscribe for incoming mail")
		}
	}
	for _, r := range have {
		if c, err := r.Parsed(); err == nil {
			add(c, "an anchor of "+r.Domain.String())
		}
	}
	return out, nil
}

// candidates is the authorities that alone would let messages of a group in.
func (a Admin) candidates(ctx context.Context, known []knownAuthority, cases []rehearsal.Case, group HeldGroup) ([]Candidate, error) {
	out := []Candidate{}
	own := slices.DeleteFunc(slices.Clone(cases), func(c rehearsal.Case) bool {
		id, _, _ := strings.Cut(c.Peer, "@")
		return !slices.Contains(group.IDs, id)
	})
	for _, k := range known {
		r, err := rehearsal.Run(ctx, own, trust.Fixed{Set: trust.NewAnchorSet([]*x509.Certificate{k.cert})})
		if err != nil {
			return nil, err
		}
		if len(r.Won) > 0 {
			out = append(out, Candidate{certs.Fingerprint(k.cert), k.cert.Subject.String(), k.cert.NotAfter.UTC(), k.from, len(r.Won)})
		}
	}
	return out, nil
}

// HeldReleaseGroup releases every message of a group: each is opened again under today's trust.
func (a Admin) HeldReleaseGroup(ctx context.Context, name string) (int, error) {
	groups, err := a.HeldGroups(ctx)
	if err != nil {
		return 0, err
	}
	for _, g := range groups {
		if g.Group != name {
			continue
		}
		for n, id := range g.IDs {
			if err := a.HeldRelease(ctx, id); err != nil {
				return n, err
			}
		}
		return len(g.IDs), nil
	}
	return 0, fmt.Errorf("held group %s (postern held groups): %w", name, store.ErrNotFound)
}
