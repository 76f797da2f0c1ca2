package cms

import (
	"crypto"
	"crypto/fips140"
	_ "crypto/sha1" // legacy digests and key identifiers
	_ "crypto/sha256"
	_ "crypto/sha512"

	"postern/smime/cms/ber"
)

// algorithm is an AlgorithmIdentifier as received.
type algorithm struct {
	oid    oid
	params ber.Element // Full is nil when absent
	raw    []byte
}

func parseAlgorithm(e ber.Element) (algorithm, error) {
	if !e.IsSequence() {
		return algorithm{}, failf(ReasonMalformed, "algorithm identifier is not a sequence")
	}
	c := e.Children()
	id, err := c.Expect(ber.TagOID)
	if err != nil {
		return algorithm{}, wrap("algorithm identifier", err)
	}
	a := algorithm{oid: oidOf(id.Content), raw: e.Full}
	if !c.Empty() {
		if a.params, err = c.Next(); err != nil {
			return a, wrap("algorithm parameters", err)
		}
	}
	return a, nil
}

// bare reports that the parameters are absent or NULL, which mean the same (CMS-07, RFC 5754 §2).
func (a algorithm) bare() bool {
	return a.params.Full == nil || a.params.Is(ber.Universal, ber.TagNull) && len(a.params.Content) == 0
}

// digest is one digest algorithm and what this gateway thinks of it.
type digest struct {
	hash      crypto.Hash
	legacy    bool
	forbidden bool
}

// digestOf knows the digests. QUIRK: Microsoft's services and old Java toolkits name a whole signature algorithm where
// its digest belongs.
func digestOf(o oid) (digest, bool) {
	switch o {
	case oidSHA256, oidSHA256WithRSA, oidECDSAWithSHA256:
		return digest{hash: crypto.SHA256}, true
	case oidSHA384, oidSHA384WithRSA, oidECDSAWithSHA384:
		return digest{hash: crypto.SHA384}, true
	case oidSHA512, oidSHA512WithRSA, oidECDSAWithSHA512:
		return digest{hash: crypto.SHA512}, true
	case oidSHA1, oidSHA1WithRSA, oidECDSAWithSHA1:
		return digest{hash: crypto.SHA1, legacy: true}, !fips140.Enforced() // AS-51
	case oidMD5, oidMD5WithRSA:
		return digest{forbidden: true}, true // AS-51
	}
	return digest{}, false
}

func digestOID(h crypto.Hash) oid {
	switch h {
	case crypto.SHA1:
		return oidSHA1
	case crypto.SHA256:
		return oidSHA256
	case crypto.SHA384:
		return oidSHA384
	case crypto.SHA512:
		return oidSHA512
	}
	return ""
}

// digestName is the name of a digest in receipts and micalg (RFC 8551 §3.5.3.2).
func digestName(h crypto.Hash) string {
	switch h {
	case crypto.SHA1:
		return "sha-1"
	case crypto.SHA256:
		return "sha-256"
	case crypto.SHA384:
		return "sha-384"
	case crypto.SHA512:
		return "sha-512"
	}
	return "unknown"
}

// Cipher is a content-encryption algorithm that can be sent. The zero Cipher is the default.
type Cipher uint8

// Ciphers. CBC is what every certified product reads (CMS-28); GCM makes AuthEnvelopedData and is
// only for peers known to read it.
const (
	CipherDefault Cipher = iota // AES-256-CBC
	AES256CBC
	AES192CBC
	AES128CBC
	AES256GCM
	AES128GCM
)

func (c Cipher) String() string { return c.suite().name }

// CBC is the AES-CBC cipher of the same key length; a CBC one is itself.
func (c Cipher) CBC() Cipher {
	switch c {
	case AES256GCM:
		return AES256CBC
	case AES128GCM:
		return AES128CBC
	}
	return c
}

// MarshalText writes the name.
func (c Cipher) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// suite is everything about one content-encryption algorithm.
type suite struct {
	oid       oid
	name      string
	key       int
	block     int
	aead      bool
	legacy    bool
	forbidden bool
}

func (c Cipher) suite() suite {
	switch c {
	case AES192CBC:
		return suite{oidAES192CBC, "aes-192-cbc", 24, 16, false, false, false}
	case AES128CBC:
		return suite{oidAES128CBC, "aes-128-cbc", 16, 16, false, false, false}
	case AES256GCM:
		return suite{oidAES256GCM, "aes-256-gcm", 32, 16, true, false, false}
	case AES128GCM:
		return suite{oidAES128GCM, "aes-128-gcm", 16, 16, true, false, false}
	}
	return suite{oidAES256CBC, "aes-256-cbc", 32, 16, false, false, false}
}

// suiteOf knows every content encryption that is read, or refused by name (AS-53, CMS-29).
func suiteOf(o oid) (suite, bool) {
	for _, c := range []Cipher{AES256CBC, AES192CBC, AES128CBC, AES256GCM, AES128GCM} {
		if s := c.suite(); s.oid == o {
			return s, true
		}
	}
	switch o {
	case oidAES192GCM:
		return suite{oid: o, name: "aes-192-gcm", key: 24, block: 16, aead: true}, true
	case oidTripleDESCBC:
		return suite{oid: o, name: "3des-cbc", key: 24, block: 8, legacy: true}, true
	case oidDESCBC:
		return suite{oid: o, name: "des-cbc", forbidden: true}, true
	case oidRC2CBC:
		return suite{oid: o, name: "rc2-cbc", forbidden: true}, true
	case oidRC4:
		return suite{oid: o, name: "rc4", forbidden: true}, true
	}
	return suite{}, false
}

// Transport is how the content key travels to an RSA recipient. EC recipients use key agreement
// whatever is set. The zero Transport is the default.
type Transport uint8

// Transports (RFC 8551 §2.3).
const (
	TransportDefault Transport = iota // OAEP: what certified products read (AS-54); OAEPSHA256 in FIPS 140 only mode
	OAEP                              // RSAES-OAEP, SHA-1 and MGF1-SHA-1
	OAEPSHA256                        // RSAES-OAEP, SHA-256 and MGF1-SHA-256
	PKCS1v15                          // for peers that read nothing else
)

// real is what the default stands for.
func (t Transport) real() Transport {
	switch {
	case t != TransportDefault:
		return t
	case fips140.Enforced():
		return OAEPSHA256
	}
	return OAEP
}

func (t Transport) String() string {
	switch t.real() {
	case OAEPSHA256:
		return "rsaes-oaep-sha256"
	case PKCS1v15:
		return "rsaes-pkcs1-v1_5"
	}
	return "rsaes-oaep-sha1"
}

// MarshalText writes the name.
func (t Transport) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
