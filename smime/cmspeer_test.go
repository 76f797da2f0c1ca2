package smime_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/peer"
	"postern/smime/cms"
	"postern/smime/part"
)

// tool is a peer that knows CMS but no mail: MIME is put around its work here.
type tool interface {
	sign(t *testing.T, j job, content []byte) ([]byte, error)
	verify(t *testing.T, j job, signature, content []byte) error
	encrypt(t *testing.T, j job, entity []byte) ([]byte, error)
	decrypt(t *testing.T, j job, der []byte) ([]byte, error)
}

// cmsPeer makes a program of a tool.
type cmsPeer struct {
	label string
	tool
	setup func(t testing.TB) tool
}

func (p *cmsPeer) name() string         { return p.label }
func (p *cmsPeer) prepare(t *testing.T) { p.tool = p.setup(t) }

func (p *cmsPeer) seal(t *testing.T, j job) ([]byte, error) {
	content := j.signed()
	sig, err := p.sign(t, j, content)
	if err != nil {
		return nil, err
	}
	entity := multipartAs(content, sig, `multipart/signed; protocol="application/pkcs7-signature"; boundary=b0`, "application/pkcs7-signature")
	if j.opaque {
		entity = mailAs(sig, "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n")
	}
	der, err := p.encrypt(t, j, entity)
	if err != nil {
		return nil, err
	}
	return mail(der), nil
}

func (p *cmsPeer) open(t *testing.T, j job, msg []byte) ([]byte, error) {
	src := bytes.NewReader(msg)
	root, err := part.Parse(src, int64(len(msg)), part.Limits{})
	if err != nil {
		return nil, err
	}
	der, err := io.ReadAll(root.Open(src))
	if err != nil {
		return nil, err
	}
	entity, err := p.decrypt(t, j, der)
	if err != nil {
		return nil, err
	}
	src = bytes.NewReader(entity)
	if root, err = part.Parse(src, int64(len(entity)), part.Limits{}); err != nil {
		return nil, err
	}
	if len(root.Children) != 2 {
		return nil, fmt.Errorf("decrypted to %d parts", len(root.Children))
	}
	c := root.Children[0]
	content := entity[c.Start : c.Offset+c.Length]
	sig, err := io.ReadAll(root.Children[1].Open(src))
	if err != nil {
		return nil, err
	}
	return content, p.verify(t, j, sig, content)
}

// nick is a name without blanks for p.
func (p person) nick() string { return strings.ReplaceAll(p.cert.Subject.CommonName, " ", "-") }

// pkcs12 writes p as PKCS#12 with the password "secret" and its nick as friendly name.
func (p person) pkcs12(t *testing.T) string {
	t.Helper()
	cert, key := p.files(t)
	out := filepath.Join(t.TempDir(), "p.p12")
	if _, err := run(t, nil, nil, peer.Need(t, "openssl"), "pkcs12", "-export", "-legacy", "-in", cert, "-inkey", key, "-name", p.nick(), "-passout", "pass:secret", "-out", out); err != nil {
		t.Fatal(err)
	}
	return out
}

func isRSA(kind string) bool { return strings.HasPrefix(kind, "rsa") }

// ---- GnuPG

type gpgsm struct {
	bin, home string
	known     map[string]bool
}

func newGPGSM(t testing.TB) tool {
	g := &gpgsm{bin: peer.Need(t, "gpgsm"), known: map[string]bool{}}
	home, err := os.MkdirTemp("/tmp", "g") // its socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	g.home = home
	gpgconf := peer.Need(t, "gpgconf")
	t.Cleanup(func() {
		_, _ = run(t, nil, nil, gpgconf, "--homedir", home, "--kill", "all")
		os.RemoveAll(home)
	})
	write(t, filepath.Join(home, "gpgsm.conf"), []byte("disable-crl-checks\ndisable-dirmngr\n"))
	return g
}

func (g *gpgsm) run(t *testing.T, stdin []byte, args ...string) ([]byte, error) {
	base := []string{"--homedir", g.home, "--batch", "--yes", "--no-tty", "--pinentry-mode", "loopback", "--passphrase-fd", "0"}
	return run(t, nil, append([]byte("secret\n"), stdin...), g.bin, append(base, args...)...)
}

// learn imports a person's certificate and key.
func (g *gpgsm) learn(t *testing.T, p person) error {
	if g.known[p.nick()] {
		return nil
	}
	trust, err := os.OpenFile(filepath.Join(g.home, "trustlist.txt"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	fmt.Fprintf(trust, "%X S relax\n", sum(crypto.SHA1, authority(t).cert.Raw))
	trust.Close()
	if _, err := g.run(t, nil, "--import", g.file(t, pemOf(authority(t).cert))); err != nil {
		return err
	}
	if _, err := g.run(t, nil, "--import", p.pkcs12(t)); err != nil {
		return err
	}
	g.known[p.nick()] = true
	return nil
}

func (g *gpgsm) ready(t *testing.T, j job, people ...person) error {
	if !isRSA(j.signer) || !isRSA(j.recipient) {
		return cannot("imports RSA keys only")
	}
	for _, p := range people {
		if err := g.learn(t, p); err != nil {
			return err
		}
	}
	return nil
}

func (g *gpgsm) file(t *testing.T, b []byte) string {
	name := filepath.Join(t.TempDir(), "f")
	write(t, name, b)
	return name
}

func (g *gpgsm) sign(t *testing.T, j job, content []byte) ([]byte, error) {
	if j.pss {
		return nil, cannot("no RSA-PSS signing")
	}
	if err := g.ready(t, j, j.from); err != nil {
		return nil, err
	}
	how := "--detach-sign"
	if j.opaque {
		how = "--sign"
	}
	return g.run(t, nil, "-u", g.id(j.from), "--digest-algo", strings.ToUpper(strings.ReplaceAll(digestName(j), "-", "")), how, g.file(t, content))
}

func (g *gpgsm) id(p person) string { return fmt.Sprintf("%X", sum(crypto.SHA1, p.cert.Raw)) }

func (g *gpgsm) verify(t *testing.T, j job, sig, content []byte) error {
	if err := g.ready(t, j, j.from); err != nil {
		return err
	}
	_, err := g.run(t, nil, "--verify", g.file(t, sig), g.file(t, content))
	return err
}

func (g *gpgsm) encrypt(t *testing.T, j job, entity []byte) ([]byte, error) {
	switch {
	case j.transport != cms.PKCS1v15:
		return nil, cannot("no OAEP")
	case j.cipher == cms.AES128GCM || j.cipher == cms.AES256GCM:
		return nil, cannot("no GCM")
	case j.second:
		return nil, cannot("imports RSA keys only")
	}
	if err := g.ready(t, j, j.to); err != nil {
		return nil, err
	}
	name := map[cms.Cipher]string{cms.CipherDefault: "AES256", cms.AES256CBC: "AES256", cms.AES192CBC: "AES192", cms.AES128CBC: "AES"}[j.cipher]
	return g.run(t, nil, "-r", g.id(j.to), "--cipher-algo", name, "--encrypt", g.file(t, entity))
}

func (g *gpgsm) decrypt(t *testing.T, j job, der []byte) ([]byte, error) {
	switch {
	case j.transport != cms.PKCS1v15 && isRSA(j.recipient):
		return nil, cannot("no OAEP")
	case j.cipher == cms.AES128GCM || j.cipher == cms.AES256GCM:
		return nil, cannot("no GCM")
	}
	if err := g.ready(t, j, j.to); err != nil {
		return nil, err
	}
	return g.run(t, nil, "--decrypt", g.file(t, der))
}

// ---- NSS

type nss struct {
	cmsutil, certutil, pk12util, db string
	known                           map[string]bool
}

func newNSS(t testing.TB) tool {
	n := &nss{cmsutil: peer.Need(t, "cmsutil"), certutil: peer.Need(t, "certutil"), pk12util: peer.Need(t, "pk12util"), db: "sql:" + t.TempDir(), known: map[string]bool{}}
	if _, err := run(t, nil, nil, n.certutil, "-N", "-d", n.db, "--empty-password"); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, nil, nil, n.certutil, "-A", "-d", n.db, "-n", "authority", "-t", "CT,CT,CT", "-a", "-i", n.file(t, pemOf(authority(t).cert))); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *nss) learn(t *testing.T, people ...person) error {
	for _, p := range people {
		if n.known[p.nick()] {
			continue
		}
		if _, err := run(t, nil, nil, n.pk12util, "-d", n.db, "-i", p.pkcs12(t), "-W", "secret"); err != nil {
			return err
		}
		n.known[p.nick()] = true
	}
	return nil
}

func (n *nss) kinds(j job) error {
	switch {
	case j.signer == "ed25519":
		return cannot("no Ed25519")
	case j.recipient == "x25519":
		return cannot("no X25519")
	case !isRSA(j.recipient) || j.second:
		return cannot("cmsutil has no ECDH")
	case j.cipher == cms.AES128GCM || j.cipher == cms.AES256GCM:
		return cannot("no AuthEnvelopedData")
	}
	return nil
}

func (n *nss) oaep(j job) error {
	if isRSA(j.recipient) && j.transport != cms.PKCS1v15 {
		return cannot("no OAEP")
	}
	return nil
}

func (n *nss) run(t *testing.T, args ...string) ([]byte, error) {
	out := filepath.Join(t.TempDir(), "out")
	if _, err := run(t, nil, nil, n.cmsutil, append(args, "-d", n.db, "-o", out)...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func (n *nss) file(t testing.TB, b []byte) string {
	name := filepath.Join(t.TempDir(), "f")
	write(t, name, b)
	return name
}

func (n *nss) sign(t *testing.T, j job, content []byte) ([]byte, error) {
	if j.pss {
		return nil, cannot("no RSA-PSS")
	}
	if err := n.kinds(j); err != nil {
		return nil, err
	}
	if err := n.learn(t, j.from); err != nil {
		return nil, err
	}
	args := []string{"-S", "-G", "-N", j.from.nick(), "-H", strings.ToUpper(strings.ReplaceAll(digestName(j), "-", "")), "-i", n.file(t, content)}
	if !j.opaque {
		args = append(args, "-T")
	}
	return n.run(t, args...)
}

func (n *nss) verify(t *testing.T, j job, sig, content []byte) error {
	if err := n.kinds(j); err != nil {
		return err
	}
	if err := n.learn(t, j.from); err != nil {
		return err
	}
	_, err := n.run(t, "-D", "-i", n.file(t, sig), "-c", n.file(t, content))
	return err
}

func (n *nss) encrypt(t *testing.T, j job, entity []byte) ([]byte, error) {
	if err := n.kinds(j); err != nil {
		return nil, err
	}
	switch {
	case isRSA(j.recipient) && j.transport != cms.PKCS1v15:
		return nil, cannot("no OAEP")
	case j.cipher != cms.AES128CBC && !j.opaque && j.size == 0:
		return nil, cannot("cmsutil chooses AES-128-CBC itself")
	}
	if err := n.learn(t, j.to); err != nil {
		return nil, err
	}
	return n.run(t, "-E", "-r", j.to.nick(), "-i", n.file(t, entity))
}

func (n *nss) decrypt(t *testing.T, j job, der []byte) ([]byte, error) {
	if err := errors.Join(n.kinds(j), n.oaep(j)); err != nil {
		return nil, err
	}
	if err := n.learn(t, j.to); err != nil {
		return nil, err
	}
	return n.run(t, "-D", "-i", n.file(t, der))
}

// pemOf is a certificate for tools that want text.
func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
