package trust_test

import (
	"crypto/x509"
	"testing"
	"time"

	"postern/trust"
	"postern/trust/internal/testpki"
)

// TestAnAuthorityWithANewKey: what came from a place before is believed for a day, but a certificate of the
// authority's new key makes us look there again, once for a question and not every time.
func TestAnAuthorityWithANewKey(t *testing.T) {
	root := testpki.Root(t, "Root")
	old, renewed := root.Sub(t, "Sub"), root.Sub(t, "Sub")
	w := newWeb(t)
	url := w.put("/sub.cer", old.Cert.Raw)
	s := store{in: []*x509.Certificate{root.Cert}}
	now := atNow
	e := trust.New(trust.Config{Anchors: s, Settings: s, Fetcher: fetcher(), Clock: func() time.Time { return now }})
	ask := func(by *testpki.Authority, want trust.Reason, requests int) {
		t.Helper()
		if d := decide(t, e, incoming(by.Leaf(t, "dr@clinic.example", aia(url)).Cert)); d.Reason != want || w.count() != requests {
			t.Fatalf("%q after %d requests, want %q after %d: %s", d.Reason, w.count(), want, requests, d.Detail)
		}
	}
	ask(old, "", 1)
	ask(renewed, trust.BadSignature, 1) // it was fetched just now
	now = atNow.Add(time.Hour)
	ask(old, "", 1)
	ask(renewed, trust.BadSignature, 2) // looked again: still the old one
	ask(renewed, trust.BadSignature, 2)
	w.put("/sub.cer", renewed.Cert.Raw)
	now = now.Add(time.Hour)
	ask(renewed, "", 3)
	ask(renewed, "", 3)
}

// TestLookingAgainLosesNothing: a forged certificate that names the place of an authority, while that place is out of
// order, does not take away what came from there before.
func TestLookingAgainLosesNothing(t *testing.T) {
	root := testpki.Root(t, "Root")
	sub, forger := root.Sub(t, "Sub"), testpki.Root(t, "Sub")
	w := newWeb(t)
	url := w.put("/sub.cer", sub.Cert.Raw)
	s := store{in: []*x509.Certificate{root.Cert}}
	now := atNow
	e := trust.New(trust.Config{Anchors: s, Settings: s, Fetcher: fetcher(), Clock: func() time.Time { return now }})
	ask := func(by *testpki.Authority, want trust.Reason, requests int) {
		t.Helper()
		if d := decide(t, e, incoming(by.Leaf(t, "dr@clinic.example", aia(url)).Cert)); d.Reason != want || w.count() != requests {
			t.Fatalf("%q after %d requests, want %q after %d: %s", d.Reason, w.count(), want, requests, d.Detail)
		}
	}
	ask(sub, "", 1)
	w.mu.Lock()
	delete(w.pages, "/sub.cer")
	w.mu.Unlock()
	now = atNow.Add(time.Hour)
	ask(forger, trust.BadSignature, 2)
	ask(forger, trust.BadSignature, 2)
	ask(sub, "", 2)
}
