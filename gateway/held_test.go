package gateway_test

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/store"
)

// Refused mail is grouped by cause and partner; an anchor is looked at before it is trusted, and then what passes is
// released.
func TestHeldMailGroupedTrustedReleased(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	p, err := w.Stranger("partner.example")
	w.ok(err)
	who, err := p.Certificate(issue.LeafOptions{Domain: w.hospital.Domain, Now: w.Clock.Now()})
	w.ok(err)
	for range 2 {
		if got := w.reaches(); got != "no_anchors" {
			t.Fatal(got)
		}
	}
	forged, err := p.Seal(w.ctx, who, []byte(w.note(w.dr, w.intake)), w.clinic, w.intake)
	w.ok(err)
	w.ok(w.clinic.Deliver(w.ctx, w.dr.String(), forged, w.intake.String()))
	w.ok(w.clinic.Deliver(w.ctx, "x@nobody.example", []byte(crlf("From: x@nobody.example\nTo: intake@clinic.example\nSubject: Mr Secret\n\nPlain.\n")), w.intake.String()))
	w.ok(w.clinic.Until(w.ctx, "four messages are held", func() (bool, error) {
		n, err := w.clinic.Store.HeldCount(w.ctx)
		return n == 4, err
	}))
	groups, err := w.clinic.Admin().HeldGroups(w.ctx)
	w.ok(err)
	if len(groups) != 3 || groups[0].Messages != 2 || groups[0].Partner != "hospital.example" || groups[0].Claimed || groups[0].Reason != "no_anchors" || groups[0].Advice.Who == "" {
		t.Fatalf("%+v", groups)
	}
	text, err := json.Marshal(groups)
	w.ok(err)
	if strings.Contains(string(text), "Secret") || strings.Contains(string(text), "About a patient") {
		t.Errorf("something clinical is shown: %s", text)
	}
	ask := gateway.HeldTrust{Group: groups[0].Group, Incoming: true, Outgoing: true}
	got, err := w.clinic.Admin().HeldTrust(w.ctx, ask, nil)
	if err != nil || len(got.Candidates) != 0 {
		t.Errorf("candidates without any at hand: %+v %v", got.Candidates, err)
	}
	_, err = w.clinic.Admin().BundleAdd(w.ctx, gateway.BundleAdd{Name: "community"}, append(w.strangerAnchor("Other CA"), w.hospital.Anchor...))
	w.ok(err)
	if got, err = w.clinic.Admin().HeldTrust(w.ctx, ask, nil); err != nil || len(got.Candidates) != 1 || got.Candidates[0].Messages != 2 || !strings.Contains(got.Candidates[0].From, "bundle community") {
		t.Fatalf("candidates: %+v %v", got.Candidates, err)
	}
	ask.Anchor = got.Candidates[0].Fingerprint[:8]
	if got, err = w.clinic.Admin().HeldTrust(w.ctx, ask, nil); err != nil || len(got.Passes) != 2 || got.Applied || got.Touched.WonN != 2 {
		t.Errorf("looked at: %+v %v", got, err)
	}
	w.items(w.clinic, "intake", 0)
	wrong := ask
	wrong.Anchor = ""
	if got, err = w.clinic.Admin().HeldTrust(w.ctx, wrong, w.strangerAnchor("Wrong CA")); err != nil || len(got.Passes) != 0 || got.Stays != 2 {
		t.Errorf("a wrong anchor: %+v %v", got, err)
	}
	ask.Apply, ask.Release = true, true
	if got, err = w.clinic.As("anna").HeldTrust(w.ctx, ask, nil); err != nil || !got.Applied || got.Released != 2 {
		t.Fatalf("applied: %+v %v", got, err)
	}
	w.items(w.clinic, "intake", 2)
	w.quiet()
	if groups, err = w.clinic.Admin().HeldGroups(w.ctx); err != nil || len(groups) != 2 {
		t.Errorf("still held: %+v %v", groups, err)
	}
	w.undoLast("anchor.add")
	if list, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain); err != nil || len(list) != 0 {
		t.Errorf("undone: %+v %v", list, err)
	}
	if _, err := w.clinic.Admin().HeldTrust(w.ctx, gateway.HeldTrust{Group: "g-none"}, nil); !strings.Contains(err.Error(), store.ErrNotFound.Error()) {
		t.Errorf("a group that is none: %v", err)
	}
}
