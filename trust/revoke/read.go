package revoke

import (
	"bufio"
	"bytes"
	"crypto"
	_ "crypto/sha1" // for legacy lists
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// maxSigned bounds a list whose signature algorithm wants the signed part itself (Ed25519).
const maxSigned = 1 << 20

// ReadList reads one list in DER from r to its end. An error that wraps errMalformed is the list's
// fault, any other the reader's.
func ReadList(r io.Reader) (*List, error) {
	s := &source{r: bufio.NewReaderSize(r, 64<<10), whole: sha256.New()}
	outer, err := s.next()
	if err != nil {
		return nil, err
	}
	if outer.tag != 0x30 || outer.n > MaxListOctets {
		return nil, malformed("outer tag %#x of %d octets, at most %d are read", outer.tag, outer.n, MaxListOctets)
	}
	end := s.off + outer.n
	l := &List{verified: map[[32]byte]error{}, Size: end}
	var kept bytes.Buffer
	s.tbs = &kept // until the algorithm is known
	if err := l.readSigned(s, &kept); err != nil {
		return nil, err
	}
	if err := l.readSignature(s); err != nil {
		return nil, err
	}
	if s.off != end {
		return nil, malformed("%d octets after the signature", end-s.off)
	}
	if _, err := s.r.ReadByte(); err != io.EOF {
		return nil, malformed("octets after the list")
	}
	s.whole.Sum(l.SHA256[:0])
	l.index()
	return l, nil
}

// digester is where the signed part goes once its algorithm is known.
type digester struct {
	io.Writer
	sum func() []byte
}

// readSigned reads tbsCertList.
func (l *List) readSigned(s *source, kept *bytes.Buffer) error {
	tbs, err := s.next()
	if err != nil {
		return err
	}
	if tbs.tag != 0x30 {
		return malformed("signed part has tag %#x", tbs.tag)
	}
	end := s.off + tbs.n
	alg, tag, err := s.element()
	if err != nil {
		return err
	}
	if tag == 0x02 { // version
		if alg, _, err = s.element(); err != nil {
			return err
		}
	}
	d, err := l.chooseDigest(alg, kept)
	if err != nil {
		return err
	}
	s.tbs = d
	if err := l.readFrame(s); err != nil {
		return err
	}
	if err := l.readRest(s, end); err != nil {
		return err
	}
	s.tbs = nil
	l.digest = d.sum()
	return nil
}

// chooseDigest starts the digest of the signed part with what was read of it so far.
func (l *List) chooseDigest(alg []byte, kept *bytes.Buffer) (*digester, error) {
	a, h := algorithmOf(alg)
	l.algorithm = a
	if a == x509.PureEd25519 {
		w := &capped{max: maxSigned}
		w.Write(kept.Bytes())
		return &digester{w, func() []byte { l.signed = w.b; return nil }}, nil
	}
	if h == 0 { // unknown: the list is read for its words, and its signature never believed
		return &digester{io.Discard, func() []byte { return nil }}, nil
	}
	d := h.New()
	d.Write(kept.Bytes())
	return &digester{d, func() []byte { return d.Sum(nil) }}, nil
}

// capped keeps what it is given up to max octets, and nothing at all beyond.
type capped struct {
	b   []byte
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(c.b)+len(p) > c.max {
		c.b, c.max = nil, 0
	} else {
		c.b = append(c.b, p...)
	}
	return len(p), nil
}

// readFrame reads issuer and thisUpdate.
func (l *List) readFrame(s *source) error {
	name, tag, err := s.element()
	if err != nil {
		return err
	}
	if tag != 0x30 {
		return malformed("issuer has tag %#x", tag)
	}
	l.Issuer = name
	raw, _, err := s.element()
	if err != nil {
		return err
	}
	var ok bool
	if l.ThisUpdate, ok = readTime(raw); !ok {
		return malformed("thisUpdate is no time")
	}
	return nil
}

// readRest reads nextUpdate, the entries and the extensions, each of them optional.
func (l *List) readRest(s *source, end int64) error {
	for s.off < end {
		h, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case (h.tag == 0x17 || h.tag == 0x18) && l.NextUpdate.IsZero():
			b, err := s.body(h, nil)
			if err != nil {
				return err
			}
			var ok bool
			if l.NextUpdate, ok = readTime(append(h.octets(), b...)); !ok {
				return malformed("nextUpdate is no time")
			}
		case h.tag == 0x30 && l.records == nil:
			if err := l.readEntries(s, s.off+h.n); err != nil {
				return err
			}
		case h.tag == 0xa0:
			b, err := s.body(h, nil)
			if err != nil {
				return err
			}
			if err := l.readExtensions(b); err != nil {
				return err
			}
		default:
			return malformed("tag %#x at %d", h.tag, s.off)
		}
	}
	if s.off != end {
		return malformed("an element reaches past the signed part")
	}
	return nil
}

func (l *List) readEntries(s *source, end int64) error {
	l.records = make([]record, 0, min((end-s.off)/34+1, MaxListEntries)) // 34 octets: a usual entry
	var buf []byte
	for s.off < end {
		h, err := s.next()
		if err != nil {
			return err
		}
		if h.tag != 0x30 {
			return malformed("an entry has tag %#x at %d", h.tag, s.off)
		}
		if buf, err = s.body(h, buf); err != nil {
			return err
		}
		if err := l.readEntry(buf); err != nil {
			return err
		}
	}
	if s.off != end {
		return malformed("an entry reaches past the entries")
	}
	return nil
}

func (l *List) readEntry(b []byte) error {
	in := cryptobyte.String(b)
	var serial, when cryptobyte.String
	if !in.ReadASN1(&serial, der.INTEGER) || len(serial) == 0 || !in.ReadAnyASN1Element(&when, nil) {
		return malformed("entry without serial number or date")
	}
	at, ok := readTime(when)
	if !ok {
		return malformed("an entry's date is no time")
	}
	reason := uint8(0)
	if !in.Empty() {
		var err error
		if reason, err = l.readEntryExtensions(in); err != nil {
			return err
		}
	}
	return l.add(serial, reason, at)
}

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
			var code int
			if !value.ReadASN1Enum(&code) || code < 0 || code > 10 {
				return malformed("reason code")
			}
			reason = uint8(code)
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

// readSignature reads the algorithm again, which must say the same, and the signature.
func (l *List) readSignature(s *source) error {
	alg, _, err := s.element()
	if err != nil {
		return err
	}
	if a, _ := algorithmOf(alg); a != l.algorithm {
		return malformed("two different signature algorithms")
	}
	raw, _, err := s.element()
	if err != nil {
		return err
	}
	in := cryptobyte.String(raw)
	if !in.ReadASN1BitStringAsBytes(&l.signature) || !in.Empty() {
		return malformed("the signature is no bit string")
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
