// Package revoke finds out whether a certificate has been withdrawn (AS-64, AS-65): from certificate
// revocation lists (RFC 5280 §5, §6.3), full or partitioned by distribution point, and from OCSP
// (RFC 6960).
//
// An answer counts only when it is authentic (signed by the issuer of the certificate, or for OCSP by
// a responder that issuer appointed), about this certificate, and fresh at the instant asked about.
// Anything else is Unknown, never Good and never Revoked: a fault of the network or of a list can
// neither clear nor convict. Lists are read as a stream: what stays in memory is one record an entry.
//
// Decided, and why:
//   - A withdrawal outlives the freshness of what announced it. A list or answer that has gone stale can clear
//     nobody, but whom it withdrew stays Revoked until the same issuer says otherwise in a newer one: an attacker
//     who holds a stolen key must not get it back by cutting us off from the issuer. A certificate on hold
//     (reason 6) may be released again, so a stale hold is Unknown.
//   - Of a list at hand and a responder the newer word counts. A list that withdraws somebody gives way only to one
//     about the same certificates, never to a delta, another part or one for some reasons.
//   - Lists and OCSP answers live through restarts (Store, Answers) and are judged again when they are read. The
//     lists that decisions rest on stay at hand by the SHA-256 that the decision names, OCSP answers in it.
//   - A responder is asked once an hour at most, a list is fetched when a tenth of its life is left.
//
// What it does not do: indirect lists, delta lists and attribute certificates are refused by name;
// lists that cover only some reasons can convict and not clear. The domain's choice between soft and
// hard fail is trust's. golang.org/x/crypto/ocsp (the Go authors' module; its only home with
// trust/chain's cryptobyte) parses OCSP and checks its signature; every other check is here.
//
// Limits: a list 64 MiB and 2,000,000 entries of 28 octets in memory (56 MB; measured 34 MB for
// 1,200,000), as they come and not as announced; 4 lists read at a time;
// one entry or header 64 KiB; an OCSP answer 64 KiB; 2 URLs of a kind tried for a certificate; a
// failed URL is left alone for 1 to 16 minutes; 10,000 OCSP answers and 4,000,000 entries are kept
// in memory, 1 GiB of lists on disk and 1 GiB of those that decisions rest on.
package revoke

import (
	"crypto/x509"
	"sync/atomic"
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
	Issuer  *x509.Certificate   // whose key vouches for the answer
	Also    []*x509.Certificate // other certificates of the validated path: one of the issuer's own name with another key may sign the list too
	Time    time.Time
	Legacy  bool    // believe SHA-1 signatures on answers
	Fetches *Budget // how many fetches the whole decision may still make; nil = none
}

// Budget counts down the fetches of one decision, and with them those of all it shares a bound with. It is safe
// for concurrent use; nil and the zero Budget are used up.
type Budget struct {
	left  atomic.Int64
	whole *Budget // nil = none
}

// NewBudget allows n fetches, and no more than whole has left when that is not nil.
func NewBudget(n int, whole *Budget) *Budget {
	b := &Budget{whole: whole}
	b.left.Store(int64(n))
	return b
}

// take uses one fetch up, if one is left.
func (b *Budget) take() bool {
	if b == nil || b.left.Add(-1) < 0 {
		return false
	}
	return b.whole == nil || b.whole.take()
}

// Answer is what was found out.
type Answer struct {
	State     State
	Detail    string // for operators
	Temporary bool   // Unknown, and asking again may help
	Unasked   bool   // Unknown only because no fetch was left: asking again will tell
	Until     time.Time
	Evidence  []Evidence

	final bool // Revoked, and it cannot be lifted
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
	Response   []byte    `json:"response,omitempty"` // the signed OCSP response itself; a list is named by number and SHA-256
}
