package smime_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"postern/gateway/lab/peer"
	"postern/smime"
)

// CAs of the network have written negative serial numbers (RFC 5280 §4.1.2.2): such a certificate signs and receives
// as any other, with us as with OpenSSL.
func TestNegativeSerialNumbers(t *testing.T) {
	openssl := peer.Need(t, "openssl")
	cert := filepath.Join(t.TempDir(), "cert.pem")
	_, key := someone(t, "clinic", "rsa2048").files(t)
	for _, serial := range []string{"-1", "-128", "-129", "-255", "-0x8000000000000000", "-0x9abcdef09abcdef09abcdef09abcdef0"} {
		if _, err := run(t, nil, nil, openssl, "req", "-x509", "-new", "-key", key, "-set_serial", serial, "-subj", "/CN=Dr",
			"-addext", "keyUsage=critical,digitalSignature,keyEncipherment", "-out", cert); err != nil {
			t.Fatal(err)
		}
		p := readPair(t, cert, key)
		if p.cert.SerialNumber.Sign() >= 0 {
			t.Fatalf("%s became %s", serial, p.cert.SerialNumber)
		}
		ours := sealed(t, referral(), smime.SealOptions{Signer: p.identity(), Recipients: []smime.Recipient{{Cert: p.cert}}})
		signed, err := run(t, nil, ours, openssl, "cms", "-decrypt", "-recip", cert, "-inkey", key)
		if err != nil {
			t.Errorf("%s: OpenSSL does not decrypt: %v", serial, err)
			continue
		}
		if _, err := run(t, nil, signed, openssl, "cms", "-verify", "-CAfile", cert, "-purpose", "any"); err != nil {
			t.Errorf("%s: OpenSSL does not verify: %v", serial, err)
		}
		entity, err := run(t, nil, wrapped(referral()), openssl, "cms", "-sign", "-binary", "-signer", cert, "-inkey", key, "-outform", "SMIME")
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := run(t, nil, entity, openssl, "cms", "-encrypt", "-binary", "-aes256", cert)
		if err != nil {
			t.Fatal(err)
		}
		got := opened(t, theirs, smime.OpenOptions{Keys: []smime.Key{p.decrypt()}})
		if !bytes.Equal(all(t, got.Inner), referral()) || !got.Signers[0].Cert.Equal(p.cert) {
			t.Errorf("%s: came out otherwise", serial)
		}
	}
}
