package certs_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/smime/addr"
)

func authority(t testing.TB) *issue.Authority {
	t.Helper()
	a, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func leaf(t testing.TB, o issue.LeafOptions) certs.Credential {
	t.Helper()
	o.Now = time.Now()
	if o.Address.IsZero() && o.Domain.IsZero() {
		o.Domain = addr.MustDomain("direct.example.org")
	}
	c, err := authority(t).Leaf(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBinding(t *testing.T) {
	address := leaf(t, issue.LeafOptions{Address: addr.MustParse("John.Doe@direct.example.org"), Algorithm: issue.P256}).Cert
	domain := leaf(t, issue.LeafOptions{Algorithm: issue.P256}).Cert
	wild := &x509.Certificate{DNSNames: []string{"*.example.org"}}
	legacy := &x509.Certificate{} // an e-mail address in the subject only: x509 keeps it out of EmailAddresses
	for _, tc := range []struct {
		situation string
		cert      *x509.Certificate
		address   string
		how       string
	}{
		{"its address", address, "john.doe@direct.example.org", certs.BoundAddress},
		{"in capitals", address, "JOHN.DOE@DIRECT.EXAMPLE.ORG", certs.BoundAddress},
		{"with a tag", address, "john.doe+lab@direct.example.org", certs.BoundAddress},
		{"another address", address, "jane@direct.example.org", ""},
		{"domain", domain, "anybody@Direct.Example.Org", certs.BoundDomain},
		{"domain below", domain, "a@sub.direct.example.org", ""},
		{"domain above", domain, "a@example.org", ""},
		{"wildcard", wild, "a@direct.example.org", ""},
		{"no name", legacy, "a@direct.example.org", ""},
	} {
		how, ok := certs.Binding(tc.cert, addr.MustParse(tc.address))
		if how != tc.how || ok != (tc.how != "") {
			t.Errorf("%s: %q, %v; want %q", tc.situation, how, ok, tc.how)
		}
	}
	if _, ok := certs.Binding(domain, addr.Address{}); ok {
		t.Error("bound to no address")
	}
	if _, ok := (certs.Credential{}).BoundTo(addr.MustParse("a@direct.example.org")); ok {
		t.Error("the zero credential is bound")
	}
}

// module is a key that only agrees, as one in hardware.
type module struct{ *ecdh.PrivateKey }

// signOnly hides everything of a key but signing.
type signOnly struct{ crypto.Signer }

func TestUses(t *testing.T) {
	for _, tc := range []struct {
		situation     string
		o             issue.LeafOptions
		key           func(any) any
		sign, decrypt bool
	}{
		{"RSA dual", issue.LeafOptions{}, nil, true, true},
		{"RSA sign", issue.LeafOptions{Use: issue.Sign}, nil, true, false},
		{"RSA encrypt", issue.LeafOptions{Use: issue.Encrypt}, nil, false, true},
		{"P-256 dual", issue.LeafOptions{Algorithm: issue.P256}, nil, true, true},
		{"P-256 encrypt", issue.LeafOptions{Algorithm: issue.P256, Use: issue.Encrypt}, nil, false, true},
		{"P-256, key only agrees", issue.LeafOptions{Algorithm: issue.P256}, func(k any) any {
			d, err := k.(*ecdsa.PrivateKey).ECDH()
			if err != nil {
				t.Fatal(err)
			}
			return module{d}
		}, false, true},
		{"RSA, key only signs", issue.LeafOptions{}, func(k any) any { return signOnly{k.(*rsa.PrivateKey)} }, true, false},
	} {
		t.Run(tc.situation, func(t *testing.T) {
			c := leaf(t, tc.o)
			if tc.key != nil {
				var err error
				if c, err = certs.NewCredential(c.Cert, c.Chain, tc.key(c.Key)); err != nil {
					t.Fatal(err)
				}
			}
			if c.CanSign() != tc.sign || c.CanDecrypt() != tc.decrypt || certs.CanReceive(c.Cert) != (tc.o.Use != issue.Sign) {
				t.Errorf("signs %v, decrypts %v", c.CanSign(), c.CanDecrypt())
			}
		})
	}
	if c := (certs.Credential{}); c.CanSign() || c.CanDecrypt() {
		t.Error("the zero credential can do something")
	}
}

func TestMismatch(t *testing.T) {
	one, two := leaf(t, issue.LeafOptions{Algorithm: issue.P256}), leaf(t, issue.LeafOptions{Algorithm: issue.P256})
	if _, err := certs.NewCredential(one.Cert, nil, two.Key); !errors.Is(err, certs.ErrKeyMismatch) {
		t.Errorf("%v", err)
	}
	for _, key := range []any{nil, "key", 7} {
		if _, err := certs.NewCredential(one.Cert, nil, key); err == nil {
			t.Errorf("took %v as a key", key)
		}
	}
}

func TestParse(t *testing.T) {
	der := leaf(t, issue.LeafOptions{Algorithm: issue.P256}).Cert.Raw
	if _, err := certs.Parse(append(append([]byte{}, der...), "rest"...)); err != nil {
		t.Errorf("octets behind: %v", err)
	}
	if _, err := certs.Parse(der[:len(der)-1]); err == nil {
		t.Error("read half a certificate")
	}
	if _, err := certs.Parse(make([]byte, certs.MaxCertificate+1)); !errors.Is(err, certs.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}
