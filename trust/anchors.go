package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"

	"postern/smime/addr"
	"postern/trust/chain"
	"postern/trust/policy"
)

// AnchorSet is the anchors of one domain and direction, indexed once. It is never changed, so it may
// be shared; a changed set is a new one with another Version.
type AnchorSet struct {
	Version string // the same for the same certificates in any order
	set     *chain.Set
}

// NewAnchorSet indexes anchors; duplicates and nils are dropped. Expired anchors are kept, so that a
// refusal can name them.
func NewAnchorSet(certs []*x509.Certificate) *AnchorSet {
	set := chain.NewSet(certs)
	ids := set.IDs()
	slices.SortFunc(ids, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, id := range ids {
		h.Write(id[:])
	}
	return &AnchorSet{Version: hex.EncodeToString(h.Sum(nil)[:16]), set: set}
}

// Len is the number of different anchors; 0 for a nil set.
func (s *AnchorSet) Len() int {
	if s == nil {
		return 0
	}
	return s.set.Len()
}

// Certs is the anchors in the order they were given.
func (s *AnchorSet) Certs() []*x509.Certificate {
	if s == nil {
		return nil
	}
	return s.set.Certs()
}

// Anchors is where the Evaluator finds a domain's anchors. It is asked for every decision, so that a
// removed anchor is refused at once; the caller keeps the AnchorSet while nothing changes.
type Anchors interface {
	// Anchors is the set of a domain and direction; nil or empty means it trusts nobody.
	Anchors(ctx context.Context, local addr.Domain, dir Direction) (*AnchorSet, error)
}

// Settings are a domain's choices. The zero value is the default.
type Settings struct {
	Legacy             bool // believe SHA-1 signatures on certificates below the anchor, for old evidence
	RevocationHardFail bool // what cannot be checked is not believed: try later, in the end refuse (AS-65)
}

// SettingsSource is where the Evaluator finds a domain's Settings.
type SettingsSource interface {
	TrustSettings(ctx context.Context, local addr.Domain) (Settings, error)
}

// PolicySet is a domain's own rules for one direction and use. Version changes whenever a policy does:
// a cached approval ends with it. The zero PolicySet has no rules.
type PolicySet struct {
	Version  string
	Policies []*policy.Policy
}

// PolicySource is where the Evaluator finds a domain's policies (AS-66).
type PolicySource interface {
	TrustPolicies(ctx context.Context, local addr.Domain, dir Direction, use Use) (PolicySet, error)
}

// Fixed is one AnchorSet for every domain and direction and one choice of Settings
// and policies: for offline commands and tests.
type Fixed struct {
	Set      *AnchorSet
	Settings Settings
	Policies PolicySet
}

// Anchors is the set.
func (f Fixed) Anchors(context.Context, addr.Domain, Direction) (*AnchorSet, error) {
	return f.Set, nil
}

// TrustSettings is the settings.
func (f Fixed) TrustSettings(context.Context, addr.Domain) (Settings, error) { return f.Settings, nil }

// TrustPolicies is the policies.
func (f Fixed) TrustPolicies(context.Context, addr.Domain, Direction, Use) (PolicySet, error) {
	return f.Policies, nil
}
