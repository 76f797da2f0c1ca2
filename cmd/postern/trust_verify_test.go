package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/peer"
)

// opensslPKI is a CA, a leaf and lists made by OpenSSL in a directory.
func opensslPKI(t *testing.T) string {
	t.Helper()
	openssl, dir := peer.Need(t, "openssl"), t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	write("c.cnf", "[ca]\ndefault_ca=d\n[d]\ndir=.\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ncertificate=ca.pem\nprivate_key=ca.key\ndefault_md=sha256\ndefault_days=30\ndefault_crl_days=7\npolicy=p\n[p]\ncommonName=supplied\n[req]\ndistinguished_name=dn\n[dn]\n[v3]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n")
	write("index.txt", "")
	write("serial", "01\n")
	write("leaf.ext", "subjectAltName=email:dr@clinic.example\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\ncrlDistributionPoints=URI:http://127.0.0.1:1024/none.crl\n")
	write("enc.ext", "subjectAltName=email:dr@clinic.example\nkeyUsage=critical,keyAgreement\nextendedKeyUsage=emailProtection\n")
	key := []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "c.cnf"}
	run(append([]string{"req", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "60", "-extensions", "v3"}, key...)...)
	for _, n := range []string{"leaf", "enc"} {
		run(append([]string{"req", "-keyout", n + ".key", "-out", n + ".csr", "-subj", "/CN=Dr " + n}, key...)...)
		run("ca", "-batch", "-notext", "-config", "c.cnf", "-in", n+".csr", "-out", n+".pem", "-extfile", n+".ext")
	}
	run("ca", "-config", "c.cnf", "-gencrl", "-out", "good.crl")
	run("ca", "-config", "c.cnf", "-revoke", "leaf.pem")
	run("ca", "-config", "c.cnf", "-gencrl", "-out", "bad.crl")
	run("crl2pkcs7", "-nocrl", "-certfile", "ca.pem", "-outform", "DER", "-out", "ca.p7b")
	return dir
}

func TestTrustVerify(t *testing.T) {
	dir := opensslPKI(t)
	cases := []struct {
		name string
		args string // file names stand for files of the directory
		code int
		word string // on standard output, or on standard error when the code is 2
	}{
		{"path alone", "--anchor ca.pem leaf.pem", exitDone, "TRUSTED: Dr leaf"},
		{"anchor in a bundle, bound to the address", "--anchor ca.p7b --address DR@clinic.example leaf.pem", exitDone, "by address"},
		{"operand first", "leaf.pem --anchor ca.pem", exitDone, "TRUSTED"},
		{"an encryption certificate, no use named", "--anchor ca.pem enc.pem", exitDone, "TRUSTED"},
		{"an encryption certificate to sign", "--anchor ca.pem --use sign enc.pem", exitRefused, "key_usage"},
		{"list clears", "--anchor ca.pem --crl good.crl --hard-fail leaf.pem", exitDone, "not in the list"},
		{"list withdraws", "--anchor ca.pem --crl bad.crl leaf.pem", exitRefused, "revoked"},
		{"not on any list, hard", "--anchor ca.pem --hard-fail leaf.pem", exitNotYet, "revocation_unknown"},
		{"nobody listens, hard", "--anchor ca.pem --hard-fail --online --allow 127.0.0.0/8 leaf.pem", exitNotYet, "unreachable"},
		{"nobody listens, soft", "--anchor ca.pem --online --allow 127.0.0.0/8 leaf.pem", exitDone, "accepted, as this domain's setting says"},
		{"wrong address", "--anchor ca.pem --address nurse@clinic.example leaf.pem", exitRefused, "wrong_binding"},
		{"other anchor", "--anchor enc.pem leaf.pem", exitRefused, "untrusted"},
		{"long ago", "--anchor ca.pem --at 2001-01-01 leaf.pem", exitRefused, "not_yet_valid"},
		{"no anchor", "leaf.pem", exitUsage, "--anchor"},
		{"no certificate", "--anchor ca.pem", exitUsage, "one CERT"},
		{"odd time", "--anchor ca.pem --at yesterday leaf.pem", exitUsage, "2026-06-01"},
		{"odd range", "--anchor ca.pem --online --allow office leaf.pem", exitUsage, "range"},
		{"odd use", "--anchor ca.pem --use both leaf.pem", exitUsage, "sign or encrypt"},
		{"a list as a certificate", "--anchor ca.pem good.crl", exitRefused, ""},
		{"a certificate as a list", "--anchor ca.pem --crl ca.p7b leaf.pem", exitRefused, ""},
		{"a file that is not there", "--anchor ca.pem absent.pem", exitRefused, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := verify(t, dir, c.args)
			if code != c.code {
				t.Fatalf("exit %d, want %d\n%s%s", code, c.code, out, errs)
			}
			text := out
			if code == exitUsage {
				text = errs
			}
			if !strings.Contains(text, c.word) {
				t.Errorf("does not say %q:\n%s%s", c.word, out, errs)
			}
			if code == exitRefused && out == "" && len(errs) < 40 {
				t.Errorf("failed without a word: %q", errs)
			}
		})
	}
}

func verify(t *testing.T, dir, line string) (code int, out, errs string) {
	t.Helper()
	args := []string{"trust", "verify"}
	for _, a := range strings.Fields(line) {
		if strings.HasSuffix(a, ".pem") || strings.HasSuffix(a, ".crl") || strings.HasSuffix(a, ".p7b") {
			a = filepath.Join(dir, a)
		}
		args = append(args, a)
	}
	var o, e bytes.Buffer
	code = run(context.Background(), &console{in: strings.NewReader(""), out: &o, err: &e, env: func(string) string { return "" }}, args)
	return code, o.String(), e.String()
}

func TestTrustVerifyJSON(t *testing.T) {
	dir := opensslPKI(t)
	for line, want := range map[string]bool{"--json --anchor ca.pem leaf.pem": true, "--json --anchor ca.pem --crl bad.crl leaf.pem": false} {
		_, out, errs := verify(t, dir, line)
		var a verifyAnswer
		if err := json.Unmarshal([]byte(out), &a); err != nil || errs != "" {
			t.Fatalf("%s: %v %s", line, err, errs)
		}
		if a.V != 1 || a.Trusted != want || (a.Reason == "") != want || a.Trace.Format != 1 || len(a.Trace.Steps) < 5 {
			t.Errorf("%s: %s", line, out)
		}
		if want && (len(a.Chain) != 2 || a.Chain[1] != "Test CA") {
			t.Errorf("chain %v", a.Chain)
		}
		if !want && (len(a.Revocation) != 1 || a.Revocation[0].Kind != "crl") {
			t.Errorf("evidence %+v", a.Revocation)
		}
	}
}
