package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"

	"postern/smime/cms/ber"
)

// ErrKeyAway is what a Decrypter's error wraps when its device is not there just now: a failure that no message can
// cause, so that to name it tells nobody anything of a padding.
var ErrKeyAway = errors.New("the key's device does not answer")

// unwrapped is one candidate for the content key. A candidate whose unwrapping failed holds a
// random key, so that what follows takes the same time and ends in the same words (CMS-30, CMS-35).
type unwrapped struct {
	cek  []byte
	how  string
	key  Key
	weak bool // PKCS#1 v1.5
}

// unwrap recovers the content key of size octets from one share. It returns an error only for
// algorithms this gateway does not have or may not use, which anyone can read off the message.
func (s *share) unwrap(size int, legacy bool) (unwrapped, error) {
	u := unwrapped{cek: make([]byte, size), key: s.key}
	if _, err := rand.Read(u.cek); err != nil {
		return u, fmt.Errorf("cms: random content key: %w", err)
	}
	var got []byte
	var err error
	if s.agree != nil {
		got, u.how, err = s.unwrapAgreed(legacy)
	} else {
		got, u.how, err = s.unwrapRSA(size)
		u.weak = s.alg.oid == oidRSA
	}
	if err != nil {
		if errors.Is(err, ErrKeyAway) {
			return u, failf(ReasonBusy, "the device that holds the key does not answer")
		}
		if r := ReasonOf(err); r == ReasonUnsupported || r == ReasonLegacy {
			return u, err
		}
		got = nil // wrong key, damaged wrap, failing token: the random key stays
	}
	if len(got) == size {
		subtle.ConstantTimeCopy(1, u.cek, got)
	}
	return u, nil
}

func (s *share) unwrapRSA(size int) ([]byte, string, error) {
	dec, ok := s.key.Private.(crypto.Decrypter)
	if !ok {
		return nil, "", failf(ReasonUnsupported, "key transport to a key that cannot decrypt")
	}
	switch s.alg.oid {
	case oidRSA:
		if fips140.Enforced() {
			return nil, "", failf(ReasonUnsupported, "%s is not available in FIPS 140 only mode", PKCS1v15)
		}
		// A padding failure yields a random key of this size, in the same time (CMS-30).
		//lint:ignore SA1019 must still be read (AS-54), with the countermeasure of CMS-30
		b, err := dec.Decrypt(rand.Reader, s.encrypted, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size})
		return b, PKCS1v15.String(), err
	case oidOAEP:
		o, name, err := parseOAEP(s.alg.params)
		if err != nil {
			return nil, "", err
		}
		if fips140.Enforced() && (o.Hash == crypto.SHA1 || o.MGFHash == crypto.SHA1) {
			return nil, "", failf(ReasonUnsupported, "%s is not available in FIPS 140 only mode", name)
		}
		b, err := dec.Decrypt(rand.Reader, s.encrypted, o) // no second try as PKCS#1 v1.5 (CMS-33)
		return b, name, err
	}
	return nil, "", failf(ReasonUnsupported, "key transport algorithm %s", s.alg.oid)
}

// parseOAEP reads RSAES-OAEP-params (RFC 4055 §4.1). Absent, NULL and empty all mean the SHA-1
// defaults; label hash and MGF1 hash may differ and both are honoured (CMS-23, CMS-25).
func parseOAEP(p ber.Element) (*rsa.OAEPOptions, string, error) {
	o := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	if p.Full == nil || p.Is(ber.Universal, ber.TagNull) {
		return o, OAEP.String(), nil
	}
	if !p.IsSequence() {
		return nil, "", failf(ReasonMalformed, "OAEP parameters")
	}
	c := p.Children()
	if e, ok, err := c.Optional(ber.Context, 0); err != nil {
		return nil, "", wrap("OAEP hash", err)
	} else if ok {
		if o.Hash, err = innerHash(e); err != nil {
			return nil, "", err
		}
	}
	if e, ok, err := c.Optional(ber.Context, 1); err != nil {
		return nil, "", wrap("OAEP mask", err)
	} else if ok {
		if o.MGFHash, err = mgf1Hash(e); err != nil {
			return nil, "", err
		}
	}
	if e, ok, err := c.Optional(ber.Context, 2); err != nil {
		return nil, "", wrap("OAEP label", err)
	} else if ok {
		if o.Label, err = oaepLabel(e); err != nil {
			return nil, "", err
		}
	}
	if !c.Empty() {
		return nil, "", failf(ReasonMalformed, "OAEP parameters")
	}
	name := "rsaes-oaep-" + shortDigest(o.Hash)
	if o.MGFHash != o.Hash {
		name += "-mgf1-" + shortDigest(o.MGFHash)
	}
	return o, name, nil
}

func shortDigest(h crypto.Hash) string {
	n := digestName(h)
	return n[:3] + n[4:]
}

// innerHash reads an explicitly tagged hash AlgorithmIdentifier.
func innerHash(e ber.Element) (crypto.Hash, error) {
	c := e.Children()
	inner, err := c.Next()
	if err != nil {
		return 0, wrap("hash algorithm", err)
	}
	return hashParam(inner)
}

func hashParam(e ber.Element) (crypto.Hash, error) {
	a, err := parseAlgorithm(e)
	if err != nil {
		return 0, err
	}
	d, ok := digestOf(a.oid)
	if !ok || d.forbidden {
		return 0, failf(ReasonUnsupported, "hash %s in parameters", a.oid)
	}
	return d.hash, nil
}

func mgf1Hash(e ber.Element) (crypto.Hash, error) {
	c := e.Children()
	inner, err := c.Next()
	if err != nil {
		return 0, wrap("mask generation", err)
	}
	a, err := parseAlgorithm(inner)
	if err != nil {
		return 0, err
	}
	if a.oid != oidMGF1 {
		return 0, failf(ReasonUnsupported, "mask generation function %s", a.oid)
	}
	if a.params.Full == nil {
		return crypto.SHA1, nil
	}
	return hashParam(a.params)
}

func oaepLabel(e ber.Element) ([]byte, error) {
	c := e.Children()
	inner, err := c.Next()
	if err != nil {
		return nil, wrap("OAEP label", err)
	}
	a, err := parseAlgorithm(inner)
	if err != nil {
		return nil, err
	}
	if a.oid != oidPSpecified {
		return nil, failf(ReasonUnsupported, "OAEP label source %s", a.oid)
	}
	if a.params.Full == nil {
		return nil, nil
	}
	b, err := a.params.Octets()
	return b, wrap("OAEP label", err)
}

// agreer is a private key that can take part in ECDH, in memory or in a device.
type agreer interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

// publicKey is a certificate's key. crypto/x509 leaves X25519 keys of certificates unparsed.
func publicKey(c *x509.Certificate) any {
	if c.PublicKey != nil {
		return c.PublicKey
	}
	key, err := x509.ParsePKIXPublicKey(c.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil
	}
	return key
}

// agreerOf finds the ECDH form of a private key, and its curve from the certificate.
func agreerOf(k Key) (agreer, ecdh.Curve, error) {
	var curve ecdh.Curve
	switch pub := publicKey(k.Cert).(type) {
	case *ecdsa.PublicKey:
		p, err := pub.ECDH()
		if err != nil {
			return nil, nil, failf(ReasonUnsupported, "curve of the recipient's key")
		}
		curve = p.Curve()
	case *ecdh.PublicKey:
		curve = pub.Curve()
	default:
		return nil, nil, failf(ReasonUnsupported, "key agreement to a key without a curve")
	}
	switch priv := k.Private.(type) {
	case *ecdsa.PrivateKey:
		p, err := priv.ECDH()
		if err != nil {
			return nil, nil, failf(ReasonUnsupported, "curve of the recipient's key")
		}
		return p, curve, nil
	case agreer:
		return priv, curve, nil
	}
	return nil, nil, failf(ReasonUnsupported, "key agreement with a key that cannot agree")
}
