package door_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

var oneTimeLink = regexp.MustCompile(`https://clinic\.example(/welcome/[A-Za-z0-9_-]+)`)

func TestPeopleAreAdministered(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "kim", Role: staff.Manager})
	b := c.browser().signIn("kim").get("/settings/people/new")
	for _, k := range []struct {
		situation, want string
		fields          []string
	}{
		{"a name that is no login", "a-z, 0-9", []string{"login", "Dana Reyes!", "name", "Dana", "role", "nurse", "zone", "UTC"}},
		{"a login that is there", "already", []string{"login", "kim", "name", "Kim", "role", "nurse", "zone", "UTC"}},
		{"nobody's name", "Everybody has a name", []string{"login", "dana", "name", " ", "role", "nurse", "zone", "UTC"}},
		{"no role", "Choose a role", []string{"login", "dana", "name", "Dana", "role", "wizard", "zone", "UTC"}},
		{"no zone", "time zone", []string{"login", "dana", "name", "Dana", "role", "nurse", "zone", "Mars/Base"}},
	} {
		if b.post("/settings/people/new", k.fields...); b.code != http.StatusUnprocessableEntity || !b.says(k.want) {
			t.Errorf("%s: %d", k.situation, b.code)
		}
	}
	b.post("/settings/people/new", "login", "dana", "name", "Dana Reyes", "role", "front_desk", "zone", "America/Chicago")
	link := oneTimeLink.FindStringSubmatch(b.page)
	if link == nil {
		t.Fatalf("%d %s", b.code, b.page)
	}
	dana := c.browser()
	dana.get(link[1]).post(link[1], "new", password, "again", password)
	dana.signIn("dana")
	if !dana.in() {
		t.Fatal("the new person cannot sign in")
	}
	p, err := c.db.PersonByLogin(t.Context(), "o-1", "dana")
	c.ok(err)
	at := "/settings/people/" + string(p.ID)
	rights := func() staff.Rights {
		ms, err := c.db.Memberships(t.Context(), "o-1", p.ID)
		c.ok(err)
		now, err := c.db.Person(t.Context(), "o-1", p.ID)
		c.ok(err)
		return staff.Of(now, ms, nil, c.clock())
	}
	b.get(at+"/in/pool-front").post(at+"/in/pool-front", "all", "send", "result", "draft", "sensitive", "", "question", "none")
	if r := rights(); r.On("pool-front", staff.Referral) != staff.Send || r.On("pool-front", staff.Result) != staff.Draft || r.On("pool-front", staff.Question) != staff.None ||
		r.On("pool-front", staff.Sensitive) != staff.None || r.On("pool-back", staff.Referral) != staff.None {
		t.Errorf("rights %+v", r)
	}
	if b.get(at); !b.says("send as team; question: nothing; result: work and draft") {
		t.Error("the page does not say what was chosen")
	}
	if b.post(at+"/in/pool-front", "all", "everything"); b.code != http.StatusUnprocessableEntity || rights().On("pool-front", "") != staff.Send {
		t.Error("a level that is none")
	}
	if b.post(at+"/in/pool-lake", "all", "send"); b.code != http.StatusNotFound {
		t.Error("another organisation's pool")
	}
	b.get(at).post(at, "name", "Dana Reyes", "title", "RN", "role", "nurse", "zone", "UTC", "disabled", "1")
	if dana.in() {
		t.Error("who is shut out is still in")
	}
	if dana.signIn("dana"); dana.code == http.StatusSeeOther {
		t.Error("who is shut out signs in")
	}
	if !c.audited("o-1", "kim", "person.add") || !c.audited("o-1", "kim", "person.rights") || !c.audited("o-1", "kim", "person.change") || !c.audited("o-1", "kim", "person.invite") {
		t.Error("not in the audit")
	}
}

func TestSomebodyAlwaysAdministers(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	kim := c.add(staff.Person{Login: "kim", Role: staff.Manager})
	b := c.browser().signIn("kim")
	at := "/settings/people/" + string(kim.ID)
	if b.get(at).post(at, "name", "Kim", "role", "nurse", "zone", "UTC"); b.code != http.StatusUnprocessableEntity || !b.says("nobody would be left") {
		t.Errorf("the last one steps down: %d", b.code)
	}
	if b.post(at, "name", "Kim", "role", "manager", "zone", "UTC", "disabled", "1"); b.code != http.StatusUnprocessableEntity || !b.in() {
		t.Errorf("shutting oneself out: %d", b.code)
	}
	c.add(staff.Person{Login: "dana", Role: staff.Physician, Admin: true})
	if b.get(at).post(at, "name", "Kim", "role", "nurse", "zone", "UTC"); b.to != at {
		t.Errorf("with another one: %d", b.code)
	}
	if b.get("/settings/people"); b.code != http.StatusNotFound {
		t.Errorf("who stepped down still administers: %d", b.code)
	}
}

func TestEmergencyAccess(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{Login: "mia", Role: staff.Nurse}) // answers for the front desk
	c.add(staff.Person{Login: "sam", Role: staff.Nurse})
	c.add(staff.Person{Login: "kim", Role: staff.Manager})
	c.add(staff.Person{Login: "tru", Role: staff.TrustAdministrator})
	b := c.browser().signIn("dana").get("/emergency")
	for situation, f := range map[string][]string{
		"no reason": {"pool", "pool-front", "reason", "  "}, "a short one": {"pool", "pool-front", "reason", "must see"}, "no pool": {"reason", "patient in the emergency room now"},
		"another organisation's pool": {"pool", "pool-lake", "reason", "patient in the emergency room now"}, "a reason without end": {"pool", "pool-front", "reason", strings.Repeat("reason ", 100)},
	} {
		if b.post("/emergency", f...); b.code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", situation, b.code)
		}
	}
	if tru := c.browser().signIn("tru").get("/emergency").post("/emergency", "pool", "pool-front", "reason", "patient in the emergency room now"); tru.code != http.StatusNotFound {
		t.Errorf("a trust administrator: %d", tru.code)
	}
	if b.post("/emergency", "pool", "pool-front", "reason", "patient in the emergency room now"); b.to != "/emergency" {
		t.Fatalf("%d %s", b.code, b.page)
	}
	rights := func() staff.Rights {
		p, err := c.db.Person(t.Context(), "o-1", "p-dana")
		c.ok(err)
		e, err := c.db.Emergencies(t.Context(), "o-1", "p-dana")
		c.ok(err)
		return staff.Of(p, nil, e, c.clock())
	}
	if r := rights(); r.On("pool-front", staff.Sensitive) != staff.Read || r.On("pool-back", "") != staff.None {
		t.Error("it opens that pool, to read")
	}
	mia, sam, kim := c.browser().signIn("mia").get("/emergency"), c.browser().signIn("sam").get("/emergency"), c.browser().signIn("kim").get("/emergency")
	if !mia.says("emergency room now") || !mia.says("I have seen it") || sam.says("emergency room now") || !kim.says("emergency room now") || kim.says("I have seen it") {
		t.Error("who answers for the pool and the manager see it, and nobody else")
	}
	all, err := c.db.EmergenciesSince(t.Context(), "o-1", c.clock().Add(-time.Hour))
	c.ok(err)
	if len(all) != 1 {
		t.Fatalf("%d", len(all))
	}
	for who, x := range map[string]*browser{"another nurse": sam, "the manager": kim, "who took it": b.get("/emergency")} {
		if x.post("/emergency/seen", "which", all[0].ID); x.code != http.StatusNotFound {
			t.Errorf("%s says it was seen: %d", who, x.code)
		}
	}
	if sam.get("/emergency").post("/emergency/end", "which", all[0].ID); sam.code != http.StatusNotFound {
		t.Errorf("somebody else ends it: %d", sam.code)
	}
	if mia.get("/emergency").post("/emergency/seen", "which", all[0].ID); mia.to != "/emergency" || !mia.get("/emergency").says("by mia") {
		t.Errorf("the owner saw it: %d", mia.code)
	}
	c.pass(time.Minute)
	if b.get("/emergency").post("/emergency/end", "which", all[0].ID); b.to != "/emergency" || rights().On("pool-front", "") != staff.None {
		t.Errorf("ending it: %d", b.code)
	}
	for who, action := range map[string]string{"dana": "emergency.open", "mia": "emergency.seen"} {
		if !c.audited("o-1", who, action) {
			t.Errorf("%s of %s is not in the audit", action, who)
		}
	}
}

func TestNeitherOrganisationLearnsOfTheOther(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "kim", Role: staff.Manager, Admin: true})
	c.add(staff.Person{ID: "p-secret", Login: "hidden-name", Name: "Hidden Person", Role: staff.Nurse})
	c.add(staff.Person{ID: "p-kim2", Org: "o-2", Login: "kim", Name: "Kim of the lake", Role: staff.Manager, Admin: true})
	record, err := cheap.Hash("another password", nil)
	c.ok(err)
	c.ok(c.db.SetPassword(t.Context(), staff.Person{ID: "p-kim2", Org: "o-2"}, record, "", store.AuditEntry{}))
	lake := c.browser()
	lake.get("/sign-in").post("/sign-in", "login", "kim@lake.example", "password", "another password")
	if !lake.in() || !lake.says("Kim of the lake") || lake.says("Riverside") {
		t.Fatal("the second organisation's manager cannot sign in")
	}
	for situation, k := range map[string][2]string{"their password with the other's domain": {"kim@clinic.example", "another password"}, "theirs without a domain": {"kim", "another password"},
		"the other's password": {"kim@lake.example", password}} {
		if x := c.browser().get("/sign-in").post("/sign-in", "login", k[0], "password", k[1]); x.code == http.StatusSeeOther {
			t.Errorf("%s opens", situation)
		}
	}
	// The same login is free for each: nobody learns by trying which names the other uses.
	lake.get("/settings/people/new").post("/settings/people/new", "login", "hidden-name", "name", "Somebody", "role", "nurse", "zone", "UTC")
	if oneTimeLink.FindString(lake.page) == "" {
		t.Errorf("a login of the other organisation is taken: %d", lake.code)
	}
	// Everything that names a person or a pool answers for the other's as for what is not there.
	lake.get("/account")
	csrf := lake.page
	for _, r := range c.routes {
		if !strings.Contains(r.Pattern, "{person}") {
			continue
		}
		answer := func(person, team string) (int, string) {
			path := strings.NewReplacer("{person}", person, "{team}", team).Replace(r.Pattern)
			lake.page = csrf
			if r.Method == "GET" {
				lake.page = ""
				lake.get(path)
			} else {
				lake.post(path, "name", "x", "role", "nurse", "zone", "UTC", "all", "send")
			}
			return lake.code, lake.page
		}
		theirs, theirPage := answer("p-secret", "pool-front")
		none, nonePage := answer("p-nobody", "pool-none")
		if theirs != http.StatusNotFound || none != theirs || theirPage != nonePage {
			t.Errorf("%s: %d for another organisation's person, %d for nobody", r, theirs, none)
		}
	}
	for _, path := range []string{"/settings/people", "/settings", "/account", "/emergency", "/"} {
		if lake.get(path); lake.says("Hidden") || lake.says("Riverside") || lake.says("Front desk") || lake.says("clinic.example") {
			t.Errorf("%s speaks of the other organisation", path)
		}
	}
	if p, err := c.db.Person(t.Context(), "o-1", "p-secret"); err != nil || p.Name != "Hidden Person" {
		t.Errorf("the other's person was changed: %+v %v", p, err)
	}
	for e, err := range c.db.AuditEntries(t.Context()) {
		c.ok(err)
		if e.Org == "o-1" && e.Actor == "kim" && e.Action != "person.sign_in" {
			t.Errorf("what the lake's kim did stands in the other's audit: %+v", e)
		}
	}
}

func TestAnAdministratorSeesAndEndsSessions(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "mia", Role: staff.Manager})
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{ID: "p-lake", Org: "o-2", Login: "lake", Role: staff.Nurse})
	mia, one, two, lake := c.browser().signIn("mia"), c.browser(), c.browser().signIn("dana"), c.browser().signIn("lake@lake.example")
	one.peer = "198.51.100.9"
	one.signIn("dana")
	mia.get("/settings/people/p-dana")
	all := regexp.MustCompile(`name="which" value="([0-9a-f]{16})"`).FindAllStringSubmatch(mia.page, -1)
	if len(all) != 2 || !mia.says("198.51.100.9") || !mia.says("Firefox on Windows") || mia.says(one.secret()) {
		t.Fatalf("%d sessions on the page", len(all))
	}
	sessions, err := c.db.Sessions(t.Context(), "o-2", "p-lake")
	c.ok(err)
	mia.post("/settings/people/p-dana/out", "which", sessions[0].Hash[:16])
	mia.get("/settings/people/p-dana").post("/settings/people/p-lake/out", "which", sessions[0].Hash[:16])
	if mia.code != http.StatusNotFound || !lake.in() {
		t.Errorf("another organisation's session: %d", mia.code)
	}
	mia.get("/settings/people/p-dana").post("/settings/people/p-dana/out", "which", all[0][1])
	if left := boolInt(one.in()) + boolInt(two.in()); left != 1 {
		t.Errorf("%d of two browsers are signed in after one was ended", left)
	}
	if mia.get("/settings/people/p-dana").post("/settings/people/p-dana/out"); one.in() || two.in() || !mia.in() {
		t.Error("signing somebody out everywhere")
	}
	if !c.audited("o-1", "mia", "person.signed_out") {
		t.Error("not in the audit")
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestWhatHappenedLately is on one's own account page and on the administrator's of that person, and nobody else's.
func TestWhatHappenedLately(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "mia", Role: staff.Manager})
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{ID: "p-dana2", Org: "o-2", Login: "dana", Role: staff.Nurse})
	thief := c.browser()
	thief.peer = "203.0.113.66"
	thief.get("/sign-in").post("/sign-in", "login", "dana", "password", "guess one")
	thief.post("/sign-in", "login", "dana", "password", "guess two")
	c.ok(c.db.TellFailures(t.Context()))
	mia := c.browser().signIn("mia")
	mia.get("/settings/people/p-dana").post("/settings/people/p-dana/link")
	dana := c.browser().signIn("dana").get("/account")
	for _, want := range []string{"2 wrong passwords from 203.0.113.66", "Link for a new password made, by mia", "Signed in by password from 192.0.2.7"} {
		if !dana.says(want) {
			t.Errorf("the account page does not say %q", want)
		}
		if !mia.get("/settings/people/p-dana").says(want) {
			t.Errorf("the administrator's page does not say %q", want)
		}
	}
	if lake := c.browser().signIn("dana@lake.example").get("/account"); lake.says("203.0.113.66") || lake.says("by mia") {
		t.Error("somebody of that name elsewhere is told")
	}
}
