package gateway_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/delivery/notice"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/smime/addr"
)

// told is the failure notices in a sender's inbox, as reports; every item must be one.
func (w *world) told(s *lab.Site, name string, n int) []*notice.Report {
	w.Helper()
	var out []*notice.Report
	for _, it := range w.items(s, name, n) {
		b := w.saved(s, it)
		rep, err := notice.Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			w.Fatalf("item %d is no notice: %v\n%s", it.Number, err, b)
		}
		out = append(out, rep)
	}
	return out
}

// oneDSN checks that the sender was told once, about these recipients and no others, of this message.
func (w *world) oneDSN(id message.ID, status string, about ...addr.Address) {
	w.Helper()
	w.quiet()
	rep := w.told(w.hospital, "dr", 1)[0]
	m, err := w.hospital.Store.Message(w.ctx, id)
	w.ok(err)
	if rep.Kind != message.DSN || rep.OriginalMessageID != m.RFCID {
		w.Errorf("told by a %s about %q, want a DSN about %q", rep.Kind, rep.OriginalMessageID, m.RFCID)
	}
	var got []string
	for _, e := range rep.Entries {
		got = append(got, e.About().Key())
		if e.Action != notice.ActionFailed || e.Status != status {
			w.Errorf("%s: action %s, status %s, want failed and %s", e.About(), e.Action, e.Status, status)
		}
	}
	var want []string
	for _, a := range about {
		want = append(want, a.Key())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("the DSN names %v, want %v", got, want)
	}
}

func TestUnresolvableBesideAGoodOne(t *testing.T) {
	w := newWorld(t, "")
	ghost := addr.MustParse("ghost@nowhere.example")
	id := w.send(w.hospital, w.note(w.dr, w.intake, ghost), w.dr, w.intake, ghost)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	w.reach(w.hospital, id, ghost, track.StateFailed)
	w.items(w.clinic, "intake", 1)
	w.oneDSN(id, "5.7.5", ghost)
}

func TestHiddenRecipientFailsByNameAndTheOtherIsServed(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.clinic.Add(w.ctx, "hidden"))
	hidden := w.clinic.Address("hidden")
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake, hidden)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	l := w.reach(w.hospital, id, hidden, track.StateFailed)
	if has(l, track.Sealed) || has(l, track.Handed) {
		t.Errorf("the hidden recipient was sent to: %v", kinds(l))
	}
	w.items(w.clinic, "hidden", 0)
	w.oneDSN(id, "5.6.0", hidden)
	if b := w.saved(w.hospital, w.items(w.hospital, "dr", 1)[0]); !bytes.Contains(b, []byte("hidden@clinic.example")) || !bytes.Contains(b, []byte("blind")) {
		t.Errorf("the DSN does not say why:\n%s", b)
	}
}

func TestNoSigningCertificate(t *testing.T) {
	w := newWorld(t, "")
	rows, err := w.hospital.Admin().CertList(w.ctx)
	w.ok(err)
	for _, r := range rows {
		w.ok(w.hospital.Admin().CertRetire(w.ctx, r.ID))
	}
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateFailed)
	w.items(w.clinic, "intake", 0)
	w.oneDSN(id, "5.7.5", w.intake)
}

func TestRecipientNotTrusted(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.hospital)
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	l := w.reach(w.hospital, id, w.intake, track.StateFailed)
	if has(l, track.Sealed) {
		t.Errorf("sealed for an untrusted recipient: %v", kinds(l))
	}
	w.oneDSN(id, "5.7.1", w.intake)
}

func TestAddressUnknownToTheRecipientsGateway(t *testing.T) {
	w := newWorld(t, "")
	ghost := w.clinic.Address("ghost")
	id := w.send(w.hospital, w.note(w.dr, ghost, w.intake), w.dr, ghost, w.intake)
	w.reach(w.hospital, id, ghost, track.StateFailed)
	w.reach(w.hospital, id, w.intake, track.StateDone)
	w.oneDSN(id, "5.1.1", ghost)
}

func (w *world) forgetAnchors(s *lab.Site) {
	w.Helper()
	anchors, err := s.Store.AnchorList(w.ctx, s.Domain)
	w.ok(err)
	for _, a := range anchors {
		w.ok(s.Admin().AnchorRemove(w.ctx, s.Domain, a.Fingerprint))
	}
}

// The receiver does not trust the sender: silence there, one DSN here when T1 has run out; and when the
// anchor comes and the message is released, it is delivered, told, and the ladder shows it came late.
func TestHeldInSilenceThenReleased(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateSent)
	w.ok(w.clinic.Until(w.ctx, "one message is to be held", func() (bool, error) {
		list, err := w.clinic.Store.HeldList(w.ctx, 10)
		return len(list) == 1, err
	}))
	if got := w.heldReasons(w.clinic); !slices.Equal(got, []string{"no_anchors"}) {
		t.Fatalf("held for %v", got)
	}
	list, err := w.clinic.Store.HeldList(w.ctx, 10)
	w.ok(err)
	in, err := w.clinic.Admin().Trace(w.ctx, list[0].Message)
	w.ok(err)
	if len(in.Notices) != 0 || in.Ladders[0].Ladder.State != track.StateHeld || in.Message.OpenedBlob != "" {
		t.Fatalf("a held message: %d notices, state %s, opened blob %q", len(in.Notices), in.Ladders[0].Ladder.State, in.Message.OpenedBlob)
	}
	w.items(w.clinic, "intake", 0)

	w.ok(w.Advance(w.ctx, 59*time.Minute))
	w.quiet()
	if l, err := w.hospital.Ladder(w.ctx, id, w.intake); err != nil || l.State != track.StateSent {
		t.Fatalf("before T1 has run out: %s, %v", l.State, err)
	}
	w.ok(w.Advance(w.ctx, 2*time.Minute))
	w.reach(w.hospital, id, w.intake, track.StateFailed)
	w.oneDSN(id, "5.4.7", w.intake)

	// Releasing it without trust holds it again.
	w.ok(w.clinic.Admin().HeldRelease(w.ctx, list[0].ID))
	w.quiet()
	if got := w.heldReasons(w.clinic); !slices.Equal(got, []string{"no_anchors"}) {
		t.Fatalf("after a release without trust: held for %v", got)
	}
	if err := w.clinic.Admin().HeldRelease(w.ctx, list[0].ID); err == nil {
		t.Error("a message was released twice")
	}
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor))
	list, err = w.clinic.Store.HeldList(w.ctx, 10)
	w.ok(err)
	w.ok(w.clinic.Admin().HeldRelease(w.ctx, list[0].ID))
	w.items(w.clinic, "intake", 1)
	w.ok(w.hospital.Until(w.ctx, "the late confirmation is to show", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, id, w.intake)
		return has(l, track.Processed), err
	}))
	l, err := w.hospital.Ladder(w.ctx, id, w.intake)
	w.ok(err)
	if l.State != track.StateFailed || !l.Late || !has(l, track.Suppressed) {
		t.Errorf("state %s, late %v, after %v", l.State, l.Late, kinds(l))
	}
	w.oneDSN(id, "5.4.7", w.intake) // still the only one
	if got := w.heldReasons(w.clinic); len(got) != 0 {
		t.Errorf("still held: %v", got)
	}
	in, err = w.clinic.Admin().Trace(w.ctx, list[0].Message)
	w.ok(err)
	if !slices.Contains(kinds(in.Ladders[0].Ladder), track.Released) {
		t.Errorf("the ladder does not tell of the release: %v", kinds(in.Ladders[0].Ladder))
	}
}

func TestDiscardedIsNotReleased(t *testing.T) {
	w := newWorld(t, "")
	w.forgetAnchors(w.clinic)
	id := w.send(w.hospital, w.note(w.dr, w.intake), w.dr, w.intake)
	w.reach(w.hospital, id, w.intake, track.StateSent)
	if got := w.heldReasons(w.clinic); len(got) != 1 {
		t.Fatalf("held for %v", got)
	}
	list, err := w.clinic.Store.HeldList(w.ctx, 10)
	w.ok(err)
	w.ok(w.clinic.Admin().HeldDiscard(w.ctx, list[0].ID))
	if err := w.clinic.Admin().HeldRelease(w.ctx, list[0].ID); err == nil || !strings.Contains(err.Error(), "discarded") {
		t.Errorf("release of a discarded message: %v", err)
	}
	in, err := w.clinic.Admin().Trace(w.ctx, list[0].Message)
	w.ok(err)
	if in.Ladders[0].Ladder.State != track.StateDiscarded {
		t.Errorf("state %s", in.Ladders[0].Ladder.State)
	}
}

// DNS that does not answer is "not known yet": tried again, and given up with its own words at T1.
func TestNameServersWithoutAnAnswer(t *testing.T) {
	for _, how := range []lab.Answer{lab.ServFail, lab.Garbage, lab.Silence} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			w := newWorldOf(t, lab.Options{Answer: time.Second})
			w.DNS.Set("away.example", how)
			lost := addr.MustParse("dr@away.example")
			id := w.send(w.hospital, w.note(w.dr, lost, w.intake), w.dr, lost, w.intake)
			w.reach(w.hospital, id, w.intake, track.StateDone) // the good one does not wait
			w.ok(w.hospital.Until(w.ctx, "a retry is to be noted", func() (bool, error) {
				l, err := w.hospital.Ladder(w.ctx, id, lost)
				return has(l, track.Deferred), err
			}))
			w.quiet()
			w.items(w.hospital, "dr", 0)
			w.ok(w.Advance(w.ctx, 61*time.Minute))
			w.reach(w.hospital, id, lost, track.StateFailed)
			w.oneDSN(id, "5.4.7", lost)
			w.items(w.clinic, "intake", 1)
		})
	}
}

// A certificate is known but there is nowhere to deliver: no MX and no address, or a null MX.
func TestNowhereToDeliver(t *testing.T) {
	for _, how := range []lab.Answer{"", lab.NoData, lab.NullMX} {
		t.Run("dns "+string(how), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "")
			if how != "" {
				w.DNS.Set("away.example", how)
			}
			lost := addr.MustParse("dr@away.example")
			w.pinned(lost)
			id := w.send(w.hospital, w.note(w.dr, lost), w.dr, lost)
			l := w.reach(w.hospital, id, lost, track.StateFailed)
			if !has(l, track.Sealed) || has(l, track.Handed) {
				t.Errorf("after %v", kinds(l))
			}
			rep := w.told(w.hospital, "dr", 1)[0]
			if len(rep.Entries) != 1 || !strings.HasPrefix(rep.Entries[0].Status, "5.") {
				t.Errorf("told %+v", rep.Entries)
			}
		})
	}
}
