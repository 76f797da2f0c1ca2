package chain

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"math"
)

// KeyFault is nil when the certificate's own key is of a kind and size we believe (AS-17): RSA of
// 2048 to 4096 bits, NIST curves from P-256, Ed25519, X25519. An RSA exponent must be below 2^31, as
// the arithmetic of the standard library demands.
func KeyFault(c *x509.Certificate) *Fault { return Rules{}.keyFault(c, false) }

// AnchorKeyFault is KeyFault for an anchor, whose key may be of any size from 2048 bits up.
func AnchorKeyFault(c *x509.Certificate) *Fault { return Rules{}.keyFault(c, true) }

// keyFault has no upper limit for an anchor: the operator chose it.
func (r Rules) keyFault(c *x509.Certificate, anchor bool) *Fault {
	least := MinRSA
	if r.MinRSA > 0 {
		least = r.MinRSA
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		switch {
		case bits < least:
			return fault(WeakKey, c, "the key of %s has %d bits, RSA needs %d or more", Label(c), bits, least)
		case bits > MaxRSA && !anchor:
			return fault(WeakKey, c, "the key of %s has %d bits, more than the %d a message may bring", Label(c), bits, MaxRSA)
		case int64(k.E) > math.MaxInt32 || k.E < 3 || k.E&1 == 0:
			return fault(WeakKey, c, "the key of %s has the exponent %d", Label(c), k.E)
		}
		return nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
		return fault(WeakKey, c, "the key of %s is on the curve %s", Label(c), k.Curve.Params().Name)
	case ed25519.PublicKey, *ecdh.PublicKey:
		return nil
	}
	return fault(WeakKey, c, "the key of %s is of a kind we do not use (%s)", Label(c), c.PublicKeyAlgorithm)
}

// algorithmFault is nil when the algorithm that signed c is believed (AS-18). SHA-1 is believed
// only under the legacy switch; MD2, MD5 and DSA never.
func algorithmFault(c *x509.Certificate, legacy bool) *Fault {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return nil
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		if legacy {
			return nil
		}
		return fault(WeakSignature, c, "%s is signed with %s, which is allowed only as legacy", Label(c), c.SignatureAlgorithm)
	case x509.UnknownSignatureAlgorithm:
		return fault(WeakSignature, c, "%s is signed with an algorithm we do not know", Label(c))
	}
	return fault(WeakSignature, c, "%s is signed with %s", Label(c), c.SignatureAlgorithm)
}

// signedBy reports whether issuer's key made the signature on c. The caller has judged key and
// algorithm; SHA-1 is done here because crypto/x509 no longer does it.
func signedBy(c, issuer *x509.Certificate) bool {
	return Verify(issuer, c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

var errNoSHA1 = errors.New("chain: SHA-1 is not available in FIPS 140 only mode")

// Verify checks a signature by the certificate's key over signed octets. Unlike the method of
// crypto/x509 it also does SHA-1; whether SHA-1 may count is the caller's decision.
func Verify(by *x509.Certificate, alg x509.SignatureAlgorithm, signed, signature []byte) error {
	if alg != x509.SHA1WithRSA && alg != x509.ECDSAWithSHA1 {
		return by.CheckSignature(alg, signed, signature)
	}
	if fips140.Enforced() {
		return errNoSHA1
	}
	sum := sha1.Sum(signed)
	switch k := by.PublicKey.(type) {
	case *rsa.PublicKey:
		if alg == x509.SHA1WithRSA {
			return rsa.VerifyPKCS1v15(k, crypto.SHA1, sum[:], signature)
		}
	case *ecdsa.PublicKey:
		if alg == x509.ECDSAWithSHA1 && ecdsa.VerifyASN1(k, sum[:], signature) {
			return nil
		}
	}
	return rsa.ErrVerification
}
