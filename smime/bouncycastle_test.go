package smime_test

import (
	"bufio"
	"crypto/ecdh"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/peer"
	"postern/smime/cms"
)

// bouncy is Bouncy Castle in one Java process; testdata/bouncycastle/Peer.java (CMS) and Mail.java (whole messages) are our harness, compiled here.
type bouncy struct {
	in  io.WriteCloser
	out *bufio.Scanner
	dir string
}

func newBouncy(t testing.TB) tool {
	var jars []string
	for _, j := range []string{"bcprov", "bcpkix", "bcutil", "bcmail", "javax.mail", "javax.activation"} {
		name := filepath.Join("/usr/share/java", j+".jar")
		if _, err := os.Stat(name); err != nil {
			peer.Missing(t, name+" is not installed")
		}
		jars = append(jars, name)
	}
	javac, java := peer.Need(t, "javac"), peer.Need(t, "java")
	dir := t.TempDir()
	path := strings.Join(append(jars, dir), ":")
	if _, err := run(t, nil, nil, javac, "-cp", path, "-d", dir, "testdata/bouncycastle/Peer.java", "testdata/bouncycastle/Mail.java"); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(java, "-XX:+UseSerialGC", "-cp", path, "Peer") // as a server of many: each job on one core, collector and all
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &bouncy{in: in, out: bufio.NewScanner(out), dir: dir}
}

// ask runs one job and returns what stands behind "ok".
func (b *bouncy) ask(words ...string) (string, error) {
	if _, err := io.WriteString(b.in, strings.Join(words, "\t")+"\n"); err != nil {
		return "", err
	}
	if !b.out.Scan() {
		return "", errors.New("Bouncy Castle ended")
	}
	answer, ok := strings.CutPrefix(b.out.Text(), "ok")
	if !ok {
		return "", errors.New(b.out.Text())
	}
	return strings.TrimSpace(answer), nil
}

func (b *bouncy) file(t testing.TB, data []byte) string {
	name := filepath.Join(t.TempDir(), "f")
	write(t, name, data)
	return name
}

// der is a person's certificate and PKCS#8 key as files.
func (b *bouncy) der(t testing.TB, p person) (cert, key string) {
	t.Helper()
	k := p.key
	if x, ok := k.(*ecdh.PrivateKey); ok {
		k = x
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return b.file(t, p.cert.Raw), b.file(t, der)
}

func (b *bouncy) sign(t *testing.T, j job, content []byte) ([]byte, error) {
	digest := strings.ToUpper(strings.ReplaceAll(digestName(j), "-", ""))
	name := digest + "withRSA"
	switch {
	case j.pss:
		name = digest + "withRSAandMGF1"
	case j.signer == "ed25519":
		name = "Ed25519"
	case !isRSA(j.signer):
		name = digest + "withECDSA"
	}
	cert, key := b.der(t, j.from)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := b.ask("sign", cert, key, name, fmt.Sprint(j.opaque), b.file(t, content), out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func (b *bouncy) verify(t *testing.T, _ job, sig, content []byte) error {
	_, err := b.ask("verify", b.file(t, sig), b.file(t, content))
	return err
}

func (b *bouncy) encrypt(t *testing.T, j job, entity []byte) ([]byte, error) {
	if j.recipient == "x25519" {
		return nil, cannot("1.72 has no X25519 in CMS")
	}
	cipher := map[cms.Cipher]string{cms.CipherDefault: oAES256CBC, cms.AES256CBC: oAES256CBC, cms.AES192CBC: "2.16.840.1.101.3.4.1.22",
		cms.AES128CBC: oAES128CBC, cms.AES128GCM: "2.16.840.1.101.3.4.1.6", cms.AES256GCM: oAES256GCM}[j.cipher]
	transport := map[cms.Transport]string{cms.TransportDefault: "oaep", cms.OAEPSHA256: "oaep-sha256", cms.PKCS1v15: "pkcs1"}[j.transport]
	out := filepath.Join(t.TempDir(), "out")
	words := []string{"encrypt", cipher, transport, b.file(t, entity), out}
	if j.second {
		words = append(words, b.file(t, j.other.cert.Raw))
	}
	if _, err := b.ask(append(words, b.file(t, j.to.cert.Raw))...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func (b *bouncy) decrypt(t *testing.T, j job, der []byte) ([]byte, error) {
	if j.recipient == "x25519" {
		return nil, cannot("1.72 has no X25519 in CMS")
	}
	cert, key := b.der(t, j.to)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := b.ask("decrypt", cert, key, b.file(t, der), out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
