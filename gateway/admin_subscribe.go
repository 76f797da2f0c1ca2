package gateway

import (
	"bytes"
	"context"
	"slices"

	"postern/gateway/rehearsal"
	"postern/gateway/store"
)

// BundleSet changes a bundle's URL and settings. Where two persons are needed they are for this too, or one could
// do away with the second.
func (a Admin) BundleSet(ctx context.Context, in BundleAdd) (Refreshed, error) {
	out := Refreshed{Bundle: in.Name, Outcome: AppliedIt}
	if err := checkBundle(in.URL, &in.Settings); err != nil {
		return out, err
	}
	a.s.refreshing.Lock()
	defer a.s.refreshing.Unlock()
	b, err := a.s.Store.Bundle(ctx, in.Name)
	if err != nil {
		return out, err
	}
	if b.Settings.TwoPersons {
		p, err := a.second(ctx, store.ProposeSettings, in.Name, in)
		if err != nil || p == "" {
			out.Outcome, out.Why = Waits, secondNeeded
			return out, err
		}
		if err := a.s.Store.Withdraw(ctx, store.ProposeSettings, in.Name); err != nil {
			return out, err
		}
	}
	if err := a.s.Store.SetBundle(ctx, in.Name, in.URL, in.Settings, a.s.bundleDue(in.Settings.Interval, b.Look), a.entry("bundle.set", in.Name, nil)); err != nil {
		return out, err
	}
	if in.URL == b.URL && in.Settings.AllowLeaves == b.Settings.AllowLeaves && slices.EqualFunc(in.Settings.Signers, b.Settings.Signers, bytes.Equal) {
		return out, nil
	}
	// What "not modified" and "the same file" were said of was another source, or judged in another way.
	l := b.Look
	l.ETag, l.Modified, l.Checksum, l.Seen = "", "", "", ""
	l.Due = a.s.bundleDue(in.Settings.Interval, l)
	return out, a.s.Store.LookedAt(ctx, in.Name, l)
}

// Subscribed is what a subscription does, or would do.
type Subscribed struct {
	Outcome string  `json:"outcome"` // applied, waiting
	Why     string  `json:"why,omitempty"`
	Anchors int     `json:"anchors"`
	Touched Touched `json:"touched"`
}

// BundleSubscribe lets a domain believe a bundle, or ends that when no direction is given. Look says what it
// would do, and does nothing.
func (a Admin) BundleSubscribe(ctx context.Context, in SubscribeArg) (Subscribed, error) {
	b, err := a.s.Store.Bundle(ctx, in.Bundle)
	if err != nil {
		return Subscribed{}, err
	}
	sub := store.Subscription{Domain: in.Domain, Bundle: in.Bundle, Org: a.s.Org, Incoming: in.Incoming, Outgoing: in.Outgoing}
	out := Subscribed{Outcome: AppliedIt, Anchors: b.Anchors}
	if out.Touched, err = a.subscribeTouches(ctx, b, sub, in.Days); err != nil || in.Look {
		return out, err
	}
	entry := a.entry("bundle.subscribe", in.Domain.String(), map[string]any{"bundle": in.Bundle, "incoming": in.Incoming, "outgoing": in.Outgoing})
	two := b.Settings.TwoPersons
	if !two && (sub.Incoming || sub.Outgoing) {
		name, err := a.twoFor(ctx, in.Domain)
		if err != nil {
			return out, err
		}
		two = name != ""
	}
	if !two {
		_, err = a.s.Store.Subscribe(ctx, sub, "", entry)
		return out, err
	}
	p, err := a.second(ctx, store.ProposeSubscribe, in.Domain.String()+" "+in.Bundle, struct {
		store.Subscription
		File string `json:"file"` // both persons speak of the same anchors
	}{sub, b.Look.Checksum})
	if err != nil || p == "" {
		out.Outcome, out.Why = Waits, secondNeeded
		return out, err
	}
	_, err = a.s.Store.Subscribe(ctx, sub, p, entry)
	return out, err
}

// SubscribeArg are the arguments of `trust bundle subscribe`.
type SubscribeArg struct {
	store.Subscription
	Days int  `json:"days,omitempty"`
	Look bool `json:"look,omitempty"`
}

func (a Admin) subscribeTouches(ctx context.Context, b store.Bundle, sub store.Subscription, days int) (Touched, error) {
	if days <= 0 {
		days = DefaultDays
	}
	have, err := a.s.Store.BundleAnchors(ctx, b.Name)
	if err != nil {
		return Touched{}, err
	}
	cases, err := a.s.cases(ctx, sub.Domain, days)
	if err != nil {
		return Touched{}, err
	}
	b.Subscriptions = nil
	if sub.Incoming || sub.Outgoing {
		b.Subscriptions = []store.Subscription{sub}
	}
	r, err := rehearsal.Compare(ctx, cases, &proposed{db: a.s.Store}, &proposed{db: a.s.Store, anchors: func(rows []store.Anchor) []store.Anchor { return withBundle(rows, b, have) }})
	return touched(days, r), err
}

// BundleRemove forgets a bundle nobody subscribes to.
func (a Admin) BundleRemove(ctx context.Context, in BundleArg) (none, error) {
	return none{}, a.s.Store.RemoveBundle(ctx, in.Name, a.entry("bundle.remove", in.Name, nil))
}
