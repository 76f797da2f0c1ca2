package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/gateway/store"
)

// TestNoMessageIsOnNoList drives messages through acts at random and holds that each is always on a list of somebody
// who may work on it, and on every list its state belongs to.
func TestNoMessageIsOnNoList(t *testing.T) {
	c := newTeams(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		pools := []string{c.desk.ID, c.nurses.ID, "q-nowhere", ""}
		people := []staff.Person{c.dana, c.sam, c.nora}
		place := store.Place{Kind: rapid.SampledFrom([]work.Kind{work.Message, work.Failure, work.Notice}).Draw(rt, "kind"),
			Placement: work.Placement{Pool: rapid.SampledFrom(pools).Draw(rt, "pool"), Owner: rapid.SampledFrom([]staff.PersonID{"", c.dana.ID, c.nora.ID, "p-gone"}).Draw(rt, "owner"),
				Urgency: work.Urgency(rapid.IntRange(0, 2).Draw(rt, "urgency")), Sensitive: rapid.Bool().Draw(rt, "sensitive")}}
		e := c.filed(t, message.ID(fmt.Sprint("m-", n)), place)
		c.onLists(rt, e)
		for range rapid.IntRange(0, 6).Draw(rt, "acts") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			rights := c.rights(t, who)
			to := rapid.SampledFrom(people).Draw(rt, "to")
			ch := work.Change{Act: rapid.SampledFrom(work.Acts()).Draw(rt, "act"), Version: e.Version, To: to.ID, Pool: rapid.SampledFrom([]string{"", c.desk.ID, c.nurses.ID}).Draw(rt, "there"),
				Category: rapid.SampledFrom(staff.Categories()).Draw(rt, "category"), Until: c.now.Add(time.Duration(rapid.IntRange(1, 99).Draw(rt, "hours")) * time.Hour),
				Sensitive: rapid.Bool().Draw(rt, "hide"), Urgency: work.Urgency(rapid.IntRange(0, 2).Draw(rt, "raise"))}
			there := ch.Pool
			if there == "" {
				there = e.Pool
			}
			after, err := e.Apply(ch, work.Actor{ID: who.ID, Here: rights.On(e.Pool, e.Scope()), There: staff.Read, Theirs: c.rights(t, to).On(there, e.Scope()), Hidden: rights.On(e.Pool, staff.Sensitive)}, c.now)
			if err != nil {
				continue
			}
			if err := c.ChangeWork(t.Context(), after, nil, store.AuditEntry{}); err != nil {
				rt.Fatalf("%s: %v", ch.Act, err)
			}
			if e, err = c.Work(t.Context(), "o", e.ID); err != nil {
				rt.Fatal(err)
			}
			c.onLists(rt, e)
			c.now = c.now.Add(time.Duration(rapid.IntRange(0, 60).Draw(rt, "minutes")) * time.Minute)
		}
	})
}

func (c *teams) rights(t testing.TB, p staff.Person) staff.Rights {
	t.Helper()
	ms, err := c.Memberships(t.Context(), p.Org, p.ID)
	ok(t, err)
	return staff.Of(p, ms, nil, c.now)
}

// onLists looks an entry up on the lists of a pool's reach that leaves nothing out: what the pool's own people see
// together.
func (c *teams) onLists(t *rapid.T, e work.Entry) {
	reach := []store.Reach{{Pool: c.desk.ID, All: true}, {Pool: c.nurses.ID, All: true}}
	on := func(v store.View, owner staff.PersonID) bool {
		q := store.WorkQuery{Org: "o", Reach: reach, View: v, Owner: owner, N: store.MaxLines}
		for {
			lines, err := c.WorkList(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(lines, func(l store.Line) bool { return l.ID == e.ID }) {
				return true
			}
			if len(lines) < store.MaxLines {
				return false
			}
			q.After = lines[len(lines)-1].ID
		}
	}
	for _, v := range []struct {
		view  store.View
		owner staff.PersonID
		want  bool
	}{
		{store.ViewOpen, "", e.State.Open()}, {store.ViewFinished, "", e.State == work.Done}, {store.ViewUnworked, "", e.State == work.New},
		{store.ViewMine, e.Owner, e.State.Open() && e.Owner != ""}, {store.ViewWaiting, "", e.State == work.Waiting}, {store.ViewOverdue, "", e.Overdue(c.now)},
		{store.ViewUrgent, "", e.State.Open() && e.Urgency > 0}, {store.ViewFailures, "", e.State.Open() && e.Kind == work.Failure},
		{store.ViewUnruled, "", e.State.Open() && e.Why.OnlyCatchAll()},
	} {
		if v.view == store.ViewMine && v.owner == "" {
			continue
		}
		if got := on(v.view, v.owner); got != v.want {
			t.Fatalf("%s of %q (%s) on %s: %v, want %v", e.State, e.Owner, e.Kind, v.view, got, v.want)
		}
	}
}
