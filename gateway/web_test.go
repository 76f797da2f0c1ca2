package gateway_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/control"
	"postern/gateway/store"
	"postern/smime/addr"
)

const webPassword = "three green herons"

// visitor is a browser at a running gateway.
type visitor struct {
	*world
	http http.Client
	base string
	page string
	path string // of the page
	code int
}

// visitor comes over TLS to the clinic's public URL, wherever that listens here.
func (w *world) visitor(at string) *visitor {
	w.Helper()
	jar, err := cookiejar.New(nil)
	w.ok(err)
	var d net.Dialer
	t := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) { return d.DialContext(ctx, network, at) }
	w.Cleanup(t.CloseIdleConnections)
	_, port, err := net.SplitHostPort(at)
	w.ok(err)
	return &visitor{world: w, base: "https://mail.clinic.example:" + port, http: http.Client{Jar: jar, Transport: t, Timeout: patience}}
}

func (v *visitor) do(method, path string, form url.Values) *visitor {
	v.Helper()
	r, err := http.NewRequestWithContext(v.ctx, method, v.base+path, strings.NewReader(form.Encode()))
	v.ok(err)
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.base)
	}
	resp, err := v.http.Do(r)
	v.ok(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	v.ok(err)
	v.code, v.page, v.path = resp.StatusCode, string(b), resp.Request.URL.Path
	return v
}

func (v *visitor) get(path string) *visitor { v.Helper(); return v.do("GET", path, nil) }

var pageToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (v *visitor) post(path string, fields ...string) *visitor {
	v.Helper()
	m := pageToken.FindStringSubmatch(v.page)
	if m == nil {
		v.Fatalf("no form on the page before POST %s (%d)", path, v.code)
	}
	f := url.Values{"csrf": {m[1]}}
	for i := 0; i < len(fields); i += 2 {
		f.Add(fields[i], fields[i+1])
	}
	return v.do("POST", path, f)
}

func (v *visitor) signIn(login string) *visitor {
	v.Helper()
	v.get("/sign-in").post("/sign-in", "login", login, "password", webPassword)
	if v.code != http.StatusOK || !strings.Contains(v.page, `action="/sign-out"`) {
		v.Fatalf("%s is not signed in: %d %.300s", login, v.code, v.page)
	}
	return v
}

// verb does a verb of the clinic as its command would.
func (w *world) verb(name string, in, out any) {
	w.Helper()
	args, err := json.Marshal(in)
	w.ok(err)
	a, err := w.clinic.Verbs().Do(w.ctx, control.Request{Verb: name, Actor: "uid:0", Args: args})
	w.ok(err)
	if out != nil {
		b, err := json.Marshal(a.Value)
		w.ok(err)
		w.ok(json.Unmarshal(b, out))
	}
}

// TestTheFirstAdministrator is made by command, comes by the link, and cannot be lost.
func TestTheFirstAdministrator(t *testing.T) {
	w := newWorld(t, "\n[web]\nlisten = \"127.0.0.1:0\"\n")
	at := w.web()
	v := w.visitor(at)
	if v.get("/sign-in"); v.code != http.StatusOK {
		t.Fatalf("%d", v.code)
	}
	if v.post("/sign-in", "login", "admin", "password", "admin"); v.code == http.StatusOK {
		t.Error("there is a default password")
	}
	var made gateway.PersonMade
	w.verb("person.add", gateway.PersonArg{Login: "kim", Name: "Kim Park", Role: "manager"}, &made)
	link := made.Link[strings.Index(made.Link, "/welcome/"):]
	v.get(link).post(link, "new", webPassword, "again", webPassword)
	v.signIn("kim")
	if v.get("/settings/people"); v.code != http.StatusOK || !strings.Contains(v.page, "Kim Park") {
		t.Errorf("people: %d", v.code)
	}
	// Locked out for good: nobody knows the password, and the machine's owner gives another link.
	w.verb("person.disable", gateway.PersonArg{Login: "kim", Disabled: true}, nil)
	if v.get("/settings/people"); strings.Contains(v.page, "Kim Park") {
		t.Error("who is shut out still sees people")
	}
	w.verb("person.disable", gateway.PersonArg{Login: "kim"}, nil)
	w.verb("person.reset", gateway.PersonArg{Login: "kim", Factors: true}, &made)
	link = made.Link[strings.Index(made.Link, "/welcome/"):]
	v.get(link).post(link, "new", webPassword+" fly", "again", webPassword+" fly")
	if v.get("/sign-in").post("/sign-in", "login", "kim", "password", webPassword+" fly"); v.code != http.StatusOK {
		t.Errorf("after the reset: %d", v.code)
	}
	w.ok(w.clinic.Stop()) // with a browser that keeps its connection
}

// TestTwoOrganisations have mail and people of their own on one gateway. Whoever administers one asks for everything
// the other has, by its real names, and hears what is heard of names that nobody has.
func TestTwoOrganisations(t *testing.T) {
	w := newWorld(t, "\n[web]\nlisten = \"127.0.0.1:0\"\n")
	lakeside, intake := w.lakeside()
	home := w.clinic.Org
	for _, p := range []gateway.PersonArg{{Login: "kim", Name: "Kim River", Role: "manager"}, {Login: "kim", Name: "Kim Lake", Role: "manager", Org: lakeside},
		{Login: "tru", Name: "Tru Lake", Role: "trust_administrator", Org: lakeside}} {
		p.Password = webPassword
		w.verb("person.add", p, nil)
	}
	secret := w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Kidneys of Mr Rivermark", Text: "Rivermark\n"})
	_, err := w.hospital.Send(w.ctx, secret, w.dr, w.intake)
	w.ok(err)
	items, err := w.clinic.Items(w.ctx, "intake", 1)
	w.ok(err)
	mine, err := w.clinic.Store.WorkOfItem(w.ctx, home, "intake", items[0].Number)
	w.ok(err)

	// Mail from one to the other is two messages: what was sent stays the one's, what came is the other's.
	text := w.compose(compose.Message{From: w.intake, To: []addr.Address{intake}, Subject: "Lakemark", Text: "Lakemark\n"})
	sent, err := w.clinic.Send(w.ctx, text, w.intake, intake)
	w.ok(err)
	theirItems, err := w.clinic.Items(w.ctx, "intake@"+lakeside, 1)
	w.ok(err)
	if theirItems[0].Org != lakeside {
		t.Errorf("the item is of %s", theirItems[0].Org)
	}
	theirs, err := w.clinic.Store.WorkOfItem(w.ctx, lakeside, "intake@"+lakeside, theirItems[0].Number)
	w.ok(err)
	for id, org := range map[work.ID]string{mine.ID: lakeside, theirs.ID: home} {
		if _, err := w.clinic.Store.Work(w.ctx, org, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s is found by %s: %v", id, org, err)
		}
	}
	trace, err := w.clinic.As("x").Trace(w.ctx, theirItems[0].Message)
	w.ok(err)
	if b, err := json.Marshal(trace); err != nil || strings.Contains(string(b), string(sent)) {
		t.Errorf("what came names the other's own message (%v)", err)
	}

	at := w.web()
	river, kim, tru := w.visitor(at).signIn("kim"), w.visitor(at).signIn("kim@lake.clinic.example"), w.visitor(at).signIn("tru@lake.clinic.example")
	if kim.get("/item/" + string(theirs.ID)); kim.code != http.StatusOK || !strings.Contains(kim.page, "Lakemark") {
		t.Fatalf("their own item: %d", kim.code)
	}
	if river.get("/item/" + string(mine.ID)); river.code != http.StatusOK || !strings.Contains(river.page, "Rivermark") {
		t.Fatalf("the organisation's own item: %d", river.code)
	}
	draft, held := w.draftOf(river, mine), w.holdOne()
	pools, err := w.clinic.Store.Pools(w.ctx, home)
	w.ok(err)
	people, err := w.clinic.Store.People(w.ctx, home)
	w.ok(err)
	real := strings.NewReplacer("{item}", string(mine.ID), "{pool}", pools[0].ID, "{team}", pools[0].ID, "{person}", string(people[0].ID), "{object}", string(mine.Message),
		"{message}", string(items[0].Message), "{part}", "1", "{held}", held, "{patient}", "pt-x", "{draft}", draft, "{how}", "reply", "{token}", "x", "{$}", "")
	none := strings.NewReplacer("{item}", string(work.NewID()), "{pool}", "pool-none", "{team}", "pool-none", "{person}", "p-none", "{object}", "m-0000000000000000",
		"{message}", "m-0000000000000000", "{part}", "1", "{held}", "h-y", "{patient}", "pt-y", "{draft}", "d-y", "{how}", "reply", "{token}", "y", "{$}", "")
	routes, err := w.clinic.Pages(river.base)
	w.ok(err)
	asked := 0
	for _, r := range routes {
		if r.Quiet || r.Upload > 0 || r.Pattern == "/sign-out" || strings.HasPrefix(r.Pattern, "/account") || strings.HasPrefix(r.Pattern, "/assets") || strings.HasPrefix(r.Pattern, "/sign-in") ||
			strings.HasPrefix(r.Pattern, "/welcome") || strings.HasSuffix(r.Pattern, "/new") && r.Method == "POST" {
			continue
		}
		for name, v := range map[string]*visitor{"manager": kim, "trust administrator": tru} {
			answer := func(names *strings.Replacer) (int, string) {
				if r.Method == "GET" {
					v.get(names.Replace(r.Pattern))
				} else {
					v.get("/account").post(names.Replace(r.Pattern), "name", "Taken over", "role", "nurse", "zone", "UTC", "all", "sign", "act", "take", "note", "x", "pool", pools[0].ID)
				}
				return v.code, sameWords(v.page)
			}
			code, page := answer(real)
			for _, mark := range []string{"Rivermark", "Kim River", "dr@hospital.example", "postmaster@clinic.example"} {
				if strings.Contains(page, mark) {
					t.Errorf("%s, as the other organisation's %s, says %q", r, name, mark)
				}
			}
			if !strings.Contains(r.Pattern, "{") || r.Pattern == "/{$}" {
				continue
			}
			asked++
			if other, otherPage := answer(none); code != other || page != otherPage {
				t.Errorf("%s, as the other organisation's %s: %d for what the one has, %d for what nobody has", r, name, code, other)
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d routes with names were asked", asked)
	}
	after, err := w.clinic.Store.Work(w.ctx, home, mine.ID)
	w.ok(err)
	if after.Version != mine.Version || after.Owner != "" {
		t.Errorf("the other organisation changed the entry: %+v", after)
	}
	if h, err := w.clinic.Store.HeldEntry(w.ctx, held); err != nil || h.State != "held" {
		t.Errorf("the other organisation decided about held mail: %+v %v", h, err)
	}
	if river.get("/write/draft/" + draft); river.code != http.StatusOK {
		t.Errorf("the draft is gone: %d", river.code)
	}
	if p, err := w.clinic.Store.Person(w.ctx, home, people[0].ID); err != nil || p.Name != "Kim River" {
		t.Errorf("the other organisation changed a person: %+v %v", p, err)
	}
}

// TestEmergencyAccessIsSeen: a nurse who belongs to no team opens one, and who answers for it is told on every page.
func TestEmergencyAccessIsSeen(t *testing.T) {
	w := newWorld(t, "\n[web]\nlisten = \"127.0.0.1:0\"\n")
	for _, p := range []gateway.PersonArg{{Login: "kim", Name: "Kim", Role: "manager"}, {Login: "mia", Name: "Mia", Role: "nurse"}, {Login: "sam", Name: "Sam", Role: "nurse"}} {
		p.Password = webPassword
		w.verb("person.add", p, nil)
	}
	_, err := w.hospital.Send(w.ctx, w.compose(compose.Message{From: w.dr, To: []addr.Address{w.intake}, Subject: "Rivermark", Text: "x\n"}), w.dr, w.intake)
	w.ok(err)
	items, err := w.clinic.Items(w.ctx, "intake", 1)
	w.ok(err)
	e, err := w.clinic.Store.WorkOfItem(w.ctx, w.clinic.Org, "intake", items[0].Number)
	w.ok(err)
	kim, mia, sam := w.visitor(w.web()).signIn("kim"), w.visitor(w.web()).signIn("mia"), w.visitor(w.web()).signIn("sam")
	if mia.get("/item/" + string(e.ID)); mia.code != http.StatusNotFound {
		t.Fatalf("before: %d", mia.code)
	}
	mia.get("/emergency").post("/emergency", "pool", e.Pool, "reason", "patient in the emergency room now")
	if mia.get("/item/" + string(e.ID)); mia.code != http.StatusOK || !strings.Contains(mia.page, "You have emergency access until") {
		t.Errorf("in the emergency: %d", mia.code)
	}
	if mia.post("/item/"+string(e.ID)+"/act", "act", "take", "version", "1"); mia.code != http.StatusNotFound {
		t.Errorf("it lets one read and no more: %d", mia.code)
	}
	const told = "Somebody took emergency access"
	if kim.get("/work"); !strings.Contains(kim.page, told) {
		t.Error("who answers for the team is not told")
	}
	if sam.get("/work"); strings.Contains(sam.page, told) {
		t.Error("somebody else is told")
	}
	which := regexp.MustCompile(`name="which" value="(e-[a-z0-9]+)"`).FindStringSubmatch(kim.get("/emergency").page)
	if which == nil {
		t.Fatal("the owner's page does not list it")
	}
	if kim.post("/emergency/seen", "which", which[1]); strings.Contains(kim.page, told) {
		t.Error("told again after it was seen")
	}
	w.Clock.Set(staff.BreakGlassTime)
	if mia.signIn("mia").get("/item/" + string(e.ID)); mia.code != http.StatusNotFound {
		t.Errorf("an hour later: %d", mia.code)
	}
}

// draftOf begins an answer to an entry and is the draft's id.
func (w *world) draftOf(v *visitor, e work.Entry) string {
	w.Helper()
	people, err := w.clinic.Store.People(w.ctx, e.Org)
	w.ok(err)
	w.ok(w.clinic.Store.SetMemberships(w.ctx, people[0], e.Pool, []staff.Membership{{Pool: e.Pool, Level: staff.Sign}}, store.AuditEntry{}))
	v.get("/item/" + string(e.ID)).post("/item/" + string(e.ID) + "/write/reply")
	id, ok := strings.CutPrefix(v.path, "/write/draft/")
	if !ok {
		w.Fatalf("no draft: %d at %s: %.500s", v.code, v.path, v.page)
	}
	return id
}

// holdOne has the clinic hold a message of somebody it trusts no more, and is its id.
func (w *world) holdOne() string {
	w.Helper()
	anchors, err := w.clinic.Store.AnchorList(w.ctx, w.clinic.Domain)
	w.ok(err)
	for _, a := range anchors {
		w.verb("anchor.remove", gateway.AnchorArg{Domain: w.clinic.Domain, Fingerprint: a.Fingerprint}, nil)
	}
	_, err = w.hospital.Send(w.ctx, w.note(w.dr, w.intake), w.dr, w.intake)
	w.ok(err)
	var held []store.Held
	w.ok(w.clinic.Until(w.ctx, "a message is held", func() (bool, error) {
		held, err = w.clinic.Store.HeldList(w.ctx, 10)
		return len(held) > 0, err
	}))
	return held[0].ID
}

// web is where the clinic's pages are served.
func (w *world) web() string {
	w.Helper()
	var s gateway.Running
	w.verb("status", struct{}{}, &s)
	if len(s.Addresses["web.listen"]) != 1 {
		w.Fatalf("addresses %v", s.Addresses)
	}
	return s.Addresses["web.listen"][0]
}

// lakeside makes a second organisation with a domain, an address, a certificate and trust on both sides.
func (w *world) lakeside() (org string, intake addr.Address) {
	w.Helper()
	d := addr.MustDomain("lake.clinic.example")
	intake = addr.MustParse("intake@lake.clinic.example")
	var made gateway.OrgLine
	w.verb("org.add", "Lakeside Imaging", &made)
	w.verb("domain.add", gateway.DomainAdd{Domain: d, Org: made.Name}, nil)
	w.verb("address.add", []gateway.AddressAdd{{Address: intake}}, nil)
	w.verb("cert.create", gateway.CertCreate{Domain: d}, nil)
	b, _ := pem.Decode(w.clinic.Anchor)
	for _, to := range []addr.Domain{d, w.clinic.Domain} {
		w.verb("anchor.add", gateway.AnchorAdd{Domain: to, Certificates: [][]byte{b.Bytes}, Incoming: true, Outgoing: true}, nil)
	}
	return made.ID, intake
}

// sameWords is a page without what differs between any two answers: tokens, ids of what was asked, references.
func sameWords(page string) string {
	page = pageToken.ReplaceAllString(page, "")
	page = regexp.MustCompile(`<time [^>]*>[^<]*</time>|<td class="end num"[^>]*>[0-9a-f]{12}</td>`).ReplaceAllString(page, "")
	page = regexp.MustCompile(`(w|m|pool|p|h|pt|d)-[a-z0-9]+`).ReplaceAllString(page, "ID")
	return regexp.MustCompile(`<code>[a-z0-9]{10}</code>`).ReplaceAllString(page, "")
}
