package gateway_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/staff"
)

// form reads the hidden fields and the proposed values of a page on which one writes, for send: names and values.
func (b *browser) form(page string) []string {
	b.Helper()
	text := b.get(page, http.StatusOK)
	var out []string
	for _, name := range []string{"csrf", "draft", "version"} {
		if m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(text); m != nil {
			out = append(out, name, m[1])
		}
	}
	return out
}

// TestAButtonPressedTwice sends one message, whoever presses: one person twice, or two who were both asked.
func TestAButtonPressedTwice(t *testing.T) {
	w := newWorld(t, webExtra)
	dana, nora := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "nora", staff.Nurse, staff.Send)
	sam := w.sits(w.clinic, "sam", staff.FrontDesk, staff.Draft)
	both := func(press ...func() string) {
		t.Helper()
		led := make(chan string, len(press))
		for _, f := range press {
			go func() { led <- f() }()
		}
		first := <-led
		for range press[1:] {
			if again := <-led; again != first || !strings.HasPrefix(first, "/sent/") {
				t.Errorf("the presses led to %q and %q", first, again)
			}
		}
	}
	fields := []string{"to", w.dr.String(), "subject", "Once", "text", "We will see her.", "category", "other", "do", "send"}
	t.Run("a new message", func(t *testing.T) {
		form := append(dana.form("/write/new"), fields...)
		press := func() string { return dana.send("/write/new", http.StatusSeeOther, form...) }
		both(press, press, press)
	})
	t.Run("a draft two are asked to send", func(t *testing.T) {
		draft := sam.send("/write/new", http.StatusSeeOther, append(sam.form("/write/new"), append(fields[:8:8], "do", "save")...)...)
		sam.send(draft, http.StatusSeeOther, append(sam.form(draft), append(fields[:8:8], "do", "ask")...)...)
		one, other := append(dana.form(draft), fields...), append(nora.form(draft), fields...)
		both(func() string { return dana.send(draft, http.StatusSeeOther, one...) }, func() string { return nora.send(draft, http.StatusSeeOther, other...) })
	})
	if sent := w.mustSent(); len(sent) != 2 {
		t.Errorf("%d messages left, want one of each", len(sent))
	}
}

// TestAConfirmationIsOfWhatWasShown: what comes up after it is shown and asked about anew.
func TestAConfirmationIsOfWhatWasShown(t *testing.T) {
	w := newWorld(t, webExtra)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	fields := []string{"to", w.dr.String(), "subject", "Documents", "text", "Two documents.", "category", "other", "do", "send"}
	text := func(name string) string {
		return strings.ReplaceAll(string(sample.Referral), "Brandvold", name)
	}
	page := dana.send("/write/new", 422, append(append(dana.form("/write/new"), fields...), "@a.xml", text("Ana"), "@b.xml", text("Berta"))...)
	dana.has(page, "about different patients", "Please confirm")
	seal := func(page string) string {
		return regexp.MustCompile(`name="confirm" value="([^"]+)"`).FindStringSubmatch(page)[1]
	}
	draft := regexp.MustCompile(`action="(/write/draft/[^"]+)"`).FindStringSubmatch(page)[1]
	page = dana.send(draft, 422, append(append(dana.form(draft), append(fields, "confirm", seal(page))...), "@c.xml", text("Carla"))...)
	dana.has(page, "Carla", "Please confirm")
	if n := len(w.mustSent()); n != 0 {
		t.Fatalf("%d messages left with a document nobody was asked about", n)
	}
	dana.send(draft, http.StatusSeeOther, append(append(dana.form(draft), fields...), "confirm", seal(page))...)
}

// TestAnAnswerToWhatIsSensitive is for those alone who may see what it answers, as a draft and when it is sent.
func TestAnAnswerToWhatIsSensitive(t *testing.T) {
	w := newWorld(t, webExtra)
	nora, lee := w.sits(w.clinic, "nora", staff.Nurse, staff.Send), w.sits(w.clinic, "lee", staff.Nurse, staff.Send)
	dana, mo := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Sign), w.sits(w.clinic, "mo", staff.Manager, staff.None)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	item := "/item/" + string(e.ID)
	fields := []string{"to", w.dr.String(), "subject", "Re: a thing not for everybody", "text", "Answer.", "category", "referral"}
	draft := nora.send(item+"/write/reply", http.StatusSeeOther, append(nora.form(item+"/write/reply"), append(fields, "do", "ask")...)...)
	if draft != "/write" {
		t.Fatalf("asking led to %q", draft)
	}
	at := regexp.MustCompile(`/write/draft/dr-[a-z2-7]+`)
	draft = at.FindString(nora.get("/write", 200))
	for _, page := range []string{"/", "/write"} {
		dana.has(dana.get(page, 200), "You are asked to send", draft) // nobody has said yet that it is sensitive
	}
	if page := nora.get("/", 200); strings.Contains(page, "You are asked to send") {
		t.Error("who asked is asked")
	}
	nora.post(item, item+"/act", http.StatusSeeOther, "act", "sensitive", "sensitive", "yes", "version", "1")
	lee.has(lee.get("/write", 200), draft)
	for _, b := range []*browser{dana, mo} {
		for _, at := range []string{"/", "/write"} {
			if page := b.get(at, 200); strings.Contains(page, draft) {
				t.Errorf("%s is shown the draft at %s", b.who.Login, at)
			}
		}
		b.get(draft, 404)
	}
	sent := nora.send(draft, http.StatusSeeOther, append(nora.form(draft), append(fields, "do", "send")...)...)
	lee.has(lee.get(sent, 200), "Re: a thing not for everybody", "What it says", "Answer.", "Nora Cole, Coordinator (nurse)")
	for _, b := range []*browser{dana, mo} {
		b.get(sent, 404)
		b.get(draft, 404)
		if page := b.get("/sent", 200); strings.Contains(page, "a thing not for everybody") {
			t.Errorf("%s is shown what was sent", b.who.Login)
		}
	}
}

// draftForm is where the form of a kept draft goes.
var draftForm = regexp.MustCompile(`action="(/write/draft/[^"]+)"`)

// press sends a form and says whether the message left: then page is its path.
func (b *browser) press(path string, fields ...string) (page string, left bool) {
	b.Helper()
	page, status := b.submit(path, fields...)
	return page, status == http.StatusSeeOther && strings.HasPrefix(page, "/sent/")
}
