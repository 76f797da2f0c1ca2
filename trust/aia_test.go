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

// TestARenewedIssuerIsLookedFor: senders go on sending the issuer's certificate that has ended when there is a new
// one of the same key where theirs says.
func TestARenewedIssuerIsLookedFor(t *testing.T) {
	root := testpki.Root(t, "Root")
	key := testpki.ECKey(t)
	ended, renewed := root.SubWith(t, key, "Sub", testpki.Dates(-700, -1)), root.SubWith(t, key, "Sub")
	for _, c := range []struct {
		name     string
		there    []byte
		want     trust.Reason
		requests int
	}{
		{"a renewed one", renewed.Cert.Raw, "", 1},
		{"the one that has ended", ended.Cert.Raw, trust.Expired, 1},
		{"nothing", nil, trust.Expired, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWeb(t)
			url := w.URL + "/sub.cer"
			if c.there != nil {
				w.put("/sub.cer", c.there)
			}
			q := incoming(renewed.Leaf(t, "dr@clinic.example", aia(url)).Cert)
			q.Extra = []*x509.Certificate{ended.Cert}
			s := store{in: []*x509.Certificate{root.Cert}}
			if d := decide(t, networked(s, fetcher()), q); d.Reason != c.want || w.count() != c.requests {
				t.Errorf("%q after %d requests: %s", d.Reason, w.count(), d.Detail)
			}
			q = incoming(ended.Leaf(t, "dr@clinic.example", testpki.Dates(-9, -1), aia(url)).Cert)
			if d := decide(t, networked(s, fetcher()), q); d.Reason != trust.Expired || w.count() != c.requests {
				t.Errorf("a certificate that has ended itself: %q after %d requests", d.Reason, w.count())
			}
		})
	}
}
