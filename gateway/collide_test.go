package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"postern/gateway/clinic/staff"
	"postern/gateway/message"
)

// TestTwoAnswersAtTheSameMoment: whichever press comes second is told who answered and when, its draft is kept, and it
// leaves only when its writer says so.
func TestTwoAnswersAtTheSameMoment(t *testing.T) {
	w := newWorld(t, webExtra)
	people := []*browser{w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "nora", staff.Nurse, staff.Send)}
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	write := "/item/" + string(w.arrived(w.clinic, "Referral").ID) + "/write/reply"
	fields := []string{"to", w.dr.String(), "subject", "Re: Referral", "text", "We will see her.", "category", "referral"}

	// Both have a draft, the second knowing of the first; each presses Send.
	var drafts []string
	var forms [][]string
	for i, b := range people {
		form := append(b.form(write), fields...)
		if i == 0 {
			drafts = append(drafts, b.send(write, http.StatusSeeOther, append(form, "do", "save")...))
		} else {
			page := b.send(write, http.StatusUnprocessableEntity, append(form, "do", "save")...)
			b.has(page, "Your draft is kept and was not sent. Dana Cole is writing an answer since")
			drafts = append(drafts, draftForm.FindStringSubmatch(page)[1])
		}
		forms = append(forms, append(append(b.form(drafts[i]), fields...), "do", "send"))
	}
	type answer struct {
		who  int
		page string
		left bool
	}
	answers := make(chan answer, len(people))
	for i, b := range people {
		go func() {
			page, left := b.press(drafts[i], forms[i]...)
			answers <- answer{i, page, left}
		}()
	}
	first, second := <-answers, <-answers
	if second.left {
		first, second = second, first
	}
	if !first.left || second.left {
		t.Fatalf("%v and %v left, want one of them", first.left, second.left)
	}
	told, winner := people[second.who], people[first.who]
	told.has(second.page, "Your draft is kept and was not sent. "+winner.who.Name+" answered this at", "Send all the same", "We will see her.")
	if n := w.mailLeft(); n != 1 {
		t.Fatalf("%d answers left, want one", n)
	}

	// The draft is there, and says so to whoever opens it; pressing the old button again changes nothing.
	at := drafts[second.who]
	told.has(told.get(at, 200), winner.who.Name+" answered this", first.page, `value="send 1"`)
	told.send(at, http.StatusUnprocessableEntity, append(append(told.form(at), fields...), "do", "send")...)
	sent := told.send(at, http.StatusSeeOther, append(append(told.form(at), fields...), "do", "send 1")...)
	if n := w.mailLeft(); n != 2 || !strings.HasPrefix(sent, "/sent/") {
		t.Errorf("%d answers left and the page is %s, want the second sent on purpose", n, sent)
	}
}

// mailLeft counts the messages of the clinic that left, notices apart.
func (w *world) mailLeft() (n int) {
	w.Helper()
	for _, m := range w.mustSent() {
		if m.Kind == message.Mail {
			n++
		}
	}
	return n
}

// TestAnAnswerBegunAfterAnother is written by who knows of the first: its writer was told on the page, and is not asked again.
func TestAnAnswerBegunAfterAnother(t *testing.T) {
	w := newWorld(t, webExtra)
	dana, nora := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "nora", staff.Nurse, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	item := "/item/" + string(w.arrived(w.clinic, "Referral").ID)
	write := item + "/write/reply"
	fields := []string{"to", w.dr.String(), "subject", "Re: Referral", "text", "We will see her.", "category", "referral", "do", "send"}
	sent := dana.send(write, http.StatusSeeOther, append(dana.form(write), fields...)...)
	nora.has(nora.get(item+"/answer?how=reply", 200), "Dana Cole answered this")
	nora.post(item, item+"/answer", http.StatusSeeOther, "how", "reply")
	page := nora.get(write, 200)
	nora.has(page, "Dana Cole answered this", sent, `name="known" value="1"`)
	nora.send(write, http.StatusSeeOther, append(append(nora.form(write), fields...), "known", "1")...)
	// Passing it on answers nobody, and asks nothing.
	forward := item + "/write/forward"
	fields[1], fields[3] = w.hospital.Address("dr").String(), "Fwd: Referral"
	nora.send(forward, http.StatusSeeOther, append(nora.form(forward), fields...)...)
}
