package issue

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"postern/smime/addr"
)

// MaxRequest is the longest signing request read, in octets.
const MaxRequest = 64 << 10

// ErrRequest says that a signing request cannot be used, and why.
var ErrRequest = errors.New("issue: signing request refused")

// Request makes a PKCS#10 certificate signing request (DER) for a real authority, asking for the
// names, key usage and emailProtection the certificate will need. The key of o must be set.
func Request(o LeafOptions) ([]byte, error) {
	if o.Key == nil {
		return nil, errors.New("issue: a signing request needs the key")
	}
	subject, emails, domains, err := names(o)
	if err != nil {
		return nil, err
	}
	usage, err := keyUsage(o.Use, o.Key.Public())
	if err != nil {
		return nil, err
	}
	extensions, err := requestExtensions(usage)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: subject, EmailAddresses: emails, DNSNames: domains,
		ExtraExtensions: extensions, SignatureAlgorithm: algorithmFor(o.Key),
	}, o.Key)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return der, nil
}

// requestExtensions are keyUsage (critical) and extKeyUsage emailProtection, as RFC 5280 writes them.
func requestExtensions(usage x509.KeyUsage) ([]pkix.Extension, error) {
	var octet byte
	bits := 0
	for i, u := range []x509.KeyUsage{x509.KeyUsageDigitalSignature, 0, x509.KeyUsageKeyEncipherment, 0, x509.KeyUsageKeyAgreement} {
		if u != 0 && usage&u != 0 {
			octet |= 0x80 >> i
			bits = i + 1
		}
	}
	ku, err := asn1.Marshal(asn1.BitString{Bytes: []byte{octet}, BitLength: bits})
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	eku, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 4}})
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: ku},
		{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: eku},
	}, nil
}

// FromRequest issues for somebody else's key: the request must be signed by that key and ask for
// exactly the one name that o allows. Everything else comes from o, nothing from the request.
func (a *Authority) FromRequest(der []byte, o LeafOptions) (*x509.Certificate, error) {
	if len(der) > MaxRequest {
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrRequest, len(der), MaxRequest)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRequest, err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrRequest, err)
	}
	if !asksFor(req, o) {
		return nil, fmt.Errorf("%w: it asks for %v %v, not for the name allowed", ErrRequest, req.EmailAddresses, req.DNSNames)
	}
	return a.issueLeaf(o, req.PublicKey)
}

func asksFor(req *x509.CertificateRequest, o LeafOptions) bool {
	if len(req.EmailAddresses)+len(req.DNSNames) != 1 {
		return false
	}
	if len(req.EmailAddresses) == 1 {
		got, err := addr.Parse(req.EmailAddresses[0])
		return err == nil && !o.Address.IsZero() && got.Equal(o.Address)
	}
	got, err := addr.ParseDomain(req.DNSNames[0])
	return err == nil && !o.Domain.IsZero() && got == o.Domain
}
