package smime_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/smime"
	"postern/smime/cms"
)

// row is one combination of algorithms, tried with every peer in both directions.
type row struct {
	name      string
	signer    string // kind of key
	recipient string
	cipher    cms.Cipher
	transport cms.Transport
	digest    crypto.Hash
	pss       bool // only a peer can sign so
	opaque    bool // likewise
	second    bool // another recipient first
	size      int
}

func rows() []row {
	return []row{
		{name: "RSA-2048, OAEP (SHA-1 defaults), AES-256-CBC, SHA-256", signer: "rsa2048", recipient: "rsa2048"},
		{name: "RSA-2048, OAEP SHA-256, AES-256-CBC, SHA-256", signer: "rsa2048", recipient: "rsa2048", transport: cms.OAEPSHA256},
		{name: "RSA-2048, PKCS#1 v1.5, AES-128-CBC, SHA-256", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, cipher: cms.AES128CBC},
		{name: "RSA-2048, PKCS#1 v1.5, AES-192-CBC, SHA-384", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, cipher: cms.AES192CBC, digest: crypto.SHA384},
		{name: "RSA-3072, OAEP (SHA-1 defaults), AES-256-CBC, SHA-512", signer: "rsa3072", recipient: "rsa3072", digest: crypto.SHA512},
		{name: "RSA-4096, OAEP SHA-256, AES-256-CBC, SHA-256", signer: "rsa4096", recipient: "rsa4096", transport: cms.OAEPSHA256},
		{name: "RSA-2048, PKCS#1 v1.5, AES-128-GCM, SHA-256", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, cipher: cms.AES128GCM},
		{name: "RSA-2048, PKCS#1 v1.5, AES-256-GCM, SHA-256", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, cipher: cms.AES256GCM},
		{name: "P-256 ECDSA and ECDH, AES-256-CBC, SHA-256", signer: "p256", recipient: "p256"},
		{name: "P-384 ECDSA and ECDH, AES-256-CBC, SHA-384", signer: "p384", recipient: "p384", digest: crypto.SHA384},
		{name: "P-521 ECDSA and ECDH, AES-256-CBC, SHA-512", signer: "p521", recipient: "p521", digest: crypto.SHA512},
		{name: "Ed25519 signature, RSA-2048 PKCS#1 v1.5", signer: "ed25519", recipient: "rsa2048", transport: cms.PKCS1v15},
		{name: "X25519 key agreement, RSA-2048 signature", signer: "rsa2048", recipient: "x25519"},
		{name: "RSA-PSS SHA-256 signature (read only)", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, pss: true},
		{name: "Opaque signature (read only)", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, opaque: true},
		{name: "Two recipients, RSA and P-256, ours second", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, second: true},
		{name: "3 MB message", signer: "rsa2048", recipient: "rsa2048", transport: cms.PKCS1v15, size: 3_000_000},
	}
}

// job is a row with its people and message.
type job struct {
	row
	from, to, other person
	inner           []byte
}

func (j job) signed() []byte {
	return append([]byte("Content-Type: message/rfc822\r\n\r\n"), j.inner...)
}

// program is an independent implementation.
type program interface {
	name() string
	prepare(t *testing.T) // skips when it is not installed
	seal(t *testing.T, j job) ([]byte, error)
	open(t *testing.T, j job, msg []byte) ([]byte, error) // the signed content
}

// errCannot is a thing the other program does not do, in its words or ours.
type errCannot struct{ why string }

func (e errCannot) Error() string { return e.why }

func cannot(why string) error { return errCannot{why} }

// result is one line of the table: what happened in each direction.
type result struct{ weWrite, theyWrite string }

func TestInterop(t *testing.T) {
	if testing.Short() {
		t.Skip("starts other programs")
	}
	table := map[string]map[string]result{}
	var names []string
	for _, p := range []program{&openSSL{}, &cmsPeer{label: "GnuPG", setup: newGPGSM}, &cmsPeer{label: "NSS", setup: newNSS}, &cmsPeer{label: "Bouncy Castle", setup: newBouncy}} {
		t.Run(p.name(), func(t *testing.T) {
			if p.name() != "OpenSSL" && os.Getenv("POSTERN_REQUIRE") != "1" && os.Getenv("POSTERN_PEERS") != "1" {
				t.Skip("slow; POSTERN_PEERS=1 runs it")
			}
			p.prepare(t)
			names = append(names, p.name())
			for _, r := range rows() {
				t.Run(r.name, func(t *testing.T) {
					if table[r.name] == nil {
						table[r.name] = map[string]result{}
					}
					j := newJob(t, r)
					table[r.name][p.name()] = result{weWrite(t, p, j), theyWrite(t, p, j)}
				})
			}
		})
	}
	checkTable(t, names, table)
}

func newJob(t *testing.T, r row) job {
	inner := referral()
	if r.size > 0 {
		inner = bulky(t, r.size)
	}
	return job{row: r, from: someone(t, "hospital", r.signer), to: someone(t, "clinic", r.recipient), other: someone(t, "pharmacy", "p256"), inner: inner}
}

func weWrite(t *testing.T, p program, j job) string {
	if j.pss || j.opaque {
		return "–"
	}
	rs := []smime.Recipient{{Cert: j.to.cert, Transport: j.transport}}
	if j.second {
		rs = append([]smime.Recipient{{Cert: j.other.cert}}, rs...)
	}
	msg := sealed(t, j.inner, smime.SealOptions{Signer: j.from.identity(), Recipients: rs, Cipher: j.cipher, Digest: j.digest, Now: time.Now()})
	got, err := p.open(t, j, msg)
	if note, done := outcome(t, err); done {
		return note
	}
	if !bytes.Equal(got, j.signed()) {
		t.Errorf("%s opened ours and got other octets: %d instead of %d", p.name(), len(got), len(j.signed()))
		return "**differs**"
	}
	return "yes"
}

func theyWrite(t *testing.T, p program, j job) string {
	msg, err := p.seal(t, j)
	if note, done := outcome(t, err); done {
		return note
	}
	got, err := smime.Open(bytes.NewReader(msg), smime.OpenOptions{Keys: []smime.Key{j.to.decrypt()}})
	if err != nil {
		t.Errorf("we cannot open what %s sealed: %v", p.name(), err)
		return "**no**"
	}
	defer got.Close()
	if !bytes.Equal(all(t, got.Inner), j.inner) {
		t.Errorf("what %s sealed came out changed", p.name())
		return "**differs**"
	}
	if j.opaque != (got.Report.Signature == "opaque") {
		t.Errorf("signature is %s", got.Report.Signature)
	}
	if want := j.cipher.String(); got.Report.Cipher != want && !j.opaque && j.size == 0 {
		t.Errorf("cipher %s, want %s", got.Report.Cipher, want)
	}
	note := "yes"
	if j.recipient[0] == 'p' || j.recipient == "x25519" {
		note += " (" + got.Report.KeyTransport + ")"
	}
	return note
}

func outcome(t *testing.T, err error) (string, bool) {
	var c errCannot
	switch {
	case err == nil:
		return "", false
	case errors.As(err, &c):
		return "cannot: " + c.why, true
	}
	t.Error(err)
	return "**fails**", true
}

// checkTable compares the table with the published one, or writes it when POSTERN_UPDATE is 1.
func checkTable(t *testing.T, names []string, table map[string]map[string]result) {
	if t.Failed() || len(names) == 0 {
		return
	}
	file := filepath.Join("..", "cmd", "postern", "docs", "interop.md")
	got := renderTable(names, table)
	if os.Getenv("POSTERN_UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	published, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names { // only the peers that are here can be compared
		want := section(string(published), n)
		if have := section(got, n); have != want {
			t.Errorf("interoperability with %s is\n%s\nand cmd/postern/docs/interop.md says\n%s\n(POSTERN_UPDATE=1 rewrites it)", n, have, want)
		}
	}
}

func section(doc, name string) string {
	_, rest, _ := strings.Cut(doc, "\n## "+name+"\n")
	body, _, _ := strings.Cut(rest, "\n## ")
	return strings.TrimSpace(body)
}

func renderTable(names []string, table map[string]map[string]result) string {
	var b strings.Builder
	b.WriteString("# Interoperability\n\nWritten by `POSTERN_UPDATE=1 go test -run TestInterop ./smime` and checked by every other run of that test.\n" +
		"Each line is a message sealed by one side and opened by the other, compared octet for octet.\n")
	for _, n := range names {
		fmt.Fprintf(&b, "\n## %s\n\n| Algorithms | Postern seals, %s opens | %s seals, Postern opens |\n|---|---|---|\n", n, n, n)
		for _, r := range rows() {
			if res, ok := table[r.name][n]; ok {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, res.weWrite, res.theyWrite)
			}
		}
	}
	return b.String()
}

// run runs another program with a time limit.
func run(t testing.TB, env []string, stdin []byte, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.Bytes(), nil
}
