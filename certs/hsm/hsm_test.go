//go:build pkcs11 && cgo

package hsm_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/hsm"
	"postern/certs/issue"
	"postern/gateway/lab/peer"
	"postern/smime"
	"postern/smime/addr"
	"postern/smime/cms"
)

// token is a SoftHSM token with the keys of these credentials in it.
func token(t *testing.T, creds ...certs.Credential) *hsm.Device {
	t.Helper()
	util := peer.Need(t, "softhsm2-util")
	module := ""
	for _, m := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"} {
		if _, err := os.Stat(m); err == nil && module == "" {
			module = m
		}
	}
	if module == "" {
		peer.Missing(t, "libsofthsm2.so is not installed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", filepath.Join(dir, "tokens")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(util, args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %v: %v: %s", args, err, out)
		}
	}
	run("--init-token", "--free", "--label", "postern", "--so-pin", "12345678", "--pin", "1234")
	for i, c := range creds {
		der, err := x509.MarshalPKCS8PrivateKey(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "key.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		run("--import", file, "--token", "postern", "--pin", "1234", "--label", fmt.Sprint("key", i), "--id", fmt.Sprintf("%02x", i+1))
	}
	d, err := hsm.Open(hsm.Config{Module: module, Token: "postern", PIN: "1234"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func leaf(t *testing.T, address string, kind issue.Algorithm) certs.Credential {
	t.Helper()
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse(address), Algorithm: kind, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const letter = "From: ada@hospital.example\r\nTo: ben@clinic.example\r\n\r\nhello\r\n"

func TestSealAndOpenWithKeysInADevice(t *testing.T) {
	signRSA, signEC, open := leaf(t, "ada@hospital.example", issue.RSA2048), leaf(t, "ada@hospital.example", issue.P256), leaf(t, "ben@clinic.example", issue.RSA2048)
	d := token(t, signRSA, signEC, open)
	inDevice, err := d.Credential(open.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !inDevice.CanDecrypt() || !inDevice.CanSign() {
		t.Error("the RSA key in the device cannot do what it should")
	}
	for _, from := range []certs.Credential{signRSA, signEC} {
		signer, err := d.Credential(from.Cert, nil)
		if err != nil {
			t.Fatal(err)
		}
		if from.Cert == signEC.Cert && signer.CanDecrypt() {
			t.Error("the elliptic-curve key in the device claims to decrypt")
		}
		for _, transport := range []cms.Transport{cms.OAEP, cms.PKCS1v15} {
			var sealed bytes.Buffer
			if _, err := smime.Seal(&sealed, io.NewSectionReader(bytes.NewReader([]byte(letter)), 0, int64(len(letter))), smime.SealOptions{
				Signer: smime.Identity{Cert: signer.Cert, Key: signer.Key.(crypto.Signer)}, Now: time.Now(),
				Recipients: []smime.Recipient{{Cert: open.Cert, Transport: transport}}}); err != nil {
				t.Fatal(err)
			}
			got, err := smime.Open(&sealed, smime.OpenOptions{Keys: []smime.Key{{Cert: inDevice.Cert, Private: inDevice.Key}}})
			if err != nil {
				t.Fatalf("%s: %v", transport, err)
			}
			inner, err := io.ReadAll(io.NewSectionReader(got.Inner, 0, got.Inner.Size()))
			if err != nil || string(inner) != letter {
				t.Errorf("%s: %q, %v", transport, inner, err)
			}
			got.Close()
		}
	}
}

func TestAKeyThatIsNotInTheDevice(t *testing.T) {
	d := token(t, leaf(t, "ada@hospital.example", issue.RSA2048))
	if _, err := d.Credential(leaf(t, "ben@clinic.example", issue.RSA2048).Cert, nil); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("got %v", err)
	}
}

// Every failure of PKCS#1 v1.5 in the device is a random key, new each time.
func TestFailuresGiveARandomKey(t *testing.T) {
	c := leaf(t, "ada@hospital.example", issue.RSA2048)
	d := token(t, c)
	in, err := d.Credential(c.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	pub := c.Cert.PublicKey.(*rsa.PublicKey)
	//lint:ignore SA1019 what is tested
	short, err := rsa.EncryptPKCS1v15(rand.Reader, pub, []byte("sixteen octets!!"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(short)
	damaged[100] ^= 1
	for name, msg := range map[string][]byte{"damaged": damaged, "of another length": short, "not an RSA value": {1, 2, 3}, "empty": {}} {
		var last []byte
		for range 2 {
			//lint:ignore SA1019 what is tested
			key, err := in.Key.(crypto.Decrypter).Decrypt(rand.Reader, msg, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 32})
			if err != nil || len(key) != 32 || bytes.Equal(key, last) {
				t.Errorf("%s: %x, %v", name, key, err)
			}
			last = key
		}
	}
	//lint:ignore SA1019 what is tested
	if key, err := in.Key.(crypto.Decrypter).Decrypt(rand.Reader, short, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 16}); err != nil || string(key) != "sixteen octets!!" {
		t.Errorf("a good one: %q, %v", key, err)
	}
	if _, err := in.Key.(crypto.Decrypter).Decrypt(rand.Reader, short, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA1}); err == nil {
		t.Error("two hashes in OAEP were accepted")
	}
}

// TestADeviceThatIsAway: what came meanwhile waits, and is not judged.
func TestADeviceThatIsAway(t *testing.T) {
	c := leaf(t, "ada@hospital.example", issue.RSA2048)
	d := token(t, c)
	in, err := d.Credential(c.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	if _, err := smime.Seal(&sealed, io.NewSectionReader(bytes.NewReader([]byte(letter)), 0, int64(len(letter))), smime.SealOptions{Signer: smime.Identity{Cert: c.Cert, Key: c.Key.(crypto.Signer)},
		Recipients: []smime.Recipient{{Cert: c.Cert, Transport: cms.PKCS1v15}}}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = smime.Open(&sealed, smime.OpenOptions{Keys: []smime.Key{{Cert: in.Cert, Private: in.Key}}})
	var refusal *smime.Error
	if !errors.As(err, &refusal) || refusal.Reason != cms.ReasonBusy {
		t.Errorf("got %v", err)
	}
}
