package revoke_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// TestTheNewestWordCounts: a list that is at hand clears nobody whom the responder has withdrawn since, also after a
// restart; a list made later than that does.
func TestTheNewestWordCounts(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"), crlAt(w.URL+"/l.crl"))
	other := w.root.Leaf(t, "nurse@clinic.example", crlAt(w.URL+"/l.crl"))
	w.put("/o", w.answer(t, ocsp.Revoked, testpki.Now.Add(-time.Hour)))
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(-1, 6))) // made before the withdrawal
	kept := newAnswers()
	c := w.checkerWith(kept)
	w.ask(t, c, revoke.Revoked)
	mine := w.leaf
	w.leaf = other
	w.ask(t, c, revoke.Good) // fetches the list
	w.leaf = mine
	w.ask(t, c, revoke.Revoked)
	again := w.checkerWith(kept)
	w.ask(t, again, revoke.Revoked)
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.clock.now = testpki.Now.Add(revoke.AskAgain + time.Second)
	w.ask(t, again, revoke.Revoked) // though the responder tells nothing any more

	w.clock.now = testpki.Now.Add(revoke.ListAge + time.Hour)
	w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(0, 9)))
	if n, err := again.Refresh(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	w.ask(t, again, revoke.Good)
}

// TestOfTwoListsAtHandTheNewerCounts: a certificate that names two places, whose lists are of different age.
func TestOfTwoListsAtHandTheNewerCounts(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/1.crl", w.URL+"/2.crl"))
	other := w.root.Leaf(t, "nurse@clinic.example", crlAt(w.URL+"/2.crl"))
	w.put("/1.crl", w.root.List(t, nil, testpki.ListDates(-2, 6)))
	w.put("/2.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(-1, 6)))
	c := w.checker()
	w.ask(t, c, revoke.Good)
	mine := w.leaf
	w.leaf = other
	w.ask(t, c, revoke.Good)
	w.leaf = mine
	w.ask(t, c, revoke.Revoked)
}

// TestAListOfAnotherKindTakesNoListsPlace: what the same authority signed about others (another part, a delta, CAs
// only) does not drive out the list that withdraws, whoever holds the line and serves it in its place.
func TestAListOfAnotherKindTakesNoListsPlace(t *testing.T) {
	for name, kind := range map[string]testpki.ListOption{
		"another part": idp(named("http://crl.example/2")),
		"delta":        testpki.ListExtension(pkix.Extension{Id: oidDelta, Critical: true, Value: []byte{2, 1, 1}}),
		"CAs only":     idp([]byte{0x82, 1, 0xff}),
		"some reasons": idp([]byte{0x83, 2, 4, 0x10}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(-1, 6)))
			c := w.checker()
			w.ask(t, c, revoke.Revoked)
			w.clock.now = testpki.Now.Add(revoke.ListAge + time.Hour)
			w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(0, 9), kind))
			if n, err := c.Refresh(t.Context()); n != 0 || err == nil || !strings.Contains(err.Error(), "does not take the place") {
				t.Errorf("%d, %v", n, err)
			}
			w.ask(t, c, revoke.Revoked)
			w.ask(t, w.checker(), revoke.Revoked)
		})
	}
}

// TestAListGivesWay: to the next of its own kind, and to one about more certificates.
func TestAListGivesWay(t *testing.T) {
	part := func(w *world) testpki.ListOption { return idp(named(w.URL + "/l.crl")) }
	whole := func(*world) testpki.ListOption { return func(*x509.RevocationList) {} }
	users := func(*world) testpki.ListOption { return idp([]byte{0x81, 1, 0xff}) }
	for _, c := range []struct {
		name        string
		first, next func(*world) testpki.ListOption
	}{{"a part to the same part", part, part}, {"a part to a whole one", part, whole}, {"a whole one to one of end entities", whole, users}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.put("/l.crl", w.root.List(t, []*x509.Certificate{w.leaf.Cert}, testpki.ListDates(-1, 6), c.first(w)))
			k := w.checker()
			w.ask(t, k, revoke.Revoked)
			w.clock.now = testpki.Now.Add(revoke.ListAge + time.Hour)
			w.put("/l.crl", w.root.List(t, nil, testpki.ListDates(0, 9), c.next(w)))
			if n, err := k.Refresh(t.Context()); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			w.ask(t, k, revoke.Good)
		})
	}
}

// TestAWithdrawalOutlivesItsResponder: the certificate of a responder lives for days; what it withdrew stays so.
func TestAWithdrawalOutlivesItsResponder(t *testing.T) {
	w := newWorld(t)
	w.leaf = w.root.Leaf(t, "dr@clinic.example", responderAt(w.URL+"/o"))
	responder := w.root.Leaf(t, "", testpki.Dates(-3, 3), func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	})
	w.put("/o", w.root.Response(t, w.leaf.Cert, ocsp.Revoked, responder))
	kept := newAnswers()
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
	w.put("/o", ocsp.TryLaterErrorResponse)
	w.clock.now = testpki.Now.AddDate(0, 0, 10)
	w.ask(t, w.checkerWith(kept), revoke.Revoked)
}
