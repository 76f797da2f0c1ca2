package store_test

import (
	"testing"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/store"
)

// TestWhatBelongsToWhatIsSensitive: an answer in a sensitive conversation, and the failure of a sensitive message of
// ours, are for those alone who may see that.
func TestWhatBelongsToWhatIsSensitive(t *testing.T) {
	c := newTeams(t)
	first := c.filed(t, "m-1", store.Place{Placement: work.Placement{Pool: c.nurses.ID, Sensitive: true}})
	open := c.filed(t, "m-2", store.Place{Placement: work.Placement{Pool: c.nurses.ID}})
	c.must(t, store.Step{Messages: []store.Message{out("m-7", dr), out("m-8", dr), out("m-9", dr)}})
	for _, r := range []store.SentRow{{Message: "m-7", Org: "o", Person: c.nora.ID, Pool: c.nurses.ID, How: letter.New, Category: staff.Sensitive},
		{Message: "m-8", Org: "o", Person: c.nora.ID, Pool: c.nurses.ID, Work: first.ID, How: letter.Reply, Category: staff.Referral},
		{Message: "m-9", Org: "o", Person: c.nora.ID, Pool: c.nurses.ID, Work: open.ID, How: letter.Reply, Category: staff.Referral}} {
		ok(t, c.MarkSent(t.Context(), letter.Draft{ID: letter.NewID(), Org: "o"}, r, store.AuditEntry{}))
	}
	for situation, v := range map[string]struct {
		got  work.Entry
		want bool
	}{
		"a new message":                     {open, false},
		"an answer in the conversation":     {c.filed(t, "m-3", store.Place{}, "m-1@h"), true},
		"an answer in another":              {c.filed(t, "m-4", store.Place{}, "m-2@h"), false},
		"the failure of a sensitive one":    {c.filed(t, "m-5", store.Place{Kind: work.Failure, About: "m-7"}), true},
		"the failure of an answer to one":   {c.filed(t, "m-6", store.Place{Kind: work.Failure, About: "m-8"}), true},
		"silence about an answer to one":    {c.filed(t, "m-a", store.Place{Kind: work.Unconfirmed, About: "m-8"}), true},
		"the failure of one that is not":    {c.filed(t, "m-b", store.Place{Kind: work.Failure, About: "m-9"}), false},
		"the failure of one not known here": {c.filed(t, "m-c", store.Place{Kind: work.Failure, About: "m-none"}), false},
	} {
		if v.got.Sensitive != v.want || (v.got.Scope() == staff.Sensitive) != v.want {
			t.Errorf("%s: sensitive %v, want %v (%v)", situation, v.got.Sensitive, v.want, v.got.Why.Because)
		}
	}
}

// TestNobodyKeepsWhatTheyCannotOpen: who is shut out, or loses the right, gives back what they had.
func TestNobodyKeepsWhatTheyCannotOpen(t *testing.T) {
	for situation, c := range map[string]struct {
		change func(*teams, staff.Person) error
		kept   bool
	}{
		"shut out": {func(c *teams, p staff.Person) error {
			p.Disabled = true
			return c.SetPerson(t.Context(), p, false, store.AuditEntry{})
		}, false},
		"out of the team": {func(c *teams, p staff.Person) error {
			return c.SetMemberships(t.Context(), p, c.desk.ID, nil, store.AuditEntry{})
		}, false},
		"may only read": {func(c *teams, p staff.Person) error {
			return c.SetMemberships(t.Context(), p, c.desk.ID, []staff.Membership{{Pool: c.desk.ID, Level: staff.Read}}, store.AuditEntry{})
		}, false},
		"still may work": {func(c *teams, p staff.Person) error {
			return c.SetMemberships(t.Context(), p, c.desk.ID, []staff.Membership{{Pool: c.desk.ID, Level: staff.Draft}}, store.AuditEntry{})
		}, true},
		"another name": {func(c *teams, p staff.Person) error {
			p.Name = "Dana Cole-Reyes"
			return c.SetPerson(t.Context(), p, false, store.AuditEntry{})
		}, true},
	} {
		t.Run(situation, func(t *testing.T) {
			team := newTeams(t)
			e := team.filed(t, "m-1", store.Place{Placement: work.Placement{Pool: team.desk.ID, Owner: team.dana.ID}})
			hers := team.filed(t, "m-2", store.Place{Placement: work.Placement{Pool: team.desk.ID, Owner: team.sam.ID}})
			if e.Owner != team.dana.ID || e.State != work.Taken {
				t.Fatalf("%+v", e)
			}
			ok(t, c.change(team, team.dana))
			got, err := team.Work(t.Context(), "o", e.ID)
			ok(t, err)
			if kept := got.Owner == team.dana.ID && got.State == work.Taken; kept != c.kept || !c.kept && (got.Owner != "" || got.State != work.New || got.Version != e.Version+1) {
				t.Errorf("owner %q, %s, version %d", got.Owner, got.State, got.Version)
			}
			if other, err := team.Work(t.Context(), "o", hers.ID); err != nil || other.Owner != team.sam.ID || other.Version != hers.Version {
				t.Errorf("somebody else's: %+v %v", other, err)
			}
		})
	}
}
