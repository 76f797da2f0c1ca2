package cms

import (
	"crypto"
	"crypto/fips140"
	"crypto/subtle"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"postern/smime/cms/ber"
)

// VerifyOptions give the content that was signed, and how much is allowed.
type VerifyOptions struct {
	Legacy bool // SHA-1 digests
	// Digest is the digest of the signed content. An error ends verification: it is the caller's.
	Digest func(crypto.Hash) ([]byte, error)
	// Start is the beginning of the content (16 octets are enough) and Size its length, for the check
	// that content without signed attributes is not itself a set of attributes.
	Start []byte
	Size  int64
}

// Verdict is what one SignerInfo is worth, cryptographically. Trust and binding are not asked here.
type Verdict struct {
	Reason       Reason // "" when valid
	Detail       string
	Cert         *x509.Certificate // set when known, valid or not
	Digest       string
	Signature    string
	SigningTime  time.Time // claimed, zero when absent
	Capabilities []Capability
	NoAttributes bool // the signature is over the content itself
	Reordered    bool // the attributes verified only in DER order, not as received
}

// Verify judges every signer separately, each on its own (CMS-12, AS-84).
func (s *Signed) Verify(o VerifyOptions) ([]Verdict, error) {
	if len(s.Signers) == 0 {
		return nil, failf(ReasonNoSigner, "signed data without signers")
	}
	out := make([]Verdict, 0, len(s.Signers))
	for i := range s.Signers {
		v := &check{si: &s.Signers[i], ctype: s.ctype, o: o}
		err := v.run(s.certs)
		if err != nil && ReasonOf(err) == ReasonNoCertificate && len(s.Skipped) > 0 {
			err = failf(ReasonNoCertificate, "the message does not hold the signer's certificate in a form that can be read: %s", strings.Join(s.Skipped[:min(len(s.Skipped), 3)], ", "))
		}
		if err != nil {
			r := ReasonOf(err)
			if r == "" {
				return nil, err
			}
			v.Reason, v.Detail = r, err.Error()
		}
		out = append(out, v.Verdict)
	}
	return out, nil
}

// check is the verification of one SignerInfo (RFC 5652 §5.6).
type check struct {
	Verdict
	si    *SignerInfo
	ctype oid
	o     VerifyOptions
	hash  crypto.Hash
	sig   scheme
}

func (v *check) run(certs []*x509.Certificate) error {
	if a := v.si.attributes; a != nil {
		v.Capabilities = a.capabilities()
	}
	candidates := v.si.candidates(certs)
	if len(candidates) > 0 {
		v.Cert = candidates[0]
	}
	if err := v.algorithms(); err != nil {
		return err
	}
	if len(candidates) == 0 {
		return failf(ReasonNoCertificate, "the message does not hold the signer's certificate")
	}
	if v.si.misplaced {
		return failf(ReasonAttributes, "an attribute that must be signed stands among the unsigned ones")
	}
	content, err := v.o.Digest(v.hash)
	if err != nil {
		return err
	}
	if v.si.attributes == nil {
		v.NoAttributes = true
		if looksLikeAttributes(v.o.Start, v.o.Size) {
			return failf(ReasonConfusion, "the content is itself a set of attributes")
		}
		return v.tryAll(candidates, content, nil)
	}
	if err := v.attributes(content); err != nil {
		return err
	}
	return v.tryAll(candidates, nil, v.si.attributes)
}

// algorithms decides whether this gateway has, and allows, what the signer used.
func (v *check) algorithms() error {
	d, ok := digestOf(v.si.digest.oid)
	if !ok {
		return failf(ReasonUnsupported, "digest algorithm %s", v.si.digest.oid)
	}
	if d.forbidden {
		return failf(ReasonForbidden, "digest algorithm md5")
	}
	v.hash, v.Digest = d.hash, digestName(d.hash)
	sig, err := signatureScheme(v.si.signature, d.hash)
	if err != nil {
		return err
	}
	v.sig, v.Signature = sig, sig.name
	if d.legacy && !v.o.Legacy {
		return failf(ReasonLegacy, "signature digest sha-1")
	}
	return nil
}

// attributes checks content-type and message-digest (CMS-03, CMS-05) and the claimed time.
func (v *check) attributes(content []byte) error {
	a := v.si.attributes
	ct, err := a.single(oidAttrContentType)
	if err != nil {
		return err
	}
	if !ct.Is(ber.Universal, ber.TagOID) || oid(ct.Content) != v.ctype {
		return failf(ReasonAttributes, "content-type attribute is not the type of the content")
	}
	md, err := a.single(oidAttrMessageDigest)
	if err != nil {
		return err
	}
	if !md.Is(ber.Universal, ber.TagOctetString) || md.Constructed {
		return failf(ReasonAttributes, "message-digest attribute is not an octet string")
	}
	if v.SigningTime, err = a.signingTime(); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(md.Content, content) != 1 {
		return failf(ReasonDigest, "the content is not what was signed")
	}
	return nil
}

// tryAll verifies the signature with each certificate the identifier names. Of certificates with the same
// key, all of which verify, the first counts: one that was valid when it was signed, and of those the newest,
// so that an expired predecessor does not stand for the renewed certificate beside it.
func (v *check) tryAll(candidates []*x509.Certificate, content []byte, a *attributes) error {
	valid := func(c *x509.Certificate) bool {
		return v.SigningTime.IsZero() || !v.SigningTime.Before(c.NotBefore) && !v.SigningTime.After(c.NotAfter)
	}
	slices.SortStableFunc(candidates, func(x, y *x509.Certificate) int {
		if valid(x) != valid(y) {
			if valid(x) {
				return -1
			}
			return 1
		}
		return y.NotBefore.Compare(x.NotBefore)
	})
	var first error
	for _, c := range candidates {
		err := v.try(c, content, a)
		if err == nil {
			v.Cert = c
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (v *check) try(c *x509.Certificate, content []byte, a *attributes) error {
	if a == nil {
		return v.sig.verify(c, content, nil, v.si.value)
	}
	if err := a.namesCertificate(c); err != nil {
		return err
	}
	err := v.sig.verify(c, v.sum(a.received), a.received, v.si.value)
	if err == nil || a.der == nil || ReasonOf(err) != ReasonSignature {
		return err
	}
	// QUIRK: some senders emit the attributes unsorted but sign the DER order, as RFC 5652 §5.4 says (CMS-04).
	if v.sig.verify(c, v.sum(a.der), a.der, v.si.value) == nil {
		v.Reordered = true
		return nil
	}
	return err
}

func (v *check) sum(b []byte) []byte {
	h := v.hash.New()
	h.Write(b)
	return h.Sum(nil)
}

// namesCertificate checks the signing-certificate attributes (RFC 5035 §3 and §5.4): the first
// entry must be the certificate the signature verifies with (CMS-10).
func (a *attributes) namesCertificate(c *x509.Certificate) error {
	for _, typ := range []oid{oidAttrSigningCertificateV2, oidAttrSigningCertificate} {
		if _, ok := a.values[typ]; !ok {
			continue
		}
		if typ == oidAttrSigningCertificate && fips140.Enforced() {
			continue // it is SHA-1, which only names here; CMS-10 lets it be ignored
		}
		v, err := a.single(typ)
		if err != nil {
			return err
		}
		hash, want, err := essCertID(v, typ == oidAttrSigningCertificateV2)
		if err != nil {
			return &Error{Reason: ReasonAttributes, Detail: "signing-certificate attribute", Err: err}
		}
		h := hash.New()
		h.Write(c.Raw)
		if subtle.ConstantTimeCompare(h.Sum(nil), want) != 1 {
			return failf(ReasonOtherCert, "the signing-certificate attribute names another certificate")
		}
	}
	return nil
}

// essCertID reads the first ESSCertID or ESSCertIDv2.
func essCertID(v ber.Element, v2 bool) (crypto.Hash, []byte, error) {
	c := v.Children()
	list, err := c.Expect(ber.TagSequence)
	if err != nil {
		return 0, nil, err
	}
	ids := list.Children()
	first, err := ids.Expect(ber.TagSequence)
	if err != nil {
		return 0, nil, err
	}
	f := first.Children()
	hash := crypto.SHA1
	if v2 {
		hash = crypto.SHA256 // RFC 5035 §4 default
		if alg, ok, err := f.Optional(ber.Universal, ber.TagSequence); err != nil {
			return 0, nil, err
		} else if ok {
			if hash, err = hashParam(alg); err != nil {
				return 0, nil, err
			}
		}
	}
	sum, err := f.Expect(ber.TagOctetString)
	return hash, sum.Content, err
}

// looksLikeAttributes reports content that is a DER SET OF Attribute from its first octet to its
// last: signed attributes of another message offered as content (the confusion of RFC 5652 §5.4
// signatures with and without attributes). What it sees of the start decides.
func looksLikeAttributes(start []byte, size int64) bool {
	if len(start) < 4 || start[0] != ber.Set {
		return false
	}
	n, lengthOctets := int64(start[1]), 1
	if n >= 0x80 {
		count := int(n & 0x7f)
		if count == 0 || count > 4 || len(start) < 2+count {
			return count == 0
		}
		n = 0
		for _, b := range start[2 : 2+count] {
			n = n<<8 | int64(b)
		}
		lengthOctets += count
	}
	return n == size-1-int64(lengthOctets) && len(start) > 1+lengthOctets && start[1+lengthOctets] == ber.Sequence
}
