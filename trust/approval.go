package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"postern/smime/addr"
)

// ApprovalLife is how long an Approval may be used after the instant it was given for.
const ApprovalLife = 10 * time.Minute

// ErrNotCovered is the cause of every refusal by Approval.Covers.
var ErrNotCovered = errors.New("trust: approval does not cover this")

// Approval is proof that an Evaluator approved one certificate for one address, direction, use and
// purpose at one instant, by the anchors of one local domain in one state. Nothing outside this package can make one
// that covers anything; the zero Approval covers nothing.
type Approval struct {
	valid     bool
	cert      [32]byte
	peer      string // addr.Address.Key
	local     addr.Domain
	direction Direction
	purpose   Purpose
	use       Use
	at        time.Time
	version   string
}

// Covers is nil only when this approval is for exactly that certificate, address and direction, for the
// use that mail of that direction makes of a peer's certificate (its signature is believed inbound, it
// is encrypted to outbound), and now is no earlier than the instant it was given for and at most
// ApprovalLife after it. Whose anchors approved, and for what kind of message, is for the caller to
// ask: GivenBy, Purpose.
func (a Approval) Covers(cert *x509.Certificate, peer addr.Address, dir Direction, now time.Time) error {
	switch {
	case !a.valid:
		return fmt.Errorf("%w: nothing was approved", ErrNotCovered)
	case cert == nil || sha256.Sum256(cert.Raw) != a.cert:
		return fmt.Errorf("%w: another certificate was approved", ErrNotCovered)
	case peer.IsZero() || peer.Key() != a.peer:
		return fmt.Errorf("%w: approved for %s, used for %s", ErrNotCovered, a.peer, peer)
	case dir != a.direction:
		return fmt.Errorf("%w: approved for %s, used for %s", ErrNotCovered, a.direction, dir)
	case a.use != useOf(dir):
		return fmt.Errorf("%w: approved to %s, used to %s", ErrNotCovered, a.use, useOf(dir))
	case now.Before(a.at):
		return fmt.Errorf("%w: given for %s, after the present %s", ErrNotCovered, a.at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case now.Sub(a.at) > ApprovalLife:
		return fmt.Errorf("%w: given for %s, more than %s ago", ErrNotCovered, a.at.UTC().Format(time.RFC3339), ApprovalLife)
	}
	return nil
}

// GivenBy is nil only when the anchors of that local domain approved.
func (a Approval) GivenBy(local addr.Domain) error {
	if !a.valid || local.IsZero() || a.local != local {
		return fmt.Errorf("%w: approved by the anchors of %q, used for %q", ErrNotCovered, a.local, local)
	}
	return nil
}

// useOf is what mail of a direction makes of a peer's certificate.
func useOf(dir Direction) Use {
	if dir == Outgoing {
		return Encrypt
	}
	return Sign
}

// Purpose is what kind of message the approval serves; "" for the zero Approval.
func (a Approval) Purpose() Purpose { return a.purpose }

// Use is what the certificate was approved to do; "" for the zero Approval.
func (a Approval) Use() Use { return a.use }

// TrustVersion names the state of the anchors that approved; "" for the zero Approval.
func (a Approval) TrustVersion() string { return a.version }
