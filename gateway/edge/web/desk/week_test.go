package desk_test

import (
	"bytes"
	"context"
	"time"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/track"
	"postern/gateway/store"
	"postern/smime/addr"
)

// week fills the clinic with a believable week and names what is in it.
func week(c *clinic) map[string]work.ID {
	c.Helper()
	ids := map[string]work.ID{}
	place := func(pool string, rule, name string, because ...string) store.Place {
		return store.Place{Placement: work.Placement{Pool: pool, Rule: rule, RuleName: name, Because: because}}
	}
	c.ok(c.SaveRules(context.Background(), rule.Set{Org: org, By: "mo", Rules: []rule.Rule{
		{ID: "r-1", Name: "Referrals", When: rule.When{Recipients: []string{"referrals@clinic.example"}, Types: []string{"referral note"}}, Pool: c.desk.ID, Category: staff.Referral},
		{ID: "r-2", Name: "Results to the nurses", When: rule.When{Categories: []staff.Category{staff.Result}, Partners: []string{"lab.example"}}, Pool: c.nurses.ID},
		{ID: "r-3", Name: "Chest pain", When: rule.When{Words: []string{"chest pain", "troponin"}}, Pool: c.nurses.ID, Owner: c.nora.ID, Urgency: work.Urgent, Off: true}}}, store.AuditEntry{}))
	day := func(back time.Duration) { c.now = begun.Add(-back) }

	day(75 * time.Hour)
	older := place(c.desk.ID, "r-1", "Referrals", "it was sent to referrals@clinic.example")
	older.Patient = "pt-1"
	ccd := c.arrives(mail{From: "records@riverside-family.example", Subject: "Summary of care", Text: "Please find the summary of care attached.\n", Place: older,
		Files: []compose.Attachment{{Name: "ccd.xml", MediaType: "text/xml", Content: bytes.NewReader(sample.Earlier)}}})
	c.as(c.dana).act(ccd.ID, "act", "finish", "category", "records")

	day(50 * time.Hour)
	asked := c.arrives(mail{From: "lin@valley-primary.example", Typed: `"Dr. Grace Lin"`, Subject: "Question about anticoagulation", Text: "Dear colleagues,\n\nshould Mr Abara go on with apixaban before his cataract surgery on the 14th?\n\nGrace Lin\n",
		Place: place(c.desk.ID, "", "", "no rule wanted it")})
	ids["answered"] = asked.ID
	c.as(c.sam).act(asked.ID, "act", "take")
	c.now = c.now.Add(time.Hour)
	c.answers(c.sam, asked, track.Handed, track.Processed)
	_, _, _ = c.as(c.sam).post("/item/"+string(asked.ID), "/item/"+string(asked.ID)+"/note", "note", "Asked Dr Okafor, answered from the shared address. @dana please watch for her reply.")
	c.ok(c.BeginAnswer(context.Background(), org, asked.ID, c.sam, true))

	day(30 * time.Hour)
	waiting := c.arrives(mail{From: "hugo@eastside-clinic.example", Subject: "Referral: palpitations", Text: "Referral letter will follow with the ECG.\n", Place: place(c.desk.ID, "r-1", "Referrals", "it was sent to referrals@clinic.example")})
	ids["waiting"] = waiting.ID
	c.as(c.dana).act(waiting.ID, "act", "wait", "until", begun.AddDate(0, 0, -1).Format(time.DateOnly), "note", "Waiting for the ECG they promised.")

	day(3 * time.Hour)
	ids["new"] = c.arrives(mail{From: "frontdesk@lakeside-gp.example", Subject: "Change of address and insurance", Text: "Please note the new insurance of our patient.\n", Place: place(c.desk.ID, "", "", "no rule wanted it")}).ID
	day(2 * time.Hour)
	result := place(c.nurses.ID, "r-2", "Results to the nurses", "it is a result: its sender's system says so", "it is from the partner lab.example")
	result.Category = staff.Result
	ids["result"] = c.arrives(mail{From: "results@lab.example", Subject: "Lab report", Text: "Potassium 5.9 mmol/l.\n", Place: result}).ID
	secret := place(c.desk.ID, "r-1", "Referrals", "it is sensitive: a document in it is marked restricted by its author")
	secret.Sensitive = true
	ids["sensitive"] = c.arrives(mail{From: "therapy@mindwell.example", Subject: "Confidential", Text: "For the treating physician only.\n", Place: secret}).ID

	day(41 * time.Minute)
	urgent := place(c.desk.ID, "r-1", "Referrals", "it was sent to referrals@clinic.example", "it holds a document of type “Referral Note”")
	urgent.Urgency, urgent.UrgencyWhy, urgent.Category, urgent.Patient = work.Urgent, "its subject says “URGENT”", staff.Referral, "pt-1"
	ids["referral"] = c.arrives(mail{From: "p.lee@riverside-family.example", Typed: `"Dr. Priya Lee (sent by A. Nowak, RN)"`, Subject: "URGENT: new atrial fibrillation", Text: "Please see within two days. Referral note attached; last ECG to follow.\n\nPriya Lee, MD\nRiverside Family Medicine\n", Place: urgent,
		Files: []compose.Attachment{{Name: "referral.xml", MediaType: "text/xml", Content: bytes.NewReader(sample.Referral)}, {Name: "../../ECG 2030-03-03.txt", MediaType: "text/plain", Content: bytes.NewReader([]byte("sinus rhythm lost\n"))}}}).ID

	day(20 * time.Minute)
	sent := c.answers(c.dana, waiting, track.Handed, track.NoProcessed)
	failure := store.Place{Kind: work.Failure, About: sent, Placement: work.Placement{Because: []string{"something sent from here did not arrive"}}}
	ids["failure"] = c.arrives(mail{From: "postmaster@clinic.example", Subject: "Not confirmed: Re: Referral: palpitations", Text: "Your message was not confirmed in time.\n", Place: failure}).ID

	for i, h := range []store.Held{{ID: "h-1", MailFrom: "office@newpartner.example", Peer: "198.51.100.7", Reason: "untrusted"}, {ID: "h-2", MailFrom: "office@newpartner.example", Peer: "198.51.100.7", Reason: "untrusted"},
		{ID: "h-3", MailFrom: "billing@odd.example", Peer: "203.0.113.9", Reason: "not_signed"}} {
		h.Org, h.Recipients, h.Blob, h.At, h.Message = org, []addr.Address{addr.MustParse("referrals@clinic.example")}, "b-1", begun.Add(-time.Duration(i+1)*time.Hour), "m-x"
		h.Expires = h.At.Add(store.HeldFor)
		h.Detail = string(rune('a' + i))
		_, err := c.Commit(context.Background(), queue.Lease{}, store.Step{Held: []store.Held{h}})
		c.ok(err)
	}
	c.now = begun
	return ids
}
