package cms

import (
	"crypto"
	"crypto/x509"
	"slices"

	"postern/smime/cms/ber"
)

// Key is a certificate with its private key: a crypto.Decrypter for RSA; for EC an
// *ecdh.PrivateKey, an *ecdsa.PrivateKey, or anything with ECDH(*ecdh.PublicKey) ([]byte, error).
type Key struct {
	Cert    *x509.Certificate
	Private any
}

// share is one place in an envelope where the content key is held for a key of ours.
type share struct {
	key       Key
	alg       algorithm // key-encryption algorithm
	encrypted []byte    // the encrypted content key
	agree     *agreement
}

// agreement is the part of a KeyAgreeRecipientInfo that its recipients have in common.
type agreement struct {
	public []byte    // originator's public key, raw
	curve  algorithm // its algorithm
	ukm    []byte
}

// recipients reads the RecipientInfos and keeps those that name a key of ours. Others are counted
// and dropped: trying a key on an entry that does not name it would be an oracle and a cost (CMS-22).
type recipients struct {
	count   int
	octets  int
	shares  []share
	unknown int // kinds this gateway does not know; allowed beside ours
}

func (m *Message) readRecipients(keys []Key) (*recipients, error) {
	if err := m.enterRecipients(); err != nil {
		return nil, err
	}
	rs := &recipients{}
	for {
		h, ok, err := m.s.Next()
		if err != nil {
			return nil, wrap("recipient info", err)
		}
		if !ok {
			return rs, m.leave("recipient infos")
		}
		if rs.count++; rs.count > MaxRecipients {
			return nil, failf(ReasonLimit, "more than %d recipients", MaxRecipients)
		}
		e, err := m.pending("recipient info", MaxRecipientInfo)
		if err != nil {
			return nil, err
		}
		if rs.octets += len(e.Full); rs.octets > MaxRecipientBytes {
			return nil, failf(ReasonLimit, "more than %d octets of recipient infos", MaxRecipientBytes)
		}
		switch {
		case h.IsSequence():
			err = rs.keyTrans(e, keys)
		case h.IsContext(1) && h.Constructed:
			err = rs.keyAgree(e, keys)
		default: // [2] kekri, [3] pwri, [4] ori and what may come
			rs.unknown++
		}
		if err != nil {
			return nil, err
		}
	}
}

// enterRecipients opens the set of RecipientInfos, past an OriginatorInfo in front of it.
func (m *Message) enterRecipients() error {
	h, ok, err := m.s.Next()
	if err == nil && ok && h.IsContext(0) {
		if err := m.s.Skip(); err != nil {
			return wrap("originator info", err)
		}
		h, ok, err = m.s.Next()
	}
	if err != nil {
		return wrap("recipient infos", err)
	}
	if !ok || !h.IsSet() {
		return failf(ReasonMalformed, "recipient infos are not a set")
	}
	return m.enter("recipient infos")
}

// keyTrans reads KeyTransRecipientInfo (RFC 5652 §6.2.1).
func (rs *recipients) keyTrans(e ber.Element, keys []Key) error {
	c := e.Children()
	if _, err := c.Expect(ber.TagInteger); err != nil {
		return wrap("key transport version", err)
	}
	idElem, err := c.Next()
	if err != nil {
		return wrap("recipient identifier", err)
	}
	id, err := parseIdentifier(idElem)
	if err != nil {
		return err
	}
	algElem, err := c.Next()
	if err != nil {
		return wrap("key encryption algorithm", err)
	}
	alg, err := parseAlgorithm(algElem)
	if err != nil {
		return err
	}
	enc, err := c.Next()
	if err != nil {
		return wrap("encrypted key", err)
	}
	if !enc.Is(ber.Universal, ber.TagOctetString) {
		return failf(ReasonMalformed, "encrypted key is not an octet string")
	}
	encrypted, err := enc.Octets()
	if err != nil {
		return wrap("encrypted key", err)
	}
	rs.keep(id, share{alg: alg, encrypted: encrypted}, keys)
	return nil
}

// keyAgree reads KeyAgreeRecipientInfo (RFC 5652 §6.2.2, RFC 5753 §3.1.1).
func (rs *recipients) keyAgree(e ber.Element, keys []Key) error {
	c := e.Children()
	if _, err := c.Expect(ber.TagInteger); err != nil {
		return wrap("key agreement version", err)
	}
	orig, ok, err := c.Optional(ber.Context, 0)
	if err != nil || !ok {
		return failf(ReasonMalformed, "key agreement without originator")
	}
	agree, err := parseOriginator(orig)
	if err != nil {
		return err
	}
	if ukm, ok, err := c.Optional(ber.Context, 1); err != nil {
		return wrap("user keying material", err)
	} else if ok {
		k := ukm.Children()
		inner, err := k.Expect(ber.TagOctetString)
		if err != nil {
			return wrap("user keying material", err)
		}
		if agree.ukm, err = inner.Octets(); err != nil {
			return wrap("user keying material", err)
		}
		if agree.ukm == nil {
			agree.ukm = []byte{}
		}
	}
	algElem, err := c.Next()
	if err != nil {
		return wrap("key agreement algorithm", err)
	}
	alg, err := parseAlgorithm(algElem)
	if err != nil {
		return err
	}
	list, err := c.Expect(ber.TagSequence)
	if err != nil {
		return wrap("recipient encrypted keys", err)
	}
	return rs.agreed(list, share{alg: alg, agree: agree}, keys)
}

// parseOriginator reads OriginatorIdentifierOrKey. Only an ephemeral public key can be used; an
// originator named by certificate (static-static) leaves public nil, and its shares unsupported.
func parseOriginator(e ber.Element) (*agreement, error) {
	c := e.Children()
	choice, err := c.Next()
	if err != nil {
		return nil, wrap("originator", err)
	}
	if !choice.IsContext(1) || !choice.Constructed {
		return &agreement{}, nil
	}
	k := choice.Children()
	algElem, err := k.Next()
	if err != nil {
		return nil, wrap("originator key algorithm", err)
	}
	alg, err := parseAlgorithm(algElem)
	if err != nil {
		return nil, err
	}
	bits, err := k.Expect(ber.TagBitString)
	if err != nil {
		return nil, wrap("originator key", err)
	}
	if bits.Constructed || len(bits.Content) < 2 || bits.Content[0] != 0 {
		return nil, failf(ReasonMalformed, "originator key is not a whole number of octets")
	}
	return &agreement{public: bits.Content[1:], curve: alg}, nil
}

// agreed reads RecipientEncryptedKeys.
func (rs *recipients) agreed(list ber.Element, s share, keys []Key) error {
	first := true // counted already, as the RecipientInfo it is in
	for c := list.Children(); !c.Empty(); first = false {
		item, err := c.Expect(ber.TagSequence)
		if err != nil {
			return wrap("recipient encrypted key", err)
		}
		if !first {
			rs.count++
		}
		if rs.count > MaxRecipients {
			return failf(ReasonLimit, "more than %d recipients", MaxRecipients)
		}
		k := item.Children()
		idElem, err := k.Next()
		if err != nil {
			return wrap("recipient identifier", err)
		}
		id, err := parseAgreeIdentifier(idElem)
		if err != nil {
			return err
		}
		enc, err := k.Expect(ber.TagOctetString)
		if err != nil {
			return wrap("wrapped key", err)
		}
		if s.encrypted, err = enc.Octets(); err != nil {
			return wrap("wrapped key", err)
		}
		rs.keep(id, s, keys)
	}
	return nil
}

// parseAgreeIdentifier reads KeyAgreeRecipientIdentifier: issuer and serial, or [0] with a key id
// (and a date and other attribute, ignored) inside.
func parseAgreeIdentifier(e ber.Element) (identifier, error) {
	if e.IsSequence() {
		return parseIssuerAndSerial(e)
	}
	if !e.IsContext(0) || !e.Constructed {
		return identifier{}, failf(ReasonMalformed, "recipient identifier of key agreement")
	}
	c := e.Children()
	ski, err := c.Expect(ber.TagOctetString)
	if err != nil {
		return identifier{}, wrap("recipient key identifier", err)
	}
	b, err := ski.Octets()
	if err != nil || len(b) == 0 {
		return identifier{}, failf(ReasonMalformed, "recipient key identifier")
	}
	return identifier{ski: b}, nil
}

// keep adds one share for each key of ours that the identifier names. Two of our certificates may answer to
// one identifier: each key is tried, and of certificates with the same key (a renewed one beside its
// predecessor, named by key id) the newest stands for it, once. A message to many of ours names many keys; any of
// them opens it, so those over MaxMatches are not tried.
func (rs *recipients) keep(id identifier, s share, keys []Key) {
	mine := len(rs.shares)
	for _, k := range keys {
		if k.Cert == nil || !id.matches(k.Cert) {
			continue
		}
		if i := slices.IndexFunc(rs.shares[mine:], func(have share) bool { return sameKey(have.key, k) }); i >= 0 {
			if have := &rs.shares[mine+i]; k.Cert.NotBefore.After(have.key.Cert.NotBefore) {
				have.key = k
			}
			continue
		}
		if len(rs.shares) >= MaxMatches {
			return
		}
		s.key = k
		rs.shares = append(rs.shares, s)
	}
}

// sameKey compares the private keys, by their public halves.
func sameKey(a, b Key) bool {
	x, ok := a.Private.(interface{ Public() crypto.PublicKey })
	y, ok2 := b.Private.(interface{ Public() crypto.PublicKey })
	if !ok || !ok2 {
		return false
	}
	pub, ok := x.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(y.Public())
}
