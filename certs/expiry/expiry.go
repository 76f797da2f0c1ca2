// Package expiry watches dates: certificates of ours, anchors, revocation lists, bundle signers, TLS
// certificates and partners' certificates, each told of once at each threshold before its end.
//
// It is a decision without effects: given the items, the time and what was told before, it says what
// is due now, what to remember, and when to look again. Who is told, and how, is the caller's.
//
// Limits: 100,000 items, 16 thresholds.
package expiry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Limits.
const (
	MaxItems      = 100_000
	MaxThresholds = 16
)

const day = 24 * time.Hour

// DefaultThresholds are how long before its end an item is told of; the last is the end itself.
func DefaultThresholds() []time.Duration {
	return []time.Duration{60 * day, 30 * day, 14 * day, 7 * day, 3 * day, day, 0}
}

// Kind is what sort of thing ends.
type Kind string

// The kinds.
const (
	Own     Kind = "own"           // our certificate for mail
	TLS     Kind = "tls"           // our certificate for connections
	Anchor  Kind = "anchor"        // an anchor we trust
	List    Kind = "crl"           // a revocation list's nextUpdate
	Signer  Kind = "bundle_signer" // who signs a trust bundle
	Partner Kind = "partner"       // a partner's certificate
)

// Item is a thing with an end. ID tells it from every other, of its own renewal too: a fingerprint, or
// the list's address.
type Item struct {
	Kind Kind      `json:"kind"`
	ID   string    `json:"id"`
	Name string    `json:"name"` // for people
	Ends time.Time `json:"ends"`
}

// Notice is an item to tell of now.
type Notice struct {
	Item
	Left      time.Duration `json:"left_ns"`      // negative when it is over
	Threshold time.Duration `json:"threshold_ns"` // the one reached
}

// Words says it in one sentence.
func (n Notice) Words() string {
	things := map[Kind]string{Own: "Our certificate", TLS: "The TLS certificate", Anchor: "The trust anchor", List: "The revocation list",
		Signer: "The signer of the trust bundle", Partner: "A partner's certificate"}
	thing, ok := things[n.Kind]
	if !ok {
		thing = "The item"
	}
	switch days := int(n.Left / day); {
	case n.Left < 0:
		return fmt.Sprintf("%s %s ended on %s.", thing, n.Name, n.Ends.UTC().Format(time.DateOnly))
	case days == 0:
		return fmt.Sprintf("%s %s ends within a day, on %s.", thing, n.Name, n.Ends.UTC().Format("2006-01-02 15:04 MST"))
	case days == 1:
		return fmt.Sprintf("%s %s ends in 1 day, on %s.", thing, n.Name, n.Ends.UTC().Format(time.DateOnly))
	default:
		return fmt.Sprintf("%s %s ends in %d days, on %s.", thing, n.Name, days, n.Ends.UTC().Format(time.DateOnly))
	}
}

// Remedy is what to do about it, and who must.
func (n Notice) Remedy() string {
	switch n.Kind {
	case Own:
		return "You: renew it before then with postern cert roll, which publishes the new certificate before it signs. Afterwards nobody can write to it."
	case TLS:
		return "You: put the renewed certificate and key into the files the configuration names; they are read again by themselves."
	case Anchor:
		return "You: ask whose it is for the successor and add that beside it; every partner below this anchor is refused once it has ended."
	case List:
		return "The issuing authority must publish a newer list; until then what it says counts as not known. Tell them if it stays so."
	case Signer:
		return "Ask the publisher of the bundle who signs from then on, by another way than the bundle, and set it with postern trust bundle set --signer."
	case Partner:
		return "The partner must renew it. Tell them: postern why ADDRESS --letter writes the text."
	}
	return "Renew it."
}

// Told is what has been told: by kind and id, the smallest threshold. It is stored between looks.
type Told map[string]time.Duration

// Key tells an item from every other, as Told does.
func (i Item) Key() string { return string(i.Kind) + " " + i.ID }

// Result is one look.
type Result struct {
	Due  []Notice  // soonest end first
	Told Told      // to be remembered once the notices are on their way; items that are gone are gone from it
	Next time.Time // when something becomes due next; zero = nothing will
}

// ErrLimit says that there is more to watch than the limits allow.
var ErrLimit = errors.New("expiry: too much to watch")

// Look says what is due. Thresholds nil are the default ones; their order does not matter. An item
// first seen between two thresholds is told of once, for the last one passed.
func Look(items []Item, told Told, now time.Time, thresholds []time.Duration) (Result, error) {
	if thresholds == nil {
		thresholds = DefaultThresholds()
	}
	if len(items) > MaxItems || len(thresholds) > MaxThresholds {
		return Result{}, fmt.Errorf("%w: %d items at %d thresholds", ErrLimit, len(items), len(thresholds))
	}
	sorted := slices.Clone(thresholds)
	slices.Sort(sorted)
	r := Result{Told: Told{}}
	seen := map[string]bool{}
	for _, i := range items {
		k := i.Key()
		if seen[k] {
			continue
		}
		seen[k] = true
		left := i.Ends.Sub(now)
		before, was := told[k]
		if at, ok := reached(sorted, left); ok && (!was || at < before) {
			r.Due = append(r.Due, Notice{i, left, at})
			before, was = at, true
		}
		if was {
			r.Told[k] = before
		}
		r.sooner(i.Ends, sorted, left)
	}
	slices.SortStableFunc(r.Due, func(a, b Notice) int {
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Key(), b.Key()))
	})
	return r, nil
}

// reached is the smallest threshold that left has come down to.
func reached(sorted []time.Duration, left time.Duration) (time.Duration, bool) {
	for _, t := range sorted {
		if left <= t {
			return t, true
		}
	}
	return 0, false
}

// sooner notes when the item reaches its next threshold.
func (r *Result) sooner(ends time.Time, sorted []time.Duration, left time.Duration) {
	for _, t := range slices.Backward(sorted) {
		if t < left {
			if at := ends.Add(-t); r.Next.IsZero() || at.Before(r.Next) {
				r.Next = at
			}
			return
		}
	}
}
