// Package trust decides whether a certificate may be believed: bound to the address it is used for,
// fit for its use, on a valid path to one of the anchors the local domain configured for that
// direction, and not revoked (AS-10 to AS-20, AS-60 to AS-67, AS-83 to AS-88; RFC 5280, RFC 8550).
//
// The Evaluator answers a Question with a Decision: an Approval or a Reason, and a Trace that says
// what was asked, what answered, which rule decided, what to do and who must do it. Work is done
// cheapest first and the network comes last: local checks, then the path from what is at hand, then
// missing issuers (at most 4 fetches), then the domain's own policies, then revocation, and that only
// for a path that reaches an anchor. A question refused before sends no packet.
//
// Issuers' name constraints hold for the address decided about, whichever form of name binds the certificate
// (trust/chain); a withdrawal outlives the freshness of the list that announced it (trust/revoke); what was not asked
// for want of fetches is put off, never let pass.
//
// What it does not do: find certificates (certs/discover), verify message signatures (smime), keep
// anchors (the caller's store) or refresh bundles (trust/bundle). The public root store is irrelevant.
//
// Limits: those of trust/chain for a path; 10 searches for a path, 4 AIA and 16 revocation fetches a decision, or all the
// decisions about a message that share a Budget (16 and 64 for a message to many, 4 and 16 of them for one recipient's
// certificates); 100 steps a Trace; an Approval lives 10 minutes; 20,000 approvals are cached.
package trust

import (
	"crypto/x509"
	"time"

	"postern/smime/addr"
	"postern/trust/revoke"
)

// Direction is the way a message travels; each has anchors of its own (AS-60).
type Direction string

// The directions.
const (
	Incoming Direction = "incoming"
	Outgoing Direction = "outgoing"
)

// Purpose is the kind of message an approval serves.
type Purpose string

// The purposes. A Notice is an MDN or DSN; an inbound one may also be vouched for by the outgoing
// anchors, so that a one-way relationship still hears of its own messages (AS-88).
const (
	Mail   Purpose = "mail"
	Notice Purpose = "notice"
)

// Use is what the certificate is to do.
type Use string

// The uses.
const (
	Sign    Use = "sign"
	Encrypt Use = "encrypt"
)

// Question is one thing to decide.
type Question struct {
	Cert      *x509.Certificate
	Extra     []*x509.Certificate // intermediates the message or the discovery brought; hostile
	Peer      addr.Address        // whom the certificate must be bound to: the sender inbound, the recipient outbound
	Local     addr.Domain         // whose anchors decide: the recipient's domain inbound, the sender's outbound
	Direction Direction
	Purpose   Purpose   // zero = Mail
	Use       Use       // zero = Sign inbound, Encrypt outbound
	Time      time.Time // the instant to judge at; zero = now by the Evaluator's clock
	Budget    *Budget   // shared with the other questions about the message; nil = this question has its own
	// PathOnly asks about the certificate alone: Peer is not needed and binding not asked. What comes
	// back approves nobody: its Approval covers no address.
	PathOnly bool
}

// Decision is the answer. Exactly one of Approval and Reason is useful.
type Decision struct {
	Approval   Approval
	Reason     Reason // "" = approved
	Detail     string // for operators: which certificate, which rule, which value
	Temporary  bool   // the same question may be approved later without anybody acting
	Bound      string // "address" or "domain": how the certificate is bound to Peer; "" when it is not
	Chain      []*x509.Certificate
	Revocation []revoke.Evidence // the CRL or OCSP answers used, leaf first; kept with the decision
	SoftFailed bool              // revocation could not be checked and the domain's setting let it pass (AS-65): audit it
	Cached     bool              // answered from the decision cache
	Trace      Trace
}

// OK reports whether the certificate is approved.
func (d Decision) OK() bool { return d.Reason == "" && d.Approval.valid }

// Anchor is the anchor that approved, or nil.
func (d Decision) Anchor() *x509.Certificate {
	if len(d.Chain) == 0 {
		return nil
	}
	return d.Chain[len(d.Chain)-1]
}

// Bound values.
const (
	BoundAddress = "address" // rfc822Name equals the address (AS-11)
	BoundDomain  = "domain"  // dNSName equals its domain (AS-12)
)
