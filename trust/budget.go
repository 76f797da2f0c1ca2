package trust

import (
	"sync"
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
// peer's certificates, however many it publishes, cause more than MaxIssuerFetches and MaxRevocationFetches of them: a
// hostile recipient does not use up what the others need. Answers that are at hand cost
// nothing, and a Question that finds the Budget used up is put off: the next try finds what this one fetched. The
// zero Budget is used up. It is safe for concurrent use.
type Budget struct {
	issuers    atomic.Int64
	revocation *revoke.Budget

	mu     sync.Mutex
	shares map[string]*share // by peer
}

// share is what one peer's certificates may still fetch of a Budget.
type share struct {
	issuers    int
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

// of is the peer's share. The lock is held.
func (b *Budget) of(peer string) *share {
	s := b.shares[peer]
	if s == nil {
		whole := b.revocation
		if whole == nil {
			whole = &revoke.Budget{} // used up
		}
		s = &share{MaxIssuerFetches, revoke.NewBudget(MaxRevocationFetches, whole)}
		if b.shares == nil {
			b.shares = map[string]*share{}
		}
		b.shares[peer] = s
	}
	return s
}

// takeIssuer uses one fetch of an issuer up, if one is left for the peer.
func (b *Budget) takeIssuer(peer string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(peer)
	if s.issuers == 0 {
		return false
	}
	s.issuers--
	return b.issuers.Add(-1) >= 0
}

// revocations is what is left for the peer to ask whether its certificates have been withdrawn.
func (b *Budget) revocations(peer string) *revoke.Budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(peer).revocation
}
