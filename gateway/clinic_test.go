package gateway_test

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/lab"
	"postern/gateway/message"
	"postern/gateway/store"
)

// webExtra serves the pages to this machine alone, as behind a reverse proxy.
const webExtra = "\n[web]\nlisten = \"127.0.0.1:0\"\nproxies = [\"127.0.0.1/32\"]\npublic_url = \"https://pages.example\"\n"

// browser is a person at the pages of a site.
type browser struct {
	*world
	who    staff.Person
	client *http.Client
}

// sits makes a person with a level in the site's one team, signed in.
func (w *world) sits(s *lab.Site, login string, role staff.Role, level staff.Level) *browser {
	w.Helper()
	orgs, err := s.Store.Orgs(w.ctx)
	w.ok(err)
	p := staff.Person{ID: staff.PersonID("p-" + login), Org: orgs[0].ID, Login: login, Name: strings.ToUpper(login[:1]) + login[1:] + " Cole", Title: "Coordinator", Role: role, Zone: "UTC"}
	w.ok(s.Store.AddPerson(w.ctx, p, "", store.AuditEntry{}))
	w.ok(s.Store.EnsurePools(w.ctx, p.Org))
	pools, err := s.Store.Pools(w.ctx, p.Org)
	w.ok(err)
	if level > staff.None {
		w.ok(s.Store.SetMemberships(w.ctx, p, pools[0].ID, []staff.Membership{{Pool: pools[0].ID, Level: level}}, store.AuditEntry{}))
	}
	token := auth.NewToken()
	now := s.Store.Now()
	w.ok(s.Store.BeginSession(w.ctx, auth.Session{Hash: auth.HashToken(token), Org: p.Org, Person: string(p.ID), Stage: auth.Full, Method: "test", Created: now, Seen: now, Proved: now}, "", store.AuditEntry{}))
	jar, _ := cookiejar.New(nil)
	origin, _ := url.Parse("https://pages.example/")
	jar.SetCookies(origin, []*http.Cookie{{Name: "__Host-postern", Value: token, Path: "/", Secure: true}})
	running, err := s.As("test").Status(w.ctx)
	w.ok(err)
	at := running.Addresses["web.listen"][0]
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", at)
	}
	return &browser{w, p, &http.Client{Jar: jar, Transport: plain{&http.Transport{DialContext: dial}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// plain is the proxy's side: what was asked over TLS goes on without it.
type plain struct{ *http.Transport }

func (p plain) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	return p.Transport.RoundTrip(r)
}

// get reads a page and requires its status.
func (b *browser) get(path string, status int) string {
	b.Helper()
	return b.do(http.MethodGet, path, "", nil, status)
}

func (b *browser) do(method, path, kind string, body io.Reader, status int) string {
	b.Helper()
	text, got := b.ask(method, path, kind, body)
	if got != status {
		b.Fatalf("%s %s: %d, want %d\n%.1500s", method, path, got, status, text)
	}
	return text
}

// ask is what the pages answer, and their status; where they lead on to, for a redirect.
func (b *browser) ask(method, path, kind string, body io.Reader) (string, int) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.ctx, method, "https://pages.example"+path, body)
	b.ok(err)
	if body != nil {
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Origin", "https://pages.example")
	}
	resp, err := b.client.Do(r)
	b.ok(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	b.ok(err)
	if resp.StatusCode == http.StatusSeeOther {
		return resp.Header.Get("Location"), resp.StatusCode
	}
	return string(text), resp.StatusCode
}

var csrfField = regexp.MustCompile(`name="([a-z_]+)" value="([A-Za-z0-9_-]{20,})"`)

// post fills the form of a page: names and values in turn; a name beginning with @ is a file.
func (b *browser) post(page, path string, status int, fields ...string) string {
	b.Helper()
	m := csrfField.FindStringSubmatch(b.get(page, http.StatusOK))
	if m == nil {
		b.Fatalf("%s has no form", page)
	}
	return b.send(path, status, append([]string{m[1], m[2]}, fields...)...)
}

func (b *browser) send(path string, status int, fields ...string) string {
	b.Helper()
	page, got := b.submit(path, fields...)
	if got != status {
		b.Fatalf("POST %s: %d, want %d\n%.1500s", path, got, status, page)
	}
	return page
}

// submit sends a form: names and values in turn; a name beginning with @ is a file.
func (b *browser) submit(path string, fields ...string) (string, int) {
	b.Helper()
	if !strings.Contains(path, "write") && !strings.Contains(path, "import") {
		v := url.Values{}
		for i := 0; i+1 < len(fields); i += 2 {
			v.Add(fields[i], fields[i+1])
		}
		return b.ask(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
	}
	var body bytes.Buffer
	mw := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		if name, file := strings.CutPrefix(fields[i], "@"); file {
			part, err := mw.CreateFormFile("file", name)
			b.ok(err)
			_, _ = io.WriteString(part, fields[i+1])
			continue
		}
		b.ok(mw.WriteField(fields[i], fields[i+1]))
	}
	b.ok(mw.Close())
	return b.ask(http.MethodPost, path, mw.FormDataContentType(), &body)
}

func (b *browser) has(page string, words ...string) {
	b.Helper()
	for _, w := range words {
		if !strings.Contains(page, w) {
			b.Errorf("the page does not say %q\n%.3000s", w, page)
		}
	}
}

// arrived waits for the work of a message that came.
func (w *world) arrived(s *lab.Site, subject string) work.Entry {
	w.Helper()
	for {
		changed := s.Store.DeskChanged()
		orgs, err := s.Store.Orgs(w.ctx)
		w.ok(err)
		pools, err := s.Store.Pools(w.ctx, orgs[0].ID)
		w.ok(err)
		lines, err := s.Store.WorkList(w.ctx, store.WorkQuery{Org: orgs[0].ID, Reach: []store.Reach{{Pool: pools[0].ID, All: true}}, View: store.ViewOpen, N: 50})
		w.ok(err)
		for _, l := range lines {
			if l.Subject == subject {
				return l.Entry
			}
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.Fatal(context.Cause(w.ctx))
		}
	}
}

func (w *world) indexed(s *lab.Site) {
	w.Helper()
	for {
		changed := s.Store.DeskChanged()
		waiting, err := s.Store.Unindexed(w.ctx, 1)
		w.ok(err)
		if len(waiting) == 0 {
			return
		}
		_, err = s.Index(w.ctx)
		w.ok(err)
		select {
		case <-changed:
		default:
		}
	}
}

// TestAReferralIsFoundMatchedAndAnswered walks from the arrival of a referral to the confirmed delivery of its answer.
func TestAReferralIsFoundMatchedAndAnswered(t *testing.T) {
	w := newWorld(t, webExtra)
	dana, sam, guest := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "sam", staff.FrontDesk, staff.Draft), w.sits(w.clinic, "guest", staff.FrontDesk, staff.None)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	e := w.arrived(w.clinic, "Referral")
	item := "/item/" + string(e.ID)
	w.indexed(w.clinic)

	page := dana.get("/find?q="+url.QueryEscape("atrial from:hospital -zebra"), 200)
	dana.has(page, item, "Referral")
	if page := guest.get("/find?q=atrial", 200); strings.Contains(page, item) {
		t.Error("who belongs to no team finds a message")
	}
	for _, p := range []string{item + "/patient", item + "/print", item + "/export", item + "/write/reply"} {
		guest.get(p, 404)
	}

	page = dana.get(item+"/patient", 200)
	dana.has(page, "The message states", "make a provisional patient")
	dana.post(item+"/patient", item+"/patient", 303, "do", "new")
	e, err := w.clinic.Store.Work(w.ctx, e.Org, e.ID)
	w.ok(err)
	page = dana.get("/patient/"+e.Patient, 200)
	dana.has(page, "provisional", item)
	guest.get("/patient/"+e.Patient, 404)
	dana.post("/patient/"+e.Patient, "/patient/"+e.Patient+"/confirm", 303)

	dana.has(dana.get(item+"/print", 200), "See attached.", "(verified)", "How it was secured", "contains patient information")
	archive := dana.get(item+"/export?thread=1", 200)
	z, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	w.ok(err)
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "conversation.html 01/message.eml 01/part-1.txt 01/referral.xml 01/receipt.json SHA256SUMS" {
		t.Errorf("export: %s", got)
	}

	// Sam may write but not send; Dana sends what he asks her to.
	draft := sam.post(item+"/write/reply", item+"/write/reply", 303, "to", w.dr.String(), "subject", "Re: Referral", "text", "We will see her on Friday.", "category", "referral", "do", "save",
		"@note.txt", "bring the ECG")
	page = sam.get(draft, 200)
	sam.has(page, "note.txt", "Ask the team to send it")
	if strings.Contains(page, `value="send"`) {
		t.Error("who may not send is offered to")
	}
	version := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(page)[1]
	fields := []string{"version", version, "to", w.dr.String(), "subject", "Re: Referral", "text", "We will see her on Friday.", "category", "referral"}
	sam.post(draft, draft, 422, append(fields, "do", "send")...)
	version = regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(sam.get(draft, 200))[1]
	fields[1] = version
	sam.has(sam.post(draft, draft, 422, append([]string{"version", "1"}, append(fields[2:], "do", "save")...)...), "saved in another window")
	sam.post(draft, draft, 303, append(fields, "do", "ask")...)
	dana.has(dana.get("/write", 200), "You are asked to send", draft)
	guest.get(draft, 404)
	page = dana.get(draft, 200)
	fields[1] = regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(page)[1]
	dana.has(page, "Written by Sam Cole")
	dana.has(dana.post(draft, draft, 200, append(fields, "do", "check")...), "Can be reached, and is trusted.", "Ready to send")
	fields[1] = regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(dana.get(draft, 200))[1]
	sent := dana.post(draft, draft, 303, append(fields, "do", "send")...)
	id := message.ID(strings.TrimPrefix(sent, "/sent/"))
	w.reach(w.clinic, id, w.dr, track.StateDelivered)
	dana.has(dana.get(sent, 200), "delivered", "Their gateway has taken responsibility", "Dana Cole")
	guest.get(sent, 404)

	m, err := w.clinic.Store.Message(w.ctx, id)
	w.ok(err)
	if m.Submission.Edge != message.EdgeWeb || m.Submission.Principal != "dana" || m.Facts.InReplyTo == "" || !m.Facts.FinalDelivery || m.Submission.Purpose != "referral" {
		t.Errorf("%+v", m.Submission)
	}
	text := w.lastText(w.hospital, "dr")
	for _, want := range []string{"We will see her on Friday.", "Dana Cole, Coordinator (front desk)", "Front desk", "note.txt"} {
		if !strings.Contains(text, want) {
			t.Errorf("the answer does not hold %q:\n%s", want, text)
		}
	}
	// A second answer needs an explicit word.
	body := []string{"to", w.dr.String(), "subject", "Re: Referral", "text", "Another.", "category", "referral", "do", "save"}
	dana.has(sam.post(item+"/write/reply", item+"/write/reply", 422, body...), "Your draft is kept and was not sent. Dana Cole answered this at")
	sam.post(item+"/write/reply", item+"/write/reply", 303, append(body, "again", "yes")...)
}

// TestAMessageForSomebodyElse is passed on with its files, and its sender hears where it went.
func TestAMessageForSomebodyElse(t *testing.T) {
	w := newWorld(t, webExtra)
	w.ok(w.hospital.Add(w.ctx, "ward"))
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	page := "/item/" + string(w.arrived(w.clinic, "Referral").ID) + "/write/redirect"
	ward := w.hospital.Address("ward")
	dana.has(dana.get(page, 200), "its sender is told where")
	sent := dana.post(page, page, 303, "to", ward.String(), "subject", "Fwd: Referral", "text", "", "category", "referral", "confirm", "yes", "do", "send")
	w.reach(w.clinic, message.ID(strings.TrimPrefix(sent, "/sent/")), ward, track.StateDelivered)
	if text := w.lastText(w.hospital, "ward"); !strings.Contains(text, "referral.xml") {
		t.Errorf("the document was not passed on:\n%.2000s", text)
	}
	var told message.ID
	for _, m := range w.mustSent() {
		if m.Facts.Subject == "Passed on: your message" {
			told = m.ID
		}
	}
	w.reach(w.clinic, told, w.dr, track.StateDone)
	if text := w.lastText(w.hospital, "dr"); !strings.Contains(text, ward.String()) || strings.Contains(text, "referral.xml") {
		t.Errorf("the sender was told:\n%.2000s", text)
	}
}

// TestWhatDidNotArriveIsWrittenAgain: with its text and files, to another address, and not by who may not.
func TestWhatDidNotArriveIsWrittenAgain(t *testing.T) {
	w := newWorld(t, webExtra)
	dana, guest := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "guest", staff.FrontDesk, staff.None)
	nobody := w.hospital.Address("nobody")
	sent := dana.post("/write/new", "/write/new", 303, "to", nobody.String(), "subject", "Echo report", "text", "Here it is.", "category", "result", "do", "send", "@echo.txt", "normal")
	w.reach(w.clinic, message.ID(strings.TrimPrefix(sent, "/sent/")), nobody, track.StateFailed)
	dana.has(dana.get(sent, 200), "Write it again, with its files", "failed")
	guest.post("/account", sent+"/again", 404, "to", w.dr.String())
	draft := dana.post(sent, sent+"/again", 303, "to", w.dr.String())
	page := dana.get(draft, 200)
	dana.has(page, "echo.txt", "Here it is.", "Echo report", w.dr.String())
	if strings.Contains(page, "Coordinator (front desk)") {
		t.Error("the signature of the first stands in the text")
	}
}

// lastText is the newest item of an inbox as it was opened.
func (w *world) lastText(s *lab.Site, inboxID string) string {
	w.Helper()
	items, err := s.Store.Items(w.ctx, inboxID, 0, 1)
	w.ok(err)
	if len(items) == 0 {
		w.Fatalf("%s is empty", inboxID)
	}
	r, _, err := s.As("test").Raw(w.ctx, inboxID, items[0].Number)
	w.ok(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	w.ok(err)
	return string(b)
}

// TestADraftThatMayNotLeave holds that Send is stopped by what Check names, each in its words.
func TestADraftThatMayNotLeave(t *testing.T) {
	w := newWorld(t, webExtra)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	for situation, c := range map[string]struct {
		fields []string
		words  string
	}{
		"no category":       {[]string{"to", w.dr.String(), "subject", "s", "text", "t"}, "No category is chosen."},
		"nobody":            {[]string{"subject", "s", "text", "t", "category", "other"}, "There is no recipient."},
		"an open field":     {[]string{"to", w.dr.String(), "subject", "s", "text", "Dear {{patient.name}}", "category", "other"}, "is not filled"},
		"not to be reached": {[]string{"to", "x@nowhere.example", "subject", "s", "text", "t", "category", "other"}, "x@nowhere.example"},
		"a program":         {[]string{"to", w.dr.String(), "subject", "s", "text", "t", "category", "other", "@setup.exe", "MZ\x90\x00" + strings.Repeat("\x00", 200) + "PE\x00\x00"}, "a program, not a document"},
	} {
		t.Run(situation, func(t *testing.T) {
			n := 0
			for i, f := range c.fields {
				if strings.HasPrefix(f, "@") {
					n = i
				}
			}
			fields := append([]string{}, c.fields...)
			if n > 0 {
				fields = append(append(append([]string{}, c.fields[:n]...), "do", "send"), c.fields[n:]...)
			} else {
				fields = append(fields, "do", "send")
			}
			b := *dana
			b.world = &world{TB: t, Lab: w.Lab, ctx: w.ctx, hospital: w.hospital, clinic: w.clinic, dr: w.dr, intake: w.intake}
			b.has(b.post("/write/new", "/write/new", 422, fields...), c.words, "In the way")
		})
	}
	if left := w.mustSent(); len(left) != 0 {
		t.Errorf("%d messages left", len(left))
	}
}

func (w *world) mustSent() []store.Message {
	w.Helper()
	all, err := w.clinic.Store.Messages(w.ctx, store.Query{Limit: 100})
	w.ok(err)
	var out []store.Message
	for _, m := range all {
		if m.Direction == store.Out {
			out = append(out, m)
		}
	}
	return out
}
