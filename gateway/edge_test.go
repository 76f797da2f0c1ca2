package gateway_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"postern/certs/issue"
	"postern/gateway"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// behind makes an address of a site end at a new SMTP edge.
func (w *world) behind(s *lab.Site, local string) (*lab.Edge, addr.Address) {
	w.Helper()
	e, err := lab.StartEdge()
	w.ok(err)
	w.Cleanup(func() { _ = e.Close() })
	a := s.Address(local)
	w.ok(s.Admin().AddressAdd(w.ctx, []gateway.AddressAdd{{Address: a, Edge: &gateway.EdgeOptions{Server: e.At, TLS: "none"}}}))
	return e, a
}

// taken waits for n messages at an edge.
func (w *world) taken(e *lab.Edge, n int) []lab.Taken {
	w.Helper()
	for {
		got, news := e.Got()
		if len(got) >= n {
			return got
		}
		select {
		case <-news:
		case <-w.ctx.Done():
			w.Fatalf("the edge has %d messages, want %d", len(got), n)
		}
	}
}

func TestEdgeGetsThePlainMessageOctetForOctet(t *testing.T) {
	w := newWorld(t, "")
	e, ehr := w.behind(w.clinic, "ehr")
	text := w.referral(w.dr, ehr)
	id := w.send(w.hospital, text, w.dr, ehr)
	w.reach(w.hospital, id, ehr, track.StateDelivered) // its 250 is what dispatched reports
	w.quiet()
	got := w.taken(e, 1)
	if len(got) != 1 {
		t.Fatalf("the edge has %d messages", len(got))
	}
	if string(got[0].Data) != text || got[0].From != w.dr.String() || !slices.Equal(got[0].To, []string{ehr.String()}) {
		t.Errorf("from %s to %v, %d octets, want %d", got[0].From, got[0].To, len(got[0].Data), len(text))
	}
}

// The edge refuses after `processed` was said: a failed notice follows, the sender hears it once and
// gets no DSN of ours besides.
func TestEdgeRefusesForGood(t *testing.T) {
	w := newWorld(t, "")
	e, ehr := w.behind(w.clinic, "ehr")
	e.Answer(552, smtp.EnhancedCode{5, 2, 2}, "mailbox full")
	id := w.send(w.hospital, w.referral(w.dr, ehr), w.dr, ehr)
	l := w.reach(w.hospital, id, ehr, track.StateFailed)
	w.ok(w.hospital.Until(w.ctx, "both notices are to be there", func() (bool, error) {
		var err error
		l, err = w.hospital.Ladder(w.ctx, id, ehr)
		return has(l, track.Processed) && has(l, track.Failed), err
	}))
	if has(l, track.Dispatched) {
		t.Errorf("after %v", kinds(l))
	}
	w.quiet()
	rep := w.told(w.hospital, "dr", 1)[0]
	if rep.Kind != message.MDN || len(rep.Entries) != 1 || !rep.Entries[0].About().SameMailbox(ehr) {
		t.Errorf("told by a %s of %+v, want the failed notice", rep.Kind, rep.Entries)
	}
	w.ok(w.Advance(w.ctx, 2*time.Hour)) // T1 and T2 say nothing more
	w.quiet()
	w.told(w.hospital, "dr", 1)
}

func TestEdgeThatIsAwayIsTriedAgainAndGivenUpInTime(t *testing.T) {
	w := newWorld(t, "")
	e, ehr := w.behind(w.clinic, "ehr")
	e.Answer(451, smtp.EnhancedCode{4, 3, 0}, "later")
	first := w.send(w.hospital, w.referral(w.dr, ehr), w.dr, ehr)
	deferred := func(n int) {
		w.ok(w.clinic.Until(w.ctx, fmt.Sprintf("delivery is to be put off %d times", n), func() (bool, error) {
			list, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.In})
			if err != nil || len(list) == 0 {
				return false, err
			}
			l, err := w.clinic.Ladder(w.ctx, list[len(list)-1].ID, ehr)
			seen := 0
			for _, k := range kinds(l) {
				if k == track.Deferred {
					seen++
				}
			}
			return seen >= n, err
		}))
	}
	deferred(1)
	w.ok(w.Advance(w.ctx, time.Minute))
	deferred(2)
	e.Answer(0, smtp.EnhancedCode{}, "")
	w.ok(w.Advance(w.ctx, 5*time.Minute))
	w.reach(w.hospital, first, ehr, track.StateDelivered)
	if got := w.taken(e, 1); len(got) != 1 {
		t.Errorf("the edge has %d messages", len(got))
	}
	// The second is never taken: the failed notice comes before the sender's own clock runs out (DN-60).
	e.Answer(451, smtp.EnhancedCode{4, 3, 0}, "later")
	second := w.send(w.hospital, w.referral(w.dr, ehr), w.dr, ehr)
	w.ok(w.hospital.Until(w.ctx, "processed is to be said", func() (bool, error) {
		l, err := w.hospital.Ladder(w.ctx, second, ehr)
		return has(l, track.Processed), err
	}))
	w.quiet()
	w.ok(w.Advance(w.ctx, 51*time.Minute))
	l := w.reach(w.hospital, second, ehr, track.StateFailed)
	if l.Failure != track.Failed {
		t.Errorf("failed by %s, want the peer's own notice; after %v", l.Failure, kinds(l))
	}
}

// Notices for a sender behind an edge go there as they are, from the null sender.
func TestSenderBehindAnEdgeGetsItsNotices(t *testing.T) {
	w := newWorld(t, "")
	e, ehr := w.behind(w.hospital, "ehr")
	ghost := addr.MustParse("ghost@nowhere.example")
	id := w.send(w.hospital, w.referral(ehr, w.intake, ghost), ehr, w.intake, ghost)
	w.reach(w.hospital, id, w.intake, track.StateDelivered)
	w.quiet()
	got := w.taken(e, 3) // processed, dispatched, and a DSN for the ghost
	if len(got) != 3 {
		t.Fatalf("the edge has %d messages", len(got))
	}
	reports := map[string]int{}
	for _, m := range got {
		if m.From != "" {
			t.Errorf("a notice from %s, want <>", m.From)
		}
		var ins message.Inspector
		if _, err := ins.Write(m.Data); err != nil {
			t.Error(err)
		}
		reports[string(ins.Facts().Kind())]++
	}
	if reports["mdn"] != 2 || reports["dsn"] != 1 {
		t.Errorf("got %v", reports)
	}
}

func TestLocalToLocalTakesTheSealedPath(t *testing.T) {
	w := newWorld(t, "")
	w.ok(w.hospital.Add(w.ctx, "nurse"))
	nurse := w.hospital.Address("nurse")
	// Without the hospital's own anchor it is refused like anybody else's mail (AS-74).
	id := w.send(w.hospital, w.note(w.dr, nurse), w.dr, nurse)
	w.reach(w.hospital, id, nurse, track.StateFailed)
	w.items(w.hospital, "nurse", 0)
	w.oneDSN(id, "5.7.1", nurse)

	w.ok(w.hospital.Trust(w.ctx, w.hospital.Anchor))
	text := w.referral(w.dr, nurse)
	id = w.send(w.hospital, text, w.dr, nurse)
	l := w.reach(w.hospital, id, nurse, track.StateDelivered)
	if !has(l, track.Sealed) || !has(l, track.Processed) || !has(l, track.Dispatched) {
		t.Errorf("after %v", kinds(l))
	}
	if b := w.saved(w.hospital, w.items(w.hospital, "nurse", 1)[0]); string(b) != text {
		t.Error("the inner message changed")
	}
	// An address that does not exist is told by name, although the domain has a certificate.
	ghost := w.hospital.Address("ghost")
	id = w.send(w.hospital, w.note(w.dr, ghost), w.dr, ghost)
	w.reach(w.hospital, id, ghost, track.StateFailed)
	w.quiet()
	if rep := w.told(w.hospital, "dr", 2)[1]; rep.Entries[0].Status != "5.1.1" {
		t.Errorf("told %+v", rep.Entries)
	}
}

func TestDuplicatesAndSameIDOtherContent(t *testing.T) {
	w := newWorld(t, "")
	p := w.stranger()
	doc := addr.MustParse("doc@stranger.example")
	signer := w.certificate(p, issue.LeafOptions{Address: doc})
	text := crlf("From: <doc@stranger.example>\nTo: <intake@clinic.example>\nSubject: x\nMessage-ID: <1@stranger.example>\nMIME-Version: 1.0\n\nHello.\n")
	seal := func(inner string) []byte {
		b, err := p.Seal(w.ctx, signer, []byte(inner), w.clinic, w.intake)
		w.ok(err)
		return b
	}
	sealed := seal(text)
	for range 3 { // the same octets, as after a lost answer
		w.ok(w.clinic.Deliver(w.ctx, doc.String(), sealed, w.intake.String()))
	}
	w.ok(w.clinic.Deliver(w.ctx, doc.String(), seal(text), w.intake.String())) // the same message sealed again
	w.quiet()
	if it := w.items(w.clinic, "intake", 1)[0]; it.Flags.SameID {
		t.Error("the first message is flagged")
	}
	w.ok(w.clinic.Deliver(w.ctx, doc.String(), seal(strings.Replace(text, "Hello", "Goodbye", 1)), w.intake.String()))
	w.quiet()
	items := w.items(w.clinic, "intake", 2)
	if !items[1].Flags.SameID || items[0].Flags.SameID {
		t.Errorf("flags %+v and %+v, want the second flagged", items[0].Flags, items[1].Flags)
	}
	// Each copy was answered: the peer's gateway may have lost the first answer (DN-63).
	list, err := w.clinic.Store.Messages(w.ctx, store.Query{Direction: store.In})
	w.ok(err)
	for _, m := range list {
		l, err := w.clinic.Ladder(w.ctx, m.ID, w.intake)
		w.ok(err)
		if !has(l, track.ToldProcessed) || l.State != track.StateDelivered {
			t.Errorf("%s: %s after %v", m.ID, l.State, kinds(l))
		}
	}
}

func TestTagsAndLetterCase(t *testing.T) {
	w := newWorld(t, "")
	tagged := addr.MustParse("INTAKE+Cardiology@Clinic.Example")
	id := w.send(w.hospital, w.referral(addr.MustParse("Dr@Hospital.Example"), tagged), addr.MustParse("DR@hospital.example"), tagged)
	w.reach(w.hospital, id, tagged, track.StateDelivered)
	it := w.items(w.clinic, "intake", 1)[0]
	if it.Recipient.Local() != "INTAKE+Cardiology" {
		t.Errorf("filed for %s: the tag is lost", it.Recipient)
	}
	w.quiet()
	w.items(w.hospital, "dr", 0)
}

// A gateway that stops between any two stages goes on where it was; everything arrives once.
func TestStoppedInTheMiddle(t *testing.T) {
	w := newWorld(t, "")
	const n = 12
	ids := make([]message.ID, n)
	for i := range ids {
		ids[i] = w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
		if i%3 == 0 {
			w.ok(w.hospital.Stop())
			w.ok(w.hospital.Start(w.ctx))
		}
		if i%4 == 1 {
			w.ok(w.clinic.Stop())
			w.ok(w.clinic.Start(w.ctx))
		}
	}
	w.ok(w.clinic.Stop())
	w.ok(w.hospital.Stop())
	w.ok(w.clinic.Start(w.ctx))
	w.ok(w.hospital.Start(w.ctx))
	for i, id := range ids {
		for { // what met a stopped peer waits for its next attempt
			w.quiet()
			l, err := w.hospital.Ladder(w.ctx, id, w.intake)
			w.ok(err)
			if l.Terminal {
				if l.State != track.StateDelivered {
					t.Errorf("message %d: %s after %v", i, l.State, kinds(l))
				}
				break
			}
			w.ok(w.Advance(w.ctx, time.Minute))
		}
	}
	w.quiet()
	items := w.items(w.clinic, "intake", n)
	seen := map[string]bool{}
	for _, it := range items {
		if seen[it.RFCID] {
			t.Errorf("%s is there twice", it.RFCID)
		}
		seen[it.RFCID] = true
	}
	w.items(w.hospital, "dr", 0)
}

// Many recipients in several domains and both directions at once.
func TestManyRecipients(t *testing.T) {
	w := newWorld(t, "")
	var locals []string
	var to []addr.Address
	for i := range 20 {
		locals = append(locals, fmt.Sprintf("r%d", i))
		to = append(to, w.clinic.Address(locals[i]))
	}
	w.ok(w.clinic.Add(w.ctx, locals...))
	ghosts := []addr.Address{w.clinic.Address("ghost"), addr.MustParse("a@nowhere.example"), addr.MustParse("b@nowhere.example")}
	all := append(slices.Clone(to), ghosts...)
	id := w.send(w.hospital, w.referral(w.dr, all...), w.dr, all...)
	for _, a := range to {
		w.reach(w.hospital, id, a, track.StateDelivered)
	}
	for _, a := range ghosts {
		w.reach(w.hospital, id, a, track.StateFailed)
	}
	w.quiet()
	named := map[string]bool{}
	for _, rep := range w.told(w.hospital, "dr", 2) { // one of the certificates not found, one of the next hop's refusal
		for _, e := range rep.Entries {
			named[e.About().Key()] = true
		}
	}
	if len(named) != len(ghosts) {
		t.Errorf("the DSNs name %v", named)
	}
	if b := w.saved(w.clinic, w.items(w.clinic, "r7", 1)[0]); !bytes.Contains(b, []byte("r19@clinic.example")) {
		t.Error("the inner To is not complete")
	}
}
