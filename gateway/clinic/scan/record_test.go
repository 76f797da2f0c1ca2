package scan_test

import (
	"testing"
	"time"

	. "postern/gateway/clinic/scan"
)

// TestNextIsEverMoreSeldomAndEnds: a scanner that is away is asked for a while, and then only by people.
func TestNextIsEverMoreSeldomAndEnds(t *testing.T) {
	last := time.Duration(0)
	for tries := 1; tries < MaxTries; tries++ {
		d := Next(tries)
		if d < last || d < time.Minute || d > 4*time.Hour {
			t.Errorf("after %d: %s, before it %s", tries, d, last)
		}
		last = d
	}
	if Next(0) != 0 || Next(MaxTries) != 0 || Next(1000) != 0 {
		t.Error("it goes on")
	}
}
