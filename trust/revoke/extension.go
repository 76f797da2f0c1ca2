package revoke

import (
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidReason            = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate    = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// readEntryExtensions: an entry for another issuer's certificate, or one with a critical extension
// unknown here, makes the whole list unusable (RFC 5280 §5.3).
func (l *List) readEntryExtensions(in cryptobyte.String) (reason uint8, err error) {
	err = eachExtension(in, func(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) error {
		switch {
		case id.Equal(oidReason):
			// Why a certificate was withdrawn is for people: that it was is said by the entry (RFC 5280 §5.3.1). A reason
			// that cannot be read is unspecified, or it would let all that the list withdraws pass as unknown.
			var code int
			if value.ReadASN1Enum(&code) && code >= 0 && code <= 10 {
				reason = uint8(code)
			}
		case id.Equal(oidCertificateIssuer):
			l.unusable = "it is an indirect list: it names certificates of other issuers"
		case id.Equal(oidInvalidityDate):
		case critical:
			l.unusable = "an entry has the critical extension " + id.String() + ", unknown here"
		}
		return nil
	})
	return reason, err
}

var (
	oidCRLNumber = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDelta     = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIDP       = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidKeyID     = asn1.ObjectIdentifier{2, 5, 29, 35}
)

func (l *List) readExtensions(b []byte) error {
	return eachExtension(b, func(id asn1.ObjectIdentifier, critical bool, value cryptobyte.String) error {
		switch {
		case id.Equal(oidCRLNumber):
			l.Number = new(big.Int)
			if !value.ReadASN1Integer(l.Number) {
				return malformed("CRL number")
			}
		case id.Equal(oidDelta):
			l.unusable = "it is a delta list"
		case id.Equal(oidIDP):
			return l.scope.read(value)
		case id.Equal(oidKeyID):
		case critical:
			l.unusable = "it has the critical extension " + id.String() + ", unknown here"
		}
		return nil
	})
}

// eachExtension walks an Extensions value.
func eachExtension(in cryptobyte.String, f func(asn1.ObjectIdentifier, bool, cryptobyte.String) error) error {
	var list cryptobyte.String
	if !in.ReadASN1(&list, der.SEQUENCE) || !in.Empty() {
		return malformed("extensions")
	}
	for !list.Empty() {
		var ext, value cryptobyte.String
		var id asn1.ObjectIdentifier
		critical := false
		if !list.ReadASN1(&ext, der.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&id) ||
			ext.PeekASN1Tag(der.BOOLEAN) && !ext.ReadASN1Boolean(&critical) ||
			!ext.ReadASN1(&value, der.OCTET_STRING) || !ext.Empty() {
			return malformed("extension")
		}
		if err := f(id, critical, value); err != nil {
			return err
		}
	}
	return nil
}

// readTime reads either kind of time with its header. The usual kind is read by hand: a list holds
// millions of them.
func readTime(raw []byte) (time.Time, bool) {
	if len(raw) == 15 && raw[0] == 0x17 && raw[14] == 'Z' {
		if t, ok := usualTime(raw[2:14]); ok {
			return t, true
		}
	}
	in := cryptobyte.String(raw)
	var t time.Time
	if in.PeekASN1Tag(der.UTCTime) {
		return t, in.ReadASN1UTCTime(&t) && in.Empty()
	}
	return t, in.ReadASN1GeneralizedTime(&t) && in.Empty()
}

// usualTime reads YYMMDDhhmmss (RFC 5280 §4.1.2.5.1); false for anything at all unusual.
func usualTime(b []byte) (time.Time, bool) {
	var v [6]int
	for i := range v {
		hi, lo := b[2*i]-'0', b[2*i+1]-'0'
		if hi > 9 || lo > 9 {
			return time.Time{}, false
		}
		v[i] = int(hi)*10 + int(lo)
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 28 || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return time.Time{}, false // days 29 to 31 included: the library knows the months
	}
	year := 2000 + v[0]
	if v[0] >= 50 {
		year = 1900 + v[0]
	}
	return time.Date(year, time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.UTC), true
}
