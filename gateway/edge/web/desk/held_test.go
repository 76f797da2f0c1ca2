package desk_test

import (
	"bytes"
	"context"
	"testing"

	"postern/gateway/clinic/compose"
	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/sample"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/store"
)

// TestAFileThatIsHeldBack is saved only by somebody who may send for the team, and who says so.
func TestAFileThatIsHeldBack(t *testing.T) {
	c := newClinic(t)
	e := c.arrives(mail{Subject: "A document", Text: "attached\n", Files: []compose.Attachment{{Name: "referral.xml", MediaType: "text/xml", Content: bytes.NewReader(sample.Referral)}}})
	path := "/item/" + string(e.ID)
	file := path + "/file/2"
	if code, _, _ := c.as(c.mo).ask("GET", file, nil); code != 200 {
		t.Fatalf("without a rule: %d", code)
	}
	c.member(c.sam, c.desk, staff.Draft)
	for situation, v := range map[string]struct {
		rule letter.FileRule
		held bool
	}{
		"held":                   {letter.FileRule{Kind: document.CCDA, Action: letter.Hold, Reason: "Not from outside."}, true},
		"too large":              {letter.FileRule{Kind: document.CCDA, Action: letter.Allow, MaxSize: 100, Reason: "Not from outside."}, true},
		"every other kind":       {letter.FileRule{Kind: letter.Any, Action: letter.Hold, Reason: "Not from outside."}, true},
		"of another kind":        {letter.FileRule{Kind: document.PDF, Action: letter.Hold}, false},
		"small enough":           {letter.FileRule{Kind: document.CCDA, Action: letter.Allow, MaxSize: 10 << 20}, false},
		"of the other direction": {letter.FileRule{Direction: letter.Outgoing, Kind: document.CCDA, Action: letter.Refuse}, false},
	} {
		t.Run(situation, func(t *testing.T) {
			if v.rule.Direction == "" {
				v.rule.Direction = letter.Incoming
			}
			c.ok(c.SetFilePolicy(context.Background(), org, letter.Policy{v.rule}, store.AuditEntry{}))
			for _, who := range []struct {
				staff.Person
				may bool
			}{{c.dana, true}, {c.sam, false}, {c.mo, false}} {
				b := c.as(who.Person)
				code, _, _ := b.ask("GET", file, nil)
				meant, _, _ := b.ask("GET", file+"?held=yes", nil)
				if (code == 200) == v.held || (meant == 200) != (!v.held || who.may) {
					t.Errorf("%s: %d, and %d when it is meant", who.Login, code, meant)
				}
				if page := b.get(path); v.held {
					has(t, page, "held back: Not from outside.")
				}
			}
		})
	}
}
