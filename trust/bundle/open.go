package bundle

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"postern/smime/cms"
	"postern/smime/cms/armour"
	"postern/smime/cms/ber"
	"postern/trust/chain"
)

// idSignedData is 1.2.840.113549.1.7.2, encoded with its tag.
var idSignedData = []byte{6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}

// member is one certificate of a file; cert is set where it was parsed on the way.
type member struct {
	raw  []byte
	cert *x509.Certificate
}

// open finds the certificates of a file by its structure, judging a signature on the way.
func (b *Bundle) open(data []byte, o Options) ([]member, error) {
	data = bytes.TrimLeft(armour.Plain(data), " \t\r\n") // not at the end: DER may end in any octet
	if raws, object := pemParts(data); len(raws) > 0 && object == nil {
		return raws, o.unsigned()
	} else if object != nil {
		data = object
	} else if !isText(data) {
		// DER
	} else if plain, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(data), nil))); err == nil && len(plain) > 0 {
		data = plain // QUIRK: bundles published as bare base64
	}
	switch {
	case isSignedData(data):
		return b.openSignedData(data, o)
	case len(data) > 0 && data[0] == 0x30:
		raws, err := concatenated(data)
		if err != nil {
			return nil, err
		}
		return raws, o.unsigned()
	}
	if len(data) == 0 {
		return nil, failf(InvalidFormat, "it is empty: no octets at all")
	}
	return nil, failf(InvalidFormat, "neither PKCS#7 nor certificates; it begins with %.40q", head(data))
}

// isText looks at the beginning only: base64 has no octet outside ASCII, and DER soon has one.
func isText(data []byte) bool {
	for _, b := range data[:min(len(data), 64)] {
		if b >= 0x7f || b < ' ' && b != '\r' && b != '\n' && b != '\t' {
			return false
		}
	}
	return true
}

func head(b []byte) string { return string(b[:min(len(b), 40)]) }

// unsigned is TB-43: with a configured signer, an unsigned bundle is a failure.
func (o Options) unsigned() error {
	if len(o.Signers) > 0 {
		return failf(Unsigned, "a signer is configured and the bundle is not signed")
	}
	return nil
}

// pemParts is the certificates of a PEM text, or its PKCS#7 object (TB-13).
func pemParts(data []byte) (raws []member, object []byte) {
	for len(raws) <= MaxCerts {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		switch {
		case strings.HasSuffix(block.Type, "CERTIFICATE"):
			raws = append(raws, member{raw: block.Bytes})
		case block.Type == "PKCS7" || block.Type == "CMS" || block.Type == "PKCS #7 SIGNED DATA":
			return nil, block.Bytes
		}
	}
	return raws, nil
}

// isSignedData looks for the content type behind the first header, whatever its length form.
func isSignedData(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && bytes.Contains(data[:min(len(data), 24)], idSignedData)
}

// concatenated is certificates one after another in DER.
func concatenated(data []byte) ([]member, error) {
	in := cryptobyte.String(data)
	var raws []member
	for !in.Empty() && len(raws) <= MaxCerts {
		var raw cryptobyte.String
		if !in.ReadASN1Element(&raw, der.SEQUENCE) {
			return nil, failf(InvalidFormat, "after %d certificates comes something else", len(raws))
		}
		raws = append(raws, member{raw: raw})
	}
	return raws, nil
}

// openSignedData reads the CMS forms: the signed one holds another bundle as its content (TB-11), the
// unsigned one holds the certificates itself and perhaps metadata (TB-10, TB-12).
func (b *Bundle) openSignedData(data []byte, o Options) ([]member, error) {
	content, err := contentOf(data)
	if err != nil {
		return nil, err
	}
	if isSignedData(content) {
		if b.Signer, err = o.verify(data, content); err != nil { // TB-42: before the inner one is decoded
			return nil, err
		}
		inner, err := contentOf(content)
		if err != nil {
			return nil, err
		}
		b.readMetadata(inner)
		return rawsOf(content)
	}
	if err := o.unsigned(); err != nil {
		return nil, err
	}
	b.readMetadata(content)
	return rawsOf(data)
}

// contentOf is the encapsulated content of a SignedData; nil when there is none.
func contentOf(data []byte) ([]byte, error) {
	s, err := openCMS(data)
	if err != nil {
		return nil, err
	}
	if s.Content() == nil {
		return nil, nil
	}
	content, err := io.ReadAll(s.Content())
	if err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	return content, nil
}

func openCMS(data []byte) (*cms.Signed, error) {
	m, err := cms.Read(bytes.NewReader(data))
	if err == nil {
		var s *cms.Signed
		if s, err = m.Signed(); err == nil {
			return s, nil
		}
	}
	return nil, failf(InvalidFormat, "%v", err)
}

// rawsOf is the certificates of a SignedData as they stand. cms.ParseBundle walks and bounds it; the
// octets are taken here, so that the ones that do not parse can be named.
func rawsOf(data []byte) ([]member, error) {
	certs, skipped, err := cms.ParseBundle(data)
	if err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	if skipped == 0 {
		raws := make([]member, len(certs))
		for i, c := range certs {
			raws[i] = member{c.Raw, c}
		}
		return raws, nil
	}
	definite, err := ber.Definite(data)
	for cut := 1; err != nil && cut <= maxTrailing && cut < len(data) && strings.IndexByte("\x00\r\n \t", data[len(data)-cut]) >= 0; cut++ {
		definite, err = ber.Definite(data[:len(data)-cut]) // CMS-63: zeros or a line end after the object
	}
	if err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	return members(definite)
}

// maxTrailing is how many octets of padding after the object are tried away.
const maxTrailing = 8

// members walks ContentInfo, SignedData, certificates.
func members(definite []byte) ([]member, error) {
	in := cryptobyte.String(definite)
	var info, wrapped, signed, set cryptobyte.String
	context0 := der.Tag(0).ContextSpecific().Constructed()
	if !in.ReadASN1(&info, der.SEQUENCE) || !info.SkipASN1(der.OBJECT_IDENTIFIER) || !info.ReadASN1(&wrapped, context0) ||
		!wrapped.ReadASN1(&signed, der.SEQUENCE) || !signed.SkipASN1(der.INTEGER) || !signed.SkipASN1(der.SET) ||
		!signed.SkipASN1(der.SEQUENCE) || !signed.ReadASN1(&set, context0) {
		return nil, failf(InvalidFormat, "signed data without certificates")
	}
	var raws []member
	for !set.Empty() {
		var raw cryptobyte.String
		if !set.ReadAnyASN1Element(&raw, nil) {
			return nil, failf(InvalidFormat, "the set of certificates")
		}
		raws = append(raws, member{raw: raw})
	}
	return raws, nil
}

// verify is TB-40, TB-41 and TB-44: one signer whose signature holds over the inner octets, who is
// inside the dates and, where signers are configured, is one of them or issued below one.
func (o Options) verify(data, content []byte) (*x509.Certificate, error) {
	s, err := openCMS(data)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, s.Content()); err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	if err := s.Finish(); err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	if len(s.Signers) == 0 {
		return nil, o.unsigned()
	}
	verdicts, err := s.Verify(cms.VerifyOptions{Start: content[:min(len(content), 16)], Size: int64(len(content)), Digest: func(h crypto.Hash) ([]byte, error) {
		d := h.New()
		d.Write(content)
		return d.Sum(nil), nil
	}})
	if err != nil {
		return nil, failf(InvalidFormat, "%v", err)
	}
	reason := InvalidSignature
	if len(o.Signers) > 0 {
		reason = UnmatchedSigner
	}
	why := "nobody"
	for _, v := range verdicts {
		switch {
		case v.Reason != "":
			why = fmt.Sprintf("%s: %s", v.Reason, v.Detail)
		case o.Time.Before(v.Cert.NotBefore) || o.Time.After(v.Cert.NotAfter):
			why = fmt.Sprintf("%s, valid from %s until %s", chain.Label(v.Cert), day(v.Cert.NotBefore), day(v.Cert.NotAfter))
		case !o.accepts(v.Cert, s.Certificates()):
			why = chain.Label(v.Cert) + ", who is not a configured signer"
		default:
			return v.Cert, nil
		}
	}
	return nil, failf(reason, "signed by %s", why)
}
