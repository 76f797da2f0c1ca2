package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// TestFromWhichAddress: the pages offer and take those of one's own and of one's teams, and say whose the others are.
func TestFromWhichAddress(t *testing.T) {
	w := newWorld(t, webExtra)
	w.ok(w.clinic.Add(w.ctx, "billing", "okafor"))
	dana, sam := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send), w.sits(w.clinic, "sam", staff.FrontDesk, staff.Draft)
	bill, okafor := w.sits(w.clinic, "bill", staff.FrontDesk, staff.None), w.sits(w.clinic, "okafor", staff.Physician, staff.Read)
	pools, err := w.clinic.Store.Pools(w.ctx, dana.who.Org)
	w.ok(err)
	billing := pool.Pool{ID: pool.NewID(), Org: dana.who.Org, Name: "Billing", Owner: bill.who.ID}
	w.ok(w.clinic.Store.SavePool(w.ctx, billing, store.AuditEntry{}))
	w.ok(w.clinic.Store.SetMemberships(w.ctx, bill.who, billing.ID, []staff.Membership{{Pool: billing.ID, Level: staff.Send}}, store.AuditEntry{}))
	w.ok(w.clinic.Store.SetMemberships(w.ctx, okafor.who, billing.ID, []staff.Membership{{Pool: billing.ID, Level: staff.Send}}, store.AuditEntry{}))
	set, err := w.clinic.Store.Rules(w.ctx, dana.who.Org)
	w.ok(err)
	set.Rules = []rule.Rule{{ID: rule.NewID(), Name: "Billing", Pool: billing.ID, When: rule.When{Recipients: []string{w.clinic.Address("billing").String()}}},
		{ID: rule.NewID(), Name: "Dr. Okafor", Pool: pools[len(pools)-1].ID, Owner: okafor.who.ID, When: rule.When{Recipients: []string{w.clinic.Address("okafor").String()}}}}
	w.ok(w.clinic.Store.SaveRules(w.ctx, set, store.AuditEntry{}))

	for _, c := range []struct {
		b    *browser
		from string // offered
	}{{dana, "intake"}, {sam, "intake"}, {bill, "billing"}, {okafor, "billing okafor"}} {
		page := c.b.get("/write/new", 200)
		for _, name := range []string{"intake", "billing", "okafor"} {
			if got, want := strings.Contains(page, "<option selected>"+w.clinic.Address(name).String()) || strings.Contains(page, "<option>"+w.clinic.Address(name).String()), strings.Contains(c.from, name); got != want {
				t.Errorf("%s is offered %s: %v, want %v", c.b.who.Login, name, got, want)
			}
		}
	}
	message := func(b *browser, team, from, do string) []string {
		return append(b.form("/write/new"), "to", w.dr.String(), "subject", "A question", "text", "May we?", "category", "question", "team", team, "from", w.clinic.Address(from).String(), "do", do)
	}
	desk := pools[len(pools)-1].ID
	for situation, c := range map[string]struct {
		b          *browser
		team, from string
		words      string // "" is sent
	}{
		"one's team's":          {dana, desk, "intake", ""},
		"another team's":        {dana, desk, "billing", "is the address of Billing: you may not write from it"},
		"somebody's own":        {dana, desk, "okafor", "is the address of Okafor Cole: you may not write from it"},
		"nobody's here":         {dana, desk, "nobody", "not an address of yours"},
		"one's own":             {okafor, billing.ID, "okafor", ""},
		"of a team one reads":   {okafor, billing.ID, "intake", "is the address of Front desk: you may not write from it"},
		"of a team one is of":   {bill, billing.ID, "billing", ""},
		"of another, by a form": {bill, billing.ID, "intake", "is the address of Front desk"},
	} {
		if c.words == "" {
			c.b.send("/write/new", http.StatusSeeOther, message(c.b, c.team, c.from, "send")...)
			continue
		}
		page := c.b.send("/write/new", http.StatusUnprocessableEntity, message(c.b, c.team, c.from, "send")...)
		if !strings.Contains(page, c.words) {
			t.Errorf("%s: the page does not say %q\n%.2000s", situation, c.words, page)
		}
	}
	if n := w.mailLeft(); n != 3 {
		t.Errorf("%d messages left, want 3", n)
	}

	// Who drafts asks; who may not send from the address cannot be the one who sends it.
	draft := sam.send("/write/new", http.StatusSeeOther, message(sam, desk, "intake", "save")...)
	set, err = w.clinic.Store.Rules(w.ctx, dana.who.Org)
	w.ok(err)
	set.Rules = append(set.Rules, rule.Rule{ID: rule.NewID(), Name: "All to billing", Pool: billing.ID, When: rule.When{Recipients: []string{w.intake.String()}}})
	w.ok(w.clinic.Store.SaveRules(w.ctx, set, store.AuditEntry{}))
	page := sam.get(draft, 200)
	sam.has(page, "<option selected>"+w.intake.String())
	page = sam.send(draft, http.StatusUnprocessableEntity, append(sam.form(draft), "to", w.dr.String(), "subject", "A question", "text", "May we?", "category", "question", "from", w.intake.String(), "do", "ask")...)
	sam.has(page, "is the address of Billing")
}

// TestAnAnswerLeavesFromWhereTheMessageCame, also where its team has got it from another one.
func TestAnAnswerLeavesFromWhereTheMessageCame(t *testing.T) {
	w := newWorld(t, webExtra)
	nora := w.sits(w.clinic, "nora", staff.Nurse, staff.None)
	dana := w.sits(w.clinic, "dana", staff.FrontDesk, staff.Send)
	w.send(w.hospital, w.referral(w.dr, w.intake), w.dr, w.intake)
	item := "/item/" + string(w.arrived(w.clinic, "Referral").ID)
	nurses := pool.Pool{ID: pool.NewID(), Org: nora.who.Org, Name: "Nurses", Owner: nora.who.ID}
	w.ok(w.clinic.Store.SavePool(w.ctx, nurses, store.AuditEntry{}))
	w.ok(w.clinic.Store.SetMemberships(w.ctx, nora.who, nurses.ID, []staff.Membership{{Pool: nurses.ID, Level: staff.Send}}, store.AuditEntry{}))
	w.ok(w.clinic.Add(w.ctx, "nurses"))
	set, err := w.clinic.Store.Rules(w.ctx, nora.who.Org)
	w.ok(err)
	set.Rules = []rule.Rule{{ID: rule.NewID(), Name: "Nurses", Pool: nurses.ID, When: rule.When{Recipients: []string{w.clinic.Address("nurses").String()}}}}
	w.ok(w.clinic.Store.SaveRules(w.ctx, set, store.AuditEntry{}))
	dana.post(item, item+"/act", http.StatusSeeOther, "act", "pass", "to", "pool:"+nurses.ID, "version", "1")
	if page := nora.get("/write/new", 200); strings.Contains(page, w.intake.String()) {
		t.Error("a new message is offered from an address of another team")
	}
	write := item + "/write/reply"
	nora.has(nora.get(write, 200), "<option selected>"+w.intake.String())
	sent := nora.send(write, http.StatusSeeOther, append(nora.form(write), "to", w.dr.String(), "subject", "Re: Referral", "text", "Come on Friday.", "category", "referral", "from", w.intake.String(), "do", "send")...)
	if !strings.HasPrefix(sent, "/sent/") {
		t.Errorf("the answer led to %s", sent)
	}
}
