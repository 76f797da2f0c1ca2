package keyfile

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"encoding/asn1"
	"errors"

	"postern/certs"
	"postern/smime/cms/ber"
)

const convert = "convert it: openssl pkcs12 -in OLD.p12 -legacy -nodes -out NEW.pem, and give NEW.pem"

const convertFIPS = "convert it on a machine without that mode: openssl pkcs12 -in OLD.p12 -legacy -nodes -out NEW.pem, and give NEW.pem"

// Object identifiers, as the octets of their contents.
const (
	oidData          = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
	oidEncryptedData = "\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06"

	oidKeyBag      = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x01"
	oidShroudedBag = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02"
	oidCertBag     = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03"
	oidSafeBag     = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x06"
	oidX509Cert    = "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x16\x01"

	oidPBE3DES   = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x03"
	oidPBE2DES   = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x04"
	oidPBERC2128 = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x05"
	oidPBERC240  = "\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x01\x06"
	oidPBKDF2    = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c"
	oidPBES2     = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
	oidPBMAC1    = "\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e"

	oidTripleDESCBC = "\x2a\x86\x48\x86\xf7\x0d\x03\x07"
	oidAES128CBC    = "\x60\x86\x48\x01\x65\x03\x04\x01\x02"
	oidAES192CBC    = "\x60\x86\x48\x01\x65\x03\x04\x01\x16"
	oidAES256CBC    = "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"

	oidSHA1       = "\x2b\x0e\x03\x02\x1a"
	oidSHA224     = "\x60\x86\x48\x01\x65\x03\x04\x02\x04"
	oidSHA256     = "\x60\x86\x48\x01\x65\x03\x04\x02\x01"
	oidSHA384     = "\x60\x86\x48\x01\x65\x03\x04\x02\x02"
	oidSHA512     = "\x60\x86\x48\x01\x65\x03\x04\x02\x03"
	oidHMACSHA1   = "\x2a\x86\x48\x86\xf7\x0d\x02\x07"
	oidHMACSHA224 = "\x2a\x86\x48\x86\xf7\x0d\x02\x08"
	oidHMACSHA256 = "\x2a\x86\x48\x86\xf7\x0d\x02\x09"
	oidHMACSHA384 = "\x2a\x86\x48\x86\xf7\x0d\x02\x0a"
	oidHMACSHA512 = "\x2a\x86\x48\x86\xf7\x0d\x02\x0b"
)

// algorithm is an AlgorithmIdentifier.
type algorithm struct {
	id     []byte
	params ber.Element // of class 0 and tag 0 when absent
}

func readAlgorithm(c *ber.Cursor) (algorithm, error) {
	e, err := c.Expect(ber.TagSequence)
	if err != nil {
		return algorithm{}, err
	}
	k := e.Children()
	id, err := k.Expect(ber.TagOID)
	if err != nil {
		return algorithm{}, err
	}
	a := algorithm{id: id.Content}
	if !k.Empty() {
		a.params, err = k.Next()
	}
	return a, err
}

// name is the identifier in dots, for a person.
func (a algorithm) name() string {
	var id asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(ber.Build(ber.OID, a.id), &id); err != nil {
		return "of an unreadable name"
	}
	return id.String()
}

// one reads DER or BER as one element of definite lengths.
func one(b []byte) (ber.Element, error) {
	b, err := ber.Definite(b)
	if err != nil {
		return ber.Element{}, err
	}
	return ber.One(b)
}

// contentInfo reads a ContentInfo (RFC 5652 §3).
func contentInfo(c *ber.Cursor) (typ string, content ber.Element, err error) {
	e, err := c.Expect(ber.TagSequence)
	if err != nil {
		return "", content, err
	}
	k := e.Children()
	id, err := k.Expect(ber.TagOID)
	if err != nil {
		return "", content, err
	}
	inner, err := k.Next()
	if err != nil || !inner.IsContext(0) {
		return "", content, errors.New("a content info without content")
	}
	in := inner.Children()
	content, err = in.Next()
	return string(id.Content), content, err
}

// pfx is the outer layer of a PKCS#12 file (RFC 7292 §4).
type pfx struct {
	safes []byte // the octets the authentication code is over
	mac   ber.Element
	isMAC bool
}

// unpadded drops zeros and line ends behind a structure of definite length. QUIRK: Windows exports files with zeros behind.
func unpadded(file []byte) []byte {
	c := ber.NewCursor(file)
	if e, err := c.Next(); err == nil && len(bytes.Trim(file[len(e.Full):], "\x00\r\n")) == 0 {
		return e.Full
	}
	return file
}

// openPFX reads the outer layer, without any secret.
func openPFX(file []byte) (pfx, error) {
	damaged := fail(ReasonUnreadable, convert, "not a PKCS#12 file, or a damaged one")
	e, err := one(unpadded(file))
	if err != nil || !e.IsSequence() {
		return pfx{}, damaged
	}
	c := e.Children()
	version, err := c.Expect(ber.TagInteger)
	if err != nil {
		return pfx{}, damaged
	}
	typ, content, err := contentInfo(&c)
	if err != nil {
		return pfx{}, damaged
	}
	if n, err := version.Uint(); err != nil || n != 3 || typ != oidData {
		return pfx{}, fail(ReasonUnsupported, convert, "PKCS#12 of a kind protected by a public key")
	}
	p := pfx{}
	if p.safes, err = content.Octets(); err != nil {
		return pfx{}, damaged
	}
	if p.mac, p.isMAC, err = c.Optional(ber.Universal, ber.TagSequence); err != nil || !c.Empty() {
		return pfx{}, damaged
	}
	return p, nil
}

// parsePKCS12 reads files of any number of safes and keys, DER or BER. QUIRK: Bouncy Castle, NSS and what stands on
// them (the Java agents of the network, Firefox and Thunderbird) write BER.
func parsePKCS12(file []byte, text string) (parts, error) {
	p, err := openPFX(file)
	if err != nil {
		return parts{}, err
	}
	left := &rounds{MaxRounds}
	for _, form := range forms(text) {
		found := &safeReader{password: form, rounds: left}
		if err = found.pfx(p); !errors.Is(err, errPassword) {
			return found.parts, found.explain(err)
		}
	}
	return parts{}, fail(ReasonPassword, "give the right one with --password-file", "wrong password for the PKCS#12 file")
}

// safeReader collects what the safes of one file hold, with one form of its password.
type safeReader struct {
	parts
	password password
	rounds   *rounds
	bags     int
}

// maxBags bounds the things in one file: certificates, keys, lists, and what nobody knows.
const maxBags = MaxCerts + MaxKeys

// explain makes an *Error of what went wrong.
func (r *safeReader) explain(err error) error {
	var done *Error
	var unknown unknownError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done):
		return done
	case errors.As(err, &unknown):
		return fail(ReasonUnsupported, convert, "PKCS#12 file cannot be read: %v", err)
	case errors.Is(err, errFIPS):
		return fail(ReasonUnsupported, convertFIPS, "PKCS#12 file cannot be read: %v", err)
	case errors.Is(err, errRounds):
		return fail(ReasonTooLarge, "write the file again with fewer rounds", "the file asks for more than %d password hashing rounds", MaxRounds)
	}
	return fail(ReasonUnreadable, convert, "damaged PKCS#12 file: %v", err)
}

// pfx verifies the password over the whole file, then reads the safes. A file without an authentication code is
// no worse than PEM, which has none either.
func (r *safeReader) pfx(p pfx) (err error) {
	if fips140.Enforced() {
		defer func() { // the standard library panics in that mode on what it forbids
			if recover() != nil {
				err = errFIPS
			}
		}()
	}
	if p.isMAC {
		if err := r.rounds.verifyMAC(p.mac, p.safes, r.password); err != nil {
			return err
		}
	}
	list, err := one(p.safes)
	if err != nil {
		return err
	}
	count := 0
	for c := list.Children(); !c.Empty(); count++ {
		if count == maxBags {
			return fail(ReasonTooLarge, "", "more than %d safes in the PKCS#12 file", maxBags)
		}
		typ, content, err := contentInfo(&c)
		if err != nil {
			return err
		}
		if err := r.safe(typ, content); err != nil {
			return err
		}
	}
	return nil
}

// safe reads one member of the AuthenticatedSafe (RFC 7292 §4.1): clear, or encrypted under the password.
func (r *safeReader) safe(typ string, content ber.Element) error {
	const deepest = 4
	switch typ {
	case oidData:
		octets, err := content.Octets()
		if err != nil {
			return err
		}
		return r.contents(octets, deepest)
	case oidEncryptedData: // RFC 5652 §8
		c := content.Children()
		_, err1 := c.Expect(ber.TagInteger)
		info, err2 := c.Expect(ber.TagSequence)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		k := info.Children()
		_, err1 = k.Expect(ber.TagOID)
		alg, err2 := readAlgorithm(&k)
		sealed, err3 := k.Next()
		if err := errors.Join(err1, err2, err3); err != nil {
			return err
		}
		octets, err := sealed.Octets()
		if err != nil {
			return err
		}
		clear, err := r.rounds.open(alg, octets, r.password)
		if err != nil {
			return err
		}
		return r.contents(clear, deepest)
	}
	return fail(ReasonUnsupported, convert, "PKCS#12 safe of a kind protected by a public key")
}

// contents reads SafeContents (RFC 7292 §4.2): a sequence of bags.
func (r *safeReader) contents(octets []byte, deeper int) error {
	list, err := one(octets)
	if err != nil {
		return err
	}
	for c := list.Children(); !c.Empty(); {
		if r.bags++; r.bags > maxBags {
			return fail(ReasonTooLarge, "", "more than %d things in the PKCS#12 file", maxBags)
		}
		bag, err := c.Expect(ber.TagSequence)
		if err != nil {
			return err
		}
		k := bag.Children()
		id, err := k.Expect(ber.TagOID)
		if err != nil {
			return err
		}
		outer, err := k.Next()
		if err != nil {
			return err
		}
		in := outer.Children()
		value, err := in.Next()
		if err != nil {
			return err
		}
		if string(id.Content) == oidSafeBag && deeper > 0 {
			err = r.contents(value.Full, deeper-1)
		} else {
			err = r.bag(string(id.Content), value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bag reads a key or a certificate; lists, secrets and other kinds are passed over.
func (r *safeReader) bag(id string, value ber.Element) error {
	switch id {
	case oidKeyBag:
		return r.addPKCS8(value.Full)
	case oidShroudedBag:
		clear, err := r.rounds.decryptKey(value, r.password)
		if err != nil {
			return err
		}
		return r.addPKCS8(clear)
	case oidCertBag:
		c := value.Children()
		typ, err1 := c.Expect(ber.TagOID)
		outer, err2 := c.Next()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if string(typ.Content) != oidX509Cert {
			return nil // an SDSI certificate or the like: nothing for S/MIME
		}
		in := outer.Children()
		octets, err := in.Expect(ber.TagOctetString)
		if err != nil {
			return err
		}
		der, err := octets.Octets()
		if err != nil {
			return err
		}
		cert, err := certs.Parse(der)
		if err != nil {
			return fail(ReasonUnreadable, "", "certificate in the PKCS#12 file: %v", err)
		}
		return r.addCert(cert)
	}
	return nil
}

// decryptKey opens an EncryptedPrivateKeyInfo (RFC 5958 §3), which PKCS#12 bags and PEM "ENCRYPTED PRIVATE KEY"
// blocks both are.
func (r *rounds) decryptKey(info ber.Element, p password) ([]byte, error) {
	c := info.Children()
	alg, err1 := readAlgorithm(&c)
	sealed, err2 := c.Expect(ber.TagOctetString)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	octets, err := sealed.Octets()
	if err != nil {
		return nil, err
	}
	return r.open(alg, octets, p)
}

func (p *parts) addPKCS8(der []byte) error {
	if err := checkKeySize(der); err != nil {
		return err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fail(ReasonUnsupported, "use an RSA or elliptic curve key", "private key in the PKCS#12 file: %v", err)
	}
	return p.addKey(key)
}

// openShrouded decrypts the keys of "ENCRYPTED PRIVATE KEY" blocks.
func openShrouded(found *parts, shrouded [][]byte, text string) error {
	if len(shrouded) > 0 && len(found.certs) == 0 {
		return fail(ReasonNoCert, "add the certificate to the file", "the file holds an encrypted key but no certificate")
	}
	if len(shrouded) > MaxKeys {
		return fail(ReasonTooLarge, "", "more than %d keys", MaxKeys)
	}
	left := &rounds{MaxRounds}
	for _, der := range shrouded {
		key, err := openKey(der, text, left)
		if err != nil {
			return err
		}
		if err := found.addKey(key); err != nil {
			return err
		}
	}
	return nil
}

func openKey(der []byte, text string, left *rounds) (crypto.PrivateKey, error) {
	const convert = "convert the key: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem"
	info, err := one(der)
	var clear []byte
	if err == nil {
		for _, form := range forms(text) {
			if clear, err = left.decryptKey(info, form); !errors.Is(err, errPassword) {
				break
			}
		}
	}
	var unknown unknownError
	switch {
	case err == nil:
	case errors.Is(err, errPassword):
		return nil, fail(ReasonPassword, "give the password of the key with --password-file", "private key cannot be decrypted: %v", err)
	case errors.Is(err, errRounds):
		return nil, fail(ReasonTooLarge, "write the file again with fewer rounds", "the file asks for more than %d password hashing rounds", MaxRounds)
	case errors.Is(err, errFIPS):
		return nil, fail(ReasonUnsupported, convertFIPS, "private key cannot be decrypted: %v", err)
	case errors.As(err, &unknown):
		return nil, fail(ReasonUnsupported, convert, "private key cannot be decrypted: %v", err)
	default:
		return nil, fail(ReasonUnreadable, convert, "damaged private key: %v", err)
	}
	if err := checkKeySize(clear); err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(clear)
	if err != nil {
		return nil, fail(ReasonUnsupported, "use an RSA or elliptic curve key", "private key: %v", err)
	}
	return key, nil
}
