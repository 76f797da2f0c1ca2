package revoke

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"postern/trust/chain"
)

// skew is how far a thisUpdate may lie ahead of our clock.
const skew = 5 * time.Minute

var errSignature = errors.New("revoke: the signature does not hold")

// vouched is nil when the issuer, or another certificate of its name in the validated path, signed
// the list: a CA that changes its key signs one list for both (RFC 5280 §6.3.3 (f)).
func (l *List) vouched(q Query) error {
	err := l.authentic(q.Issuer, q.Legacy)
	for _, c := range q.Also {
		if err == nil {
			break
		}
		if chain.SameName(c.RawSubject, q.Issuer.RawSubject) && l.authentic(c, q.Legacy) == nil {
			err = nil
		}
	}
	return err
}

// authentic is nil when the certificate's key signed the list and may sign lists.
func (l *List) authentic(by *x509.Certificate, legacy bool) error {
	if !chain.SameName(by.RawSubject, l.Issuer) {
		return errors.New("revoke: the list is of another issuer")
	}
	if by.KeyUsage != 0 && by.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return fmt.Errorf("revoke: the key usage of %s does not include signing lists", chain.Label(by))
	}
	if (l.algorithm == x509.SHA1WithRSA || l.algorithm == x509.ECDSAWithSHA1) && !legacy {
		return errors.New("revoke: the list is signed with SHA-1, which is allowed only as legacy")
	}
	id := sha256.Sum256(by.Raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	err, known := l.verified[id]
	if !known {
		err = l.arithmetic(by)
		if len(l.verified) < 16 {
			l.verified[id] = err
		}
	}
	return err
}

func (l *List) arithmetic(by *x509.Certificate) error {
	ok := false
	switch k := by.PublicKey.(type) {
	case *rsa.PublicKey:
		switch h := hashOf(l.algorithm); l.algorithm {
		case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA:
			ok = rsa.VerifyPKCS1v15(k, h, l.digest, l.signature) == nil
		case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
			ok = rsa.VerifyPSS(k, h, l.digest, l.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
	case *ecdsa.PublicKey:
		switch l.algorithm {
		case x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
			ok = ecdsa.VerifyASN1(k, l.digest, l.signature)
		}
	case ed25519.PublicKey:
		ok = l.algorithm == x509.PureEd25519 && l.signed != nil && ed25519.Verify(k, l.signed, l.signature)
	}
	if !ok {
		return errSignature
	}
	return nil
}

func hashOf(a x509.SignatureAlgorithm) crypto.Hash {
	switch a {
	case x509.SHA1WithRSA:
		return crypto.SHA1
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS:
		return crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// fresh says why a list does not speak for the instant, or "". A list without nextUpdate promises
// nothing and clears nobody (RFC 5280 §5.1.2.5 demands one).
func (l *List) fresh(at time.Time) string {
	switch {
	case l.ThisUpdate.After(at.Add(skew)):
		return "it is dated " + stamp(l.ThisUpdate) + ", after the instant asked about"
	case l.NextUpdate.IsZero():
		return "it does not say when the next one is due"
	case at.After(l.NextUpdate):
		return "it is stale since " + stamp(l.NextUpdate)
	}
	return ""
}

// ended says that the list cannot clear anybody any more, or never could, and that a withdrawal in it holds on.
func (l *List) ended(at time.Time) bool {
	return !l.ThisUpdate.After(at.Add(skew)) && (l.NextUpdate.IsZero() || at.After(l.NextUpdate))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// consult asks one list about one certificate; why is "" when it gives an answer.
func (l *List) consult(q Query, points []point, from string) (a Answer, why string) {
	if l.unusable != "" {
		return a, l.unusable
	}
	if why := l.scope.covers(q.Cert, points); why != "" {
		return a, why
	}
	r, hit := l.find(q.Cert.SerialNumber)
	if why := l.fresh(q.Time); why != "" && !(hit && r.forGood() && l.ended(q.Time)) {
		return a, why
	}
	if err := l.vouched(q); err != nil {
		return a, err.Error()
	}
	e := Evidence{
		Kind: "crl", Source: from, Subject: chain.Label(q.Cert), Serial: q.Cert.SerialNumber.Text(16), State: Good,
		ThisUpdate: l.ThisUpdate.UTC(), NextUpdate: l.NextUpdate.UTC(), SHA256: fmt.Sprintf("%x", l.SHA256),
	}
	if l.Number != nil {
		e.Number = l.Number.Text(16)
	}
	a = Answer{State: Good, Until: l.NextUpdate, Detail: fmt.Sprintf("not in the list of %s, good until %s", stamp(l.ThisUpdate), stamp(l.NextUpdate))}
	if hit {
		a.State, e.State = Revoked, Revoked
		e.RevokedAt, e.Cause = r.when(), r.cause()
		a.Detail = fmt.Sprintf("%s was revoked at %s (%s), says the list of %s", chain.Label(q.Cert), stamp(r.when()), r.cause(), stamp(l.ThisUpdate))
	} else if l.scope.someReasons {
		return Answer{}, "it covers only some reasons, and cannot clear"
	}
	a.Evidence = []Evidence{e}
	return a, ""
}
