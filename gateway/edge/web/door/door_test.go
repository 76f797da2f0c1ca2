package door_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/edge/web/door"
	"postern/gateway/spool/keys"
	"postern/gateway/store"
	"postern/smime/addr"
)

var cheap = auth.Cost{Passes: 1, MemoryKiB: 64, Lanes: 1}

const password = "three green herons"

// clinic is two organisations on one gateway: o-1 with clinic.example, the first, and o-2 with lake.example. It is
// the pages of this package over a real database.
type clinic struct {
	testing.TB
	db     *store.Store
	server *web.Server
	routes []web.Route
	pools  map[string][]door.Pool
	log    logged

	ring      *keys.Ring
	origin    string
	transport http.RoundTripper

	mu  sync.Mutex
	now time.Time
}

func (c *clinic) clock() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clinic) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClinic(t testing.TB, origin string, transport http.RoundTripper) *clinic {
	t.Helper()
	c := &clinic{TB: t, now: time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC), pools: map[string][]door.Pool{
		"o-1": {{ID: "pool-front", Name: "Front desk", Owner: "p-mia"}, {ID: "pool-back", Name: "Nurses"}}, "o-2": {{ID: "pool-lake", Name: "Lake desk"}}}}
	path := filepath.Join(t.TempDir(), "postern.db")
	c.ok(store.Create(path))
	var err error
	c.db, err = store.Open(store.Config{Path: path, Now: c.clock})
	c.ok(err)
	t.Cleanup(func() { c.ok(c.db.Close()) })
	master := keys.New()
	ring := keys.NewRing(master)
	for _, o := range []store.Org{{ID: "o-1", Name: "Riverside Cardiology"}, {ID: "o-2", Name: "Lakeside Imaging"}} {
		o.WrappedKey, err = master.NewOrg(o.ID)
		c.ok(err)
		c.ok(c.db.AddOrg(t.Context(), o))
		c.ok(ring.AddOrg(o.ID, o.WrappedKey))
		c.pass(time.Millisecond)
	}
	c.ok(c.db.AddDomain(t.Context(), store.Domain{Name: addr.MustDomain("clinic.example"), Org: "o-1"}, store.AuditEntry{}))
	c.ok(c.db.AddDomain(t.Context(), store.Domain{Name: addr.MustDomain("lake.example"), Org: "o-2"}, store.AuditEntry{}))
	c.ring, c.origin, c.transport = ring, origin, transport
	c.start()
	return c
}

// start makes the pages anew over what is stored, as a restart does: what was in memory is gone.
func (c *clinic) start() {
	c.Helper()
	u, err := url.Parse(c.origin)
	c.ok(err)
	logins := auth.NewService(auth.Config{Accounts: accounts{c.db}, Clock: c.clock, Cost: cheap})
	c.routes = door.Routes(door.Services{Store: c.db, Passwords: logins, Hash: func(p string) (string, error) { return cheap.Hash(p, nil) }, Secrets: c.ring,
		Pools: func(_ context.Context, org string) ([]door.Pool, error) { return c.pools[org], nil }, Host: u.Hostname(), Origin: c.origin, Transport: c.transport,
		Log: slog.New(slog.NewTextHandler(&c.log, nil)), Clock: c.clock})
	server, err := web.New(web.Config{Routes: c.routes, Visitors: visitors{c.db}, Objects: nothing{}, Absent: []error{store.ErrNotFound}, URL: c.origin,
		TLS: &tls.Config{}, Clock: c.clock, Log: slog.New(slog.NewTextHandler(&c.log, nil))})
	c.ok(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = server
}

// logged is a log that several write to.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}
func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

func (c *clinic) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

type accounts struct{ db *store.Store }

func (a accounts) Record(ctx context.Context, login string) (string, string, error) {
	org, name, _ := strings.Cut(login, "/")
	return a.db.PersonRecord(ctx, org, name)
}

type nothing struct{}

func (nothing) Item(context.Context, string, work.ID) (work.Entry, error) {
	return work.Entry{}, web.ErrNotFound
}
func (nothing) Pool(context.Context, string, string) error                  { return web.ErrNotFound }
func (nothing) Patient(context.Context, string, string, staff.Rights) error { return web.ErrNotFound }

type visitors struct{ db *store.Store }

func (v visitors) Visit(ctx context.Context, hash string) (out web.Visit, err error) {
	if out.Session, err = v.db.Session(ctx, hash); err != nil {
		return out, err
	}
	id := staff.PersonID(out.Session.Person)
	if out.Person, err = v.db.Person(ctx, out.Session.Org, id); err != nil {
		return out, err
	}
	if out.Memberships, err = v.db.Memberships(ctx, out.Session.Org, id); err != nil {
		return out, err
	}
	org, err := v.db.Org(ctx, out.Session.Org)
	out.OrgName = org.Name
	if err == nil {
		out.Emergency, err = v.db.Emergencies(ctx, out.Session.Org, id)
	}
	return out, err
}

func (v visitors) Touch(ctx context.Context, hash string, at time.Time) error {
	return v.db.TouchSession(ctx, hash, at)
}

// add adds a person who has the password.
func (c *clinic) add(p staff.Person) staff.Person {
	c.Helper()
	if p.ID == "" {
		p.ID = staff.PersonID("p-" + p.Login)
	}
	if p.Org == "" {
		p.Org = "o-1"
	}
	if p.Name == "" {
		p.Name = "Person " + p.Login
	}
	p.Zone = "UTC"
	record, err := cheap.Hash(password, nil)
	c.ok(err)
	c.ok(c.db.AddPerson(c.Context(), p, record, store.AuditEntry{}))
	return p
}

// browser is one browser: its cookies, and the page it last saw.
type browser struct {
	*clinic
	cookies map[string]*http.Cookie
	page    string
	code    int
	to      string // where the last answer led
	peer    string
	origin  string
	state   string // of its last way through a provider
	site    string // Sec-Fetch-Site of what it asks for by a link
}

func (c *clinic) browser() *browser {
	return &browser{clinic: c, cookies: map[string]*http.Cookie{}, peer: "192.0.2.7", origin: "https://clinic.example"}
}

func (b *browser) do(method, path string, form url.Values) *browser {
	b.Helper()
	r := httptest.NewRequest(method, b.origin+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = b.peer + ":4000"
	r.Header.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	} else if b.site != "" {
		r.Header.Set("Sec-Fetch-Site", b.site)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
	}
	for _, k := range b.cookies {
		r.AddCookie(k)
	}
	w := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, r)
	for _, k := range w.Result().Cookies() {
		if b.cookies[k.Name] = k; k.MaxAge < 0 {
			delete(b.cookies, k.Name)
		}
	}
	b.code, b.to = w.Code, w.Header().Get("Location")
	body, err := io.ReadAll(w.Body)
	b.ok(err)
	if b.code != http.StatusSeeOther {
		b.page = string(body)
	}
	return b
}

func (b *browser) get(path string) *browser { b.Helper(); return b.do("GET", path, nil) }

var token = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post fills a form of the page that the browser last saw.
func (b *browser) post(path string, fields ...string) *browser {
	b.Helper()
	m := token.FindStringSubmatch(b.page)
	if m == nil {
		b.Fatalf("no form on the page before POST %s: %.300s", path, b.page)
	}
	form := url.Values{"csrf": {m[1]}}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do("POST", path, form)
}

// signIn signs in with the password, and with nothing more.
func (b *browser) signIn(login string) *browser {
	b.Helper()
	return b.get("/sign-in").post("/sign-in", "login", login, "password", password)
}

func (b *browser) says(words string) bool { return strings.Contains(b.page, words) }

// in tells whether the browser is signed in.
func (b *browser) in() bool { b.Helper(); return b.get("/account").code == http.StatusOK }

func (b *browser) secret() string {
	if k := b.cookies["__Host-postern"]; k != nil {
		return k.Value
	}
	return ""
}

// audited tells whether the audit of an organisation holds an action of an actor.
func (c *clinic) audited(org, actor, action string) bool {
	c.Helper()
	for e, err := range c.db.AuditEntries(c.Context()) {
		c.ok(err)
		if e.Org == org && e.Actor == actor && e.Action == action {
			return true
		}
	}
	return false
}

func TestSignInAndOut(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{Login: "off", Role: staff.Manager, Disabled: true})
	c.ok(c.db.SetPerson(t.Context(), staff.Person{ID: "p-off", Org: "o-1", Name: "x", Role: staff.Manager, Disabled: true}, true, store.AuditEntry{}))
	c.ok(c.db.AddPerson(t.Context(), staff.Person{ID: "p-new", Org: "o-1", Login: "new", Name: "x", Role: staff.Nurse}, "", store.AuditEntry{}))
	for _, k := range []struct {
		situation, login, password, want string
	}{
		{"right", "dana", password, ""}, {"in capitals", " DANA ", password, ""}, {"with the domain", "dana@clinic.example", password, ""},
		{"wrong password", "dana", "wrong", "do not go together"}, {"nobody", "eve", password, "do not go together"},
		{"disabled", "off", password, "do not go together"}, {"no password yet", "new", password, "do not go together"},
		{"no password typed", "dana", "", "Type your sign-in name"}, {"another organisation's domain", "dana@lake.example", password, "do not go together"},
		{"a domain that is not here", "dana@nowhere.example", password, "do not go together"}, {"a login with a slash", "o-1/dana", password, "do not go together"},
		{"very long", strings.Repeat("x", 3000), password, "do not go together"},
	} {
		b := c.browser()
		b.peer = "198.51.100." + string(rune('0'+len(k.situation)%10)) // the throttle is another test
		b.get("/sign-in?next=%2Fsettings").post("/sign-in", "login", k.login, "password", k.password, "next", "/settings")
		if in := b.code == http.StatusSeeOther && b.to == "/settings"; in != (k.want == "") || !in && !b.says(k.want) {
			t.Errorf("%s: %d %s %.200s", k.situation, b.code, b.to, b.page)
		}
		if (k.want == "") != b.in() {
			t.Errorf("%s: signed in: %v", k.situation, k.want != "")
		}
	}
	b := c.browser().signIn("dana")
	old := b.secret()
	b.get("/account").post("/sign-out")
	if b.to != "/sign-in" || b.secret() != "" || b.in() {
		t.Errorf("signing out: %s", b.to)
	}
	b.cookies["__Host-postern"] = &http.Cookie{Name: "__Host-postern", Value: old}
	if b.in() {
		t.Error("the secret of a session that was ended still opens")
	}
	for _, action := range []string{"person.sign_in", "person.sign_out"} {
		if !c.audited("o-1", "dana", action) {
			t.Errorf("%s is not in the audit", action)
		}
	}
	if s := c.log.String(); strings.Contains(s, password) || strings.Contains(s, "wrong") || strings.Contains(s, old) {
		t.Error("the log holds a password or a session's secret")
	}
}

func TestASessionBegunBeforeTheSignInIsNotTheOneAfter(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	b := c.browser()
	b.cookies["__Host-postern"] = &http.Cookie{Name: "__Host-postern", Value: "chosen-by-somebody-else"}
	b.signIn("dana")
	first := b.secret()
	if first == "chosen-by-somebody-else" || !b.in() {
		t.Fatal("the secret from outside became the session's")
	}
	thief := c.browser()
	thief.cookies["__Host-postern"] = &http.Cookie{Name: "__Host-postern", Value: "chosen-by-somebody-else"}
	if thief.in() {
		t.Error("the secret from outside opens")
	}
	b.get("/account").post("/sign-out")
	b.signIn("dana")
	if b.secret() == first {
		t.Error("two sign-ins have one secret")
	}
}

func TestGuessingIsSlow(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	b := c.browser()
	b.get("/sign-in")
	for range 5 {
		b.post("/sign-in", "login", "dana", "password", "guess")
	}
	if b.post("/sign-in", "login", "dana", "password", password); !b.says("Too many tries") {
		t.Fatalf("the sixth try: %d", b.code)
	}
	if b.post("/sign-in", "login", "dana@clinic.example", "password", password); !b.says("Too many tries") {
		t.Error("another way to write the same name is another name for the throttle")
	}
	c.pass(2 * time.Second)
	if b.post("/sign-in", "login", "dana", "password", password); b.code != http.StatusSeeOther {
		t.Errorf("after the wait: %d", b.code)
	}
}

func TestAOneTimeLinkWorksOnce(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	p := c.add(staff.Person{Login: "dana", Role: staff.Physician})
	signedIn := c.browser().signIn("dana")
	link := func() string {
		tok := auth.NewToken()
		c.ok(c.db.Invite(t.Context(), p, auth.HashToken(tok), c.clock().Add(door.InviteTime), store.AuditEntry{}))
		return "/welcome/" + tok
	}
	path := link()
	b := c.browser().get(path)
	if !b.says("Person dana") {
		t.Fatalf("%d %s", b.code, b.page)
	}
	for _, k := range []struct{ situation, pw, again, want string }{
		{"short", "short", "short", "at least 12"}, {"like the name", "dana-dana-dana1", "dana-dana-dana1", "too easily"}, {"one letter", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "different"},
		{"two passwords", "correct horse staple", "correct horse stable", "not the same"},
	} {
		if b.post(path, "new", k.pw, "again", k.again); b.code != http.StatusUnprocessableEntity || !b.says(k.want) {
			t.Errorf("%s: %d", k.situation, b.code)
		}
	}
	if b.post(path, "new", "correct horse staple", "again", "correct horse staple"); b.to != "/sign-in" {
		t.Fatalf("%d %s", b.code, b.page)
	}
	if signedIn.in() {
		t.Error("a browser that was signed in still is after the password was set anew")
	}
	if other := c.browser().get(path); other.code != http.StatusUnprocessableEntity || other.says("Person dana") {
		t.Errorf("the link a second time: %d", other.code)
	}
	late := link()
	c.pass(door.InviteTime)
	if b := c.browser().get(late); b.code != http.StatusUnprocessableEntity {
		t.Errorf("a link that is over: %d", b.code)
	}
	if b := c.browser().get("/sign-in").post("/sign-in", "login", "dana", "password", "correct horse staple"); b.code != http.StatusSeeOther {
		t.Error("the new password does not open")
	}
	if !errors.Is(func() error { _, err := c.db.Invited(t.Context(), "x"); return err }(), store.ErrNotFound) {
		t.Error("a link nobody made")
	}
}

func TestSessionsOfOnesOwn(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{Login: "sam", Role: staff.Nurse})
	one, two, other := c.browser().signIn("dana"), c.browser().signIn("dana"), c.browser().signIn("sam")
	one.get("/account")
	which := regexp.MustCompile(`name="which" value="([0-9a-f]{16})"`).FindStringSubmatch(one.page)
	if which == nil || !one.says("Firefox on Windows") {
		t.Fatal("the list does not show the other browser")
	}
	if other.get("/account").post("/account/sessions", "which", which[1]); !two.in() {
		t.Error("somebody else ended it")
	}
	if one.get("/account").post("/account/sessions", "which", which[1]); two.in() || !one.in() {
		t.Error("ending the other browser's session")
	}
	two.signIn("dana")
	if one.get("/account").post("/account/sessions", "which", "all"); one.in() || two.in() || !other.in() {
		t.Error("signing out everywhere")
	}
	one.signIn("dana")
	two.signIn("dana")
	one.get("/account").post("/account/password", "password", "wrong", "new", "correct horse staple", "again", "correct horse staple")
	if one.code != http.StatusUnprocessableEntity || !two.in() {
		t.Error("a new password without the old one")
	}
	if one.get("/account").post("/account/password", "password", password, "new", "correct horse staple", "again", "correct horse staple"); !one.in() || two.in() {
		t.Error("after a new password this browser stays signed in, and no other")
	}
}

// TestHalfSignInsPushNobodyOut: a stolen password without the second proof does not end the sessions of its owner.
func TestHalfSignInsPushNobodyOut(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	dana := c.browser().signIn("dana")
	dana.app()
	for range store.MaxSessions + 5 {
		c.pass(time.Second)
		c.browser().signIn("dana")
	}
	if !dana.in() {
		t.Error("half sign-ins ended a whole one")
	}
}

func TestTheOldestSessionEndsWhenThereAreTooMany(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	first := c.browser().signIn("dana")
	var last *browser
	for range store.MaxSessions {
		c.pass(time.Second)
		last = c.browser().signIn("dana")
	}
	if first.in() || !last.in() {
		t.Errorf("the first: %v, the last: %v", first.in(), last.in())
	}
	if all, err := c.db.Sessions(t.Context(), "o-1", "p-dana"); err != nil || len(all) != store.MaxSessions {
		t.Errorf("%d sessions %v", len(all), err)
	}
}
