package gateway

import (
	"testing"

	"postern/trust/bundle"
)

// TestEveryBundleReasonHasARemedy: a bundle that is not taken over always says what to do.
func TestEveryBundleReasonHasARemedy(t *testing.T) {
	seen := map[string]bundle.Reason{}
	for _, r := range []bundle.Reason{bundle.TooLarge, bundle.InvalidFormat, bundle.Empty, bundle.Unsigned, bundle.UnmatchedSigner, bundle.InvalidSignature,
		bundle.InvalidSigner, bundle.NotFound, bundle.Timeout, bundle.Unprotected, bundle.Blocked} {
		words := bundleRemedy(r, false)
		if len(words) < 20 || seen[words] != "" {
			t.Errorf("%s: %q (as %s)", r, words, seen[words])
		}
		seen[words] = r
	}
}
