package certs

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
)

// MaxCertificate is the longest certificate read from outside, in octets. Real ones of the network
// have 1 to 3 KiB.
const MaxCertificate = 64 << 10

// ErrTooLong says that a certificate is longer than MaxCertificate.
var ErrTooLong = errors.New("certs: certificate too long")

// Parse reads one DER certificate from outside. Octets after the certificate are dropped (CD-62):
// directories and hand-made zone files are seen to pad values.
func Parse(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrTooLong, len(der), MaxCertificate)
	}
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &outer); err == nil && len(rest) > 0 {
		der = der[:len(der)-len(rest)]
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	return cert, nil
}
