package agent_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/gateway/agent"
	"postern/gateway/clinic/inbox"
	"postern/smime/addr"
	"postern/trust"
)

const (
	fromDoc  = "From: <doc@hospital.example>\n"
	toIntake = "To: <intake@clinic.example>\n"
)

// outcome is one verdict in short: "ok", or its reason.
func outcome(v agent.Verdict) string {
	if v.OK {
		return "ok"
	}
	return v.Reason
}

func TestOpenVerdicts(t *testing.T) {
	f, ca := receiver(t)
	other := authority(t, "Nobody's anchor")
	good := leaf(t, ca, issue.LeafOptions{Address: doc})
	domain := leaf(t, ca, issue.LeafOptions{Domain: doc.Domain()})
	f.policies["practice.example"] = agent.Policy{Lax: map[string]bool{"hospital.example": true}}
	plain := mail(fromDoc + toIntake)
	for _, c := range []struct {
		situation string
		signer    certs.Credential
		inner     string
		from      string // MAIL FROM
		to        []addr.Address
		want      string // one outcome a recipient
	}{
		{"bound to the address", good, plain, "doc@hospital.example", []addr.Address{intake}, "ok"},
		{"bound to the domain", domain, plain, "doc@hospital.example", []addr.Address{intake}, "ok"},
		{"letters and tags in the envelope", good, plain, "DOC+x@hospital.example", []addr.Address{addr.MustParse("Intake+y@clinic.example")}, "ok"},
		{"sent for the doctor by a nurse", domain, mail("From: <doc@hospital.example>\nSender: <nurse@hospital.example>\n" + toIntake), "nurse@hospital.example", []addr.Address{intake}, "ok"},
		{"signed by the nurse, not the doctor", leaf(t, ca, issue.LeafOptions{Address: addr.MustParse("nurse@hospital.example")}),
			mail("From: <doc@hospital.example>\nSender: <nurse@hospital.example>\n" + toIntake), "nurse@hospital.example", []addr.Address{intake}, "wrong_binding"},
		{"a group that agrees", good, mail(fromDoc + "To: Clinic: intake@clinic.example, front@clinic.example;\n"), "doc@hospital.example", []addr.Address{intake, front}, "ok ok"},
		{"two domains of ours", good, mail(fromDoc + "To: <intake@clinic.example>\nCc: <second@practice.example>\n"), "doc@hospital.example", []addr.Address{intake, second}, "ok ok"},

		{"another authority", leaf(t, other, issue.LeafOptions{Address: doc}), plain, "doc@hospital.example", []addr.Address{intake}, "untrusted"},
		{"expired", leaf(t, ca, issue.LeafOptions{Address: doc, Now: now.AddDate(0, -2, 0), Life: 24 * time.Hour}), plain, "doc@hospital.example", []addr.Address{intake}, "expired"},
		{"not yet valid", leaf(t, ca, issue.LeafOptions{Address: doc, Now: now.AddDate(0, 1, 0)}), plain, "doc@hospital.example", []addr.Address{intake}, "not_yet_valid"},
		{"only for encryption", leaf(t, ca, issue.LeafOptions{Address: doc, Use: issue.Encrypt}), plain, "doc@hospital.example", []addr.Address{intake}, "key_usage"},
		{"another address", leaf(t, ca, issue.LeafOptions{Address: addr.MustParse("chief@hospital.example")}), plain, "doc@hospital.example", []addr.Address{intake}, "wrong_binding"},
		{"the parent domain", leaf(t, ca, issue.LeafOptions{Domain: addr.MustDomain("hospital.example")}), mail("From: <doc@er.hospital.example>\n" + toIntake), "doc@er.hospital.example", []addr.Address{intake}, "wrong_binding"},

		{"another envelope sender", good, plain, "chief@hospital.example", []addr.Address{intake}, "sender_mismatch"},
		{"no envelope sender", good, plain, "", []addr.Address{intake}, "null_sender"},
		{"two senders in From", good, mail("From: <doc@hospital.example>, <nurse@hospital.example>\n" + toIntake), "doc@hospital.example", []addr.Address{intake}, "no_single_sender"},
		{"a blind copy beside a good recipient refuses the whole (AS-82)", good, plain, "doc@hospital.example", []addr.Address{intake, front}, "recipient_not_in_header recipient_not_in_header"},
		{"only a Bcc field", good, mail(fromDoc + "Bcc: <intake@clinic.example>\n"), "doc@hospital.example", []addr.Address{intake}, "recipient_not_in_header"},

		{"a lax partner's other sender", domain, mail(fromDoc + "To: <else@practice.example>\n"), "list@hospital.example", []addr.Address{second}, "ok"},
		{"lax for one domain of ours only", domain, plain, "list@hospital.example", []addr.Address{intake, second}, "sender_mismatch sender_mismatch"},
		{"lax is no leave to send from nobody", domain, mail(fromDoc + "To: <else@practice.example>\n"), "", []addr.Address{second}, "null_sender"},
		{"lax is for that partner's From", leaf(t, ca, issue.LeafOptions{Domain: addr.MustDomain("other.example")}), mail("From: <doc@other.example>\nTo: <else@practice.example>\n"), "doc@other.example", []addr.Address{second}, "recipient_not_in_header"},

		{"a notice from nobody", good, report(fromDoc + toIntake), "", []addr.Address{intake}, "ok"},
		{"a notice from its sender", good, report(fromDoc + toIntake), "doc@hospital.example", []addr.Address{intake}, "ok"},
		{"a notice from another", good, report(fromDoc + toIntake), "chief@hospital.example", []addr.Address{intake}, "sender_mismatch"},
	} {
		t.Run(c.situation, func(t *testing.T) {
			in := agent.Inbound{Recipients: c.to, Sealed: bytes.NewReader(f.seal(c.signer, c.inner, plainKeys(c.to)...))}
			if c.from != "" {
				in.MailFrom = addr.MustParse(c.from)
			}
			check(t, f, in, c.want, c.inner)
		})
	}
}

func plainKeys(to []addr.Address) []addr.Address {
	out := make([]addr.Address, len(to))
	for i, a := range to {
		out[i] = addr.MustParse(a.WithoutTag().Key())
	}
	return out
}

// check opens and compares: the outcomes, that nothing is shown of a refused message, and that an
// approved one is whole. An empty want is any refusal with a reason.
func check(t *testing.T, f *fake, in agent.Inbound, want, inner string) {
	t.Helper()
	res, err := f.agent().Open(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, v := range res.Verdicts {
		got = append(got, outcome(v))
		if !v.Recipient.Equal(in.Recipients[i]) {
			t.Errorf("verdict %d is about %s", i, v.Recipient)
		}
		if !v.OK && v.Detail == "" || v.OK && (v.Signer == nil || v.Anchor == "" || v.Approval.Covers(v.Signer, res.Sender, trust.Incoming, f.now) != nil) {
			t.Errorf("incomplete verdict %+v", v)
		}
	}
	if g := strings.Join(got, " "); g != want && (want != "" || strings.Contains(g, "ok") || g == "") {
		t.Fatalf("%s (%s), want %s", g, res.Verdicts[0].Detail, want)
	}
	if res.Refused != !strings.Contains(strings.Join(got, " "), "ok") || res.Refused != (res.Opened == nil) {
		t.Fatalf("refused %v, opened %v", res.Refused, res.Opened != nil)
	}
	if res.Opened == nil {
		return
	}
	defer res.Opened.Close()
	if b, err := io.ReadAll(io.NewSectionReader(res.Opened.Inner, 0, res.Opened.Inner.Size())); err != nil || string(b) != inner {
		t.Errorf("the inner message is not what was sealed: %v", err)
	}
}

// Trust is decided for each recipient by the anchors of its own domain (AS-86).
func TestAnchorsOfEachRecipient(t *testing.T) {
	f, ca := receiver(t)
	f.in["practice.example"] = nil
	inner := mail(fromDoc + "To: <intake@clinic.example>, <second@practice.example>\n")
	sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake, second)
	check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{second, intake}, Sealed: bytes.NewReader(sealed)}, "no_anchors ok", inner)
	f.in["practice.example"] = []*x509.Certificate{authority(t, "Another").Cert}
	check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{second, intake}, Sealed: bytes.NewReader(sealed)}, "untrusted ok", inner)
	f.in["clinic.example"] = nil
	check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{second, intake}, Sealed: bytes.NewReader(sealed)}, "untrusted no_anchors", inner)
}

// Outgoing anchors vouch for a notice about mail that went there, never for mail from there (AS-88).
func TestOneWayTrust(t *testing.T) {
	f, ca := receiver(t)
	f.out["clinic.example"], f.in["clinic.example"] = f.in["clinic.example"], nil
	signer := leaf(t, ca, issue.LeafOptions{Address: doc})
	for inner, want := range map[string]string{mail(fromDoc + toIntake): "no_anchors", report(fromDoc + toIntake): "ok"} {
		check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(f.seal(signer, inner, intake))}, want, inner)
	}
}

// Only keys bound to the envelope's own recipients open a message (CMS-22).
func TestKeysOfTheRecipientsAndNoOthers(t *testing.T) {
	f, ca := receiver(t)
	inner := mail(fromDoc + "To: <front@clinic.example>\n")
	sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake)
	check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{front}, Sealed: bytes.NewReader(sealed)}, "no_key", inner)
	f.keys[front.Key()] = nil
	check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{front}, Sealed: bytes.NewReader(sealed)}, "no_key", inner)
}

func TestDamage(t *testing.T) {
	f, ca := receiver(t)
	inner := mail(fromDoc + toIntake)
	sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake)
	for name, b := range map[string][]byte{"nothing": {}, "no S/MIME": []byte(inner), "cut in the header": sealed[:40], "cut in the envelope": sealed[:len(sealed)/2], "cut at the end": sealed[:len(sealed)-30]} {
		t.Run(name, func(t *testing.T) {
			check(t, f, agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(b)}, "", inner)
		})
	}
}

// judgeOf answers as told.
type judgeOf func(trust.Question) (trust.Decision, error)

func (f judgeOf) Evaluate(_ context.Context, q trust.Question) (trust.Decision, error) { return f(q) }

// A judge that has no answer yet is not a judge that says no; and its faults are errors, not verdicts.
func TestNoAnswerYet(t *testing.T) {
	f, ca := receiver(t)
	sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), mail(fromDoc+toIntake), intake)
	f.judge = judgeOf(func(trust.Question) (trust.Decision, error) {
		return trust.Decision{Reason: "revocation_unknown", Detail: "no answer", Temporary: true}, nil
	})
	res, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)})
	if err != nil || !res.Refused || !res.Verdicts[0].Temporary || res.Opened != nil {
		t.Errorf("%+v, %v", res, err)
	}
	down := errors.New("database away")
	f.judge = judgeOf(func(trust.Question) (trust.Decision, error) { return trust.Decision{}, down })
	if _, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)}); !errors.Is(err, down) {
		t.Errorf("a fault became %v", err)
	}
}

// A judge that says yes without an approval behind it is not believed: a decision is OK only with an
// approval that covers, and an inbox asks it again.
func TestApprovalsAreNeeded(t *testing.T) {
	f, ca := receiver(t)
	signer := leaf(t, ca, issue.LeafOptions{Address: doc})
	sealed := f.seal(signer, mail(fromDoc+toIntake), intake)
	f.judge = judgeOf(func(trust.Question) (trust.Decision, error) { return trust.Decision{}, nil })
	res, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)})
	if err != nil || !res.Refused {
		t.Fatalf("the zero decision was believed: %+v, %v", res, err)
	}
	real := trust.New(trust.Config{Anchors: f, Settings: f})
	f.judge = judgeOf(func(q trust.Question) (trust.Decision, error) {
		q.Local = second.Domain()
		return real.Evaluate(t.Context(), q)
	})
	if _, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)}); !errors.Is(err, trust.ErrNotCovered) {
		t.Fatalf("an approval by the anchors of another domain was believed: %v", err)
	}
	f.judge = nil
	res, err = f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)})
	if err != nil || res.Refused {
		t.Fatal(res, err)
	}
	defer res.Opened.Close()
	v := res.Verdicts[0]
	for _, c := range []struct {
		name     string
		approval trust.Approval
		signer   *x509.Certificate
		sender   addr.Address
		now      time.Time
		ok       bool
	}{
		{"its own", v.Approval, v.Signer, doc, now, true},
		{"zero", trust.Approval{}, v.Signer, doc, now, false},
		{"of another certificate", v.Approval, ca.Cert, doc, now, false},
		{"without a certificate", v.Approval, nil, doc, now, false},
		{"for another sender", v.Approval, v.Signer, intake, now, false},
		{"stale", v.Approval, v.Signer, doc, now.Add(trust.ApprovalLife + time.Second), false},
		{"from the future", v.Approval, v.Signer, doc, now.Add(-time.Second), false},
	} {
		origin, err := inbox.FromPeer(c.approval, c.signer, c.sender, c.now)
		if (err == nil) != c.ok || origin.Valid() != c.ok {
			t.Errorf("%s: %v, origin %q", c.name, err, origin)
		}
	}
}

// Plaintext of a refused message is destroyed, whichever way it is refused.
func TestRefusedPlaintextIsDestroyed(t *testing.T) {
	f, ca := receiver(t)
	for name, inner := range map[string]string{"by its envelope": mail("From: <x@hospital.example>\n" + toIntake), "by trust": mail(fromDoc + toIntake)} {
		t.Run(name, func(t *testing.T) {
			if name == "by trust" {
				f.in["clinic.example"] = nil
			}
			sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake)
			a := f.agent()
			made := &scratches{}
			a.Scratch = made.next
			res, err := a.Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake}, Sealed: bytes.NewReader(sealed)})
			if err != nil || !res.Refused {
				t.Fatal(res, err)
			}
			if made.n == 0 || made.live != 0 {
				t.Errorf("%d scratches made, %d not destroyed", made.n, made.live)
			}
		})
	}
}

func TestDetailNamesTheAddress(t *testing.T) {
	f, ca := receiver(t)
	inner := mail(fromDoc + toIntake)
	sealed := f.seal(leaf(t, ca, issue.LeafOptions{Address: doc}), inner, intake, front)
	res, err := f.agent().Open(t.Context(), agent.Inbound{MailFrom: doc, Recipients: []addr.Address{intake, front}, Sealed: bytes.NewReader(sealed)})
	if err != nil || !strings.Contains(res.Verdicts[0].Detail, front.String()) {
		t.Errorf("%s, %v", fmt.Sprint(res.Verdicts), err)
	}
}
