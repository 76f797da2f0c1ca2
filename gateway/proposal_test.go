package gateway_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/store"
)

// shown is what a person who looks at the bundle's change says yes to.
func (w *world) shown() gateway.BundleArg {
	w.Helper()
	c, err := w.clinic.Admin().BundleDiff(w.ctx, gateway.BundleArg{Name: "community"})
	w.ok(err)
	return gateway.BundleArg{Name: "community", Proposal: c.ID}
}

// anchors is the subjects of the bundle's anchors in force.
func (w *world) anchors() (out []string) {
	w.Helper()
	have, err := w.clinic.Store.BundleAnchors(w.ctx, "community")
	w.ok(err)
	for _, c := range have {
		out = append(out, c.Subject.CommonName)
	}
	return out
}

// newer makes another version of the bundle wait: what is in force, with anchors of those names besides.
func (w *world) newer(p *publisher, base []byte, names ...string) {
	w.Helper()
	body := slices.Clone(base)
	for _, n := range names {
		body = append(body, w.strangerAnchor(n)...)
	}
	p.publish(body)
	r, err := w.refresh("anna")
	w.ok(err)
	if r.Outcome != gateway.Waits || r.Change.ID == "" || r.Change.ID != w.shown().Proposal {
		w.Fatalf("%+v: the id is not the one that is shown, %s", r, w.shown().Proposal)
	}
}

// What is applied is exactly what was shown; what came since is told, and nothing is done.
func TestWhatIsAppliedIsWhatWasShown(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	base := slices.Clone(p.body)
	w.newer(p, base, "Third CA")
	first := w.shown()
	if again := w.shown(); again.Proposal != first.Proposal {
		t.Fatalf("the same change is called %s, then %s", first.Proposal, again.Proposal)
	}
	w.newer(p, base, "Evil CA")
	before := w.anchors()
	r, err := w.clinic.As("anna").BundleApply(w.ctx, first)
	w.ok(err)
	if r.Outcome != gateway.Changed || r.Since == nil || len(r.Since.Added) != 1 || !strings.Contains(r.Since.Added[0], "Evil CA") ||
		len(r.Since.Removed) != 1 || !strings.Contains(r.Since.Removed[0], "Third CA") || !strings.Contains(r.Since.Words, store.Superseded) {
		t.Errorf("what came since: %+v %+v", r, r.Since)
	}
	if r.Change == nil || r.Change.ID != w.shown().Proposal || !slices.Equal(w.anchors(), before) {
		t.Errorf("applied though it was not shown, or what waits is not told: %v", w.anchors())
	}
	if _, err := w.clinic.As("anna").BundleReject(w.ctx, first); err == nil || !strings.Contains(err.Error(), "nothing is rejected") {
		t.Errorf("another one than was shown was rejected: %v", err)
	}
	if r, err := w.clinic.As("anna").BundleApply(w.ctx, w.shown()); err != nil || r.Outcome != gateway.AppliedIt || !slices.Contains(w.anchors(), "Evil CA") {
		t.Errorf("what was shown: %+v %v", r, err)
	}
}

func TestProposalsThatAreNone(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	base := slices.Clone(p.body)
	for _, c := range []struct{ what, id, says string }{
		{"nothing waits", "p-aaaaaaaaaa.00000000", "nothing waits for bundle community"},
		{"without an id", "", "--proposal ID applies exactly that"},
		{"an id of nothing", "p-aaaaaaaaaa.00000000", "is no proposal for bundle community"},
		{"no id at all", "; drop", "is no proposal for bundle community"},
	} {
		if c.what == "without an id" {
			w.newer(p, base, "Third CA")
		}
		if _, err := w.clinic.As("anna").BundleApply(w.ctx, gateway.BundleArg{Name: "community", Proposal: c.id}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// The same file is another change once the anchors in force are others.
func TestTheAnchorsInForceChangedSinceItWasShown(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	base := slices.Clone(p.body)
	w.newer(p, base, "Third CA")
	r, err := w.clinic.As("anna").BundleApply(w.ctx, w.shown())
	if err != nil || r.Outcome != gateway.AppliedIt {
		t.Fatalf("%+v %v", r, err)
	}
	w.newer(p, p.body, "Fourth CA")
	seen := w.shown()
	w.undoLast("bundle.apply")
	r, err = w.clinic.As("anna").BundleApply(w.ctx, seen)
	w.ok(err)
	if r.Outcome != gateway.Changed || !strings.Contains(r.Since.Words, "anchors in force were changed") || slices.Contains(w.anchors(), "Fourth CA") {
		t.Errorf("%+v, in force %v", r, w.anchors())
	}
}

// Two persons say yes to the same change, or it is not done.
func TestTwoPersonsSawTheSame(t *testing.T) {
	w, p := subscribed(t, store.BundleSettings{MaxRemovedPercent: 20})
	base := slices.Clone(p.body)
	w.newer(p, base, "Third CA")
	_, err := w.clinic.Admin().BundleSet(w.ctx, gateway.BundleAdd{Name: "community", URL: p.URL, Settings: store.BundleSettings{TwoPersons: true, AllowPlain: true}})
	w.ok(err)
	saw := w.shown()
	if r, err := w.clinic.As("anna").BundleApply(w.ctx, saw); err != nil || r.Outcome != gateway.Waits {
		t.Fatalf("the first person: %+v %v", r, err)
	}
	w.newer(p, base, "Evil CA")
	if r, err := w.clinic.As("berta").BundleApply(w.ctx, saw); err != nil || r.Outcome != gateway.Changed {
		t.Errorf("the second, of what the first saw: %+v %v", r, err)
	}
	if r, err := w.clinic.As("berta").BundleApply(w.ctx, w.shown()); err != nil || r.Outcome != gateway.Waits || slices.Contains(w.anchors(), "Evil CA") {
		t.Errorf("what the first did not see was applied: %+v %v", r, err)
	}
	if _, err := w.clinic.As("berta").BundleApply(w.ctx, w.shown()); !errors.Is(err, store.ErrSamePerson) {
		t.Errorf("the same person twice: %v", err)
	}
	if r, err := w.clinic.As("anna").BundleApply(w.ctx, w.shown()); err != nil || r.Outcome != gateway.AppliedIt {
		t.Errorf("both, of the same: %+v %v", r, err)
	}
}
