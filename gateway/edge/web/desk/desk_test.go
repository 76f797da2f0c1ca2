package desk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/custody"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/edge/web"
	"postern/gateway/edge/web/desk"
	"postern/gateway/edge/web/keep"
	"postern/gateway/message"
	"postern/gateway/spool"
	"postern/gateway/store"
	"postern/smime/addr"
	"postern/smime/part"
)

var begun = time.Date(2030, 3, 4, 15, 0, 0, 0, time.UTC)

// clinic is an organisation with people at work: a real database, messages in memory, and the pages.
type clinic struct {
	testing.TB
	*store.Store
	path   string
	now    time.Time
	blobs  map[string][]byte
	visits map[string]web.Visit
	server *web.Server
	n      int
	mo     staff.Person // manager
	dana   staff.Person // front desk
	sam    staff.Person // front desk
	nora   staff.Person // nurse
	lee    staff.Person // physician
	desk   pool.Pool
	nurses pool.Pool

	scanning bool // a scanner is set for what comes in
}

const org, otherOrg = "o-1", "o-2"

func newClinic(t testing.TB) *clinic {
	t.Helper()
	c := &clinic{TB: t, now: begun, blobs: map[string][]byte{}, visits: map[string]web.Visit{}}
	c.path = filepath.Join(t.TempDir(), "postern.db")
	c.ok(store.Create(c.path))
	var err error
	c.Store, err = store.Open(store.Config{Path: c.path, Now: func() time.Time { return c.now }})
	c.ok(err)
	t.Cleanup(func() { c.Store.Close() })
	for _, o := range []string{org, otherOrg} {
		c.ok(c.AddOrg(t.Context(), store.Org{ID: o, Name: "Cardiology " + o, WrappedKey: []byte{1}}))
		c.ok(c.EnsureInbox(t.Context(), o, "referrals-"+o))
	}
	c.mo, c.dana, c.sam = c.person(org, "mo", "Mo Adeyemi", staff.Manager), c.person(org, "dana", "Dana Reyes", staff.FrontDesk), c.person(org, "sam", "Sam Ito", staff.FrontDesk)
	c.nora, c.lee = c.person(org, "nora", "Nora Quist", staff.Nurse), c.person(org, "lee", "Lee Okafor", staff.Physician)
	c.person(otherOrg, "eve", "Eve Outside", staff.Manager)
	c.ok(c.EnsurePools(t.Context(), org))
	c.ok(c.EnsurePools(t.Context(), otherOrg))
	pools, err := c.Pools(t.Context(), org)
	c.ok(err)
	c.desk = pools[0]
	c.nurses = pool.Pool{ID: pool.NewID(), Org: org, Name: "Nurses", Purpose: "Results and questions", Owner: c.nora.ID}
	c.ok(c.SavePool(t.Context(), c.nurses, store.AuditEntry{}))
	c.member(c.dana, c.desk, staff.Send)
	c.member(c.sam, c.desk, staff.Send)
	c.member(c.nora, c.nurses, staff.Sign)
	c.member(c.nora, c.desk, staff.Send)
	c.member(c.lee, c.nurses, staff.Sign)
	c.serve()
	return c
}

// serve makes the pages.
func (c *clinic) serve() {
	open := func(_ context.Context, id string) (desk.Bytes, error) {
		b, ok := c.blobs[id]
		if !ok {
			return nil, store.ErrNotFound
		}
		return memory{bytes.NewReader(b)}, nil
	}
	routes := desk.Routes(desk.Services{Store: c.Store, Open: open, Clock: func() time.Time { return c.now },
		House: func(ctx context.Context, org string) (custody.House, error) {
			policy, err := c.FilePolicy(ctx, org)
			return custody.House{Policy: policy, Scanning: c.scanning}, err
		},
		Words: func(_ context.Context, blob, subject string) (string, bool) {
			b, ok := c.blobs[blob]
			return strings.ToLower(subject + " " + string(b)), ok
		},
		Answer: func(id work.ID, how string) string { return "/write?work=" + string(id) + "&how=" + how },
		Again:  func(id string) string { return "/sent/" + id }, Patient: func(id work.ID) string { return "/item/" + string(id) + "/patient" },
		Print: func(id work.ID) string { return "/item/" + string(id) + "/print" }, Export: func(id work.ID) string { return "/item/" + string(id) + "/export" }})
	routes = append(routes, keep.Routes(keep.Services{Store: c.Store, Release: func(context.Context, string, string) error { return nil }, Discard: func(context.Context, string, string) error { return nil }})...)
	routes = append(routes, web.Route{Method: "GET", Pattern: "/write", Need: web.SignedIn(), Handle: func(q *web.Request) error { return web.ErrNotFound }})
	var err error
	c.server, err = web.New(web.Config{Routes: routes, Visitors: c, Objects: c, Absent: []error{store.ErrNotFound}, URL: "https://clinic.example", TLS: &tls.Config{}, Clock: func() time.Time { return c.now }})
	c.ok(err)
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

func (c *clinic) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) person(org, login, name string, role staff.Role) staff.Person {
	c.Helper()
	p := staff.Person{ID: staff.PersonID("p-" + login), Org: org, Login: login, Name: name, Role: role, Zone: "America/Chicago"}
	c.ok(c.AddPerson(context.Background(), p, "", store.AuditEntry{}))
	return p
}

func (c *clinic) member(p staff.Person, q pool.Pool, l staff.Level, cats ...staff.Category) {
	c.Helper()
	c.ok(c.SetMemberships(context.Background(), p, q.ID, []staff.Membership{{Pool: q.ID, Level: l, Categories: cats}}, store.AuditEntry{}))
}

// The clinic knows its own sessions and objects (web.Visitors, web.Objects).
func (c *clinic) Visit(ctx context.Context, hash string) (web.Visit, error) {
	v, ok := c.visits[hash]
	if !ok {
		return v, web.ErrNotFound
	}
	var err error
	v.Memberships, err = c.Memberships(ctx, v.Person.Org, v.Person.ID)
	return v, err
}
func (c *clinic) Touch(context.Context, string, time.Time) error { return nil }
func (c *clinic) Item(ctx context.Context, org string, id work.ID) (work.Entry, error) {
	return c.Store.Work(ctx, org, id)
}
func (c *clinic) Pool(ctx context.Context, org, id string) error {
	_, err := c.Store.Pool(ctx, org, id)
	return err
}
func (c *clinic) Patient(context.Context, string, string, staff.Rights) error { return web.ErrNotFound }

// browser is one person's.
type browser struct {
	*clinic
	token string
}

func (c *clinic) as(p staff.Person) *browser {
	token := auth.NewToken()
	c.visits[auth.HashToken(token)] = web.Visit{Person: p, OrgName: "Riverside Cardiology", Session: auth.Session{Hash: auth.HashToken(token), Org: p.Org,
		Person: string(p.ID), Stage: auth.Full, Created: c.now, Seen: c.now, Proved: c.now}}
	return &browser{clinic: c, token: token}
}

func (b *browser) request(ctx context.Context, method, path string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(ctx, method, "https://clinic.example"+path, strings.NewReader(form.Encode()))
	r.RemoteAddr = "192.0.2.7:4000"
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://clinic.example")
	}
	r.AddCookie(&http.Cookie{Name: "__Host-postern", Value: b.token})
	return r
}

func (b *browser) ask(method, path string, form url.Values) (int, string, http.Header) {
	b.Helper()
	w := httptest.NewRecorder()
	b.server.Handler().ServeHTTP(w, b.request(context.Background(), method, path, form))
	return w.Code, w.Body.String(), w.Header()
}

// get is a page that must be there.
func (b *browser) get(path string) string {
	b.Helper()
	code, body, _ := b.ask("GET", path, nil)
	if code != 200 {
		b.Fatalf("GET %s: %d\n%s", path, code, body[:min(len(body), 600)])
	}
	return body
}

var tokenField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// post sends a form of the page that is at from; it gives the code, the body and where it leads.
func (b *browser) post(from, path string, pairs ...string) (int, string, string) {
	b.Helper()
	m := tokenField.FindStringSubmatch(b.get(from))
	if m == nil {
		b.Fatalf("%s has no form", from)
	}
	form := url.Values{"csrf": {m[1]}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	code, body, h := b.ask("POST", path, form)
	return code, body, h.Get("Location")
}

// act does an act on an entry as it stands and demands that it is done.
func (b *browser) act(id work.ID, pairs ...string) string {
	b.Helper()
	e, err := b.Store.Work(context.Background(), org, id)
	b.ok(err)
	code, body, to := b.post("/item/"+string(id), "/item/"+string(id)+"/act", append([]string{"version", fmt.Sprint(e.Version)}, pairs...)...)
	if code != http.StatusSeeOther {
		b.Fatalf("act %v: %d\n%s", pairs, code, notices(body))
	}
	return to
}

var noticeText = regexp.MustCompile(`(?s)<p class="notice[^"]*"[^>]*>.*?</p>`)

func notices(body string) string { return strings.Join(noticeText.FindAllString(body, -1), "\n") }

// mail is one message for the clinic.
type mail struct {
	From, Subject, Text string
	Typed               string
	Files               []compose.Attachment
	Place               store.Place
	InReplyTo           string
	Org                 string
}

// arrives files a message as the pipeline would.
func (c *clinic) arrives(m mail) work.Entry {
	c.Helper()
	if m.Org == "" {
		m.Org = org
	}
	if m.From == "" {
		m.From = "dr@hospital.example"
	}
	from := addr.MustParse(m.From)
	to := addr.MustParse("referrals@clinic.example")
	var b bytes.Buffer
	rfc, err := compose.Message{From: from, To: []addr.Address{to}, Subject: m.Subject, Text: m.Text, Attachments: m.Files, InReplyTo: m.InReplyTo, Now: c.now}.Write(&b)
	c.ok(err)
	raw := b.Bytes()
	if m.Typed != "" {
		raw = bytes.Replace(raw, []byte("From: "+m.From), []byte("From: "+m.Typed+" <"+m.From+">"), 1)
	}
	c.n++
	id := message.NewID(c.now, nil)
	blob := fmt.Sprint("b-", c.n)
	c.blobs[blob] = raw
	it := inbox.Item{Inbox: "referrals-" + m.Org, Org: m.Org, Message: id, Recipient: to, Sender: from, Origin: inbox.FromSystem(from), RFCID: rfc, Subject: m.Subject, Received: c.now,
		Blob: blob, Size: int64(len(raw)), SHA256: sha256.Sum256(raw)}
	if m.InReplyTo != "" {
		it.References = []string{m.InReplyTo}
	}
	root, err := part.Parse(bytes.NewReader(raw), int64(len(raw)), part.Limits{})
	c.ok(err)
	c.ok(root.Walk(func(n *part.Part) error {
		if len(n.Children) > 0 {
			return nil
		}
		it.Parts = append(it.Parts, inbox.Part{Path: n.Path, Offset: n.Offset, Length: n.Length, MediaType: n.MediaType, Filename: n.Filename, Encoding: n.Encoding})
		body, err := io.ReadAll(n.Open(bytes.NewReader(raw)))
		if err != nil {
			return err
		}
		s, err := document.Inspect(bytes.NewReader(body), int64(len(body)), document.Hint{Filename: n.Filename, MediaType: n.Header.Get("Content-Type")})
		if err != nil || s.Kind == document.Text {
			return err
		}
		d := inbox.Document{ID: fmt.Sprint("d-", c.n, "-", n.Path), Path: n.Path, Kind: string(s.Kind), Type: s.Type, Title: s.Title, Date: s.Date.At}
		if s.Patient != nil {
			d.Patient, err = json.Marshal(s.Patient)
		}
		it.Documents = append(it.Documents, d)
		return err
	}))
	if m.Place.Kind == "" {
		m.Place.Kind = work.Message
	}
	step := store.Step{Items: []inbox.Item{it}, Places: []store.Place{m.Place}, Blobs: []spool.Blob{{ID: blob, Org: m.Org, Size: it.Size, SHA256: it.SHA256, Key: []byte{1}, Place: "x"}},
		Messages: []store.Message{{ID: id, Direction: store.In, Kind: message.Mail, RFCID: rfc, Sender: from, Blob: blob, OpenedBlob: blob, Received: c.now,
			Submission: message.Submission{Org: m.Org, From: from, Recipients: []addr.Address{to}}}},
		Events: []track.Event{{Message: id, Recipient: to, Kind: track.Trusted, Time: c.now, Source: "agent",
			Evidence: json.RawMessage(`{"bound":"address","anchor_subject":"CN=Example Direct Trust Anchor","report":{"signers":[{"cert":{"subject":"CN=` + m.From + `,O=Riverside Family Medicine"},"reason":""}]}}`)}}}
	o, err := c.Commit(context.Background(), queue.Lease{}, step)
	c.ok(err)
	e, err := c.WorkOfItem(context.Background(), m.Org, it.Inbox, o.Numbers[0])
	c.ok(err)
	return e
}

// answers sends an answer to an entry as the writing room would.
func (c *clinic) answers(p staff.Person, e work.Entry, kinds ...track.Kind) message.ID {
	c.Helper()
	it, err := c.Store.Item(context.Background(), e.Inbox, e.Number)
	c.ok(err)
	id := message.NewID(c.now, nil)
	m := store.Message{ID: id, Direction: store.Out, Kind: message.Mail, RFCID: string(id) + "@clinic.example", Sender: e.Recipient, Blob: "b-" + string(id), Received: c.now,
		Facts:      message.Facts{Subject: "Re: " + it.Subject, InReplyTo: "<" + it.RFCID + ">"},
		Submission: message.Submission{Org: e.Org, Principal: p.Login, From: e.Recipient, Recipients: []addr.Address{e.Sender}}}
	step := store.Step{Messages: []store.Message{m}}
	for i, k := range append([]track.Kind{track.Accepted, track.Sealed}, kinds...) {
		step.Events = append(step.Events, track.Event{Message: id, Recipient: e.Sender, Kind: k, Time: c.now.Add(time.Duration(i) * time.Second), Source: "x"})
	}
	_, err = c.Commit(context.Background(), queue.Lease{}, step)
	c.ok(err)
	return id
}

func has(t testing.TB, body string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(body, w) {
			t.Errorf("the page does not say %q", w)
		}
	}
}

func lacks(t testing.TB, body string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(body, w) {
			t.Errorf("the page says %q", w)
		}
	}
}
