package smime_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"postern/gateway/lab/corpus"
	"postern/smime"
	"postern/smime/cms"
)

func TestAlgorithmsArePerPeer(t *testing.T) {
	caps := func(c ...cms.Capability) smime.Known { return smime.Known{Capabilities: c} }
	for _, c := range []struct {
		name      string
		known     smime.Known
		cipher    cms.Cipher
		transport cms.Transport
		why       string
	}{
		{"never heard of", smime.Known{}, cms.AES256CBC, cms.OAEP, "default"},
		{"the usual list", caps(cms.CapAES256CBC, cms.CapAES192CBC, cms.CapAES128CBC, cms.Cap3DES), cms.AES256CBC, cms.OAEP, "says it reads"},
		{"AES-128 first, AES-256 too", caps(cms.CapAES128CBC, cms.CapAES256CBC), cms.AES256CBC, cms.OAEP, "says it reads"},
		{"only AES-128", caps(cms.CapAES128CBC, cms.Cap3DES), cms.AES128CBC, cms.OAEP, "aes-128-cbc"},
		{"only 3DES: never weaker", caps(cms.Cap3DES), cms.AES256CBC, cms.OAEP, "default"},
		{"GCM first", caps(cms.CapAES256GCM, cms.CapAES256CBC), cms.AES256GCM, cms.OAEP, "aes-256-gcm"},
		{"GCM after CBC", caps(cms.CapAES256CBC, cms.CapAES256GCM), cms.AES256CBC, cms.OAEP, "aes-256-cbc"},
		{"OAEP with SHA-256 only", caps(cms.CapAES256CBC, cms.CapOAEPSHA256), cms.AES256CBC, cms.OAEPSHA256, "rsaes-oaep-sha256"},
		{"both OAEP", caps(cms.CapOAEPSHA256, cms.CapOAEP), cms.AES256CBC, cms.OAEP, "rsaes-oaep-sha1"},
		{"says PKCS#1 v1.5 only", caps(cms.CapRSA), cms.AES256CBC, cms.PKCS1v15, "rsaes-pkcs1"},
		{"its mail uses PKCS#1 v1.5", smime.Known{KeyTransport: "rsaes-pkcs1-v1_5"}, cms.AES256CBC, cms.PKCS1v15, "own mail"},
		{"its mail uses OAEP with SHA-256", smime.Known{KeyTransport: "rsaes-oaep-sha256"}, cms.AES256CBC, cms.OAEPSHA256, "own mail"},
		{"its mail uses an elliptic curve", smime.Known{KeyTransport: "ecdh-x963-sha256"}, cms.AES256CBC, cms.OAEP, "default"},
		{"set by a person", smime.Known{KeyTransport: "rsaes-pkcs1-v1_5", Transport: "rsaes-oaep-sha256", Cipher: "aes-128-gcm"}, cms.AES128GCM, cms.OAEPSHA256, "set for this peer"},
		{"set to what is not sent", smime.Known{Transport: "raw", Cipher: "3des-cbc"}, cms.AES256CBC, cms.OAEP, "default"},
	} {
		got := smime.Choose(someone(t, "clinic", "rsa2048").cert, c.known)
		if got.Cipher != c.cipher || got.Transport != c.transport || !strings.Contains(strings.Join(got.Why, "|"), c.why) {
			t.Errorf("%s: %s %s because %q", c.name, got.Cipher, got.Transport, got.Why)
		}
	}
	if got := smime.Choose(someone(t, "clinic", "p256").cert, smime.Known{}); !strings.Contains(got.Why[1], "elliptic") {
		t.Errorf("elliptic curve: %q", got.Why)
	}
}

func TestWhatWasLearntIsUsed(t *testing.T) {
	from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
	msg := sealed(t, referral(), smime.SealOptions{Signer: from.identity(), Recipients: []smime.Recipient{{Cert: to.cert, Transport: cms.OAEPSHA256}}})
	got := opened(t, msg, smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
	want := []cms.Capability{cms.CapAES256CBC, cms.CapAES192CBC, cms.CapAES128CBC, cms.CapAES256GCM, cms.CapAES128GCM, cms.CapOAEPSHA256, cms.CapOAEP, cms.CapECDH256}
	if !slices.Equal(got.Signers[0].Capabilities, want) {
		t.Errorf("capabilities %v, want %v", got.Signers[0].Capabilities, want)
	}
	k := smime.Known{}.With(smime.Taught(got, got.Signers[0]))
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var back smime.Known
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, k) {
		t.Errorf("%s came back as %+v, %v", b, back, err)
	}
	if k.KeyTransport != "rsaes-oaep-sha256" {
		t.Errorf("learnt %+v", k)
	}
}

// One envelope uses what all its recipients read; nobody gets less for the sake of another.
func TestOneEnvelopeWhereAllCanReadIt(t *testing.T) {
	say := func(c ...cms.Capability) smime.Known { return smime.Known{Capabilities: c} }
	set := func(cipher string) smime.Known { return smime.Known{Cipher: cipher} }
	unheard, cbc, gcmFirst := smime.Known{}, say(cms.CapAES256CBC), say(cms.CapAES256GCM, cms.CapAES256CBC)
	for _, c := range []struct {
		name string
		size int64
		of   []smime.Known
		want string
	}{
		{"one", 1, []smime.Known{unheard}, "aes-256-cbc[0]"},
		{"all alike", 1, []smime.Known{unheard, cbc, unheard}, "aes-256-cbc[0 1 2]"},
		{"all want GCM", 1, []smime.Known{gcmFirst, gcmFirst}, "aes-256-gcm[0 1]"},
		{"one wants GCM and reads CBC", 1, []smime.Known{gcmFirst, unheard}, "aes-256-cbc[0 1]"},
		{"one reads GCM only", 1, []smime.Known{unheard, say(cms.CapAES256GCM), gcmFirst}, "aes-256-cbc[0 2] aes-256-gcm[1]"},
		{"a person set GCM", 1, []smime.Known{gcmFirst, set("aes-256-gcm")}, "aes-256-gcm[0 1]"},
		{"one reads AES-128 only", 1, []smime.Known{unheard, say(cms.CapAES128CBC), say(cms.CapAES256CBC, cms.CapAES128CBC)}, "aes-256-cbc[0 2] aes-128-cbc[1]"},
		{"both kinds of AES-128", 1, []smime.Known{say(cms.CapAES128CBC, cms.CapAES128GCM), set("aes-128-gcm")}, "aes-128-gcm[0 1]"},
		{"too long for GCM", cms.MaxWhole, []smime.Known{set("aes-256-gcm"), unheard, set("aes-128-gcm")}, "aes-256-cbc[0 1] aes-128-cbc[2]"},
	} {
		var choices []smime.Choice
		for _, k := range c.of {
			choices = append(choices, smime.Choose(someone(t, "clinic", "rsa2048").cert, k))
		}
		var got []string
		for _, e := range smime.Envelopes(choices, c.size) {
			got = append(got, fmt.Sprintf("%s%v", e.Cipher, e.Members))
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s: %s, want %s", c.name, g, c.want)
		}
	}
}

// What a peer says is bounded by what this gateway understands, and what says nothing takes nothing away.
func TestWhatIsLearntIsSmall(t *testing.T) {
	var many []cms.Capability
	for i := range 500 {
		many = append(many, cms.Capability(fmt.Sprint("1.2.", i)))
	}
	o := &smime.Opened{Report: smime.Report{KeyTransport: "rsaes-oaep-sha256", Cipher: "aes-128-cbc"}}
	k := smime.Taught(o, smime.Signer{Capabilities: append(many, cms.CapAES256GCM)})
	want := smime.Known{Capabilities: []cms.Capability{cms.CapAES256GCM}, KeyTransport: "rsaes-oaep-sha256", MailCipher: "aes-128-cbc"}
	if !reflect.DeepEqual(k, want) {
		t.Errorf("learnt %+v", k)
	}
	set := smime.Known{Cipher: "aes-256-cbc", Transport: "rsaes-pkcs1-v1_5"}
	if got := k.With(set).With(smime.Known{}); got.Cipher != set.Cipher || got.Transport != set.Transport || got.KeyTransport != k.KeyTransport || len(got.Capabilities) != 1 {
		t.Errorf("together %+v", got)
	}
}

// In FIPS 140 only mode RSAES-OAEP with SHA-256 is sent, and the rest is refused by name.
func TestFIPSOnly(t *testing.T) {
	if os.Getenv("POSTERN_FIPS_CHILD") == "1" {
		from, to := someone(t, "hospital", "rsa2048"), someone(t, "clinic", "rsa2048")
		if got := smime.Choose(to.cert, smime.Known{Transport: "rsaes-pkcs1-v1_5"}).Transport; got != cms.OAEPSHA256 {
			t.Errorf("chose %s", got)
		}
		o := smime.SealOptions{Signer: from.identity(), Now: testTime(), Recipients: []smime.Recipient{{Cert: to.cert, Transport: cms.OAEPSHA256}}}
		got := opened(t, sealed(t, referral(), o), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if got.Report.KeyTransport != "rsaes-oaep-sha256" {
			t.Errorf("receipt %+v", got.Report)
		}
		o.Recipients[0].Transport = cms.TransportDefault
		got = opened(t, sealed(t, referral(), o), smime.OpenOptions{Keys: []smime.Key{to.decrypt()}})
		if got.Report.KeyTransport != "rsaes-oaep-sha256" {
			t.Errorf("the default in this mode: %+v", got.Report)
		}
		for _, refused := range []cms.Transport{cms.OAEP, cms.PKCS1v15} {
			o.Recipients[0].Transport = refused
			_, err := smime.Seal(discard{}, content(referral()), o)
			if err == nil || !strings.Contains(err.Error(), refused.String()) {
				t.Errorf("%s: %v", refused, err)
			}
		}
		o.Recipients[0].Transport, o.Cipher = cms.OAEPSHA256, cms.AES256GCM
		if _, err := smime.Seal(discard{}, content(referral()), o); err == nil || cms.ReasonOf(err) != cms.ReasonUnsupported || !strings.Contains(err.Error(), "aes-256-gcm") {
			t.Errorf("AES-GCM: %v", err)
		}
		for _, k := range []smime.Known{{Cipher: "aes-256-gcm"}, {Capabilities: []cms.Capability{cms.CapAES256GCM, cms.CapAES256CBC}}} {
			if got := smime.Choose(to.cert, k); got.Cipher != cms.AES256CBC || len(got.Reads) != 1 {
				t.Errorf("for a peer that wants AES-GCM: %s of %v", got.Cipher, got.Reads)
			}
		}
		fipsReadsOrRefuses(t, from, to)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFIPSOnly$", "-test.v")
	cmd.Env = append(os.Environ(), "POSTERN_FIPS_CHILD=1", "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// fipsReadsOrRefuses: what FIPS mode does not have is a reason, never a panic.
func fipsReadsOrRefuses(t *testing.T, from, to person) {
	keys := []smime.Key{to.decrypt()} // old PKCS#12 files cannot be read in this mode
	ec := someone(t, "laboratory", "p256")
	content := wrapped(referral())
	signed := multipart(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content))
	oldMicalg := multipartAs(content, forgedData{signers: []forgedSigner{{p: from}}}.der(t, content), "multipart/signed; micalg=sha1; boundary=b0", "application/pkcs7-signature")
	sha256OAEP := ktri(t, to, ktriOptions{alg: oaepAlg(crypto.SHA256, crypto.SHA256), oaep: &rsa.OAEPOptions{Hash: crypto.SHA256}})
	damaged := ktri(t, to, ktriOptions{alg: oaepAlg(crypto.SHA256, crypto.SHA256), oaep: &rsa.OAEPOptions{Hash: crypto.SHA256}, damage: true})
	gcm := func(tag int, rs ...[]byte) []byte { // the one AES-GCM there is in this mode: a random nonce in front
		block, err := aes.NewCipher(cek())
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			t.Fatal(err)
		}
		b := aead.Seal(nil, nil, signed, nil)
		end := len(b) - 16
		return mail(forgedEnvelope{typ: oAuthEnv, recipients: rs, cipher: alg(oAES256GCM, seq(octets(b[:12]), integer(tag))), content: b[12:end], after: octets(b[end : end+tag])}.der())
	}
	for name, c := range map[string]struct {
		msg  []byte
		want smime.Reason
	}{
		"OAEP SHA-256":                  {mail(forgedEnvelope{recipients: [][]byte{sha256OAEP}, content: cbc(t, signed)}.der()), ""},
		"AES-GCM":                       {gcm(16, sha256OAEP), ""},
		"AES-GCM, first key forged":     {gcm(16, damaged, sha256OAEP), ""},
		"AES-GCM, only key forged":      {gcm(16, damaged), cms.ReasonUndecryptable},
		"AES-GCM with a short tag":      {gcm(12, sha256OAEP), cms.ReasonUnsupported},
		"OAEP SHA-256 and micalg sha1":  {mail(forgedEnvelope{recipients: [][]byte{sha256OAEP}, content: cbc(t, oldMicalg)}.der()), ""},
		"OAEP announced as SHA-1":       {mail(forgedEnvelope{recipients: [][]byte{ktri(t, to, ktriOptions{alg: alg(oOAEP), oaep: &rsa.OAEPOptions{Hash: crypto.SHA256}})}, content: cbc(t, signed)}.der()), cms.ReasonUnsupported},
		"ECDH with SHA-1 in the KDF":    {mail(forgedEnvelope{recipients: [][]byte{kari(t, ec, kariOptions{kdf: "1.3.133.16.840.63.0.2", hash: crypto.SHA256})}, content: cbc(t, signed)}.der()), cms.ReasonUnsupported},
		"ECDH with SHA-256 in the KDF":  {mail(forgedEnvelope{recipients: [][]byte{kari(t, ec, kariOptions{kdf: "1.3.132.1.11.1", hash: crypto.SHA256})}, content: cbc(t, signed)}.der()), ""},
		"signature said to be of SHA-1": {mail(forgedEnvelope{recipients: [][]byte{sha256OAEP}, content: cbc(t, multipart(content, forgedData{signers: []forgedSigner{{p: from, digestAlg: alg(oSHA1)}}}.der(t, content)))}.der()), cms.ReasonUnsupported},
	} {
		if got := reasonOf(t, c.msg, smime.OpenOptions{Keys: append(keys, ec.decrypt()), Legacy: true}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for _, e := range corpus.Walk(t, "smime") {
		if ext := filepath.Ext(e.File); ext == ".eml" || ext == ".message" {
			reasonOf(t, e.Read(t), smime.OpenOptions{Keys: keys, Legacy: true})
		}
	}
}
