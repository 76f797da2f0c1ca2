package gateway_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/lab"
)

// caller is one kind of person who asks for pages.
type caller struct {
	name   string
	person staff.Person
	in     []staff.Membership
	broken bool // has emergency access to the pool
}

const wildcardPool = "front"

// callers are every role without a pool, with the least and with the most in it, and those who should see nothing.
func callers() []caller {
	var out []caller
	add := func(name, org string, role staff.Role, admin bool, ms ...staff.Membership) {
		out = append(out, caller{name: name, person: staff.Person{ID: staff.PersonID("p-" + name), Org: org, Login: name, Name: name, Role: role, Admin: admin}, in: ms})
	}
	in := func(l staff.Level) staff.Membership { return staff.Membership{Pool: wildcardPool, Level: l} }
	for _, r := range staff.Roles() {
		add(string(r), "o-1", r, false)
	}
	for _, l := range staff.Levels()[1:] {
		add("nurse, "+l.String(), "o-1", staff.Nurse, false, in(l))
	}
	add("front_desk, send", "o-1", staff.FrontDesk, false, in(staff.Send))
	add("physician, administers", "o-1", staff.Physician, true)
	add("elsewhere, manager", "o-2", staff.Manager, true, in(staff.Sign))
	out = append(out, caller{name: "emergency", person: staff.Person{ID: "p-em", Org: "o-1", Login: "em", Role: staff.Nurse}, broken: true},
		caller{name: "disabled", person: staff.Person{ID: "p-off", Org: "o-1", Role: staff.Manager, Admin: true, Disabled: true}}, caller{name: "stranger"})
	return out
}

// gate is the frame of the pages with what its routes name, and with handlers that only say that they were reached.
type gate struct {
	visits    map[string]web.Visit
	server    *web.Server
	reached   bool
	sensitive bool
}

func (g *gate) Visit(_ context.Context, hash string) (web.Visit, error) {
	if v, ok := g.visits[hash]; ok {
		return v, nil
	}
	return web.Visit{}, web.ErrNotFound
}
func (*gate) Touch(context.Context, string, time.Time) error { return nil }
func (g *gate) Item(_ context.Context, org string, id work.ID) (work.Entry, error) {
	if org != "o-1" || id != "w-1" {
		return work.Entry{}, web.ErrNotFound
	}
	return work.Entry{ID: id, Org: org, Pool: wildcardPool, Category: staff.Referral, Sensitive: g.sensitive}, nil
}
func (*gate) Pool(_ context.Context, org, id string) error {
	if org != "o-1" || id != wildcardPool {
		return web.ErrNotFound
	}
	return nil
}
func (*gate) Patient(_ context.Context, org, id string, r staff.Rights) error {
	if org != "o-1" || r.On(wildcardPool, staff.Referral) < staff.Read {
		return web.ErrNotFound
	}
	return nil
}

// newGate is a gate over the routes of a whole site.
func newGate(t testing.TB, routes []web.Route) *gate {
	t.Helper()
	g := &gate{visits: map[string]web.Visit{}}
	for i := range routes {
		if !strings.HasPrefix(routes[i].Pattern, "/assets/") {
			routes[i].Handle = func(q *web.Request) error { g.reached = true; return q.See("/", "") }
		}
	}
	now := time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)
	var err error
	g.server, err = web.New(web.Config{Routes: routes, Visitors: g, Objects: g, URL: "https://clinic.example", TLS: &tls.Config{}, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range callers() {
		v := web.Visit{Person: c.person, Memberships: c.in, Session: auth.Session{Hash: auth.HashToken(c.name), Org: c.person.Org, Person: string(c.person.ID),
			Stage: auth.Full, Created: now, Seen: now, Proved: now}}
		if c.broken {
			v.Emergency = []staff.BreakGlass{{Person: c.person.ID, Pool: wildcardPool, At: now, Until: now.Add(time.Hour)}}
		}
		if c.person.ID != "" {
			g.visits[auth.HashToken(c.name)] = v
		}
	}
	return g
}

var wildcards = regexp.MustCompile(`\{[a-z_]+(\.\.\.)?\$?\}`)

// at is a path of a pattern, with objects that are there.
func at(pattern string) string {
	return wildcards.ReplaceAllStringFunc(strings.TrimSuffix(pattern, "{$}"), func(w string) string {
		return map[string]string{"{item}": "w-1", "{pool}": wildcardPool, "{patient}": "pt-1"}[w] + map[bool]string{true: "x"}[w != "{item}" && w != "{pool}" && w != "{patient}"]
	})
}

// try is how a route answers a caller: "yes" when its handler was reached, "sign in", or "no" when it is not there.
func (g *gate) try(t testing.TB, r web.Route, c caller) string {
	t.Helper()
	form := url.Values{"csrf": {web.FormToken(c.name)}}
	req := httptest.NewRequest(r.Method, "https://clinic.example"+at(r.Pattern), strings.NewReader(form.Encode()))
	req.RemoteAddr = "192.0.2.7:1"
	if r.Method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if r.Upload > 0 {
			req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			req.Body = readCloser("--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n" + form.Get("csrf") + "\r\n--b--\r\n")
		}
	}
	req.AddCookie(&http.Cookie{Name: "__Host-postern", Value: c.name})
	req.AddCookie(&http.Cookie{Name: "__Host-postern-visit", Value: c.name})
	w := httptest.NewRecorder()
	g.reached = false
	g.server.Handler().ServeHTTP(w, req)
	switch {
	case g.reached && w.Code == http.StatusSeeOther, strings.HasPrefix(r.Pattern, "/assets/") && w.Code == http.StatusOK:
		return "yes"
	case g.reached:
		t.Errorf("%s by %s: reached, and then %d", r, c.name, w.Code)
	case w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), "/sign-in"), w.Code == http.StatusUnauthorized:
		return "sign in"
	case w.Code == http.StatusNotFound:
		return "no"
	}
	return fmt.Sprintf("%d", w.Code)
}

// allowed is what a route's need asks, worked out by itself.
func allowed(r web.Route, c caller, sensitive bool) string {
	need := r.Need.String()
	if need == "public" {
		return "yes"
	}
	if c.person.ID == "" || c.person.Disabled {
		return "sign in"
	}
	level := func() staff.Level {
		home, clinical := c.person.Org == "o-1", c.person.Role == staff.Nurse || c.person.Role == staff.Physician || c.person.Role == staff.MedicalAssistant
		switch {
		case !home:
			return staff.None
		case len(c.in) > 0 && (!sensitive || clinical):
			return c.in[0].Level
		case c.broken, c.person.Role == staff.Manager && !sensitive:
			return staff.Read
		}
		return staff.None
	}
	kind, what, _ := strings.Cut(need, " ")
	ok := false
	switch kind {
	case "signed":
		ok = true
	case "able":
		ok = staff.Of(c.person, nil, nil, time.Time{}).Can(staff.Ability(what))
	case "item":
		what, able, both := strings.Cut(what, " and able ")
		l, err := staff.ParseLevel(what)
		able = strings.TrimSuffix(able, ", or item sign")
		ok = err == nil && level() >= l && (!both || level() == staff.Sign || staff.Of(c.person, nil, nil, time.Time{}).Can(staff.Ability(able)))
	case "pool":
		sensitive = false // a list is open for whatever category may be seen
		l, err := staff.ParseLevel(what)
		ok = err == nil && level() >= l
	case "patient":
		sensitive = false
		ok = level() >= staff.Read
	}
	return map[bool]string{true: "yes", false: "no"}[ok]
}

// TestRights asks every route of the site as every kind of person. The table is made from the routes themselves, so
// a new one cannot be forgotten; it is kept in testdata/rights.txt for people to read, and POSTERN_UPDATE=1 writes it.
func TestRights(t *testing.T) {
	s := openSite(t)
	routes, err := s.Pages("https://clinic.example")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, routes)
	var table bytes.Buffer
	fmt.Fprintln(&table, "# Every page and act of the web, what it needs, and who gets it. Made by TestRights; POSTERN_UPDATE=1 writes it.\n# Objects are of the organisation o-1; \"sensitive\" is the same with a sensitive message.")
	all := g.server.Routes()
	slices.SortFunc(all, func(a, b web.Route) int { return strings.Compare(a.Pattern+a.Method, b.Pattern+b.Method) })
	for _, r := range all {
		fmt.Fprintf(&table, "\n%s  (%s)\n", r, r.Need)
		for _, sensitive := range []bool{false, true} {
			if sensitive && !strings.HasPrefix(r.Need.String(), "item") {
				continue
			}
			g.sensitive = sensitive
			var yes []string
			for _, c := range callers() {
				got, want := g.try(t, r, c), allowed(r, c, sensitive)
				if got != want {
					t.Errorf("%s by %s (sensitive: %v): %s, want %s", r, c.name, sensitive, got, want)
				}
				if got == "yes" {
					yes = append(yes, c.name)
				}
			}
			label := map[bool]string{true: "  sensitive: ", false: "  "}[sensitive]
			switch len(yes) {
			case len(callers()):
				fmt.Fprintln(&table, label+"everybody")
			case len(callers()) - 2: // the disabled one and the stranger
				fmt.Fprintln(&table, label+"everybody who is signed in")
			case 0:
				fmt.Fprintln(&table, label+"nobody")
			default:
				fmt.Fprintln(&table, label+strings.Join(yes, " · "))
			}
		}
	}
	addresses(&table)
	golden := filepath.Join("testdata", "rights.txt")
	if os.Getenv("POSTERN_UPDATE") == "1" {
		if err := os.WriteFile(golden, table.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(want, table.Bytes()) {
		t.Errorf("the table of rights is not the one in %s: look at what changed and, if it is meant, run POSTERN_UPDATE=1 go test ./gateway -run TestRights (%v)", golden, err)
	}
}

// addresses tells from which address each caller may write and send: a team's, another team's, and one person's own.
func addresses(table *bytes.Buffer) {
	own := rule.Origin{Pools: []string{wildcardPool}, Owner: "p-physician"}
	for _, at := range []struct {
		name   string
		origin rule.Origin
	}{{"an address of the team", rule.Origin{Pools: []string{wildcardPool}}}, {"an address of another team", rule.Origin{Pools: []string{"other"}}}, {"the physician's own address", own}} {
		fmt.Fprintf(table, "\nfrom %s\n", at.name)
		for _, c := range []staff.Category{staff.Referral, staff.Sensitive} {
			for _, l := range []staff.Level{staff.Draft, staff.Send} {
				var yes []string
				for _, x := range callers() {
					var broken []staff.BreakGlass
					if x.broken {
						broken = []staff.BreakGlass{{Person: x.person.ID, Pool: wildcardPool, Until: time.Time{}.Add(time.Hour)}}
					}
					if x.person.ID != "" && x.person.Org == "o-1" && at.origin.Lets(x.person, staff.Of(x.person, x.in, broken, time.Time{}), c, l) {
						yes = append(yes, x.name)
					}
				}
				if len(yes) == 0 {
					yes = []string{"nobody"}
				}
				fmt.Fprintf(table, "  %s, %s: %s\n", l, c, strings.Join(yes, " · "))
			}
		}
	}
}

type closer struct{ *strings.Reader }

func (closer) Close() error { return nil }

func readCloser(s string) closer { return closer{strings.NewReader(s)} }

// openSite is a site that is open and not run.
func openSite(t testing.TB) *lab.Site {
	t.Helper()
	l, err := lab.New(t.Context(), lab.Options{Dir: t.TempDir(), Domains: domains(), Like: template(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Sites[0].Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l.Sites[0]
}
