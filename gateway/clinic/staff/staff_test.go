package staff_test

import (
	"testing"
	"time"

	"postern/gateway/clinic/staff"
)

var now = time.Date(2030, 3, 4, 9, 0, 0, 0, time.UTC)

func person(r staff.Role) staff.Person {
	return staff.Person{ID: "p-1", Org: "o-1", Name: "Dana M. Reyes", Role: r}
}

func TestLevels(t *testing.T) {
	all := func(l staff.Level) staff.Membership { return staff.Membership{Pool: "front", Level: l} }
	only := func(l staff.Level, c ...staff.Category) staff.Membership {
		return staff.Membership{Pool: "front", Level: l, Categories: c}
	}
	open := staff.BreakGlass{Person: "p-1", Pool: "front", At: now.Add(-time.Minute), Until: now.Add(time.Minute)}
	for _, c := range []struct {
		situation string
		role      staff.Role
		member    []staff.Membership
		emergency []staff.BreakGlass
		category  staff.Category
		want      staff.Level
	}{
		{"no membership", staff.Physician, nil, nil, staff.Referral, staff.None},
		{"membership for all", staff.FrontDesk, []staff.Membership{all(staff.Send)}, nil, staff.Referral, staff.Send},
		{"category not set yet", staff.FrontDesk, []staff.Membership{all(staff.Send)}, nil, "", staff.Send},
		{"front desk and sensitive", staff.FrontDesk, []staff.Membership{all(staff.Sign)}, nil, staff.Sensitive, staff.None},
		{"front desk named for sensitive", staff.FrontDesk, []staff.Membership{all(staff.Send), only(staff.Read, staff.Sensitive)}, nil, staff.Sensitive, staff.Read},
		{"nurse and sensitive", staff.Nurse, []staff.Membership{all(staff.Draft)}, nil, staff.Sensitive, staff.Draft},
		{"named category is less", staff.Nurse, []staff.Membership{all(staff.Send), only(staff.Draft, staff.Result)}, nil, staff.Result, staff.Draft},
		{"named category is nothing", staff.Nurse, []staff.Membership{all(staff.Send), only(staff.None, staff.Result)}, nil, staff.Result, staff.None},
		{"named category is more", staff.MedicalAssistant, []staff.Membership{only(staff.Sign, staff.Records), all(staff.Draft)}, nil, staff.Records, staff.Sign},
		{"only one category", staff.MedicalAssistant, []staff.Membership{only(staff.Send, staff.Records)}, nil, staff.Question, staff.None},
		{"manager reads every pool", staff.Manager, nil, nil, staff.Result, staff.Read},
		{"manager and sensitive", staff.Manager, nil, nil, staff.Sensitive, staff.None},
		{"trust administrator", staff.TrustAdministrator, nil, nil, staff.Referral, staff.None},
		{"emergency", staff.TrustAdministrator, nil, []staff.BreakGlass{open}, staff.Sensitive, staff.Read},
		{"emergency gives no more than read", staff.Nurse, []staff.Membership{all(staff.Send)}, []staff.BreakGlass{open}, staff.Result, staff.Send},
		{"emergency over", staff.Nurse, nil, []staff.BreakGlass{{Person: "p-1", Pool: "front", At: now.Add(-time.Hour), Until: now}}, staff.Result, staff.None},
		{"emergency of another", staff.Nurse, nil, []staff.BreakGlass{{Person: "p-2", Pool: "front", At: open.At, Until: open.Until}}, staff.Result, staff.None},
		{"emergency elsewhere", staff.Nurse, nil, []staff.BreakGlass{{Person: "p-1", Pool: "back", At: open.At, Until: open.Until}}, staff.Result, staff.None},
	} {
		r := staff.Of(person(c.role), c.member, c.emergency, now)
		if got := r.On("front", c.category); got != c.want {
			t.Errorf("%s: %v, want %v", c.situation, got, c.want)
		}
	}
}

func TestDisabledAndNobodyMayDoNothing(t *testing.T) {
	gone := person(staff.Manager)
	gone.Disabled, gone.Admin = true, true
	m := []staff.Membership{{Pool: "front", Level: staff.Sign}}
	b := []staff.BreakGlass{{Person: "p-1", Pool: "front", At: now, Until: now.Add(time.Hour)}}
	for name, r := range map[string]staff.Rights{"zero": {}, "nobody": staff.Of(staff.Person{Role: staff.Manager}, m, nil, now), "disabled": staff.Of(gone, m, b, now)} {
		if l := r.InPool("front"); l != staff.None {
			t.Errorf("%s: %v in the pool", name, l)
		}
		for _, a := range staff.Abilities() {
			if r.Can(a) {
				t.Errorf("%s: can %s", name, a)
			}
		}
		if len(r.Pools()) > 0 {
			t.Errorf("%s: pools %v", name, r.Pools())
		}
	}
}

func TestAbilities(t *testing.T) {
	want := map[staff.Role]string{
		staff.Physician: "manage_templates manage_addresses ", staff.Nurse: "manage_templates manage_addresses ",
		staff.MedicalAssistant: "manage_addresses ", staff.FrontDesk: "manage_addresses ",
		staff.Manager:            "manage_people manage_rules manage_templates manage_addresses see_held read_audit see_all ",
		staff.TrustAdministrator: "see_held see_trust read_audit ",
	}
	for _, role := range staff.Roles() {
		got := ""
		for _, a := range staff.Abilities() {
			if staff.Of(person(role), nil, nil, now).Can(a) {
				got += string(a) + " "
			}
		}
		if got != want[role] {
			t.Errorf("%s: %s\nwant %s", role, got, want[role])
		}
	}
	solo := person(staff.Physician)
	solo.Admin = true
	if r := staff.Of(solo, nil, nil, now); !r.Can(staff.ManagePeople) || r.Can(staff.SeeAll) || r.Can(staff.SeeTrust) {
		t.Error("administering adds housekeeping and no message")
	}
}

func TestPools(t *testing.T) {
	r := staff.Of(person(staff.Nurse), []staff.Membership{{Pool: "b", Level: staff.Read}, {Pool: "a", Level: staff.Send, Categories: []staff.Category{staff.Result}},
		{Pool: "none", Level: staff.None}}, []staff.BreakGlass{{Person: "p-1", Pool: "c", At: now, Until: now.Add(1)}}, now)
	if got := r.Pools(); len(got) != 3 || got[0] != "a" || got[1] != "b" || got[2] != "c" {
		t.Errorf("pools %v", got)
	}
	if r.Member("c") || !r.Member("a") || r.Member("none") {
		t.Error("who looks in an emergency is no member, nor who may do nothing")
	}
	if r.InPool("a") != staff.Send || r.InPool("none") != staff.None || r.Emergency("c").IsZero() || !r.Emergency("a").IsZero() {
		t.Error("levels in pools")
	}
}

func TestWords(t *testing.T) {
	p := person(staff.MedicalAssistant)
	p.Title = "CMA"
	if p.Signature() != "Dana M. Reyes, CMA (medical assistant)" || p.Initials() != "DR" {
		t.Errorf("%s %s", p.Signature(), p.Initials())
	}
	if (staff.Person{Name: "Ångström"}).Initials() != "Å" || (staff.Person{}).Initials() != "" {
		t.Error("initials of one name and of none")
	}
	for _, l := range staff.Levels() {
		if back, err := staff.ParseLevel(l.String()); err != nil || back != l {
			t.Errorf("%v: %v %v", l, back, err)
		}
	}
	for _, bad := range []string{"", "Read", "sign for"} {
		if _, err := staff.ParseLevel(bad); err == nil {
			t.Errorf("level %q was taken", bad)
		}
	}
	if r, err := staff.ParseRole("Front-Desk"); err != nil || r != staff.FrontDesk {
		t.Errorf("%v %v", r, err)
	}
	for _, bad := range []string{"", "doctor", "admin"} {
		if _, err := staff.ParseRole(bad); err == nil {
			t.Errorf("role %q was taken", bad)
		}
	}
	if _, err := staff.ParseCategory("gossip"); err == nil {
		t.Error("category gossip was taken")
	}
}
