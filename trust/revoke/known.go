package revoke

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Known is one list in use: where it comes from and until when it holds.
type Known struct {
	URL    string
	Issuer string // whose list it is, for people
	SHA256 [32]byte
	Ends   time.Time // its nextUpdate
}

// Known lists the lists that a decision since the start rests on and that have an end, by URL.
func (c *Checker) Known() []Known {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Known
	for _, h := range c.held {
		if h.list == nil || h.query.Issuer == nil || h.list.NextUpdate.IsZero() {
			continue
		}
		out = append(out, Known{h.url, h.query.Issuer.Subject.String(), h.list.SHA256, h.list.NextUpdate})
	}
	slices.SortFunc(out, func(a, b Known) int { return cmp.Or(strings.Compare(a.URL, b.URL), a.Ends.Compare(b.Ends)) })
	return out
}
