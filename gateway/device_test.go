//go:build pkcs11 && cgo

package gateway_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postern/certs"
	"postern/certs/hsm"
	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/lab/peer"
)

// softToken makes a SoftHSM token that holds these keys, and returns the settings that name it.
func softToken(t *testing.T, keys ...any) string {
	t.Helper()
	util := peer.Need(t, "softhsm2-util")
	modules, _ := filepath.Glob("/usr/lib*/**/libsofthsm2.so")
	if len(modules) == 0 {
		modules, _ = filepath.Glob("/usr/lib/*/softhsm/libsofthsm2.so")
	}
	if len(modules) == 0 {
		peer.Missing(t, "libsofthsm2.so is not installed")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", write("softhsm2.conf", "directories.tokendir = "+filepath.Join(dir, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"))
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(util, args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %v: %v: %s", args, err, out)
		}
	}
	run("--init-token", "--free", "--label", "gateway", "--so-pin", "12345678", "--pin", "1234")
	for i, k := range keys {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		file := write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		run("--import", file, "--token", "gateway", "--pin", "1234", "--label", fmt.Sprint("key", i), "--id", fmt.Sprintf("%02x", i+1))
	}
	return fmt.Sprintf("\n[hsm]\nmodule = %q\ntoken = \"gateway\"\npin_file = %q\n", modules[0], write("pin", "1234\n"))
}

// A clinic whose only RSA key is in a device: mail is found, sealed for it, opened and confirmed, and its answer
// is signed, all with the key where it is. An elliptic-curve certificate can sign from there and not receive.
func TestAGatewayWithItsKeysInADevice(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := lab.New(ctx, lab.Options{Dir: t.TempDir(), Domains: domains(), Like: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{TB: t, Lab: l, ctx: ctx, hospital: l.Sites[0], clinic: l.Sites[1]}
	w.dr, w.intake = w.hospital.Address("dr"), w.clinic.Address("intake")
	authority, err := l.Stranger("The clinic's authority")
	w.ok(err)
	whole := w.certificate(authority, issue.LeafOptions{Domain: w.clinic.Domain, Algorithm: issue.RSA2048})
	curve := w.certificate(authority, issue.LeafOptions{Address: w.clinic.Address("curve"), Algorithm: issue.P256})
	settings := softToken(t, whole.Key, curve.Key)
	text, err := os.ReadFile(w.clinic.File)
	w.ok(err)
	w.ok(os.WriteFile(w.clinic.File, append(text, settings...), 0o600))
	w.ok(l.Start(ctx))
	w.ok(l.Introduce(ctx))
	w.ok(w.hospital.Trust(ctx, authority.Anchor()))
	w.ok(w.hospital.Add(ctx, "dr"))
	w.ok(w.clinic.Add(ctx, "intake", "curve"))

	admin := w.clinic.Admin()
	rows, err := w.clinic.Store.Credentials(ctx, w.clinic.Domain)
	w.ok(err)
	for _, c := range []certs.Credential{whole, curve} {
		made, err := admin.CertImportDevice(ctx, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Cert.Raw}))
		w.ok(err)
		if len(made) != 1 || len(made[0].SealedKey) != 0 || made[0].CanDecrypt != (c.ID == whole.ID) || !made[0].CanSign {
			t.Errorf("imported %+v", made)
		}
	}
	for _, r := range rows { // those that init made, with their keys in the database
		w.ok(admin.CertRetire(ctx, r.ID))
	}
	w.answers(whole.Cert.Raw)
	if _, err := admin.CertImportDevice(ctx, w.hospital.Anchor); err == nil {
		t.Error("a certificate whose key is not in the device was imported")
	}
	if _, err := admin.CertExport(ctx, gateway.ExportArg{ID: whole.ID, WithKey: true}); err == nil || !strings.Contains(err.Error(), "in the device") {
		t.Errorf("the key was exported: %v", err)
	}
	for _, transport := range []string{"", "rsaes-pkcs1-v1_5"} {
		w.ok(w.hospital.Admin().PeerSet(ctx, gateway.PeerSet{PeerArg: gateway.PeerArg{Name: w.clinic.Name}, Transport: transport}))
		id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
		w.reach(w.hospital, id, w.intake, track.StateDone) // its notice was signed in the device
		if got := w.sealReports(w.hospital, id)[0].Recipients[0]; got.Cert.SHA256 != whole.ID {
			t.Errorf("sealed for %s", got.Cert.Subject)
		}
	}
	w.items(w.clinic, "intake", 2)
	back := w.send(w.clinic, w.note(w.intake, w.dr), w.intake, w.dr)
	w.reach(w.clinic, back, w.dr, track.StateDone)
	w.items(w.hospital, "dr", 1)

	var said []string
	for _, f := range w.clinic.Check(ctx) {
		said = append(said, f.Level+" "+f.Text)
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"ok the key of certificate " + whole.ID[:16], "warning certificate " + curve.ID[:16] + ": " + hsm.NoECDecryption} {
		if !strings.Contains(all, want) {
			t.Errorf("check does not say %q:\n%s", want, all)
		}
	}
}

// A wrong PIN, or a token that is not there, is said with the setting's line, and not with the PIN.
func TestADeviceThatDoesNotOpen(t *testing.T) {
	l, err := lab.New(t.Context(), lab.Options{Dir: t.TempDir(), Domains: domains(), Like: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := l.Sites[0]
	text, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	settings := softToken(t)
	wrong := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(wrong, []byte("9876"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ settings, want string }{
		"wrong PIN":      {settings[:strings.Index(settings, "pin_file")] + fmt.Sprintf("pin_file = %q\n", wrong), "hsm.module"},
		"no such token":  {strings.Replace(settings, `"gateway"`, `"other"`, 1), "hsm.module"},
		"no such PIN":    {settings[:strings.Index(settings, "pin_file")] + "pin_file = \"nowhere\"\n", "hsm.pin_file"},
		"no PIN at all":  {settings[:strings.Index(settings, "pin_file")], "systemd credential postern-hsm-pin"},
		"no such module": {strings.Replace(settings, ".so", ".none", 1), "hsm.module"},
	} {
		if err := os.WriteFile(s.File, append(text[:len(text):len(text)], c.settings...), 0o600); err != nil {
			t.Fatal(err)
		}
		err := s.Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "9876") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// answers waits until the clinic's name server answers with this certificate and no other: changes of the same second are
// published together.
func (w *world) answers(der []byte) {
	w.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(w.clinic.Name), dns.TypeCERT)
	q.SetEdns0(4096, false)
	want := base64.StdEncoding.EncodeToString(der)
	for {
		r, _, err := (&dns.Client{Net: "tcp"}).ExchangeContext(w.ctx, q, w.clinic.DNS)
		if err == nil && len(r.Answer) == 1 && r.Answer[0].(*dns.CERT).Certificate == want {
			return
		}
		select {
		case <-w.ctx.Done():
			w.Fatalf("not published: %v %v", r, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
