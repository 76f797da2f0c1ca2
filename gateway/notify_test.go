package gateway_test

import (
	"strings"
	"testing"

	"postern/gateway/delivery/track"
	"postern/smime/addr"
)

// Notices that the sender asked to have sent to another address of his, bound to the same certificate, go
// there, and move the ladder of the message all the same.
func TestNoticesToAnotherAddressOfTheSender(t *testing.T) {
	w := newWorld(t, "")
	desk := addr.MustParse("desk@" + w.dr.Domain().String())
	w.ok(w.hospital.Add(w.ctx, "desk"))
	text := strings.Replace(w.referral(w.dr, w.intake), "Disposition-Notification-To: <"+w.dr.String()+">", "Disposition-Notification-To: <"+desk.String()+">", 1)
	if !strings.Contains(text, desk.String()) {
		t.Fatal("the request could not be changed")
	}
	id := w.send(w.hospital, text, w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.items(w.hospital, "desk", 0)
}
