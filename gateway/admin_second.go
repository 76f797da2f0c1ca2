package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/store"
	"postern/smime/addr"
)

// proposeAnchors is a proposal to let a domain believe anchors by hand; its content is which and for what.
const proposeAnchors = "anchors"

// twoFor is the bundle that needs two persons among those a domain believes, or "": what else lets anchors in there
// needs two as well, or one person could do without the bundle.
func (a Admin) twoFor(ctx context.Context, d addr.Domain) (string, error) {
	all, err := a.s.Store.Bundles(ctx)
	if err != nil {
		return "", err
	}
	for _, b := range all {
		if b.Settings.TwoPersons && slices.ContainsFunc(b.Subscriptions, func(s store.Subscription) bool { return s.Domain == d }) {
			return b.Name, nil
		}
	}
	return "", nil
}

// widened is what a person wants a domain to believe.
type widened struct {
	Act      string   `json:"act"` // add, unblock
	Anchors  []string `json:"anchors"`
	Incoming bool     `json:"incoming"`
	Outgoing bool     `json:"outgoing"`
}

// widen lets anchors into a domain go ahead: at once where one person may, and else when a second one has asked for
// the very same. To take anchors away, one is enough: it may be urgent.
func (a Admin) widen(ctx context.Context, d addr.Domain, act widened) error {
	name, err := a.twoFor(ctx, d)
	if err != nil || name == "" {
		return err
	}
	slices.Sort(act.Anchors)
	object := d.String() + " " + act.Act
	p, err := a.second(ctx, proposeAnchors, object, act)
	if err != nil {
		return err
	}
	if p == "" {
		return fmt.Errorf("gateway: %s believes bundle %s, whose changes need two persons, so this needs two as well: nothing is changed until another one gives the same command", d, name)
	}
	return a.s.Store.Withdraw(ctx, proposeAnchors, object)
}

// widenBy is widen for anchors to be added.
func (a Admin) widenBy(ctx context.Context, d addr.Domain, rows []store.Anchor) error {
	act := widened{Act: "add"}
	for _, r := range rows {
		act.Anchors = append(act.Anchors, r.Fingerprint)
		act.Incoming, act.Outgoing = r.Incoming, r.Outgoing
	}
	return a.widen(ctx, d, act)
}

// needsTwo reports whether taking a change back is for two persons: it touched a bundle that needs two, or would let
// anchors into a domain that believes one.
func (a Admin) needsTwo(ctx context.Context, change int64) (bool, error) {
	c, err := a.s.Store.TrustChange(ctx, change)
	if err != nil {
		return false, err
	}
	bundles, err := a.s.Store.Bundles(ctx)
	if err != nil {
		return false, err
	}
	for _, b := range bundles {
		touched := slices.ContainsFunc(append(slices.Clone(c.Before), c.After...), func(r store.TrustRow) bool {
			return r.Values["bundle"] == b.Name || r.Table == "bundle" && r.Values["name"] == b.Name
		})
		if touched && b.Settings.TwoPersons {
			return true, nil
		}
	}
	for _, r := range c.Before {
		if r.Table != "anchor" && r.Table != "subscription" {
			continue
		}
		if two, err := a.rowNeedsTwo(ctx, r); two || err != nil {
			return two, err
		}
	}
	for _, r := range c.After {
		if r.Table != "anchor_block" {
			continue
		}
		if two, err := a.rowNeedsTwo(ctx, r); two || err != nil {
			return two, err
		}
	}
	return false, nil
}

func (a Admin) rowNeedsTwo(ctx context.Context, r store.TrustRow) (bool, error) {
	text, _ := r.Values["domain"].(string)
	var d addr.Domain
	if err := d.UnmarshalText([]byte(text)); err != nil {
		return false, err
	}
	name, err := a.twoFor(ctx, d)
	return name != "", err
}

// secondNeeded is why a change by one person waits.
const secondNeeded = "changes of this bundle need two persons; another one gives the same command (a trust administrator with --as)"

// second asks for a second person to an act: the first one's call proposes it, and the call of another with the
// very same content approves it. The id of the proposal comes back once both have spoken.
func (a Admin) second(ctx context.Context, kind, object string, act any) (string, error) {
	content, err := json.Marshal(act)
	if err != nil {
		return "", err
	}
	who, err := a.voice(ctx)
	if err != nil {
		return "", err
	}
	p, err := a.s.Store.WaitingFor(ctx, kind, object)
	var said []store.Approval
	if err == nil && string(p.Content) == string(content) {
		if said, err = a.standing(ctx, p.Approvals); err != nil {
			return "", err
		}
	}
	if slices.ContainsFunc(said, func(y store.Approval) bool { return alike(y.Actor, who) }) {
		_, err = a.s.Store.Approve(ctx, p.ID, store.Approval{Actor: who, Name: a.actor}, a.entry("bundle.approve", object, map[string]any{"proposal": p.ID}))
		return p.ID, err
	}
	return "", a.s.Store.Propose(ctx, store.Proposal{ID: "p-" + strings.ToLower(rand.Text()[:10]), Org: a.s.Org, Kind: kind, Object: object, Content: content,
		Why: secondNeeded, Actor: a.actor, Needs: 2, Approvals: []store.Approval{{Actor: who, Name: a.actor, At: a.s.now()}}},
		a.entry("bundle.propose", object, map[string]any{"kind": kind, "act": act}))
}
