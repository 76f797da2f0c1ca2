package gateway_test

import (
	"testing"

	"postern/gateway/delivery/track"
	"postern/gateway/lab/leak"
)

// A site that was stopped leaves no goroutine behind, whatever it was doing.
func TestNothingRunsAfterStop(t *testing.T) {
	before := leak.Now()
	w := newWorld(t, "")
	id := w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	for range 20 {
		w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	}
	w.ok(w.Close())
	leak.None(t, before)
}
