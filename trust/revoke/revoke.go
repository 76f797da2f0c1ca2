package revoke

import (
	"crypto/x509"
	"time"
)

// State is what is known about a certificate's revocation.
type State string

// The states.
const (
	Good      State = "good"      // a fresh, authentic answer covers it and does not withdraw it
	Revoked   State = "revoked"   // a fresh, authentic answer withdraws it
	Unknown   State = "unknown"   // it names where to ask, and no usable answer came from there
	Unchecked State = "unchecked" // it names nowhere to ask (AS-65: accept with a warning)
)

// Query is one certificate to ask about.
type Query struct {
	Cert    *x509.Certificate
	Issuer  *x509.Certificate // whose key vouches for the answer
	Time    time.Time
	Legacy  bool    // believe SHA-1 signatures on answers
	Fetches *Budget // how many fetches the whole decision may still make; nil = none
}

// Budget counts down the fetches of one decision.
type Budget struct{ Left int }

// take uses one fetch up, if one is left.
func (b *Budget) take() bool {
	if b == nil || b.Left <= 0 {
		return false
	}
	b.Left--
	return true
}

// Answer is what was found out.
type Answer struct {
	State     State
	Detail    string // for operators
	Temporary bool   // Unknown, and asking again may help
	Until     time.Time
	Evidence  []Evidence
}

// Evidence is one CRL or OCSP response that was used, kept with the decision.
type Evidence struct {
	Kind       string    `json:"kind"` // "crl" or "ocsp"
	Source     string    `json:"source"`
	Subject    string    `json:"subject"` // the certificate asked about
	Serial     string    `json:"serial"`  // hex
	State      State     `json:"state"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	Cause      string    `json:"cause,omitempty"` // the CRL reason in words
	SHA256     string    `json:"sha256"`          // of the whole answer
	Number     string    `json:"number,omitempty"`
}
