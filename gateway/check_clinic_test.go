package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"postern/gateway"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// TestCheckNamesTeamsWithoutPeople: a team nobody belongs to, and one whose owner was shut out.
func TestCheckNamesTeamsWithoutPeople(t *testing.T) {
	w := newWorld(t, webExtra)
	about := func(words string) bool {
		return slices.ContainsFunc(w.clinic.Check(w.ctx), func(f gateway.Finding) bool {
			return f.Level == "warning" && f.About == "team Nurses" && strings.Contains(f.Text, words)
		})
	}
	mo, nora := w.sits(w.clinic, "mo", staff.Manager, staff.Send), w.sits(w.clinic, "nora", staff.Nurse, staff.Send)
	nurses := pool.Pool{ID: pool.NewID(), Org: mo.who.Org, Name: "Nurses", Owner: nora.who.ID}
	w.ok(w.clinic.Store.SavePool(w.ctx, nurses, store.AuditEntry{}))
	if !about("nobody belongs to it") || about("nobody answers for it") {
		t.Errorf("%+v", w.clinic.Check(w.ctx))
	}
	w.ok(w.clinic.Store.SetMemberships(w.ctx, mo.who, nurses.ID, []staff.Membership{{Pool: nurses.ID, Level: staff.Send}}, store.AuditEntry{}))
	gone := nora.who
	gone.Disabled = true
	w.ok(w.clinic.Store.SetPerson(w.ctx, gone, false, store.AuditEntry{}))
	if about("nobody belongs to it") || !about("nobody answers for it") {
		t.Errorf("%+v", w.clinic.Check(w.ctx))
	}
}
