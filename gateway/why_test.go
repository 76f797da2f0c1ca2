package gateway_test

import (
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/trust"
)

// heldMessage is the id of the newest message the clinic holds.
func (w *world) heldMessage() message.ID {
	w.Helper()
	list, err := w.clinic.Store.HeldList(w.ctx, 1)
	w.ok(err)
	if len(list) == 0 {
		w.Fatal("nothing is held")
	}
	return list[0].Message
}

// Asked about an address, every direction and form is tried now.
func TestWhyTriesEveryWay(t *testing.T) {
	w := newWorld(t, "")
	why, err := w.hospital.Admin().WhyAddress(w.ctx, gateway.WhyArg{Address: addr.MustParse("intake+x@clinic.example"), From: w.dr})
	w.ok(err)
	if len(why.Ways) != 12 || why.Letter != nil { // three forms; mail and notices, there and back
		t.Fatalf("%d ways, letter %v", len(why.Ways), why.Letter)
	}
	for _, way := range why.Ways {
		if !way.OK || way.Bound != "domain" || way.What == "" {
			t.Errorf("%+v", way)
		}
	}
	rows, err := w.hospital.Store.AnchorList(w.ctx, w.hospital.Domain)
	w.ok(err)
	rows[0].Incoming = false // mail goes there, and nothing but notices comes back
	w.ok(w.hospital.Store.AddAnchors(w.ctx, rows[:1], store.AuditEntry{Action: "anchor.add"}))
	why, err = w.hospital.Admin().WhyAddress(w.ctx, gateway.WhyArg{Address: w.intake, From: w.dr})
	w.ok(err)
	for _, way := range why.Ways {
		mailIn := way.Direction == trust.Incoming && way.Purpose == trust.Mail
		if way.OK == mailIn {
			t.Errorf("one-way trust: %+v", way)
		}
		if mailIn && (way.Reason != string(trust.NoAnchors) || way.Advice.Who != string(trust.Administrator)) {
			t.Errorf("one-way trust: %+v", way)
		}
	}
	if why.Letter == nil || why.Letter.To != "postmaster@hospital.example" || !strings.Contains(why.Letter.Text, "trust anchor add") {
		t.Errorf("the letter: %+v", why.Letter)
	}
	if _, err := w.hospital.Admin().WhyAddress(w.ctx, gateway.WhyArg{Address: w.intake, From: w.intake}); err == nil {
		t.Error("asked in the name of another's address")
	}
}

// Asked about a message, its decision is asked again, and what changed since is said.
func TestWhySaysWhatChangedSince(t *testing.T) {
	w := newWorld(t, "")
	rows, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	w.ok(w.clinic.As("berta").AnchorRemove(w.ctx, w.clinic.Domain, rows[0].Fingerprint))
	if got := w.reaches(); got != "no_anchors" {
		t.Fatal(got)
	}
	id := w.heldMessage()
	replay := func() gateway.WhyRecipient {
		t.Helper()
		why, err := w.clinic.Admin().WhyMessage(w.ctx, id)
		w.ok(err)
		if len(why.Recipients) != 1 || why.Recipients[0].Replay == nil {
			t.Fatalf("%+v", why)
		}
		return why.Recipients[0]
	}
	r := replay()
	if r.Replay.Differs || r.Replay.Then != "no_anchors" || r.Letter == nil || !strings.Contains(r.Letter.Text, "no trust anchors") {
		t.Errorf("nothing changed: %+v", r)
	}
	w.ok(w.Advance(w.ctx, 1e9))
	w.ok(w.clinic.Trust(w.ctx, w.hospital.Anchor))
	if r = replay(); !r.Replay.Differs || r.Replay.Now != "" || len(r.Replay.Changed) != 1 || !strings.Contains(r.Replay.Changed[0], "lab changed our trust: anchor.add") {
		t.Errorf("an anchor was added: %+v", r.Replay)
	}
	w.ok(w.Advance(w.ctx, 366*24*3600*1e9))
	if r = replay(); r.Replay.Now != string(trust.Expired) || !strings.Contains(strings.Join(r.Replay.Changed, "\n"), "ended on") {
		t.Errorf("a year later: %+v", r.Replay)
	}
	letter, mail, err := w.clinic.Admin().WhyLetter(w.ctx, gateway.LetterArg{Message: string(id)})
	w.ok(err)
	for _, want := range []string{"decision.json", "certificates.pem", "postmaster@clinic.example"} {
		if !strings.Contains(string(mail), want) {
			t.Errorf("the letter has no %s", want)
		}
	}
	if strings.Contains(string(mail), "About a patient") || letter.Text == "" {
		t.Error("the letter holds the subject")
	}
}

// What could not be found then is looked for again.
func TestWhyLooksAgain(t *testing.T) {
	w := newWorld(t, "")
	ghost := addr.MustParse("ghost@nowhere.example")
	id := w.send(w.hospital, w.note(w.dr, ghost), w.dr, ghost)
	w.reach(w.hospital, id, ghost, track.StateFailed)
	why, err := w.hospital.Admin().WhyMessage(w.ctx, id)
	w.ok(err)
	r := why.Recipients[0]
	if r.Replay == nil || r.Replay.Differs || r.Replay.Now != "certificate_not_found" || r.Letter == nil || r.Letter.To != w.dr.String() {
		t.Errorf("%+v", r)
	}
	if _, _, err := w.hospital.Admin().WhyLetter(w.ctx, gateway.LetterArg{WhyArg: gateway.WhyArg{Address: w.intake}}); err == nil || !strings.Contains(err.Error(), "nothing stands in the way") {
		t.Errorf("a letter about nothing: %v", err)
	}
}
