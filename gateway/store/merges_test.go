package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"postern/gateway/clinic/patient"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/gateway/store"
)

// merging is a clinic with records of people, each made of one message.
type merging struct {
	*teams
	testing.TB
}

func (c merging) known(m message.ID, pool string) (patient.ID, work.ID) {
	c.Helper()
	c.now = c.now.Add(time.Second)
	p := store.Place{}
	p.Pool = pool
	e := c.filed(c.TB, m, p)
	id, err := c.AddPatient(c.Context(), "o", ana("555 777 01"+string(m[len(m)-2:])), store.PatientLink{Work: e.ID, How: "provisional", By: "dana"}, store.AuditEntry{})
	ok(c.TB, err)
	return id, e.ID
}

func (c merging) merge(gone, into patient.ID) store.Merge {
	c.Helper()
	ok(c.TB, c.MergePatient(c.Context(), "o", store.Merge{Gone: gone, Into: into, Why: "the same card", By: "dana"}, store.AuditEntry{}))
	all, err := c.Merges(c.Context(), "o", into, 10)
	ok(c.TB, err)
	if len(all) == 0 || all[0].Gone != gone || all[0].Why != "the same card" || all[0].By != "dana" || all[0].At.IsZero() || !all[0].Undone.IsZero() {
		c.Fatalf("merges %+v", all)
	}
	all[0].UndoneBy, all[0].UndoneWhy = "sam", "two cards after all"
	c.now = c.now.Add(time.Minute)
	return all[0]
}

// undo takes a merge back and says what came of it.
func (c merging) undo(m store.Merge) (store.MergeUndone, error) {
	return c.UndoMerge(c.Context(), "o", m, func(u store.MergeUndone) store.AuditEntry {
		return store.AuditEntry{Org: "o", Actor: m.UndoneBy, Action: "part_patients", Object: string(m.Into), Detail: u}
	})
}

// whose is whom messages belong to.
func (c merging) whose(ids ...work.ID) (out []patient.ID) {
	c.Helper()
	for _, id := range ids {
		e, err := c.Work(c.Context(), "o", id)
		ok(c.TB, err)
		out = append(out, patient.ID(e.Patient))
	}
	return out
}

func TestAMergeIsTakenBackAsAWhole(t *testing.T) {
	c := merging{newTeams(t), t}
	a, first := c.known("m-01", "")
	c.now = c.now.Add(time.Second)
	hidden := c.filed(t, "m-02", store.Place{})
	ok(t, c.LinkPatient(t.Context(), "o", store.PatientLink{Work: hidden.ID, Patient: a, How: "confirmed", By: "dana"}, store.AuditEntry{}))
	ok(t, c.ConfirmPatient(t.Context(), "o", a, ana("555 777 0101"), store.AuditEntry{}))
	b, second := c.known("m-03", "")
	m := c.merge(a, b)
	if got := c.whose(first, hidden.ID, second); !slices.Equal(got, []patient.ID{b, b, b}) {
		t.Fatalf("merged: %v", got)
	}
	// Meanwhile one of them turned out to be a third person's, and a new one came to the record that stayed.
	third, _ := c.known("m-04", "")
	ok(t, c.UnlinkPatient(t.Context(), "o", hidden.ID, "sam", store.AuditEntry{}))
	ok(t, c.LinkPatient(t.Context(), "o", store.PatientLink{Work: hidden.ID, Patient: third, How: "confirmed", By: "sam"}, store.AuditEntry{}))
	later := c.filed(t, "m-05", store.Place{})
	ok(t, c.LinkPatient(t.Context(), "o", store.PatientLink{Work: later.ID, Patient: b, How: "confirmed", By: "dana"}, store.AuditEntry{}))
	if n, err := c.CameSince(t.Context(), "o", m, c.reach(t, c.dana)); err != nil || n != 1 {
		t.Errorf("came since: %d %v", n, err)
	}
	moves, err := c.MergeMoves(t.Context(), "o", m.ID, 10)
	ok(t, err)
	if len(moves) != 2 || moves[0].ID != hidden.ID || moves[0].Back || moves[0].Changer != "sam" || moves[0].Changed.IsZero() || moves[1].ID != first || !moves[1].Back {
		t.Errorf("moves %+v", moves)
	}

	if _, err := c.UndoMerge(t.Context(), "other", m, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation: %v", err)
	}
	elsewhere := m
	elsewhere.Into = third
	if _, err := c.undo(elsewhere); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("by way of another record: %v", err)
	}
	u, err := c.undo(m)
	if err != nil || u != (store.MergeUndone{Back: 1, Stayed: 1}) {
		t.Fatalf("%+v %v", u, err)
	}
	if got := c.whose(first, hidden.ID, second, later.ID); !slices.Equal(got, []patient.ID{a, third, b, b}) {
		t.Errorf("parted: %v, want %v", got, []patient.ID{a, third, b, b})
	}
	got, err := c.Patient(t.Context(), "o", a)
	if err != nil || got.State != patient.Confirmed || got.Into != "" {
		t.Errorf("%+v %v: want it as it was, confirmed", got, err)
	}
	if known, err := c.Acquainted(t.Context(), "o", ana("555 777 0101")); err != nil || !slices.ContainsFunc(known, func(r patient.Record) bool { return r.ID == a }) {
		t.Errorf("it is not found again: %v %v", names(known), err)
	}
	all, err := c.Merges(t.Context(), "o", a, 10)
	if err != nil || len(all) != 1 || all[0].UndoneBy != "sam" || all[0].UndoneWhy != "two cards after all" || !all[0].Undone.Equal(c.now) {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := c.undo(m); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
}

func TestMergesInARowAreTakenBackFromTheLast(t *testing.T) {
	c := merging{newTeams(t), t}
	a, of := c.known("m-01", "")
	b, _ := c.known("m-02", "")
	d, _ := c.known("m-03", "")
	inner := c.merge(a, b)
	outer := c.merge(b, d)
	if _, err := c.undo(inner); !errors.Is(err, store.ErrMergedOn) {
		t.Fatalf("the first one first: %v", err)
	}
	if u, err := c.undo(outer); err != nil || u != (store.MergeUndone{Back: 2}) {
		t.Fatalf("the last: %+v %v", u, err)
	}
	if u, err := c.undo(inner); err != nil || u != (store.MergeUndone{Back: 1}) || c.whose(of)[0] != a {
		t.Fatalf("then the first: %+v %v, %v", u, err, c.whose(of))
	}
	// And once more: the same two can be one again.
	if u, err := c.undo(c.merge(a, b)); err != nil || u.Back != 1 {
		t.Fatalf("again: %+v %v", u, err)
	}
}

func TestARecordWhoseMessagesAllWentElsewhereComesBackEmpty(t *testing.T) {
	c := merging{newTeams(t), t}
	a, first := c.known("m-01", "")
	b, _ := c.known("m-02", "")
	m := c.merge(a, b)
	ok(t, c.UnlinkPatient(t.Context(), "o", first, "sam", store.AuditEntry{}))
	if u, err := c.undo(m); err != nil || u != (store.MergeUndone{Stayed: 1}) {
		t.Fatalf("%+v %v", u, err)
	}
	if r, err := c.Patient(t.Context(), "o", a); err != nil || r.State != patient.Withdrawn {
		t.Errorf("a provisional record without a message is %s (%v)", r.State, err)
	}
}

func TestWhatAMergeMovedGoesWithTheMessage(t *testing.T) {
	c := merging{newTeams(t), t}
	a, _ := c.known("m-01", "")
	b, _ := c.known("m-02", "")
	m := c.merge(a, b)
	ok(t, c.SetRetention(t.Context(), store.KeptInbox, time.Second, store.AuditEntry{}))
	_, err := c.ExpireItems(t.Context(), time.Second, store.AuditEntry{})
	ok(t, err)
	if moves, err := c.MergeMoves(t.Context(), "o", m.ID, 10); err != nil || len(moves) != 0 {
		t.Errorf("%+v %v", moves, err)
	}
	if u, err := c.undo(m); err != nil || u != (store.MergeUndone{}) {
		t.Errorf("%+v %v", u, err)
	}
}

func TestAcquaintedAreThoseTheAskerMaySee(t *testing.T) {
	c := merging{newTeams(t), t}
	front, _ := c.known("m-01", "")
	nurses, _ := c.known("m-02", c.nurses.ID)
	ids := func(who ...store.Candidate) (out []patient.ID) {
		for _, k := range who {
			out = append(out, k.ID)
		}
		return out
	}
	for _, s := range []struct {
		situation string
		reach     []store.Reach
		want      []patient.ID
		own       []bool
	}{
		{"the front desk's own", c.reach(t, c.dana), []patient.ID{front}, []bool{true}},
		{"a nurse's own", c.reach(t, c.nora), []patient.ID{nurses}, []bool{true}},
		{"nobody's", nil, nil, nil},
	} {
		got, err := c.AcquaintedSeen(t.Context(), "o", ana(""), s.reach)
		ok(t, err)
		if !slices.Equal(ids(got...), s.want) || len(got) > 0 && got[0].Own != s.own[0] {
			t.Errorf("%s: %+v, want %v", s.situation, got, s.want)
		}
	}
	got, err := c.AcquaintedSeen(t.Context(), "o", ana(""), c.reach(t, c.manager)) // the manager reads every pool and belongs to none
	ok(t, err)
	if len(got) != 2 || got[0].Own || got[1].Own {
		t.Errorf("the manager: %+v", got)
	}
	mixed := append(c.reach(t, c.nora), store.Reach{Pool: c.desk.ID, All: true})
	if got, err = c.AcquaintedSeen(t.Context(), "o", ana("555 777 0101"), mixed); err != nil || !slices.Equal(ids(got...), []patient.ID{nurses, front}) || !got[0].Own || got[1].Own {
		t.Errorf("one's own come first, whoever shares more: %+v %v", got, err)
	}
	if got, err := c.AcquaintedSeen(t.Context(), "other", ana(""), mixed); err != nil || len(got) != 0 {
		t.Errorf("another organisation: %+v %v", got, err)
	}
}
