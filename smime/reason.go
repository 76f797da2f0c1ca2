package smime

import "postern/smime/cms"

// Reason says why a message was not opened, or why one of its signers does not count. It is one
// enumeration with package cms, whose Reasons come through unchanged.
type Reason = cms.Reason

// Reasons of the message around the CMS objects, beside those of package cms.
const (
	ReasonNotSMIME     Reason = "not_smime"     // neither by its type nor by its octets
	ReasonNotEncrypted Reason = "not_encrypted" // signed or compressed, but in the clear (AS-42)
	ReasonUnsigned     Reason = "unsigned"      // decrypted, and nothing inside is signed (AS-42)
	ReasonStructure    Reason = "structure"     // the signed message is not exactly content and signature (CMS-32)
	ReasonNested       Reason = "nested"        // an envelope inside the envelope: not Direct
	ReasonHeader       Reason = "header"        // a header that cannot be read, or be written
)

// Error is a message that could not be opened or sealed.
type Error struct {
	Reason  Reason
	Detail  string   // for operators only; peers never see it (AS-96)
	Signers []Signer // when signers were evaluated and none is valid
	// Decrypted says that the envelope was opened and only what is inside was refused.
	Decrypted bool
	Err       error
}

func (e *Error) Error() string {
	s := "smime: " + string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func fail(r Reason, detail string) error { return &Error{Reason: r, Detail: detail} }

// lift gives an error of the layers below its Reason; an error of the source or the scratch stays
// what it is, because it is no fault of the message.
func lift(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*Error); ok {
		return err
	}
	if r := cms.ReasonOf(err); r != "" {
		return &Error{Reason: r, Detail: err.Error(), Err: err}
	}
	return err
}

// Explain is the Reason in plain words, for operators.
func Explain(r Reason) string {
	if text, ok := explanations()[r]; ok {
		return text
	}
	return string(r)
}

func explanations() map[Reason]string {
	return map[Reason]string{
		"":                      "nothing is wrong",
		ReasonNotSMIME:          "the message is not S/MIME",
		ReasonNotEncrypted:      "the message is not encrypted",
		ReasonUnsigned:          "the message is encrypted, but nothing inside it is signed",
		ReasonStructure:         "the signed message does not consist of exactly one content and one signature",
		ReasonNested:            "there is a second envelope inside the envelope",
		ReasonHeader:            "a header field cannot be used",
		cms.ReasonMalformed:     "the S/MIME structure is damaged",
		cms.ReasonTruncated:     "the S/MIME structure ends too early",
		cms.ReasonTrailing:      "there is data after the end of the S/MIME structure",
		cms.ReasonLimit:         "the message is larger or more complicated than this gateway reads",
		cms.ReasonBusy:          "what opening it needs is not free just now (memory for authenticated encryption, or the device that holds the key); it is tried again",
		cms.ReasonUnsupported:   "an algorithm or structure is used that this gateway does not have",
		cms.ReasonLegacy:        "SHA-1 or 3DES is used, which is only accepted where legacy algorithms are allowed",
		cms.ReasonForbidden:     "an algorithm is used that is never accepted (MD5, DES, RC2, RC4)",
		cms.ReasonNoKey:         "the message is not encrypted to any key of ours",
		cms.ReasonUndecryptable: "the message could not be decrypted",
		cms.ReasonNoSigner:      "the signature structure holds no signer",
		cms.ReasonNoCertificate: "the signer's certificate is not in the message",
		cms.ReasonAttributes:    "the signed attributes are missing, doubled or wrong",
		cms.ReasonDigest:        "the content was altered after it was signed",
		cms.ReasonSignature:     "the signature does not verify with the signer's key",
		cms.ReasonMismatch:      "the signature's algorithms contradict each other",
		cms.ReasonOtherCert:     "the signature names another certificate than the one it verifies with",
		cms.ReasonConfusion:     "the content could be the signed attributes of another message",
		cms.ReasonKeySize:       "the signer's key is larger than this gateway computes with",
		cms.ReasonContentType:   "what was signed is no mail but something else, such as a time stamp",
		cms.ReasonDetached:      "the content is both beside the signature and inside it",
	}
}

// Reasons lists every Reason, for tests that hold others to having words for each.
func Reasons() []Reason {
	var out []Reason
	for r := range explanations() {
		if r != "" {
			out = append(out, r)
		}
	}
	return out
}
