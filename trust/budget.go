package trust

import "postern/trust/revoke"

// Budget is the fetches that Questions about one message have together: MaxIssuerFetches for missing
// issuers and MaxRevocationFetches for lists and responders, so that a message with many signers for
// many recipients causes no more than one with one. Answers that are at hand cost nothing. The zero
// Budget is used up. It belongs to one goroutine.
type Budget struct {
	issuers    int
	revocation revoke.Budget
}

// NewBudget is a full Budget.
func NewBudget() *Budget {
	return &Budget{issuers: MaxIssuerFetches, revocation: revoke.Budget{Left: MaxRevocationFetches}}
}

// takeIssuer uses one fetch of an issuer up, if one is left.
func (b *Budget) takeIssuer() bool {
	if b.issuers <= 0 {
		return false
	}
	b.issuers--
	return true
}
