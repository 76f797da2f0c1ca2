package trust

import (
	"sync/atomic"

	"postern/trust/revoke"
)

// Limits of what one outbound message may fetch, however many recipients it has.
const (
	MaxMessageIssuers    = 16
	MaxMessageRevocation = 64
)

// Budget is the fetches that Questions about one message have together: for missing issuers, and for lists and
// responders, so that a message with many signers or many recipients causes no more than a fixed number. No
// Question of them makes more than MaxIssuerFetches and MaxRevocationFetches. Answers that are at hand cost
// nothing, and a Question that finds the Budget used up is put off: the next try finds what this one fetched. The
// zero Budget is used up. It is safe for concurrent use.
type Budget struct {
	issuers    atomic.Int64
	revocation *revoke.Budget
}

// NewBudget is what one Question may fetch.
func NewBudget() *Budget { return newBudget(MaxIssuerFetches, MaxRevocationFetches) }

// NewMessageBudget is what all Questions about a message to n recipients may fetch together: what n Questions may,
// up to MaxMessageIssuers and MaxMessageRevocation.
func NewMessageBudget(n int) *Budget {
	n = max(1, n)
	return newBudget(min(n*MaxIssuerFetches, MaxMessageIssuers), min(n*MaxRevocationFetches, MaxMessageRevocation))
}

func newBudget(issuers, revocation int) *Budget {
	b := &Budget{revocation: revoke.NewBudget(revocation, nil)}
	b.issuers.Store(int64(issuers))
	return b
}

// takeIssuer uses one fetch of an issuer up, if one is left.
func (b *Budget) takeIssuer() bool { return b.issuers.Add(-1) >= 0 }
