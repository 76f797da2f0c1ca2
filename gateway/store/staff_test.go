package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"postern/gateway/auth"
	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// staffSite is a site with a second organisation, o2.
func staffSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	if err := s.AddOrg(t.Context(), store.Org{ID: "o2", Name: "Other", WrappedKey: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) person(t testing.TB, org, login string, role staff.Role) staff.Person {
	t.Helper()
	p := staff.Person{ID: staff.PersonID("p-" + org + "-" + login), Org: org, Login: login, Name: login, Role: role, Zone: "UTC"}
	if err := s.AddPerson(t.Context(), p, "record of "+login, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPeopleAreOfOneOrganisation(t *testing.T) {
	s, ctx := staffSite(t), t.Context()
	ann := s.person(t, "o", "ann", staff.Manager)
	s.person(t, "o2", "ann", staff.Nurse)
	if err := s.AddPerson(ctx, staff.Person{ID: "p-x", Org: "o", Login: "ann", Name: "x", Role: staff.Nurse}, "", store.AuditEntry{}); !errors.Is(err, store.ErrExists) {
		t.Errorf("a login twice: %v", err)
	}
	for name, do := range map[string]func() error{
		"found":    func() error { _, err := s.Person(ctx, "o2", ann.ID); return err },
		"changed":  func() error { p := ann; p.Org = "o2"; return s.SetPerson(ctx, p, true, store.AuditEntry{}) },
		"a new pw": func() error { p := ann; p.Org = "o2"; return s.SetPassword(ctx, p, "r", "", store.AuditEntry{}) },
		"a member": func() error { p := ann; p.Org = "o2"; return s.SetMemberships(ctx, p, "x", nil, store.AuditEntry{}) },
		"emergency": func() error {
			return s.AddEmergency(ctx, "o2", staff.BreakGlass{ID: "e", Person: ann.ID}, store.AuditEntry{})
		},
	} {
		if err := do(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("by another organisation, %s: %v", name, err)
		}
	}
	if id, _, err := s.PersonRecord(ctx, "o2", "ann"); err != nil || id != "p-o2-ann" {
		t.Errorf("%s %v", id, err)
	}
	for _, org := range []string{"", "o3"} {
		if _, _, err := s.PersonRecord(ctx, org, "ann"); !errors.Is(err, auth.ErrNoAccount) {
			t.Errorf("organisation %q: %v", org, err)
		}
	}
}

func TestTheLastWhoManagesPeople(t *testing.T) {
	s, ctx := staffSite(t), t.Context()
	ann := s.person(t, "o", "ann", staff.Manager)
	s.person(t, "o2", "eve", staff.Manager) // of another organisation: does not count
	for name, change := range map[string]func(*staff.Person){"another role": func(p *staff.Person) { p.Role = staff.Nurse }, "disabled": func(p *staff.Person) { p.Disabled = true }} {
		p := ann
		change(&p)
		if err := s.SetPerson(ctx, p, false, store.AuditEntry{}); !errors.Is(err, store.ErrLastAdministrator) {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := s.Person(ctx, "o", ann.ID); err != nil || now != ann {
			t.Errorf("%s: %+v %v", name, now, err)
		}
	}
	bob := s.person(t, "o", "bob", staff.Physician)
	bob.Admin = true
	if err := s.SetPerson(ctx, bob, false, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	ann.Role = staff.Nurse
	if err := s.SetPerson(ctx, ann, false, store.AuditEntry{}); err != nil {
		t.Errorf("with another one: %v", err)
	}
	bob.Disabled = true
	if err := s.SetPerson(ctx, bob, true, store.AuditEntry{}); err != nil {
		t.Errorf("forced: %v", err)
	}
}

// session begins a session of a person and is its hash.
func (s *site) session(t testing.TB, p staff.Person, n int) string {
	t.Helper()
	v := auth.Session{Hash: fmt.Sprintf("%s %d", p.ID, n), Org: p.Org, Person: string(p.ID), Stage: auth.Full, Method: "password", Created: s.Now().Add(time.Duration(n) * time.Second),
		Seen: s.Now(), Proved: s.Now()}
	if err := s.BeginSession(t.Context(), v, "", store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	return v.Hash
}

func TestSessionsEnd(t *testing.T) {
	s, ctx := staffSite(t), t.Context()
	ann, bob := s.person(t, "o", "ann", staff.Manager), s.person(t, "o", "bob", staff.Nurse)
	for i := range store.MaxSessions + 3 {
		s.session(t, ann, i)
	}
	keep := s.session(t, bob, 0)
	all, err := s.Sessions(ctx, "o", ann.ID)
	if err != nil || len(all) != store.MaxSessions {
		t.Fatalf("%d sessions, %v", len(all), err)
	}
	if _, err := s.Session(ctx, string(ann.ID)+" 0"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the oldest of too many is there: %v", err)
	}
	if err := s.EndSession(ctx, "o", bob.ID, all[0].Hash, store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's session: %v", err)
	}
	if err := s.SetPassword(ctx, ann, "r", all[0].Hash, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Sessions(ctx, "o", ann.ID); err != nil || len(all) != 1 {
		t.Errorf("after a new password: %d %v", len(all), err)
	}
	ann.Disabled = true
	if err := s.SetPerson(ctx, ann, true, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Sessions(ctx, "o", ann.ID); err != nil || len(all) != 0 {
		t.Errorf("of who is disabled: %d %v", len(all), err)
	}
	if _, err := s.Session(ctx, keep); err != nil {
		t.Errorf("another person's session: %v", err)
	}
}

// TestASignInThatWasEndedGoesNoFurther: what ends every sign-in of a person ends half ones too, and nothing grows out of them.
func TestASignInThatWasEndedGoesNoFurther(t *testing.T) {
	s, ctx := staffSite(t), t.Context()
	ann := s.person(t, "o", "ann", staff.Manager)
	half := auth.Session{Hash: "half", Org: "o", Person: string(ann.ID), Stage: auth.Half, Method: "password", Created: s.Now(), Seen: s.Now(), Proved: s.Now()}
	whole := half
	whole.Hash, whole.Stage = "whole", auth.Full
	for situation, end := range map[string]func() error{
		"signed out":   func() error { return s.EndSessions(ctx, "o", ann.ID, "", store.AuditEntry{}) },
		"new password": func() error { return s.SetPassword(ctx, ann, "r", "", store.AuditEntry{}) },
		"grown": func() error {
			return s.GrowSession(ctx, auth.Session{Hash: "first", Org: "o", Person: half.Person, Stage: auth.Full, Created: s.Now()}, "half", store.AuditEntry{})
		},
	} {
		if err := errors.Join(s.BeginSession(ctx, half, "", store.AuditEntry{}), end()); err != nil {
			t.Fatal(situation, err)
		}
		if err := s.GrowSession(ctx, whole, "half", store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v", situation, err)
		}
		if _, err := s.Session(ctx, "whole"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: it is signed in: %v", situation, err)
		}
	}
	ann.Disabled = true
	if err := s.SetPerson(ctx, ann, true, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginSession(ctx, whole, "", store.AuditEntry{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("who is shut out signs in: %v", err)
	}
}

// TestOneWins has many come at once with what works once.
func TestOneWins(t *testing.T) {
	s, ctx := staffSite(t), t.Context()
	ann := s.person(t, "o", "ann", staff.Manager)
	if err := s.Invite(ctx, ann, "hash", s.Now().Add(time.Hour), store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	app := store.Factor{ID: "f-1", Org: "o", Person: ann.ID, Kind: store.FactorTOTP, Data: []byte("s"), Counter: 5}
	code := store.Factor{ID: "f-2", Org: "o", Person: ann.ID, Kind: store.FactorRecovery, Lookup: "x", Data: []byte{}}
	if err := s.AddFactors(ctx, ann, []store.Factor{app, code}, nil, store.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func(int) error{
		"a link": func(i int) error {
			_, err := s.Redeem(ctx, "hash", fmt.Sprint(i), func(staff.Person) store.AuditEntry { return store.AuditEntry{} })
			return err
		},
		"a step of an app": func(int) error { return s.UseFactor(ctx, app, 6, nil) },
		"a recovery code":  func(int) error { return s.SpendFactor(ctx, code, store.AuditEntry{}) },
	} {
		var wg sync.WaitGroup
		won := make(chan int, 20)
		for i := range 20 {
			wg.Go(func() {
				switch err := do(i); {
				case err == nil:
					won <- i
				case !errors.Is(err, store.ErrNotFound):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Errorf("%s: %d of 20 won", name, len(won))
		}
	}
	if err := s.UseFactor(ctx, app, 6, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the same step: %v", err)
	}
	if err := s.UseFactor(ctx, app, 7, []byte("new")); err != nil {
		t.Errorf("the next step: %v", err)
	}
	if fs, err := s.Factors(ctx, "o", ann.ID); err != nil || len(fs) != 1 || string(fs[0].Data) != "new" || fs[0].Counter != 7 {
		t.Errorf("%+v %v", fs, err)
	}
}
