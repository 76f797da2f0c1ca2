package trust_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postern/smime/addr"
	"postern/trust"
	"postern/trust/internal/testpki"
	"postern/trust/policy"
)

var (
	dr     = addr.MustParse("dr@clinic.example")
	here   = addr.MustDomain("hospital.example")
	atNow  = testpki.Now
	oidOdd = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
)

// store is anchors by direction, as a gateway's own store would give them.
type store struct {
	in, out  []*x509.Certificate
	settings trust.Settings
	policies trust.PolicySet
	err      error
}

func (s store) Anchors(_ context.Context, _ addr.Domain, d trust.Direction) (*trust.AnchorSet, error) {
	if d == trust.Incoming {
		return trust.NewAnchorSet(s.in), s.err
	}
	return trust.NewAnchorSet(s.out), s.err
}

func (s store) TrustSettings(context.Context, addr.Domain) (trust.Settings, error) {
	return s.settings, nil
}

func (s store) TrustPolicies(context.Context, addr.Domain, trust.Direction, trust.Use) (trust.PolicySet, error) {
	return s.policies, nil
}

// rules is a policy set of one rule.
func rules(t *testing.T, text string) trust.PolicySet {
	p, err := policy.Compile("house rules", text)
	if err != nil {
		t.Fatal(err)
	}
	return trust.PolicySet{Version: text, Policies: []*policy.Policy{p}}
}

func evaluator(s store) *trust.Evaluator {
	return trust.New(trust.Config{Anchors: s, Settings: s, Policies: s, Clock: func() time.Time { return atNow }})
}

func incoming(c *x509.Certificate, extra ...*x509.Certificate) trust.Question {
	return trust.Question{Cert: c, Extra: extra, Peer: dr, Local: here, Direction: trust.Incoming, Time: atNow}
}

func decide(t *testing.T, e *trust.Evaluator, q trust.Question) trust.Decision {
	t.Helper()
	d, err := e.Evaluate(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func critical(c *x509.Certificate) {
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidOdd, Critical: true, Value: []byte{5, 0}})
}

// situation is one question and the reason it must get.
type situation struct {
	name   string
	s      store
	q      trust.Question
	want   trust.Reason
	detail string // a word the operator must find
}

func situations(t *testing.T) []situation {
	root := testpki.Root(t, "Root")
	other := testpki.Root(t, "Other")
	sub := root.Sub(t, "Sub")
	anchors := store{in: []*x509.Certificate{root.Cert}}
	legacy := store{in: []*x509.Certificate{root.Cert}, settings: trust.Settings{Legacy: true}}
	leaf := sub.Leaf(t, "dr@clinic.example")
	rsaRoot := testpki.RootWith(t, testpki.RSAKey(t, 2048, 0), "RSA root")
	rsaStore := store{in: []*x509.Certificate{rsaRoot.Cert}}
	rsaLegacy := store{in: []*x509.Certificate{rsaRoot.Cert}, settings: trust.Settings{Legacy: true}}
	rsaLeaf := rsaRoot.Leaf(t, "dr@clinic.example")
	sha1Leaf := testpki.Resign(t, rsaLeaf.Cert, crypto.SHA1, testpki.RSAKey(t, 2048, 0))
	md5Leaf := testpki.Resign(t, rsaLeaf.Cert, crypto.MD5, testpki.RSAKey(t, 2048, 0))
	domain := root.Leaf(t, "", func(c *x509.Certificate) { c.DNSNames = []string{"CLINIC.example"} })
	dns := func(names ...string) *x509.Certificate {
		return root.Leaf(t, "", func(c *x509.Certificate) { c.DNSNames = names }).Cert
	}
	mail := func(names ...string) *x509.Certificate {
		return root.Leaf(t, "", func(c *x509.Certificate) { c.EmailAddresses = names }).Cert
	}
	forgedKey := testpki.ECKey(t)
	lookalike := testpki.SelfSigned(t, forgedKey, "Root", testpki.AsLeaf("dr@clinic.example"), func(c *x509.Certificate) { c.SubjectKeyId = root.Cert.SubjectKeyId })
	copiedSKI := testpki.SelfSigned(t, forgedKey, "Nobody", testpki.AsLeaf("dr@clinic.example"), func(c *x509.Certificate) { c.SubjectKeyId = root.Cert.SubjectKeyId })
	fakeRoot := testpki.Root(t, "Root", func(c *x509.Certificate) { c.SubjectKeyId = root.Cert.SubjectKeyId })
	ownAnchor := testpki.SelfSigned(t, testpki.ECKey(t), "self", testpki.AsLeaf("dr@clinic.example"))
	caLeaf := testpki.Root(t, "self ca", func(c *x509.Certificate) { c.EmailAddresses = []string{"dr@clinic.example"} })
	oldRoot := testpki.Root(t, "Old root", testpki.Dates(-700, -1))
	oldSub := root.Sub(t, "Old sub", testpki.Dates(-300, -1))
	short := root.Sub(t, "Short", func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	tooDeep := short.Sub(t, "Too deep")
	bomb := root.Sub(t, "Bomb", func(c *x509.Certificate) {
		for i := range 600 {
			c.ExcludedEmailAddresses = append(c.ExcludedEmailAddresses, fmt.Sprintf("h%d.example", i))
		}
	})
	plainSub := root.Sub(t, "Plain", func(c *x509.Certificate) { c.IsCA, c.MaxPathLen = false, 0 })
	crlOnly := root.Sub(t, "CRL only", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	oddSub := root.Sub(t, "Odd", critical)
	tlsSub := root.Sub(t, "TLS", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	mailOnly := root.Sub(t, "Elsewhere", func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"other.example"} })
	mailHere := root.Sub(t, "Here", func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"clinic.example"} })
	notHere := root.Sub(t, "Not here", func(c *x509.Certificate) { c.ExcludedEmailAddresses = []string{"clinic.example"} })
	policySub := root.Sub(t, "Policy", func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 36}, Critical: true, Value: []byte{0x30, 3, 0x80, 1, 0}}}
	})
	sha1Sub := testpki.Resign(t, rsaRoot.SubWith(t, testpki.RSAKey(t, 2048, 1), "SHA-1 sub").Cert, crypto.SHA1, testpki.RSAKey(t, 2048, 0))
	belowSHA1 := (&testpki.Authority{Cert: sha1Sub, Key: testpki.RSAKey(t, 2048, 1)}).Leaf(t, "dr@clinic.example")
	outbound := func(c *x509.Certificate) trust.Question {
		q := incoming(c, sub.Cert)
		q.Direction = trust.Outgoing
		return q
	}
	notice := incoming(leaf.Cert, sub.Cert)
	notice.Purpose = trust.Notice
	tagged := incoming(leaf.Cert, sub.Cert)
	tagged.Peer = addr.MustParse("DR+lab@clinic.example")
	onlyOut := store{out: []*x509.Certificate{root.Cert}}

	return []situation{
		{"address-bound leaf below an intermediate", anchors, incoming(leaf.Cert, sub.Cert), "", ""},
		{"outbound leaf below an intermediate", onlyOut, outbound(leaf.Cert), "", ""},
		{"outgoing anchors do not let mail in", onlyOut, incoming(leaf.Cert, sub.Cert), trust.NoAnchors, "incoming"},
		{"incoming anchors do not let mail out", anchors, outbound(leaf.Cert), trust.NoAnchors, "outgoing"},
		{"outgoing anchors vouch for a notice", onlyOut, notice, "", ""},
		{"domain-bound leaf, other letter case", anchors, incoming(domain.Cert), "", ""},
		{"+tag of the address aside", anchors, tagged, "", ""},
		{"several names, one of them the sender's", anchors, incoming(mail("a@b.example", "DR@CLINIC.example")), "", ""},
		{"anchor is the intermediate", store{in: []*x509.Certificate{sub.Cert}}, incoming(leaf.Cert), "", ""},
		{"leaf itself listed as anchor", store{in: []*x509.Certificate{ownAnchor.Cert}}, incoming(ownAnchor.Cert), "", ""},
		{"leaf listed as anchor is a CA", store{in: []*x509.Certificate{caLeaf.Cert}}, incoming(caLeaf.Cert), trust.CAAsLeaf, "self ca"},
		{"name constraint that fits", anchors, incoming(mailHere.Leaf(t, "dr@clinic.example").Cert, mailHere.Cert), "", ""},
		{"decoys of the issuer's name first", anchors, incoming(leaf.Cert, testpki.Root(t, "Sub").Cert, other.Sub(t, "Sub").Cert, sub.Cert), "", ""},

		{"no anchors at all", store{}, incoming(leaf.Cert, sub.Cert), trust.NoAnchors, "hospital.example"},
		{"another anchor", store{in: []*x509.Certificate{other.Cert}}, incoming(leaf.Cert, sub.Cert), trust.Untrusted, "Root"},
		{"intermediate not sent", anchors, incoming(leaf.Cert), trust.Untrusted, "Sub"},
		{"signature altered", anchors, incoming(testpki.Tamper(t, leaf.Cert), sub.Cert), trust.BadSignature, "Sub"},
		{"issued by a forged root of the same name and key id", anchors, incoming(fakeRoot.Leaf(t, "dr@clinic.example").Cert), trust.BadSignature, "Root"},
		{"the same with the forged root sent along", anchors, incoming(fakeRoot.Leaf(t, "dr@clinic.example").Cert, fakeRoot.Cert), trust.SelfSignedForgery, "Root"},
		{"self-signed with the anchor's name and key id", anchors, incoming(lookalike.Cert), trust.SelfSignedForgery, "Root"},
		{"self-signed with the anchor's key id only", anchors, incoming(copiedSKI.Cert), trust.SelfSignedForgery, "Nobody"},
		{"self-signed stranger", anchors, incoming(ownAnchor.Cert), trust.Untrusted, "issued itself"},
		{"expired leaf", anchors, incoming(root.Leaf(t, "dr@clinic.example", testpki.Dates(-300, -1)).Cert), trust.Expired, "valid until"},
		{"leaf not yet valid", anchors, incoming(root.Leaf(t, "dr@clinic.example", testpki.Dates(1, 300)).Cert), trust.NotYetValid, "valid from"},
		{"expired intermediate", anchors, incoming(oldSub.Leaf(t, "dr@clinic.example").Cert, oldSub.Cert), trust.Expired, "Old sub"},
		{"expired anchor", store{in: []*x509.Certificate{oldRoot.Cert}}, incoming(oldRoot.Leaf(t, "dr@clinic.example").Cert), trust.AnchorExpired, "Old root"},
		{"other address", anchors, incoming(mail("nurse@clinic.example")), trust.WrongBinding, "nurse@clinic.example"},
		{"parent domain", anchors, incoming(dns("example")), trust.WrongBinding, "clinic.example"},
		{"sub-domain", anchors, incoming(dns("mail.clinic.example")), trust.WrongBinding, "mail.clinic.example"},
		{"wildcard", anchors, incoming(dns("*.clinic.example", "*.example")), trust.WrongBinding, "*"},
		{"longer address that ends the same", anchors, incoming(mail("xdr@clinic.example")), trust.WrongBinding, "xdr@"},
		{"e-mail only in the subject", anchors, incoming(emailInSubject(t, root)), trust.NoSAN, "subjectAltName"},
		{"alternative name of another kind", anchors, incoming(ipOnly(t, root)), trust.WrongBinding, "no address"},
		{"signs without the usage", anchors, incoming(root.Leaf(t, "dr@clinic.example", usage(x509.KeyUsageKeyEncipherment)).Cert), trust.KeyUsage, "digitalSignature"},
		{"encrypts without the usage", onlyOut, outbound(root.Leaf(t, "dr@clinic.example", usage(x509.KeyUsageDigitalSignature)).Cert), trust.KeyUsage, "keyAgreement"},
		{"leaf for servers", anchors, incoming(root.Leaf(t, "dr@clinic.example", ekus(x509.ExtKeyUsageServerAuth)).Cert), trust.EKU, "e-mail"},
		{"intermediate for servers", anchors, incoming(tlsSub.Leaf(t, "dr@clinic.example").Cert, tlsSub.Cert), trust.EKU, "TLS"},
		{"issuer that is no CA", anchors, incoming(plainSub.Leaf(t, "dr@clinic.example").Cert, plainSub.Cert), trust.NotCA, "Plain"},
		{"issuer that may sign CRLs only", anchors, incoming(crlOnly.Leaf(t, "dr@clinic.example").Cert, crlOnly.Cert), trust.NotCA, "key usage"},
		{"listed leaf that issues another", store{in: []*x509.Certificate{ownAnchor.Cert}}, incoming(ownAnchor.Leaf(t, "dr@clinic.example").Cert), trust.NotCA, "self"},
		{"path length exceeded", anchors, incoming(tooDeep.Leaf(t, "dr@clinic.example").Cert, tooDeep.Cert, short.Cert), trust.PathLength, "Short"},
		{"more names than can be compared", anchors, incoming(manyNames(t, bomb), bomb.Cert), trust.Limit, "comparisons"},
		{"name constraint elsewhere", anchors, incoming(mailOnly.Leaf(t, "dr@clinic.example").Cert, mailOnly.Cert), trust.NameConstraints, "dr@clinic.example"},
		{"name constraint on e-mail, passed by with a domain's certificate", anchors, incoming(mailOnly.Leaf(t, "", func(c *x509.Certificate) { c.DNSNames = []string{"clinic.example"} }).Cert, mailOnly.Cert), trust.NameConstraints, "dr@clinic.example"},
		{"name constraint excludes", anchors, incoming(notHere.Leaf(t, "dr@clinic.example").Cert, notHere.Cert), trust.NameConstraints, "excludes"},
		{"policy demanded and absent", anchors, incoming(policySub.Leaf(t, "dr@clinic.example").Cert, policySub.Cert), trust.Policy, "policy"},
		{"unknown critical extension in the leaf", anchors, incoming(root.Leaf(t, "dr@clinic.example", critical).Cert), trust.UnknownCritical, oidOdd.String()},
		{"unknown critical extension in an issuer", anchors, incoming(oddSub.Leaf(t, "dr@clinic.example").Cert, oddSub.Cert), trust.UnknownCritical, "Odd"},
		{"own policy refuses", store{in: anchors.in, policies: rules(t, "rsa-only: cert.key == 'rsa'")}, incoming(leaf.Cert, sub.Cert), trust.OwnPolicy, "rsa-only"},
		{"own policy allows", store{in: anchors.in, policies: rules(t, "curves: cert.key == 'ecdsa'")}, incoming(leaf.Cert, sub.Cert), "", ""},
		{"own policy cannot make an unsound chain sound", store{in: anchors.in, policies: rules(t, "anything: true")}, incoming(leaf.Cert), trust.Untrusted, "Sub"},
		{"RSA 1024", anchors, incoming(root.LeafWith(t, testpki.RSAKey(t, 1024, 0), "dr@clinic.example").Cert), trust.WeakKey, "1024"},
		{"RSA 1024 stays refused as legacy", legacy, incoming(root.LeafWith(t, testpki.RSAKey(t, 1024, 0), "dr@clinic.example").Cert), trust.WeakKey, "1024"},
		{"SHA-1 below the anchor", rsaStore, incoming(sha1Leaf), trust.WeakSignature, "SHA1"},
		{"SHA-1 below the anchor, legacy", rsaLegacy, incoming(sha1Leaf), "", ""},
		{"SHA-1 intermediate", rsaStore, incoming(belowSHA1.Cert, sha1Sub), trust.WeakSignature, "SHA-1 sub"},
		{"SHA-1 intermediate, legacy", rsaLegacy, incoming(belowSHA1.Cert, sha1Sub), "", ""},
		{"MD5, even as legacy", rsaLegacy, incoming(md5Leaf), trust.WeakSignature, "MD5"},
	}
}

func usage(ku x509.KeyUsage) testpki.Option {
	return func(c *x509.Certificate) { c.KeyUsage = ku }
}

func ekus(list ...x509.ExtKeyUsage) testpki.Option {
	return func(c *x509.Certificate) { c.ExtKeyUsage = list }
}

func emailInSubject(t *testing.T, root *testpki.Authority) *x509.Certificate {
	return root.Leaf(t, "", func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "dr@clinic.example"}}
	}).Cert
}

func manyNames(t *testing.T, by *testpki.Authority) *x509.Certificate {
	return by.Leaf(t, "dr@clinic.example", func(c *x509.Certificate) {
		for i := range 600 {
			c.EmailAddresses = append(c.EmailAddresses, fmt.Sprintf("a%d@b.example", i))
		}
	}).Cert
}

func ipOnly(t *testing.T, root *testpki.Authority) *x509.Certificate {
	return root.Leaf(t, "", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1)} }).Cert
}

func TestEvaluate(t *testing.T) {
	for _, c := range situations(t) {
		t.Run(c.name, func(t *testing.T) {
			d := decide(t, evaluator(c.s), c.q)
			if d.Reason != c.want {
				t.Fatalf("reason %q (%s), want %q", d.Reason, d.Detail, c.want)
			}
			if !strings.Contains(d.Detail, c.detail) {
				t.Errorf("detail %q does not mention %q", d.Detail, c.detail)
			}
			checkShape(t, d, c)
		})
	}
}

// checkShape holds every decision to what its readers rely on.
func checkShape(t *testing.T, d trust.Decision, c situation) {
	t.Helper()
	err := d.Approval.Covers(c.q.Cert, c.q.Peer, c.q.Direction, atNow)
	if (err == nil) != (c.want == "") || d.OK() != (c.want == "") {
		t.Errorf("approval covers: %v, OK %v, reason %q", err, d.OK(), d.Reason)
	}
	if d.OK() && (d.Anchor() == nil || d.Bound == "" || d.Trace.Verdict != trust.VerdictTrusted) {
		t.Errorf("approved without anchor, binding or verdict: %+v", d.Trace)
	}
	if !d.OK() && (d.Trace.Reason != d.Reason || d.Trace.Remedy == "" || d.Trace.WhoActs == "" || d.Chain != nil) {
		t.Errorf("refused without saying what to do: %+v", d.Trace)
	}
	b, err := json.Marshal(d.Trace)
	if err != nil || !bytes.Contains(b, []byte(`"format":1`)) {
		t.Errorf("trace does not serialise: %v %s", err, b)
	}
	var text strings.Builder
	if err := d.Trace.WriteText(&text); err != nil || !strings.Contains(text.String(), "dr@clinic.example") && !strings.Contains(text.String(), "lab") {
		t.Errorf("trace does not print: %v %s", err, text.String())
	}
}

func TestEvaluateRefusesWhatIsNoQuestion(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example")
	good := incoming(leaf.Cert)
	broken := map[string]func(*trust.Question){
		"no certificate": func(q *trust.Question) { q.Cert = nil },
		"no peer":        func(q *trust.Question) { q.Peer = addr.Address{} },
		"no domain":      func(q *trust.Question) { q.Local = addr.Domain{} },
		"no direction":   func(q *trust.Question) { q.Direction = "" },
		"odd purpose":    func(q *trust.Question) { q.Purpose = "chat" },
		"odd use":        func(q *trust.Question) { q.Use = "wrap" },
	}
	for name, change := range broken {
		q := good
		change(&q)
		if _, err := evaluator(store{in: []*x509.Certificate{root.Cert}}).Evaluate(context.Background(), q); !errors.Is(err, trust.ErrQuestion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	boom := errors.New("disk on fire")
	if _, err := evaluator(store{err: boom}).Evaluate(context.Background(), good); !errors.Is(err, boom) {
		t.Errorf("a failing store must be an error, not a verdict: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := evaluator(store{in: []*x509.Certificate{root.Cert}}).Evaluate(ctx, good); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context must be an error, not a verdict: %v", err)
	}
}
