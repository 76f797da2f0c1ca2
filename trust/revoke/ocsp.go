package revoke

import (
	"bytes"
	"context"
	"crypto"
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"postern/trust/chain"
	"postern/trust/fetch"
)

// Limits of OCSP.
const (
	maxOCSPOctets = 64 << 10
	ocspLife      = 24 * time.Hour // of an answer without nextUpdate
)

// askOCSP fetches and judges one responder's answer.
func askOCSP(ctx context.Context, f fetch.Fetcher, url string, q Query) (Answer, error) {
	req, err := ocsp.CreateRequest(q.Cert, q.Issuer, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("revoke: OCSP request: %w", err)
	}
	b, err := fetch.ReadAll(ctx, f, fetch.Request{URL: url, Body: req, ContentType: "application/ocsp-request", Accept: "application/ocsp-response", MaxBytes: maxOCSPOctets})
	if err != nil {
		return Answer{}, err
	}
	return readOCSP(b, url, q)
}

// readOCSP judges one response that has just come: it must be authentic, and fresh unless it withdraws for good.
func readOCSP(b []byte, from string, q Query) (Answer, error) {
	a, err := judgeOCSP(b, from, q, q.Time)
	if err != nil {
		return Answer{}, err
	}
	switch e := a.Evidence[0]; {
	case e.ThisUpdate.After(q.Time.Add(skew)):
		return Answer{}, fmt.Errorf("revoke: the OCSP response is dated %s, after the instant asked about", stamp(e.ThisUpdate))
	case q.Time.After(e.NextUpdate) && !a.final:
		return Answer{}, fmt.Errorf("revoke: the OCSP response is stale since %s", stamp(e.NextUpdate))
	}
	return a, nil
}

// judgeOCSP judges all but the freshness of one response. The library parses and checks the signature against the certificate
// inside, or against the issuer; whether that signer may speak for the issuer, and might at that instant, is decided here.
func judgeOCSP(b []byte, from string, q Query, at time.Time) (Answer, error) {
	r, err := ocsp.ParseResponseForCert(b, q.Cert, nil)
	if err != nil {
		var status ocsp.ResponseError
		if errors.As(err, &status) {
			return Answer{}, &responderError{status.Status}
		}
		return Answer{}, fmt.Errorf("revoke: OCSP response: %w", err)
	}
	if err := responderMaySpeak(r, q, at); err != nil {
		return Answer{}, err
	}
	if err := gravest(r, q); err != nil {
		return Answer{}, err
	}
	next := r.NextUpdate
	if next.IsZero() {
		next = r.ThisUpdate.Add(ocspLife)
	}
	return ocspAnswer(b, from, q, r, next)
}

func ocspAnswer(b []byte, from string, q Query, r *ocsp.Response, next time.Time) (Answer, error) {
	e := Evidence{
		Kind: "ocsp", Source: from, Subject: chain.Label(q.Cert), Serial: q.Cert.SerialNumber.Text(16), State: Good,
		ThisUpdate: r.ThisUpdate.UTC(), NextUpdate: next.UTC(), SHA256: fmt.Sprintf("%x", sha256.Sum256(b)), Response: b,
	}
	a := Answer{State: Good, Until: next, Detail: fmt.Sprintf("the responder said good at %s, until %s", stamp(r.ThisUpdate), stamp(next))}
	switch r.Status {
	case ocsp.Good:
	case ocsp.Revoked:
		a.State, e.State, a.final = Revoked, Revoked, final(r.RevocationReason)
		e.RevokedAt, e.Cause = r.RevokedAt.UTC(), causeText(r.RevocationReason)
		a.Detail = fmt.Sprintf("%s was revoked at %s (%s), says the responder at %s", chain.Label(q.Cert), stamp(r.RevokedAt), e.Cause, stamp(r.ThisUpdate))
	default:
		return Answer{}, errors.New("revoke: the OCSP responder does not know the certificate")
	}
	a.Evidence = []Evidence{e}
	return a, nil
}

// responderError is a responder that declined to answer (RFC 6960 §4.2.1).
type responderError struct{ status ocsp.ResponseStatus }

func (e *responderError) Error() string {
	return "revoke: the OCSP responder answered: " + e.status.String()
}

// temporary: "internal error" and "try later" may pass.
func (e *responderError) temporary() bool {
	return e.status == ocsp.InternalError || e.status == ocsp.TryLater
}

// responderMaySpeak is RFC 6960 §4.2.2.2: the issuer itself, or a certificate the issuer signed
// directly for this purpose. The library has checked the response's signature when a certificate came
// with it; without one it is checked here.
func responderMaySpeak(r *ocsp.Response, q Query, at time.Time) error {
	if weak(r.SignatureAlgorithm) && !q.Legacy {
		return fmt.Errorf("revoke: the OCSP response is signed with %s", r.SignatureAlgorithm)
	}
	c := r.Certificate
	if c == nil || bytes.Equal(c.RawSubjectPublicKeyInfo, q.Issuer.RawSubjectPublicKeyInfo) && chain.SameName(c.RawSubject, q.Issuer.RawSubject) {
		if chain.Verify(q.Issuer, r.SignatureAlgorithm, r.TBSResponseData, r.Signature) != nil {
			return errSignature
		}
		return nil
	}
	switch {
	case chain.KeyFault(c) != nil || weak(c.SignatureAlgorithm) && !q.Legacy:
		return errors.New("revoke: the OCSP responder's certificate is too weak")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errors.New("revoke: the signer of the OCSP response was not appointed as a responder")
	case !chain.SameName(c.RawIssuer, q.Issuer.RawSubject) || chain.Verify(q.Issuer, c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil:
		return errors.New("revoke: the OCSP responder was not appointed by the issuer of the certificate")
	case at.Before(c.NotBefore) || at.After(c.NotAfter):
		return errors.New("revoke: the OCSP responder's certificate is outside its dates")
	}
	return nil
}

func weak(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return false
	}
	return true
}

func skipAny(in *cryptobyte.String) bool {
	var v cryptobyte.String
	return in.ReadAnyASN1(&v, nil)
}

func issuerHashes(id asn1.ObjectIdentifier, issuer *x509.Certificate) (name, key []byte) {
	in := cryptobyte.String(issuer.RawSubjectPublicKeyInfo)
	var spki cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&spki, der.SEQUENCE) || !spki.SkipASN1(der.SEQUENCE) || !spki.ReadASN1BitStringAsBytes(&bits) {
		return nil, nil
	}
	switch id.String() {
	case "1.3.14.3.2.26": // SHA-1 here only names the issuer; nothing rests on its strength
		var n, k [sha1.Size]byte
		fips140.WithoutEnforcement(func() { n, k = sha1.Sum(issuer.RawSubject), sha1.Sum(bits) })
		return n[:], k[:]
	case "2.16.840.1.101.3.4.2.1":
		n, k := sha256.Sum256(issuer.RawSubject), sha256.Sum256(bits)
		return n[:], k[:]
	case "2.16.840.1.101.3.4.2.2":
		return sum(crypto.SHA384, issuer.RawSubject), sum(crypto.SHA384, bits)
	case "2.16.840.1.101.3.4.2.3":
		return sum(crypto.SHA512, issuer.RawSubject), sum(crypto.SHA512, bits)
	}
	return nil, nil
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}
