package revoke

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"
)

var (
	errOCSPForm     = errors.New("revoke: OCSP response: malformed")
	errOCSPCritical = errors.New("revoke: OCSP response: a critical extension, unknown here")
	errOCSPOther    = errors.New("revoke: the OCSP response is about another certificate")
)

// single is one SingleResponse (RFC 6960 §4.2.1), as far as it is read to tell answers apart.
type single struct {
	hash      asn1.ObjectIdentifier
	name, key cryptobyte.String
	number    serial
	status    int
	revoked   cryptobyte.String // RevokedInfo
	rest      cryptobyte.String // from thisUpdate on
}

// gravest settles which answer of a response counts. The library takes the first one of the serial number. The whole
// certificate id must fit, issuer name and issuer key too (RFC 6960 §4.1.1), or a responder that serves several CAs
// would answer for another's certificate of the same number; and where a response says several things of one
// certificate, the gravest counts.
func gravest(r *ocsp.Response, q Query) error {
	list, err := singles(r.TBSResponseData)
	if err != nil {
		return err
	}
	number := serialOfInt(q.Cert.SerialNumber)
	taken, best := -1, -1
	for i, s := range list {
		if !s.number.equal(number) {
			continue
		}
		if taken < 0 {
			taken = i
		}
		wantName, wantKey := issuerHashes(s.hash, q.Issuer)
		if wantName == nil || !bytes.Equal(s.name, wantName) || !bytes.Equal(s.key, wantKey) {
			continue
		}
		if best < 0 || s.gravity() > list[best].gravity() {
			best = i
		}
	}
	switch {
	case best < 0:
		return errOCSPOther
	case best != taken:
		return list[best].put(r)
	}
	return nil
}

// gravity ranks answers: a withdrawal for good, which stays true when it is stale, before a hold, which does not.
func (s single) gravity() int {
	switch {
	case s.status == ocsp.Good:
		return 0
	case s.status == ocsp.Revoked && final(s.cause()):
		return 3
	case s.status == ocsp.Revoked:
		return 2
	}
	return 1
}

// cause is why a certificate was withdrawn, unspecified where that is not said or cannot be read.
func (s single) cause() int {
	in, code := s.revoked, ocsp.Unspecified
	var reason cryptobyte.String
	var present bool
	if !in.SkipASN1(der.GeneralizedTime) || !in.ReadOptionalASN1(&reason, &present, der.Tag(0).ContextSpecific().Constructed()) || !present || !reason.ReadASN1Enum(&code) {
		return ocsp.Unspecified
	}
	return code
}

// singles walks ResponseData. A critical extension of the whole response that is unknown here refuses it; the nonce,
// which we never send, says nothing.
func singles(tbs []byte) ([]single, error) {
	in := cryptobyte.String(tbs)
	var data, list, extensions cryptobyte.String
	present := false
	if !in.ReadASN1(&data, der.SEQUENCE) ||
		!data.SkipOptionalASN1(der.Tag(0).ContextSpecific().Constructed()) || // version
		!skipAny(&data) || // responderID
		!data.SkipASN1(der.GeneralizedTime) || !data.ReadASN1(&list, der.SEQUENCE) ||
		!data.ReadOptionalASN1(&extensions, &present, der.Tag(1).ContextSpecific().Constructed()) {
		return nil, errOCSPForm
	}
	if present {
		if err := noCritical(extensions); err != nil {
			return nil, err
		}
	}
	var out []single
	for !list.Empty() {
		s, ok := readSingle(&list)
		if !ok {
			return nil, errOCSPForm
		}
		out = append(out, s)
	}
	return out, nil
}

var oidNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

func noCritical(extensions cryptobyte.String) error {
	return eachExtension(extensions, func(id asn1.ObjectIdentifier, critical bool, _ cryptobyte.String) error {
		if critical && !id.Equal(oidNonce) {
			return errOCSPCritical
		}
		return nil
	})
}

func readSingle(list *cryptobyte.String) (s single, ok bool) {
	var id, alg, status cryptobyte.String
	var number []byte
	var tag der.Tag
	if !list.ReadASN1(&s.rest, der.SEQUENCE) || !s.rest.ReadASN1(&id, der.SEQUENCE) || !id.ReadASN1(&alg, der.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&s.hash) || !id.ReadASN1(&s.name, der.OCTET_STRING) || !id.ReadASN1(&s.key, der.OCTET_STRING) ||
		!id.ReadASN1Bytes(&number, der.INTEGER) || !s.rest.ReadAnyASN1(&status, &tag) {
		return s, false
	}
	s.number = serialOf(number)
	switch tag {
	case der.Tag(0).ContextSpecific():
		s.status = ocsp.Good
	case der.Tag(1).ContextSpecific().Constructed():
		s.status, s.revoked = ocsp.Revoked, status
	default:
		s.status = ocsp.Unknown
	}
	return s, true
}

// put makes the response say what this answer says.
func (s single) put(r *ocsp.Response) error {
	r.Status, r.NextUpdate, r.RevokedAt, r.RevocationReason = s.status, time.Time{}, time.Time{}, ocsp.Unspecified
	var next, reason, extensions cryptobyte.String
	var isNext, isReason, isExtensions bool
	if !s.rest.ReadASN1GeneralizedTime(&r.ThisUpdate) ||
		!s.rest.ReadOptionalASN1(&next, &isNext, der.Tag(0).ContextSpecific().Constructed()) ||
		isNext && !next.ReadASN1GeneralizedTime(&r.NextUpdate) ||
		!s.rest.ReadOptionalASN1(&extensions, &isExtensions, der.Tag(1).ContextSpecific().Constructed()) {
		return errOCSPForm
	}
	if isExtensions {
		if err := noCritical(extensions); err != nil {
			return err
		}
	}
	if s.status != ocsp.Revoked {
		return nil
	}
	if !s.revoked.ReadASN1GeneralizedTime(&r.RevokedAt) ||
		!s.revoked.ReadOptionalASN1(&reason, &isReason, der.Tag(0).ContextSpecific().Constructed()) {
		return errOCSPForm
	}
	if isReason && !reason.ReadASN1Enum(&r.RevocationReason) {
		r.RevocationReason = ocsp.Unspecified // it withdraws all the same
	}
	return nil
}
