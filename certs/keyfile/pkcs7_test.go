package keyfile_test

import (
	"bytes"
	"crypto/x509"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/lab/peer"
	"postern/smime/addr"
)

// What is written as PKCS#7 is read back in its order, and by OpenSSL.
func TestPKCS7IsReadBack(t *testing.T) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(issue.LeafOptions{Domain: addr.MustDomain("direct.clinic.example"), Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	list := []*x509.Certificate{leaf.Cert, ca.Cert}
	der, err := keyfile.WritePKCS7(list)
	if err != nil {
		t.Fatal(err)
	}
	got, err := keyfile.Parse(der, "")
	if err != nil || len(got.Credentials) != 0 || !slices.EqualFunc(got.Others, list, (*x509.Certificate).Equal) {
		t.Errorf("read back: %d certificates, %v", len(got.Others), err)
	}
	peer.Need(t, "openssl")
	cmd := exec.CommandContext(t.Context(), "openssl", "pkcs7", "-inform", "DER", "-print_certs")
	cmd.Stdin = bytes.NewReader(der)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("openssl: %v\n%s", err, out)
	}
}

func TestPKCS7OfNothing(t *testing.T) {
	if _, err := keyfile.WritePKCS7(nil); err == nil || !strings.Contains(err.Error(), "0 certificates") {
		t.Errorf("%v", err)
	}
	if _, err := keyfile.WritePKCS7(make([]*x509.Certificate, keyfile.MaxCerts+1)); err == nil {
		t.Error("more than fit are written")
	}
}
