package letter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/document/chart"
	. "postern/gateway/clinic/letter"
	"postern/gateway/clinic/scan"
	"postern/gateway/clinic/staff"
	"postern/smime/addr"
)

var (
	dana   = staff.Person{ID: "p-dana", Org: "o-1", Login: "dana", Name: "Dana Cole", Title: "Referral coordinator", Role: staff.FrontDesk}
	desk   = addr.MustParse("referrals@direct.clinic.example")
	lee    = addr.MustParse("lee@direct.riverside.example")
	nurse  = addr.MustParse("nurse@direct.riverside.example")
	monday = time.Date(2030, 3, 4, 15, 4, 0, 0, time.UTC)
)

func parent() *Parent {
	return &Parent{Work: "w-1", Pool: "q-1", Category: staff.Referral, At: desk, Sender: lee, To: []addr.Address{addr.MustParse("referrals+heart@direct.clinic.example"), nurse},
		Cc: []addr.Address{lee, nurse}, RFCID: "a@riverside", Subject: "New patient", Received: monday, Text: "Please see her.\r\n\r\nLee\r\n"}
}

func TestBegin(t *testing.T) {
	for situation, c := range map[string]struct {
		how     How
		p       *Parent
		to, cc  []addr.Address
		subject string
		text    string
	}{
		"a new message":         {Reply, nil, nil, nil, "", ""},
		"an answer":             {Reply, parent(), []addr.Address{lee}, nil, "Re: New patient", "\n\nlee@direct.riverside.example wrote on 4 Mar 2030 at 15:04:\n> Please see her.\n>\n> Lee\n"},
		"an answer to all":      {ReplyAll, parent(), []addr.Address{lee}, []addr.Address{nurse}, "Re: New patient", ""},
		"an answer to a answer": {Reply, func() *Parent { p := parent(); p.Subject = "RE: x"; return p }(), []addr.Address{lee}, nil, "RE: x", ""},
		"passed on":             {Forward, parent(), nil, nil, "Fwd: New patient", ""},
		"nothing to quote":      {Reply, func() *Parent { p := parent(); p.Text = " \n"; return p }(), []addr.Address{lee}, nil, "Re: New patient", "\n\n"},
	} {
		t.Run(situation, func(t *testing.T) {
			d := Begin(dana, c.how, "q-9", desk, c.p, monday)
			if !slices.Equal(d.To, c.to) || !slices.Equal(d.Cc, c.cc) || d.Subject != c.subject || c.text != "" && d.Text != c.text {
				t.Fatalf("%+v", d)
			}
			if c.p != nil && (d.Pool != "q-1" || d.Work != "w-1" || d.Category != staff.Referral) || c.p == nil && (d.How != New || d.Pool != "q-9") {
				t.Fatalf("%+v", d)
			}
		})
	}
	long := parent()
	long.Text, long.Subject = strings.Repeat("line\n", 100000), strings.Repeat("é", 300)
	if d := Begin(dana, Reply, "", desk, long, monday); len(d.Text) > MaxText || !strings.Contains(d.Text, "> […]") || len(d.Subject) > MaxSubject || !strings.HasSuffix(d.Subject, "é") {
		t.Errorf("%d octets of text, subject %q", len(d.Text), d.Subject)
	}
}

func TestSignedStandsAboveTheQuotation(t *testing.T) {
	d := Begin(dana, Reply, "", desk, parent(), monday)
	d.Text, d.SignFor = "We will see her on Friday.\n"+d.Text, "Dr. Okafor"
	want := "We will see her on Friday.\n\n-- \nDana Cole, Referral coordinator (front desk)\nfor Dr. Okafor\nHeart desk\n\n" +
		"lee@direct.riverside.example wrote on 4 Mar 2030 at 15:04:\n> Please see her.\n>\n> Lee"
	if got := strings.TrimSpace(d.Signed(dana, "Heart desk")); got != want {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

func TestUnsignedIsWhatWasWritten(t *testing.T) {
	d := Begin(dana, Reply, "", desk, parent(), monday)
	for _, own := range []string{"We will see her on Friday.\n", "One\n-- \ntwo\n", "\n"} {
		d.Text = own + "\n" + strings.TrimLeft(Begin(dana, Reply, "", desk, parent(), monday).Text, "\n")
		if got := Unsigned(d.Signed(dana, "Heart desk")); strings.TrimSpace(got) != strings.TrimSpace(d.Text) {
			t.Errorf("%q, want %q", got, d.Text)
		}
	}
}

func good() Draft {
	return Draft{Org: "o-1", To: []addr.Address{lee}, Category: staff.Referral, Subject: "Appointment", Text: "Friday at ten."}
}

func reached(addr.Address) Reached { return Reached{OK: true, Text: "can be reached"} }

func TestCheck(t *testing.T) {
	for situation, c := range map[string]struct {
		change func(*Draft, *Surroundings)
		field  string
		block  bool
		words  string
	}{
		"no recipient":        {func(d *Draft, _ *Surroundings) { d.To = nil }, "to", true, "no recipient"},
		"too many recipients": {func(d *Draft, _ *Surroundings) { d.To = many() }, "to", true, "51 recipients"},
		"not trusted": {func(_ *Draft, s *Surroundings) {
			s.Reach = func(addr.Address) Reached { return Reached{Text: "is not trusted", Remedy: "ask"} }
		}, "to", true, "is not trusted"},
		"not known now": {func(_ *Draft, s *Surroundings) {
			s.Reach = func(addr.Address) Reached { return Reached{Later: true, Text: "did not answer"} }
		}, "to", false, "did not answer"},
		"no category":            {func(d *Draft, _ *Surroundings) { d.Category = "" }, "category", true, "No category"},
		"a category of nobody's": {func(d *Draft, _ *Surroundings) { d.Category = "gossip" }, "category", true, "No category"},
		"no subject":             {func(d *Draft, _ *Surroundings) { d.Subject = " " }, "subject", true, "no subject"},
		"two lines of subject":   {func(d *Draft, _ *Surroundings) { d.Subject = "a\nBcc: b" }, "subject", true, "one line"},
		"nothing written":        {func(d *Draft, _ *Surroundings) { d.Text = "\n\nlee@a.example wrote on x:\n> hello\n" }, "text", true, "Nothing is written"},
		"too much written":       {func(d *Draft, _ *Surroundings) { d.Text = strings.Repeat("x", MaxText+1) }, "text", true, "longer than 256 KB"},
		"an open field":          {func(d *Draft, _ *Surroundings) { d.Text = "Dear {{ patient.name }}" }, "text", true, "{{patient.name}}"},
		"an open field above":    {func(d *Draft, _ *Surroundings) { d.Subject = "{{today}}" }, "text", true, "{{today}}"},
		"a program":              {func(d *Draft, _ *Surroundings) { d.Files = []File{{Name: "a.exe", Kind: document.Program}} }, "files", true, "a program"},
		"an empty file":          {func(d *Draft, _ *Surroundings) { d.Files = []File{{Name: "a", Kind: document.Empty}} }, "files", true, "empty"},
		"a virus": {func(d *Draft, _ *Surroundings) {
			d.Files = []File{{Name: "a", Scan: scan.Answer{Verdict: scan.Found, Words: "Eicar"}}}
		}, "files", true, "Eicar"},
		"not scanned": {func(d *Draft, _ *Surroundings) {
			d.Files = []File{{Name: "a", Scan: scan.Answer{Verdict: scan.Unknown, Words: "busy"}}}
		}, "files", true, "could not be scanned"},
		"too many files":     {func(d *Draft, _ *Surroundings) { d.Files = make([]File, MaxFiles+1) }, "files", true, "26 files"},
		"too large together": {func(d *Draft, _ *Surroundings) { d.Files = []File{{Size: MaxOctets}, {Size: 1}} }, "files", true, "60 MB"},
		"a bad document": {func(d *Draft, _ *Surroundings) {
			d.Files = []File{{Findings: []chart.Finding{{Severity: chart.Problem, Text: "no patient"}}}}
		}, "files", false, "no patient"},
		"another patient": {func(d *Draft, s *Surroundings) { d.Files, s.Patient = []File{{Patient: "Eva Ruiz"}}, "Ana Ruiz" }, "files", false, "about Eva Ruiz; this conversation is about Ana Ruiz"},
		"two patients":    {func(d *Draft, _ *Surroundings) { d.Files = []File{{Patient: "Eva Ruiz"}, {Patient: "Ana Ruiz"}} }, "files", false, "Ana Ruiz; Eva Ruiz"},
	} {
		t.Run(situation, func(t *testing.T) {
			d, s := good(), Surroundings{Reach: reached}
			c.change(&d, &s)
			r := Check(d, s)
			in := r.Confirm
			if c.block {
				in = r.Blocks
			}
			if !slices.ContainsFunc(in, func(p Problem) bool { return p.Field == c.field && strings.Contains(p.Text, c.words) }) {
				t.Fatalf("%+v", r)
			}
			if r.Ready(false) || r.Ready(true) == c.block {
				t.Fatalf("ready: %v, confirmed: %v", r.Ready(false), r.Ready(true))
			}
		})
	}
	if r := Check(good(), Surroundings{Reach: reached}); !r.Ready(false) || len(r.Notes) != 1 {
		t.Errorf("a good draft: %+v", r)
	}
}

func many() (out []addr.Address) {
	for i := range MaxRecipients + 1 {
		out = append(out, addr.MustParse("a"+strings.Repeat("x", i)+"@b.example"))
	}
	return out
}

func TestPolicy(t *testing.T) {
	p := Policy{{Outgoing, document.Zip, Refuse, 0, "no archives"}, {Outgoing, document.PDF, Allow, 1000, ""}, {Outgoing, Any, Allow, 5000, ""}, {Incoming, document.HTML, Hold, 0, ""}}
	for situation, c := range map[string]struct {
		d     Direction
		kind  document.Kind
		size  int64
		want  Action
		words string
	}{
		"refused by name":               {Outgoing, document.Zip, 1, Refuse, "no archives"},
		"within its size":               {Outgoing, document.PDF, 1000, Allow, ""},
		"over its size":                 {Outgoing, document.PDF, 1001, Refuse, "larger"},
		"by the rule for the rest":      {Outgoing, document.CCDA, 5001, Refuse, "larger"},
		"a program, though all may":     {Outgoing, document.Program, 1, Refuse, "a program"},
		"a program coming in":           {Incoming, document.Program, 1, Hold, "a program"},
		"held by name":                  {Incoming, document.HTML, 1, Hold, "not exchanged"},
		"a direction nobody ruled over": {Incoming, document.Zip, 1 << 40, Allow, ""},
	} {
		if v := p.Judge(c.d, c.kind, c.size); v.Action != c.want || !strings.Contains(v.Reason, c.words) {
			t.Errorf("%s: %+v", situation, v)
		}
	}
	for situation, r := range map[string]FileRule{"no direction": {"", Any, Allow, 0, ""}, "refused coming in": {Incoming, Any, Refuse, 0, ""},
		"held going out": {Outgoing, Any, Hold, 0, ""}, "no kind": {Outgoing, "", Allow, 0, ""}, "a size below nothing": {Outgoing, Any, Allow, -1, ""}} {
		if r.Check() == nil {
			t.Errorf("%s: accepted", situation)
		}
	}
}
