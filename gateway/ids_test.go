package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/gateway"
	"postern/gateway/auth"
	"postern/gateway/clinic/directory"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	texts "postern/gateway/clinic/template"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
)

// marker stands in everything that is not the caller's to see.
const marker = "zebrafish-"

// things are the ids of what belongs to one team of one organisation, by the names that paths and forms use.
type things map[string]string

// furnish makes one thing of each kind for a team.
func (w *ward) furnish(org, tag string, owner staff.Person, team pool.Pool) things {
	w.Helper()
	st, ctx := w.clinic.Store, w.ctx
	w.ok(st.EnsureInbox(ctx, org, "box-"+tag))
	blob := func(text string) spool.Blob {
		out, err := w.clinic.Spool.Create(org)
		w.ok(err)
		defer out.Abort()
		_, err = io.WriteString(out, text)
		w.ok(err)
		b, err := out.Commit(ctx)
		w.ok(err)
		return b
	}
	draft := `{"Subject":"` + marker + tag + `","Text":"` + marker + tag + `"}`
	shared := tag // of the whole organisation
	if org != w.org {
		shared = marker + tag
	}
	about, err := json.Marshal(somebody("Ann", marker+tag, "555 010 77"+tag[:1]))
	w.ok(err)
	put := func(n string) work.Entry {
		id := message.ID("m-in-" + tag + n)
		it := inbox.Item{Inbox: "box-" + tag, Org: org, Message: id, Recipient: w.intake, Sender: w.dr, Origin: inbox.FromSystem(w.dr), RFCID: string(id), Received: w.Clock.Now(),
			Subject: marker + " " + tag, Blob: "b", SHA256: sha256.Sum256([]byte(id)), Documents: []inbox.Document{{ID: "d-" + string(id), Path: "2", Kind: "c-cda", Patient: about}}}
		place := store.Place{Kind: work.Message}
		place.Pool = team.ID
		o, err := st.Commit(ctx, queue.Lease{}, store.Step{Items: []inbox.Item{it}, Places: []store.Place{place}})
		w.ok(err)
		e, err := st.WorkOfItem(ctx, org, it.Inbox, o.Numbers[0])
		w.ok(err)
		return e
	}
	known := func(e work.Entry) patient.ID {
		id, err := st.AddPatient(ctx, org, somebody("Ann", marker+tag, "555 010 7700"), store.PatientLink{Work: e.ID, How: "provisional", Reasons: []patient.Reason{}, By: owner.Login}, store.AuditEntry{})
		w.ok(err)
		return id
	}
	one, two := put("1"), put("2")
	gone, stays := known(one), known(two)
	w.ok(st.MergePatient(ctx, org, store.Merge{Gone: gone, Into: stays, Why: marker + tag, By: owner.Login}, store.AuditEntry{}))
	merges, err := st.Merges(ctx, org, stays, 1)
	w.ok(err)
	d := letter.Begin(owner, letter.New, team.ID, w.intake, nil, w.Clock.Now())
	_, err = st.AddDraft(ctx, d, blob(draft), false, store.AuditEntry{})
	w.ok(err)
	sent, left := message.ID("m-out-"+tag), blob("Subject: "+marker+tag+"\r\n\r\n"+marker+tag+"\r\n")
	_, err = st.Commit(ctx, queue.Lease{}, store.Step{Blobs: []spool.Blob{left}, Messages: []store.Message{{ID: sent, Direction: "out", Received: w.Clock.Now(),
		Submission: message.Submission{Org: org, Principal: owner.Login, Edge: message.EdgeWeb, From: w.intake}, Blob: left.ID, Facts: message.Facts{Subject: marker + tag}}},
		Held: []store.Held{{ID: "h-" + tag, Org: org, Message: sent, Peer: "192.0.2.1", MailFrom: marker + tag + "@x.example", Blob: left.ID, Reason: "untrusted", Expires: w.Clock.Now().Add(time.Hour)}}})
	w.ok(err)
	gift := letter.Begin(owner, letter.New, team.ID, w.intake, nil, w.Clock.Now())
	_, err = st.AddDraft(ctx, gift, blob(draft), false, store.AuditEntry{})
	w.ok(err)
	w.ok(st.MarkSent(ctx, gift, store.SentRow{Message: sent, Org: org, Person: owner.ID, Pool: team.ID, How: letter.New, Category: staff.Referral, Blob: left.ID}, store.AuditEntry{}))
	text, err := st.SaveTemplate(ctx, texts.Template{Org: org, Name: shared, Category: "referral", Subject: shared, Body: shared, Owner: string(owner.ID)}, store.AuditEntry{})
	w.ok(err)
	w.ok(st.SaveBook(ctx, org, []directory.Entry{{Org: org, Kind: directory.Person, Name: shared, Address: w.dr, Source: directory.Typed}}, store.AuditEntry{}))
	book, err := st.Book(ctx, org, shared, "", 5)
	w.ok(err)
	w.ok(st.AddEmergency(ctx, org, staff.BreakGlass{ID: "e-" + tag, Person: owner.ID, Pool: team.ID, Reason: marker + tag, At: w.Clock.Now(), Until: w.Clock.Now().Add(time.Hour)}, store.AuditEntry{}))
	w.ok(st.AddFactors(ctx, owner, []store.Factor{{ID: "f-" + tag, Kind: store.FactorRecovery, Name: "code", Lookup: tag, Data: []byte{}}}, nil, store.AuditEntry{}))
	token := "session of " + tag
	w.ok(st.BeginSession(ctx, sessionOf(owner, token, w.Clock.Now()), "", store.AuditEntry{}))
	sessions, err := st.Sessions(ctx, org, owner.ID)
	w.ok(err)
	return things{"mark": marker + tag, "item": string(two.ID), "other": string(one.ID), "pool": team.ID, "team": team.ID, "patient": string(stays), "merge": merges[0].ID, "person": string(owner.ID), "held": "h-" + tag, "draft": string(d.ID),
		"message": string(sent), "object": string(two.ID), "template": text, "book": book[0].ID, "emergency": "e-" + tag, "factor": "f-" + tag, "session": sessions[0].Hash[:16]}
}

// TestNoIDOpensWhatIsNotOnes walks each id of each path, and each id of each form, with what belongs to another
// organisation, asked by somebody who may do everything in their own; and with what belongs to another team, asked by
// somebody of one team. A path with a new kind of id fails until it is said here what would be foreign.
func TestNoIDOpensWhatIsNotOnes(t *testing.T) {
	w := newWard(t)
	st := w.clinic.Store
	chief := w.sits(w.clinic, "chief", staff.Manager, staff.Sign)
	chief.who.Admin = true
	w.ok(st.SetPerson(w.ctx, chief.who, true, store.AuditEntry{}))
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	nora := w.team("nora")
	pools, err := st.Pools(w.ctx, w.org)
	w.ok(err)
	front := pools[0]
	for _, p := range pools {
		if p.CatchAll {
			front = p
		}
	}
	var lake gateway.OrgLine
	w.verb("org.add", "Lakeside", &lake)
	boss := staff.Person{ID: "p-lake", Org: lake.ID, Login: "lake", Name: "Lee " + marker + "lake", Role: staff.Manager}
	w.ok(st.AddPerson(w.ctx, boss, "", store.AuditEntry{}))
	w.ok(st.EnsurePools(w.ctx, lake.ID))
	theirs, err := st.Pools(w.ctx, lake.ID)
	w.ok(err)
	elsewhere := w.furnish(lake.ID, "lake", boss, theirs[0])
	nurses := w.furnish(w.org, "nurses", nora.who, w.nurses)
	mine := w.came(somebody("Tom", "Olsen", "555 010 0009"), front.ID)
	dana.is(mine)
	own := things{"item": string(mine.ID), "pool": front.ID, "team": front.ID, "patient": w.patientOf(mine), "person": string(dana.who.ID), "how": "reply", "part": "2", "object": string(mine.ID)}

	trusty := w.sits(w.clinic, "trusty", staff.TrustAdministrator, staff.None)

	before := w.state(lake.ID, elsewhere) + w.state(w.org, nurses)
	for _, k := range []struct {
		situation string
		who       *browser
		foreign   things
	}{{"another organisation", chief, elsewhere}, {"another team", dana, nurses}} {
		w.walkPaths(k.situation, k.who, own, k.foreign)
		w.walkForms(k.situation, k.who, own, k.foreign)
	}
	w.walkPaths("another organisation, asked by who releases what is held", trusty, own, elsewhere)
	if after := w.state(lake.ID, elsewhere) + w.state(w.org, nurses); after != before {
		t.Errorf("something of theirs changed:\n%s\nwas\n%s", after, before)
	}
}

// state is what must not have changed.
func (w *ward) state(org string, x things) string {
	w.Helper()
	st := w.clinic.Store
	e, err := st.Work(w.ctx, org, work.ID(x["item"]))
	w.ok(err)
	p, err := st.Patient(w.ctx, org, patient.ID(x["patient"]))
	w.ok(err)
	d, err := st.Draft(w.ctx, org, letter.ID(x["draft"]))
	w.ok(err)
	who, err := st.Person(w.ctx, org, staff.PersonID(x["person"]))
	w.ok(err)
	fs, err := st.Factors(w.ctx, org, who.ID)
	w.ok(err)
	ss, err := st.Sessions(w.ctx, org, who.ID)
	w.ok(err)
	ms, err := st.Memberships(w.ctx, org, who.ID)
	w.ok(err)
	pl, err := st.Pool(w.ctx, org, x["pool"])
	w.ok(err)
	h, err := st.HeldEntry(w.ctx, x["held"])
	w.ok(err)
	em, err := st.EmergenciesSince(w.ctx, org, time.Time{})
	w.ok(err)
	tp, err := st.Template(w.ctx, org, x["template"])
	w.ok(err)
	bk, err := st.BookEntry(w.ctx, org, x["book"])
	w.ok(err)
	notes, err := st.Notes(w.ctx, org, e.ID)
	w.ok(err)
	b, err := json.Marshal([]any{e.Version, e.State, p.State, d.Version, d.State, who, len(fs), len(ss), ms, pl, h.State, em, tp, bk, len(notes)})
	w.ok(err)
	return string(b) + "\n"
}

// walkPaths asks each path with each of its ids foreign in turn, the others the caller's own.
func (w *ward) walkPaths(situation string, b *browser, own, foreign things) {
	w.Helper()
	pages, err := w.clinic.Pages("https://pages.example")
	w.ok(err)
	for _, r := range pages {
		for _, wild := range wildcards.FindAllString(r.Pattern, -1) {
			name := strings.Trim(wild, "{}$")
			if name == "" || name == "how" || name == "part" || name == "token" { // none names a thing: a part is of its item, a token is a secret of its own
				continue
			}
			strange, ok := foreign[name]
			if !ok {
				w.Errorf("%s: nothing foreign is said for %s", r, wild)
				continue
			}
			path := wildcards.ReplaceAllStringFunc(strings.TrimSuffix(r.Pattern, "{$}"), func(x string) string {
				if x == wild {
					return url.PathEscape(strange)
				}
				return url.PathEscape(own[strings.Trim(x, "{}$")])
			})
			var text string
			var code int
			if r.Method == http.MethodPost {
				text, code = b.post2(path, r.Upload > 0, "name", "x", "version", "1", "why", "because", "note", "seen", "act", "take")
			} else {
				text, code = b.ask(r.Method, path, "", nil)
			}
			want := http.StatusNotFound
			if name == "object" && staff.Of(b.who, nil, nil, time.Time{}).Can(staff.ReadAudit) {
				want = http.StatusOK // nothing was recorded about what is not there
			}
			if code != want || strings.Contains(text, foreign["mark"]) {
				w.Errorf("%s: %s as %s: %d, want %d\n%.300s", situation, r.Method, path, code, want, text)
			}
		}
	}
}

// walkForms sends each form that names a thing with a foreign one: nothing comes of it (state), and nothing is shown.
func (w *ward) walkForms(situation string, b *browser, own, foreign things) {
	w.Helper()
	item, person := "/item/"+own["item"], "/settings/people/"+own["person"]
	e, err := w.clinic.Store.Work(w.ctx, w.org, work.ID(own["item"]))
	w.ok(err)
	for path, fields := range map[string][]string{
		item + "/patient":                  {"do", "this", "patient", foreign["patient"]},
		item + "/act":                      {"act", "pass", "version", "1", "to", "pool:" + foreign["pool"] + "x"},
		item + "/act?person":               {"act", "pass", "version", "1", "to", foreign["person"]},
		"/patient/" + e.Patient + "/merge": {"into", foreign["patient"], "why", "the same"},
		"/patient/" + e.Patient + "/part":  {"merge", foreign["merge"], "why", "they are two"},
		"/handover":                        {"to", foreign["person"], "item", foreign["item"]},
		"/account/sessions":                {"which", foreign["session"]},
		"/account/remove":                  {"which", foreign["factor"]},
		"/emergency/end":                   {"which", foreign["emergency"]},
		person + "/out":                    {"which", foreign["session"]},
		"/write/new":                       {"draft", foreign["draft"], "subject", "x", "text", "y", "do", "save", "to", "a@b.example"},
	} {
		text, code := b.post2(path, strings.HasPrefix(path, "/write"), fields...)
		if code == http.StatusInternalServerError || strings.Contains(text, foreign["mark"]) {
			w.Errorf("%s: POST %s with %v: %d\n%.600s", situation, path, fields, code, text)
		}
	}
	if situation == "another organisation" { // within one's own these are a manager's to choose
		for path, fields := range map[string][]string{
			item + "/act":                       {"act", "pass", "version", "1", "to", "pool:" + foreign["pool"]},
			"/emergency":                        {"pool", foreign["pool"], "reason", "a long enough reason"},
			"/emergency/seen":                   {"which", foreign["emergency"]},
			"/teams/" + own["team"] + "/member": {"person", foreign["person"], "level", "send"},
			"/teams/" + own["team"]:             {"name", "Front", "owner", foreign["person"], "version", "1"},
			"/teams/new":                        {"name", "Stolen", "owner", foreign["person"]},
			"/rules":                            {"version", "0", "set", `[{"id":"r-1","name":"steal","pool":"` + foreign["pool"] + `","on":true}]`},
			"/templates/edit":                   {"id", foreign["template"], "name", "mine", "category", "referral", "subject", "x", "body", "y"},
			"/templates/remove":                 {"id", foreign["template"]},
			"/addresses/edit":                   {"id", foreign["book"], "name", "mine", "address", "x@y.example", "kind", "person"},
			"/addresses/remove":                 {"id", foreign["book"]},
		} {
			text, code := b.post2(path, false, fields...)
			if code == http.StatusInternalServerError || strings.Contains(text, foreign["mark"]) {
				w.Errorf("%s: POST %s with %v: %d\n%.600s", situation, path, fields, code, text)
			}
		}
	}
	for _, path := range []string{item + "/document/2?with=" + foreign["item"] + "&part=2", item + "/page/2?with=" + foreign["item"] + "&part=2", "/templates/edit?id=" + foreign["template"],
		"/addresses/edit?id=" + foreign["book"], "/record?id=" + foreign["item"], "/write/new?team=" + foreign["team"], "/find?q=" + foreign["mark"], "/patients?name=" + foreign["mark"],
		item + "/patient?name=" + foreign["mark"], "/work?after=" + foreign["item"], "/work?team=" + foreign["team"], "/rules/edit?rule=" + foreign["item"]} {
		if situation == "another team" && (strings.HasPrefix(path, "/templates") || strings.HasPrefix(path, "/addresses")) {
			continue // these are the whole organisation's
		}
		text, code := b.ask(http.MethodGet, path, "", nil)
		shown := strings.ReplaceAll(text, `value="`+foreign["mark"]+`"`, "") // what was asked for stands in its field
		if code == http.StatusInternalServerError || strings.Contains(shown, foreign["mark"]) {
			w.Errorf("%s: GET %s: %d\n%.600s", situation, path, code, text)
		}
	}
}

// sessionOf is a session of a person, begun now.
func sessionOf(p staff.Person, token string, now time.Time) auth.Session {
	return auth.Session{Hash: auth.HashToken(token), Org: p.Org, Person: string(p.ID), Stage: auth.Full, Method: "test", Agent: "a browser", Created: now, Seen: now, Proved: now}
}

// post2 sends a form with the token of the browser's own session, from no page in particular.
func (b *browser) post2(path string, upload bool, fields ...string) (string, int) {
	b.Helper()
	origin, err := url.Parse("https://pages.example/")
	b.ok(err)
	secret := ""
	for _, c := range b.client.Jar.Cookies(origin) {
		if c.Name == "__Host-postern" {
			secret = c.Value
		}
	}
	fields = append([]string{"csrf", web.FormToken(secret)}, fields...)
	if !upload {
		v := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			v.Add(fields[i], fields[i+1])
		}
		return b.ask(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(v.Encode()))
	}
	var body bytes.Buffer
	mw := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		b.ok(mw.WriteField(fields[i], fields[i+1]))
	}
	b.ok(mw.Close())
	return b.ask(http.MethodPost, path, mw.FormDataContentType(), &body)
}
