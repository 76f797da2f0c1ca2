package trust_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"postern/trust"
	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// told is revocation as a test tells it, by certificate; others are good for an hour.
type told map[string]revoke.State

func (s told) Check(_ context.Context, q revoke.Query) revoke.Answer {
	state, ok := s[string(q.Cert.Raw)]
	if !ok {
		state = revoke.Good
	}
	return revoke.Answer{State: state, Detail: string(state), Until: atNow.Add(time.Hour), Evidence: []revoke.Evidence{{State: state}}}
}

func (told) Generation() uint64 { return 1 }

// TestOneOpenPathKeepsTheQuestionOpen: of two paths that end at the anchor, the more hopeful one
// decides, in whatever order they are met: good before unknown before refused.
func TestOneOpenPathKeepsTheQuestionOpen(t *testing.T) {
	root := testpki.Root(t, "Root")
	key := testpki.ECKey(t)
	a, b := root.SubWith(t, key, "Issuing"), root.SubWith(t, key, "Issuing")
	shunned := testpki.Root(t, "Shunned")
	denied := shunned.SubWith(t, key, "Issuing")
	leaf := a.Leaf(t, "dr@clinic.example")
	policies := rules(t, "not-them: !cert.anchor_subject.contains('Shunned')")
	for _, c := range []struct {
		name      string
		one, two  *x509.Certificate
		says      told
		policies  trust.PolicySet
		soft      bool
		reason    trust.Reason
		temporary bool
	}{
		{name: "unknown and revoked", says: told{string(a.Cert.Raw): revoke.Unknown, string(b.Cert.Raw): revoke.Revoked}, reason: trust.RevocationUnknown, temporary: true},
		{name: "unknown and unknown", says: told{string(a.Cert.Raw): revoke.Unknown, string(b.Cert.Raw): revoke.Unknown}, reason: trust.RevocationUnknown, temporary: true},
		{name: "revoked and revoked", says: told{string(a.Cert.Raw): revoke.Revoked, string(b.Cert.Raw): revoke.Revoked}, reason: trust.Revoked},
		{name: "unknown and good", says: told{string(a.Cert.Raw): revoke.Unknown}},
		{name: "revoked and good", says: told{string(a.Cert.Raw): revoke.Revoked}},
		{name: "unknown lets pass softly", says: told{string(a.Cert.Raw): revoke.Unknown, string(b.Cert.Raw): revoke.Revoked}, soft: true},
		{name: "unknown and against the own policy", two: denied.Cert, says: told{string(a.Cert.Raw): revoke.Unknown}, policies: policies, reason: trust.RevocationUnknown, temporary: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			two := b.Cert
			if c.two != nil {
				two = c.two
			}
			for _, extra := range [][]*x509.Certificate{{a.Cert, two}, {two, a.Cert}} {
				s := store{in: []*x509.Certificate{root.Cert, shunned.Cert}, settings: trust.Settings{RevocationHardFail: !c.soft}, policies: c.policies}
				e := trust.New(trust.Config{Anchors: s, Settings: s, Policies: s, Revocation: c.says, Clock: clock})
				d := decide(t, e, incoming(leaf.Cert, extra...))
				if d.Reason != c.reason || d.Temporary != c.temporary || d.OK() != (c.reason == "") {
					t.Errorf("%s, temporary %v: %s", d.Reason, d.Temporary, d.Detail)
				}
				want := map[trust.Reason]revoke.State{trust.RevocationUnknown: revoke.Unknown, trust.Revoked: revoke.Revoked}[c.reason]
				if want != "" && (len(d.Revocation) != 1 || d.Revocation[0].State != want) {
					t.Errorf("%s rests on %+v", d.Reason, d.Revocation)
				}
			}
		})
	}
}
