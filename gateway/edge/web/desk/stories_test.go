package desk_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

func TestHomeSaysWhatNeedsAPersonNow(t *testing.T) {
	c := newClinic(t)
	ids := week(c)
	dana := c.as(c.dana).get("/")
	has(t, dana, "<title>Home (4) · Postern</title>", "Ottilie Maren Brandvold", "URGENT: new atrial fibrillation", "its subject says “URGENT”", "oldest <time", ">41 min</time>", "did not arrive", "Notes that name you", "Sam Ito",
		"Sensitive — for the clinicians of Front desk", "due again", "No rule wanted it", `data-stream="/live?seen=`)
	lacks(t, dana, "Confidential", "mindwell", string(ids["sensitive"]), "newpartner.example", "Lab report")
	mo := c.as(c.mo).get("/")
	has(t, mo, "office@newpartner.example", "held aside", "Other teams", "Lab report")
	lacks(t, mo, "Confidential", "mindwell", string(ids["sensitive"]))
	has(t, c.as(c.nora).get("/"), "Confidential", "Lab report")
	has(t, c.as(c.person(org, "new", "New Person", staff.FrontDesk)).get("/"), "Nothing needs a person now.")
}

func TestPagesAreSmallAndSayNoPatientInTheirTitle(t *testing.T) {
	c := newClinic(t)
	ids := week(c)
	title := regexp.MustCompile(`(?s)<title>(.*?)</title>`)
	for _, path := range []string{"/", "/work", "/work?view=done", "/item/" + string(ids["referral"]), "/item/" + string(ids["referral"]) + "/finish", "/item/" + string(ids["referral"]) + "/document/2", "/handover"} {
		body := c.as(c.dana).get(path)
		if len(body) > 100<<10 {
			t.Errorf("%s takes %d octets", path, len(body))
		}
		if m := title.FindStringSubmatch(body); m == nil || strings.Contains(m[1], "Brandvold") || strings.Contains(m[1], "fibrillation") {
			t.Errorf("%s has the title %q", path, m)
		}
	}
}

// TestTriage walks one message from nobody's hands to finished, as its page does without script.
func TestTriage(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "Referral", Text: "Please see.\n"})
	path := "/item/" + string(e.ID)
	dana, sam := c.as(c.dana), c.as(c.sam)
	has(t, dana.get(path), `value="take"`, "nobody has this")
	if to := dana.act(e.ID, "act", "take", "next", "/work?view=new"); to != "/work?view=new" {
		t.Errorf("taking leads to %s", to)
	}
	has(t, dana.get(path), "You have this", `value="give_back"`)
	has(t, sam.get(path), "Dana Reyes has this", "Take over from Dana Reyes")
	// Sam's page is older than what happened: he is told, and nothing is done.
	code, body, _ := sam.post(path, path+"/act", "act", "take", "version", "1")
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Somebody acted on this after you opened it") {
		t.Errorf("an act on an older page: %d %s", code, notices(body))
	}
	dana.act(e.ID, "act", "wait", "until", "2030-03-10", "note", "until the ECG comes")
	has(t, dana.get(path), "until <time", "10 Mar 2030", "until the ECG comes")
	code, body, _ = dana.post(path, path+"/act", "act", "wait", "version", "3", "until", "10 March")
	if code != http.StatusUnprocessableEntity || !strings.Contains(body, "Give a day, such as 2030-03-11.") {
		t.Errorf("a day that is none: %d", code)
	}
	dana.act(e.ID, "act", "urgency", "urgency", "urgent")
	dana.act(e.ID, "act", "pass", "to", string(c.sam.ID), "note", "yours, please")
	if ms, err := c.Mentions(t.Context(), org, c.sam.ID, 5); err != nil || len(ms) != 1 {
		t.Errorf("who it is passed to is told by %d notes, %v", len(ms), err)
	}
	code, body, _ = dana.post(path, path+"/act", "act", "finish", "version", "6", "category", "referral")
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Somebody acted") && !strings.Contains(notices(body), "Somebody else has this") {
		t.Errorf("finishing another's: %d %s", code, notices(body))
	}
	now, err := c.Store.Work(t.Context(), org, e.ID)
	c.ok(err)
	code, body, _ = sam.post(path, path+"/act", "act", "finish", "version", fmt.Sprint(now.Version))
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "nothing is finished without a category") {
		t.Errorf("finishing without a category: %d %s", code, notices(body))
	}
	has(t, sam.get(path+"/finish?next=/work"), `name="category" value="referral"`)
	sam.act(e.ID, "act", "finish", "category", "referral")
	has(t, sam.get("/work?view=done"), "Referral")
	lacks(t, sam.get("/work"), "/item/"+string(e.ID))
	has(t, sam.get(path), "Sam Ito finished this", `value="reopen"`, "passed it to Sam Ito", "took it", "lets it wait until 10 Mar 2030")
	sam.act(e.ID, "act", "reopen")
	has(t, sam.get("/work?view=mine"), "/item/"+string(e.ID))
}

func TestSensitiveIsForCliniciansOnly(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "About an intake", Text: "x\n"})
	path := "/item/" + string(e.ID)
	nora := c.as(c.nora)
	nora.act(e.ID, "act", "sensitive", "sensitive", "yes")
	for _, p := range []staff.Person{c.dana, c.mo} {
		b := c.as(p)
		for _, at := range []string{path, path + "/finish", path + "/page/1", path + "/file/1", path + "/live", path + "/document/1"} {
			if code, _, _ := b.ask("GET", at, nil); code != 404 {
				t.Errorf("%s gets %s: %d", p.Login, at, code)
			}
		}
		lacks(t, b.get("/work"), "About an intake", string(e.ID))
	}
	has(t, c.as(c.dana).get("/work"), "Sensitive — for the clinicians of Front desk")
	has(t, c.as(c.nora).get(path), "About an intake", "Not sensitive")
	// Who hides it from himself is led back to the list, not to a page that is not there.
	other := c.arrives(mail{Subject: "Another", Text: "x\n"})
	if to := c.as(c.dana).act(other.ID, "act", "sensitive", "sensitive", "yes"); to != "/work" {
		t.Errorf("leads to %s", to)
	}
}

// TestTwoPeopleAnswer is the collision: the second is told before writing, and goes on only by saying so.
func TestTwoPeopleAnswer(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "Question", Text: "May she fly?\n"})
	path := "/item/" + string(e.ID)
	sam, dana := c.as(c.sam), c.as(c.dana)
	if code, _, h := sam.ask("GET", path+"/answer?how=reply", nil); code != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/write?work=") {
		t.Fatalf("the first to answer: %d %s", code, h.Get("Location"))
	}
	has(t, dana.get(path), "Sam Ito is answering this")
	has(t, dana.get("/work"), "Sam Ito is answering")
	code, body, _ := dana.ask("GET", path+"/answer?how=reply", nil)
	if code != 200 || !strings.Contains(body, "Sam Ito is answering this") || !strings.Contains(body, "Answer all the same") {
		t.Fatalf("the second is told %d %s", code, notices(body))
	}
	c.now = c.now.Add(time.Minute)
	c.answers(c.sam, e, track.Handed)
	c.ok(c.EndAnswer(t.Context(), org, e.ID, c.sam.ID))
	_, body, _ = dana.ask("GET", path+"/answer?how=reply", nil)
	has(t, body, "Sam Ito answered this")
	if code, _, to := dana.post(path+"/answer?how=reply", path+"/answer", "how", "reply"); code != http.StatusSeeOther || !strings.HasPrefix(to, "/write?work=") {
		t.Errorf("going on all the same: %d %s", code, to)
	}
	has(t, dana.get(path), "Sam Ito wrote", "Handed over. Not known whether it arrived", "Signed and encrypted")
	if code, _, _ := dana.ask("GET", path+"/answer?how=eat", nil); code != 404 {
		t.Errorf("an answer that is none: %d", code)
	}
}

func TestHandOver(t *testing.T) {
	c := newClinic(t)
	one, two := c.arrives(mail{Subject: "One", Text: "x\n"}), c.arrives(mail{Subject: "Two", Text: "x\n"})
	dana := c.as(c.dana)
	dana.act(one.ID, "act", "take")
	dana.act(two.ID, "act", "wait", "until", "2030-03-10")
	body := dana.get("/handover")
	has(t, body, "One", "Two", "From Dana Reyes, Mon 4 Mar 09:00: 2 open, 1 waiting.")
	// A clinician of another team may not work on these: they stay.
	code, body, _ := dana.post("/handover", "/handover", "to", string(c.lee.ID), "item", string(one.ID), "note", "x")
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "may not work on these") {
		t.Errorf("to who may not: %d %s", code, notices(body))
	}
	code, _, to := dana.post("/handover", "/handover", "to", string(c.sam.ID), "item", string(one.ID), "item", string(two.ID), "note", "Call Mrs A back before noon.")
	if code != http.StatusSeeOther || to != "/" {
		t.Fatalf("%d %s", code, to)
	}
	has(t, c.as(c.sam).get("/"), "Call Mrs A back before noon.", "One", "Two")
	for _, v := range []struct {
		e     work.Entry
		state work.State
	}{{one, work.Taken}, {two, work.Waiting}} {
		e, err := c.Store.Work(t.Context(), org, v.e.ID)
		if err != nil || e.Owner != c.sam.ID || e.State != v.state {
			t.Errorf("%s: %s of %s, %v", v.e.ID, e.State, e.Owner, err)
		}
	}
	has(t, dana.get("/handover"), "You have nothing open")
	// Back to the team.
	sam := c.as(c.sam)
	if code, _, _ := sam.post("/handover", "/handover", "to", "", "item", string(one.ID)); code != http.StatusSeeOther {
		t.Errorf("back to the team: %d", code)
	}
	has(t, dana.get("/work?view=new"), "One")
	// Nothing of anybody else's can be handed over.
	if code, _, _ := dana.post("/work", "/handover", "to", "", "item", string(two.ID)); code != http.StatusUnprocessableEntity {
		t.Errorf("another's work was handed over: %d", code)
	}
}

// TestTwoOrganisations asks for everything of one organisation as the manager of another.
func TestTwoOrganisations(t *testing.T) {
	c := newClinic(t)
	ids := week(c)
	eve, err := c.Person(t.Context(), otherOrg, "p-eve")
	c.ok(err)
	b := c.as(eve)
	id := string(ids["referral"])
	foreign := []string{"/item/" + id, "/item/" + id + "/live", "/item/" + id + "/document/2", "/item/" + id + "/page/2", "/item/" + id + "/file/2", "/item/" + id + "/finish",
		"/item/" + id + "/answer?how=reply", "/teams/" + c.nurses.ID, "/rules/edit?rule=r-1", "/work?pool=" + c.desk.ID}
	for _, path := range foreign {
		none := regexp.MustCompile(`w-[a-z0-9]+|q-[a-z0-9]+|r-1`).ReplaceAllStringFunc(path, func(s string) string { return s[:2] + strings.Repeat("x", len(s)-2) })
		code, body, _ := b.ask("GET", path, nil)
		code2, body2, _ := b.ask("GET", none, nil)
		if code != 404 || code2 != 404 || body != body2 {
			t.Errorf("%s: %d, and of what is not there %d", path, code, code2)
		}
	}
	for _, path := range []string{"/item/" + id + "/act", "/item/" + id + "/note", "/item/" + id + "/answer", "/teams/" + c.nurses.ID, "/teams/" + c.nurses.ID + "/member", "/teams/" + c.nurses.ID + "/close"} {
		if code, _, _ := b.post("/handover?x", path, "act", "take", "version", "1", "note", "x", "how", "reply", "person", string(c.dana.ID), "level", "sign", "name", "x", "owner", "p-eve"); code != 404 {
			t.Errorf("POST %s: %d", path, code)
		}
	}
	for _, path := range []string{"/", "/work", "/work?view=done", "/teams", "/rules", "/held", "/handover"} {
		lacks(t, b.get(path), "Brandvold", "fibrillation", "riverside-family", "Dana", "Sam Ito", "Nurses", "newpartner", id, c.desk.ID)
	}
	has(t, b.get("/record/"+id), "Nothing was recorded about it.")
	mine := c.arrives(mail{Subject: "Of the other clinic", Text: "x\n", Org: otherOrg})
	lacks(t, c.as(c.mo).get("/work"), "Of the other clinic")
	if code, _, _ := c.as(c.mo).ask("GET", "/item/"+string(mine.ID), nil); code != 404 {
		t.Errorf("the other way round: %d", code)
	}
}

func TestADocumentIsShownSafely(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "Files", Text: "see files\n", Typed: `"Dr. <b>Evil</b>"`, Files: []compose.Attachment{
		{Name: "referral.xml", MediaType: "text/xml", Content: bytes.NewReader(sample.Referral)},
		{Name: "page.html", MediaType: "text/html", Content: strings.NewReader(`<html><body><script>alert(1)</script><p>Hello <img src="https://evil.example/x.png">there</p></body></html>`)},
		{Name: `..\..\evil.pdf.exe`, MediaType: "application/pdf", Content: strings.NewReader("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + strings.Repeat("\x00", 200))}}})
	b := c.as(c.dana)
	path := "/item/" + string(e.ID)
	body := b.get(path)
	has(t, body, `src="`+path+`/page/2"`, "sandbox", "calls itself “Dr. &lt;b&gt;Evil&lt;/b&gt;”", "evil.pdf.exe", "it is a program, not a document. It is not offered", "Riverside Family Medicine")
	lacks(t, body, "<b>Evil", path+"/file/4", "alert(1)")
	for _, p := range []string{"2", "3"} {
		code, doc, h := b.ask("GET", path+"/page/"+p, nil)
		csp := strings.Join(h.Values("Content-Security-Policy"), " ")
		if code != 200 || !strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(doc, "<script") || strings.Contains(doc, "evil.example") {
			t.Errorf("part %s: %d under %q", p, code, csp)
		}
	}
	code, _, h := b.ask("GET", path+"/file/2", nil)
	if code != 200 || h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment;") || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a file: %d %s %s", code, h.Get("Content-Type"), h.Get("Content-Disposition"))
	}
	if code, _, _ := b.ask("GET", path+"/file/4", nil); code == 200 {
		t.Error("a program is offered")
	}
	for _, p := range []string{"9", "2/../..", "0"} {
		if code, _, _ := b.ask("GET", path+"/page/"+url.PathEscape(p), nil); code != 404 {
			t.Errorf("part %q: %d", p, code)
		}
	}
}

func TestWhatChangedSinceTheLastDocument(t *testing.T) {
	c := newClinic(t)
	place := store.Place{Placement: work.Placement{Pool: c.desk.ID, Rule: "r"}, Patient: "pt-1"}
	file := func(b []byte) []compose.Attachment {
		return []compose.Attachment{{Name: "d.xml", MediaType: "text/xml", Content: bytes.NewReader(b)}}
	}
	c.arrives(mail{Subject: "Earlier", Text: "x\n", Place: place, Files: file(sample.Earlier)})
	c.now = c.now.Add(time.Hour)
	e := c.arrives(mail{Subject: "Later", Text: "x\n", Place: place, Files: file(sample.Referral)})
	b := c.as(c.dana)
	m := regexp.MustCompile(`href="(/item/[^"]+/document/2\?with=[^"]+)"`).FindStringSubmatch(b.get("/item/" + string(e.ID)))
	if m == nil {
		t.Fatal("no comparison is offered")
	}
	page := b.get(strings.ReplaceAll(m[1], "&amp;", "&"))
	frame := regexp.MustCompile(`<iframe[^>]* src="([^"]+)"`).FindStringSubmatch(page)
	has(t, b.get(strings.ReplaceAll(frame[1], "&amp;", "&")), "apixaban", "since")
	// What came before is not shown to who may not see it.
	secret := place
	secret.Sensitive = true
	c.now = c.now.Add(time.Hour)
	hidden := c.arrives(mail{Subject: "Hidden", Text: "x\n", Place: secret, Files: file(sample.Earlier)})
	if code, _, _ := c.as(c.dana).ask("GET", "/item/"+string(e.ID)+"/page/2?with="+string(hidden.ID)+"&part=2", nil); code != 404 {
		t.Errorf("a comparison with what is hidden: %d", code)
	}
}

func TestRulesAreTriedBeforeTheyHold(t *testing.T) {
	c := newClinic(t)
	c.arrives(mail{From: "a@hospital.example", Subject: "Chest pain clinic", Text: "x\n"})
	c.arrives(mail{From: "b@gp.example", Subject: "Something else", Text: "x\n"})
	mo := c.as(c.mo)
	has(t, mo.get("/rules"), "Everything else", "Front desk", "Mo Adeyemi")
	form := []string{"do", "save", "version", "0", "rule", "r-new", "new", "yes", "name", "Chest pain", "words", "chest pain\nangina", "pool", c.nurses.ID, "urgency", "urgent"}
	code, body, _ := mo.post("/rules/edit", "/rules/try", form...)
	if code != 200 {
		t.Fatalf("the trial: %d %s", code, notices(body))
	}
	has(t, body, "2 messages", "What only the last rule would have taken", "b@gp.example", "<strong>1 would have gone</strong>")
	lacks(t, body[strings.Index(body, "h-only"):], "a@hospital.example")
	if set, err := c.Rules(t.Context(), org); err != nil || set.Version != 0 {
		t.Fatalf("a trial saved version %d, %v", set.Version, err)
	}
	set := regexp.MustCompile(`name="set" value="([^"]+)"`).FindStringSubmatch(body)[1]
	set = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&").Replace(set)
	if code, body, to := mo.post("/rules", "/rules/try", "do", "remove", "version", "0", "rule", "none"); code != http.StatusUnprocessableEntity {
		t.Errorf("a rule that is none: %d %s %s", code, to, notices(body))
	}
	for i, want := range []int{http.StatusSeeOther, http.StatusUnprocessableEntity} { // the second was made of an older list
		if code, body, _ := mo.post("/rules/edit", "/rules", "version", "0", "set", set); code != want {
			t.Errorf("saving %d: %d %s", i, code, notices(body))
		}
	}
	has(t, mo.get("/rules"), "holds the words “chest pain” or “angina”", "goes to Nurses", "counts as urgent")
	code, body, _ = mo.post("/rules/edit", "/rules/try", "do", "save", "version", "1", "rule", "r-x", "name", "Nothing", "pool", c.nurses.ID)
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "set at least one condition") {
		t.Errorf("a rule without a condition: %d %s", code, notices(body))
	}
	if code, _, _ := c.as(c.dana).ask("GET", "/rules", nil); code != 404 {
		t.Errorf("rules for the front desk: %d", code)
	}
}

func TestTeams(t *testing.T) {
	c := newClinic(t)
	mo := c.as(c.mo)
	code, _, to := mo.post("/teams/new", "/teams/new", "name", "Billing", "owner", string(c.dana.ID), "purpose", "Money")
	if code != http.StatusSeeOther {
		t.Fatalf("a new team: %d", code)
	}
	has(t, mo.get("/teams"), "Billing", "Money", "nobody here may open sensitive messages")
	if code, body, _ := mo.post("/teams/new", "/teams/new", "name", "billing", "owner", string(c.dana.ID)); code != http.StatusUnprocessableEntity || !strings.Contains(body, "Another team has this name.") {
		t.Errorf("a second of that name: %d", code)
	}
	if code, body, _ := mo.post("/teams/new", "/teams/new", "name", "X", "owner", ""); code != http.StatusUnprocessableEntity || !strings.Contains(body, "somebody who answers for it") {
		t.Errorf("a team without an owner: %d", code)
	}
	if code, _, _ := mo.post(to, to+"/member", "person", string(c.sam.ID), "level", "draft", "level-records", "send", "level-result", "none"); code != http.StatusSeeOther {
		t.Errorf("a member: %d", code)
	}
	has(t, mo.get(to), "work and draft", "records: send as team", "result: nothing")
	if code, _, _ := mo.post(to, to+"/member", "person", string(c.sam.ID), "leave", "yes"); code != http.StatusSeeOther {
		t.Error("a member cannot leave")
	}
	has(t, mo.get(to), "Nobody yet.")
	if code, _, _ := mo.post(to, to+"/close"); code != http.StatusSeeOther {
		t.Error("an empty team cannot be closed")
	}
	c.arrives(mail{Subject: "x", Text: "x\n"})
	front := "/teams/" + c.desk.ID
	if code, body, _ := mo.post(front, front+"/close"); code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Open work") {
		t.Errorf("closing what has work: %d %s", code, notices(body))
	}
}

// listen opens a live page; next waits for what it sends and gives it, until false.
func (b *browser) listen(path string) (next func(says string) bool, leave func()) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	pr, pw := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.server.Handler().ServeHTTP(&stream{header: http.Header{}, to: pw}, b.request(ctx, "GET", path, nil))
		pw.Close()
	}()
	lines := bufio.NewScanner(pr)
	lines.Buffer(nil, 1<<20)
	lines.Scan() // the first sign: the stream is open
	next = func(says string) bool {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "data:") && strings.Contains(lines.Text(), says) {
				return true
			}
		}
		return false
	}
	return next, func() {
		cancel()
		_, _ = io.Copy(io.Discard, pr)
		<-ended
	}
}

// TestLive: what comes in appears on an open page by itself; what is taken from its reader goes, and the stream ends
// with the browser.
func TestLive(t *testing.T) {
	c := newClinic(t)
	dana := c.as(c.dana)
	at := regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(dana.get("/"))[1]
	c.arrives(mail{Subject: "Between the page and its stream", Text: "x\n"})
	next, leave := dana.listen(at)
	defer leave()
	if !next("Between the page and its stream") {
		t.Fatal("what came before the stream was open is not shown")
	}
	c.arrives(mail{Subject: "Just came in", Text: "x\n"})
	if !next("Just came in") {
		t.Fatal("the page never heard of it")
	}
	c.ok(c.SetMemberships(t.Context(), c.dana, c.desk.ID, nil, store.AuditEntry{}))
	c.arrives(mail{Subject: "Not for her any more", Text: "x\n"})
	if !next("Nothing needs a person now.") {
		t.Fatal("what was taken from her is still there")
	}
}

// TestALiveItemEndsWithTheRight: an open message says who else is there, and is closed to whoever may no longer see it.
func TestALiveItemEndsWithTheRight(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "x", Text: "x\n"})
	dana := c.as(c.dana)
	at := regexp.MustCompile(`data-stream="([^"]+)"`).FindStringSubmatch(dana.get("/item/" + string(e.ID)))[1]
	next, leave := dana.listen(strings.ReplaceAll(at, "&amp;", "&"))
	defer leave()
	c.as(c.sam).act(e.ID, "act", "take")
	if !next("Sam Ito has this") {
		t.Fatal("the page never heard that Sam took it")
	}
	c.ok(c.AddNote(t.Context(), work.Note{ID: work.NewNoteID(), Org: org, Work: e.ID, By: c.sam.ID, At: c.now, Text: "called them"}, store.AuditEntry{}))
	if !next("There is a new note.") {
		t.Fatal("the page never heard of the note")
	}
	c.answers(c.sam, e)
	if !next("An answer was sent.") {
		t.Fatal("the page never heard of the answer")
	}
	c.as(c.nora).act(e.ID, "act", "sensitive", "sensitive", "yes")
	if next("Sam") {
		t.Error("the page goes on about what its reader may not see")
	}
}

// stream is a browser that reads as it is written.
type stream struct {
	header http.Header
	to     *io.PipeWriter
}

func (s *stream) Header() http.Header         { return s.header }
func (s *stream) WriteHeader(int)             {}
func (s *stream) Write(b []byte) (int, error) { return s.to.Write(b) }
func (s *stream) Flush()                      {}

func TestPresence(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "x", Text: "x\n"})
	path := "/item/" + string(e.ID)
	c.as(c.sam).get(path)
	has(t, c.as(c.dana).get(path), "Sam Ito is looking at this too.")
	has(t, c.as(c.nora).get("/work"), "is here")
	c.now = c.now.Add(work.LookingFor + time.Second)
	lacks(t, c.as(c.dana).get(path), "Sam Ito is looking")
}

func TestWhatIsKept(t *testing.T) {
	c := newClinic(t)
	ids := week(c)
	id := string(ids["waiting"])
	mo := c.as(c.mo)
	has(t, mo.get("/record/"+id), "work.act", "wait", "Dana Reyes (dana)", "work.view")
	lacks(t, mo.get("/record/"+id), "palpitations", "ECG")
	e, err := c.Store.Work(t.Context(), org, ids["waiting"])
	c.ok(err)
	has(t, mo.get("/record?id="+string(e.Message)), "work.act")
	held := mo.get("/held")
	has(t, held, "office@newpartner.example", "198.51.100.7", "referrals@clinic.example")
	lacks(t, held, "Give up") // a manager sees who; trust is not his to decide
	if code, _, _ := c.as(c.dana).ask("GET", "/held", nil); code != 404 {
		t.Errorf("held senders for the front desk: %d", code)
	}
	if code, _, _ := c.as(c.dana).ask("GET", "/record/"+id, nil); code != 404 {
		t.Errorf("the record for the front desk: %d", code)
	}
	trust := c.as(c.person(org, "tess", "Tess Trust", staff.TrustAdministrator))
	has(t, trust.get("/held"), "Look again", "Give up")
	if code, _, to := trust.post("/held", "/held/h-3/discard"); code != http.StatusSeeOther || to != "/held" {
		t.Errorf("giving up: %d %s", code, to)
	}
	if code, _, _ := mo.post("/handover", "/held/h-3/discard"); code != 404 {
		t.Errorf("a manager gives up: %d", code)
	}
}

// TestANewOrganisation: the first visit makes the first team, says that nobody belongs to it yet, and a message that
// comes meanwhile is not lost.
func TestANewOrganisation(t *testing.T) {
	c := newClinic(t)
	c.ok(c.AddOrg(t.Context(), store.Org{ID: "o-3", Name: "New", WrappedKey: []byte{1}}))
	c.ok(c.EnsureInbox(t.Context(), "o-3", "referrals-o-3"))
	c.arrives(mail{Subject: "Before anybody was there", Text: "x\n", Org: "o-3"})
	first := staff.Person{ID: "p-first", Org: "o-3", Login: "first", Name: "First Person", Role: staff.Physician, Admin: true}
	c.ok(c.AddPerson(t.Context(), first, "", store.AuditEntry{}))
	b := c.as(first)
	has(t, b.get("/"), "Nobody belongs to <strong>Front desk</strong> yet")
	pools, err := c.Pools(t.Context(), "o-3")
	if err != nil || len(pools) != 1 || pools[0].Owner != first.ID {
		t.Fatalf("pools %+v, %v", pools, err)
	}
	at := "/teams/" + pools[0].ID
	if code, _, _ := b.post(at, at+"/member", "person", string(first.ID), "level", "sign"); code != http.StatusSeeOther {
		t.Fatalf("joining: %d", code)
	}
	body := b.get("/")
	has(t, body, "Before anybody was there")
	lacks(t, body, "Nobody belongs")
}

// TestWhatMayNotJoinIsReferredTo: a message of somebody else that names ours is shown beside the conversation, not in it.
func TestWhatMayNotJoinIsReferredTo(t *testing.T) {
	c := newClinic(t)
	one := c.arrives(mail{Subject: "The first", Text: "x\n"})
	it, err := c.Store.Item(t.Context(), one.Inbox, one.Number)
	c.ok(err)
	two := c.arrives(mail{From: "x@stranger.example", Subject: "Re: The first", Text: "x\n", InReplyTo: it.RFCID})
	three := c.arrives(mail{Subject: "More of it", Text: "x\n", InReplyTo: it.RFCID})
	b := c.as(c.dana)
	body := b.get("/item/" + string(two.ID))
	has(t, body, "Refers to", "/item/"+string(one.ID), "does not belong to these conversations")
	body = b.get("/item/" + string(three.ID))
	has(t, body, `<a href="/item/`+string(one.ID)+`">dr@hospital.example</a>`)
	lacks(t, body, "Refers to", "stranger.example")
}

// TestAFailureNamesOtherWays: what did not arrive shows why, a number to call and other addresses of the partner.
func TestAFailureNamesOtherWays(t *testing.T) {
	c := newClinic(t)
	entries := []directory.Entry{
		{ID: "ab-1", Org: org, Kind: directory.Department, Name: "Ward 3", Organization: "General Hospital", Address: addr.MustParse("dr@hospital.example"), Phone: "+1 555 0100", Source: directory.Typed, Changed: c.now},
		{ID: "ab-2", Org: org, Kind: directory.Department, Name: "Records", Organization: "General Hospital", Address: addr.MustParse("records@hospital.example"), Source: directory.Typed, Changed: c.now}}
	c.ok(c.SaveBook(t.Context(), org, entries, store.AuditEntry{}))
	e := c.arrives(mail{Subject: "Question", Text: "x\n"})
	id := c.answers(c.dana, e, track.Handed, track.NoProcessed)
	f := c.arrives(mail{From: "postmaster@clinic.example", Subject: "Not confirmed", Text: "x\n", Place: store.Place{Kind: work.Failure, About: id}})
	if f.Owner != c.dana.ID || f.Pool != e.Pool || f.Urgency != work.Urgent {
		t.Errorf("the task is %s's, in %s, urgency %d", f.Owner, f.Pool, f.Urgency)
	}
	has(t, c.as(c.dana).get("/item/"+string(f.ID)), "Something sent from here did not arrive", "Ward 3 — dr@hospital.example", "did not confirm it in time", "1 555 0100", "records@hospital.example",
		"/sent/"+string(id), "/item/"+string(e.ID), "its owner sent the message that did not arrive")
	has(t, c.as(c.dana).get("/"), "did not arrive", "You")
	lacks(t, c.as(c.mo).get("/"), "No rule wanted it</span>")
}
