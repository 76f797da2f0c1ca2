//go:build !pkcs11 || !cgo

package gateway_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/certs/hsm"
	"postern/gateway/keyring"
	"postern/gateway/lab"
	"postern/gateway/store"
	"postern/smime/addr"
)

// A build without PKCS#11 refuses to open a site whose configuration names a device, and says where and what
// to do; the same site without that setting opens, and says which keys it lacks.
func TestADeviceInABuildWithoutPKCS11(t *testing.T) {
	ctx := context.Background()
	l, err := lab.New(ctx, lab.Options{Dir: t.TempDir(), Domains: domains(), Like: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := l.Sites[0]
	if err := s.Open(ctx); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Store.Credentials(ctx, s.Domain)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d credentials, %v", len(rows), err)
	}
	inDevice := rows[0]
	inDevice.ID, inDevice.SealedKey = strings.Repeat("d", 64), []byte{}
	if err := s.Store.AddCredential(ctx, inDevice, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	said := false
	for _, f := range s.Check(ctx) {
		said = said || f.Level == "error" && strings.Contains(f.Text, "PKCS#11 device, and none is configured")
	}
	if !said {
		t.Errorf("check does not name the missing device: %+v", s.Check(ctx))
	}
	if _, err := s.Ring.Decryption(ctx, addr.MustParse("dr@"+s.Name)); !errors.Is(err, keyring.ErrNoDevice) {
		t.Errorf("its keys: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "\n[hsm]\nmodule = \"libdevice.so\"\ntoken = \"t\"\n"...)
	if err := os.WriteFile(s.File, text, 0o600); err != nil {
		t.Fatal(err)
	}
	err = s.Open(ctx)
	if !errors.Is(err, hsm.ErrNotBuilt) || !strings.Contains(err.Error(), filepath.Base(s.File)+" line ") || !strings.Contains(err.Error(), "hsm.module") ||
		!strings.Contains(err.Error(), "-tags pkcs11") {
		t.Errorf("opened, or not said clearly: %v", err)
	}
}
