// Package agent is Direct's security and trust agent (STA): the one place that asks both how a
// certificate is found (certs) and whether it is believed (trust), and that signs, encrypts, decrypts
// and verifies (smime) by the answers.
//
// Seal and Open take a message and return a verdict for each recipient with its reason and trace.
// They send nothing, store nothing and write no notice. AS-70 to AS-88.
//
// Limits: 5 certificates a recipient are encrypted to; 8 recipients are looked up at a time; 16 signers
// a message are judged.
package agent

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"time"

	"postern/certs"
	"postern/certs/discover"
	"postern/smime"
	"postern/smime/addr"
	"postern/trust"
)

// Limits of one message.
const (
	MaxCertificates = 5  // usable certificates of one recipient that are encrypted to (CD-43)
	MaxLookups      = 8  // recipients looked up at the same time (CD-63)
	MaxSigners      = 16 // signers judged
)

// Finder finds the certificates of an address.
type Finder interface {
	Find(ctx context.Context, a addr.Address) (discover.Finding, error)
}

// Judge decides whether a certificate is believed.
type Judge interface {
	Evaluate(ctx context.Context, q trust.Question) (trust.Decision, error)
}

// Keys are our own credentials.
type Keys interface {
	Signing(ctx context.Context, from addr.Address) (certs.Credential, error)
	Decryption(ctx context.Context, to addr.Address) ([]certs.Credential, error)
}

// Policy is what a domain of ours asks of inbound mail beyond trust.
type Policy struct {
	Legacy bool            // accept what receive-matrix calls legacy
	Lax    map[string]bool // sender domains whose envelope may differ from the headers
}

// Policies gives the policy of a domain of ours.
type Policies interface {
	Policy(ctx context.Context, d addr.Domain) (Policy, error)
}

// Peers is what is known of the algorithms that peers read.
type Peers interface {
	// Known is what a domain of ours knows of a peer; zero when nothing.
	Known(ctx context.Context, local addr.Domain, peer addr.Address) (smime.Known, error)
}

// Agent is the security and trust agent. It is safe for concurrent use.
type Agent struct {
	Finder   Finder
	Judge    Judge
	Keys     Keys
	Policies Policies
	Peers    Peers // nil: nothing is known of any peer
	Now      func() time.Time
	Scratch  func() (smime.Scratch, error) // where plaintext waits for its verdict
	Limits   smime.Limits                  // its Budget is shared by all messages that must be opened whole
}

// Reasons of the agent itself; the others are those of smime and trust.
const (
	ReasonNoSigningKey   = "no_signing_certificate"  // AS-70: none of ours is bound to the sender
	ReasonOwnRefused     = "own_certificate_refused" // AS-66: the sender's domain itself refuses its certificate by a policy
	ReasonNotFound       = "certificate_not_found"   // CD-46
	ReasonUnknown        = "certificate_unknown"     // discovery failed for now
	ReasonNotInHeader    = "recipient_not_in_header" // AS-82
	ReasonSenderMismatch = "sender_mismatch"         // AS-82
	ReasonNoSender       = "no_single_sender"        // AS-80
	ReasonNullSender     = "null_sender"             // MAIL FROM <> on ordinary mail
	ReasonHeader         = "header_unreadable"
	ReasonNoticeOnly     = "notice_only"      // AS-88 covers notices about our own mail and nothing else
	ReasonNotBound       = "notice_not_bound" // DN-47: it speaks of a recipient its signer is not bound to
	ReasonBlindCopy      = "blind_copy"       // outbound: the peer's gateway would refuse it (AS-34, AS-82)
)

// Reasons that delivery adds after the agent's work.
const (
	ReasonHopRefused   = "next_hop_refused"
	ReasonHopAway      = "next_hop_unavailable"
	ReasonNoAddress    = "unknown_address"
	ReasonNoProcessed  = "no_processed_notice"
	ReasonNoDispatched = "no_dispatched_notice"
	ReasonFault        = "internal_fault"
	ReasonDropped      = "dropped_by_operator"
	ReasonKept         = "kept_by_operator" // held or paused until it was too late
)

// Verdict is what was decided about one recipient, and how.
type Verdict struct {
	Recipient addr.Address `json:"recipient"`
	OK        bool         `json:"ok"`
	Reason    string       `json:"reason,omitempty"`
	Detail    string       `json:"detail,omitempty"` // one sentence for people, without patient data
	Remedy    string       `json:"remedy,omitempty"`
	Temporary bool         `json:"temporary,omitempty"`
	Location  string       `json:"location,omitempty"` // outbound: where the certificate was found
	Name      string       `json:"name,omitempty"`     // outbound: the DNS name, LDAP entry or store it was found in
	Cert      string       `json:"certificate,omitempty"`
	Subject   string       `json:"subject,omitempty"`
	Anchor    string       `json:"anchor,omitempty"` // fingerprint
	AnchorCN  string       `json:"anchor_subject,omitempty"`
	Bound     string       `json:"bound,omitempty"`     // "address" or "domain"
	SoftFail  bool         `json:"soft_fail,omitempty"` // revocation could not be checked and the domain lets that pass (AS-65)

	Algorithms *Algorithms `json:"algorithms,omitempty"` // outbound: with what it is sealed for this recipient

	Discovery json.RawMessage `json:"discovery,omitempty"`
	Decision  json.RawMessage `json:"decision,omitempty"`

	NoticeOnly bool `json:"notice_only,omitempty"` // inbound: believed only as a notice about mail of ours (AS-88)

	Approval trust.Approval `json:"-"`
	Purpose  trust.Purpose  `json:"-"` // what was asked for; "" when no certificate was judged
	// Path is the certificates judged: up to the anchor when approved, else the leaf and what came with it.
	Path   []*x509.Certificate `json:"-"`
	Signer *x509.Certificate   `json:"-"` // inbound: the approved signer
}

// maxPath bounds the certificates a verdict keeps of a decision.
const maxPath = 12

// decided copies a trust decision into the verdict; extra is what came with the certificate.
func (v *Verdict) decided(d trust.Decision, cert *x509.Certificate, extra []*x509.Certificate) {
	v.Purpose, v.Path = d.Trace.Purpose, d.Chain
	if !d.OK() {
		v.Path = []*x509.Certificate{cert}
		for _, c := range extra {
			if len(v.Path) < maxPath && !c.Equal(cert) {
				v.Path = append(v.Path, c)
			}
		}
	}
	v.OK, v.Temporary, v.Bound, v.SoftFail = d.OK(), d.Temporary, d.Bound, d.SoftFailed
	v.Reason, v.Detail, v.Remedy = string(d.Reason), d.Detail, d.Reason.Remedy()
	v.Cert, v.Subject = certs.Fingerprint(cert), cert.Subject.String()
	v.Anchor, v.AnchorCN = "", ""
	if n := len(d.Chain); d.OK() && n > 0 {
		v.Anchor, v.AnchorCN = certs.Fingerprint(d.Chain[n-1]), d.Chain[n-1].Subject.String()
	}
	v.Decision = raw(d.Trace)
	v.Approval = d.Approval
}

func raw(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`{"error":"trace not writable"}`)
	}
	return b
}
