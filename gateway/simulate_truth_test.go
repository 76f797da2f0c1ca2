package gateway_test

import (
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
