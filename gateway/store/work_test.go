package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// teams is a site with people: a manager, two at the front desk, a nurse; and two pools.
type teams struct {
	*site
	manager, dana, sam, nora staff.Person
	desk, nurses             pool.Pool
}

func newTeams(t testing.TB) *teams {
	t.Helper()
	c := &teams{site: inboxSite(t)}
	person := func(login string, role staff.Role) staff.Person {
		p := staff.Person{ID: staff.PersonID("p-" + login), Org: "o", Login: login, Name: login, Role: role}
		ok(t, c.AddPerson(t.Context(), p, "", store.AuditEntry{}))
		return p
	}
	c.manager, c.dana, c.sam, c.nora = person("manager", staff.Manager), person("dana", staff.FrontDesk), person("sam", staff.FrontDesk), person("nora", staff.Nurse)
	ok(t, c.EnsurePools(t.Context(), "o"))
	pools, err := c.Pools(t.Context(), "o")
	if err != nil || len(pools) != 1 || !pools[0].CatchAll || pools[0].Owner != c.manager.ID {
		t.Fatalf("pools %+v, %v: want one that catches all, owned by the manager", pools, err)
	}
	c.desk = pools[0]
	c.nurses = pool.Pool{ID: pool.NewID(), Org: "o", Name: "Nurses", Owner: c.nora.ID}
	ok(t, c.SavePool(t.Context(), c.nurses, store.AuditEntry{}))
	for _, p := range []staff.Person{c.dana, c.sam} {
		ok(t, c.SetMemberships(t.Context(), p, c.desk.ID, []staff.Membership{{Pool: c.desk.ID, Level: staff.Send}}, store.AuditEntry{}))
	}
	ok(t, c.SetMemberships(t.Context(), c.nora, c.nurses.ID, []staff.Membership{{Pool: c.nurses.ID, Level: staff.Sign}}, store.AuditEntry{}))
	return c
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reach is what a person may read.
func (c *teams) reach(t testing.TB, p staff.Person) []store.Reach {
	t.Helper()
	ms, err := c.Memberships(t.Context(), p.Org, p.ID)
	ok(t, err)
	pools, err := c.Pools(t.Context(), p.Org)
	ok(t, err)
	var ids []string
	for _, q := range pools {
		ids = append(ids, q.ID)
	}
	return store.ReachOf(staff.Of(p, ms, nil, c.now), ids)
}

// filed puts one item into the inbox and gives its entry.
func (c *teams) filed(t testing.TB, id message.ID, place store.Place, refs ...string) work.Entry {
	t.Helper()
	it := item(id, dr, string(id)+"@h", string(id), refs...)
	it.Received = c.now
	if place.Kind == "" {
		place.Kind = work.Message // the test's items are from the system
	}
	o := c.must(t, store.Step{Items: []inbox.Item{it}, Places: []store.Place{place}})
	e, err := c.WorkOfItem(t.Context(), "o", "intake", o.Numbers[0])
	ok(t, err)
	return e
}

func (c *teams) ids(t testing.TB, p staff.Person, v store.View) []message.ID {
	t.Helper()
	lines, err := c.WorkList(t.Context(), store.WorkQuery{Org: "o", Reach: c.reach(t, p), View: v, Owner: p.ID, N: 50})
	ok(t, err)
	out := []message.ID{}
	for _, l := range lines {
		out = append(out, l.Message)
	}
	return out
}

// TestWhereWorkBegins holds that each item has its work row from the commit that filed it, whatever its place says.
func TestWhereWorkBegins(t *testing.T) {
	c := newTeams(t)
	closed := pool.Pool{ID: pool.NewID(), Org: "o", Name: "Gone", Owner: c.nora.ID}
	ok(t, c.SavePool(t.Context(), closed, store.AuditEntry{}))
	ok(t, c.RetirePool(t.Context(), "o", closed.ID, store.AuditEntry{}))
	for i, s := range []struct {
		name  string
		place store.Place
		pool  string
		owner staff.PersonID
		state work.State
		why   string
	}{
		{"no place at all", store.Place{}, c.desk.ID, "", work.New, "no rule wanted it"},
		{"a rule's pool", store.Place{Placement: work.Placement{Pool: c.nurses.ID, Rule: "r-1", Because: []string{"it was sent to intake"}}}, c.nurses.ID, "", work.New, "it was sent to intake"},
		{"a pool that was closed meanwhile", store.Place{Placement: work.Placement{Pool: closed.ID, Rule: "r-1"}}, c.desk.ID, "", work.New, "the team it was meant for is closed"},
		{"a pool of nobody", store.Place{Placement: work.Placement{Pool: "q-none"}}, c.desk.ID, "", work.New, "the team it was meant for is closed"},
		{"a rule's person", store.Place{Placement: work.Placement{Pool: c.nurses.ID, Owner: c.nora.ID, Rule: "r-1", Because: []string{"x"}}}, c.nurses.ID, c.nora.ID, work.Taken, "x"},
		{"a person who is not here", store.Place{Placement: work.Placement{Pool: c.nurses.ID, Owner: "p-gone", Rule: "r-1", Because: []string{"x"}}}, c.nurses.ID, "", work.New, "x"},
		{"a person who is not of that team", store.Place{Placement: work.Placement{Pool: c.nurses.ID, Owner: c.dana.ID, Rule: "r-1", Because: []string{"x"}}}, c.nurses.ID, "", work.New, "x"},
	} {
		t.Run(s.name, func(t *testing.T) {
			e := c.filed(t, message.ID(fmt.Sprint("m-", i)), s.place)
			if e.Pool != s.pool || e.Owner != s.owner || e.State != s.state || e.Why.Because[0] != s.why || e.Version != 1 {
				t.Errorf("begins in %s of %q, %s, because %v", e.Pool, e.Owner, e.State, e.Why.Because)
			}
		})
	}
}

func TestListsHoldWhatTheySay(t *testing.T) {
	c := newTeams(t)
	place := func(pool string, u work.Urgency, ruled string, sensitive bool) store.Place {
		return store.Place{Placement: work.Placement{Pool: pool, Urgency: u, Rule: ruled, Sensitive: sensitive}}
	}
	c.filed(t, "m-1", place(c.desk.ID, work.Routine, "r", false))
	c.now = c.now.Add(time.Minute)
	c.filed(t, "m-2", place(c.desk.ID, work.Urgent, "r", false))
	c.now = c.now.Add(time.Minute)
	three := c.filed(t, "m-3", place(c.desk.ID, work.Emergency, "", false))
	c.filed(t, "m-4", place(c.desk.ID, work.Routine, "r", true))
	c.filed(t, "m-5", place(c.nurses.ID, work.Routine, "r", true))
	taken, err := three.Apply(work.Change{Act: work.Take, Version: 1}, work.Actor{ID: c.dana.ID, Here: staff.Send}, c.now)
	ok(t, err)
	ok(t, c.ChangeWork(t.Context(), taken, nil, store.AuditEntry{}))
	for _, s := range []struct {
		who  staff.Person
		view store.View
		want []message.ID
	}{
		{c.dana, store.ViewOpen, []message.ID{"m-3", "m-2", "m-1"}}, // urgent first, then the older; nothing sensitive
		{c.dana, store.ViewUnworked, []message.ID{"m-1", "m-2"}},
		{c.dana, store.ViewMine, []message.ID{"m-3"}},
		{c.sam, store.ViewMine, []message.ID{}},
		{c.dana, store.ViewUrgent, []message.ID{"m-3", "m-2"}},
		{c.dana, store.ViewUnruled, []message.ID{"m-3"}},
		{c.nora, store.ViewOpen, []message.ID{"m-5"}},                  // a nurse sees what is sensitive in her own pool
		{c.manager, store.ViewOpen, []message.ID{"m-3", "m-2", "m-1"}}, // a manager reads every pool, nothing sensitive
	} {
		if got := c.ids(t, s.who, s.view); !slices.Equal(got, s.want) {
			t.Errorf("%s of %s: %v, want %v", s.view, s.who.Login, got, s.want)
		}
	}
	hidden, err := c.HiddenWork(t.Context(), "o", c.reach(t, c.dana))
	if err != nil || len(hidden) != 1 || hidden[0].Pool != c.desk.ID {
		t.Errorf("the front desk is told of %+v, %v: want one sensitive message", hidden, err)
	}
	counts, err := c.WorkCounts(t.Context(), store.WorkQuery{Org: "o", Reach: c.reach(t, c.dana), View: store.ViewOpen})
	if err != nil || len(counts) != 1 || counts[0].N != 3 {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

// Lines say of entries what a list of the same entries says, in the order they came in; what went is left out.
func TestLinesOfEntries(t *testing.T) {
	c := newTeams(t)
	place := store.Place{Placement: work.Placement{Pool: c.desk.ID, Rule: "r"}}
	a, b := c.filed(t, "m-1", place), c.filed(t, "m-2", place)
	gone := a
	gone.Number = 99
	lines, err := c.Lines(t.Context(), []work.Entry{b, gone, a})
	ok(t, err)
	listed, err := c.WorkList(t.Context(), store.WorkQuery{Org: "o", Reach: c.reach(t, c.dana), View: store.ViewOpen, N: 10})
	ok(t, err)
	if len(lines) != 2 || lines[0].ID != b.ID || lines[1].ID != a.ID || len(listed) != 2 || lines[1].Subject != listed[0].Subject || len(lines[1].Documents) != len(listed[0].Documents) {
		t.Errorf("lines %+v; the list says %+v", lines, listed)
	}
	if none, err := c.Lines(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %v, %v", none, err)
	}
}

func TestListsGoOnWhereTheyStopped(t *testing.T) {
	c := newTeams(t)
	for i := range 25 {
		c.filed(t, message.ID(fmt.Sprintf("m-%02d", i)), store.Place{Placement: work.Placement{Pool: []string{c.desk.ID, c.nurses.ID}[i%2], Urgency: work.Urgency(i % 3)}})
		c.now = c.now.Add(time.Second)
	}
	for _, v := range []store.View{store.ViewOpen, store.ViewUnworked, store.ViewUrgent} {
		all := c.ids(t, c.manager, v)
		var got []message.ID
		q := store.WorkQuery{Org: "o", Reach: c.reach(t, c.manager), View: v, N: 4}
		for {
			lines, err := c.WorkList(t.Context(), q)
			ok(t, err)
			if len(lines) == 0 {
				break
			}
			for _, l := range lines {
				got = append(got, l.Message)
			}
			q.After = lines[len(lines)-1].ID
		}
		if !slices.Equal(got, all) {
			t.Errorf("%s in parts: %v, want %v", v, got, all)
		}
	}
}

// TestTwoActAtOnce: the later of two changes made of the same version is refused, and nothing of it is written.
func TestTwoActAtOnce(t *testing.T) {
	c := newTeams(t)
	e := c.filed(t, "m-1", store.Place{})
	take := func(p staff.Person) error {
		after, err := e.Apply(work.Change{Act: work.Take, Version: e.Version}, work.Actor{ID: p.ID, Here: staff.Send}, c.now)
		ok(t, err)
		return c.ChangeWork(t.Context(), after, &work.Note{ID: work.NewNoteID(), Org: "o", Work: e.ID, By: p.ID, At: c.now, Text: "mine"}, store.AuditEntry{})
	}
	ok(t, take(c.dana))
	var r *work.Refusal
	if err := take(c.sam); !errors.As(err, &r) || r.Reason != work.Stale {
		t.Fatalf("the second is told %v, want stale", err)
	}
	now, err := c.Work(t.Context(), "o", e.ID)
	notes, nerr := c.Notes(t.Context(), "o", e.ID)
	if err != nil || nerr != nil || now.Owner != c.dana.ID || now.Version != 2 || len(notes) != 1 {
		t.Errorf("%s has it in version %d with %d notes, %v %v", now.Owner, now.Version, len(notes), err, nerr)
	}
}

func TestTwoAnswers(t *testing.T) {
	c := newTeams(t)
	c.must(t, store.Step{Messages: []store.Message{incoming("m-1")}})
	e := c.filed(t, "m-1", store.Place{})
	var col *work.Collision
	ok(t, c.BeginAnswer(t.Context(), "o", e.ID, c.sam, false))
	if err := c.BeginAnswer(t.Context(), "o", e.ID, c.dana, false); !errors.As(err, &col) || len(col.Writing) != 1 || col.Writing[0].Person != c.sam.ID {
		t.Fatalf("the second writer is told %v, want that Sam writes", err)
	}
	ok(t, c.BeginAnswer(t.Context(), "o", e.ID, c.sam, false)) // one's own page again
	ok(t, c.BeginAnswer(t.Context(), "o", e.ID, c.dana, true)) // told, and goes on
	c.now = c.now.Add(time.Second)
	reply := out("m-2", dr)
	reply.Sender, reply.Submission.From, reply.Submission.Principal, reply.Received = intake, intake, "sam", c.now
	reply.Facts.InReplyTo = "<m-1@h>"
	c.must(t, store.Step{Messages: []store.Message{reply}})
	ok(t, c.EndAnswer(t.Context(), "o", e.ID, c.sam.ID))
	answers, err := c.AnswersTo(t.Context(), "o", e.ID)
	if err != nil || len(answers) != 1 || answers[0].By != "sam" {
		t.Fatalf("answers %+v, %v: want Sam's", answers, err)
	}
	second := out("m-3", dr)
	second.Sender, second.Submission.From, second.Submission.Principal, second.Received = intake, intake, "dana", c.now
	second.Submission.Answering = &message.Answering{Entry: string(e.ID)}
	if _, err := c.Commit(t.Context(), queue.Lease{}, store.Step{Messages: []store.Message{second}}); !errors.As(err, &col) || len(col.Answered) != 1 || col.Answered[0].By != "sam" {
		t.Errorf("as she sends, the other is told %v, want that it was answered", err)
	}
	if _, err := c.Message(t.Context(), "m-3"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("and it left all the same: %v", err)
	}
	second.Submission.Answering.Known = 1
	c.must(t, store.Step{Messages: []store.Message{second}})
	if answers, err := c.AnswersTo(t.Context(), "o", e.ID); err != nil || len(answers) != 2 {
		t.Errorf("told, and sent on purpose: %+v, %v", answers, err)
	}
	ok(t, c.BeginAnswer(t.Context(), "o", e.ID, c.dana, true))
	c.now = c.now.Add(work.WritingFor)
	if w, err := c.Writers(t.Context(), "o", e.ID); err != nil || len(w) != 0 {
		t.Errorf("who was not heard of for long still writes: %+v, %v", w, err)
	}
}

func incoming(id message.ID) store.Message {
	m := out(id, intake)
	m.Direction, m.RFCID = store.In, string(id)+"@h"
	return m
}

func TestMentions(t *testing.T) {
	c := newTeams(t)
	e := c.filed(t, "m-1", store.Place{})
	ok(t, c.AddNote(t.Context(), work.Note{ID: work.NewNoteID(), Org: "o", Work: e.ID, By: c.dana.ID, At: c.now, Text: "@sam please",
		Mentions: []staff.PersonID{c.sam.ID, "p-of-another-organisation"}}, store.AuditEntry{}))
	ms, err := c.Mentions(t.Context(), "o", c.sam.ID, 10)
	if err != nil || len(ms) != 1 || ms[0].By != c.dana.ID || ms[0].Work.ID != e.ID {
		t.Fatalf("mentions %+v, %v", ms, err)
	}
	ok(t, c.SeeMentions(t.Context(), "o", e.ID, c.sam.ID))
	if ms, _ := c.Mentions(t.Context(), "o", c.sam.ID, 10); len(ms) != 0 {
		t.Errorf("seen, and still told: %+v", ms)
	}
}

// TestConversations: an answer goes to whoever works on its conversation, and ends the wait for it.
func TestConversations(t *testing.T) {
	c := newTeams(t)
	e := c.filed(t, "m-1", store.Place{Placement: work.Placement{Pool: c.nurses.ID}})
	e, err := e.Apply(work.Change{Act: work.Wait, Version: 1, Until: c.now.Add(48 * time.Hour)}, work.Actor{ID: c.nora.ID, Here: staff.Sign}, c.now)
	ok(t, err)
	ok(t, c.ChangeWork(t.Context(), e, nil, store.AuditEntry{}))
	two := c.filed(t, "m-2", store.Place{Placement: work.Placement{Pool: c.desk.ID}}, "m-1@h")
	if two.Thread != "m-1" || two.Pool != c.nurses.ID || two.Owner != c.nora.ID {
		t.Errorf("the answer is in %s of %q, thread %s", two.Pool, two.Owner, two.Thread)
	}
	if e, err = c.Work(t.Context(), "o", e.ID); err != nil || !e.Overdue(c.now) || e.State != work.Waiting {
		t.Errorf("the wait goes on: %+v, %v", e, err)
	}
}

func TestWhatMayNotJoinIsReferredTo(t *testing.T) {
	c := newTeams(t)
	c.filed(t, "m-1", store.Place{Patient: "a"})
	for _, s := range []struct {
		id      message.ID
		patient string
		thread  string
		refers  int
	}{{"m-2", "", "m-2", 1}, {"m-3", "b", "m-3", 1}, {"m-4", "a", "m-1", 0}} {
		it := item(s.id, addr.MustParse("x@evil.example"), string(s.id)+"@x", string(s.id), "m-1@h")
		c.must(t, store.Step{Items: []inbox.Item{it}, Places: []store.Place{{Kind: work.Message, Patient: s.patient}}})
		es, err := c.WorkOfMessage(t.Context(), "o", s.id)
		if err != nil || len(es) != 1 || es[0].Thread != s.thread || len(es[0].Refers) != s.refers {
			t.Errorf("%s about patient %q: %+v, %v", s.id, s.patient, es, err)
		}
	}
}

// TestAPatientJoinsConversations: a message joins what it refers to once its patient is known to be the same, and
// leaves it when that was a mistake.
func TestAPatientJoinsConversations(t *testing.T) {
	c := newTeams(t)
	one := c.filed(t, "m-1", store.Place{})
	it := item("m-2", addr.MustParse("x@evil.example"), "m-2@x", "m-2", "m-1@h")
	c.must(t, store.Step{Items: []inbox.Item{it}, Places: []store.Place{{Kind: work.Message}}})
	two := func() work.Entry {
		es, err := c.WorkOfMessage(t.Context(), "o", "m-2")
		ok(t, err)
		return es[0]
	}
	link := func(id work.ID, p patient.ID) error {
		return c.LinkPatient(t.Context(), "o", store.PatientLink{Work: id, Patient: p, How: "confirmed", By: "dana"}, store.AuditEntry{})
	}
	p, err := c.AddPatient(t.Context(), "o", chart.Patient{Name: chart.Name{Family: "Ruiz", Given: "Ana"}}, store.PatientLink{Work: one.ID, How: "provisional", By: "dana"}, store.AuditEntry{})
	ok(t, err)
	if e := two(); e.Thread != "m-2" || len(e.Refers) != 1 {
		t.Fatalf("before: %+v", e)
	}
	ok(t, link(two().ID, p))
	if e := two(); e.Thread != "m-1" || e.Patient != string(p) {
		t.Errorf("of the same patient: thread %s of %s", e.Thread, e.Patient)
	}
	ok(t, c.UnlinkPatient(t.Context(), "o", two().ID, "dana", store.AuditEntry{}))
	if e := two(); e.Thread != "m-2" || e.Patient != "" {
		t.Errorf("undone: thread %s of %q", e.Thread, e.Patient)
	}
	// What people did with an item goes with it when its time is over.
	c.now = c.now.Add(48 * time.Hour)
	if n, err := c.ExpireItems(t.Context(), time.Hour, store.AuditEntry{}); err != nil || n != 2 {
		t.Errorf("%d items went, %v", n, err)
	}
	if _, err := c.Work(t.Context(), "o", one.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("their work stayed: %v", err)
	}
}

func TestRulesAreSavedInTurn(t *testing.T) {
	c := newTeams(t)
	set, err := c.Rules(t.Context(), "o")
	if err != nil || set.Version != 0 || set.CatchAll != c.desk.ID {
		t.Fatalf("before any: %+v, %v", set, err)
	}
	one := rule.Rule{ID: rule.NewID(), Name: "Referrals", When: rule.When{Recipients: []string{"intake@clinic.example"}}, Pool: c.nurses.ID}
	set.Rules = []rule.Rule{one}
	ok(t, c.SaveRules(t.Context(), set, store.AuditEntry{}))
	if err := c.SaveRules(t.Context(), set, store.AuditEntry{}); !errors.Is(err, store.ErrStalePool) {
		t.Errorf("a list made of an older one: %v", err)
	}
	if got, err := c.Rules(t.Context(), "o"); err != nil || got.Version != 1 || len(got.Rules) != 1 || got.Rules[0].Name != "Referrals" {
		t.Errorf("saved %+v, %v", got, err)
	}
	if err := c.RetirePool(t.Context(), "o", c.nurses.ID, store.AuditEntry{}); err == nil {
		t.Error("a team that a rule sends to was closed")
	}
	if err := c.RetirePool(t.Context(), "o", c.desk.ID, store.AuditEntry{}); !errors.Is(err, pool.ErrCatchAll) {
		t.Errorf("the catch-all was closed: %v", err)
	}
	set.Version, set.Rules = 1, []rule.Rule{{ID: "r", Name: "x", When: one.When, Pool: "q-none"}}
	var bad *rule.Invalid
	if err := c.SaveRules(t.Context(), set, store.AuditEntry{}); !errors.As(err, &bad) {
		t.Errorf("a rule that sends nowhere was saved: %v", err)
	}
}

// TestAnotherOrganisationSeesNothing asks for everything of one organisation in the name of another.
func TestAnotherOrganisationSeesNothing(t *testing.T) {
	c := newTeams(t)
	e := c.filed(t, "m-1", store.Place{})
	ok(t, c.AddOrg(t.Context(), store.Org{ID: "other", Name: "Other", WrappedKey: []byte{1}}))
	ok(t, c.EnsurePools(t.Context(), "other"))
	if _, err := c.Work(t.Context(), "other", e.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the entry: %v", err)
	}
	if _, err := c.WorkOfItem(t.Context(), "other", "intake", e.Number); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by item: %v", err)
	}
	if _, err := c.Pool(t.Context(), "other", c.nurses.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the pool: %v", err)
	}
	reach := []store.Reach{{Pool: c.desk.ID, All: true}, {Pool: c.nurses.ID, All: true}}
	for _, v := range store.Views() {
		if lines, err := c.WorkList(t.Context(), store.WorkQuery{Org: "other", Reach: reach, View: v, N: 10}); err != nil || len(lines) != 0 {
			t.Errorf("%s: %d lines, %v", v, len(lines), err)
		}
		if _, err := c.WorkList(t.Context(), store.WorkQuery{Org: "other", Reach: reach, View: v, N: 10, After: e.ID}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s after a foreign entry: %v", v, err)
		}
		counts, err := c.WorkCounts(t.Context(), store.WorkQuery{Org: "other", Reach: reach, View: v})
		for _, n := range counts {
			if n.N != 0 || err != nil {
				t.Errorf("%s counts %d, %v", v, n.N, err)
			}
		}
	}
	if err := c.BeginAnswer(t.Context(), "other", e.ID, c.sam, true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("writing: %v", err)
	}
	if err := c.AddNote(t.Context(), work.Note{ID: "n", Org: "other", Work: e.ID, Text: "x"}, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a note: %v", err)
	}
	foreign := e
	foreign.Org, foreign.Version = "other", e.Version+1
	var r *work.Refusal
	if err := c.ChangeWork(t.Context(), foreign, nil, store.AuditEntry{}); !errors.As(err, &r) {
		t.Errorf("a change: %v", err)
	}
}

// TestItemsFromBeforeThereWasWork: a database from before this schema gets a pool for each organisation and a work row
// for each item.
func TestItemsFromBeforeThereWasWork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", "file:"+path)
	ok(t, err)
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, at TEXT NOT NULL)")
	files, err := filepath.Glob("schema/*.sql")
	ok(t, err)
	for i, f := range files {
		if strings.HasPrefix(filepath.Base(f), "0005") {
			break
		}
		text, err := os.ReadFile(f)
		ok(t, err)
		do(string(text))
		do("INSERT INTO migration VALUES (?,?,'')", i+1, f)
	}
	for _, o := range []string{"a", "b"} {
		do("INSERT INTO org VALUES (?,?,x'01','2030')", o, o)
		do("INSERT INTO inbox VALUES (?,?,?,9,'')", "box-"+o, o, o)
		for n, origin := range []string{"peer", "system", "notice"} {
			do("INSERT INTO item(inbox, number, org, message, recipient, sender, origin, rfc_id, thread, subject, received, blob, size, flags, receipt) VALUES (?,?,?,?,'a@b.example','c@d.example',?,'','t','','2030-01-01T00:00:00.000Z','b',1,'{}','null')",
				"box-"+o, n+1, o, fmt.Sprint("m-", o, n), origin)
		}
	}
	ok(t, db.Close())
	s, err := store.Open(store.Config{Path: path})
	ok(t, err)
	defer s.Close()
	for _, o := range []string{"a", "b"} {
		pools, err := s.Pools(t.Context(), o)
		if err != nil || len(pools) != 1 || !pools[0].CatchAll {
			t.Fatalf("pools of %s: %+v, %v", o, pools, err)
		}
		lines, err := s.WorkList(t.Context(), store.WorkQuery{Org: o, Reach: []store.Reach{{Pool: pools[0].ID, All: true}}, View: store.ViewUnworked, N: 10})
		if err != nil || len(lines) != 3 {
			t.Fatalf("work of %s: %d, %v", o, len(lines), err)
		}
		for i, want := range []work.Kind{work.Message, work.Failure, work.Notice} {
			e, err := s.WorkOfItem(t.Context(), o, "box-"+o, int64(i+1))
			if err != nil || e.Kind != want || e.Why.Because[0] != "it came before this list was kept" || len(e.ID) < 20 {
				t.Errorf("item %d: %+v, %v", i+1, e, err)
			}
		}
	}
}
