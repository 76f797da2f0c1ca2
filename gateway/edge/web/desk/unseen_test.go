package desk_test

import (
	"net/http"
	"strings"
	"testing"

	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// TestNothingIsPutWhereNobodySeesIt: passing to a team, or marking, after which nobody may open the message is refused
// with the reason, and done by who insists.
func TestNothingIsPutWhereNobodySeesIt(t *testing.T) {
	c := newClinic(t)
	billing := pool.Pool{ID: pool.NewID(), Org: org, Name: "Billing", Owner: c.mo.ID}
	c.ok(c.SavePool(t.Context(), billing, store.AuditEntry{}))
	c.member(c.sam, billing, staff.Send)
	empty := pool.Pool{ID: pool.NewID(), Org: org, Name: "Records", Owner: c.mo.ID}
	c.ok(c.SavePool(t.Context(), empty, store.AuditEntry{}))
	e := c.arrives(mail{Subject: "Question", Text: "May she fly?\n"})
	path, nora := "/item/"+string(e.ID), c.as(c.nora)
	act := func(version string, fields ...string) (int, string) {
		code, body, _ := nora.post(path, path+"/act", append([]string{"version", version}, fields...)...)
		return code, body
	}
	body := nora.get(path)
	has(t, body, "Records – nobody there may open this")
	if strings.Contains(body, "Billing –") {
		t.Error("a team whose people may open it is told of as one that may not")
	}
	if code, body := act("1", "act", "pass", "to", "pool:"+empty.ID); code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Nobody of Records may open this: it would wait there unseen.") {
		t.Errorf("to a team of nobody: %d %s", code, notices(body))
	}
	nora.act(e.ID, "act", "sensitive", "sensitive", "yes")
	has(t, nora.get(path), "Billing – nobody there may open this")
	code, body := act("2", "act", "pass", "to", "pool:"+billing.ID)
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Nobody of Billing may open sensitive messages") {
		t.Fatalf("what is sensitive, to people of the front desk: %d %s", code, notices(body))
	}
	has(t, body, "pass it on all the same", `value="pool:`+billing.ID+`" selected`)
	if now, err := c.Work(t.Context(), org, e.ID); err != nil || now.Pool != c.desk.ID {
		t.Fatalf("it went to %s, %v", now.Pool, err)
	}
	if code, body := act("2", "act", "pass", "to", "pool:"+billing.ID, "insist", "yes"); code != http.StatusSeeOther {
		t.Fatalf("insisting: %d %s", code, notices(body))
	}
	if rows, err := c.AuditOf(t.Context(), org, []string{string(e.ID)}, 1); err != nil || len(rows) != 1 || !strings.Contains(string(rows[0].Detail), `"insisted":true`) {
		t.Errorf("the record does not say so: %+v %v", rows, err)
	}

	other := c.arrives(mail{Subject: "Another", Text: "x\n"})
	path = "/item/" + string(other.ID)
	c.ok(c.SetMemberships(t.Context(), c.nora, c.desk.ID, []staff.Membership{{Pool: c.desk.ID, Level: staff.Send}, {Pool: c.desk.ID, Level: staff.None, Categories: []staff.Category{staff.Sensitive}}}, store.AuditEntry{}))
	dana := c.as(c.dana)
	code, body, _ = dana.post(path, path+"/act", "version", "1", "act", "sensitive", "sensitive", "yes")
	if code != http.StatusUnprocessableEntity || !strings.Contains(notices(body), "Nobody of Front desk may open sensitive messages") || !strings.Contains(body, "mark it all the same") {
		t.Errorf("marked where nobody may open it: %d %s", code, notices(body))
	}
}

// TestATeamWithoutWhoAnswersForIt is told of on its page, in the list, and on the home page of who can mend it.
func TestATeamWithoutWhoAnswersForIt(t *testing.T) {
	c := newClinic(t)
	gone := c.nora
	gone.Disabled = true
	c.ok(c.SetPerson(t.Context(), gone, false, store.AuditEntry{}))
	mo, dana := c.as(c.mo), c.as(c.dana)
	has(t, mo.get("/"), "Nobody answers for <strong>Nurses</strong>")
	has(t, mo.get("/teams"), "not here any more")
	has(t, mo.get("/teams/"+c.nurses.ID), "<strong>Nora Quist</strong>, who answered for this team, is not here any more.")
	for _, b := range []string{dana.get("/"), mo.get("/teams/" + c.desk.ID)} {
		if strings.Contains(b, "Nobody answers for") || strings.Contains(b, "who answered for this team") {
			t.Error("told to who cannot mend it, or of a team that has somebody")
		}
	}
}
