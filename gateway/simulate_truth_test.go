package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// A simulation that can say nothing about a policy says that, not that nothing would change.
func TestASimulationThatCannotKnow(t *testing.T) {
	w := newWorld(t, "")
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	for _, c := range []struct {
		what string
		in   gateway.Simulate
		says string
	}{
		{"about our own that sign", gateway.Simulate{Direction: trust.Outgoing, Use: "sign"}, "our own certificates"},
		{"about our own that open mail", gateway.Simulate{Direction: trust.Incoming, Use: "decrypt"}, "our own certificates"},
		{"for a use there is not", gateway.Simulate{Direction: trust.Incoming, Use: "nonsense"}, "use sign"},
		{"for a direction there is not", gateway.Simulate{Direction: "sideways", Use: "sign"}, "incoming or outgoing"},
		{"taken out, and never in force", gateway.Simulate{Direction: trust.Incoming, Use: "sign", PolicyRemove: true}, "in force"},
	} {
		c.in.Domain, c.in.PolicyName, c.in.PolicyText = w.clinic.Domain, "never", "never: cert.key_bits < 0"
		if got, err := w.clinic.Admin().Simulate(w.ctx, c.in, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v %v", c.what, got.Touched, err)
		}
	}
}

// What a bundle's change would do is told of each domain by the directions that one subscribed for.
func TestADiffKeepsTheDirectionsOfEachDomain(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	id := w.send(w.clinic, w.note(w.intake, w.dr), w.intake, w.dr)
	w.ok(w.clinic.Until(w.ctx, "sending is refused", func() (bool, error) {
		l, err := w.clinic.Ladder(w.ctx, id, w.dr)
		return has(l, track.Refused), err
	}))
	two := addr.MustDomain("two.clinic.example")
	w.ok(w.clinic.Admin().DomainAdd(w.ctx, gateway.DomainAdd{Domain: two}))
	_, err := w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community"}, w.strangerAnchor("Other CA"))
	w.ok(err)
	for _, sub := range []store.Subscription{{Domain: w.clinic.Domain, Incoming: true}, {Domain: two, Outgoing: true}} {
		sub.Bundle = "community"
		_, err := w.clinic.Admin().BundleSubscribe(w.ctx, gateway.SubscribeArg{Subscription: sub})
		w.ok(err)
	}
	r, err := w.clinic.Admin().BundleRefresh(w.ctx, gateway.BundleArg{Name: "community"}, w.hospital.Anchor)
	if err != nil || r.Change == nil || r.Change.Touched.Messages == 0 {
		t.Fatalf("%+v %v", r, err)
	}
	if r.Change.Touched.WonN != 0 {
		t.Errorf("a domain that subscribes for mail it receives would send: %+v", r.Change.Touched.Won)
	}
}

// What an earlier change did already is not told of the next one: a look says what this change does.
func TestALookTellsOfThisChangeAlone(t *testing.T) {
	w := newWorld(t, "")
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	w.forgetAnchors(w.clinic)
	look := gateway.AnchorAdd{Domain: w.clinic.Domain, Incoming: true, Outgoing: true, Look: true}
	got, err := w.clinic.Admin().AnchorAddFile(w.ctx, look, w.strangerAnchor("Other CA"))
	if err != nil || got.Touched.Messages == 0 || got.Touched.LostN+got.Touched.WonN != 0 {
		t.Errorf("a stranger's anchor, after the partner's was removed: %+v %v", got.Touched, err)
	}
	if got, err = w.clinic.Admin().AnchorAddFile(w.ctx, look, w.hospital.Anchor); err != nil || got.Touched.WonN == 0 || got.Touched.Won[0].Reasons[0] != "no_anchors" {
		t.Errorf("the partner's anchor again: %+v %v", got.Touched, err)
	}
	if got := w.reaches(); got != "no_anchors" {
		t.Fatal(got)
	}
	look.Look = false
	if _, err := w.clinic.Admin().AnchorAddFile(w.ctx, look, w.hospital.Anchor); err != nil {
		t.Fatal(err)
	}
	look.Look = true
	if got, err = w.clinic.Admin().AnchorAddFile(w.ctx, look, w.strangerAnchor("Third CA")); err != nil || got.Touched.LostN+got.Touched.WonN != 0 {
		t.Errorf("a stranger's anchor, after the partner's came back: %+v %v", got.Touched, err)
	}
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	out, err := w.clinic.Admin().Simulate(w.ctx, gateway.Simulate{Domain: w.clinic.Domain, Remove: []string{rows[0].Fingerprint}}, nil)
	if err != nil || out.LostN != out.Messages-out.Left || out.Removed[0].Changed != out.LostN {
		t.Errorf("its removal, also for what was refused once: %+v %v", out, err)
	}
}

// A removal is simulated as it would be done: what a bundle brings too stays.
func TestASimulatedRemovalIsWhatARemovalDoes(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{})
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor)) // by hand too
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	hand := rows[slices.IndexFunc(rows, func(r store.Anchor) bool { return !strings.HasPrefix(r.Source, "bundle ") })].Fingerprint
	in := gateway.Simulate{Domain: w.clinic.Domain, Remove: []string{hand[:16]}}
	if got, err := w.clinic.Admin().Simulate(w.ctx, in, nil); err != nil || got.LostN != 0 {
		t.Errorf("by hand and by a bundle: %+v %v", got.Touched, err)
	}
	w.ok(w.clinic.Admin().AnchorRemove(w.ctx, w.clinic.Domain, hand))
	if got := w.reaches(); got != "filed" {
		t.Errorf("after the removal: %s", got)
	}
	if got, err := w.clinic.Admin().Simulate(w.ctx, in, nil); err != nil || got.LostN == 0 {
		t.Errorf("by a bundle alone: %+v %v", got.Touched, err)
	}
}
