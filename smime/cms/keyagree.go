package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"postern/smime/cms/ber"
)

// agreeScheme is one key agreement: its key derivation.
type agreeScheme struct {
	hash crypto.Hash
	hkdf bool
	name string
}

// schemeOf knows the ECDH schemes of RFC 5753 §7.1.4 and RFC 8418 §2.2. The cofactor of every
// supported curve is one or handled by the curve, so cofactor and standard forms are the same.
func schemeOf(o oid) (agreeScheme, bool) {
	switch o {
	case oidECDHSHA1, oidCofactorSHA1: // a KDF, not a signature: OpenSSL's default
		return agreeScheme{crypto.SHA1, false, "ecdh-x963-sha1"}, !fips140.Enforced()
	case oidECDHSHA224, oidCofactorSHA224:
		return agreeScheme{crypto.SHA224, false, "ecdh-x963-sha224"}, true
	case oidECDHSHA256, oidCofactorSHA256:
		return agreeScheme{crypto.SHA256, false, "ecdh-x963-sha256"}, true
	case oidECDHSHA384, oidCofactorSHA384:
		return agreeScheme{crypto.SHA384, false, "ecdh-x963-sha384"}, true
	case oidECDHSHA512, oidCofactorSHA512:
		return agreeScheme{crypto.SHA512, false, "ecdh-x963-sha512"}, true
	case oidECDHHKDF256:
		return agreeScheme{crypto.SHA256, true, "ecdh-hkdf-sha256"}, true
	case oidECDHHKDF384:
		return agreeScheme{crypto.SHA384, true, "ecdh-hkdf-sha384"}, true
	case oidECDHHKDF512:
		return agreeScheme{crypto.SHA512, true, "ecdh-hkdf-sha512"}, true
	}
	return agreeScheme{}, false
}

// wrapKeySize is the key-encryption key of a wrap algorithm, in octets.
func wrapKeySize(o oid) (int, bool) {
	switch o {
	case oidAES128Wrap:
		return 16, true
	case oidAES192Wrap:
		return 24, true
	case oidAES256Wrap, oidTripleDESWrap:
		if o == oidTripleDESWrap {
			return 24, true
		}
		return 32, true
	}
	return 0, false
}

func (s *share) unwrapAgreed(legacy bool) ([]byte, string, error) {
	scheme, ok := schemeOf(s.alg.oid)
	if !ok {
		return nil, "", failf(ReasonUnsupported, "key agreement algorithm %s", s.alg.oid)
	}
	if s.alg.params.Full == nil {
		return nil, "", failf(ReasonUnsupported, "key agreement without key wrap")
	}
	wrapAlg, err := parseAlgorithm(s.alg.params)
	if err != nil {
		return nil, "", err
	}
	size, ok := wrapKeySize(wrapAlg.oid)
	if !ok {
		return nil, "", failf(ReasonUnsupported, "key wrap algorithm %s", wrapAlg.oid)
	}
	if wrapAlg.oid == oidTripleDESWrap && (!legacy || fips140.Enforced()) {
		return nil, "", failf(ReasonLegacy, "3DES key wrap")
	}
	if s.agree.public == nil {
		return nil, "", failf(ReasonUnsupported, "key agreement with a static originator key")
	}
	own, curve, err := agreerOf(s.key)
	if err != nil {
		return nil, "", err
	}
	remote, err := curve.NewPublicKey(s.agree.public)
	if err != nil {
		return nil, scheme.name, err
	}
	z, err := own.ECDH(remote)
	if err != nil {
		return nil, scheme.name, err
	}
	kek, err := scheme.derive(z, sharedInfo(wrapAlg.raw, s.agree.ukm, size), s.agree.ukm, size)
	if err != nil {
		return nil, scheme.name, err
	}
	if wrapAlg.oid == oidTripleDESWrap {
		cek, err := unwrapTripleDES(kek, s.encrypted)
		return cek, scheme.name, err
	}
	cek, err := unwrapAES(kek, s.encrypted)
	return cek, scheme.name, err
}

// sharedInfo is ECC-CMS-SharedInfo (RFC 5753 §7.2). keyInfo is the wrap algorithm as the sender
// encoded it: some write NULL parameters, some none.
func sharedInfo(wrapAlg, ukm []byte, keySize int) []byte {
	parts := [][]byte{wrapAlg}
	if ukm != nil {
		parts = append(parts, ber.Build(ber.ContextConstructed(0), ber.Build(ber.OctetString, ukm)))
	}
	bits := binary.BigEndian.AppendUint32(nil, uint32(keySize*8))
	parts = append(parts, ber.Build(ber.ContextConstructed(2), ber.Build(ber.OctetString, bits)))
	return ber.Build(ber.Sequence, parts...)
}

func (a agreeScheme) derive(z, info, ukm []byte, size int) ([]byte, error) {
	if a.hkdf {
		return hkdf.Key(a.hash.New, z, ukm, string(info), size)
	}
	return x963(a.hash, z, info, size), nil
}

// x963 is the ANSI X9.63 key derivation function (SEC 1 §3.6.1).
func x963(h crypto.Hash, z, info []byte, size int) []byte {
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		d := h.New()
		d.Write(z)
		d.Write(binary.BigEndian.AppendUint32(nil, counter))
		d.Write(info)
		out = d.Sum(out)
	}
	return out[:size]
}

var errUnwrap = errors.New("cms: key unwrap failed")

const wrapIV = 0xa6a6a6a6a6a6a6a6 // RFC 3394 §2.2.3.1

// unwrapAES undoes AES key wrap (RFC 3394 §2.2.2).
func unwrapAES(kek, in []byte) ([]byte, error) {
	if len(in) < 24 || len(in) > 64 || len(in)%8 != 0 {
		return nil, errUnwrap
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := len(in)/8 - 1
	out := append([]byte(nil), in[8:]...)
	var b [16]byte
	copy(b[:8], in[:8])
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			a := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], a)
			copy(b[8:], out[(i-1)*8:i*8])
			block.Decrypt(b[:], b[:])
			copy(out[(i-1)*8:i*8], b[8:])
		}
	}
	var iv [8]byte
	binary.BigEndian.PutUint64(iv[:], wrapIV)
	if subtle.ConstantTimeCompare(b[:8], iv[:]) != 1 {
		return nil, errUnwrap
	}
	return out, nil
}

// wrapAES is AES key wrap (RFC 3394 §2.2.1); cek is a whole number of 8-octet units.
func wrapAES(kek, cek []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := len(cek) / 8
	out := append(make([]byte, 8), cek...)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], wrapIV)
	for j := 0; j <= 5; j++ {
		for i := 1; i <= n; i++ {
			copy(b[8:], out[i*8:(i+1)*8])
			block.Encrypt(b[:], b[:])
			a := binary.BigEndian.Uint64(b[:8]) ^ uint64(n*j+i)
			binary.BigEndian.PutUint64(b[:8], a)
			copy(out[i*8:(i+1)*8], b[8:])
		}
	}
	copy(out[:8], b[:8])
	return out, nil
}

// unwrapTripleDES undoes 3DES key wrap (RFC 3217 §3.2), for old evidence only.
func unwrapTripleDES(kek, in []byte) ([]byte, error) {
	if len(in) != 40 {
		return nil, errUnwrap
	}
	block, err := des.NewTripleDESCipher(kek)
	if err != nil {
		return nil, err
	}
	buf := append([]byte(nil), in...)
	cipher.NewCBCDecrypter(block, []byte{0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05}).CryptBlocks(buf, buf)
	for i, j := 0, len(buf)-1; i < j; i, j = i+1, j-1 {
		buf[i], buf[j] = buf[j], buf[i]
	}
	iv, body := buf[:8], buf[8:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(body, body)
	sum := sha1.Sum(body[:24])
	if subtle.ConstantTimeCompare(sum[:8], body[24:]) != 1 {
		return nil, errUnwrap
	}
	return body[:24], nil
}
