package bundle

import (
	"context"
	"crypto/x509"
	"encoding/xml"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"postern/trust/chain"
)

// accepts reports whether a signer is configured: itself, or issued below a configured CA (TB-40).
func (o Options) accepts(signer *x509.Certificate, others []*x509.Certificate) bool {
	if len(o.Signers) == 0 {
		return chain.KeyFault(signer) == nil
	}
	res := chain.Build(context.Background(), chain.Request{
		Leaf: signer, Extra: others, Anchors: []*chain.Set{chain.NewSet(o.Signers)}, Rules: chain.Rules{Time: o.Time},
	}, nil)
	return res.Path != nil
}

// Metadata is what the publisher says of the bundle (TB-12).
type Metadata struct {
	Profile            string    `json:"profile"`
	DistributionPoints []string  `json:"distribution_points"`
	ValidFrom          time.Time `json:"valid_from,omitzero"`
	ValidTo            time.Time `json:"valid_to,omitzero"`
	Text               string    `json:"-"` // the XML as it stands
}

// readMetadata reads the XML, as far as it is well-formed: it decides nothing.
func (b *Bundle) readMetadata(content []byte) {
	if len(content) == 0 || len(content) > MaxMetadata {
		return
	}
	var x struct {
		XMLName            xml.Name `xml:"TrustBundle"`
		Profile            string
		DistributionPoint  []string
		ValidFrom, ValidTo string
	}
	if xml.Unmarshal(content, &x) != nil {
		b.Metadata = &Metadata{Text: string(content)}
		return
	}
	b.Metadata = &Metadata{Profile: x.Profile, DistributionPoints: x.DistributionPoint, Text: string(content)}
	b.Metadata.ValidFrom, _ = time.Parse(time.RFC3339, x.ValidFrom)
	b.Metadata.ValidTo, _ = time.Parse(time.RFC3339, x.ValidTo)
}

// nameOf names a certificate that does not parse, as far as it can be read: its common name, else its place.
func nameOf(raw []byte, place int) string {
	in := cryptobyte.String(raw)
	var c, tbs, subject cryptobyte.String
	if in.ReadASN1(&c, der.SEQUENCE) && c.ReadASN1(&tbs, der.SEQUENCE) &&
		tbs.SkipOptionalASN1(der.Tag(0).ContextSpecific().Constructed()) &&
		tbs.SkipASN1(der.INTEGER) && tbs.SkipASN1(der.SEQUENCE) && tbs.SkipASN1(der.SEQUENCE) && tbs.SkipASN1(der.SEQUENCE) &&
		tbs.ReadASN1Element(&subject, der.SEQUENCE) {
		if name := chain.NameText(subject); name != "" {
			return name
		}
	}
	return fmt.Sprintf("certificate number %d", place+1)
}
