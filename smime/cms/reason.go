package cms

import (
	"errors"
	"fmt"
	"io"

	"postern/smime/cms/ber"
)

// Reason says in one word why an object could not be read or a signature does not count.
// The empty Reason means nothing is wrong.
type Reason string

// Reasons of this package. A legacy algorithm is refused unless the caller allows legacy; a
// forbidden one always.
const (
	ReasonMalformed     Reason = "malformed"              // not valid BER, or not the CMS structure it claims
	ReasonTruncated     Reason = "truncated"              // ends before the structure does
	ReasonTrailing      Reason = "trailing_data"          // something follows the structure
	ReasonLimit         Reason = "limit"                  // more than this gateway reads
	ReasonBusy          Reason = "busy"                   // memory or the key's device is not to be had just now; temporary
	ReasonUnsupported   Reason = "unsupported"            // a content type or algorithm this gateway does not have
	ReasonLegacy        Reason = "legacy_algorithm"       // SHA-1 or 3DES, and legacy is not allowed
	ReasonForbidden     Reason = "forbidden_algorithm"    // MD5, DES, RC2, RC4: never accepted
	ReasonNoKey         Reason = "no_key"                 // no recipient of the envelope is a key of ours
	ReasonUndecryptable Reason = "undecryptable"          // every failure of decryption, whatever its cause (CMS-30)
	ReasonNoSigner      Reason = "no_signer"              // a SignedData without any SignerInfo
	ReasonNoCertificate Reason = "no_signer_certificate"  // the signer's certificate is not in the message (AS-85)
	ReasonAttributes    Reason = "bad_signed_attributes"  // content-type or message-digest missing, wrong or doubled
	ReasonDigest        Reason = "digest_mismatch"        // the content is not what was signed
	ReasonSignature     Reason = "bad_signature"          // the signature value does not verify
	ReasonMismatch      Reason = "algorithm_mismatch"     // signature and digest algorithm contradict each other
	ReasonOtherCert     Reason = "signing_certificate"    // the signing-certificate attribute names another certificate
	ReasonConfusion     Reason = "attribute_confusion"    // content without signed attributes that itself is a set of attributes
	ReasonKeySize       Reason = "signer_key_size"        // a signer key larger than this gateway is willing to compute with
	ReasonDetached      Reason = "detached_content_twice" // content both beside and inside the signature
	ReasonContentType   Reason = "content_type"           // what was signed is said to be something else than mail, such as a time stamp
)

// Error is a failure to read or write CMS.
type Error struct {
	Reason Reason
	Detail string // for operators
	Err    error  // what lies beneath, if anything
}

func (e *Error) Error() string {
	s := "cms: " + string(e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func failf(r Reason, format string, args ...any) error {
	return &Error{Reason: r, Detail: fmt.Sprintf(format, args...)}
}

// ReasonOf is the Reason of an error of this package or of the BER reader; "" for other errors
// (a failing source is not a fault of the message).
func ReasonOf(err error) Reason {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Reason
	case errors.Is(err, ber.ErrTruncated), errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated
	case errors.Is(err, ber.ErrLimit):
		return ReasonLimit
	case errors.Is(err, ber.ErrSyntax):
		return ReasonMalformed
	}
	return ""
}

// wrap gives an error of the BER reader its Reason; others pass.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	if r := ReasonOf(err); r != "" {
		return &Error{Reason: r, Detail: what, Err: err}
	}
	return fmt.Errorf("cms: %s: %w", what, err)
}
