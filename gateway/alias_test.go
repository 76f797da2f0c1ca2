package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/pipeline"
	"postern/gateway/store"
	"postern/smime/addr"
)

// TestTwoNamesOfOneInbox: written to two addresses of one inbox, in one transaction or in one each, a message is one
// item that names both, and each address has its own complete ladder.
func TestTwoNamesOfOneInbox(t *testing.T) {
	w := newWorld(t, "")
	desk := w.clinic.Address("desk")
	w.ok(w.clinic.Admin().AddressAdd(w.ctx, []gateway.AddressAdd{{Address: desk, Alias: w.intake.String()}}))
	text := w.referral(w.dr, w.intake, desk)
	id := w.send(w.hospital, text, w.dr, w.intake, desk)
	for _, r := range []addr.Address{w.intake, desk} {
		w.reach(w.hospital, id, r, track.StateDelivered)
	}
	w.quiet()
	both := func(number int) {
		t.Helper()
		it := w.items(w.clinic, "intake", number)[number-1]
		if got := it.Recipients(); len(got) != 2 || got[0] == got[1] {
			t.Errorf("item %d names %v, want both", it.Number, got)
		}
	}
	both(1)
	// As some gateways do it: the same message once for each of its recipients.
	text = w.referral(w.dr, w.intake, desk)
	first := w.send(w.hospital, text, w.dr, w.intake)
	w.reach(w.hospital, first, w.intake, track.StateDelivered)
	second := w.send(w.hospital, text, w.dr, desk)
	w.reach(w.hospital, second, desk, track.StateDelivered)
	w.quiet()
	both(2)
	// And again: a repetition is neither an item nor another name.
	third := w.send(w.hospital, text, w.dr, desk)
	w.reach(w.hospital, third, desk, track.StateDelivered)
	w.quiet()
	both(2)
}

// TestAKeyIsOfOneMessage: the same key with the same message is that message; with anything else it is refused, and
// nothing is sent.
func TestAKeyIsOfOneMessage(t *testing.T) {
	w := newWorld(t, "")
	w.mode(w.hospital, "pause")
	text, other := w.note(w.dr, w.intake), w.referral(w.dr, w.intake)
	submit := func(text, purpose string) (message.ID, error) {
		return w.hospital.Admin().Send(w.ctx, gateway.Send{From: w.dr, Recipients: []addr.Address{w.intake}, Key: "k-1", Purpose: purpose}, strings.NewReader(text))
	}
	first, err := submit(text, "")
	w.ok(err)
	if again, err := submit(text, ""); err != nil || again != first {
		t.Errorf("the same message again is %s, %v; want %s", again, err, first)
	}
	for what, try := range map[string]func() (message.ID, error){
		"other content": func() (message.ID, error) { return submit(other, "") },
		"other purpose": func() (message.ID, error) { return submit(text, "discharge") },
	} {
		if id, err := try(); !errors.Is(err, pipeline.ErrKeyReused) {
			t.Errorf("%s: %s, %v; want ErrKeyReused", what, id, err)
		}
	}
	list, err := w.hospital.Store.Messages(w.ctx, store.Query{})
	if err != nil || len(list) != 1 {
		t.Errorf("%d messages, %v", len(list), err)
	}
}

// TestItemsSayWhenTheyGo: with a retention in force an item names its day; without one it names none.
func TestItemsSayWhenTheyGo(t *testing.T) {
	w := newWorld(t, "")
	w.reach(w.hospital, w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake), w.intake, track.StateDone)
	it := w.items(w.clinic, "intake", 1)[0]
	if !it.DeleteOn.IsZero() {
		t.Errorf("kept for ever, and goes on %s", it.DeleteOn)
	}
	_, err := w.clinic.Admin().RetentionSet(w.ctx, gateway.RetentionSet{Kind: store.KeptInbox, Days: 2})
	w.ok(err)
	if got := w.items(w.clinic, "intake", 1)[0]; !got.DeleteOn.Equal(it.Received.Add(48 * time.Hour)) {
		t.Errorf("received %s, goes on %s", it.Received, got.DeleteOn)
	}
}
