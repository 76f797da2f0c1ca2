package rule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/smime/addr"
)

// TestOrigins: whose an address is follows from where its ordinary mail goes.
func TestOrigins(t *testing.T) {
	at := func(name string) addr.Address { return addr.MustParse(name + "@clinic.example") }
	to := func(pool string, when rule.When) rule.Rule {
		return rule.Rule{ID: rule.NewID(), Pool: pool, When: when}
	}
	only := func(names ...string) rule.When {
		var w rule.When
		for _, n := range names {
			w.Recipients = append(w.Recipients, at(n).String())
		}
		return w
	}
	both := only("front")
	both.Categories = []staff.Category{staff.Result}
	lee := to("nurses", only("dr.lee"))
	lee.Owner = "p-lee"
	off := to("billing", only("front"))
	off.Off = true
	results := to("nurses", rule.When{Categories: []staff.Category{staff.Result}})
	for situation, c := range map[string]struct {
		rules []rule.Rule
		want  string
	}{
		"no rules: all are the catch-all's, and everybody's who has none": {nil, "front: desk billing nurses; dr.lee: desk billing nurses; billing: desk billing nurses"},
		"a rule for one address": {[]rule.Rule{to("billing", only("billing"))}, "front: desk nurses; dr.lee: desk nurses; billing: billing"},
		"one person's":           {[]rule.Rule{to("billing", only("billing")), lee}, "front: desk nurses; dr.lee: nurses p-lee; billing: billing"},
		"a rule of more conditions gives no address away":      {[]rule.Rule{to("billing", both), to("nurses", only("front"))}, "front: nurses; dr.lee: desk billing; billing: desk billing"},
		"a rule that is off":                                   {[]rule.Rule{off, to("nurses", only("dr.lee"))}, "front: desk billing; dr.lee: nurses; billing: desk billing"},
		"no general address, and mail of a category":           {[]rule.Rule{to("billing", only("billing")), results, to("desk2", only("front", "dr.lee"))}, "front: desk2 nurses; dr.lee: desk2 nurses; billing: billing"},
		"mail of a category reaches a team without an address": {[]rule.Rule{to("billing", only("billing")), results}, "front: desk nurses; dr.lee: desk nurses; billing: billing"},
		"a team with an address has no other":                  {[]rule.Rule{results, to("nurses", only("dr.lee")), to("billing", only("billing"))}, "front: desk; dr.lee: nurses; billing: billing"},
	} {
		var got []string
		for _, o := range (rule.Set{CatchAll: "desk", Rules: c.rules}).Origins([]addr.Address{at("front"), at("dr.lee"), at("billing")}, []string{"billing", "nurses", "desk"}) {
			got = append(got, strings.TrimSpace(strings.TrimSuffix(o.Address.String(), "@clinic.example")+": "+strings.Join(o.Pools, " ")+" "+string(o.Owner)))
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", situation, s, c.want)
		}
	}
}

// TestWhoWritesFromAnAddress: by delegation and category.
func TestWhoWritesFromAnAddress(t *testing.T) {
	team, own := rule.Origin{Pools: []string{"desk"}}, rule.Origin{Pools: []string{"desk"}, Owner: "p-lee"}
	for situation, c := range map[string]struct {
		who  staff.Person
		in   []staff.Membership
		at   rule.Origin
		want string // draft and send, for a referral
	}{
		"none":                     {staff.Person{ID: "p", Role: staff.Nurse}, nil, team, ""},
		"of another team":          {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "other", Level: staff.Sign}}, team, ""},
		"who reads":                {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Read}}, team, ""},
		"who drafts":               {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Draft}}, team, "draft"},
		"who sends":                {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Send}}, team, "draft send"},
		"who sends other things":   {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Send, Categories: []staff.Category{staff.Result}}}, team, ""},
		"a manager who only looks": {staff.Person{ID: "p", Role: staff.Manager, Admin: true}, nil, team, ""},
		"their own":                {staff.Person{ID: "p-lee", Role: staff.Physician}, nil, own, "draft send"},
		"their own, shut out":      {staff.Person{ID: "p-lee", Role: staff.Physician, Disabled: true}, nil, own, ""},
		"a colleague's":            {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Send}}, own, ""},
		"as who signs for them":    {staff.Person{ID: "p", Role: staff.Nurse}, []staff.Membership{{Pool: "desk", Level: staff.Sign}}, own, "draft send"},
	} {
		r := staff.Of(c.who, c.in, nil, time.Time{})
		var got []string
		for _, l := range []staff.Level{staff.Draft, staff.Send} {
			if c.at.Lets(c.who, r, staff.Referral, l) {
				got = append(got, l.String())
			}
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: %v, want %q", situation, got, c.want)
		}
	}
}
