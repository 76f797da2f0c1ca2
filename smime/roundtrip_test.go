package smime_test

import (
	"bytes"
	"crypto"
	"math/rand/v2"
	"testing"

	"postern/smime"
	"postern/smime/cms"
)

func TestWhatIsSealedIsOpenedOctetForOctet(t *testing.T) {
	for _, c := range []struct {
		name      string
		signer    string
		recipient string
		cipher    cms.Cipher
		transport cms.Transport
		digest    crypto.Hash
		wantHow   string
	}{
		{name: "default", signer: "rsa2048", recipient: "rsa2048", wantHow: "rsaes-oaep-sha1"},
		{name: "oaep sha-256", signer: "rsa2048", recipient: "rsa2048", transport: cms.OAEPSHA256, wantHow: "rsaes-oaep-sha256"},
		{name: "pkcs1", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, wantHow: "rsaes-pkcs1-v1_5"},
		{name: "rsa 3072", signer: "rsa3072", recipient: "rsa3072", digest: crypto.SHA384, wantHow: "rsaes-oaep-sha1"},
		{name: "aes-128", signer: "p256", recipient: "p256", cipher: cms.AES128CBC, wantHow: "ecdh-x963-sha256"},
		{name: "aes-192", signer: "p384", recipient: "p384", cipher: cms.AES192CBC, digest: crypto.SHA384, wantHow: "ecdh-x963-sha256"},
		{name: "p-521", signer: "p521", recipient: "p521", digest: crypto.SHA512, wantHow: "ecdh-x963-sha256"},
		{name: "gcm", signer: "p256", recipient: "rsa2048", cipher: cms.AES256GCM, wantHow: "rsaes-oaep-sha1"},
		{name: "gcm 128", signer: "p256", recipient: "p256", cipher: cms.AES128GCM, wantHow: "ecdh-x963-sha256"},
		{name: "edwards curves", signer: "ed25519", recipient: "x25519", wantHow: "ecdh-x963-sha256"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := someone(t, "hospital", c.signer), someone(t, "clinic", c.recipient)
			for _, inner := range [][]byte{referral(), bulky(t, 200_000), referral()[:len(referral())-2]} {
				msg := sealed(t, inner, smime.SealOptions{Signer: from.identity(), Cipher: c.cipher, Digest: c.digest,
					Recipients: []smime.Recipient{{Cert: to.cert, Transport: c.transport}}})
				got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
				if !bytes.Equal(all(t, got.Inner), inner) {
					t.Fatalf("inner message of %d octets came back changed", len(inner))
				}
				if !got.Wrapped || got.Header.Get("Subject") != "Referral for Jane Doe" {
					t.Errorf("wrapped %v, subject %q", got.Wrapped, got.Header.Get("Subject"))
				}
				if got.Report.KeyTransport != c.wantHow {
					t.Errorf("key transport %q, want %q", got.Report.KeyTransport, c.wantHow)
				}
				if len(got.Signers) != 1 || got.Signers[0].Reason != "" || !got.Signers[0].Cert.Equal(from.cert) {
					t.Errorf("signers %+v", got.Signers)
				}
				if !got.Signers[0].SigningTime.Equal(testTime()) {
					t.Errorf("signing time %v", got.Signers[0].SigningTime)
				}
			}
		})
	}
}

// bulky is a message with n random octets of base64 attachment.
func bulky(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	b.Write(referral())
	r := rand.New(rand.NewPCG(1, uint64(n)))
	line := make([]byte, 76)
	for b.Len() < n {
		for i := range line {
			line[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
		}
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

func TestClearHeaderHoldsRoutingOnly(t *testing.T) {
	from, to := someone(t, "hospital", "p256"), someone(t, "clinic", "p256")
	msg := sealed(t, referral(), smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert}}})
	head, _, _ := bytes.Cut(msg, []byte("\r\n\r\n"))
	want := "MIME-Version: 1.0\r\nDate: Sat, 14 Mar 2026 15:09:26 +0000\r\nFrom: ada@hospital.example\r\n" +
		"To: ben@clinic.example\r\nMessage-ID: <one@hospital.example>\r\n" +
		"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\n" +
		"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"smime.p7m\""
	if string(head) != want {
		t.Errorf("clear header:\n%s\nwant:\n%s", head, want)
	}
	for i, line := range bytes.Split(msg, []byte("\r\n")) {
		if len(line) > 78 && i > 12 {
			t.Fatalf("line %d has %d octets", i, len(line))
		}
	}
}
