package gateway_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
)

func TestReferralArrivesAndBothNoticesComeBack(t *testing.T) {
	w := newWorld(t, "")
	text := w.referral(w.dr, w.intake)
	id := w.send(w.hospital, text, w.dr, w.intake)
	l := w.reach(w.hospital, id, w.intake, track.StateDelivered)
	want := []track.Kind{track.Accepted, track.FinalRequested, track.Sealed, track.Handed, track.Processed, track.Dispatched} // an inbox is not bothered with confirmations: the ladder shows them
	got := kinds(l)
	slices.Sort(got) // the peer's notices may be faster than our record of the hand-over
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the ladder has %v, want %v", got, want)
	}
	it := w.items(w.clinic, "intake", 1)[0]
	if b := w.saved(w.clinic, it); string(b) != text { // compose leaves nothing to add
		t.Errorf("the inner message changed on its way:\n%s\nwas\n%s", b[:min(len(b), 500)], text[:500])
	}
	if it.Sender.Key() != w.dr.Key() || it.Recipient.Key() != w.intake.Key() || it.Subject != "Referral" || it.Number != 1 {
		t.Errorf("item %d from %s to %s, subject %q", it.Number, it.Sender, it.Recipient, it.Subject)
	}
	if len(it.Documents) != 1 || it.Documents[0].Type != "Referral Note" || it.Documents[0].Author == "" || it.Documents[0].Date.IsZero() {
		t.Fatalf("documents %+v", it.Documents)
	}
	var patient struct {
		Name struct {
			Family string `json:"family"`
		} `json:"name"`
	}
	if err := json.Unmarshal(it.Documents[0].Patient, &patient); err != nil || !bytes.Contains(sample.Referral, []byte(patient.Name.Family)) || patient.Name.Family == "" {
		t.Errorf("patient %s, %v", it.Documents[0].Patient, err)
	}
	// What the peer saw of it on the wire names nothing of the patient (AS-33).
	for _, m := range []string{"Referral", "See attached"} {
		sealed := w.sealed(id)
		head, _, _ := bytes.Cut(sealed, []byte("\r\n\r\n"))
		if bytes.Contains(head, []byte(m)) {
			t.Errorf("the outer header says %q", m)
		}
	}
	// No notice ever for a notice: the hospital's inbox is empty, and everything is at rest.
	w.quiet()
	if items, err := w.hospital.Inbox(w.ctx, "dr"); err != nil || len(items) != 0 {
		t.Errorf("the sender's inbox has %d items, %v", len(items), err)
	}
	tr, err := w.clinic.Admin().Trace(w.ctx, message.ID(it.Message))
	w.ok(err)
	if len(tr.Notices) != 2 {
		t.Errorf("the clinic wrote %d notices, want processed and dispatched", len(tr.Notices))
	}
	if strings.Contains(string(mustJSON(t, tr)), patient.Name.Family) {
		t.Error("the trace names the patient")
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sealed is what the hospital sent of a message.
func (w *world) sealed(id message.ID) []byte {
	w.Helper()
	m, err := w.hospital.Store.Message(w.ctx, id)
	w.ok(err)
	row, err := w.hospital.Store.Blob(w.ctx, m.SealedBlob)
	w.ok(err)
	r, err := w.hospital.Spool.Open(row)
	w.ok(err)
	defer r.Close()
	b := make([]byte, r.Size())
	_, err = r.ReadAt(b, 0)
	w.ok(err)
	return b
}

func TestFinalDeliveryNotAskedMeansNoDispatched(t *testing.T) {
	w := newWorld(t, "")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	it := w.items(w.clinic, "intake", 1)[0]
	w.quiet()
	tr, err := w.clinic.Admin().Trace(w.ctx, it.Message)
	w.ok(err)
	if len(tr.Notices) != 1 {
		t.Errorf("%d notices, want the processed one only", len(tr.Notices))
	}
	l, err := w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	if has(l, track.Dispatched) || has(l, track.DispatchedBare) || l.State != track.StateDone {
		t.Errorf("state %s after %v", l.State, kinds(l))
	}
}
