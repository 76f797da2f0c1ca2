package cms

import (
	"crypto/x509"
	"time"

	"postern/smime/cms/ber"
)

// SignerInfo is one signer's claim (RFC 5652 §5.3), parsed but not judged.
type SignerInfo struct {
	id         identifier
	digest     algorithm
	signature  algorithm
	value      []byte
	attributes *attributes // nil when there are none
	misplaced  bool        // an attribute that must be signed stands among the unsigned ones
}

// attributes are signed attributes (RFC 5652 §11, RFC 8551 §2.5).
type attributes struct {
	received []byte   // as received, under the universal SET tag: what is hashed
	der      []byte   // the same sorted into DER; nil when equal to received
	elements [][]byte // whole Attribute sequences
	values   map[oid][]ber.Element
	doubled  map[oid]bool // attribute types that came twice; nil when none did
}

func parseSignerInfo(raw []byte) (SignerInfo, error) {
	definite, err := ber.Definite(raw)
	if err != nil {
		return SignerInfo{}, wrap("signer info", err)
	}
	e, err := ber.One(definite)
	if err != nil || !e.IsSequence() {
		return SignerInfo{}, failf(ReasonMalformed, "signer info is not a sequence")
	}
	c := e.Children()
	if _, err := c.Expect(ber.TagInteger); err != nil {
		return SignerInfo{}, wrap("signer info version", err)
	}
	var si SignerInfo
	idElem, err := c.Next()
	if err != nil {
		return si, wrap("signer identifier", err)
	}
	if si.id, err = parseIdentifier(idElem); err != nil {
		return si, err
	}
	if si.digest, err = nextAlgorithm(&c, "digest algorithm"); err != nil {
		return si, err
	}
	if set, ok, err := c.Optional(ber.Context, 0); err != nil {
		return si, wrap("signed attributes", err)
	} else if ok {
		if si.attributes, err = parseAttributes(set); err != nil {
			return si, err
		}
	}
	if si.signature, err = nextAlgorithm(&c, "signature algorithm"); err != nil {
		return si, err
	}
	value, err := c.Expect(ber.TagOctetString)
	if err != nil {
		return si, wrap("signature", err)
	}
	if si.value, err = value.Octets(); err != nil {
		return si, wrap("signature", err)
	}
	return si, si.readUnsigned(&c)
}

// readUnsigned looks for attributes that must be signed (RFC 5652 §11.1 to §11.3) among the unsigned
// ones; all others are ignored (CMS-13).
func (si *SignerInfo) readUnsigned(c *ber.Cursor) error {
	set, ok, err := c.Optional(ber.Context, 1)
	if err != nil {
		return wrap("unsigned attributes", err)
	}
	if !c.Empty() || ok && !set.Constructed {
		return failf(ReasonMalformed, "more in a signer info than belongs there")
	}
	for k := set.Children(); !k.Empty(); {
		e, err := k.Expect(ber.TagSequence)
		if err != nil {
			return wrap("unsigned attribute", err)
		}
		inner := e.Children()
		id, err := inner.Expect(ber.TagOID)
		if err != nil {
			return wrap("unsigned attribute", err)
		}
		switch oid(id.Content) {
		case oidAttrContentType, oidAttrMessageDigest, oidAttrSigningTime:
			si.misplaced = true
		}
	}
	return nil
}

func nextAlgorithm(c *ber.Cursor, what string) (algorithm, error) {
	e, err := c.Next()
	if err != nil {
		return algorithm{}, wrap(what, err)
	}
	return parseAlgorithm(e)
}

// parseAttributes reads [0] IMPLICIT SET OF Attribute.
func parseAttributes(set ber.Element) (*attributes, error) {
	if !set.Constructed {
		return nil, failf(ReasonMalformed, "signed attributes")
	}
	a := &attributes{values: map[oid][]ber.Element{}, elements: make([][]byte, 0, 8)}
	a.received = append([]byte{ber.Set}, set.Full[1:]...) // hashed under the SET tag (RFC 5652 §5.4)
	for c := set.Children(); !c.Empty(); {
		e, err := c.Expect(ber.TagSequence)
		if err != nil {
			return nil, wrap("signed attribute", err)
		}
		if len(a.elements) == MaxAttributes {
			return nil, failf(ReasonLimit, "more than %d signed attributes", MaxAttributes)
		}
		a.elements = append(a.elements, e.Full)
		k := e.Children()
		id, err := k.Expect(ber.TagOID)
		if err != nil {
			return nil, wrap("signed attribute", err)
		}
		values, err := k.Expect(ber.TagSet)
		if err != nil {
			return nil, wrap("signed attribute", err)
		}
		typ := oidOf(id.Content)
		if _, ok := a.values[typ]; ok {
			if a.doubled == nil {
				a.doubled = map[oid]bool{}
			}
			a.doubled[typ] = true
		}
		list := make([]ber.Element, 0, 1)
		for v := values.Children(); !v.Empty(); {
			x, err := v.Next()
			if err != nil {
				return nil, wrap("signed attribute", err)
			}
			list = append(list, x)
		}
		a.values[typ] = list
	}
	if der := ber.SetOf(ber.Set, a.elements); string(der) != string(a.received) {
		a.der = der
	}
	return a, nil
}

// single is the one value of an attribute that must come once with one value (CMS-03).
func (a *attributes) single(typ oid) (ber.Element, error) {
	v := a.values[typ]
	if len(v) != 1 || a.doubled[typ] {
		return ber.Element{}, failf(ReasonAttributes, "attribute %s has %d values", typ, len(v))
	}
	return v[0], nil
}

// signingTime is what the signer claims (CMS-11); never proof of anything. A malformed or doubled
// one refuses the signer.
func (a *attributes) signingTime() (time.Time, error) {
	if _, ok := a.values[oidAttrSigningTime]; !ok {
		return time.Time{}, nil
	}
	v, err := a.single(oidAttrSigningTime)
	if err != nil {
		return time.Time{}, err
	}
	t, ok := parseTime(v)
	if !ok {
		return time.Time{}, failf(ReasonAttributes, "malformed signing time")
	}
	return t, nil
}

// parseTime reads UTCTime or GeneralizedTime. RFC 5652 §11.3 demands seconds and UTC; QUIRK: old senders leave the
// seconds out of the former, and writers on Go's asn1 package give their own zone.
func parseTime(e ber.Element) (time.Time, bool) {
	if e.Class != ber.Universal || e.Constructed {
		return time.Time{}, false
	}
	text := string(e.Content)
	switch e.Tag {
	case ber.TagUTCTime:
		for _, layout := range []string{"060102150405Z0700", "0601021504Z0700"} {
			if t, err := time.Parse(layout, text); err == nil {
				if t.Year() >= 2050 { // RFC 5280 §4.1.2.5.1
					t = t.AddDate(-100, 0, 0)
				}
				return t.UTC(), true
			}
		}
	case ber.TagGeneralizedTime:
		if t, err := time.Parse("20060102150405Z0700", text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// candidates are the certificates this signer's identifier names, in the order of the message. Two
// may answer to one identifier; the one whose key verifies counts.
func (si *SignerInfo) candidates(certs []*x509.Certificate) []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range certs {
		if len(out) < MaxCandidates && si.id.matches(c) {
			out = append(out, c)
		}
	}
	return out
}
