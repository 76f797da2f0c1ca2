package cms

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"postern/smime/cms/ber"
)

// identifier names a certificate: by issuer and serial number, or by subject key identifier
// (SignerIdentifier, RecipientIdentifier, KeyAgreeRecipientIdentifier).
type identifier struct {
	issuer []byte // whole DER Name as received
	serial []byte // INTEGER content
	ski    []byte
	flat   flattened // of issuer, made when first needed and once: many certificates may be asked about
}

// flattened is a Name in the form of flatName.
type flattened struct {
	made, ok bool
	text     string
}

func (f *flattened) of(der []byte) (string, bool) {
	if !f.made {
		f.made = true
		f.text, f.ok = flatName(der)
	}
	return f.text, f.ok
}

// parseIssuerAndSerial reads an IssuerAndSerialNumber sequence.
func parseIssuerAndSerial(e ber.Element) (identifier, error) {
	c := e.Children()
	issuer, err := c.Expect(ber.TagSequence)
	if err != nil {
		return identifier{}, wrap("issuer name", err)
	}
	serial, err := c.Expect(ber.TagInteger)
	if err != nil {
		return identifier{}, wrap("serial number", err)
	}
	return identifier{issuer: issuer.Full, serial: serial.Content}, nil
}

// parseIdentifier reads the CHOICE of SignerInfo and KeyTransRecipientInfo: a sequence, or [0] key id.
func parseIdentifier(e ber.Element) (identifier, error) {
	if e.IsSequence() {
		return parseIssuerAndSerial(e)
	}
	if !e.IsContext(0) {
		return identifier{}, failf(ReasonMalformed, "neither issuer and serial number nor key identifier")
	}
	ski, err := e.Octets()
	if err != nil {
		return identifier{}, wrap("key identifier", err)
	}
	if len(ski) == 0 {
		return identifier{}, failf(ReasonMalformed, "empty key identifier")
	}
	return identifier{ski: ski}, nil
}

// matches reports whether the identifier names this certificate (CMS-06, CMS-22).
func (id *identifier) matches(c *x509.Certificate) bool {
	if id.ski != nil {
		return bytes.Equal(id.ski, c.SubjectKeyId) || bytes.Equal(id.ski, spkiSHA1(c))
	}
	return sameSerial(id.serial, c) && id.sameIssuer(c.RawIssuer)
}

// sameSerial compares as integers: some writers drop or add a leading zero octet (CMS-65).
func sameSerial(content []byte, c *x509.Certificate) bool {
	if c.SerialNumber == nil {
		return false
	}
	return bytes.Equal(bytes.TrimLeft(content, "\x00"), bytes.TrimLeft(serialContent(c.SerialNumber), "\x00"))
}

// sameIssuer compares two DER names octet for octet, else by meaning: a peer may have rewritten
// PrintableString as UTF8String or changed letter case (CMS-06). The order of RDNs stays significant.
func (id *identifier) sameIssuer(name []byte) bool {
	if bytes.Equal(id.issuer, name) {
		return true
	}
	x, ok := id.flat.of(id.issuer)
	if !ok {
		return false
	}
	y, ok := flatName(name)
	return ok && x == y
}

// flatName is a comparison text of a Name: type and folded value of every attribute, in order. A
// value of a type other than the plain string types is compared octet for octet.
func flatName(der []byte) (string, bool) {
	name, err := ber.One(der)
	if err != nil || !name.IsSequence() {
		return "", false
	}
	var out strings.Builder
	for rdns := name.Children(); !rdns.Empty(); {
		rdn, err := rdns.Expect(ber.TagSet)
		if err != nil {
			return "", false
		}
		out.WriteByte('|')
		for atvs := rdn.Children(); !atvs.Empty(); {
			atv, err := atvs.Expect(ber.TagSequence)
			if err != nil {
				return "", false
			}
			c := atv.Children()
			id, err1 := c.Expect(ber.TagOID)
			value, err2 := c.Next()
			if err1 != nil || err2 != nil {
				return "", false
			}
			out.WriteString(hex.EncodeToString(id.Content))
			out.WriteByte('=')
			switch {
			case value.Class == ber.Universal && (value.Tag == ber.TagUTF8String || value.Tag == ber.TagPrintableString || value.Tag == ber.TagIA5String):
				// Hex keeps the separators of this text out of values.
				folded := strings.Join(strings.Fields(strings.ToLower(string(value.Content))), " ")
				out.WriteString(hex.EncodeToString([]byte(folded)))
			default:
				out.WriteString(hex.EncodeToString(value.Full))
			}
			out.WriteByte(',')
		}
	}
	return out.String(), true
}

// spkiSHA1 is the key identifier of RFC 5280 §4.2.1.2 method 1, for certificates that carry none
// or another one. SHA-1 is a name here, not a proof; without it (FIPS only) such names do not match.
func spkiSHA1(c *x509.Certificate) []byte {
	if fips140.Enforced() {
		return nil
	}
	spki, err := ber.One(c.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil
	}
	cur := spki.Children()
	if _, err := cur.Next(); err != nil {
		return nil
	}
	bits, err := cur.Expect(ber.TagBitString)
	if err != nil || len(bits.Content) < 1 {
		return nil
	}
	sum := sha1.Sum(bits.Content[1:])
	return sum[:]
}

// issuerAndSerial is the DER identifier of a certificate, as written.
func issuerAndSerial(c *x509.Certificate) []byte {
	return appendIssuerAndSerial(nil, c)
}

func appendIssuerAndSerial(b []byte, c *x509.Certificate) []byte {
	n := serialSize(c)
	b = ber.AppendHeader(slices.Grow(b, ber.Size(len(c.RawIssuer)+ber.Size(n))), ber.Sequence, int64(len(c.RawIssuer)+ber.Size(n)))
	return ber.Append(append(b, c.RawIssuer...), ber.Integer, serialContent(c.SerialNumber))
}

// serialSize is the length of the serial number as INTEGER content.
func serialSize(c *x509.Certificate) int { return len(serialContent(c.SerialNumber)) }

// serialContent is a number as INTEGER content: two's complement, one bit for the sign. RFC 5280 §4.1.2.2 asks
// readers to bear with CAs that write negative serial numbers, which several of the network's do.
func serialContent(n *big.Int) []byte {
	if n.Sign() >= 0 {
		return n.FillBytes(make([]byte, n.BitLen()/8+1))
	}
	size := new(big.Int).Not(n).BitLen()/8 + 1
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	return modulus.Add(modulus, n).FillBytes(make([]byte, size))
}

// derInteger is a non-negative INTEGER from its big-endian magnitude.
func derInteger(magnitude []byte) []byte {
	if len(magnitude) == 0 || magnitude[0]&0x80 != 0 {
		return ber.Build(ber.Integer, []byte{0}, magnitude)
	}
	return ber.Build(ber.Integer, magnitude)
}
