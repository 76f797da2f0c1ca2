// Package chain builds and validates certification paths (RFC 5280 §6) from a certificate to one of
// the caller's anchors, and says of a path that fails which certificate fails it and why.
//
// crypto/x509 parses the certificates and does the signature arithmetic; the path itself is ours,
// because the library refuses what old evidence needs (SHA-1 below the anchor, by switch), stops
// after 100 signature checks when anchors share a name, does not enforce directory-name constraints
// and answers with one error where an operator needs the reason. It serves AS-17, AS-18, AS-19,
// AS-61 and AS-62.
//
// What it does not do: bind a certificate to an address, judge the leaf's purpose, ask for
// revocation, or fetch anything. The callers do (trust, trust/revoke, trust/fetch).
//
// Choices where the texts leave room: an anchor is held to its own dates, CA flag, path length, key
// usage and name constraints (RFC 5937), not only to its key; a critical extension this package does
// not act on refuses a certificate anywhere below the anchor.
//
// Limits: path 10 certificates; 200 certificates beside the leaf are looked at, the others are left
// unread; 200 signature checks against such certificates and 8,192 against anchors a search; 10,000
// steps up a search and 30,000 in all searches for one certificate; 64 complete paths a search; 250,000 name-constraint comparisons a path; 128 policies a certificate;
// RSA keys of 2048 to 4096 bits with an exponent below 2^31 (anchors: 2048 bits and more).
package chain

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode"
)

// Bounds of one search.
const (
	MaxDepth       = 10      // certificates in a path, leaf and anchor included
	MaxExtra       = 200     // certificates beside the leaf that are looked at
	MaxChecks      = 200     // signature checks against certificates that are no anchors
	MaxAnchorCheck = 8192    // signature checks against anchors: the operator's own, so more of them
	MaxEdges       = 10_000  // steps from a certificate to a possible issuer, repeated ones too
	MaxWorkEdges   = 30_000  // … in all searches of one Work
	MaxPaths       = 64      // complete paths that are validated
	MaxComparisons = 250_000 // names times constraints in a path
	MaxPolicies    = 128     // policies a certificate may assert or map
)

// Key sizes in bits (AS-17, and against hostile arithmetic).
const (
	MinRSA = 2048
	MaxRSA = 4096 // of a certificate that is no anchor
)

// Reason names why a path fails. The texts equal those of trust.Reason.
type Reason string

// The reasons of this package.
const (
	Untrusted         Reason = "untrusted"             // no path to an anchor
	Expired           Reason = "expired"               // a certificate below the anchor is past its dates
	NotYetValid       Reason = "not_yet_valid"         // … or before them
	AnchorExpired     Reason = "anchor_expired"        // the anchor is outside its dates
	NotCA             Reason = "not_ca"                // an issuer may not issue
	PathLength        Reason = "path_length"           // more certificates than an issuer, or this package, allows
	NameConstraints   Reason = "name_constraints"      // a name its issuers may not vouch for
	WeakKey           Reason = "weak_key"              // key too small, too large or of an unknown kind
	WeakSignature     Reason = "weak_signature"        // signed with a digest or algorithm no longer believed
	UnknownCritical   Reason = "unknown_critical"      // a critical extension nobody here understands
	BadSignature      Reason = "bad_signature"         // names an issuer at hand whose key did not sign it
	SelfSignedForgery Reason = "self_signed_lookalike" // dresses up as an anchor
	EKU               Reason = "eku"                   // an issuer not meant for this purpose
	Policy            Reason = "policy"                // certificate policies end nowhere
	Limit             Reason = "limit"                 // the search was cut off
)

// Fault is why one certificate, and with it a path, fails.
type Fault struct {
	Reason Reason
	Cert   *x509.Certificate
	Detail string // for operators
}

// Error is the reason and the detail.
func (f *Fault) Error() string { return fmt.Sprintf("chain: %s: %s", f.Reason, f.Detail) }

func fault(r Reason, c *x509.Certificate, format string, args ...any) *Fault {
	return &Fault{Reason: r, Cert: c, Detail: fmt.Sprintf(format, args...)}
}

// Label names a certificate for a reader: its common name and organisation, else its whole subject,
// else its serial number.
func Label(c *x509.Certificate) string {
	if s := label(c.Subject); s != "" {
		return s
	}
	return "serial " + c.SerialNumber.Text(16)
}

// NameText is an encoded distinguished name for a reader, in the same form; "" when it is empty or
// cannot be read.
func NameText(raw []byte) string {
	var rdns pkix.RDNSequence
	if _, err := asn1.Unmarshal(raw, &rdns); err != nil {
		return ""
	}
	var n pkix.Name
	n.FillFromRDNSequence(&rdns)
	return label(n)
}

func label(n pkix.Name) string {
	s := n.String()
	if n.CommonName != "" {
		s = n.CommonName
		if len(n.Organization) > 0 {
			s += " (" + n.Organization[0] + ")"
		}
	}
	if s = printable(s); len(s) > 160 {
		return s[:160] + "…"
	}
	return s
}

// printable keeps a stranger's control characters off the operator's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
