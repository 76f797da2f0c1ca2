package testpki

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// ListOption changes a list before it is signed.
type ListOption func(*x509.RevocationList)

// List makes a revocation list of a, valid for a week around Now, that withdraws the given certificates.
func (a *Authority) List(t testing.TB, withdrawn []*x509.Certificate, opts ...ListOption) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: Now.AddDate(0, 0, -1), NextUpdate: Now.AddDate(0, 0, 6)}
	for _, c := range withdrawn {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: c.SerialNumber, RevocationTime: Now.AddDate(0, 0, -2), ReasonCode: 1,
		})
	}
	for _, o := range opts {
		o(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.Cert, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// ListDates sets a list's dates, in days from Now.
func ListDates(from, to int) ListOption {
	return func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = Now.AddDate(0, 0, from), Now.AddDate(0, 0, to)
	}
}

// ListExtension adds an extension to a list.
func ListExtension(e pkix.Extension) ListOption {
	return func(l *x509.RevocationList) { l.ExtraExtensions = append(l.ExtraExtensions, e) }
}

// Response makes an OCSP response about c, signed by responder on behalf of a.
func (a *Authority) Response(t testing.TB, c *x509.Certificate, status int, responder *Authority) []byte {
	t.Helper()
	return a.ResponseAt(t, ocsp.Response{SerialNumber: c.SerialNumber, Status: status, ThisUpdate: Now.Add(-time.Hour), NextUpdate: Now.Add(24 * time.Hour)}, responder)
}

// ResponseAt makes an OCSP response from a template.
func (a *Authority) ResponseAt(t testing.TB, r ocsp.Response, responder *Authority) []byte {
	t.Helper()
	if r.Status == ocsp.Revoked {
		r.RevokedAt, r.RevocationReason = Now.AddDate(0, 0, -2), ocsp.KeyCompromise
	}
	if responder != a {
		r.Certificate = responder.Cert
	}
	der, err := ocsp.CreateResponse(a.Cert, responder.Cert, r, responder.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
