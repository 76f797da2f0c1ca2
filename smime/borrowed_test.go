package smime_test

import (
	"bytes"
	"testing"

	"postern/smime"
	"postern/smime/cms"
	"postern/smime/cms/ber"
)

// signerFields takes the one SignerInfo of a SignedData apart: version, id, digest, attributes, algorithm, value.
func signerFields(t *testing.T, der []byte) []ber.Element {
	t.Helper()
	at := mustOne(t, der)
	for _, index := range []int{1, 0, 4, 0} { // content, SignedData, signerInfos, the first
		kids := at.Children()
		for range index + 1 {
			e, err := kids.Next()
			if err != nil {
				t.Fatal("not the structure that was forged")
			}
			at = e
		}
	}
	var out []ber.Element
	for kids := at.Children(); ; {
		e, err := kids.Next()
		if err != nil {
			return out
		}
		out = append(out, e)
	}
}

// A signature over signed attributes is also a signature over those octets as content. Whoever received one
// message could send its attributes as the content of another, without attributes, under headers of his
// own; the line ends that a reader forgives must not hide it (CMS-09).
func TestSomebodyElsesAttributesAreNoContent(t *testing.T) {
	ada, ben := someone(t, "ada", "rsa2048"), someone(t, "ben", "rsa2048")
	f := signerFields(t, forgedData{signers: []forgedSigner{{p: ada}}}.der(t, wrapped(referral())))
	if len(f) != 6 {
		t.Fatalf("%d fields", len(f))
	}
	attributes := bytes.Clone(f[3].Full)
	attributes[0] = 0x31 // as they were signed: SET OF (RFC 5652 §5.4)
	info := seq(f[0].Full, f[1].Full, f[2].Full, f[4].Full, f[5].Full)
	forged := seq(oidDER(oSigned), ctx(0, seq(integer(1), set(alg(oSHA256)), seq(oidDER(oData)), ctx(0, ada.cert.Raw), set(info))))
	for _, around := range []struct{ before, after string }{{"", ""}, {"", "\r\n"}, {"", "\n"}, {"", "\r\n\r\n"}, {"\r\n", ""}, {"\n", "\n"}} {
		entity := multipart([]byte(around.before+string(attributes)+around.after), forged)
		msg := append([]byte("Subject: Stop warfarin at once\r\n"), mail(sealedFor(t, ben, entity).der())...)
		got := reasonOf(t, msg, smime.OpenOptions{Keys: []smime.Key{ben.decrypt()}})
		switch got {
		case cms.ReasonConfusion, cms.ReasonSignature, cms.ReasonDigest:
		default:
			t.Errorf("with %q before and %q after: %q", around.before, around.after, got)
		}
	}
}
