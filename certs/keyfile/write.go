package keyfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"postern/certs"

	pkcs12 "software.sslmate.com/src/go-pkcs12" // writes PKCS#12 in every form that is asked for
)

// WritePEM writes certificate, chain and, when asked for, the private key as clear PKCS#8.
func WritePEM(c certs.Credential, withKey bool) ([]byte, error) {
	var out bytes.Buffer
	for _, cert := range append([]*x509.Certificate{c.Cert}, c.Chain...) {
		if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); err != nil {
			return nil, fmt.Errorf("keyfile: %w", err)
		}
	}
	if !withKey {
		return out.Bytes(), nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.Key)
	if err != nil {
		return nil, fail(ReasonUnsupported, "a key in a hardware module cannot be exported", "private key cannot be written: %v", err)
	}
	if err := pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	return out.Bytes(), nil
}

// WritePKCS12 writes one credential with its key under AES-256 and PBKDF2, as OpenSSL 1.1.1, Java 12
// and Windows Server 2019 and later read it; legacy writes 3DES and SHA-1 for older ones. A pair of
// single-use credentials is two files. An empty password is refused.
func WritePKCS12(c certs.Credential, password string, legacy bool) ([]byte, error) {
	const rounds = 100_000
	if password == "" {
		return nil, fail(ReasonPassword, "give one with --password-file", "a private key is not written without a password")
	}
	encoder := pkcs12.Modern2023.WithIterations(rounds)
	if legacy {
		encoder = pkcs12.LegacyDES
	}
	file, err := encoder.Encode(c.Key, c.Cert, c.Chain, password)
	if err != nil {
		return nil, fail(ReasonUnsupported, "", "PKCS#12 file cannot be written: %v", err)
	}
	return file, nil
}
