package chain_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"testing"

	"postern/trust/chain"
	"postern/trust/internal/testpki"
)

// rdn encodes a name of one common name in the given string type.
func rdn(tag byte, text []byte) []byte {
	v := append([]byte{tag, byte(len(text))}, text...)
	v = append([]byte{0x06, 0x03, 0x55, 0x04, 0x03}, v...)
	v = append([]byte{0x30, byte(len(v))}, v...)
	v = append([]byte{0x31, byte(len(v))}, v...)
	return append([]byte{0x30, byte(len(v))}, v...)
}

func TestSameName(t *testing.T) {
	const utf8, printable, ia5, bmp, octets = 12, 19, 22, 30, 4
	cases := []struct {
		name string
		a, b []byte
		same bool
	}{
		{"itself", rdn(utf8, []byte("Good CA")), rdn(utf8, []byte("Good CA")), true},
		{"other string type", rdn(utf8, []byte("Good CA")), rdn(printable, []byte("Good CA")), true},
		{"two octets a character", rdn(utf8, []byte("CA")), rdn(bmp, []byte{0, 'C', 0, 'A'}), true},
		{"letter case and spaces", rdn(utf8, []byte("Good CA")), rdn(ia5, []byte("  good   cA ")), true},
		{"another name", rdn(utf8, []byte("Good CA")), rdn(utf8, []byte("Good CB")), false},
		{"no space between", rdn(utf8, []byte("Good CA")), rdn(utf8, []byte("GoodCA")), false},
		{"not a string", rdn(utf8, []byte("CA")), rdn(octets, []byte("CA")), false},
		{"longer by one part", rdn(utf8, []byte("CA")), append([]byte{0x30, 2 * 13}, bytes.Repeat(rdn(utf8, []byte("CA"))[2:], 2)...), false},
		{"not a name at all", []byte("x"), []byte("x"), true},
		{"neither of them", []byte("x"), []byte("y"), false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if chain.SameName(c.a, c.b) != c.same || chain.SameName(c.b, c.a) != c.same {
				t.Errorf("same = %v", !c.same)
			}
		})
	}
}

// constraint encodes name constraints with one subtree.
func constraint(permitted bool, tag byte, base []byte) testpki.Option {
	g := append([]byte{tag, byte(len(base))}, base...)
	g = append([]byte{0x30, byte(len(g))}, g...)
	outer := byte(0xa0)
	if !permitted {
		outer = 0xa1
	}
	g = append([]byte{outer, byte(len(g))}, g...)
	g = append([]byte{0x30, byte(len(g))}, g...)
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: g})
	}
}

func TestNameConstraints(t *testing.T) {
	const email, dns, uri, ip, other = 0x81, 0x82, 0x86, 0x87, 0x88
	mail := func(s string) testpki.Option {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{s} }
	}
	host := func(s string) testpki.Option {
		return func(c *x509.Certificate) { c.EmailAddresses, c.DNSNames = nil, []string{s} }
	}
	link := func(s string) testpki.Option {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *x509.Certificate) { c.URIs = []*url.URL{u} }
	}
	addr := func(s string) testpki.Option {
		return func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(s).To4()} }
	}
	inSubject := func(c *x509.Certificate) {
		c.EmailAddresses = nil
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "dr@evil.example"}}
	}
	cases := []struct {
		name string
		rule testpki.Option
		leaf testpki.Option
		ok   bool
	}{
		{"mailbox, its own", constraint(true, email, []byte("dr@clinic.example")), mail("DR@Clinic.Example"), true},
		{"mailbox, another", constraint(true, email, []byte("dr@clinic.example")), mail("nurse@clinic.example"), false},
		{"host", constraint(true, email, []byte("clinic.example")), mail("dr@clinic.example"), true},
		{"host, not those below", constraint(true, email, []byte("clinic.example")), mail("dr@ward.clinic.example"), false},
		{"domain with a dot, those below", constraint(true, email, []byte(".clinic.example")), mail("dr@ward.clinic.example"), true},
		{"domain with a dot, not itself", constraint(true, email, []byte(".clinic.example")), mail("dr@clinic.example"), false},
		{"excluded host", constraint(false, email, []byte("clinic.example")), mail("dr@clinic.example"), false},
		{"excluded host, another", constraint(false, email, []byte("other.example")), mail("dr@clinic.example"), true},
		{"e-mail of the subject counts without alternative names", constraint(true, email, []byte("clinic.example")), inSubject, false},
		{"DNS name, itself", constraint(true, dns, []byte("clinic.example")), host("clinic.example"), true},
		{"DNS name, below", constraint(true, dns, []byte("clinic.example")), host("direct.clinic.example"), true},
		{"DNS name, only the same ending", constraint(true, dns, []byte("clinic.example")), host("evilclinic.example"), false},
		{"wildcard over an excluded name", constraint(false, dns, []byte("direct.clinic.example")), host("*.clinic.example"), false},
		{"wildcard elsewhere", constraint(false, dns, []byte("direct.clinic.example")), host("*.other.example"), true},
		{"a constraint of another kind does not bind", constraint(true, dns, []byte("other.example")), mail("dr@clinic.example"), true},
		{"URI host", constraint(true, uri, []byte("a.example")), link("https://a.example/x"), true},
		{"URI other host", constraint(true, uri, []byte("a.example")), link("https://b.example/x"), false},
		{"URI of an address cannot be judged", constraint(true, uri, []byte("a.example")), link("https://192.0.2.1/x"), false},
		{"address inside", constraint(true, ip, []byte{192, 0, 2, 0, 255, 255, 255, 0}), addr("192.0.2.7"), true},
		{"address outside", constraint(true, ip, []byte{192, 0, 2, 0, 255, 255, 255, 0}), addr("192.0.3.7"), false},
		{"a kind nobody compares, and the leaf has none", constraint(true, other, []byte{0x2a, 3}), mail("dr@clinic.example"), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			root := testpki.Root(t, "Root")
			sub := root.Sub(t, "Sub", c.rule)
			leaf := sub.Leaf(t, "dr@clinic.example", c.leaf)
			res := chain.Build(context.Background(), chain.Request{
				Leaf: leaf.Cert, Extra: []*x509.Certificate{sub.Cert}, Anchors: []*chain.Set{chain.NewSet([]*x509.Certificate{root.Cert})}, Rules: chain.Rules{Time: testpki.Now},
			}, nil)
			if (res.Path != nil) != c.ok {
				t.Fatalf("path %v, fault %v", res.Path != nil, res.Fault)
			}
			if !c.ok && res.Fault.Reason != chain.NameConstraints {
				t.Errorf("reason %s", res.Fault.Reason)
			}
		})
	}
}

// TestConstraintsHoldForWhatTheLeafStandsFor: an authority limited in one form of name cannot vouch for an address
// elsewhere by the other form (AS-11, AS-12).
func TestConstraintsHoldForWhatTheLeafStandsFor(t *testing.T) {
	const email, dns, uri = 0x81, 0x82, 0x86
	domain := func(c *x509.Certificate) { c.EmailAddresses, c.DNSNames = nil, []string{"clinic.example"} }
	own := func(*x509.Certificate) {}
	for _, c := range []struct {
		name string
		rule testpki.Option
		leaf testpki.Option
		as   string
		ok   bool
	}{
		{"e-mail of the host permitted, bound by domain", constraint(true, email, []byte("clinic.example")), domain, "dr@clinic.example", true},
		{"e-mail of another host permitted, bound by domain", constraint(true, email, []byte("other.example")), domain, "dr@clinic.example", false},
		{"e-mail of the host excluded, bound by domain", constraint(false, email, []byte("clinic.example")), domain, "dr@clinic.example", false},
		{"one mailbox permitted, bound by domain, that mailbox", constraint(true, email, []byte("dr@clinic.example")), domain, "dr@clinic.example", true},
		{"one mailbox permitted, bound by domain, another", constraint(true, email, []byte("dr@clinic.example")), domain, "nurse@clinic.example", false},
		{"the domain permitted, bound by address", constraint(true, dns, []byte("clinic.example")), own, "dr@clinic.example", true},
		{"the parent permitted, bound by address", constraint(true, dns, []byte("example")), own, "dr@clinic.example", true},
		{"another domain permitted, bound by address", constraint(true, dns, []byte("other.example")), own, "dr@clinic.example", false},
		{"the domain excluded, bound by address", constraint(false, dns, []byte("clinic.example")), own, "dr@clinic.example", false},
		{"the domain excluded, a quoted local part with another", constraint(false, dns, []byte("clinic.example")), own, `"dr@other"@clinic.example`, false},
		{"all domains excluded, bound by address: it issues no names of hosts", constraint(false, dns, nil), own, "dr@clinic.example", true},
		{"all domains excluded, bound by domain", constraint(false, dns, nil), domain, "dr@clinic.example", false},
		{"all e-mail excluded, bound by domain", constraint(false, email, nil), domain, "dr@clinic.example", false},
		{"a constraint of a third kind", constraint(true, uri, []byte("other.example")), own, "dr@clinic.example", true},
		{"nobody asked about: RFC 5280 alone", constraint(true, email, []byte("other.example")), domain, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := testpki.Root(t, "Root")
			sub := root.Sub(t, "Sub", c.rule)
			leaf := sub.Leaf(t, "dr@clinic.example", c.leaf)
			res := chain.Build(context.Background(), chain.Request{
				Leaf: leaf.Cert, Extra: []*x509.Certificate{sub.Cert}, Anchors: []*chain.Set{chain.NewSet([]*x509.Certificate{root.Cert})}, Rules: chain.Rules{Time: testpki.Now, As: c.as},
			}, nil)
			if (res.Path != nil) != c.ok || !c.ok && res.Fault.Reason != chain.NameConstraints {
				t.Fatalf("path %v, fault %v", res.Path != nil, res.Fault)
			}
		})
	}
}
