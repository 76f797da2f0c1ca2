package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/agent"
	"postern/gateway/keyring"
	"postern/gateway/store"
	"postern/trust"
	"postern/trust/policy"
)

// policyOf is what a clinic's policy would do, or does.
func (w *world) policyOf(in gateway.PolicyArg) (gateway.PolicyTested, error) {
	w.Helper()
	in.Domain = w.clinic.Domain
	if in.Name == "" {
		in.Name = "house"
	}
	return w.clinic.As("anna").PolicySet(w.ctx, in)
}

// A policy is held against real decisions before it is in force, bites at once when it is, and is undone.
func TestAPolicyInTheRealDecision(t *testing.T) {
	w := newWorld(t, "")
	for range 2 {
		if got := w.reaches(); got != "filed" {
			t.Fatal(got)
		}
	}
	rule := gateway.PolicyArg{Direction: trust.Incoming, Use: "sign", Text: "revocable: cert.has_crl || cert.has_ocsp\nnames: size(cert.domains) == 1\n"}
	look := rule
	look.Look = true
	got, err := w.policyOf(look)
	w.ok(err)
	if got.Refused != 1 || got.Seen != 1 || got.LostN != 2 || len(got.Lost) != 1 || got.Lost[0].Domain != "hospital.example" ||
		got.Certificates[0].Rule != "revocable" || got.Certificates[0].Messages != 2 || !strings.Contains(strings.Join(got.Warnings, "\n"), "refuses every one") {
		t.Errorf("looked at: %+v", got)
	}
	if got := w.reaches(); got != "filed" {
		t.Errorf("a look has put it in force: %s", got)
	}
	_, err = w.policyOf(rule)
	w.ok(err)
	if got := w.reaches(); got != "own_policy" {
		t.Errorf("in force: %s", got)
	}
	w.undoLast("policy.set")
	if got := w.reaches(); got != "filed" {
		t.Errorf("undone: %s", got)
	}
}

// A policy about our own certificates keeps them from signing, and from being published.
func TestAPolicyAboutOurOwn(t *testing.T) {
	w := newWorld(t, "")
	if _, err := w.policyOf(gateway.PolicyArg{Direction: trust.Outgoing, Use: "sign", Text: `keys: cert.key == "ed25519"`}); err != nil {
		t.Fatal(err)
	}
	var refused keyring.Refused
	if _, err := w.clinic.Ring.Signing(w.ctx, w.intake); !errors.As(err, &refused) || !errors.Is(err, keyring.ErrNoKey) || refused.Policy != "house" || refused.Rule != "keys" {
		t.Errorf("signs against its own policy: %v", err)
	}
	w.refusesItself()
	if _, err := w.policyOf(gateway.PolicyArg{Direction: trust.Incoming, Use: "decrypt", Text: `keys: cert.key == "ed25519"`}); err != nil {
		t.Fatal(err)
	}
	if found, err := w.clinic.Ring.Published(w.ctx, w.intake); err != nil || len(found) != 0 {
		t.Errorf("published against its own policy: %d, %v", len(found), err)
	}
	w.undoLast("policy.set")
	w.undoLast("policy.set")
	if found, err := w.clinic.Ring.Published(w.ctx, w.intake); err != nil || len(found) != 1 {
		t.Errorf("published once both are undone: %d, %v", len(found), err)
	}
	if _, err := w.clinic.Ring.Signing(w.ctx, w.intake); err != nil {
		t.Errorf("once both are undone: %v", err)
	}
}

// refusesItself: why, the sealing and the list name the policy, its rule and who must act.
func (w *world) refusesItself() {
	w.Helper()
	why, err := w.clinic.Admin().WhyAddress(w.ctx, gateway.WhyArg{Address: w.dr})
	w.ok(err)
	for _, words := range []string{why.Sending.Detail, why.Sending.Remedy} {
		if !strings.Contains(words, "policy house") || !strings.Contains(words, "rule keys") {
			w.Errorf("it does not name the policy and its rule: %q", words)
		}
	}
	if why.Sending.Reason != agent.ReasonOwnRefused || why.Advice.Who != string(trust.Administrator) || strings.Contains(why.Advice.Remedy, "cert create") ||
		!strings.Contains(why.Sending.Remedy, "trust policy remove house --domain clinic.example --direction outgoing --use sign") {
		w.Errorf("%s: %+v, %s", why.Sending.Reason, why.Advice, why.Sending.Remedy)
	}
	if why.Letter == nil || why.Letter.For != string(trust.Administrator) {
		w.Errorf("the letter goes to %+v", why.Letter)
	}
	list, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	if len(list) != 1 || len(list[0].Refused) != 1 || !strings.Contains(list[0].Refused[0], "does not sign: policy house") {
		w.Errorf("listed as %+v", list)
	}
}

func TestPoliciesThatAreRefusedOrWarnedOf(t *testing.T) {
	w := newWorld(t, "")
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	for _, c := range []struct{ situation, text, says string }{
		{"does not compile", "house: cert.key_bitz > 1", "line 1"},
		{"names no rule", "# nothing\n", "has no rule"},
		{"the same rule twice", "a: true\na: true\n", "line 2"},
	} {
		if _, err := w.policyOf(gateway.PolicyArg{Direction: trust.Incoming, Use: "sign", Text: c.text}); !errors.Is(err, policy.ErrSyntax) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v must say %q", c.situation, err, c.says)
		}
	}
	for _, c := range []struct {
		situation string
		in        gateway.PolicyArg
		says      string
	}{
		{"a use that is none", gateway.PolicyArg{Direction: trust.Incoming, Use: "encrypt", Text: "a: true"}, "sign (the partner's signature)"},
		{"a direction that is none", gateway.PolicyArg{Direction: "sideways", Use: "sign", Text: "a: true"}, "incoming or outgoing"},
		{"a name of two words", gateway.PolicyArg{Direction: trust.Incoming, Use: "sign", Name: "two words", Text: "a: true"}, "characters"},
	} {
		if _, err := w.policyOf(c.in); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v must say %q", c.situation, err, c.says)
		}
	}
	for _, c := range []struct{ situation, text, says string }{
		{"always true", "anything: true", "always true"},
		{"never true", "nothing: 1 > 2", "never true"},
		{"refuses all seen", `big: cert.key_bits > 100000`, "refuses every one of the 1"},
		{"refuses none seen", `names: size(cert.domains) > 0`, "refuses none of the 1"},
	} {
		got, err := w.policyOf(gateway.PolicyArg{Direction: trust.Incoming, Use: store.UseAny, Text: c.text, Look: true})
		if err != nil || !strings.Contains(strings.Join(got.Warnings, "\n"), c.says) {
			t.Errorf("%s: %v %v must warn %q", c.situation, got.Warnings, err, c.says)
		}
	}
	if rows, err := w.clinic.Store.Policies(w.ctx, w.clinic.Domain); err != nil || len(rows) != 0 {
		t.Errorf("%d policies are in force after looks and refusals, %v", len(rows), err)
	}
	for _, name := range policy.Ready() {
		text, err := policy.ReadyText(name)
		w.ok(err)
		if _, err := w.policyOf(gateway.PolicyArg{Direction: trust.Incoming, Use: "sign", Name: name, Text: text, Look: true}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A simulation takes several changes together and changes nothing.
func TestSimulateSeveralChanges(t *testing.T) {
	w := newWorld(t, "")
	if got := w.reaches(); got != "filed" {
		t.Fatal(got)
	}
	have, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	one := gateway.Simulate{Domain: w.clinic.Domain, Remove: []string{have[0].Fingerprint[:8]}}
	got, err := w.clinic.Admin().Simulate(w.ctx, one, nil)
	if err != nil || got.LostN == 0 || got.Lost[0].Domain != "hospital.example" || got.Removed[0].Messages == 0 || got.Lost[0].Reasons[0] != "no_anchors" {
		t.Errorf("the anchor goes: %+v %v", got, err)
	}
	one.Incoming, one.Outgoing = true, true
	if got, err = w.clinic.Admin().Simulate(w.ctx, one, w.strangerAnchor("Other CA")); err != nil || got.LostN == 0 || len(got.Added) != 1 || got.Lost[0].Reasons[0] != "untrusted" {
		t.Errorf("another comes: %+v %v", got, err)
	}
	if got, err = w.clinic.Admin().Simulate(w.ctx, gateway.Simulate{Domain: w.clinic.Domain, PolicyName: "house", PolicyText: "none: cert.key_bits > 100000", Direction: trust.Incoming, Use: "trust"}, nil); err != nil ||
		got.LostN == 0 || got.Lost[0].Reasons[0] != "own_policy" {
		t.Errorf("a policy: %+v %v", got, err)
	}
	w.forgetAnchors(w.clinic)
	if got := w.reaches(); got != "no_anchors" {
		t.Fatal(got)
	}
	if got, err = w.clinic.Admin().Simulate(w.ctx, gateway.Simulate{Domain: w.clinic.Domain, Incoming: true}, w.hospital.Anchor); err != nil || got.WonN != 2 || got.Added[0].Messages != 3 || got.Won[0].Domain != "hospital.example" {
		t.Errorf("the anchor comes back: %+v %v", got, err)
	}
	if list, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain); err != nil || len(list) != 0 {
		t.Errorf("a simulation changed something: %d anchors, %v", len(list), err)
	}
	if _, err := w.clinic.Admin().Simulate(w.ctx, gateway.Simulate{Domain: w.clinic.Domain, Remove: []string{"00000000"}}, nil); err == nil {
		t.Error("an anchor that is not there was removed")
	}
}

// An anchor that a bundle brings can be kept from one domain alone.
func TestABlockedAnchor(t *testing.T) {
	w, _ := subscribed(t, store.BundleSettings{})
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	print := ""
	for _, r := range rows {
		if strings.Contains(r.Subject, "hospital.example") {
			print = r.Fingerprint
		}
	}
	if err := w.clinic.Admin().AnchorRemove(w.ctx, w.clinic.Domain, print); err == nil || !strings.Contains(err.Error(), "anchor block") {
		t.Errorf("removing what a bundle brings: %v", err)
	}
	_, err = w.clinic.Admin().AnchorBlock(w.ctx, gateway.AnchorArg{Domain: w.clinic.Domain, Fingerprint: print[:8], Why: "key stolen"})
	w.ok(err)
	if got := w.reaches(); got != "untrusted" {
		t.Errorf("blocked: %s", got)
	}
	_, err = w.clinic.Admin().AnchorBlock(w.ctx, gateway.AnchorArg{Domain: w.clinic.Domain, Fingerprint: print[:8]})
	w.ok(err)
	if got := w.reaches(); got != "filed" {
		t.Errorf("no longer blocked: %s", got)
	}
}
