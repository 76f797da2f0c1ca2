package door_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// failures is what the audit says of tries that failed, once it is told: "org/login password 2 second 1".
func (c *clinic) failures() (out []string) {
	c.Helper()
	c.ok(c.db.TellFailures(c.Context()))
	for e, err := range c.db.AuditEntries(c.Context()) {
		c.ok(err)
		if e.Action != store.ActionSignInFailed {
			continue
		}
		var d map[string]any
		c.ok(json.Unmarshal(e.Detail, &d))
		s := e.Org + "/" + e.Object
		for _, kind := range []string{"password", "second", "passkey", "single", "link"} {
			if d[kind] != nil {
				s += fmt.Sprintf(" %s %v", kind, d[kind])
			}
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// count is how many entries there are of tries that failed.
func (c *clinic) count() int { c.Helper(); return len(c.failures()) }

func TestTriesThatFailAreInTheAudit(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	c.add(staff.Person{ID: "p-dana2", Org: "o-2", Login: "dana", Role: staff.Nurse})
	secret, _ := c.browser().signIn("dana").app()
	c.pass(time.Minute)

	b := c.browser()
	b.get("/sign-in")
	for range 2 {
		b.post("/sign-in", "login", "dana", "password", "not it")
	}
	b.post("/sign-in", "login", "dana@lake.example", "password", "not it")
	b.post("/sign-in", "login", "three green herons", "password", "dana") // the password in the wrong field
	b.post("/sign-in", "login", "eve@nowhere.example", "password", "x")
	half := c.browser().signIn("dana")
	half.get("/sign-in/second").post("/sign-in/second", "code", "000000")
	c.browser().get("/welcome/no-such-link")
	odd := c.browser()
	odd.get("/sign-in").post("/sign-in/passkey", "answer", "{}")
	want := []string{"/ password 1 passkey 1 link 1", "o-1/ password 1", "o-1/dana password 2 second 1", "o-2/dana password 1"}
	if got := c.failures(); !slices.Equal(got, want) {
		t.Errorf("the audit says %q, want %q", got, want)
	}
	// What is put off was not asked, and is not counted.
	for range 20 {
		b.post("/sign-in", "login", "dana", "password", "not it")
	}
	c.pass(time.Hour)
	if got := c.failures(); !slices.Contains(got, "o-1/dana password 7 second 1") { // five in a row, after the two
		t.Errorf("the audit says %q, want the passwords that were asked", got)
	}
	// Who proves it once more and fails, failed too.
	c.pass(time.Hour)
	in := c.browser().signIn("dana")
	in.get("/sign-in/second").post("/sign-in/second", "code", c.code6(secret))
	in.get("/prove").post("/prove", "password", "not it")
	if got := c.failures(); !slices.Contains(got, "o-1/dana password 1") || in.code != http.StatusUnprocessableEntity {
		t.Errorf("%q, %d", got, in.code)
	}
	for e, err := range c.db.AuditEntries(t.Context()) {
		c.ok(err)
		if s := e.Object + string(e.Detail) + e.Actor; strings.Contains(s, "herons") || strings.Contains(s, "eve") || strings.Contains(s, "not it") {
			t.Errorf("the audit holds what was typed: %s", s)
		}
	}
}

// TestAStrangersTriesWithPasskeysKeepNobodyElseOut: there is nothing to guess, so only whose network tries waits.
func TestAStrangersTriesWithPasskeysKeepNobodyElseOut(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	for i := range 70 {
		b := c.browser()
		b.peer = fmt.Sprintf("198.51.100.%d", i)
		b.get("/sign-in").post("/sign-in/passkey", "answer", "{}")
		b.get("/welcome/no-such-link")
	}
	dana := c.browser()
	if dana.get("/sign-in").post("/sign-in/passkey", "answer", "{}"); dana.says("Too many tries") {
		t.Error("strangers' tries make a clinic wait for its passkeys")
	}
	if dana.get("/welcome/no-such-link"); dana.says("Too many links") {
		t.Error("strangers' tries make a clinic wait for its links")
	}
}

func TestARestartBetweenTwoProofs(t *testing.T) {
	c := newClinic(t, "https://clinic.example", nil)
	c.add(staff.Person{Login: "dana", Role: staff.Physician})
	secret, _ := c.browser().signIn("dana").app()
	c.pass(time.Minute)
	one, two := c.browser().signIn("dana"), c.browser().signIn("dana")
	two.get("/sign-in/second")
	c.start()
	code := c.code6(secret)
	if one.get("/sign-in/second").post("/sign-in/second", "code", code); !one.in() {
		t.Error("half a sign-in does not live through a restart")
	}
	c.start()
	if two.get("/sign-in/second").post("/sign-in/second", "code", code); two.in() {
		t.Error("a code that was used opens again after a restart")
	}
	if two.get("/sign-in/second").post("/sign-in/second", "answer", "{}"); two.in() {
		t.Error("an answer to nothing opens")
	}
}
