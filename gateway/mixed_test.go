package gateway_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"postern/gateway/clinic/compose"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

// One message for a colleague here and a clinic elsewhere is sealed once and takes both ways.
func TestOneMessageForHereAndElsewhere(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.hospital.Add(w.ctx, "nurse"))
	w.ok(w.hospital.Trust(w.ctx, w.hospital.Anchor))
	nurse := w.hospital.Address("nurse")
	text := w.referral(w.dr, nurse, w.intake)
	id := w.send(w.hospital, text, w.dr, nurse, w.intake)
	for _, a := range []addr.Address{nurse, w.intake} {
		w.reach(w.hospital, id, a, track.StateDelivered)
	}
	for _, b := range [][]byte{w.saved(w.hospital, w.items(w.hospital, "nurse", 1)[0]), w.saved(w.clinic, w.items(w.clinic, "intake", 1)[0])} {
		if string(b) != text {
			t.Error("the inner message changed")
		}
	}
	w.quiet()
	w.items(w.hospital, "dr", 0)
}

// The same mailbox named twice, in other letters, is one recipient.
func TestRecipientNamedTwice(t *testing.T) {
	w := newWorld(t, "")
	again := addr.MustParse("INTAKE@Clinic.example")
	id := w.send(w.hospital, w.referral(w.dr, w.intake, again), w.dr, w.intake, again)
	l := w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.quiet()
	w.items(w.clinic, "intake", 1)
	n := map[track.Kind]int{}
	for _, k := range kinds(l) {
		n[k]++
	}
	if n[track.Accepted] != 1 || n[track.Handed] != 1 || n[track.Processed] != 1 {
		t.Errorf("the ladder has rungs twice: %v", kinds(l))
	}
	list, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.Out})
	w.ok(err)
	if len(list) != 2 {
		t.Errorf("the clinic wrote %d notices, want two", len(list))
	}
}

// A large message goes the same way as a small one.
func TestLargeMessage(t *testing.T) {
	w := newWorld(t, "")
	image := make([]byte, 8<<20)
	rnd := rand.NewChaCha8([32]byte{1})
	_, _ = rnd.Read(image)
	text := w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Images", Text: "x\n", FinalDelivery: true,
		Attachments: []compose.Attachment{{Name: "ct.dcm", Content: bytes.NewReader(image)}}})
	id := w.send(w.hospital, text, w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	it := w.items(w.clinic, "intake", 1)[0]
	if b := w.saved(w.clinic, it); string(b) != text {
		t.Errorf("%d octets arrived, want %d", len(b), len(text))
	}
	if len(it.Parts) != 2 || it.Parts[1].Filename != "ct.dcm" {
		t.Errorf("parts %+v", it.Parts)
	}
}
