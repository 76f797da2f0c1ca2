package keyfile

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

var (
	oidPlainData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidCertsOnly = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
)

// certsOnly is a SignedData without content and signers (RFC 5652 §5.1, RFC 8551 §3.2.1).
type certsOnly struct {
	Version int
	Digests asn1.RawValue
	Content struct{ Type asn1.ObjectIdentifier }
	Certs   asn1.RawValue
	Signers asn1.RawValue
}

// WritePKCS7 writes certificates alone, in DER, in the order given: the .p7b that authorities and Windows take. At
// least one, MaxCerts at most.
func WritePKCS7(list []*x509.Certificate) ([]byte, error) {
	if len(list) == 0 || len(list) > MaxCerts {
		return nil, fail(ReasonNoCert, "", "%d certificates, 1 to %d in one file", len(list), MaxCerts)
	}
	empty := asn1.RawValue{Tag: asn1.TagSet, IsCompound: true}
	body := certsOnly{Version: 1, Digests: empty, Signers: empty, Certs: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true}}
	body.Content.Type = oidPlainData
	for _, c := range list {
		body.Certs.Bytes = append(body.Certs.Bytes, c.Raw...)
	}
	inner, err := asn1.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	der, err := asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{oidCertsOnly, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}})
	if err != nil {
		return nil, fmt.Errorf("keyfile: %w", err)
	}
	return der, nil
}
