package smime_test

import (
	"path/filepath"
	"testing"

	"postern/gateway/lab/peer"
	"postern/smime"
)

// RSA-PSS with salts of every length that OpenSSL writes, none at all included.
func TestSaltLengths(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	cert, key := from.files(t)
	toCert, _ := to.files(t)
	in := filepath.Join(t.TempDir(), "in")
	write(t, in, wrapped(referral()))
	for _, salt := range []string{"0", "1", "20", "32", "digest", "max"} {
		signed, err := run(t, nil, nil, openssl, "cms", "-sign", "-binary", "-in", in, "-signer", cert, "-inkey", key,
			"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:"+salt)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := run(t, nil, signed, openssl, "cms", "-encrypt", "-binary", "-aes256", toCert)
		if err != nil {
			t.Fatal(err)
		}
		if got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got.Signers[0].Signature != "rsa-pss" {
			t.Errorf("salt %s: %+v", salt, got.Signers[0])
		}
	}
}

// Old smart cards and CAs chose large public exponents; a signature costs at most twice as much to verify.
func TestLargeExponents(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	dir, to := t.TempDir(), someone(t, "clinic", "rsa2048")
	cert, key, in := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "in")
	toCert, _ := to.files(t)
	write(t, in, wrapped(referral()))
	for _, exponent := range []string{"3", "9124429", "2147483647"} {
		var signed, msg []byte
		for _, args := range [][]string{
			{"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:" + exponent, "-out", key},
			{"req", "-x509", "-new", "-key", key, "-subj", "/CN=Dr", "-out", cert},
			{"cms", "-sign", "-binary", "-in", in, "-signer", cert, "-inkey", key},
			{"cms", "-encrypt", "-binary", "-aes256", toCert},
		} {
			out, err := run(t, nil, signed, openssl, args...)
			if err != nil {
				t.Fatal(err)
			}
			signed, msg = out, out
		}
		if got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}}); got.Signers[0].Reason != "" {
			t.Errorf("exponent %s: %+v", exponent, got.Signers[0])
		}
	}
}
