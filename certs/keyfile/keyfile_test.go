package keyfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/lab/corpus"
	"postern/smime/addr"
)

// A signing and an encryption pair in one PKCS#12, as RFC 9216 publishes it.
func TestPairsInOnePKCS12(t *testing.T) {
	dir := corpus.Dir(t, "smime")
	for _, who := range []string{"alice", "bob", "carlos", "dana"} {
		file, err := os.ReadFile(filepath.Join(dir, "rfc9216", who+".p12"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := keyfile.Parse(file, who)
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		if len(got.Credentials) != 2 {
			t.Fatalf("%s: %d credentials, want 2", who, len(got.Credentials))
		}
		var sign, decrypt int
		for _, c := range got.Credentials {
			if how, ok := c.BoundTo(addr.MustParse(who + "@smime.example")); !ok || how != "address" {
				t.Errorf("%s: bound %q, %v", who, how, ok)
			}
			if c.CanSign() {
				sign++
			}
			if c.CanDecrypt() {
				decrypt++
			}
		}
		t.Logf("%s: %d sign, %d decrypt, %d other certificates", who, sign, decrypt, len(got.Others))
		if sign != 1 {
			t.Errorf("%s: %d signing credentials, want 1", who, sign)
		}
		_, err = keyfile.Parse(file, who+"x")
		var e *keyfile.Error
		if !errors.As(err, &e) || e.Reason != keyfile.ReasonPassword {
			t.Errorf("%s: wrong password gives %v", who, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := ca.Intermediate(issue.AuthorityOptions{Name: "Issuing", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []issue.Algorithm{issue.RSA2048, issue.P256} {
		c, err := sub.Leaf(issue.LeafOptions{Domain: addr.MustDomain("direct.example.org"), Algorithm: alg, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{"pem", "modern", "legacy"} {
			var file []byte
			switch form {
			case "pem":
				file, err = keyfile.WritePEM(c, true)
			default:
				file, err = keyfile.WritePKCS12(c, "geheim", form == "legacy")
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := keyfile.Credentials(file, "geheim")
			if err != nil {
				t.Fatalf("%s %s: %v", alg, form, err)
			}
			if len(got) != 1 || got[0].ID != c.ID || len(got[0].Chain) != 1 || !got[0].CanDecrypt() || !got[0].CanSign() {
				t.Errorf("%s %s: came back as %+v", alg, form, got)
			}
		}
	}
}
