package cms

import (
	"crypto"
	"crypto/fips140"
	"crypto/x509"
	"io"
	"slices"

	"postern/smime/cms/ber"
)

// Signed is a SignedData (RFC 5652 §5) being read: first what stands before the content, then the
// content if it is inside, then certificates and signers.
type Signed struct {
	m       *Message
	hints   []crypto.Hash
	content io.Reader // nil when detached
	ctype   oid

	bundle     bool // a certs-only bundle: more certificates, not parsed here
	rawCerts   [][]byte
	otherCerts int
	certs      []*x509.Certificate
	Signers    []SignerInfo
	Skipped    []string // what was passed over: certificates that do not parse, other kinds
}

// Signed starts reading a SignedData.
func (m *Message) Signed() (*Signed, error) {
	if m.typ != TypeSigned {
		return nil, failf(ReasonUnsupported, "%s is not signed-data", m.typ)
	}
	if err := m.enterSequence("signed data"); err != nil {
		return nil, err
	}
	if err := m.version(); err != nil {
		return nil, err
	}
	s := &Signed{m: m}
	if err := s.readDigests(); err != nil {
		return nil, err
	}
	return s, s.readContentInfo()
}

// readDigests reads digestAlgorithms: only a hint which digests will be needed (CMS-12).
func (s *Signed) readDigests() error {
	if err := s.m.enterSet("digest algorithms"); err != nil {
		return err
	}
	for count := 0; ; count++ {
		_, ok, err := s.m.s.Next()
		if err != nil {
			return wrap("digest algorithm", err)
		}
		if !ok {
			return s.m.leave("digest algorithms")
		}
		if count == MaxDigests {
			return failf(ReasonLimit, "more than %d digest algorithms", MaxDigests)
		}
		e, err := s.m.pending("digest algorithm", maxAlgorithm)
		if err != nil {
			return err
		}
		a, err := parseAlgorithm(e)
		if err != nil {
			return err
		}
		if d, ok := digestOf(a.oid); ok && !d.forbidden && !slices.Contains(s.hints, d.hash) {
			s.hints = append(s.hints, d.hash)
		}
	}
}

func (s *Signed) readContentInfo() error {
	m := s.m
	if err := m.enterSequence("encapsulated content info"); err != nil {
		return err
	}
	id, err := m.element("content type", maxAlgorithm)
	if err != nil {
		return err
	}
	if !id.Is(ber.Universal, ber.TagOID) {
		return failf(ReasonMalformed, "content type is not an object identifier")
	}
	s.ctype = oidOf(id.Content)
	h, ok, err := m.s.Next()
	if err != nil {
		return wrap("encapsulated content", err)
	}
	if !ok {
		return nil // detached (CMS-02)
	}
	if !h.IsContext(0) || !h.Constructed {
		return failf(ReasonMalformed, "encapsulated content")
	}
	if err := m.enter("encapsulated content"); err != nil {
		return err
	}
	inner, ok, err := m.s.Next()
	if err != nil {
		return wrap("encapsulated content", err)
	}
	if !ok || !inner.Is(ber.Universal, ber.TagOctetString) {
		return failf(ReasonUnsupported, "content that is not an octet string")
	}
	s.content, err = m.s.Octets()
	return wrap("encapsulated content", err)
}

// MustBeData refuses content that is said to be anything but id-data, as mail is (CMS-01, CMS-03): a
// signature that its signer gave for a time stamp or a receipt is none for a message.
func (s *Signed) MustBeData() error {
	if s.ctype != oidData {
		return failf(ReasonContentType, "content type %s", s.ctype)
	}
	return nil
}

// Digests are the digest algorithms announced, those this gateway knows.
func (s *Signed) Digests() []crypto.Hash { return s.hints }

// Content reads the encapsulated content; nil when the signature is detached. Read it to io.EOF
// before Finish.
func (s *Signed) Content() io.Reader { return s.content }

// SignerDigests are the digests that signers use, each once, of those that can be computed here and are
// allowed.
func (s *Signed) SignerDigests(legacy bool) []crypto.Hash {
	var out []crypto.Hash
	for i := range s.Signers {
		d, ok := digestOf(s.Signers[i].digest.oid)
		if ok && !d.forbidden && (!d.legacy || legacy && !fips140.Enforced()) && !slices.Contains(out, d.hash) {
			out = append(out, d.hash)
		}
	}
	return out
}

// Finish reads certificates and signers, to the end of the structure.
func (s *Signed) Finish() error {
	m := s.m
	if s.content != nil {
		if err := m.leave("encapsulated content"); err != nil {
			return err
		}
	}
	if err := m.leave("encapsulated content info"); err != nil {
		return err
	}
	for {
		h, ok, err := m.s.Next()
		if err != nil {
			return wrap("signed data", err)
		}
		if !ok {
			return failf(ReasonMalformed, "signed data without signer infos")
		}
		switch {
		case h.IsContext(0) && h.Constructed:
			err = s.readCertificates()
		case h.IsContext(1):
			err = wrap("revocation lists", m.s.Skip()) // trust fetches its own
		case h.IsSet():
			if err := s.readSigners(); err != nil {
				return err
			}
			// RFC 5652 §5.1 has nothing behind the signers. What would be passed over there is signed by nobody,
			// and in an encrypted message somebody else could have put it there.
			m.full = !s.bundle
			return m.finish()
		default:
			return failf(ReasonMalformed, "unexpected element in signed data")
		}
		if err != nil {
			return err
		}
	}
}

// readCertificates keeps every X.509 certificate; attribute certificates and other kinds are
// passed over, and one that does not parse does not fail the rest (CMS-64).
func (s *Signed) readCertificates() error {
	m := s.m
	if err := m.enter("certificates"); err != nil {
		return err
	}
	maxCerts, maxBytes := MaxCertificates, MaxCertBytes
	if s.bundle {
		maxCerts, maxBytes = MaxBundleCerts, MaxBundle
	}
	total := 0
	for count := 0; ; count++ {
		h, ok, err := m.s.Next()
		if err != nil {
			return wrap("certificate", err)
		}
		if !ok {
			return m.leave("certificates")
		}
		if count == maxCerts {
			return failf(ReasonLimit, "more than %d certificates", maxCerts)
		}
		raw, err := m.s.Raw(MaxCertificate)
		if err != nil {
			return wrap("certificate", err)
		}
		if total += len(raw); total > maxBytes {
			return failf(ReasonLimit, "more than %d octets of certificates", maxBytes)
		}
		if !h.IsSequence() {
			s.otherCerts++
			s.Skipped = append(s.Skipped, "certificate of another kind")
			continue
		}
		if s.bundle {
			s.rawCerts = append(s.rawCerts, raw)
			continue
		}
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			s.Skipped = append(s.Skipped, "unparsable certificate")
			continue
		}
		s.rawCerts = append(s.rawCerts, raw)
		s.certs = append(s.certs, c)
	}
}

// Certificates are all parsable certificates of the message, in its order.
func (s *Signed) Certificates() []*x509.Certificate { return s.certs }

func (s *Signed) readSigners() error {
	m := s.m
	if err := m.enter("signer infos"); err != nil {
		return err
	}
	for {
		_, ok, err := m.s.Next()
		if err != nil {
			return wrap("signer info", err)
		}
		if !ok {
			return m.leave("signer infos")
		}
		if len(s.Signers) == MaxSigners {
			return failf(ReasonLimit, "more than %d signers", MaxSigners)
		}
		raw, err := m.s.Raw(MaxSignerInfo)
		if err != nil {
			return wrap("signer info", err)
		}
		si, err := parseSignerInfo(raw)
		if err != nil {
			return err
		}
		s.Signers = append(s.Signers, si)
	}
}
