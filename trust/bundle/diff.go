package bundle

import (
	"crypto/sha256"
	"crypto/x509"
	"time"
)

// Change is what taking over a newer bundle does to the anchors.
type Change struct {
	Added    []*x509.Certificate
	Removed  []*x509.Certificate
	Kept     []*x509.Certificate
	Expiring []*x509.Certificate // of those there after the change: past their dates before the given instant
}

// Diff compares two sets of anchors; before is the instant by which an anchor counts as expiring.
func Diff(old, new []*x509.Certificate, before time.Time) Change {
	var c Change
	had := ids(old)
	for _, n := range new {
		if had[sha256.Sum256(n.Raw)] {
			c.Kept = append(c.Kept, n)
		} else {
			c.Added = append(c.Added, n)
		}
		if n.NotAfter.Before(before) {
			c.Expiring = append(c.Expiring, n)
		}
	}
	has := ids(new)
	for _, o := range old {
		if !has[sha256.Sum256(o.Raw)] {
			c.Removed = append(c.Removed, o)
		}
	}
	return c
}

func ids(certs []*x509.Certificate) map[[32]byte]bool {
	m := make(map[[32]byte]bool, len(certs))
	for _, c := range certs {
		m[sha256.Sum256(c.Raw)] = true
	}
	return m
}

// Empty reports whether the change changes nothing.
func (c Change) Empty() bool { return len(c.Added) == 0 && len(c.Removed) == 0 }

// RemovedPercent is how much of the old set goes, for the alarm on a shrinking bundle (TB-34).
func (c Change) RemovedPercent() int {
	if len(c.Removed) == 0 {
		return 0
	}
	return 100 * len(c.Removed) / (len(c.Removed) + len(c.Kept))
}
