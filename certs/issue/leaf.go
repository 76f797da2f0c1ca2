package issue

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"postern/certs"
	"postern/smime/addr"
)

// Use is what a certificate may be used for (AS-15).
type Use string

// The uses. The zero value means Dual.
const (
	Dual    Use = "dual"
	Sign    Use = "sign"
	Encrypt Use = "encrypt"
)

// maxName is ub-common-name and ub-organization-name of RFC 5280 appendix A.1, in characters.
const maxName = 64

// ErrBinding says that a leaf was asked for with no address and no domain, or with both.
var ErrBinding = errors.New("issue: a certificate is bound to one address or to one domain")

// LeafOptions describe an end-entity certificate. Address or Domain (not both) and Now are needed.
type LeafOptions struct {
	Address      addr.Address // address-bound (AS-11)
	Domain       addr.Domain  // domain-bound (AS-12)
	Organization string
	Use          Use
	Key          crypto.Signer // nil makes one of kind Algorithm
	Algorithm    Algorithm
	Now          time.Time
	Life         time.Duration // 0 = LeafLife; cut at the end of the authority
	CRL, AIA     []string      // http URLs of the list and of the issuer's certificate (AS-20)
	OCSP         []string      // http URLs of responders
}

// Leaf issues one end-entity certificate with its key.
func (a *Authority) Leaf(o LeafOptions) (certs.Credential, error) {
	key := o.Key
	if key == nil {
		var err error
		if key, err = NewKey(o.Algorithm); err != nil {
			return certs.Credential{}, err
		}
	}
	cert, err := a.issueLeaf(o, key.Public())
	if err != nil {
		return certs.Credential{}, err
	}
	return certs.NewCredential(cert, a.Chain, key)
}

// Pair issues a signing and an encryption certificate with separate keys for the same name.
func (a *Authority) Pair(o LeafOptions) (signing, encryption certs.Credential, err error) {
	if o.Key != nil {
		return signing, encryption, errors.New("issue: a pair makes its own two keys")
	}
	o.Use = Sign
	if signing, err = a.Leaf(o); err != nil {
		return signing, encryption, err
	}
	o.Use = Encrypt
	encryption, err = a.Leaf(o)
	return signing, encryption, err
}

func (a *Authority) issueLeaf(o LeafOptions, public crypto.PublicKey) (*x509.Certificate, error) {
	if o.Now.IsZero() {
		return nil, errors.New("issue: a certificate needs the time")
	}
	subject, emails, domains, err := names(o)
	if err != nil {
		return nil, err
	}
	usage, err := keyUsage(o.Use, public)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := keyID(public)
	if err != nil {
		return nil, err
	}
	life := o.Life
	if life == 0 {
		life = LeafLife
	}
	end := o.Now.Add(life)
	if end.After(a.Cert.NotAfter) {
		end = a.Cert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject,
		EmailAddresses:        emails,
		DNSNames:              domains,
		NotBefore:             o.Now.Add(-backdate).UTC().Truncate(time.Second),
		NotAfter:              end.UTC().Truncate(time.Second),
		KeyUsage:              usage,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, // AS-16
		BasicConstraintsValid: true,                                                // not a CA (AS-19)
		SubjectKeyId:          id,
		CRLDistributionPoints: o.CRL,
		IssuingCertificateURL: o.AIA,
		OCSPServer:            o.OCSP,
	}
	return sign(template, a.Cert, public, a.Key)
}

// names is the subject and the one subjectAltName value (AS-13). The commonName repeats it for
// people; nothing binds by it (AS-14).
func names(o LeafOptions) (subject pkix.Name, emails, domains []string, err error) {
	switch {
	case o.Address.IsZero() == o.Domain.IsZero():
		return subject, nil, nil, ErrBinding
	case !o.Address.IsZero():
		emails = []string{o.Address.String()}
		subject.CommonName = o.Address.String()
	default:
		domains = []string{o.Domain.String()}
		subject.CommonName = o.Domain.String()
	}
	if utf8.RuneCountInString(subject.CommonName) > maxName {
		subject.CommonName = "" // too long for the field; the SAN is what counts
	}
	if o.Organization != "" {
		subject.Organization = []string{clipName(o.Organization)}
	}
	return subject, emails, domains, nil
}

func keyUsage(use Use, public crypto.PublicKey) (x509.KeyUsage, error) {
	receive := x509.KeyUsageKeyEncipherment
	if _, ok := public.(*ecdsa.PublicKey); ok {
		receive = x509.KeyUsageKeyAgreement
	}
	switch use {
	case "", Dual:
		return x509.KeyUsageDigitalSignature | receive, nil
	case Sign:
		return x509.KeyUsageDigitalSignature, nil
	case Encrypt:
		return receive, nil
	}
	return 0, fmt.Errorf("issue: unknown use %q (dual, sign or encrypt)", use)
}

func clipName(s string) string {
	if utf8.RuneCountInString(s) <= maxName {
		return s
	}
	return string([]rune(s)[:maxName])
}

// RevocationList signs a CRL of the given serial numbers; next is its nextUpdate.
func (a *Authority) RevocationList(number int64, now, next time.Time, serials ...*big.Int) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: now.UTC().Truncate(time.Second), NextUpdate: next.UTC().Truncate(time.Second), SignatureAlgorithm: algorithmFor(a.Key)}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: s, RevocationTime: list.ThisUpdate})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.Cert, a.Key)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	return der, nil
}

// subjectBits is the BIT STRING content of a SubjectPublicKeyInfo, which key identifiers hash
// (RFC 5280 §4.2.1.2); the whole input when it cannot be read.
func subjectBits(spki []byte) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return spki
	}
	return info.Key.Bytes
}
