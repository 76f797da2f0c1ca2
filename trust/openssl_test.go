package trust_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/lab/peer"
	"postern/gateway/lab/port"
	"postern/trust"
	"postern/trust/revoke"
)

// opensslCA is a certification authority run by OpenSSL in a directory of its own.
type opensslCA struct {
	t         *testing.T
	path, dir string
}

const opensslConfig = `
[ca]
default_ca = d
[d]
dir = .
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = crlnumber
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
policy = p
copy_extensions = none
unique_subject = no
[p]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[v3_ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[v3_sub]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_ocsp]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = ignored
`

func (o *opensslCA) run(args ...string) []byte {
	o.t.Helper()
	cmd := exec.Command(o.path, args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (o *opensslCA) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *opensslCA) read(name string) []byte {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.dir, name))
	if err != nil {
		o.t.Fatal(err)
	}
	return b
}

func (o *opensslCA) cert(name string) *x509.Certificate {
	o.t.Helper()
	block, _ := pem.Decode(o.read(name))
	if block == nil {
		o.t.Fatalf("%s holds no PEM", name)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// newOpenSSLCA makes the CA: key, certificate, empty database.
func newOpenSSLCA(t *testing.T) *opensslCA {
	o := &opensslCA{t: t, path: peer.Need(t, "openssl"), dir: t.TempDir()}
	o.write("ca.cnf", strings.Replace(opensslConfig, "noCheck = ignored", "1.3.6.1.5.5.7.48.1.5 = ASN1:NULL", 1))
	o.write("index.txt", "")
	o.write("serial", "01\n")
	o.write("crlnumber", "01\n")
	o.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=OpenSSL CA", "-days", "60", "-config", "ca.cnf", "-extensions", "v3_ca")
	return o
}

// issue makes a leaf with the given extension lines.
func (o *opensslCA) issue(name string, ext ...string) *x509.Certificate {
	o.t.Helper()
	o.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name+".key", "-out", name+".csr", "-subj", "/CN="+name, "-config", "ca.cnf")
	o.write(name+".ext", "keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\nauthorityKeyIdentifier=keyid\n"+strings.Join(ext, "\n")+"\n")
	o.run("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", name+".csr", "-out", name+".pem", "-extfile", name+".ext")
	return o.cert(name + ".pem")
}

func (o *opensslCA) revoke(name string) {
	o.run("ca", "-config", "ca.cnf", "-revoke", name+".pem", "-crl_reason", "keyCompromise")
}

func (o *opensslCA) list() []byte {
	o.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")
	o.run("crl", "-in", "crl.pem", "-outform", "DER", "-out", "crl.der")
	return o.read("crl.der")
}

// responder runs OpenSSL's OCSP responder until the test ends.
func (o *opensslCA) responder(port int) {
	o.t.Helper()
	o.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "r.key", "-out", "r.csr", "-subj", "/CN=responder", "-config", "ca.cnf")
	o.run("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "r.csr", "-out", "r.pem", "-extensions", "v3_ocsp")
	cmd := exec.Command(o.path, "ocsp", "-index", "index.txt", "-port", fmt.Sprint(port), "-rsigner", "r.pem", "-rkey", "r.key", "-CA", "ca.pem", "-ndays", "1", "-text")
	cmd.Dir = o.dir
	out, err := cmd.StderrPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for s := bufio.NewScanner(out); s.Scan(); {
		if strings.Contains(s.Text(), "waiting for OCSP client connections") {
			go func() { // the pipe must not fill up; ends with the process
				for s.Scan() {
				}
			}()
			return
		}
	}
	o.t.Fatal("the OpenSSL responder did not start")
}

// TestOpenSSLAuthority: certificates, lists and OCSP answers of an independent CA.
func TestOpenSSLAuthority(t *testing.T) {
	ca := newOpenSSLCA(t)
	w := newWeb(t)
	at, err := port.Free()
	if err != nil {
		t.Fatal(err)
	}
	ocspURL := "http://" + port.At(at)
	crl := "crlDistributionPoints=URI:" + w.URL + "/ca.crl"
	san := "subjectAltName=email:dr@clinic.example"
	byOCSP := "authorityInfoAccess=OCSP;URI:" + ocspURL
	goodList, badList := ca.issue("goodlist", san, crl), ca.issue("badlist", san, crl)
	goodOCSP, badOCSP := ca.issue("goodocsp", san, byOCSP), ca.issue("badocsp", san, byOCSP)
	ca.revoke("badlist")
	ca.revoke("badocsp")
	w.put("/ca.crl", ca.list())
	ca.responder(at)

	s := store{in: []*x509.Certificate{ca.cert("ca.pem")}, settings: trust.Settings{RevocationHardFail: true}}
	f := fetcher()
	e := trust.New(trust.Config{Anchors: s, Settings: s, Fetcher: f, Revocation: revoke.New(revoke.Config{Fetcher: f})})
	for name, c := range map[string]struct {
		cert *x509.Certificate
		want trust.Reason
		kind string
	}{
		"list clears":         {goodList, "", "crl"},
		"list withdraws":      {badList, trust.Revoked, "crl"},
		"responder clears":    {goodOCSP, "", "ocsp"},
		"responder withdraws": {badOCSP, trust.Revoked, "ocsp"},
	} {
		t.Run(name, func(t *testing.T) {
			q := incoming(c.cert)
			q.Time = time.Now()
			d, err := e.Evaluate(context.Background(), q)
			if err != nil || d.Reason != c.want {
				t.Fatalf("%q (%s), %v; want %q", d.Reason, d.Detail, err, c.want)
			}
			if len(d.Revocation) != 1 || d.Revocation[0].Kind != c.kind {
				t.Errorf("evidence %+v", d.Revocation)
			}
			if c.want == trust.Revoked && d.Revocation[0].Cause != "key compromise" {
				t.Errorf("cause %q", d.Revocation[0].Cause)
			}
		})
	}
}

// TestOpenSSLAgrees holds our verdict on each situation against `openssl verify`, where that program
// can be asked the same thing: it knows no address, no lookalikes and fewer limits.
func TestOpenSSLAgrees(t *testing.T) {
	path := peer.Need(t, "openssl")
	unasked := map[trust.Reason]bool{trust.WrongBinding: true, trust.NoSAN: true, trust.Limit: true, trust.NoAnchors: true, trust.CAAsLeaf: true, trust.KeyUsage: true, trust.OwnPolicy: true}
	compared := 0
	for _, c := range situations(t) {
		anchors := append(c.s.in, c.s.out...)
		if unasked[c.want] || len(anchors) == 0 || c.s.settings.Legacy || strings.Contains(c.name, "decoys") ||
			strings.Contains(c.name, "passed by") { // RFC 5280 alone has nothing against it, and OpenSSL knows no address
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := func(name string, certs ...*x509.Certificate) string {
				var b bytes.Buffer
				for _, x := range certs {
					pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: x.Raw})
				}
				p := filepath.Join(dir, name)
				if err := os.WriteFile(p, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				return p
			}
			args := []string{"verify", "-partial_chain", "-policy_check", "-no-CApath", "-no-CAstore", "-auth_level", "2", "-purpose", "smimesign", "-attime", fmt.Sprint(atNow.Unix()), "-CAfile", file("ca", anchors...)}
			if len(c.q.Extra) > 0 {
				args = append(args, "-untrusted", file("extra", c.q.Extra...))
			}
			out, err := exec.Command(path, append(args, file("leaf", c.q.Cert))...).CombinedOutput()
			if (err == nil) != (c.want == "") {
				t.Errorf("we say %q, OpenSSL: %v %s", c.want, err, out)
			}
		})
		compared++
	}
	if compared < 25 {
		t.Errorf("only %d situations compared", compared)
	}
}
