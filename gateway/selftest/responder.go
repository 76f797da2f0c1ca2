package selftest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/certs"
	"postern/certs/issue"
	"postern/smime/addr"
	"postern/trust"
)

// said is what a responder says of a certificate of root's, and who it is.
type said struct {
	status   int       // ocsp.Good, ocsp.Revoked
	by       signatory // zero: root itself
	from, to time.Time
}

// signatory signs an OCSP response; cert goes along with it unless it is nil.
type signatory struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// answered lays out R50 to R58: certificates that name a responder and no list (RFC 6960, AS-64, AS-65).
func (s *post) answered() {
	hour, day := time.Hour, 24*time.Hour
	fresh := said{status: ocsp.Good, from: s.now.Add(-hour), to: s.now.Add(day)}
	s.add("R50", "responder says good", delivered, func(a addr.Address, _ *letter) creds { return creds{s.withResponder(a, fresh)} })
	revoked := fresh
	revoked.status = ocsp.Revoked
	s.add("R51", "responder says revoked", held(trust.Revoked), func(a addr.Address, _ *letter) creds { return creds{s.withResponder(a, revoked)} })
	appointed := fresh
	appointed.by = s.responder(true)
	s.add("R52", "responder appointed by the issuer says good", delivered, func(a addr.Address, _ *letter) creds { return creds{s.withResponder(a, appointed)} })
	stranger, stale := fresh, fresh
	stranger.by = signatory{key: s.foreign.Key}
	stale.from, stale.to = s.now.Add(-3*day), s.now.Add(-day)
	unfit := fresh
	unfit.by = s.responder(false)
	for _, c := range []struct {
		strict, lax, what string
		said              said
	}{{"R53", "R54", "answer signed by another authority", stranger}, {"R55", "R56", "answer signed by a certificate that the issuer gave for something else", unfit},
		{"R57", "R58", "stale answer", stale}} {
		in := s.add(c.strict, c.what+", strict domain", waits(trust.RevocationUnknown), func(a addr.Address, _ *letter) creds { return creds{s.withResponder(a, c.said)} })
		in.to = []addr.Address{intake(strictDomain)}
		s.add(c.lax, c.what+", domain that lets it pass", unchecked, func(a addr.Address, _ *letter) creds { return creds{s.withResponder(a, c.said)} })
	}
}

// withResponder is a certificate of root's whose responder says that.
func (s *post) withResponder(a addr.Address, what said) (c certs.Credential) {
	path := "/ocsp/" + a.Local()
	c, err := s.root.Leaf(issue.LeafOptions{Address: a, Key: s.key, Organization: "Selftest", Now: s.now.Add(-24 * time.Hour), OCSP: []string{s.net.URL(path)}})
	s.note(err)
	if s.err != nil {
		return c
	}
	t := ocsp.Response{Status: what.status, SerialNumber: c.Cert.SerialNumber, ThisUpdate: what.from, NextUpdate: what.to, Certificate: what.by.cert}
	if what.status == ocsp.Revoked {
		t.RevokedAt = what.from
	}
	by, key := what.by.cert, what.by.key
	if by == nil {
		by = s.root.Cert
	}
	if key == nil {
		key = s.root.Key
	}
	der, err := ocsp.CreateResponse(s.root.Cert, by, t, key)
	s.note(err)
	s.net.File(path, der)
	return c
}

// responder is a certificate that root issued, to answer for it or for something else.
func (s *post) responder(appointed bool) signatory {
	key, err := issue.NewKey(issue.P256)
	s.note(err)
	if s.err != nil {
		return signatory{}
	}
	use := x509.ExtKeyUsageEmailProtection
	if appointed {
		use = x509.ExtKeyUsageOCSPSigning
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Selftest Responder"}, NotBefore: s.now.Add(-time.Hour),
		NotAfter: s.now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, t, s.root.Cert, key.Public(), s.root.Key)
	s.note(err)
	c, err := x509.ParseCertificate(der)
	s.note(err)
	return signatory{c, key}
}
