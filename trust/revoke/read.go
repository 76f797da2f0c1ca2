package revoke

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"io"

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
		if v := alg[len(alg)-1]; len(alg) != 3 || v > 1 {
			l.unusable = "it is of a version unknown here"
		}
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

// readRest reads nextUpdate, the entries and the extensions, each of them optional, in this order.
func (l *List) readRest(s *source, end int64) error {
	const (
		nextUpdate = iota + 1
		entries
		extensions
	)
	for seen := 0; s.off < end; {
		h, err := s.next()
		if err != nil {
			return err
		}
		switch {
		case (h.tag == 0x17 || h.tag == 0x18) && seen < nextUpdate:
			seen = nextUpdate
			b, err := s.body(h, nil)
			if err != nil {
				return err
			}
			var ok bool
			if l.NextUpdate, ok = readTime(append(h.octets(), b...)); !ok {
				return malformed("nextUpdate is no time")
			}
		case h.tag == 0x30 && seen < entries:
			seen = entries
			if err := l.readEntries(s, s.off+h.n); err != nil {
				return err
			}
		case h.tag == 0xa0 && seen < extensions:
			seen = extensions
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
