package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/store"
	"postern/smime/addr"
)

// guarded is a clinic that believes a bundle which needs two persons; it holds a stranger's anchor only.
func guarded(t *testing.T) (*world, gateway.SubscribeArg) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	sub := gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true, Outgoing: true}}
	_, err := w.clinic.As("anna").BundleAdd(w.ctx, gateway.BundleAdd{Name: "community", Settings: store.BundleSettings{TwoPersons: true}}, w.strangerAnchor("Other CA"))
	w.ok(err)
	_, err = w.clinic.As("anna").BundleAdd(w.ctx, gateway.BundleAdd{Name: "mine"}, w.hospital.Anchor)
	w.ok(err)
	for _, who := range []string{"anna", "berta"} {
		_, err := w.clinic.As(who).BundleSubscribe(w.ctx, sub)
		w.ok(err)
	}
	return w, sub
}

// Where a domain believes a bundle that needs two persons, one person has no other way to let anchors in.
func TestOnePersonDoesNotGetRoundTheSecond(t *testing.T) {
	w, sub := guarded(t)
	if got := w.reaches(); got != "untrusted" {
		t.Fatal(got)
	}
	groups, err := w.clinic.Admin().HeldGroups(w.ctx)
	w.ok(err)
	add := gateway.AnchorAdd{Domain: w.clinic.Domain, Incoming: true, Outgoing: true}
	sub.Bundle = "mine"
	ways := map[string]func(a gateway.Admin) error{
		"an anchor by hand": func(a gateway.Admin) error { _, err := a.AnchorAddFile(w.ctx, add, w.hospital.Anchor); return err },
		"from held mail": func(a gateway.Admin) error {
			_, err := a.HeldTrust(w.ctx, gateway.HeldTrust{Group: groups[0].Group, Incoming: true, Outgoing: true, Apply: true}, w.hospital.Anchor)
			return err
		},
	}
	for what, act := range ways {
		for range 2 {
			if err := act(w.clinic.As("anna")); err == nil {
				t.Errorf("%s: one person did it", what)
			}
		}
	}
	if r, err := w.clinic.As("anna").BundleSubscribe(w.ctx, sub); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("another bundle: %+v %v", r, err)
	}
	if got := w.reaches(); got != "untrusted" {
		t.Fatalf("by one person: %s", got)
	}
	w.ok(ways["an anchor by hand"](w.clinic.As("berta")))
	if got := w.reaches(); got != "filed" {
		t.Fatalf("by two: %s", got)
	}
	// To take it away one is enough; to bring it back, by undoing that, are two.
	w.removeByHand()
	if got := w.reaches(); got != "untrusted" {
		t.Errorf("after the removal: %s", got)
	}
	all, err := w.clinic.Admin().TrustChanges(w.ctx, gateway.ChangesArg{Limit: 1})
	w.ok(err)
	if _, err := w.clinic.As("anna").TrustUndo(w.ctx, all[0].Seq); err == nil || !strings.Contains(err.Error(), "two persons") {
		t.Errorf("undone by one person: %v", err)
	}
	// A block is one person's, to lift it is two's.
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	block := gateway.AnchorArg{Domain: w.clinic.Domain, Fingerprint: rows[0].Fingerprint, Why: "stolen"}
	_, err = w.clinic.As("anna").AnchorBlock(w.ctx, block)
	w.ok(err)
	block.Why = ""
	if _, err := w.clinic.As("anna").AnchorBlock(w.ctx, block); err == nil || !strings.Contains(err.Error(), "two persons") {
		t.Errorf("lifted by one person: %v", err)
	}
	_, err = w.clinic.As("berta").AnchorBlock(w.ctx, block)
	w.ok(err)
}

// removeByHand removes the hospital's anchor from the clinic, where it is by hand.
func (w *world) removeByHand() {
	w.Helper()
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	i := slices.IndexFunc(rows, func(r store.Anchor) bool { return r.Source == store.Manual })
	w.ok(w.clinic.Admin().AnchorRemove(w.ctx, w.clinic.Domain, rows[i].Fingerprint))
}

// A change that waited for one person waits for two from the moment the bundle needs two.
func TestTwoPersonsForAChangeThatWaitedAlready(t *testing.T) {
	w := newWorld(t, "")
	_, err := w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community"}, w.strangerAnchor("Other CA"))
	w.ok(err)
	arg := gateway.BundleArg{Name: "community"}
	if r, err := w.clinic.As("anna").BundleRefresh(w.ctx, arg, w.hospital.Anchor); err != nil || r.Outcome != gateway.Waits {
		t.Fatalf("%+v %v", r, err)
	}
	_, err = w.clinic.Admin().BundleSet(w.ctx, gateway.BundleAdd{Name: "community", Settings: store.BundleSettings{TwoPersons: true}})
	w.ok(err)
	arg = w.shown()
	if r, err := w.clinic.As("anna").BundleApply(w.ctx, arg); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("one person: %+v %v", r, err)
	}
	if r, err := w.clinic.As("berta").BundleApply(w.ctx, arg); err != nil || r.Outcome != gateway.AppliedIt {
		t.Errorf("two: %+v %v", r, err)
	}
}

// A first person's yes is to the anchors that were there, not to a bundle of the same name made anew.
func TestTheSecondPersonSpeaksOfTheSameAnchors(t *testing.T) {
	w := newWorld(t, "")
	two := store.BundleSettings{TwoPersons: true}
	sub := gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true}}
	_, err := w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community", Settings: two}, w.strangerAnchor("Other CA"))
	w.ok(err)
	if _, err := w.clinic.As("anna").BundleSubscribe(w.ctx, sub); err != nil {
		t.Fatal(err)
	}
	_, err = w.clinic.As("berta").BundleRemove(w.ctx, gateway.BundleArg{Name: "community"})
	w.ok(err)
	_, err = w.clinic.As("berta").BundleAdd(w.ctx, gateway.BundleAdd{Name: "community", Settings: two}, w.strangerAnchor("Berta's own CA"))
	w.ok(err)
	if r, err := w.clinic.As("berta").BundleSubscribe(w.ctx, sub); err != nil || r.Outcome != gateway.Waits {
		t.Errorf("one person and an old yes: %+v %v", r, err)
	}
}

// From held mail one authority is trusted at a time: the one whose messages were shown.
func TestHeldMailTrustsOneAuthorityAtATime(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	if got := w.reaches(); got != "no_anchors" {
		t.Fatal(got)
	}
	groups, err := w.clinic.Admin().HeldGroups(w.ctx)
	w.ok(err)
	in := gateway.HeldTrust{Group: groups[0].Group, Incoming: true, Apply: true}
	if _, err := w.clinic.Admin().HeldTrust(w.ctx, in, append(slices.Clone(w.hospital.Anchor), w.strangerAnchor("Stowaway")...)); err == nil || !strings.Contains(err.Error(), "2 authorities") {
		t.Errorf("two at once: %v", err)
	}
	if rows, err := w.clinic.Store.AnchorList(w.ctx, addr.Domain{}); err != nil || len(rows) != 0 {
		t.Errorf("%d anchors, %v", len(rows), err)
	}
}
