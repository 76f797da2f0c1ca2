package gateway_test

import (
	"slices"
	"testing"

	"postern/gateway/delivery/track"
)

// Anchors bite from the moment the change returns, in both directions, whatever was decided before.
func TestAnchorRemovedBetweenTwoMessages(t *testing.T) {
	w := newWorld(t, "")
	first := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, first, w.intake, track.StateDone)
	w.forgetAnchors(w.clinic)
	second := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, second, w.intake, track.StateSent)
	if got := w.heldReasons(w.clinic); !slices.Equal(got, []string{"no_anchors"}) {
		t.Errorf("held for %v", got)
	}
	w.items(w.clinic, "intake", 1)
	w.forgetAnchors(w.hospital)
	third := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, third, w.intake, track.StateFailed)
	w.oneDSN(third, "5.7.1", w.intake)
	w.ok(w.hospital.Trust(w.ctx, w.clinic.Anchor))
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor))
	fourth := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, fourth, w.intake, track.StateDone)
	w.items(w.clinic, "intake", 2)
}

// A retired certificate signs no more and is published no more, but mail to it is still read (AS-122):
// peers keep what they found until its TTL ends.
func TestRetiredCertificateStillOpensMail(t *testing.T) {
	w := newWorld(t, "")
	first := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, first, w.intake, track.StateDone)
	old, err := w.clinic.Admin().CertList(w.ctx)
	w.ok(err)
	rows, err := w.clinic.Admin().CertCreate(w.ctx, certForDomain(w.clinic.Domain))
	w.ok(err)
	w.ok(w.clinic.Admin().CertRetire(w.ctx, old[0].ID))
	second := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, second, w.intake, track.StateDone) // its notice is signed by the new one
	if got := w.sealedWith(second, w.intake); got.Certificate != old[0].ID {
		t.Errorf("sealed for %s: the test did not use the retired certificate", got.Certificate)
	}
	w.items(w.clinic, "intake", 2)
	found, err := w.clinic.Ring.Published(w.ctx, w.intake)
	w.ok(err)
	if len(found) != 1 || rows[0].ID == old[0].ID {
		t.Errorf("%d certificates are published", len(found))
	}
}
