package web_test

import (
	"context"
	"crypto/tls"
	"embed"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
)

//go:embed testdata/*.html
var pages embed.FS

var now = time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)

// house is sessions and objects in memory, and a server over a few pages of its own.
type house struct {
	mu       sync.Mutex // over visits
	visits   map[string]web.Visit
	entries  map[work.ID]work.Entry
	touched  int
	server   *web.Server
	config   web.Config
	now      time.Time
	received []string
}

func (h *house) Visit(_ context.Context, hash string) (web.Visit, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v, ok := h.visits[hash]; ok {
		return v, nil
	}
	return web.Visit{}, web.ErrNotFound
}
func (h *house) Touch(context.Context, string, time.Time) error { h.touched++; return nil }
func (h *house) Item(_ context.Context, org string, id work.ID) (work.Entry, error) {
	if e, ok := h.entries[id]; ok && e.Org == org {
		return e, nil
	}
	return work.Entry{}, web.ErrNotFound
}
func (h *house) Pool(_ context.Context, org, pool string) error {
	if org == "o-1" && pool == "front" {
		return nil
	}
	return web.ErrNotFound
}
func (h *house) Patient(_ context.Context, org, patient string, r staff.Rights) error {
	if org == "o-1" && patient == "pt-1" && r.On("front", "") > staff.None {
		return nil
	}
	return web.ErrNotFound
}

// end makes a session one that is not there.
func (h *house) end(token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.visits, auth.HashToken(token))
}

// person signs somebody in and is the secret of the session.
func (h *house) person(p staff.Person, ms ...staff.Membership) string {
	token := auth.NewToken()
	if p.ID == "" {
		p.ID = staff.PersonID("p-" + p.Login)
	}
	h.visits[auth.HashToken(token)] = web.Visit{Person: p, Memberships: ms, OrgName: "Cardiology", Session: auth.Session{Hash: auth.HashToken(token),
		Org: p.Org, Person: string(p.ID), Stage: auth.Full, Created: h.now, Seen: h.now, Proved: h.now}}
	return token
}

func newHouse(t testing.TB, routes ...web.Route) *house {
	t.Helper()
	h := &house{visits: map[string]web.Visit{}, entries: map[work.ID]work.Entry{}, now: now}
	h.entries["w-1"] = work.Entry{ID: "w-1", Org: "o-1", Pool: "front", Category: staff.Referral}
	h.entries["w-2"] = work.Entry{ID: "w-2", Org: "o-1", Pool: "front", Category: staff.Result, Sensitive: true}
	h.entries["w-3"] = work.Entry{ID: "w-3", Org: "o-2", Pool: "front"}
	h.config = web.Config{Routes: append(h.routes(), routes...), Visitors: h, Objects: h, URL: "https://clinic.example", TLS: &tls.Config{},
		Clock: func() time.Time { return h.now }}
	var err error
	if h.server, err = web.New(h.config); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) routes() []web.Route {
	say := web.Parse(pages, "testdata/say.html", "testdata/part.html")
	show := func(q *web.Request) error { return q.Page(say, "Say", map[string]any{"At": h.now, "Note": "a <b> c"}) }
	took := func(q *web.Request) error {
		h.received = append(h.received, q.PostForm.Get("note"))
		if q.PostForm.Get("note") == "bad" {
			return q.Again(say, "Say", map[string]any{"At": h.now, "Note": "x"}, &web.Invalid{Field: "note", Text: "is <bad>"})
		}
		return q.See(q.PostForm.Get("to"), "Saved.")
	}
	return []web.Route{
		{Method: "GET", Pattern: "/{$}", Need: web.SignedIn(), Handle: show},
		{Method: "GET", Pattern: "/sign-in", Need: web.Public(), Handle: show},
		{Method: "POST", Pattern: "/sign-in", Need: web.Public(), Handle: took},
		{Method: "POST", Pattern: "/say", Need: web.SignedIn(), Handle: took},
		{Method: "GET", Pattern: "/rules", Need: web.Able(staff.ManageRules), Handle: show},
		{Method: "GET", Pattern: "/item/{item}", Need: web.OnItem(staff.Read), Handle: show},
		{Method: "POST", Pattern: "/item/{item}/take", Need: web.OnItem(staff.Draft), Handle: took},
		{Method: "GET", Pattern: "/pool/{pool}", Need: web.OnPool(staff.Read), Handle: show},
		{Method: "GET", Pattern: "/patient/{patient}", Need: web.OnPatient(), Handle: show},
	}
}

// ask does one request as a browser on our own page would.
func (h *house) ask(method, path, token string, form url.Values, change ...func(*http.Request)) *http.Response {
	var body *strings.Reader = strings.NewReader(form.Encode())
	r := httptest.NewRequest(method, "https://clinic.example"+path, body)
	r.RemoteAddr = "192.0.2.7:4000"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://clinic.example")
	}
	if token != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-postern", Value: token})
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.server.Handler().ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (h *house) csrf(t testing.TB, path, token string, change ...func(*http.Request)) string {
	t.Helper()
	m := tokenField.FindStringSubmatch(text(t, h.ask("GET", path, token, nil, change...)))
	if m == nil {
		t.Fatalf("%s has no form token", path)
	}
	return m[1]
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}
