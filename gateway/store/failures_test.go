package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// failed is the entries of the audit about tries that failed, by what they are about.
func (c *teams) failed(t testing.TB) (out []string) {
	t.Helper()
	for e, err := range c.AuditEntries(t.Context()) {
		ok(t, err)
		if e.Action != store.ActionSignInFailed {
			continue
		}
		var d map[string]any
		ok(t, json.Unmarshal(e.Detail, &d))
		out = append(out, fmt.Sprintf("%s/%s password %v second %v whole %v from %v", e.Org, e.Object, d["password"], d["second"], d["whole_hour"], d["last_from"]))
	}
	return out
}

func TestFailedSignInsReachTheAuditBounded(t *testing.T) {
	c := newTeams(t)
	count := func(org string, who staff.PersonID, kind store.FailureKind, n int) {
		t.Helper()
		for range n {
			ok(t, c.CountFailure(t.Context(), org, who, kind, "192.0.2.9"))
		}
	}
	said := func(want ...string) {
		t.Helper()
		ok(t, c.TellFailures(t.Context()))
		if got := c.failed(t); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("the audit says\n%q, want\n%q", got, want)
		}
	}
	c.now = c.now.Truncate(time.Hour).Add(5 * time.Minute)
	said()
	count("o", c.dana.ID, store.FailedPassword, 3)
	count("o", c.dana.ID, store.FailedSecond, 1)
	count("o", "", store.FailedPassword, 2)
	first := []string{"o/dana password 3 second 1 whole false from 192.0.2.9", "o/ password 2 second <nil> whole false from 192.0.2.9"}
	said(first...)
	count("o", c.dana.ID, store.FailedPassword, 1000)
	said(first...) // nothing more within the hour
	c.now = c.now.Add(time.Hour)
	first = append(first, "o/dana password 1003 second 1 whole true from 192.0.2.9")
	said(first...)
	said(first...) // told once
	count("o", c.dana.ID, store.FailedPassword, 1)
	said(append(first, "o/dana password 1 second <nil> whole false from 192.0.2.9")...)
	if err := c.CountFailure(t.Context(), "o", "", "peer=peer;--", "x"); err == nil {
		t.Error("a kind that is none was taken for a column")
	}
}

func TestAStrangerWhoKnowsEverybodysNameFillsNoAudit(t *testing.T) {
	c := newTeams(t)
	c.now = c.now.Truncate(time.Hour)
	for i := range store.MaxFailuresNamed + 30 {
		p := staff.Person{ID: staff.PersonID(fmt.Sprintf("p-%03d", i)), Org: "o", Login: fmt.Sprintf("u%03d", i), Name: "x", Role: staff.Nurse}
		ok(t, c.AddPerson(t.Context(), p, "", store.AuditEntry{}))
		for range 2 {
			ok(t, c.CountFailure(t.Context(), "o", p.ID, store.FailedPassword, "192.0.2.9"))
		}
	}
	for range 3 { // as the gateway does every minute
		ok(t, c.TellFailures(t.Context()))
		c.now = c.now.Add(time.Hour)
	}
	all := c.failed(t)
	named, others := 0, 0
	for _, s := range all {
		if s[:3] == "o/u" {
			named++
		} else {
			others++
		}
	}
	if named != store.MaxFailuresNamed || others < 1 || others > 2 {
		t.Errorf("%d people are named and %d entries are of the others: %q", named, others, all)
	}
}
