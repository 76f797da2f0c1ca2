package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/certs"
	"postern/gateway/edge/control"
	"postern/gateway/rehearsal"
	"postern/gateway/store"
	"postern/trust/bundle"
)

// BundleChange is a newer version of a bundle that waits, held against what is in force.
type BundleChange struct {
	Bundle   string           `json:"bundle"`
	ID       string           `json:"proposal_id,omitempty"` // names exactly this change: trust bundle apply --proposal takes it
	Proposal *store.Proposal  `json:"proposal,omitempty"`    // nil: nothing waits, the source was not changed
	Added    []AnchorTouch    `json:"added"`
	Removed  []AnchorTouch    `json:"removed"`
	Expiring []AnchorTouch    `json:"expiring"` // of those there afterwards: within 90 days
	Kept     int              `json:"kept"`
	Percent  int              `json:"removed_percent"`
	Findings []bundle.Finding `json:"findings"`
	Touched  Touched          `json:"touched"`
}

// Empty reports whether nothing would change.
func (c BundleChange) Empty() bool { return c.Proposal == nil }

// BundleDiff holds the version that waits against the anchors in force and against the decisions of the last days.
func (a Admin) BundleDiff(ctx context.Context, in BundleArg) (BundleChange, error) {
	b, err := a.s.Store.Bundle(ctx, in.Name)
	if err != nil {
		return BundleChange{}, err
	}
	p, err := a.s.Store.WaitingFor(ctx, store.ProposeBundle, in.Name)
	if errors.Is(err, store.ErrNotFound) {
		have, err := a.s.Store.BundleAnchors(ctx, in.Name)
		return BundleChange{Bundle: in.Name, Added: []AnchorTouch{}, Removed: []AnchorTouch{}, Expiring: touches(a.s.ending(have), nil, rehearsal.Result{}), Kept: len(have),
			Findings: []bundle.Finding{}, Touched: touched(in.Days, rehearsal.Result{})}, err
	}
	if err != nil {
		return BundleChange{}, err
	}
	newer, err := a.s.parseProposed(b, p)
	if err != nil {
		return BundleChange{}, err
	}
	c, err := a.s.bundleChange(ctx, b, newer, in.Days)
	c.shows(p)
	return c, err
}

// shows names the change that a proposal amounts to now: by the proposal, whose file never changes, and by what of
// it is new, which depends on the anchors in force too.
func (c *BundleChange) shows(p store.Proposal) {
	c.Proposal, c.ID = &p, p.ID+"."+c.digest()
}

// digest stands for the anchors that come and go.
func (c *BundleChange) digest() string {
	h := sha256.New()
	for _, part := range [][]AnchorTouch{c.Added, c.Removed} {
		prints := make([]string, len(part))
		for i, t := range part {
			prints[i] = t.Fingerprint
		}
		slices.Sort(prints)
		fmt.Fprintf(h, "%q", prints)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

func (s *Site) ending(list []*x509.Certificate) []*x509.Certificate {
	return bundle.Diff(nil, list, s.now().Add(expiringSoon)).Expiring
}

// parseProposed reads the file of a proposal; it was judged when it came, and its signer is judged again.
func (s *Site) parseProposed(b store.Bundle, p store.Proposal) (*bundle.Bundle, error) {
	signers, err := signersOf(b.Settings)
	if err != nil {
		return nil, err
	}
	return bundle.Parse(p.Content, bundle.Options{Signers: signers, Time: s.now(), AllowLeaves: b.Settings.AllowLeaves})
}

// bundleChange says what taking over a newer version changes, and whom it touches.
func (s *Site) bundleChange(ctx context.Context, b store.Bundle, newer *bundle.Bundle, days int) (BundleChange, error) {
	if days <= 0 {
		days = DefaultDays
	}
	have, err := s.Store.BundleAnchors(ctx, b.Name)
	if err != nil {
		return BundleChange{}, err
	}
	d := bundle.Diff(have, newer.Certs, s.now().Add(expiringSoon))
	var cases []rehearsal.Case
	for _, sub := range b.Subscriptions {
		more, err := s.cases(ctx, sub.Domain, days)
		if err != nil {
			return BundleChange{}, err
		}
		cases = append(cases, more...)
	}
	r, err := rehearsal.Compare(ctx, cases, &proposed{db: s.Store}, &proposed{db: s.Store, anchors: func(rows []store.Anchor) []store.Anchor { return withBundle(rows, b, newer.Certs) }})
	if err != nil {
		return BundleChange{}, err
	}
	return BundleChange{Bundle: b.Name, Added: touches(d.Added, cases, r), Removed: touches(d.Removed, cases, r), Expiring: touches(d.Expiring, cases, r),
		Kept: len(d.Kept), Percent: d.RemovedPercent(), Findings: append([]bundle.Finding{}, newer.Findings...), Touched: touched(days, r)}, nil
}

// withBundle is a domain's anchors with a bundle's replaced, as far as the domain subscribes.
func withBundle(rows []store.Anchor, b store.Bundle, newer []*x509.Certificate) []store.Anchor {
	source := "bundle " + b.Name
	out := slices.DeleteFunc(slices.Clone(rows), func(r store.Anchor) bool { return r.Source == source })
	for _, sub := range b.Subscriptions {
		for _, c := range newer {
			row := anchorRow(c)
			row.Domain, row.Incoming, row.Outgoing, row.Source = sub.Domain, sub.Incoming, sub.Outgoing, source
			out = append(out, row)
		}
	}
	return out
}

// stop says why a change needs a person, or "".
func stop(b store.Bundle, d bundle.Change) string {
	switch {
	case b.Settings.TwoPersons:
		return "changes of this bundle need two persons"
	case !b.Settings.Auto:
		return "changes of this bundle are applied by a person"
	}
	return bundle.Rails{MaxRemovedPercent: b.Settings.MaxRemovedPercent}.Stop(d)
}

// proposeBundle makes a newer version wait, once.
func (s *Site) proposeBundle(ctx context.Context, b store.Bundle, got bundle.Fetched, look store.BundleLook, out Refreshed, by Admin) error {
	seen := look.Seen
	look.Checksum, look.Signer, look.Metadata = b.Look.Checksum, b.Look.Signer, b.Look.Metadata // of the file in force
	if p, err := s.Store.WaitingFor(ctx, store.ProposeBundle, b.Name); err == nil && b.Look.Seen == seen {
		out.Change.shows(p)
		return s.Store.LookedAt(ctx, b.Name, look) // it waits already
	}
	needs := 1
	if b.Settings.TwoPersons {
		needs = 2
	}
	p := store.Proposal{ID: "p-" + strings.ToLower(rand.Text()[:10]), Org: s.Org, Kind: store.ProposeBundle, Object: b.Name, Content: got.Bundle.File, Why: out.Why,
		Actor: by.actor, At: s.now(), Needs: needs}
	if err := s.Store.Propose(ctx, p, by.entry("bundle.propose", b.Name, map[string]any{"proposal": p.ID, "why": out.Why, "change": changeWords(*out.Change)})); err != nil {
		return err
	}
	if err := s.Store.LookedAt(ctx, b.Name, look); err != nil {
		return err
	}
	out.Change.shows(p)
	s.Log.Warn("a trust bundle has changed and waits for a person", "bundle", b.Name, "added", len(out.Change.Added), "removed", len(out.Change.Removed), "why", out.Why)
	return s.tellBundle(ctx, b, *out.Change, "It waits: "+out.Why+".\n\nSee it, and how to apply exactly what you see:  postern trust bundle diff "+b.Name)
}

// changeWords is a change for the audit.
func changeWords(c BundleChange) map[string]any {
	prints := func(list []AnchorTouch) []string {
		out := []string{}
		for _, t := range list {
			out = append(out, t.Fingerprint[:16]+" "+t.Subject)
		}
		return out
	}
	return map[string]any{"added": prints(c.Added), "removed": prints(c.Removed), "messages_lost": c.Touched.LostN, "messages_won": c.Touched.WonN}
}

// SinceShown is how the version that waits differs from the one that was shown.
type SinceShown struct {
	Added   []string `json:"added"` // anchors, by fingerprint and subject
	Removed []string `json:"removed"`
	Words   string   `json:"words"`
}

// BundleApply says yes to exactly the change that was shown (BundleChange.ID). It is done when enough persons have
// said so of the same change; where what waits has changed since, it says how and does nothing.
func (a Admin) BundleApply(ctx context.Context, in BundleArg) (Refreshed, error) {
	a.s.refreshing.Lock()
	defer a.s.refreshing.Unlock()
	out := Refreshed{Bundle: in.Name}
	b, err := a.s.Store.Bundle(ctx, in.Name)
	if err != nil {
		return out, err
	}
	p, err := a.s.waitsFor(ctx, in.Name)
	if err != nil {
		return out, err
	}
	newer, err := a.s.parseProposed(b, p)
	if err != nil {
		return out, err
	}
	change, err := a.s.bundleChange(ctx, b, newer, in.Days)
	if err != nil {
		return out, err
	}
	change.shows(p)
	out.Change = &change
	if in.Proposal == "" {
		return out, fmt.Errorf("gateway: say which change of bundle %s you have seen: postern trust bundle diff %s shows it with its proposal id, --proposal ID applies exactly that", in.Name, in.Name)
	}
	if in.Proposal != change.ID {
		out.Outcome = Changed
		out.Since, err = a.s.sinceShown(ctx, b, in.Proposal, p, newer)
		return out, err
	}
	saw := change.digest()
	needs := p.Needs
	if b.Settings.TwoPersons {
		needs = max(needs, 2) // two may have been asked for since it began to wait
	}
	who := a.actor
	if needs > 1 {
		if who, err = a.voice(ctx); err != nil {
			return out, err
		}
	}
	have, err := a.approvals(ctx, p, saw, who)
	if err != nil {
		return out, err
	}
	if have < needs { // enough said yes already when an earlier attempt was cut off
		if p, err = a.s.Store.Approve(ctx, p.ID, store.Approval{Actor: who, Name: a.actor, Saw: saw}, a.entry("bundle.approve", in.Name, map[string]any{"proposal": change.ID})); err != nil {
			return out, err
		}
		if have, err = a.approvals(ctx, p, saw, who); err != nil {
			return out, err
		}
	}
	if have < needs {
		out.Outcome, out.Why = Waits, fmt.Sprintf("%d of %d persons have approved; another one must", have, needs)
		return out, nil
	}
	look := b.Look
	applied := a.s.lookOf(b, bundle.Fetched{Bundle: newer, ETag: look.ETag, Modified: look.Modified})
	applied.Attempted, applied.Succeeded, applied.Due = look.Attempted, look.Succeeded, look.Due
	out.Outcome = AppliedIt
	_, err = a.s.Store.ApplyBundle(ctx, in.Name, newer.Certs, applied, p.ID, a.entry("bundle.apply", in.Name,
		map[string]any{"proposal": change.ID, "approvals": p.Approvals, "change": changeWords(change)}))
	return out, err
}

// waitsFor is the newer version of a bundle that waits.
func (s *Site) waitsFor(ctx context.Context, name string) (store.Proposal, error) {
	p, err := s.Store.WaitingFor(ctx, store.ProposeBundle, name)
	if errors.Is(err, store.ErrNotFound) {
		if _, err := s.Store.Bundle(ctx, name); err != nil {
			return p, err
		}
		err = fmt.Errorf("gateway: nothing waits for bundle %s: postern trust bundle refresh %s looks at its source", name, name)
		return p, &control.Error{Kind: "not_found", Text: err.Error()}
	}
	return p, err
}

// approvals counts the persons who said yes to what a proposal amounts to now, of the kind that counts by now.
func (a Admin) approvals(ctx context.Context, p store.Proposal, saw, who string) (n int, err error) {
	said, err := a.standing(ctx, p.Approvals)
	for _, y := range said {
		if y.Saw == saw && alike(y.Actor, who) {
			n++
		}
	}
	return n, err
}

// sinceShown holds what waits against what was shown under an id.
func (s *Site) sinceShown(ctx context.Context, b store.Bundle, shown string, now store.Proposal, newer *bundle.Bundle) (*SinceShown, error) {
	id, _, _ := strings.Cut(shown, ".")
	out := &SinceShown{Added: []string{}, Removed: []string{}}
	if id == now.ID {
		out.Words = "the same file waits, but the anchors in force were changed since it was shown"
		return out, nil
	}
	then, err := s.Store.Proposal(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (then.Object != b.Name || then.Kind != store.ProposeBundle) {
		return nil, fmt.Errorf("gateway: %q is no proposal for bundle %s: postern trust bundle diff %s shows the one that waits", shown, b.Name, b.Name)
	}
	if err != nil {
		return nil, err
	}
	out.Words = fmt.Sprintf("the version that was shown is %s; another one waits since %s", then.State, now.At.UTC().Format(time.RFC3339))
	old, err := s.parseProposed(b, then)
	if err != nil {
		out.Words += "; what was shown can no longer be read: " + err.Error()
		return out, nil
	}
	d := bundle.Diff(old.Certs, newer.Certs, time.Time{})
	for _, c := range d.Added {
		out.Added = append(out.Added, fmt.Sprintf("%.16s %s", certs.Fingerprint(c), c.Subject))
	}
	for _, c := range d.Removed {
		out.Removed = append(out.Removed, fmt.Sprintf("%.16s %s", certs.Fingerprint(c), c.Subject))
	}
	return out, nil
}

// BundleReject says no to what waits; with a proposal, only to that.
func (a Admin) BundleReject(ctx context.Context, in BundleArg) (none, error) {
	p, err := a.s.waitsFor(ctx, in.Name)
	if err != nil {
		return none{}, err
	}
	if id, _, _ := strings.Cut(in.Proposal, "."); in.Proposal != "" && id != p.ID {
		return none{}, fmt.Errorf("gateway: what waits for bundle %s is proposal %s, not %s: nothing is rejected", in.Name, p.ID, in.Proposal)
	}
	return none{}, a.s.Store.Reject(ctx, p.ID, a.entry("bundle.reject", in.Name, map[string]any{"proposal": p.ID}))
}
