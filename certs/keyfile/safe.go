package keyfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"

	"postern/certs"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// dataInfo is a ContentInfo of type data around the octets.
func dataInfo(octets []byte) (contentInfo, error) {
	der, err := asn1.Marshal(octets)
	if err != nil {
		return contentInfo{}, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	return contentInfo{oidData, explicit0(der)}, nil
}

func explicit0(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// bagSafe is a clear safe of one bag.
func bagSafe(id asn1.ObjectIdentifier, value []byte) (contentInfo, error) {
	type bag struct {
		ID    asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	der, err := asn1.Marshal([]bag{{id, explicit0(value)}})
	if err != nil {
		return contentInfo{}, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	return dataInfo(der)
}

func certSafe(cert *x509.Certificate) (contentInfo, error) {
	der, err := asn1.Marshal(certBag{oidX509Cert, cert.Raw})
	if err != nil {
		return contentInfo{}, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	return bagSafe(oidCertBag, der)
}

func dummyKeySafe() (contentInfo, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return contentInfo{}, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return contentInfo{}, fail(ReasonUnreadable, "", "PKCS#12: %v", err)
	}
	return bagSafe(oidKeyBag, der)
}

// checkRounds sums every iteration count in clear in the structure: a file may not make its reader
// hash for minutes. It looks for the shape all password-based algorithms share, a SEQUENCE that
// begins with an OCTET STRING (salt) and an INTEGER (rounds), at any depth that asn1 can see.
func checkRounds(der []byte) error {
	w := roundWalk{left: MaxRounds}
	w.walk(der, 0)
	if w.left < 0 {
		return fail(ReasonTooLarge, "write the file again with fewer rounds", "the file asks for more than %d password hashing rounds", MaxRounds)
	}
	return nil
}

type roundWalk struct {
	left  int64
	nodes int
}

func (w *roundWalk) walk(der []byte, depth int) {
	const maxDepth, maxNodes = 16, 20000
	salt := false
	for len(der) > 0 && depth < maxDepth && w.left >= 0 {
		if w.nodes++; w.nodes > maxNodes {
			w.left = -1
			return
		}
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return
		}
		der = rest
		switch {
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagInteger && salt:
			w.count(v.FullBytes)
		case v.IsCompound, v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString && len(v.Bytes) > 64:
			w.walk(v.Bytes, depth+1)
		}
		salt = v.Tag == asn1.TagOctetString // of whatever class and form: the library looks at the number alone
	}
}

func (w *roundWalk) count(integer []byte) {
	var n int64
	if _, err := asn1.Unmarshal(integer, &n); err != nil || n < 0 || n > MaxRounds {
		w.left = -1
		return
	}
	w.left -= n
}

// WritePKCS12 writes one credential with its key under AES-256 and PBKDF2, as OpenSSL 1.1.1, Java 12
// and Windows Server 2019 and later read it; legacy writes 3DES and SHA-1 for older ones. A pair of
// single-use credentials is two files. An empty password is refused.
func WritePKCS12(c certs.Credential, password string, legacy bool) ([]byte, error) {
	const rounds = 100_000
	if password == "" {
		return nil, fail(ReasonPassword, "give one with --password-file", "a private key is not written without a password")
	}
	encoder := pkcs12.Modern2023.WithIterations(rounds)
	if legacy {
		encoder = pkcs12.LegacyDES
	}
	file, err := encoder.Encode(c.Key, c.Cert, c.Chain, password)
	if err != nil {
		return nil, fail(ReasonUnsupported, "", "PKCS#12 file cannot be written: %v", err)
	}
	return file, nil
}
