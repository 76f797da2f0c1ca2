package trust_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/lab/daemon"
	"postern/trust"
	"postern/trust/fetch"
	"postern/trust/internal/testpki"
	"postern/trust/revoke"
)

// TestNginxServesIssuersAndLists: a web server as CAs run them. The missing issuer and both lists are fetched once;
// an unchanged list is asked for by its date and tag and not sent again; a new one ends the cached approval.
func TestNginxServesIssuersAndLists(t *testing.T) {
	folder := t.TempDir()
	url, access := daemon.Nginx(t, folder)
	put := func(name string, b []byte, dated time.Time) {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, dated, dated); err != nil {
			t.Fatal(err)
		}
	}
	root := testpki.Root(t, "Root")
	sub := root.Sub(t, "Sub", crlAt(url+"/root.crl"))
	leaf := sub.Leaf(t, "dr@clinic.example", crlAt(url+"/sub.crl"), aia(url+"/gone.cer", url+"/sub.cer"))
	put("sub.cer", sub.Cert.Raw, atNow)
	put("root.crl", root.List(t, nil), atNow)
	put("sub.crl", sub.List(t, nil), atNow)

	now := atNow
	at := func() time.Time { return now }
	lists := revoke.New(revoke.Config{Fetcher: fetcher(), Clock: at})
	s := store{in: []*x509.Certificate{root.Cert}}
	e := trust.New(trust.Config{Anchors: s, Settings: s, Fetcher: fetcher(), Revocation: lists, Clock: at})
	ask := func(want trust.Reason) trust.Decision {
		t.Helper()
		q := incoming(leaf.Cert)
		q.Time = now
		d := decide(t, e, q)
		if d.Reason != want {
			t.Fatalf("%q (%s), want %q", d.Reason, d.Detail, want)
		}
		return d
	}
	if d := ask(""); len(d.Revocation) != 2 || d.SoftFailed || len(d.Chain) != 3 {
		t.Errorf("%+v", d)
	}
	if d := ask(""); !d.Cached {
		t.Error("asked again")
	}
	now = atNow.Add(revoke.ListAge + time.Minute)
	if n, err := lists.Refresh(t.Context()); n != 0 || err != nil {
		t.Errorf("replaced %d, %v", n, err)
	}
	ask("")
	now = now.Add(revoke.ListAge + time.Minute)
	put("sub.crl", sub.List(t, []*x509.Certificate{leaf.Cert}, testpki.ListDates(0, 6)), atNow.Add(time.Hour))
	if n, err := lists.Refresh(t.Context()); n != 1 || err != nil {
		t.Errorf("replaced %d, %v", n, err)
	}
	ask(trust.Revoked)
	// The server writes its log after the answer; with one process, what it answers after has been written before.
	if _, err := fetcher().Get(t.Context(), fetch.Request{URL: url + "/last"}); err == nil {
		t.Error("a page that is not there")
	}

	log, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	// An issuer is fetched again after a day, and 24 hours and two minutes have gone.
	want := map[string]int{"404 /gone.cer": 2, "200 /sub.cer": 2, "200 /root.crl": 1, "200 /sub.crl": 2, "304 /root.crl": 2, "304 /sub.crl": 1}
	got := map[string]int{}
	for line := range strings.Lines(string(log)) {
		got[strings.TrimSpace(line)]++
	}
	for line, n := range want {
		if got[line] != n {
			t.Errorf("%s: %d times, want %d", line, got[line], n)
		}
		delete(got, line)
	}
	delete(got, "404 /last")
	if len(got) != 0 {
		t.Errorf("asked besides: %v", got)
	}
}
