package gateway

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"postern/certs"
	"postern/certs/hsm"
	"postern/certs/keyfile"
	"postern/gateway/edge/control"
	"postern/gateway/keyring"
	"postern/gateway/store"
)

// pinCredential is the systemd credential that the device's PIN is read from where no file is named.
const pinCredential = "postern-hsm-pin"

// maxPIN bounds the file with the PIN, in octets.
const maxPIN = 1 << 10

// openDevice opens the PKCS#11 device of the configuration. A build without PKCS#11 says so here, before
// anything is served.
func (s *Site) openDevice(o Options) error {
	c := s.Config.HSM
	if c.Module == "" {
		return nil
	}
	// Without a module nothing is opened, and no login is tried that a token would count.
	if _, err := hsm.Open(hsm.Config{}); errors.Is(err, hsm.ErrNotBuilt) {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where("hsm", "module"), err)
	}
	pin, err := readPIN(c.PINFile, o.Credentials)
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where("hsm", "pin_file"), err)
	}
	d, err := hsm.Open(hsm.Config{Module: c.Module, Token: c.Token, PIN: pin})
	if err != nil {
		return fmt.Errorf("gateway: %s: %w", s.Config.Where("hsm", "module"), err)
	}
	s.device = d
	return nil
}

func readPIN(file, credentials string) (string, error) {
	if file == "" {
		if credentials == "" {
			return "", errors.New("no file is named, and there is no systemd credential " + pinCredential)
		}
		file = filepath.Join(credentials, pinCredential)
	}
	st, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if st.Size() > maxPIN {
		return "", fmt.Errorf("%s has %d octets, at most %d are read", file, st.Size(), maxPIN)
	}
	b, err := os.ReadFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

// keyDevice is the device as the keyring takes it.
func (s *Site) keyDevice() keyring.Device {
	if s.device == nil {
		return nil
	}
	return s.device
}

// CertImportDevice stores the certificates of a file whose private keys are in the device. Certificates of
// authorities in the file make up their chains.
func (a Admin) CertImportDevice(ctx context.Context, file []byte) ([]store.Credential, error) {
	creds, err := a.deviceCredentials(file)
	if err != nil {
		return nil, err
	}
	return a.certStore(ctx, creds, "cert.import_device")
}

// deviceCredentials joins the certificates of a file with their keys in the device.
func (a Admin) deviceCredentials(file []byte) ([]certs.Credential, error) {
	if a.s.device == nil {
		return nil, errors.New("gateway: no PKCS#11 device is configured: set [hsm] in postern.toml")
	}
	content, err := keyfile.Parse(file, "")
	if err != nil {
		return nil, err
	}
	if len(content.Credentials) > 0 {
		return nil, errors.New("gateway: the file holds a private key: give the certificate alone, its key stays in the device")
	}
	var leaves, others []*x509.Certificate
	for _, c := range content.Others {
		if c.IsCA {
			others = append(others, c)
		} else {
			leaves = append(leaves, c)
		}
	}
	if len(leaves) == 0 {
		return nil, errors.New("gateway: the file holds no end-entity certificate")
	}
	var creds []certs.Credential
	for _, c := range leaves {
		found, err := a.s.device.Credential(c, keyfile.Chain(c, others))
		if err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		creds = append(creds, found)
	}
	return creds, nil
}

// certImportDevice is the verb; the file is the call's raw bytes.
func certImportDevice(ctx context.Context, a Admin, _ json.RawMessage, body io.Reader) (control.Answer, error) {
	file, err := io.ReadAll(io.LimitReader(body, keyfile.MaxFile+1))
	if err != nil {
		return control.Answer{}, err
	}
	rows, err := a.CertImportDevice(ctx, file)
	return control.Answer{Value: ids(rows)}, err
}

// inDevice reports whether a credential's key stays in the device, so that there is nothing to seal.
func (s *Site) inDevice(c certs.Credential) bool {
	return s.device != nil && hsm.Holds(c.Key)
}

// checkDevice looks whether the keys that are said to be in the device are there, and can do what their
// certificates are for.
func (s *Site) checkDevice(add func(level, about, format string, args ...any), name string, c store.Credential) {
	if len(c.SealedKey) > 0 {
		return
	}
	cert, err := x509.ParseCertificate(c.Certificate)
	if err != nil {
		add("error", name, "certificate %s: %v", c.ID[:16], err)
		return
	}
	if s.device == nil {
		add("error", name, "certificate %s: %v", c.ID[:16], keyring.ErrNoDevice)
		return
	}
	found, err := s.device.Credential(cert, nil)
	if err != nil {
		add("error", name, "certificate %s: %v", c.ID[:16], err)
		return
	}
	add("ok", name, "the key of certificate %s is in the device", c.ID[:16])
	if certs.CanReceive(cert) && !found.CanDecrypt() {
		add("warning", name, "certificate %s: %s", c.ID[:16], hsm.NoECDecryption)
	}
}
