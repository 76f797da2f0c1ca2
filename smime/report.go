package smime

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"postern/smime/cms"
)

// ReportVersion is the format number of stored receipts.
const ReportVersion = 1

// Leniency is one deviation in form that was accepted, by name. Each has a test.
type Leniency string

// Leniencies of the reader (spec: lenient in form, strict in substance).
const (
	LenientMediaType    Leniency = "media_type"         // QUIRK: x-pkcs7 types, or octet-stream with a .p7m name
	LenientNoEncoding   Leniency = "transfer_encoding"  // QUIRK: base64 without saying so
	LenientBase64       Leniency = "base64"             // QUIRK: characters outside the alphabet
	LenientPKCS1        Leniency = "pkcs1_v1_5"         // QUIRK: .NET and older Java senders
	LenientSignKey      Leniency = "signing_only_key"   // encrypted to a certificate for signing only
	LenientUnwrapped    Leniency = "unwrapped"          // QUIRK: agents before version 1.2; outer header used
	LenientWrapEncoding Leniency = "wrapper_encoding"   // QUIRK: message/rfc822 in base64 or quoted-printable
	LenientOpaque       Leniency = "opaque_signature"   // QUIRK: Outlook and others sign opaquely
	LenientLineEnds     Leniency = "line_ends"          // QUIRK: OpenSSL without -crlfeol; verified in CRLF form
	LenientFinalBreak   Leniency = "final_line_end"     // QUIRK: last line end dropped or added on the way
	LenientAttributes   Leniency = "attribute_order"    // QUIRK: attributes not in DER order
	LenientNoAttributes Leniency = "no_attributes"      // signature over the content itself
	LenientNotClosed    Leniency = "no_close_delimiter" // the multipart was never closed
	LenientMicalg       Leniency = "micalg"             // micalg missing or not what the signer used
	LenientUnknownRcpt  Leniency = "unknown_recipients" // recipient kinds this gateway does not know
	LenientLegacy       Leniency = "legacy"             // SHA-1 or 3DES, allowed by the caller
	LenientSkippedCerts Leniency = "skipped_certificates"
)

// words is a leniency in plain words.
func (l Leniency) words() string {
	switch l {
	case LenientMediaType:
		return "the media type is an old or a general one; the content decided"
	case LenientNoEncoding:
		return "the transfer encoding was missing or wrong; the content decided"
	case LenientBase64:
		return "characters that are not base64 were skipped"
	case LenientPKCS1:
		return "the content key came by RSA PKCS#1 v1.5, the older way"
	case LenientSignKey:
		return "the message is encrypted to a certificate that is only for signing"
	case LenientUnwrapped:
		return "the message is not wrapped: its From, To and Subject were not signed"
	case LenientWrapEncoding:
		return "the wrapped message was carried in a transfer encoding, which the standard forbids"
	case LenientOpaque:
		return "the signature encloses the content instead of standing beside it"
	case LenientLineEnds:
		return "the signature is right only with CR LF line ends, so that form was kept"
	case LenientFinalBreak:
		return "the signature is right only with one line end more or less at the end, so that form was kept"
	case LenientAttributes:
		return "the signed attributes were not in the standard order"
	case LenientNoAttributes:
		return "the signature has no signed attributes"
	case LenientNotClosed:
		return "the end of the signed message is not marked"
	case LenientMicalg:
		return "the announced digest is not the one the signer used"
	case LenientUnknownRcpt:
		return "the message has recipients of a kind this gateway does not know"
	case LenientLegacy:
		return "an algorithm was accepted only because legacy algorithms are allowed here"
	case LenientSkippedCerts:
		return "certificates in the message could not be read and were passed over"
	}
	return string(l)
}

// KeyRef names a certificate in receipts.
type KeyRef struct {
	Subject string `json:"subject"`
	Serial  string `json:"serial"`
	SHA256  string `json:"sha256"` // of the certificate, lower-case hex
}

func refOf(c *x509.Certificate) KeyRef {
	if c == nil {
		return KeyRef{}
	}
	sum := sha256.Sum256(c.Raw)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return KeyRef{Subject: nameOf(c.Subject), Serial: c.SerialNumber.Text(16), SHA256: string(text[:])}
}

// Report is the security receipt of an opened message: what protected it, in names. It holds
// nothing of the content.
type Report struct {
	V            int          `json:"v"`
	Envelope     string       `json:"envelope"`
	Cipher       string       `json:"cipher"`
	KeyTransport string       `json:"key_transport"`
	Key          KeyRef       `json:"key"`
	Recipients   int          `json:"recipients"`
	Signature    string       `json:"signature"` // detached or opaque
	Wrapped      bool         `json:"wrapped"`
	Signers      []SignerLine `json:"signers"`
	Leniencies   []Leniency   `json:"leniencies"`
}

// SignerLine is one signer in a receipt.
type SignerLine struct {
	Cert      KeyRef `json:"cert"`
	Reason    Reason `json:"reason"`
	Digest    string `json:"digest"`
	Algorithm string `json:"algorithm"`
}

func (r *Report) lenient(l Leniency) {
	for _, have := range r.Leniencies {
		if have == l {
			return
		}
	}
	r.Leniencies = append(r.Leniencies, l)
}

// Words is the receipt in plain words, one sentence each.
func (r Report) Words() []string {
	out := []string{
		fmt.Sprintf("Encrypted with %s (%s) for %d recipient(s); opened with the key of %s, which came by %s.",
			strings.ToUpper(r.Cipher), r.Envelope, r.Recipients, r.Key.Subject, r.KeyTransport),
	}
	for _, s := range r.Signers {
		if s.Reason == "" {
			out = append(out, fmt.Sprintf("Signed by %s with %s and %s.", s.Cert.Subject, s.Algorithm, strings.ToUpper(s.Digest)))
		} else {
			out = append(out, fmt.Sprintf("A signer does not count (%s): %s.", s.Cert.Subject, Explain(s.Reason)))
		}
	}
	for _, l := range r.Leniencies {
		out = append(out, "Accepted although "+l.words()+".")
	}
	return out
}

// SealReport says what Seal did. It holds nothing of the content.
type SealReport struct {
	V          int             `json:"v"`
	Cipher     string          `json:"cipher"`
	Digest     string          `json:"digest"`
	Signature  string          `json:"signature"`
	Signer     KeyRef          `json:"signer"`
	Recipients []SealRecipient `json:"recipients"`
	InnerSize  int64           `json:"inner_size"`
	SealedSize int64           `json:"sealed_size"`
}

// SealReports are those of all the envelopes of one message. A single report is read as a list of one.
type SealReports []SealReport

// UnmarshalJSON reads a list, or one report.
func (rs *SealReports) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(string(bytes.TrimSpace(b)), "{") {
		*rs = make(SealReports, 1)
		return json.Unmarshal(b, &(*rs)[0])
	}
	var list []SealReport
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*rs = list
	return nil
}

// SealRecipient is one recipient certificate, how its key travels, and why the algorithms are these.
type SealRecipient struct {
	Cert      KeyRef   `json:"cert"`
	Transport string   `json:"transport"`
	Why       []string `json:"why,omitempty"`
}

// Words is the report in plain words.
func (r SealReport) Words() []string {
	out := []string{
		fmt.Sprintf("Signed by %s with %s and %s.", r.Signer.Subject, r.Signature, strings.ToUpper(r.Digest)),
	}
	for _, k := range r.Recipients {
		line := fmt.Sprintf("Encrypted with %s for %s, key by %s", strings.ToUpper(r.Cipher), k.Cert.Subject, k.Transport)
		if len(k.Why) > 0 {
			line += " (" + strings.Join(k.Why, "; ") + ")"
		}
		out = append(out, line+".")
	}
	return out
}

// Capability is an algorithm a signer says it can use.
type Capability = cms.Capability
