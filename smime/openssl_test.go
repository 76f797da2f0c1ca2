package smime_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/gateway/lab/peer"
	"postern/smime"
	"postern/smime/cms"
)

// openSSL is the OpenSSL command line tool.
type openSSL struct{ bin string }

func (o *openSSL) name() string         { return "OpenSSL" }
func (o *openSSL) prepare(t *testing.T) { o.bin = peer.Need(t, "openssl") }

func (o *openSSL) run(t *testing.T, args ...string) ([]byte, error) {
	return run(t, nil, nil, o.bin, args...)
}

func (o *openSSL) seal(t *testing.T, j job) ([]byte, error) {
	switch {
	case j.recipient == "x25519":
		return nil, cannot("no X25519 in CMS")
	case j.signer == "ed25519":
		return nil, cannot("no Ed25519 in CMS")
	}
	dir := t.TempDir()
	in, mid, out := filepath.Join(dir, "in"), filepath.Join(dir, "signed"), filepath.Join(dir, "out")
	write(t, in, j.signed())
	cert, key := j.from.files(t)
	to, _ := j.to.files(t)
	other, _ := j.other.files(t)
	digest := strings.ReplaceAll(digestName(j), "-", "")
	sign := []string{"cms", "-sign", "-binary", "-crlfeol", "-md", digest, "-in", in, "-signer", cert, "-inkey", key, "-out", mid}
	if j.opaque {
		sign = append(sign, "-nodetach")
	}
	if j.pss {
		sign = append(sign, "-keyopt", "rsa_padding_mode:pss")
	}
	if _, err := o.run(t, sign...); err != nil {
		return nil, err
	}
	encrypt := []string{"cms", "-encrypt", "-binary", "-crlfeol", "-" + j.cipher.String(), "-in", mid, "-out", out}
	if j.second {
		encrypt = append(encrypt, "-recip", other)
	}
	encrypt = append(encrypt, "-recip", to)
	if strings.HasPrefix(j.recipient, "rsa") {
		switch j.transport {
		case cms.TransportDefault:
			encrypt = append(encrypt, "-keyopt", "rsa_padding_mode:oaep")
		case cms.OAEPSHA256:
			encrypt = append(encrypt, "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
		}
	}
	if _, err := o.run(t, encrypt...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func (o *openSSL) open(t *testing.T, j job, msg []byte) ([]byte, error) {
	switch {
	case j.recipient == "x25519":
		return nil, cannot("no X25519 in CMS")
	case j.signer == "ed25519":
		return nil, cannot("no Ed25519 in CMS")
	}
	dir := t.TempDir()
	in, mid, out := filepath.Join(dir, "in"), filepath.Join(dir, "signed"), filepath.Join(dir, "out")
	write(t, in, msg)
	cert, key := j.to.files(t)
	anchor := filepath.Join(dir, "anchor")
	write(t, anchor, pemOf(authority(t).cert))
	if _, err := o.run(t, "cms", "-decrypt", "-in", in, "-recip", cert, "-inkey", key, "-out", mid); err != nil {
		return nil, err
	}
	if _, err := o.run(t, "cms", "-verify", "-CAfile", anchor, "-in", mid, "-out", out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func digestName(j job) string {
	if j.digest == 0 {
		return "sha256"
	}
	return strings.ToLower(j.digest.String())
}

// OpenSSL signs the CRLF form and, without -crlfeol, writes bare LF that nothing puts right before
// encryption when a script passes the text through a Unix tool.
func TestOpenSSLWithBareLineFeedsIsOpenedInTheFormThatWasSigned(t *testing.T) {
	o := &openSSL{}
	o.prepare(t)
	j := newJob(t, row{signer: "rsa2048", recipient: "rsa2048"})
	dir := t.TempDir()
	in, mid, out := filepath.Join(dir, "in"), filepath.Join(dir, "signed"), filepath.Join(dir, "out")
	write(t, in, bytes.ReplaceAll(j.signed(), []byte("\r\n"), []byte("\n"))) // as a Unix editor leaves it
	cert, key := j.from.files(t)
	to, _ := j.to.files(t)
	if _, err := o.run(t, "cms", "-sign", "-in", in, "-signer", cert, "-inkey", key, "-out", mid); err != nil {
		t.Fatal(err)
	}
	signed, err := os.ReadFile(mid)
	if err != nil {
		t.Fatal(err)
	}
	write(t, mid, bytes.ReplaceAll(signed, []byte("\r\n"), []byte("\n")))
	if _, err := o.run(t, "cms", "-encrypt", "-binary", "-aes-256-cbc", "-in", mid, "-out", out, to); err != nil {
		t.Fatal(err)
	}
	msg, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{j.to.decrypt()}})
	if !bytes.Equal(all(t, got.Inner), j.inner) {
		t.Errorf("inner message is %q", all(t, got.Inner))
	}
	hasLeniency(t, got.Report, smime.LenientLineEnds)
	hasLeniency(t, got.Report, smime.LenientPKCS1)
}

func hasLeniency(t *testing.T, r smime.Report, want smime.Leniency) {
	t.Helper()
	for _, l := range r.Leniencies {
		if l == want {
			return
		}
	}
	t.Errorf("receipt does not name leniency %s: %v", want, r.Leniencies)
}
