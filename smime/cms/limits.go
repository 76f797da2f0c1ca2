package cms

import "sync/atomic"

// Limits of one message. They are far above anything an honest sender produces.
const (
	MaxRecipients     = 1000      // RecipientInfos, and recipients of one key agreement
	MaxRecipientInfo  = 256 << 10 // octets of one RecipientInfo
	MaxRecipientBytes = 4 << 20   // octets of all RecipientInfos
	MaxMatches        = 16        // RecipientInfos tried with keys of ours; more are passed over
	MaxCertificates   = 100       // certificates of one SignedData
	MaxCertificate    = 64 << 10  // octets of one certificate
	MaxCertBytes      = 1 << 20   // octets of all certificates
	MaxSigners        = 16        // SignerInfos evaluated
	MaxSignerInfo     = 64 << 10  // octets of one SignerInfo
	MaxCandidates     = 4         // certificates tried for one signer identifier
	MaxAttributes     = 64        // signed attributes of one SignerInfo
	MaxDigests        = 16        // digest algorithms of one SignedData
	MaxRSABits        = 8192      // modulus of a signer's key; larger ones cost too much to verify
	MaxRSAExponent    = 1<<31 - 1 // public exponent of a signer's key
	MaxWhole          = 64 << 20  // octets of AuthEnvelopedData content, which must be held whole
	maxAlgorithm      = 4 << 10   // octets of one AlgorithmIdentifier
	maxAttributeSet   = 256 << 10 // octets of authenticated attributes
	maxMAC            = 64        // octets of an authentication tag
)

// Budget bounds the memory that contents held whole (AuthEnvelopedData) may take together. It is
// safe for concurrent use; a nil Budget bounds nothing beyond MaxWhole per message.
type Budget struct{ left atomic.Int64 }

// NewBudget allows n octets at a time.
func NewBudget(n int64) *Budget {
	b := &Budget{}
	b.left.Store(n)
	return b
}

func (b *Budget) take(n int64) bool {
	if b == nil {
		return true
	}
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *Budget) give(n int64) {
	if b != nil {
		b.left.Add(n)
	}
}
