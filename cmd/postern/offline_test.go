package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/certs"
	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/lab/corpus"
	"postern/smime/addr"
)

// letterDay is when the test letters are written.
func letterDay() time.Time { return time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC) }

// letterWorld is a folder with an anchor, a stranger's anchor, and credentials in PEM and PKCS#12.
func letterWorld(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	save := func(name string, b []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	authority := func(name string) *issue.Authority {
		a, err := issue.NewAuthority(issue.AuthorityOptions{Name: name, Algorithm: issue.P256, Now: letterDay().AddDate(0, -1, 0)})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ca, stranger := authority("Community"), authority("Stranger")
	b, err := keyfile.WritePEM(certs.Credential{Cert: ca.Cert}, false)
	save("anchor.pem", b, err)
	b, err = keyfile.WritePEM(certs.Credential{Cert: stranger.Cert}, false)
	save("stranger.pem", b, err)
	for name, o := range map[string]issue.LeafOptions{
		"hospital": {Domain: addr.MustDomain("hospital.example"), Algorithm: issue.RSA2048},
		"clinic":   {Address: addr.MustParse("ben@clinic.example"), Algorithm: issue.RSA2048},
		"other":    {Domain: addr.MustDomain("other.example"), Algorithm: issue.P256},
	} {
		o.Now = letterDay().AddDate(0, -1, 0)
		cred, err := ca.Leaf(o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := keyfile.WritePEM(cred, true)
		save(name+".pem", b, err)
		b, err = keyfile.WritePEM(cred, false)
		save(name+".crt", b, err)
		b, err = keyfile.WritePKCS12(cred, "secret", false)
		save(name+".p12", b, err)
	}
	save("password", []byte("secret\n"), nil)
	return dir
}

const letterText = "From: \"Ada\" <ada@hospital.example>\nTo: ben@clinic.example\nSubject: Jane Doe\nMessage-ID: <1@hospital.example>\n\nDear Ben.\n"

// feed runs one command line with this standard input, in the current folder.
func feed(t *testing.T, in string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), &console{in: strings.NewReader(in), out: &o, err: &e, env: func(string) string { return "" }}, args)
	return code, o.String(), e.String()
}

func TestSealAndOpen(t *testing.T) {
	t.Chdir(letterWorld(t))
	crlf := strings.ReplaceAll(letterText, "\n", "\r\n")
	for _, c := range []struct {
		name, text string
		seal       []string
		open       []string
	}{
		{"PEM", letterText, []string{"--signer", "hospital.pem"}, []string{"--key", "clinic.pem"}},
		{"PKCS#12", letterText, []string{"--signer", "hospital.p12", "--password-file", "password"}, []string{"--key", "clinic.p12", "--password-file", "password"}},
		{"CRLF already", crlf, []string{"--signer", "hospital.pem"}, []string{"--key", "clinic.pem"}},
		{"two recipients, two keys", letterText, []string{"--signer", "hospital.pem", "--recipient", "other.crt"}, []string{"--key", "other.pem", "--key", "clinic.pem"}},
		{"other algorithms", letterText, []string{"--signer", "hospital.pem", "--cipher", "aes-256-gcm", "--transport", "oaep-sha256", "--digest", "sha-512"}, []string{"--key", "clinic.pem"}},
		{"PKCS#1", letterText, []string{"--signer", "hospital.pem", "--transport", "pkcs1", "--cipher", "aes-128-cbc"}, []string{"--key", "clinic.pem"}},
		{"5 MB", letterText + strings.Repeat("0123456789abcdef\n", 300_000), []string{"--signer", "hospital.pem"}, []string{"--key", "clinic.pem"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, sealed, errOut := feed(t, c.text, append([]string{"seal", "--recipient", "clinic.crt", "--at", "2026-05-04"}, c.seal...)...)
			if code != exitDone {
				t.Fatalf("seal: exit %d: %s", code, errOut)
			}
			if head, _, _ := strings.Cut(sealed, "\r\n\r\n"); strings.Contains(head, "Jane") || strings.Contains(head, "Ada\"") {
				t.Error("the sealed message tells too much")
			}
			code, text, errOut := feed(t, sealed, append([]string{"open", "--anchor", "anchor.pem", "--at", "2026-05-04T10:00:00Z"}, c.open...)...)
			if code != exitDone {
				t.Fatalf("open: exit %d: %s", code, errOut)
			}
			want := strings.ReplaceAll(strings.ReplaceAll(c.text, "\r\n", "\n"), "\n", "\r\n")
			if text != want {
				t.Errorf("opened %d octets, want %d", len(text), len(want))
			}
			if !strings.Contains(errOut, "trusted by CN=Community") || !strings.Contains(errOut, "bound to ada@hospital.example by domain") {
				t.Errorf("receipt: %s", errOut)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Chdir(letterWorld(t))
	seal := func(text string, args ...string) string {
		code, out, errOut := feed(t, text, append([]string{"seal", "--recipient", "clinic.crt", "--at", "2026-05-04"}, args...)...)
		if code != exitDone {
			t.Fatalf("seal: exit %d: %s", code, errOut)
		}
		return out
	}
	good := seal(letterText, "--signer", "hospital.pem")
	type verdict struct{ decrypted, signed, bound, trusted bool }
	for _, c := range []struct {
		name, msg string
		args      []string
		want      verdict
		reason    string
	}{
		{"stranger's anchor", good, []string{"--key", "clinic.pem", "--anchor", "stranger.pem"}, verdict{true, true, true, false}, "untrusted"},
		{"another key", good, []string{"--key", "other.pem", "--anchor", "anchor.pem"}, verdict{}, "no_key"},
		{"after expiry", good, []string{"--key", "clinic.pem", "--anchor", "anchor.pem", "--at", "2046-01-01"}, verdict{true, true, true, false}, "expired"},
		{"signed by someone else", seal(letterText, "--signer", "other.pem"), []string{"--key", "clinic.pem", "--anchor", "anchor.pem"}, verdict{true, true, false, false}, "wrong_binding"},
		{"two senders", seal(strings.Replace(letterText, "hospital.example>\n", "hospital.example>, x@y.example\n", 1), "--signer", "hospital.pem"),
			[]string{"--key", "clinic.pem", "--anchor", "anchor.pem"}, verdict{true, true, false, false}, "header"},
		{"not sealed", letterText, []string{"--key", "clinic.pem", "--anchor", "anchor.pem"}, verdict{}, "not_smime"},
		{"cut short", good[:len(good)-200], []string{"--key", "clinic.pem", "--anchor", "anchor.pem"}, verdict{}, "truncated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"open", "--json", "--out", "out.eml", "--at", "2026-05-04"}, c.args...)
			code, out, errOut := feed(t, c.msg, args...)
			var a struct {
				V                                 int
				Decrypted, Signed, Bound, Trusted bool
				Reason, Explanation               string
			}
			if err := json.Unmarshal([]byte(out), &a); err != nil {
				t.Fatalf("%v: %s%s", err, out, errOut)
			}
			got := verdict{a.Decrypted, a.Signed, a.Bound, a.Trusted}
			if code != exitRefused || a.V != 1 || got != c.want || a.Reason != c.reason || a.Explanation == "" {
				t.Errorf("exit %d, %+v, want %+v with reason %s", code, a, c.want, c.reason)
			}
			for _, name := range []string{"out.eml", "out.eml.part"} {
				if _, err := os.Stat(name); err == nil {
					t.Errorf("%s of a refused message is there", name)
				}
			}
			if code, out, errOut := feed(t, c.msg, append([]string{"open", "--at", "2026-05-04"}, c.args...)...); code != exitRefused || out != "" || !strings.Contains(errOut, "Refused ("+c.reason+")") {
				t.Errorf("without --json: exit %d, %d octets on standard output, %s", code, len(out), errOut)
			}
		})
	}
}

func TestOpenTellsEverythingInJSON(t *testing.T) {
	t.Chdir(letterWorld(t))
	_, sealed, _ := feed(t, letterText, "seal", "--recipient", "clinic.crt", "--at", "2026-05-04", "--signer", "hospital.pem")
	code, out, errOut := feed(t, sealed, "open", "--json", "--key", "clinic.pem", "--anchor", "anchor.pem", "--at", "2026-05-04", "--out", "letter.eml")
	var a map[string]any
	if err := json.Unmarshal([]byte(out), &a); code != exitDone || err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, errOut)
	}
	for key, want := range map[string]any{"v": 1.0, "decrypted": true, "signed": true, "bound": true, "trusted": true, "reason": "", "sender": "ada@hospital.example", "wrapped": true} {
		if a[key] != want {
			t.Errorf("%s is %v, want %v", key, a[key], want)
		}
	}
	algorithms := a["algorithms"].(map[string]any)
	if algorithms["cipher"] != "aes-256-cbc" || algorithms["key_transport"] != "rsaes-oaep-sha1" || algorithms["digest"] != "sha-256" {
		t.Errorf("algorithms %v", algorithms)
	}
	if n := len(a["leniencies"].([]any)); n != 0 {
		t.Errorf("%d leniencies for our own message", n)
	}
	if b, err := os.ReadFile("letter.eml"); err != nil || string(b) != strings.ReplaceAll(letterText, "\n", "\r\n") {
		t.Errorf("--out holds %q, %v", b, err)
	}
}

func TestSealRefuses(t *testing.T) {
	t.Chdir(letterWorld(t))
	for _, c := range []struct {
		name, text, want string
		code             int
		args             []string
	}{
		{"mixed line ends", "From: a@b.example\r\nTo: c@d.example\n\nx\r\n", "line", exitRefused, []string{"--signer", "hospital.pem", "--recipient", "clinic.crt"}},
		{"no sender", "To: c@d.example\n\nx\n", "From", exitRefused, []string{"--signer", "hospital.pem", "--recipient", "clinic.crt"}},
		{"Bcc", "Bcc: x@y.example\n" + letterText, "Bcc", exitRefused, []string{"--signer", "hospital.pem", "--recipient", "clinic.crt"}},
		{"no signer", letterText, "--signer", exitUsage, []string{"--recipient", "clinic.crt"}},
		{"no recipient", letterText, "--recipient", exitUsage, []string{"--signer", "hospital.pem"}},
		{"wrong password", letterText, "password", exitRefused, []string{"--signer", "hospital.p12", "--recipient", "clinic.crt"}},
		{"unknown cipher", letterText, "3des", exitUsage, []string{"--signer", "hospital.pem", "--recipient", "clinic.crt", "--cipher", "3des-cbc"}},
		{"missing file", letterText, "nobody.pem", exitRefused, []string{"--signer", "nobody.pem", "--recipient", "clinic.crt"}},
		{"an authority as recipient", letterText, "anchor.pem", exitRefused, []string{"--signer", "hospital.pem", "--recipient", "anchor.pem"}},
	} {
		code, _, errOut := feed(t, c.text, append([]string{"seal"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit %d, %q", c.name, code, errOut)
		}
	}
}

// The message of the .NET reference agent: old evidence, opened only when asked for.
func TestOpenOldEvidence(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "smime"), "direct_dotnet")
	args := []string{"open", "--json", "--in", filepath.Join(dir, "envelopeSignature.eml"), "--key", filepath.Join(dir, "nhind_umamalga1_vm1.pfx"),
		"--anchor", filepath.Join(dir, "um-amalga1-vm1.cer"), "--anchor", filepath.Join(dir, "umamalga1.cer"), "--at", "2016-01-01", "--password-file", "-"}
	for _, c := range []struct {
		args   []string
		reason string
	}{
		{args, "legacy_algorithm"},
		{append(args, "--legacy"), "no_san"}, // its certificate names the domain in the subject only
	} {
		_, out, errOut := feed(t, "passw0rd!\n", c.args...)
		var a struct {
			Decrypted, Signed, Trusted bool
			Reason, Sender             string
		}
		if err := json.Unmarshal([]byte(out), &a); err != nil {
			t.Fatalf("%v: %s", err, errOut)
		}
		if !a.Decrypted || a.Signed != (c.reason == "no_san") || a.Trusted || a.Reason != c.reason {
			t.Errorf("%+v, want reason %s: %s", a, c.reason, errOut)
		}
	}
}

// TestOutThatIsNoFile is written to where it stands: a device or a link is never put out of its place.
func TestOutThatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("what was there before, and longer than what comes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	o, err := (&console{}).output(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := o.done(nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", st, err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() { b, _ := os.ReadFile(pipe); got <- string(b) }()
	if o, err = (&console{}).output(pipe); err != nil {
		t.Fatal(err)
	}
	_, err = o.Write([]byte("through"))
	if err := errors.Join(err, o.done(nil)); err != nil || <-got != "through" {
		t.Error(err)
	}
}
