//go:build !pkcs11 || !cgo

package hsm

import (
	"crypto/x509"

	"postern/certs"
)

// Device is an open token; never made by this build.
type Device struct{}

// Open always fails with ErrNotBuilt.
func Open(Config) (*Device, error) { return nil, ErrNotBuilt }

// Credential always fails with ErrNotBuilt.
func (*Device) Credential(*x509.Certificate, []*x509.Certificate) (certs.Credential, error) {
	return certs.Credential{}, ErrNotBuilt
}

// Close does nothing.
func (*Device) Close() error { return nil }
