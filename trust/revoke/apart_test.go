package revoke_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

func responderAt(url string) testpki.Option {
	return func(c *x509.Certificate) { c.OCSPServer = []string{url} }
}

// answer is what the root's responder says about the leaf of a world at an instant, for five days.
func (w *world) answer(t *testing.T, status int, at time.Time) []byte {
	return w.root.ResponseAt(t, ocsp.Response{SerialNumber: w.leaf.Cert.SerialNumber, Status: status, ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 5)}, w.root)
}

// TestAnOlderAnswerBringsNobodyBack: what a responder said first, played back after what it said
// later, changes nothing: a withdrawal outlives the freshness of the answer that announced it.
func TestAnOlderAnswerBringsNobodyBack(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
	old := w.answer(t, ocsp.Good, testpki.Now.Add(-time.Hour))
	c := w.checker()
	w.put("/o", old)
	w.ask(t, c, revoke.Good)

	w.clock.now = testpki.Now.Add(revoke.AskAgain + time.Second)
	w.put("/o", w.root.ResponseAt(t, ocsp.Response{SerialNumber: w.leaf.Cert.SerialNumber, Status: ocsp.Revoked,
		ThisUpdate: testpki.Now, NextUpdate: testpki.Now.AddDate(0, 0, 2)}, w.root))
	w.ask(t, c, revoke.Revoked)

	w.put("/o", old)
	asked := w.requests()
	for range 3 {
		w.clock.now = w.clock.now.Add(revoke.AskAgain + revoke.LongestRetry)
		w.ask(t, c, revoke.Revoked)
	}
	if w.requests() != asked+3 {
		t.Errorf("%d requests: the responder is not asked again", w.requests()-asked)
	}
	w.clock.now = testpki.Now.AddDate(0, 0, 3)
	w.ask(t, c, revoke.Revoked) // though the later answer is stale by now
	w.clock.now = w.clock.now.Add(revoke.LongestRetry + time.Second)
	w.put("/o", w.answer(t, ocsp.Good, testpki.Now.AddDate(0, 0, 2)))
	w.ask(t, c, revoke.Good)
}

// TestALegacyAnswerIsForLegacyOnly: an answer signed with SHA-1 that one domain believes is not
// remembered for another that does not, and the other's refusal not for the first.
func TestALegacyAnswerIsForLegacyOnly(t *testing.T) {
	for _, kind := range []string{"answer", "list"} {
		for _, first := range []bool{true, false} {
			w := newWorld(t)
			root := testpki.RootWith(t, testpki.RSAKey(t, 2048, 1), "RSA root")
			leaf := root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
			if kind == "list" {
				leaf = root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/l.crl"))
				w.put("/l.crl", root.List(t, nil, func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.SHA1WithRSA }))
			}
			w.put("/o", root.ResponseAt(t, ocsp.Response{SerialNumber: leaf.Cert.SerialNumber, Status: ocsp.Good, ThisUpdate: testpki.Now.Add(-time.Hour),
				NextUpdate: testpki.Now.AddDate(0, 0, 1), SignatureAlgorithm: x509.SHA1WithRSA}, root))
			c := w.checker()
			for _, legacy := range []bool{first, !first, first} {
				a := c.Check(context.Background(), revoke.Query{Cert: leaf.Cert, Issuer: root.Cert, Time: w.clock.now, Legacy: legacy, Fetches: revoke.NewBudget(5, nil)})
				if (a.State == revoke.Good) != legacy {
					t.Errorf("%s, legacy %v after %v: %s %s", kind, legacy, first, a.State, a.Detail)
				}
			}
		}
	}
}

// TestAnotherIssuersCertificateCostsNobodyAList: a certificate that names the place of another CA's
// list finds none of its own there, and the other CA's certificates are answered all the same.
func TestAnotherIssuersCertificateCostsNobodyAList(t *testing.T) {
	w := newWorld(t)
	w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}))
	other := testpki.Root(t, "Other CA")
	stray := other.Leaf(t, "x@y.example", crlAt(w.URL+"/l.crl"))
	c := w.checker()
	for range 6 {
		a := c.Check(context.Background(), revoke.Query{Cert: stray.Cert, Issuer: other.Cert, Time: w.clock.now, Fetches: revoke.NewBudget(5, nil)})
		if a.State != revoke.Unknown || a.Temporary {
			t.Fatalf("%+v", a)
		}
		w.ask(t, c, revoke.Revoked)
		w.clock.now = w.clock.now.Add(revoke.LongestRetry + time.Second)
	}
	// 6 for the stray certificate, 1 for the CA's own.
	if w.requests() != 7 {
		t.Errorf("%d requests", w.requests())
	}
	// Whoever holds the line can answer the stray's question with a list of its own CA: what is kept of
	// the other, on disk too, stays.
	w.put("/l.crl", other.List(t, nil))
	a := c.Check(context.Background(), revoke.Query{Cert: stray.Cert, Issuer: other.Cert, Time: w.clock.now, Fetches: revoke.NewBudget(5, nil)})
	if a.State != revoke.Good {
		t.Fatalf("%+v", a)
	}
	w.ask(t, c, revoke.Revoked)
	w.ask(t, w.checker(), revoke.Revoked)
}
