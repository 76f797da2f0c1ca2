package cms

import (
	"encoding/asn1"

	"postern/smime/cms/ber"
)

// oid is an object identifier as the content octets of its DER element, so that comparing one with
// received octets needs no parsing.
type oid string

// String is the dotted form.
func (o oid) String() string {
	var v asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(o.der(), &v); err != nil {
		return "malformed OID"
	}
	return v.String()
}

// der is the whole element.
func (o oid) der() []byte { return ber.Build(ber.OID, []byte(o)) }

// oidOf is b as an oid. Those that nearly every message has cost no memory.
func oidOf(b []byte) oid {
	for _, o := range [...]oid{oidData, oidSHA256, oidRSA, oidAES256CBC, oidOAEP, oidSignedData, oidEnvelopedData, oidAttrContentType,
		oidAttrMessageDigest, oidAttrSigningTime, oidAttrCapabilities, oidAttrSigningCertificateV2, oidAES192CBC, oidAES128CBC, oidAES256GCM,
		oidAES128GCM, oidSHA1, oidMGF1, oidECDHSHA256, oidAES256Wrap, oidSHA256WithRSA, oidECDSAWithSHA256} {
		if string(b) == string(o) {
			return o
		}
	}
	return oid(b)
}

// algorithm is an AlgorithmIdentifier without parameters.
func (o oid) algorithm() []byte {
	n := ber.Size(len(o))
	return ber.AppendString(ber.AppendHeader(make([]byte, 0, ber.Size(n)), ber.Sequence, int64(n)), ber.OID, string(o))
}

// Content types (RFC 5652 §3 to §10, RFC 3274, RFC 5083).
const (
	oidData              oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"         // 1.2.840.113549.1.7.1
	oidSignedData        oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"         // 1.2.840.113549.1.7.2
	oidEnvelopedData     oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03"         // 1.2.840.113549.1.7.3
	oidDigestedData      oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05"         // 1.2.840.113549.1.7.5
	oidEncryptedData     oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06"         // 1.2.840.113549.1.7.6
	oidAuthenticatedData oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x02" // 1.2.840.113549.1.9.16.1.2
	oidCompressedData    oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09" // 1.2.840.113549.1.9.16.1.9
	oidAuthEnvelopedData oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17" // 1.2.840.113549.1.9.16.1.23
)

// Attributes (RFC 5652 §11, RFC 8551 §2.5, RFC 5035 §3).
const (
	oidAttrContentType          oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"         // 1.2.840.113549.1.9.3
	oidAttrMessageDigest        oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"         // 1.2.840.113549.1.9.4
	oidAttrSigningTime          oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"         // 1.2.840.113549.1.9.5
	oidAttrCapabilities         oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f"         // 1.2.840.113549.1.9.15
	oidAttrSigningCertificate   oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c" // 1.2.840.113549.1.9.16.2.12
	oidAttrSigningCertificateV2 oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f" // 1.2.840.113549.1.9.16.2.47
)

// Digests.
const (
	oidMD5    oid = "\x2a\x86\x48\x86\xf7\x0d\x02\x05"     // 1.2.840.113549.2.5
	oidSHA1   oid = "\x2b\x0e\x03\x02\x1a"                 // 1.3.14.3.2.26
	oidSHA224 oid = "\x60\x86\x48\x01\x65\x03\x04\x02\x04" // 2.16.840.1.101.3.4.2.4
	oidSHA256 oid = "\x60\x86\x48\x01\x65\x03\x04\x02\x01" // 2.16.840.1.101.3.4.2.1
	oidSHA384 oid = "\x60\x86\x48\x01\x65\x03\x04\x02\x02" // 2.16.840.1.101.3.4.2.2
	oidSHA512 oid = "\x60\x86\x48\x01\x65\x03\x04\x02\x03" // 2.16.840.1.101.3.4.2.3
)

// Keys and signatures.
const (
	oidRSA             oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" // 1.2.840.113549.1.1.1
	oidMD5WithRSA      oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04" // 1.2.840.113549.1.1.4
	oidSHA1WithRSA     oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05" // 1.2.840.113549.1.1.5
	oidOAEP            oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07" // 1.2.840.113549.1.1.7
	oidMGF1            oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08" // 1.2.840.113549.1.1.8
	oidPSpecified      oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x09" // 1.2.840.113549.1.1.9
	oidPSS             oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" // 1.2.840.113549.1.1.10
	oidSHA256WithRSA   oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b" // 1.2.840.113549.1.1.11
	oidSHA384WithRSA   oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" // 1.2.840.113549.1.1.12
	oidSHA512WithRSA   oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" // 1.2.840.113549.1.1.13
	oidSHA224WithRSA   oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0e" // 1.2.840.113549.1.1.14
	oidECPublicKey     oid = "\x2a\x86\x48\xce\x3d\x02\x01"         // 1.2.840.10045.2.1
	oidECDSAWithSHA1   oid = "\x2a\x86\x48\xce\x3d\x04\x01"         // 1.2.840.10045.4.1
	oidECDSAWithSHA224 oid = "\x2a\x86\x48\xce\x3d\x04\x03\x01"     // 1.2.840.10045.4.3.1
	oidECDSAWithSHA256 oid = "\x2a\x86\x48\xce\x3d\x04\x03\x02"     // 1.2.840.10045.4.3.2
	oidECDSAWithSHA384 oid = "\x2a\x86\x48\xce\x3d\x04\x03\x03"     // 1.2.840.10045.4.3.3
	oidECDSAWithSHA512 oid = "\x2a\x86\x48\xce\x3d\x04\x03\x04"     // 1.2.840.10045.4.3.4
	oidDSA             oid = "\x2a\x86\x48\xce\x38\x04\x01"         // 1.2.840.10040.4.1
	oidDSAWithSHA1     oid = "\x2a\x86\x48\xce\x38\x04\x03"         // 1.2.840.10040.4.3
	oidEd25519         oid = "\x2b\x65\x70"                         // 1.3.101.112
	oidX25519          oid = "\x2b\x65\x6e"                         // 1.3.101.110
	oidP256            oid = "\x2a\x86\x48\xce\x3d\x03\x01\x07"     // 1.2.840.10045.3.1.7
	oidP384            oid = "\x2b\x81\x04\x00\x22"                 // 1.3.132.0.34
	oidP521            oid = "\x2b\x81\x04\x00\x23"                 // 1.3.132.0.35
)

// Content encryption.
const (
	oidAES128CBC    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x02" // 2.16.840.1.101.3.4.1.2
	oidAES192CBC    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x16" // 2.16.840.1.101.3.4.1.22
	oidAES256CBC    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a" // 2.16.840.1.101.3.4.1.42
	oidAES128GCM    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x06" // 2.16.840.1.101.3.4.1.6
	oidAES192GCM    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x1a" // 2.16.840.1.101.3.4.1.26
	oidAES256GCM    oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x2e" // 2.16.840.1.101.3.4.1.46
	oidTripleDESCBC oid = "\x2a\x86\x48\x86\xf7\x0d\x03\x07"     // 1.2.840.113549.3.7
	oidDESCBC       oid = "\x2b\x0e\x03\x02\x07"                 // 1.3.14.3.2.7
	oidRC2CBC       oid = "\x2a\x86\x48\x86\xf7\x0d\x03\x02"     // 1.2.840.113549.3.2
	oidRC4          oid = "\x2a\x86\x48\x86\xf7\x0d\x03\x04"     // 1.2.840.113549.3.4
)

// Key agreement and key wrap (RFC 5753, RFC 8418, RFC 3565, RFC 3370).
const (
	oidAES128Wrap     oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x05"         // 2.16.840.1.101.3.4.1.5
	oidAES192Wrap     oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x19"         // 2.16.840.1.101.3.4.1.25
	oidAES256Wrap     oid = "\x60\x86\x48\x01\x65\x03\x04\x01\x2d"         // 2.16.840.1.101.3.4.1.45
	oidTripleDESWrap  oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x06" // 1.2.840.113549.1.9.16.3.6
	oidECDHSHA1       oid = "\x2b\x81\x05\x10\x86\x48\x3f\x00\x02"         // 1.3.133.16.840.63.0.2
	oidECDHSHA224     oid = "\x2b\x81\x04\x01\x0b\x00"                     // 1.3.132.1.11.0
	oidECDHSHA256     oid = "\x2b\x81\x04\x01\x0b\x01"                     // 1.3.132.1.11.1
	oidECDHSHA384     oid = "\x2b\x81\x04\x01\x0b\x02"                     // 1.3.132.1.11.2
	oidECDHSHA512     oid = "\x2b\x81\x04\x01\x0b\x03"                     // 1.3.132.1.11.3
	oidCofactorSHA1   oid = "\x2b\x81\x05\x10\x86\x48\x3f\x00\x03"         // 1.3.133.16.840.63.0.3
	oidCofactorSHA224 oid = "\x2b\x81\x04\x01\x0e\x00"                     // 1.3.132.1.14.0
	oidCofactorSHA256 oid = "\x2b\x81\x04\x01\x0e\x01"                     // 1.3.132.1.14.1
	oidCofactorSHA384 oid = "\x2b\x81\x04\x01\x0e\x02"                     // 1.3.132.1.14.2
	oidCofactorSHA512 oid = "\x2b\x81\x04\x01\x0e\x03"                     // 1.3.132.1.14.3
	oidECDHHKDF256    oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x13" // 1.2.840.113549.1.9.16.3.19
	oidECDHHKDF384    oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x14" // 1.2.840.113549.1.9.16.3.20
	oidECDHHKDF512    oid = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x15" // 1.2.840.113549.1.9.16.3.21
)
