package agent_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"postern/certs"
	"postern/certs/discover"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// sender is a hospital of ours that trusts the clinic's authority.
func sender(t testing.TB) (*fake, *issue.Authority, certs.Credential) {
	f, own := receiver(t)
	ca := authority(t, "Clinic anchor")
	signer := leaf(t, own, issue.LeafOptions{Domain: doc.Domain()})
	f.signing = map[string]certs.Credential{doc.Key(): signer}
	f.out["hospital.example"] = anchorsOf(ca)
	f.found = map[string]discover.Finding{}
	return f, ca, signer
}

func sealOne(t *testing.T, f *fake, to ...addr.Address) (agent.Sealed, []byte) {
	t.Helper()
	var b *bytes.Buffer
	inner := mail(fromDoc + toIntake)
	s, err := f.agent().Seal(t.Context(), agent.Outbound{From: doc, Recipients: to, Content: section(inner), Purpose: trust.Mail}, func() (io.Writer, error) {
		b = &bytes.Buffer{}
		return b, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if (b != nil) != (len(s.Approved()) > 0) || (len(s.Envelopes) == 1) != (b != nil) {
		t.Errorf("%d approved, written %v, %d envelopes (AS-73)", len(s.Approved()), b != nil, len(s.Envelopes))
	}
	if b == nil {
		return s, nil
	}
	return s, b.Bytes()
}

func TestSealVerdicts(t *testing.T) {
	f, ca, _ := sender(t)
	other := authority(t, "Nobody's anchor")
	at := func(local string) addr.Address { return addr.MustParse(local + "@clinic.example") }
	set := func(local string, v discover.Finding) addr.Address {
		f.found[at(local).Key()] = v
		return at(local)
	}
	both := leaf(t, ca, issue.LeafOptions{Address: at("both")})
	old := leaf(t, ca, issue.LeafOptions{Address: at("both"), Now: now.AddDate(-1, 0, 0), Life: 1e15})
	for _, c := range []struct {
		situation string
		to        addr.Address
		want      string
		temporary bool
	}{
		{"bound to the address", set("a", found(leaf(t, ca, issue.LeafOptions{Address: at("a")}))), "ok", false},
		{"bound to the domain", set("b", found(leaf(t, ca, issue.LeafOptions{Domain: doc.Domain()}))), "wrong_binding", false},
		{"bound to its domain", set("c", found(leaf(t, ca, issue.LeafOptions{Domain: intake.Domain()}))), "ok", false},
		{"nothing found", at("none"), "certificate_not_found", false},
		{"no answer", set("wait", discover.Finding{Status: discover.Unknown}), "certificate_unknown", true},
		{"untrusted", set("u", found(leaf(t, other, issue.LeafOptions{Address: at("u")}))), "untrusted", false},
		{"expired", set("old", found(old)), "expired", false},
		{"only for signing", set("s", found(leaf(t, ca, issue.LeafOptions{Address: at("s"), Use: issue.Sign}))), "key_usage", false},
		{"an expired one beside a good one", set("both", found(old, both)), "ok", false},
		{"found and empty", set("empty", found()), "certificate_not_found", false},
	} {
		t.Run(c.situation, func(t *testing.T) {
			s, sealed := sealOne(t, f, c.to)
			v := s.Verdicts[0]
			if got := outcome(v); got != c.want || v.Temporary != c.temporary {
				t.Fatalf("%s (%s), want %s", got, v.Detail, c.want)
			}
			if !v.OK && (v.Detail == "" || sealed != nil) {
				t.Errorf("incomplete refusal %+v", v)
			}
		})
	}
}

// Those approved are served in one message, those refused are named with their reasons, in order.
func TestSealServesTheApproved(t *testing.T) {
	f, ca, signer := sender(t)
	a, b := leaf(t, ca, issue.LeafOptions{Address: intake}), leaf(t, ca, issue.LeafOptions{Address: front})
	f.found[intake.Key()], f.found[front.Key()] = found(a), found(b)
	ghost := addr.MustParse("ghost@clinic.example")
	s, sealed := sealOne(t, f, ghost, intake, front)
	var got []string
	for _, v := range s.Verdicts {
		got = append(got, outcome(v))
	}
	if g := strings.Join(got, " "); g != "certificate_not_found ok ok" || len(s.Approved()) != 2 {
		t.Fatal(g)
	}
	for _, c := range []certs.Credential{a, b} {
		o, err := smime.Open(bytes.NewReader(sealed), smime.OpenOptions{Keys: []smime.Key{{Cert: c.Cert, Private: c.Key}}})
		if err != nil {
			t.Fatal(err)
		}
		if !o.Signers[0].Cert.Equal(signer.Cert) || certs.Fingerprint(signer.Cert) != s.Signer {
			t.Error("signed by another certificate")
		}
		o.Close()
	}
}

// One recipient may have several certificates: all usable ones can open it, up to the limit (CD-43).
func TestSealForEveryUsableCertificate(t *testing.T) {
	f, ca, _ := sender(t)
	var list []certs.Credential
	for range agent.MaxCertificates + 2 {
		list = append(list, leaf(t, ca, issue.LeafOptions{Address: intake}))
	}
	f.found[intake.Key()] = found(list...)
	s, sealed := sealOne(t, f, intake)
	if len(s.Envelopes[0].Report.Recipients) != agent.MaxCertificates {
		t.Errorf("sealed for %d certificates", len(s.Envelopes[0].Report.Recipients))
	}
	for i, c := range list {
		o, err := smime.Open(bytes.NewReader(sealed), smime.OpenOptions{Keys: []smime.Key{{Cert: c.Cert, Private: c.Key}}})
		if (err == nil) != (i < agent.MaxCertificates) {
			t.Errorf("certificate %d: %v", i, err)
		}
		if err == nil {
			o.Close()
		}
	}
}

func TestNoSignerMeansNothingIsSent(t *testing.T) {
	f, ca, _ := sender(t)
	f.found[intake.Key()] = found(leaf(t, ca, issue.LeafOptions{Address: intake}))
	f.signing = nil
	s, _ := sealOne(t, f, intake, front)
	for _, v := range s.Verdicts {
		if outcome(v) != agent.ReasonNoSigningKey || v.Remedy == "" {
			t.Errorf("%+v", v)
		}
	}
}

// Zero, foreign and stale approvals encrypt for nobody.
func TestSealAsksEachApproval(t *testing.T) {
	f, ca, _ := sender(t)
	c := leaf(t, ca, issue.LeafOptions{Address: intake})
	f.found[intake.Key()] = found(c)
	real := trust.New(trust.Config{Anchors: f, Settings: f})
	ask := func(q trust.Question) trust.Decision {
		d, err := real.Evaluate(t.Context(), q)
		if err != nil || !d.OK() {
			t.Fatal(d, err)
		}
		return d
	}
	for name, change := range map[string]func(q trust.Question) trust.Decision{
		"zero": func(trust.Question) trust.Decision { return trust.Decision{} },
		"for the other direction": func(q trust.Question) trust.Decision {
			f.in["hospital.example"] = anchorsOf(ca)
			q.Direction, q.Use = trust.Incoming, trust.Sign
			return ask(q)
		},
		"to sign": func(q trust.Question) trust.Decision {
			q.Use = trust.Sign
			return ask(q)
		},
		"by the anchors of another domain": func(q trust.Question) trust.Decision {
			f.out["elsewhere.example"] = anchorsOf(ca)
			q.Local = addr.MustDomain("elsewhere.example")
			return ask(q)
		},
		"for another address": func(q trust.Question) trust.Decision {
			other := leaf(t, ca, issue.LeafOptions{Address: front})
			q.Cert, q.Peer = other.Cert, front
			return ask(q)
		},
		"stale": func(q trust.Question) trust.Decision {
			q.Time = now.Add(-trust.ApprovalLife * 2)
			return ask(q)
		},
		"for later": func(q trust.Question) trust.Decision {
			q.Time = now.Add(trust.ApprovalLife)
			return ask(q)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.judge = judgeOf(func(q trust.Question) (trust.Decision, error) { return change(q), nil })
			if s, sealed := sealOne(t, f, intake); sealed != nil || s.Verdicts[0].OK {
				t.Errorf("encrypted by such an approval: %+v", s.Verdicts[0])
			}
		})
	}
}

func TestFaultsAreNotVerdicts(t *testing.T) {
	f, ca, _ := sender(t)
	f.found[intake.Key()] = found(leaf(t, ca, issue.LeafOptions{Address: intake}))
	down := errors.New("away")
	out := agent.Outbound{From: doc, Recipients: []addr.Address{intake}, Content: section(mail(fromDoc + toIntake)), Purpose: trust.Mail}
	if _, err := f.agent().Seal(t.Context(), out, func() (io.Writer, error) { return nil, down }); !errors.Is(err, down) {
		t.Errorf("no place to write: %v", err)
	}
	f.findErr = down
	if _, err := f.agent().Seal(t.Context(), out, func() (io.Writer, error) { return io.Discard, nil }); !errors.Is(err, down) {
		t.Errorf("discovery broken: %v", err)
	}
}
