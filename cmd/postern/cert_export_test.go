package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"postern/certs/keyfile"
	"postern/gateway/lab/peer"
)

// A certificate leaves in each form, others read it, and its key leaves only where that was said.
func TestCertExportForms(t *testing.T) {
	peer.Need(t, "openssl")
	t.Chdir(t.TempDir())
	write(t, "pw", "a long password\n")
	write(t, "short", "abc\n")
	const c = " -c site/postern.toml"
	commandLine{"init site --domain direct.clinic.example --listen 127.0.0.1 --base-port 29100", exitDone, "", ""}.invoke(t)
	id := strings.Fields(commandLine{"cert list" + c, exitDone, "", ""}.invoke(t))[0]
	x := "cert export " + id + c
	invokeAll(t, []commandLine{
		{x, exitDone, "BEGIN CERTIFICATE", ""},
		{x + " --format der --out our.der", exitDone, "", ""},
		{x + " --format p7b --out our.p7b", exitDone, "", ""},
		{x + " --with-private-key --out our.pem", exitDone, "", ""},
		{x + " --with-private-key --format p12 --password-file pw --out our.p12", exitDone, "", ""},
		{x + " --format jks", exitUsage, "", "pem, der, p7b or p12"},
		{x + " --format p12 --password-file pw", exitUsage, "", "--with-private-key"},
		{x + " --format p12 --with-private-key", exitUsage, "", "--password-file"},
		{x + " --format p12 --with-private-key --password-file short", exitUsage, "", "8 characters"},
		{x + " --format p12 --with-private-key --password-file nowhere", exitRefused, "", "nowhere"},
		{x + " --format p12 --with-private-key --password-prompt", exitUsage, "", "needs a terminal"},
		{x + " --format der --with-private-key", exitUsage, "", "no private key"},
		{x + " --password-file pw", exitUsage, "", "only p12"},
		{x + " --out nowhere/our.pem", exitRefused, "", "nowhere"},
		{"cert export ffffffffffff" + c, exitRefused, "", "postern cert list"},
		{"audit list --json" + c, exitDone, `"format":"p12"`, ""},
	})
	der := exported(t, "our.der")
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p12, err := keyfile.Parse(exported(t, "our.p12"), "a long password")
	if err != nil || len(p12.Credentials) != 1 || !p12.Credentials[0].Cert.Equal(crt) {
		t.Errorf("p12 read back: %+v %v", p12, err)
	}
	write(t, "old.pem", "everybody reads this, and it is longer than nothing\n")
	if err := errors.Join(os.Chmod("old.pem", 0o644), os.Symlink("old.pem", "link.pem")); err != nil {
		t.Fatal(err)
	}
	commandLine{x + " --with-private-key --out link.pem", exitDone, "", ""}.invoke(t)
	if b := exported(t, "old.pem"); !bytes.Equal(b, exported(t, "our.pem")) {
		t.Errorf("through a link: %.80q", b)
	}
	for _, l := range []struct{ what, args, says string }{
		{"der", "x509 -inform DER -in our.der -noout -ext subjectAltName", "direct.clinic.example"},
		{"p7b", "pkcs7 -inform DER -in our.p7b -print_certs -noout", "subject"},
		{"p12", "pkcs12 -in our.p12 -info -noout -passin file:pw", "AES-256-CBC"},
		{"key in PEM", "pkey -in our.pem -noout -check", "valid"},
	} {
		out, err := exec.CommandContext(t.Context(), "openssl", strings.Fields(l.args)...).CombinedOutput()
		if err != nil || !bytes.Contains(bytes.ToLower(out), bytes.ToLower([]byte(l.says))) {
			t.Errorf("openssl %s: %v\n%s", l.what, err, out)
		}
	}
}

// exported is a file that only its owner can read.
func exported(t *testing.T, name string) []byte {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v %v", name, st, err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
