package policy_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/trust/internal/testpki"
	"postern/trust/policy"
)

func compile(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Compile("test", text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func oids(list ...string) testpki.Option {
	return func(c *x509.Certificate) {
		for _, s := range list {
			id, err := x509.ParseOID(s)
			if err != nil {
				panic(err)
			}
			c.Policies = append(c.Policies, id)
		}
	}
}

func TestRules(t *testing.T) {
	root := testpki.RootWith(t, testpki.RSAKey(t, 2048, 0), "Root")
	sub := root.SubWith(t, testpki.RSAKey(t, 2048, 1), "Sub", oids("1.2.3", "1.2.4"))
	leaf := sub.Leaf(t, "DR@clinic.example", oids("1.2.3", "1.2.5"), func(c *x509.Certificate) {
		c.CRLDistributionPoints = []string{"http://crl.example/1"}
		c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, []int{1, 2, 840, 1})
	})
	path := []*x509.Certificate{leaf.Cert, sub.Cert, root.Cert}
	for _, c := range []struct {
		rule string
		pass bool
	}{
		{`true`, true},
		{`false`, false},
		{`"dr@clinic.example" in cert.emails`, true},
		{`"clinic.example" in cert.domains`, false},
		{`cert.subject.contains("CN=DR@clinic.example")`, true},
		{`cert.issuer.contains("CN=Sub")`, true},
		{`cert.anchor_subject.contains("CN=Root") && size(cert.anchor) == 64`, true},
		{`"digitalSignature" in cert.key_usage && !("keyCertSign" in cert.key_usage)`, true},
		{`"1.3.6.1.5.5.7.3.4" in cert.extended_key_usage && "1.2.840.1" in cert.extended_key_usage`, true},
		{`cert.policies == ["1.2.3", "1.2.5"]`, true},
		{`cert.chain_policies == ["1.2.3"]`, true},
		{`cert.key == "ecdsa" && cert.key_bits == 256`, true},
		{`cert.signature == "SHA256-RSA" && cert.weakest_signature == "SHA256-RSA"`, true},
		{`cert.smallest_rsa_bits == 2048`, true},
		{`cert.chain_length == 3`, true},
		{`cert.validity_days == 730`, true},
		{`cert.not_after > timestamp("2027-01-01T00:00:00Z") && cert.not_before < cert.not_after`, true},
		{`cert.has_crl && !cert.has_ocsp`, true},
		{`cert.emails.all(e, e.endsWith("@clinic.example"))`, true},
		{`cert.emails[5] == "x"`, false}, // cannot be worked out
		{`cert.policies.all(a, cert.policies.all(b, cert.policies.all(c, cert.policies.all(d, a != b || c != d || true))))`, true},
	} {
		v := compile(t, "# a remark\n\nrule: "+c.rule+"\n").Judge(path)
		if v.Pass != c.pass {
			t.Errorf("%s: %+v", c.rule, v)
		}
		if !v.Pass && (v.Rule != "rule" || !strings.Contains(v.Detail, c.rule)) {
			t.Errorf("%s: refused without saying why: %+v", c.rule, v)
		}
	}
}

func TestTheFirstRuleThatRefusesIsNamed(t *testing.T) {
	root := testpki.Root(t, "Root")
	p := compile(t, "one: true\ntwo: cert.chain_length == 9\nthree: false")
	if v := p.Judge([]*x509.Certificate{root.Leaf(t, "a@b.example").Cert, root.Cert}); v.Rule != "two" {
		t.Errorf("%+v", v)
	}
}

func TestARuleThatWorksTooHardRefuses(t *testing.T) {
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "a@b.example", func(c *x509.Certificate) {
		for i := range 100 {
			c.EmailAddresses = append(c.EmailAddresses, fmt.Sprintf("a%d@b.example", i))
		}
	})
	p := compile(t, "hard: cert.emails.all(a, cert.emails.all(b, cert.emails.all(c, a + b + c != \"\")))")
	if v := p.Judge([]*x509.Certificate{leaf.Cert, root.Cert}); v.Pass || !strings.Contains(v.Detail, "cost") {
		t.Errorf("%+v", v)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, word string }{
		"nothing":           {"", "no rule"},
		"only remarks":      {"# nothing\n\n", "no rule"},
		"no name":           {"true", "name: expression"},
		"odd name":          {"Öl: true", "name: expression"},
		"no expression":     {"a:", "name: expression"},
		"syntax":            {"a: cert.emails ==", "line 1"},
		"unknown field":     {"ok: true\na: cert.colour == 'red'", "line 2"},
		"unknown variable":  {"a: now > 1", "undeclared"},
		"wrong type":        {"a: cert.key_bits == '2048'", "no matching overload"},
		"not a question":    {"a: cert.key_bits + 1", "not true or false"},
		"twice":             {"a: true\na: false", "second rule"},
		"too many":          {many(policy.MaxRules + 1), "more than"},
		"rule too long":     {"a: " + strings.Repeat("true || ", policy.MaxRule/8) + "true", "longer than"},
		"policy too long":   {strings.Repeat("#", policy.MaxOctets+1), "octets"},
		"nested very deep":  {"a: " + strings.Repeat("(", 900) + "true" + strings.Repeat(")", 900), "line 1"},
		"calls the outside": {"a: env('HOME') == ''", "undeclared"},
	} {
		_, err := policy.Compile("test", c.text)
		if !errors.Is(err, policy.ErrSyntax) || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q", name, err, c.word)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "r%d: true\n", i)
	}
	return b.String()
}

func TestReadyMade(t *testing.T) {
	root := testpki.Root(t, "Root")
	crl := func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://crl.example/1"} }
	full := root.Leaf(t, "dr@clinic.example", crl, oids("1.3.6.1.4.1.41179.0.1.3", "1.3.6.1.4.1.41179.1.3", "1.3.6.1.4.1.41179.2.1"))
	plain := root.Leaf(t, "dr@clinic.example", crl)
	bare := root.Leaf(t, "dr@clinic.example")
	long := root.Leaf(t, "dr@clinic.example", crl, testpki.Dates(-10, 2000))
	for _, c := range []struct {
		policy string
		cert   *testpki.Authority
		rule   string
	}{
		{"pilot", bare, ""},
		{"network-basic", plain, ""},
		{"network-basic", bare, "revocable"},
		{"network-basic", long, "lifetime"},
		{"strict-v1.3", full, ""},
		{"strict-v1.3", plain, "community"},
	} {
		text, err := policy.ReadyText(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Compile(c.policy, text)
		if err != nil {
			t.Fatal(err)
		}
		if v := p.Judge([]*x509.Certificate{c.cert.Cert, root.Cert}); v.Rule != c.rule || v.Pass != (c.rule == "") {
			t.Errorf("%s: %+v, want %q", c.policy, v, c.rule)
		}
	}
	if _, err := policy.ReadyText("none"); err == nil || len(policy.Ready()) != 3 {
		t.Errorf("%v %v", err, policy.Ready())
	}
}

func BenchmarkJudge(b *testing.B) {
	root := testpki.Root(b, "Root")
	text, err := policy.ReadyText("network-basic")
	if err != nil {
		b.Fatal(err)
	}
	p := compile(b, text)
	path := []*x509.Certificate{root.Leaf(b, "dr@clinic.example", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://crl.example/1"} }).Cert, root.Cert}
	for b.Loop() {
		if v := p.Judge(path); !v.Pass {
			b.Fatal(v)
		}
	}
}
