package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"math/big"

	"postern/smime/cms/ber"
)

type family uint8

const (
	familyRSA family = iota
	familyPSS
	familyECDSA
	familyEd25519
)

// scheme is one signature algorithm with everything its parameters say.
type scheme struct {
	family family
	hash   crypto.Hash
	salt   int // PSS
	name   string
}

// signatureScheme resolves signatureAlgorithm against digestAlgorithm. A plain key algorithm takes
// its digest from digestAlgorithm; a combined one must agree with it (CMS-08).
func signatureScheme(a algorithm, h crypto.Hash) (scheme, error) {
	plain := func(f family, name string, own crypto.Hash) (scheme, error) {
		if own != 0 && own != h {
			return scheme{}, failf(ReasonMismatch, "%s with %s and digest %s", name, digestName(own), digestName(h))
		}
		if !a.bare() {
			return scheme{}, failf(ReasonMalformed, "parameters of signature algorithm %s", a.oid)
		}
		return scheme{family: f, hash: h, name: name}, nil
	}
	switch a.oid {
	case oidRSA:
		return plain(familyRSA, "rsa-pkcs1", 0)
	case oidSHA1WithRSA:
		return plain(familyRSA, "rsa-pkcs1", crypto.SHA1)
	case oidSHA256WithRSA:
		return plain(familyRSA, "rsa-pkcs1", crypto.SHA256)
	case oidSHA384WithRSA:
		return plain(familyRSA, "rsa-pkcs1", crypto.SHA384)
	case oidSHA512WithRSA:
		return plain(familyRSA, "rsa-pkcs1", crypto.SHA512)
	case oidPSS:
		return pssScheme(a.params, h)
	case oidECPublicKey: // QUIRK: old EC senders name the key, not the signature
		return scheme{family: familyECDSA, hash: h, name: "ecdsa"}, nil
	case oidECDSAWithSHA1:
		return plain(familyECDSA, "ecdsa", crypto.SHA1)
	case oidECDSAWithSHA256:
		return plain(familyECDSA, "ecdsa", crypto.SHA256)
	case oidECDSAWithSHA384:
		return plain(familyECDSA, "ecdsa", crypto.SHA384)
	case oidECDSAWithSHA512:
		return plain(familyECDSA, "ecdsa", crypto.SHA512)
	case oidEd25519:
		return plain(familyEd25519, "ed25519", 0)
	case oidMD5WithRSA:
		return scheme{}, failf(ReasonForbidden, "signature algorithm md5WithRSA")
	}
	return scheme{}, failf(ReasonUnsupported, "signature algorithm %s", a.oid)
}

// pssScheme reads RSASSA-PSS-params (RFC 4055 §3.1); the defaults are SHA-1 and a salt of 20 octets.
func pssScheme(p ber.Element, h crypto.Hash) (scheme, error) {
	s := scheme{family: familyPSS, hash: crypto.SHA1, salt: 20, name: "rsa-pss"}
	mgf := crypto.SHA1
	if !p.IsSequence() {
		return s, failf(ReasonMalformed, "RSASSA-PSS parameters")
	}
	c := p.Children()
	if e, ok, err := c.Optional(ber.Context, 0); err != nil {
		return s, wrap("PSS hash", err)
	} else if ok {
		if s.hash, err = innerHash(e); err != nil {
			return s, err
		}
	}
	if e, ok, err := c.Optional(ber.Context, 1); err != nil {
		return s, wrap("PSS mask", err)
	} else if ok {
		if mgf, err = mgf1Hash(e); err != nil {
			return s, err
		}
	}
	if e, ok, err := c.Optional(ber.Context, 2); err != nil {
		return s, wrap("PSS salt", err)
	} else if ok {
		k := e.Children()
		n, err := k.Next()
		if err != nil {
			return s, wrap("PSS salt", err)
		}
		if s.salt, err = n.Uint(); err != nil || s.salt > 1024 {
			return s, failf(ReasonMalformed, "PSS salt length")
		}
	}
	if s.hash != h {
		return s, failf(ReasonMismatch, "RSASSA-PSS with %s and digest %s", digestName(s.hash), digestName(h))
	}
	if mgf != s.hash {
		return s, failf(ReasonUnsupported, "RSASSA-PSS with %s and mask %s", digestName(s.hash), digestName(mgf))
	}
	return s, nil
}

// verify checks a signature value over sum (RSA, ECDSA) or over message itself (Ed25519).
func (s scheme) verify(c *x509.Certificate, sum, message, value []byte) error {
	ok := false
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() > MaxRSABits || key.E > MaxRSAExponent {
			return failf(ReasonKeySize, "RSA key of %d bits, exponent %d", key.N.BitLen(), key.E)
		}
		switch s.family {
		case familyRSA:
			ok = rsa.VerifyPKCS1v15(key, s.hash, sum, value) == nil
		case familyPSS:
			ok = rsa.VerifyPSS(key, s.hash, sum, value, &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash}) == nil
			// The library takes a length of zero for "whatever it is".
			ok = ok && (s.salt != 0 || unsalted(key, s.hash, value))
		default:
			return failf(ReasonMismatch, "%s signature with an RSA key", s.name)
		}
	case *ecdsa.PublicKey:
		if s.family != familyECDSA {
			return failf(ReasonMismatch, "%s signature with an EC key", s.name)
		}
		ok = ecdsa.VerifyASN1(key, sum, value)
	case ed25519.PublicKey:
		if s.family != familyEd25519 {
			return failf(ReasonMismatch, "%s signature with an Ed25519 key", s.name)
		}
		if message == nil {
			return failf(ReasonUnsupported, "Ed25519 without signed attributes") // RFC 8419 §3.1
		}
		ok = ed25519.Verify(key, message, value)
	default:
		return failf(ReasonUnsupported, "signer key of an unknown kind")
	}
	if !ok {
		return failf(ReasonSignature, "the signature value does not verify")
	}
	return nil
}

// unsalted reports that a valid RSASSA-PSS signature has no salt: behind the zeros and the 01 of its data block
// nothing comes (RFC 8017 §9.1.2). Everything here is public.
func unsalted(key *rsa.PublicKey, h crypto.Hash, value []byte) bool {
	bits := key.N.BitLen() - 1
	m := new(big.Int).Exp(new(big.Int).SetBytes(value), big.NewInt(int64(key.E)), key.N)
	if m.BitLen() > bits || (bits+7)/8 < h.Size()+2 {
		return false
	}
	encoded := m.FillBytes(make([]byte, (bits+7)/8))
	db, seed := encoded[:len(encoded)-h.Size()-1], encoded[len(encoded)-h.Size()-1:len(encoded)-1]
	for at, counter := 0, uint32(0); at < len(db); counter++ { // MGF1, RFC 8017 appendix B.2.1
		d := h.New()
		d.Write(seed)
		d.Write(binary.BigEndian.AppendUint32(nil, counter))
		at += subtle.XORBytes(db[at:], db[at:], d.Sum(nil))
	}
	db[0] &= 0xff >> (8*len(encoded) - bits)
	return len(bytes.TrimLeft(db, "\x00")) == 1
}
