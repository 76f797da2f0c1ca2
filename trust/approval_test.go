package trust_test

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"postern/smime/addr"
	"postern/trust"
	"postern/trust/internal/testpki"
)

func TestApprovalCoversOnlyWhatWasApproved(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf, twin := root.Leaf(t, "dr@clinic.example"), root.Leaf(t, "dr@clinic.example")
	d := decide(t, evaluator(store{in: []*x509.Certificate{root.Cert}}), incoming(leaf.Cert))
	pathOnly := incoming(leaf.Cert)
	pathOnly.PathOnly, pathOnly.Peer = true, addr.Address{}
	path := decide(t, evaluator(store{in: []*x509.Certificate{root.Cert}}), pathOnly)
	if !path.OK() {
		t.Fatalf("path alone: %+v", path)
	}
	refused := decide(t, evaluator(store{}), incoming(leaf.Cert))
	given := func(dir trust.Direction, use trust.Use) trust.Decision {
		q := incoming(leaf.Cert)
		q.Direction, q.Use = dir, use
		d := decide(t, evaluator(store{in: []*x509.Certificate{root.Cert}, out: []*x509.Certificate{root.Cert}}), q)
		if !d.OK() {
			t.Fatalf("%s %s: %+v", dir, use, d)
		}
		return d
	}
	sealing, outgoing, signing := given(trust.Incoming, trust.Encrypt), given(trust.Outgoing, trust.Encrypt), given(trust.Outgoing, trust.Sign)
	cases := []struct {
		name string
		a    trust.Approval
		cert *x509.Certificate
		peer addr.Address
		dir  trust.Direction
		now  time.Time
		ok   bool
	}{
		{"itself", d.Approval, leaf.Cert, dr, trust.Incoming, atNow, true},
		{"other letter case", d.Approval, leaf.Cert, addr.MustParse("DR@Clinic.Example"), trust.Incoming, atNow, true},
		{"last instant of its life", d.Approval, leaf.Cert, dr, trust.Incoming, atNow.Add(trust.ApprovalLife), true},
		{"stale", d.Approval, leaf.Cert, dr, trust.Incoming, atNow.Add(trust.ApprovalLife + 1), false},
		{"before it was given", d.Approval, leaf.Cert, dr, trust.Incoming, atNow.Add(-1), false},
		{"zero", trust.Approval{}, leaf.Cert, dr, trust.Incoming, atNow, false},
		{"of a refusal", refused.Approval, leaf.Cert, dr, trust.Incoming, atNow, false},
		{"of a path alone", path.Approval, leaf.Cert, dr, trust.Incoming, atNow, false},
		{"of a path alone, no address", path.Approval, leaf.Cert, addr.Address{}, trust.Incoming, atNow, false},
		{"another certificate of the same owner", d.Approval, twin.Cert, dr, trust.Incoming, atNow, false},
		{"no certificate", d.Approval, nil, dr, trust.Incoming, atNow, false},
		{"another address", d.Approval, leaf.Cert, addr.MustParse("nurse@clinic.example"), trust.Incoming, atNow, false},
		{"no address", d.Approval, leaf.Cert, addr.Address{}, trust.Incoming, atNow, false},
		{"another direction", d.Approval, leaf.Cert, dr, trust.Outgoing, atNow, false},
		{"to encrypt, inbound", sealing.Approval, leaf.Cert, dr, trust.Incoming, atNow, false},
		{"to encrypt, outbound", outgoing.Approval, leaf.Cert, dr, trust.Outgoing, atNow, true},
		{"to sign, outbound", signing.Approval, leaf.Cert, dr, trust.Outgoing, atNow, false},
		{"no direction", d.Approval, leaf.Cert, dr, "", atNow, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.a.Covers(c.cert, c.peer, c.dir, c.now)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, trust.ErrNotCovered) {
				t.Fatalf("got %v, want ok=%v", err, c.ok)
			}
		})
	}
	for local, want := range map[addr.Domain]bool{here: true, addr.MustDomain("other.example"): false, addr.MustDomain("sub." + here.String()): false, {}: false} {
		if err := d.Approval.GivenBy(local); (err == nil) != want || err != nil && !errors.Is(err, trust.ErrNotCovered) {
			t.Errorf("by the anchors of %q: %v", local, err)
		}
	}
	if refused.Approval.GivenBy(here) == nil || (trust.Approval{}).GivenBy(addr.Domain{}) == nil {
		t.Error("nobody's approval was given by somebody")
	}
	if d.Approval.Purpose() != trust.Mail || d.Approval.Use() != trust.Sign || d.Approval.TrustVersion() == "" {
		t.Errorf("purpose %q, use %q, version %q", d.Approval.Purpose(), d.Approval.Use(), d.Approval.TrustVersion())
	}
	if z := (trust.Approval{}); z.Purpose() != "" || z.Use() != "" || z.TrustVersion() != "" {
		t.Error("the zero approval claims something")
	}
}

func TestRemovedAnchorIsRefusedAtOnce(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example")
	s := &store{in: []*x509.Certificate{root.Cert}}
	e := trust.New(trust.Config{Anchors: s, Clock: func() time.Time { return atNow }})
	if d := decide(t, e, incoming(leaf.Cert)); !d.OK() || d.Cached {
		t.Fatalf("first: %+v", d)
	}
	if d := decide(t, e, incoming(leaf.Cert)); !d.OK() || !d.Cached {
		t.Fatalf("second was not answered from the cache: %+v", d)
	}
	q := incoming(leaf.Cert)
	q.Time = leaf.Cert.NotAfter.Add(time.Second)
	if d := decide(t, e, q); d.Reason != trust.Expired {
		t.Fatalf("the cache outlived the certificate: %+v", d)
	}
	s.in = []*x509.Certificate{testpki.Root(t, "Other").Cert}
	if d := decide(t, e, incoming(leaf.Cert)); d.Reason != trust.Untrusted {
		t.Fatalf("removed anchor still trusted: %+v", d)
	}
}

func TestNewPolicyEndsACachedApproval(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example")
	s := &store{in: []*x509.Certificate{root.Cert}, policies: rules(t, "anything: true")}
	e := trust.New(trust.Config{Anchors: s, Policies: s, Clock: func() time.Time { return atNow }})
	for _, want := range []bool{false, true} {
		if d := decide(t, e, incoming(leaf.Cert)); !d.OK() || d.Cached != want {
			t.Fatalf("%+v", d)
		}
	}
	s.policies = rules(t, "nothing: false")
	if d := decide(t, e, incoming(leaf.Cert)); d.Reason != trust.OwnPolicy {
		t.Fatalf("the old policy still decides: %+v", d)
	}
}

func TestEveryReasonSaysWhatToDo(t *testing.T) {
	for _, r := range trust.Reasons() {
		if len(r.Explain()) < 30 || len(r.Remedy()) < 30 || r.WhoActs() == "" {
			t.Errorf("%s: %q / %q / %q", r, r.Explain(), r.Remedy(), r.WhoActs())
		}
	}
	if trust.Reason("").Explain() != "" || trust.Reason("").WhoActs() != "" {
		t.Error("an approval needs no advice")
	}
}
