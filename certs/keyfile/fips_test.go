package keyfile_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/certs/issue"
	"postern/certs/keyfile"
	"postern/gateway/lab/corpus"
	"postern/smime/addr"
)

// In FIPS 140 only mode an old PKCS#12 file is an error that says what to do, never a panic; PEM is read.
func TestOldFilesInFIPSOnlyMode(t *testing.T) {
	if dir := os.Getenv("POSTERN_FIPS_CHILD"); dir != "" {
		readInFIPSMode(t, dir)
		return
	}
	ca, err := issue.NewAuthority(issue.AuthorityOptions{Name: "Pilot", Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ca.Leaf(issue.LeafOptions{Address: addr.MustParse("ada@hospital.example"), Algorithm: issue.P256, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	old, err1 := keyfile.WritePKCS12(c, "secret", true)
	modern, err2 := keyfile.WritePKCS12(c, "secret", false)
	text, err3 := keyfile.WritePEM(c, true)
	if err := errors.Join(err1, err2, err3, os.WriteFile(filepath.Join(dir, "old.p12"), old, 0o600),
		os.WriteFile(filepath.Join(dir, "modern.p12"), modern, 0o600), os.WriteFile(filepath.Join(dir, "clear.pem"), text, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOldFilesInFIPSOnlyMode$", "-test.v")
	cmd.Env = append(os.Environ(), "POSTERN_FIPS_CHILD="+dir, "GODEBUG=fips140=only")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func readInFIPSMode(t *testing.T, dir string) {
	for name, password := range map[string]string{"old.p12": "secret", "modern.p12": "secret", "clear.pem": ""} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := keyfile.Parse(file, password)
		var e *keyfile.Error
		switch {
		case name == "old.p12":
			if !errors.As(err, &e) || e.Reason != keyfile.ReasonUnsupported || !strings.Contains(err.Error(), "FIPS") || !strings.Contains(e.Remedy, "openssl pkcs12") {
				t.Errorf("%s: %v", name, err)
			}
		case name == "clear.pem" && (err != nil || len(got.Credentials) != 1):
			t.Errorf("%s: %v", name, err)
		case err != nil && !errors.As(err, &e):
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	for _, e := range corpus.Walk(t, "smime") { // whatever is in them: no panic
		if ext := filepath.Ext(e.File); ext == ".p12" || ext == ".pfx" {
			_, err := keyfile.Parse(e.Read(t), strings.TrimSuffix(filepath.Base(e.File), ext))
			t.Logf("%s: %v", e.File, err)
		}
	}
}
