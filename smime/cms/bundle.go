package cms

import (
	"bytes"
	"crypto/x509"
	"io"

	"go.mozilla.org/pkcs7" // certs-only bundles, behind the scan below; used nowhere else outside tests

	"postern/smime/cms/ber"
)

// MaxBundle bounds a certs-only bundle, in octets; a trust bundle of 150 anchors has about 110 KB.
const MaxBundle = 4 << 20

// MaxBundleCerts bounds the certificates of one bundle.
const MaxBundleCerts = 5000

// ParseBundle reads the certificates of a certs-only SignedData (RFC 8551 §3.8), DER or BER, signed
// or not: the signature is the business of whoever asked for the bundle. A certificate that does not
// parse is passed over and counted in skipped.
//
// The octets reach the pkcs7 package only after the bounded scanner has walked them and given them
// definite lengths: that package recurses without limit and takes quadratic time on crafted BER.
// Where it cannot read what the scanner can, the scanner's own reading stands.
func ParseBundle(b []byte) (certs []*x509.Certificate, skipped int, err error) {
	if len(b) > MaxBundle {
		return nil, 0, failf(ReasonLimit, "bundle longer than %d octets", MaxBundle)
	}
	raws, other, err := scanBundle(b)
	if err != nil {
		return nil, 0, err
	}
	skipped = other
	definite, err := ber.Definite(bytes.TrimRight(b, "\x00\r\n \t"))
	if err == nil {
		if p7, perr := pkcs7.Parse(definite); perr == nil && len(p7.Certificates) == len(raws) && other == 0 {
			return p7.Certificates, 0, nil
		}
	}
	for _, raw := range raws {
		c, err := x509.ParseCertificate(raw)
		if err != nil {
			skipped++
			continue
		}
		certs = append(certs, c)
	}
	return certs, skipped, nil
}

// scanBundle walks the SignedData and returns its certificates as they stand; other counts
// members of the set that are no X.509 certificates.
func scanBundle(b []byte) (raws [][]byte, other int, err error) {
	m, err := Read(bytes.NewReader(b))
	if err != nil {
		return nil, 0, err
	}
	s, err := m.Signed()
	if err != nil {
		return nil, 0, err
	}
	if s.content != nil {
		if _, err := io.Copy(io.Discard, s.content); err != nil {
			return nil, 0, wrap("encapsulated content", err)
		}
	}
	s.bundle = true
	if err := s.Finish(); err != nil {
		return nil, 0, err
	}
	return s.rawCerts, s.otherCerts, nil
}

// WriteBundle makes a certs-only SignedData (DER) of the certificates.
func WriteBundle(certs []*x509.Certificate) ([]byte, error) {
	var raw []byte
	for _, c := range certs {
		raw = append(raw, c.Raw...)
	}
	return pkcs7.DegenerateCertificate(raw)
}
