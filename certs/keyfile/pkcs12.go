package keyfile

import (
	"crypto/fips140"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"

	"postern/certs"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

const convert = "convert it: openssl pkcs12 -in OLD.p12 -legacy -nodes -out NEW.pem, and give NEW.pem"

const convertFIPS = "convert it on a machine without that mode: openssl pkcs12 -in OLD.p12 -legacy -nodes -out NEW.pem, and give NEW.pem"

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509Cert      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidPBMAC1        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	oidPBKDF2        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256    = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// The structures of RFC 7292 §4.
type pfx struct {
	Version  int
	AuthSafe contentInfo
	MacData  asn1.RawValue `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue `asn1:"tag:0,explicit"`
	Attributes asn1.RawValue `asn1:"set,optional"`
}

type certBag struct {
	ID   asn1.ObjectIdentifier
	Data []byte `asn1:"tag:0,explicit"`
}

// parsePKCS12 reads files of any number of safes and keys. The library verifies the password over
// the original file; only then are the safes given to it again one by one.
func parsePKCS12(file []byte, password string) (parts, error) {
	safes, err := openPFX(file)
	if err != nil {
		return parts{}, err
	}
	if err := checkRounds(file); err != nil {
		return parts{}, err
	}
	key, cert, chain, err := decodeChain(file, password)
	if err == nil {
		return gather(key, append([]*x509.Certificate{cert}, chain...))
	}
	if errors.Is(err, pkcs12.ErrIncorrectPassword) || errors.Is(err, pkcs12.ErrDecryption) {
		return parts{}, fail(ReasonPassword, "give the right one with --password-file", "wrong password for the PKCS#12 file")
	}
	if errors.Is(err, errFIPS) {
		return parts{}, fail(ReasonUnsupported, convertFIPS, "PKCS#12 file cannot be read: %v", err)
	}
	if !tooRich(err) {
		return parts{}, fail(ReasonUnsupported, convert, "PKCS#12 file cannot be read: %v", err)
	}
	return splitSafes(safes, password)
}

// decodeChain is the library's DecodeChain. It panics in FIPS 140 only mode on what that mode forbids (RC2, 3DES,
// SHA-1), as the standard library does beneath it: that is an error here.
func decodeChain(file []byte, password string) (key any, cert *x509.Certificate, chain []*x509.Certificate, err error) {
	if fips140.Enforced() {
		defer func() {
			if recover() != nil {
				err = errFIPS
			}
		}()
	}
	return pkcs12.DecodeChain(file, password)
}

var errFIPS = errors.New("its encryption is not available in FIPS 140 only mode (RC2, 3DES, SHA-1, a salt under 16 octets as " +
	"OpenSSL 3.0 writes it, or a password under 14)")

// tooRich reports whether the library read the file and verified its password, but found more or
// less in it than one key and its certificates. It checks the password before it counts.
func tooRich(err error) bool {
	s := err.Error()
	for _, words := range []string{"items in the authenticated safe", "expected exactly one key bag", "private key missing", "certificate missing"} {
		if strings.Contains(s, words) {
			return true
		}
	}
	return false
}

func gather(key any, list []*x509.Certificate) (parts, error) {
	var found parts
	for _, c := range list {
		if err := found.addCert(c); err != nil {
			return found, err
		}
	}
	return found, found.addKey(key)
}

// openPFX reads the outer layers down to the list of safes, without any secret.
func openPFX(file []byte) ([]contentInfo, error) {
	var p pfx
	if rest, err := asn1.Unmarshal(file, &p); err != nil || len(rest) > 0 {
		return nil, fail(ReasonUnreadable, convert, "not a DER PKCS#12 file")
	}
	if p.Version != 3 || !p.AuthSafe.Type.Equal(oidData) {
		return nil, fail(ReasonUnsupported, convert, "PKCS#12 of a kind protected by a public key")
	}
	var safe []byte
	if _, err := asn1.Unmarshal(p.AuthSafe.Content.Bytes, &safe); err != nil {
		return nil, fail(ReasonUnreadable, convert, "damaged PKCS#12 file")
	}
	var safes []contentInfo
	if _, err := asn1.Unmarshal(safe, &safes); err != nil {
		return nil, fail(ReasonUnreadable, convert, "damaged PKCS#12 file")
	}
	if len(safes) > MaxCerts+MaxKeys {
		return nil, fail(ReasonTooLarge, "", "more than %d safes in the PKCS#12 file", MaxCerts+MaxKeys)
	}
	return safes, nil
}

// splitSafes decodes a file of several safes: the clear safes are opened here, bag by bag; each
// encrypted safe and each shrouded key is decrypted by the library from a small file of its own.
func splitSafes(safes []contentInfo, password string) (parts, error) {
	var found parts
	var shrouded [][]byte
	for _, s := range safes {
		var err error
		switch {
		case s.Type.Equal(oidData):
			err = clearSafe(&found, &shrouded, s)
		case s.Type.Equal(oidEncryptedData):
			err = encryptedSafe(&found, s, password)
		default:
			err = fail(ReasonUnsupported, convert, "PKCS#12 safe of unknown type %v", s.Type)
		}
		if err != nil {
			return found, err
		}
	}
	return found, openShrouded(&found, shrouded, password)
}

func clearSafe(found *parts, shrouded *[][]byte, s contentInfo) error {
	var octets []byte
	var bags []safeBag
	if _, err := asn1.Unmarshal(s.Content.Bytes, &octets); err != nil {
		return fail(ReasonUnreadable, convert, "damaged safe in the PKCS#12 file")
	}
	if _, err := asn1.Unmarshal(octets, &bags); err != nil {
		return fail(ReasonUnreadable, convert, "damaged safe in the PKCS#12 file")
	}
	for _, b := range bags {
		switch {
		case b.ID.Equal(oidShroudedBag):
			*shrouded = append(*shrouded, b.Value.Bytes)
		case b.ID.Equal(oidKeyBag):
			key, err := x509.ParsePKCS8PrivateKey(b.Value.Bytes)
			if err != nil {
				return fail(ReasonUnreadable, "", "key in the PKCS#12 file: %v", err)
			}
			if err := found.addKey(key); err != nil {
				return err
			}
		case b.ID.Equal(oidCertBag):
			var bag certBag
			if _, err := asn1.Unmarshal(b.Value.Bytes, &bag); err != nil || !bag.ID.Equal(oidX509Cert) {
				continue // an SDSI certificate or the like: nothing for S/MIME
			}
			cert, err := certs.Parse(bag.Data)
			if err != nil {
				return fail(ReasonUnreadable, "", "certificate in the PKCS#12 file: %v", err)
			}
			if err := found.addCert(cert); err != nil {
				return err
			}
		}
	}
	return nil
}

// encryptedSafe has the library decrypt a safe of certificates, beside a throw-away key.
func encryptedSafe(found *parts, s contentInfo, password string) error {
	dummy, err := dummyKeySafe()
	if err != nil {
		return err
	}
	file, err := rewrap([]contentInfo{s, dummy}, password)
	if err != nil {
		return err
	}
	_, cert, chain, err := decodeChain(file, password)
	if err != nil {
		return fail(ReasonUnsupported, convert, "encrypted safe in the PKCS#12 file: %v", err)
	}
	for _, c := range append([]*x509.Certificate{cert}, chain...) {
		if err := found.addCert(c); err != nil {
			return err
		}
	}
	return nil
}

// openShrouded has the library decrypt EncryptedPrivateKeyInfo values (RFC 5958 §3), which PKCS#12
// bags and PEM "ENCRYPTED PRIVATE KEY" blocks both are. It needs a certificate beside each key.
func openShrouded(found *parts, shrouded [][]byte, password string) error {
	if len(shrouded) == 0 {
		return nil
	}
	if len(found.certs) == 0 {
		return fail(ReasonNoCert, "add the certificate to the file", "the file holds an encrypted key but no certificate")
	}
	if len(shrouded) > MaxKeys {
		return fail(ReasonTooLarge, "", "more than %d keys", MaxKeys)
	}
	beside, err := certSafe(found.certs[0])
	if err != nil {
		return err
	}
	for _, der := range shrouded {
		if err := checkRounds(der); err != nil {
			return err
		}
		safe, err := bagSafe(oidShroudedBag, der)
		if err != nil {
			return err
		}
		file, err := rewrap([]contentInfo{beside, safe}, password)
		if err != nil {
			return err
		}
		key, _, _, err := decodeChain(file, password)
		if errors.Is(err, errFIPS) {
			return fail(ReasonUnsupported, convertFIPS, "private key cannot be decrypted: %v", err)
		}
		if err != nil {
			return fail(ReasonPassword, "give the password of the key with --password-file", "private key cannot be decrypted: %v", err)
		}
		if err := found.addKey(key); err != nil {
			return err
		}
	}
	return nil
}
