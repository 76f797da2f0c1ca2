package trust_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"postern/smime/cms"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// web is a server of issuers, lists and OCSP answers on loopback that counts what is asked of it.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	pages map[string][]byte
	asked []string
}

func newWeb(t *testing.T) *web {
	w := &web{pages: map[string][]byte{}}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.asked = append(w.asked, r.URL.Path)
		b, ok := w.pages[r.URL.Path]
		switch {
		case strings.HasPrefix(r.URL.Path, "/busy"):
			rw.WriteHeader(http.StatusServiceUnavailable)
		case !ok:
			http.NotFound(rw, r)
		default:
			rw.Write(b)
		}
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) put(path string, b []byte) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[path] = b
	return w.URL + path
}

func (w *web) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func fetcher() *fetch.Client {
	return fetch.New(fetch.Config{Guard: &fetch.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, Timeout: time.Minute})
}

func clock() time.Time { return atNow }

// networked is an evaluator that may fetch.
func networked(s store, f fetch.Fetcher) *trust.Evaluator {
	return trust.New(trust.Config{Anchors: s, Settings: s, Fetcher: f, Revocation: revoke.New(revoke.Config{Fetcher: f, Clock: clock}), Clock: clock})
}

func aia(url ...string) testpki.Option {
	return func(c *x509.Certificate) { c.IssuingCertificateURL = url }
}

func crlAt(url ...string) testpki.Option {
	return func(c *x509.Certificate) { c.CRLDistributionPoints = url }
}

func ocspAt(url ...string) testpki.Option {
	return func(c *x509.Certificate) { c.OCSPServer = url }
}

// outing is one decision with the network at hand.
type outing struct {
	name     string
	s        store
	q        trust.Question
	want     trust.Reason
	soft     bool
	requests int // exactly so many; -1 = not counted
	evidence string
}

func p7c(t *testing.T, certs ...*x509.Certificate) []byte {
	b, err := cms.WriteBundle(certs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func issuerOutings(t *testing.T, w *web) []outing {
	root := testpki.Root(t, "Root")
	s := store{in: []*x509.Certificate{root.Cert}}
	sub := root.Sub(t, "Sub")
	subURL := w.put("/sub.cer", sub.Cert.Raw)
	deep := sub.Sub(t, "Deep", aia(subURL))
	deepURL := w.put("/deep.cer", deep.Cert.Raw)
	garbage := w.put("/garbage", []byte("<html>not found</html>"))
	other := w.put("/other.cer", testpki.Root(t, "Other").Cert.Raw)
	forged := w.put("/forged.cer", testpki.Root(t, "Sub").Cert.Raw)
	leaf := func(by *testpki.Authority, opts ...testpki.Option) trust.Question {
		return incoming(by.Leaf(t, "dr@clinic.example", opts...).Cert)
	}
	wrong := leaf(sub, aia(subURL), func(c *x509.Certificate) { c.EmailAddresses = []string{"x@y.example"} })

	// A ladder longer than a decision may fetch.
	at, urls := sub, []string{w.put("/l0.cer", sub.Cert.Raw)}
	for i := range 5 {
		at = at.Sub(t, "Ladder "+string(rune('a'+i)), aia(urls[len(urls)-1]))
		urls = append(urls, w.put("/l"+string(rune('1'+i))+".cer", at.Cert.Raw))
	}
	return []outing{
		{"issuer fetched", s, leaf(sub, aia(subURL)), "", false, 1, ""},
		{"issuer in a bundle", s, leaf(sub, aia(w.put("/sub.p7c", p7c(t, root.Cert, sub.Cert)))), "", false, 1, ""},
		{"issuer in PEM", s, leaf(sub, aia(w.put("/sub.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sub.Cert.Raw})))), "", false, 1, ""},
		{"two issuers fetched", s, leaf(deep, aia(deepURL)), "", false, 2, ""},
		{"second place holds it", s, leaf(sub, aia(garbage, w.put("/sub2.cer", sub.Cert.Raw))), "", false, 2, ""},
		{"more issuers missing than may be fetched", s, leaf(at, aia(urls[5])), trust.Untrusted, false, trust.MaxIssuerFetches, ""},
		{"place is busy", s, leaf(sub, aia(w.URL+"/busy")), trust.IssuerUnavailable, false, 1, ""},
		{"place has gone", s, leaf(sub, aia(w.URL+"/gone")), trust.Untrusted, false, 1, ""},
		{"place gives a page", s, leaf(sub, aia(garbage)), trust.Untrusted, false, 1, ""},
		{"place gives another certificate", s, leaf(sub, aia(other)), trust.Untrusted, false, 1, ""},
		{"place gives a forged issuer", s, leaf(sub, aia(forged)), trust.BadSignature, false, 1, ""},
		{"place is on a forbidden address", s, leaf(sub, aia("http://10.0.0.1/sub.cer")), trust.Untrusted, false, 0, ""},
		{"place is not HTTP", s, leaf(sub, aia("ldap://127.0.0.1/cn=sub")), trust.Untrusted, false, 0, ""},
		{"wrongly bound: nobody is asked", s, wrong, trust.WrongBinding, false, 0, ""},
		{"expired: nobody is asked", s, leaf(sub, aia(subURL), testpki.Dates(-9, -1)), trust.Expired, false, 0, ""},
		{"no anchors: nobody is asked", store{}, leaf(sub, aia(subURL)), trust.NoAnchors, false, 0, ""},
		{"self-signed forgery: nobody is asked", s, incoming(testpki.SelfSigned(t, testpki.ECKey(t), "Root", testpki.AsLeaf("dr@clinic.example"), aia(subURL)).Cert), trust.SelfSignedForgery, false, 0, ""},
	}
}

func listOutings(t *testing.T, w *web) []outing {
	root := testpki.Root(t, "Root")
	other := testpki.Root(t, "Root") // same name, other key
	soft := store{in: []*x509.Certificate{root.Cert}}
	hard := store{in: []*x509.Certificate{root.Cert}, settings: trust.Settings{RevocationHardFail: true}}
	var outings []outing
	leafAt := func(path string) *x509.Certificate {
		return root.Leaf(t, "dr@clinic.example", crlAt(w.URL+path)).Cert
	}
	add := func(o outing) { outings = append(outings, o) }

	good := leafAt("/good.crl")
	w.put("/good.crl", root.List(t, []*x509.Certificate{other.Cert}))
	add(outing{"list clears", hard, incoming(good), "", false, 1, "crl"})

	gone := leafAt("/revoked.crl")
	w.put("/revoked.crl", root.List(t, []*x509.Certificate{gone}))
	add(outing{"list withdraws", soft, incoming(gone), trust.Revoked, false, 1, "crl"})

	sub := root.Sub(t, "Sub", crlAt(w.URL+"/subs.crl"))
	w.put("/subs.crl", root.List(t, []*x509.Certificate{sub.Cert}))
	add(outing{"list withdraws an issuer", soft, incoming(sub.Leaf(t, "dr@clinic.example").Cert, sub.Cert), trust.Revoked, false, 1, "crl"})

	for path, list := range map[string][]byte{
		"/foreign.crl": other.List(t, nil),
		"/stale.crl":   root.List(t, nil, testpki.ListDates(-30, -1)),
		"/future.crl":  root.List(t, nil, testpki.ListDates(1, 30)),
		"/html.crl":    []byte("<html>"),
	} {
		c := leafAt(path)
		w.put(path, list)
		add(outing{"soft " + path, soft, incoming(c), "", true, 1, ""})
		add(outing{"hard " + path, hard, incoming(c), trust.RevocationUnknown, false, 1, ""})
	}
	forged := leafAt("/forged.crl")
	w.put("/forged.crl", other.List(t, []*x509.Certificate{forged}))
	add(outing{"a stranger's list cannot withdraw", soft, incoming(forged), "", true, 1, ""})
	add(outing{"busy, soft", soft, incoming(leafAt("/busy")), "", true, 1, ""})
	add(outing{"busy, hard", hard, incoming(leafAt("/busy2")), trust.RevocationUnknown, false, 1, ""})
	add(outing{"names nowhere to ask, hard", hard, incoming(root.Leaf(t, "dr@clinic.example").Cert), "", false, 0, ""})
	add(outing{"untrusted: nobody is asked", store{in: []*x509.Certificate{testpki.Root(t, "Else").Cert}}, incoming(gone), trust.Untrusted, false, 0, ""})

	// Two certificates of one intermediate: one way is withdrawn, the other is not.
	key := testpki.ECKey(t)
	root2 := testpki.Root(t, "Root two")
	a := root.SubWith(t, key, "Cross", crlAt(w.URL+"/cross.crl"))
	b := root2.SubWith(t, key, "Cross")
	w.put("/cross.crl", root.List(t, []*x509.Certificate{a.Cert}))
	both := store{in: []*x509.Certificate{root.Cert, root2.Cert}}
	add(outing{"another path is not withdrawn", both, incoming(a.Leaf(t, "dr@clinic.example").Cert, a.Cert, b.Cert), "", false, -1, ""})
	return outings
}

func responderOutings(t *testing.T, w *web) []outing {
	root := testpki.Root(t, "Root")
	other := testpki.Root(t, "Other")
	soft := store{in: []*x509.Certificate{root.Cert}}
	hard := store{in: []*x509.Certificate{root.Cert}, settings: trust.Settings{RevocationHardFail: true}}
	appointed := root.Leaf(t, "", ekus(x509.ExtKeyUsageOCSPSigning))
	plain := root.Leaf(t, "eve@clinic.example")
	foreign := other.Leaf(t, "", ekus(x509.ExtKeyUsageOCSPSigning))
	old := root.Leaf(t, "", ekus(x509.ExtKeyUsageOCSPSigning), testpki.Dates(-9, -1))
	var outings []outing
	leafAt := func(path string) *x509.Certificate {
		return root.Leaf(t, "dr@clinic.example", ocspAt(w.URL+path)).Cert
	}
	add := func(path string, s store, want trust.Reason, soft bool, answer func(c *x509.Certificate) []byte) {
		c := leafAt(path)
		w.put(path, answer(c))
		evidence := ""
		if !soft && want != trust.RevocationUnknown {
			evidence = "ocsp"
		}
		outings = append(outings, outing{"responder " + path, s, incoming(c), want, soft, 1, evidence})
	}
	add("/good", hard, "", false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Good, root) })
	add("/appointed", hard, "", false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Good, appointed) })
	add("/revoked", soft, trust.Revoked, false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Revoked, appointed) })
	add("/unknown", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Unknown, root) })
	add("/not-appointed", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Good, plain) })
	add("/foreign", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Good, foreign) })
	add("/foreign-revokes", soft, "", true, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Revoked, foreign) })
	add("/expired-responder", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return root.Response(t, c, ocsp.Good, old) })
	add("/other-serial", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return root.Response(t, plain.Cert, ocsp.Good, root) })
	add("/other-issuer-same-serial", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte { return other.Response(t, c, ocsp.Good, appointed) })
	add("/stale", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte {
		return root.ResponseAt(t, ocsp.Response{SerialNumber: c.SerialNumber, ThisUpdate: atNow.AddDate(0, 0, -9), NextUpdate: atNow.AddDate(0, 0, -2)}, root)
	})
	add("/ageless", hard, trust.RevocationUnknown, false, func(c *x509.Certificate) []byte {
		return root.ResponseAt(t, ocsp.Response{SerialNumber: c.SerialNumber, ThisUpdate: atNow.AddDate(0, 0, -2)}, root)
	})
	add("/try-later", hard, trust.RevocationUnknown, false, func(*x509.Certificate) []byte { return ocsp.TryLaterErrorResponse })
	add("/page", hard, trust.RevocationUnknown, false, func(*x509.Certificate) []byte { return []byte("<html>") })
	return outings
}

func TestNetworkComesLast(t *testing.T) {
	w := newWeb(t)
	for _, o := range slices.Concat(issuerOutings(t, w), listOutings(t, w), responderOutings(t, w)) {
		t.Run(o.name, func(t *testing.T) {
			before := w.count()
			d := decide(t, networked(o.s, fetcher()), o.q)
			if d.Reason != o.want || d.SoftFailed != o.soft {
				t.Fatalf("reason %q (%s), soft-failed %v; want %q, %v", d.Reason, d.Detail, d.SoftFailed, o.want, o.soft)
			}
			if d.Temporary != o.want.Temporary() {
				t.Errorf("temporary %v", d.Temporary)
			}
			if n := w.count() - before; o.requests >= 0 && n != o.requests {
				t.Errorf("%d requests left the gateway, want %d", n, o.requests)
			}
			if o.evidence != "" && (len(d.Revocation) != 1 || d.Revocation[0].Kind != o.evidence || len(d.Revocation[0].SHA256) != 64) {
				t.Errorf("evidence %+v", d.Revocation)
			}
			checkShape(t, d, situation{q: o.q, want: o.want})
		})
	}
}

func TestEveryReasonIsProduced(t *testing.T) {
	seen := map[trust.Reason]bool{}
	for _, c := range situations(t) {
		seen[decide(t, evaluator(c.s), c.q).Reason] = true
	}
	w := newWeb(t)
	for _, o := range slices.Concat(issuerOutings(t, w), listOutings(t, w)) {
		seen[decide(t, networked(o.s, fetcher()), o.q).Reason] = true
	}
	for _, r := range trust.Reasons() {
		if !seen[r] {
			t.Errorf("no test produces %q", r)
		}
	}
}

func TestNewListEndsACachedApproval(t *testing.T) {
	w := newWeb(t)
	root := testpki.Root(t, "Root")
	leaf := root.Leaf(t, "dr@clinic.example", crlAt(w.URL+"/l.crl"))
	w.put("/l.crl", root.List(t, nil))
	now := atNow
	tick := func() time.Time { return now }
	checker := revoke.New(revoke.Config{Fetcher: fetcher(), Clock: tick})
	e := trust.New(trust.Config{Anchors: store{in: []*x509.Certificate{root.Cert}}, Revocation: checker, Clock: tick})
	q := incoming(leaf.Cert)
	for i, want := range []bool{false, true} {
		if d := decide(t, e, q); !d.OK() || d.Cached != want || len(d.Revocation) != 1 {
			t.Fatalf("decision %d: %+v", i, d)
		}
	}
	if w.count() != 1 {
		t.Errorf("%d requests for two decisions", w.count())
	}
	if n, err := checker.Refresh(context.Background()); n != 0 || err != nil {
		t.Errorf("refreshed %d lists long before they were due: %v", n, err)
	}
	w.put("/l.crl", root.List(t, []*x509.Certificate{leaf.Cert}, testpki.ListDates(0, 12)))
	now = atNow.AddDate(0, 0, 5).Add(13 * time.Hour) // within a tenth of the first list's week of its end
	if n, err := checker.Refresh(context.Background()); n != 1 || err != nil {
		t.Fatalf("refreshed %d: %v", n, err)
	}
	q.Time = now
	if d := decide(t, e, q); d.Reason != trust.Revoked {
		t.Fatalf("after the new list: %+v", d)
	}
}
