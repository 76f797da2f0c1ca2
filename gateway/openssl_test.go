package gateway_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/lab/peer"
	"postern/gateway/store"
)

// OpenSSL checks our signing request and wraps its answer and a bundle as PKCS#7; we read both.
func TestOpenSSLAndOurRequestsAndBundles(t *testing.T) {
	peer.Need(t, "openssl")
	w := newWorld(t, "")
	dir := t.TempDir()
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(w.ctx, "openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	file := func(name, kind string, ders ...[]byte) string {
		t.Helper()
		var text []byte
		for _, der := range ders {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		w.ok(os.WriteFile(path, text, 0o600))
		return path
	}
	q, err := w.clinic.Admin().CertRequest(w.ctx, gateway.RequestArg{Domain: w.clinic.Domain})
	w.ok(err)
	if out := openssl("req", "-in", file("request.pem", "CERTIFICATE REQUEST", q.Request), "-verify", "-noout", "-text"); !strings.Contains(out, "DNS:clinic.example") ||
		!strings.Contains(out, "E-mail Protection") {
		t.Errorf("OpenSSL reads the request as\n%s", out)
	}
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Real CA", Algorithm: issue.P256, Now: w.Clock.Now()})
	w.ok(err)
	leaf, err := ca.FromRequest(q.Request, issue.LeafOptions{Domain: w.clinic.Domain, Now: w.Clock.Now()})
	w.ok(err)
	answer := filepath.Join(dir, "answer.p7b")
	openssl("crl2pkcs7", "-nocrl", "-certfile", file("answer.pem", "CERTIFICATE", leaf.Raw, ca.Cert.Raw), "-outform", "DER", "-out", answer)
	octets, err := os.ReadFile(answer)
	w.ok(err)
	got, err := importing(w, map[string][]byte{"answer.p7b": octets}, "")
	if err != nil || len(got) != 1 || got[0].Request != q.ID {
		t.Errorf("the answer as PKCS#7: %+v %v", got, err)
	}
	block, _ := pem.Decode(w.hospital.Anchor)
	published := filepath.Join(dir, "community.p7b")
	openssl("crl2pkcs7", "-nocrl", "-certfile", file("community.pem", "CERTIFICATE", block.Bytes, ca.Cert.Raw), "-outform", "DER", "-out", published)
	octets, err = os.ReadFile(published)
	w.ok(err)
	w.forgetAnchors(w.clinic)
	added, err := w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community"}, octets)
	if err != nil || added.Bundle.Anchors != 2 {
		t.Fatalf("%+v %v", added, err)
	}
	_, err = w.clinic.Admin().BundleSubscribe(w.ctx, gateway.SubscribeArg{Subscription: store.Subscription{Domain: w.clinic.Domain, Bundle: "community", Incoming: true, Outgoing: true}})
	w.ok(err)
	if got := w.reaches(); got != "filed" {
		t.Errorf("by OpenSSL's bundle: %s", got)
	}
}
