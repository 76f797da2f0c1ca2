package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/gateway/store"
	"postern/trust/bundle"
)

// Limits of a bundle's settings.
const (
	MinInterval     = 15 * time.Minute // between looks at a publisher
	DefaultInterval = 24 * time.Hour   // TB-30
	DefaultRemoved  = 20               // per cent of the anchors that may go without a person
	expiringSoon    = 90 * 24 * time.Hour
)

// BundleAdd are the arguments of `trust bundle add`. Without a URL the call's octets are the bundle.
type BundleAdd struct {
	Name     string               `json:"name"`
	URL      string               `json:"url,omitempty"`
	Settings store.BundleSettings `json:"settings"`
}

// BundleAdded is what was read.
type BundleAdded struct {
	Bundle   store.Bundle     `json:"bundle"`
	Findings []bundle.Finding `json:"findings"`
}

// BundleAdd reads a bundle for the first time. Nobody believes its anchors before a domain subscribes.
func (a Admin) BundleAdd(ctx context.Context, in BundleAdd, file []byte) (BundleAdded, error) {
	if err := checkName("bundle", in.Name); err != nil {
		return BundleAdded{}, err
	}
	if err := checkBundle(in.URL, &in.Settings); err != nil {
		return BundleAdded{}, err
	}
	if _, err := a.s.Store.Bundle(ctx, in.Name); err == nil {
		return BundleAdded{}, fmt.Errorf("gateway: bundle %s is here already: postern trust bundle refresh %s [FILE] looks at a newer version, postern trust bundle set %s changes where it comes from", in.Name, in.Name, in.Name)
	} else if !errors.Is(err, store.ErrNotFound) {
		return BundleAdded{}, err
	}
	b := store.Bundle{Name: in.Name, Org: a.s.Org, URL: in.URL, Settings: in.Settings}
	got, err := a.s.lookAt(ctx, b, file)
	if err != nil {
		return BundleAdded{}, fmt.Errorf("gateway: bundle %s: %w%s", in.Name, err, bundleRemedy(bundle.ReasonOf(err), len(file) > 0))
	}
	b.Look = a.s.lookOf(b, got)
	if _, err := a.s.Store.AddBundle(ctx, b, got.Bundle.Certs, a.entry("bundle.add", in.Name, map[string]any{"url": in.URL})); err != nil {
		return BundleAdded{}, err
	}
	b, err = a.s.Store.Bundle(ctx, in.Name)
	return BundleAdded{b, got.Bundle.Findings}, err
}

func checkName(what, name string) error {
	if name == "" || len(name) > 60 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return fmt.Errorf("gateway: %s name %q: use up to 60 characters of a-z, 0-9, dot, hyphen and underscore", what, name)
	}
	return nil
}

// checkBundle refuses settings that could not work.
func checkBundle(url string, set *store.BundleSettings) error {
	if url == "" {
		set.Interval = 0
	}
	switch {
	case set.Interval != 0 && set.Interval < MinInterval:
		return fmt.Errorf("gateway: a bundle is looked at every %s at most, not every %s; 0 is by hand only", MinInterval, set.Interval)
	case set.MaxRemovedPercent < 0 || set.MaxRemovedPercent > 100:
		return fmt.Errorf("gateway: %d per cent", set.MaxRemovedPercent)
	case url != "" && !strings.HasPrefix(strings.ToLower(url), "https://") && !strings.HasPrefix(strings.ToLower(url), "http://"):
		return fmt.Errorf("gateway: a bundle is fetched from an https:// or http:// URL, not %.200q", url)
	case set.Auto && set.TwoPersons:
		return errors.New("gateway: a bundle cannot both be applied by itself and need two persons")
	}
	_, err := signersOf(*set)
	return err
}

func signersOf(set store.BundleSettings) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, der := range set.Signers {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("gateway: a bundle's signer cannot be read: %w", err)
		}
		out = append(out, c)
	}
	return out, nil
}

// lookAt reads a bundle from its source, or from octets that were given.
func (s *Site) lookAt(ctx context.Context, b store.Bundle, file []byte) (bundle.Fetched, error) {
	signers, err := signersOf(b.Settings)
	if err != nil {
		return bundle.Fetched{}, err
	}
	if len(file) > 0 || b.URL == "" {
		got, err := bundle.Parse(file, bundle.Options{Signers: signers, Time: s.now(), AllowLeaves: b.Settings.AllowLeaves})
		if err != nil {
			return bundle.Fetched{}, err
		}
		return bundle.Fetched{Bundle: got}, nil
	}
	return bundle.Fetch(ctx, s.web, bundle.Source{URL: b.URL, Signers: signers, AllowLeaves: b.Settings.AllowLeaves, AllowPlain: b.Settings.AllowPlain,
		Checksum: b.Look.Checksum, ETag: b.Look.ETag, Modified: b.Look.Modified}, s.now())
}

// lookOf is the state of a bundle after a successful look at it.
func (s *Site) lookOf(b store.Bundle, got bundle.Fetched) store.BundleLook {
	l := b.Look
	l.Attempted, l.Succeeded, l.Failures, l.Reason, l.Detail = s.now(), s.now(), 0, "", ""
	l.ETag, l.Modified = got.ETag, got.Modified
	if got.Bundle != nil {
		l.Checksum, l.Seen = got.Bundle.Checksum, got.Bundle.Checksum
		l.Signer, l.Metadata = nil, nil
		if got.Bundle.Signer != nil {
			l.Signer = got.Bundle.Signer.Raw
		}
		if got.Bundle.Metadata != nil {
			l.Metadata, _ = json.Marshal(got.Bundle.Metadata) // plain strings and times always marshal
		}
	}
	l.Due = s.bundleDue(b.Settings.Interval, l)
	return l
}

func (s *Site) bundleDue(every time.Duration, l store.BundleLook) time.Time {
	s.chance.Lock()
	defer s.chance.Unlock()
	due, ok := bundle.Schedule{Interval: every, Success: l.Succeeded, Attempt: l.Attempted, Failures: l.Failures}.Next(s.chance.Rand)
	if !ok {
		return time.Time{}
	}
	return due
}

// bundleRemedy is what to do about a bundle that is not taken over.
func bundleRemedy(r bundle.Reason, file bool) string {
	if file && (r == bundle.InvalidFormat || r == bundle.TooLarge) {
		return "; give the bundle's file: .p7b, .p7c, .p7m or PEM, 4 MiB at most"
	}
	words := map[bundle.Reason]string{
		bundle.TooLarge:         "a bundle of anchors is at most 4 MiB: check the URL",
		bundle.InvalidFormat:    "check the URL: publishers move bundles and leave a page behind",
		bundle.Empty:            "no anchor is taken over from it; ask the publisher. --leaf takes end-entity certificates",
		bundle.Unsigned:         "ask the publisher for the signed form (.p7m), or, if unsigned is meant, postern trust bundle set --no-signer",
		bundle.UnmatchedSigner:  "somebody else signed it: ask the publisher by another way whether the signer changed before you change --signer",
		bundle.InvalidSignature: "it was altered on the way or published damaged: ask the publisher",
		bundle.InvalidSigner:    "give the publisher's present signing certificate: postern trust bundle set --signer",
		bundle.NotFound:         "the publisher has none there: ask where it is now",
		bundle.Timeout:          "it is tried again by itself; the anchors in force stay",
		bundle.Unprotected:      "use https://, configure the --signer, or accept it with --plain-http",
		bundle.Blocked:          "give an https URL of a public host, or allow the network: relay.allow_private",
	}
	if w, ok := words[r]; ok {
		return "; " + w
	}
	return ""
}

// BundleArg names a bundle.
type BundleArg struct {
	Name  string `json:"name"`
	Days  int    `json:"days,omitempty"`
	Again bool   `json:"again,omitempty"` // of a refresh: propose again what a person rejected

	Proposal string `json:"proposal,omitempty"` // of apply and reject: what was shown (BundleChange.ID)
}

// Refreshed is what a look at a bundle's source led to.
type Refreshed struct {
	Bundle  string        `json:"bundle"`
	Outcome string        `json:"outcome"` // unchanged, applied, waiting, changed
	Why     string        `json:"why,omitempty"`
	Change  *BundleChange `json:"change,omitempty"`
	Since   *SinceShown   `json:"since,omitempty"` // of changed: how what waits differs from what was shown
}

// Outcomes of a refresh.
const (
	Unchanged = "unchanged"
	AppliedIt = "applied"
	Waits     = "waiting"
	Changed   = "changed" // what waits is not what was shown: nothing was done
)

// BundleRefresh looks at a bundle's source now, or at the call's octets. What is new waits for a person unless
// the bundle's settings let it be applied by itself.
func (a Admin) BundleRefresh(ctx context.Context, in BundleArg, file []byte) (Refreshed, error) {
	b, err := a.s.Store.Bundle(ctx, in.Name)
	if err != nil {
		return Refreshed{}, err
	}
	if b.URL == "" && len(file) == 0 {
		return Refreshed{}, fmt.Errorf("gateway: bundle %s has no URL: give the newer file", in.Name)
	}
	return a.s.refresh(ctx, in, file, a)
}

// refresh is one look, with everything that follows from it. Whatever fails, the anchors in force stay (TB-31).
func (s *Site) refresh(ctx context.Context, in BundleArg, file []byte, by Admin) (Refreshed, error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	out := Refreshed{Bundle: in.Name, Outcome: Unchanged}
	b, err := s.Store.Bundle(ctx, in.Name) // as it stands now: another may have changed it before the lock was free
	if err != nil {
		return out, err
	}
	left, err := s.leftAside(ctx, b)
	if err != nil {
		return out, err
	}
	if in.Again || len(file) > 0 {
		left, b.Look.ETag, b.Look.Modified = false, "", "" // a person asks for it again
	}
	got, err := s.lookAt(ctx, b, file)
	if err != nil {
		if ctx.Err() != nil {
			return out, err
		}
		return out, s.lookFailed(ctx, b, err)
	}
	look := s.lookOf(b, got)
	if got.Bundle == nil || got.Bundle.Checksum == b.Look.Checksum {
		look.Checksum, look.Seen = b.Look.Checksum, b.Look.Seen
		if left && got.NotModified {
			out.Why = asideWords
		}
		if !got.NotModified { // the very file in force again: what waited was taken back
			look.Seen = b.Look.Checksum
			if err := s.Store.Withdraw(ctx, store.ProposeBundle, b.Name); err != nil {
				return out, err
			}
		}
		return out, s.Store.LookedAt(ctx, b.Name, look)
	}
	have, err := s.Store.BundleAnchors(ctx, b.Name)
	if err != nil {
		return out, err
	}
	d := bundle.Diff(have, got.Bundle.Certs, time.Time{})
	if d.Empty() { // other octets, the same anchors
		if err := s.Store.Withdraw(ctx, store.ProposeBundle, b.Name); err != nil {
			return out, err
		}
		return out, s.Store.LookedAt(ctx, b.Name, look)
	}
	if left && got.Bundle.Checksum == b.Look.Seen {
		look.Checksum, look.Signer, look.Metadata = b.Look.Checksum, b.Look.Signer, b.Look.Metadata
		out.Why = asideWords
		return out, s.Store.LookedAt(ctx, b.Name, look)
	}
	change, err := s.bundleChange(ctx, b, got.Bundle, DefaultDays)
	if err != nil {
		return out, err
	}
	out.Change = &change
	if out.Why = stop(b, d); out.Why == "" {
		undone, err := s.Store.LastUndone(ctx, b.Name)
		if err != nil {
			return out, err
		}
		if undone {
			out.Why = "the last change of this bundle was undone, so a person decides about the next"
		}
	}
	if out.Why == "" {
		out.Outcome = AppliedIt
		_, err := s.Store.ApplyBundle(ctx, b.Name, got.Bundle.Certs, look, "", by.entry("bundle.apply", b.Name, changeWords(change)))
		s.Log.Info("a trust bundle has changed and was applied", "bundle", b.Name, "added", len(d.Added), "removed", len(d.Removed))
		return out, errors.Join(err, s.tellBundle(ctx, b, change, "It was applied by itself, as the bundle's settings say. `postern trust undo` takes it back."))
	}
	out.Outcome = Waits
	return out, s.proposeBundle(ctx, b, got, look, out, by)
}

const asideWords = "the publisher's newest version is one that a person rejected; --again proposes it again"

// leftAside reports whether the newest version seen of a bundle is one that a person rejected: it is not in force
// and does not wait.
func (s *Site) leftAside(ctx context.Context, b store.Bundle) (bool, error) {
	if b.Look.Checksum == "" || b.Look.Seen == "" || b.Look.Seen == b.Look.Checksum { // without a checksum: undone, or a new source
		return false, nil
	}
	_, err := s.Store.WaitingFor(ctx, store.ProposeBundle, b.Name)
	if errors.Is(err, store.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// BundleState is a bundle, and whether a newer version of it waits for a person.
type BundleState struct {
	store.Bundle
	Waits bool `json:"waits"`
}

// BundleList lists the bundles as they stand.
func (a Admin) BundleList(ctx context.Context) ([]BundleState, error) {
	all, err := a.s.Store.Bundles(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := a.s.Store.Proposals(ctx)
	out := make([]BundleState, 0, len(all))
	for _, b := range all {
		out = append(out, BundleState{b, slices.ContainsFunc(waiting, func(p store.Proposal) bool { return p.Kind == store.ProposeBundle && p.Object == b.Name })})
	}
	return out, err
}

func (s *Site) lookFailed(ctx context.Context, b store.Bundle, err error) error {
	l := b.Look
	reason := bundle.ReasonOf(err)
	l.Attempted, l.Failures, l.Reason, l.Detail = s.now(), l.Failures+1, string(reason), err.Error()
	l.Due = s.bundleDue(b.Settings.Interval, l)
	s.Log.Warn("a trust bundle could not be refreshed; the anchors in force stay", "bundle", b.Name, "reason", reason, "failures", l.Failures, "error", err)
	if e := s.Store.LookedAt(ctx, b.Name, l); e != nil {
		return errors.Join(err, e)
	}
	return fmt.Errorf("gateway: bundle %s, the anchors in force stay: %w%s", b.Name, err, bundleRemedy(reason, b.URL == ""))
}
