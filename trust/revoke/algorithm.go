package revoke

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // for legacy lists
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// algorithmOf names a signature algorithm and its digest; 0, 0 for one we do not know. RSA-PSS must
// use one digest throughout and a salt of its length, as crypto/x509 demands too.
func algorithmOf(raw []byte) (x509.SignatureAlgorithm, crypto.Hash) {
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	var id asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, der.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&id) {
		return 0, 0
	}
	switch id.String() {
	case "1.2.840.113549.1.1.5":
		return x509.SHA1WithRSA, crypto.SHA1
	case "1.2.840.113549.1.1.11":
		return x509.SHA256WithRSA, crypto.SHA256
	case "1.2.840.113549.1.1.12":
		return x509.SHA384WithRSA, crypto.SHA384
	case "1.2.840.113549.1.1.13":
		return x509.SHA512WithRSA, crypto.SHA512
	case "1.2.840.10045.4.1":
		return x509.ECDSAWithSHA1, crypto.SHA1
	case "1.2.840.10045.4.3.2":
		return x509.ECDSAWithSHA256, crypto.SHA256
	case "1.2.840.10045.4.3.3":
		return x509.ECDSAWithSHA384, crypto.SHA384
	case "1.2.840.10045.4.3.4":
		return x509.ECDSAWithSHA512, crypto.SHA512
	case "1.3.101.112":
		return x509.PureEd25519, 0
	case "1.2.840.113549.1.1.10":
		return pssOf(seq)
	}
	return 0, 0
}

func pssOf(params cryptobyte.String) (x509.SignatureAlgorithm, crypto.Hash) {
	for _, p := range []struct {
		alg  x509.SignatureAlgorithm
		hash crypto.Hash
		last byte // of the digest's object identifier 2.16.840.1.101.3.4.2.x
	}{
		{x509.SHA256WithRSAPSS, crypto.SHA256, 1}, {x509.SHA384WithRSAPSS, crypto.SHA384, 2}, {x509.SHA512WithRSAPSS, crypto.SHA512, 3},
	} {
		id := []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, p.last}
		if bytes.Count(params, id) == 2 && bytes.Contains(params, []byte{0xa2, 3, 2, 1, byte(p.hash.Size())}) {
			return p.alg, p.hash
		}
	}
	return 0, 0
}
