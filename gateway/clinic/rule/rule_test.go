package rule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/gateway/clinic/rule"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/smime/addr"
)

func TestUrgencyComesFromTheSendersWordsAndCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		said rule.Said
		want work.Urgency
		why  string
	}{
		{"nothing said", rule.Said{Subject: "Referral", Text: "Please see this patient."}, work.Routine, ""},
		{"the subject", rule.Said{Subject: "URGENT: referral"}, work.Urgent, "its subject says “URGENT”"},
		{"the text", rule.Said{Text: "Dear colleague,\nplease see her urgently."}, work.Urgent, "its sender wrote “urgently”"},
		{"not urgent", rule.Said{Subject: "Not urgent: address change"}, work.Routine, ""},
		{"non-urgent", rule.Said{Subject: "Non-urgent referral"}, work.Routine, ""},
		{"non urgent", rule.Said{Text: "This is a non urgent referral"}, work.Routine, ""},
		{"urgent care is a place", rule.Said{Text: "Seen at urgent care on Monday."}, work.Routine, ""},
		{"emergency department is a place", rule.Said{Subject: "Emergency Department visit summary"}, work.Routine, ""},
		{"advice in small print", rule.Said{Text: "If this is urgent, or an emergency, call 911."}, work.Routine, ""},
		{"below the signature", rule.Said{Text: "See letter.\n-- \nURGENT matters: call 555 0100"}, work.Routine, ""},
		{"what he quotes", rule.Said{Text: "> please see urgently\nDone."}, work.Routine, ""},
		{"stat as a word of its own", rule.Said{Subject: "STAT potassium"}, work.Emergency, "its subject says “STAT”"},
		{"status is not stat", rule.Said{Subject: "Status of referral"}, work.Routine, ""},
		{"emergency in the subject", rule.Said{Subject: "Emergency referral"}, work.Emergency, "its subject says “Emergency”"},
		{"importance", rule.Said{Importance: "high  "}, work.Urgent, "its sender marked it as important"},
		{"x-priority", rule.Said{Importance: "  1 (Highest)"}, work.Urgent, "its sender marked it as important"},
		{"normal importance", rule.Said{Importance: "normal  3"}, work.Routine, ""},
		{"a code", rule.Said{Priorities: []string{"R", "UR"}}, work.Urgent, "a document in it has the priority “UR”"},
		{"stat code", rule.Said{Subject: "urgent", Priorities: []string{"stat"}}, work.Emergency, "a document in it has the priority “stat”"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := rule.Facts{}.Read(c.said)
			if f.Urgency != c.want || f.UrgencyWhy != c.why {
				t.Errorf("%v because %q, want %v because %q", f.Urgency, f.UrgencyWhy, c.want, c.why)
			}
		})
	}
}

func TestCategoryIsSaidOrUnset(t *testing.T) {
	for _, c := range []struct {
		name string
		said rule.Said
		want staff.Category
	}{
		{"nothing said", rule.Said{Subject: "discharge of a debt"}, ""},
		{"a referral note", rule.Said{Types: []string{"Referral Note 57133-1"}}, staff.Referral},
		{"a discharge summary", rule.Said{Types: []string{"Discharge Summary"}}, staff.Discharge},
		{"a lab result", rule.Said{Types: []string{"Unsolicited result ORU^R01"}}, staff.Result},
		{"a FHIR bundle with a report", rule.Said{Types: []string{"Bundle (collection): diagnostic report"}}, staff.Result},
		{"a FHIR bundle of a discharge summary", rule.Said{Types: []string{"Bundle (document): Discharge summary"}}, staff.Discharge},
		{"a FHIR bundle of no kind", rule.Said{Types: []string{"Bundle (collection)"}}, ""},
		{"declared", rule.Said{Purpose: "records", Types: []string{"Referral Note"}}, staff.Records},
		{"declared in words of their own", rule.Said{Purpose: "misc"}, ""},
	} {
		if f := (rule.Facts{}).Read(c.said); f.Category != c.want || (f.Category == "") != (f.CategoryWhy == "") {
			t.Errorf("%s: %q because %q, want %q", c.name, f.Category, f.CategoryWhy, c.want)
		}
	}
}

func facts() rule.Facts {
	f := rule.Facts{Recipient: addr.MustParse("Referrals+web@Clinic.example"), Sender: addr.MustParse("dr@cardio.hospital.example"), Patient: rule.Named}
	return f.Read(rule.Said{Subject: "Chest pain", Text: "Please see soon.", Types: []string{"Referral Note"}, Titles: []string{"Referral to cardiology"}, Importance: "high"})
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name    string
		when    rule.When
		want    rule.Verdict
		because string
	}{
		{"recipient without its tag", rule.When{Recipients: []string{"referrals@clinic.example"}}, rule.Yes, "it was sent to Referrals+web@clinic.example"},
		{"recipient with its tag", rule.When{Recipients: []string{"referrals+WEB@clinic.example"}}, rule.Yes, ""},
		{"recipient with another tag", rule.When{Recipients: []string{"referrals+x@clinic.example"}}, rule.No, ""},
		{"sender", rule.When{Senders: []string{"DR@cardio.hospital.example"}}, rule.Yes, "it is from dr@cardio.hospital.example"},
		{"another sender", rule.When{Senders: []string{"x@cardio.hospital.example"}}, rule.No, ""},
		{"a partner above", rule.When{Partners: []string{"hospital.example"}}, rule.Yes, "it is from the partner cardio.hospital.example"},
		{"a domain that only ends so", rule.When{Partners: []string{"pital.example"}}, rule.No, ""},
		{"document type", rule.When{Types: []string{"referral"}}, rule.Yes, "it holds a document of type “Referral Note”"},
		{"half a word of a type", rule.When{Types: []string{"refer"}}, rule.No, ""},
		{"category", rule.When{Categories: []staff.Category{staff.Result, staff.Referral}}, rule.Yes, "it is a referral: it holds a document of type “Referral Note”"},
		{"urgency at least", rule.When{Urgency: work.Urgent}, rule.Yes, "it is urgent: its sender marked it as important"},
		{"more urgency", rule.When{Urgency: work.Emergency}, rule.No, ""},
		{"a patient is named", rule.When{Patient: rule.Named}, rule.Yes, "it names a patient"},
		{"no patient", rule.When{Patient: rule.NoPatient}, rule.No, ""},
		{"words of the subject", rule.When{Words: []string{"CHEST pain"}}, rule.Yes, "it holds the words “CHEST pain”"},
		{"words of a title", rule.When{Words: []string{"cardiology"}}, rule.Yes, ""},
		{"half a word", rule.When{Words: []string{"ches"}}, rule.No, ""},
		{"all conditions must hold", rule.When{Types: []string{"referral"}, Senders: []string{"x@y.example"}}, rule.No, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			because, v := c.when.Matches(facts())
			if v != c.want || c.because != "" && !slices.Contains(because, c.because) {
				t.Errorf("%v because %q, want %v because %q", v, because, c.want, c.because)
			}
		})
	}
}

func TestTheFirstRuleThatHoldsDecides(t *testing.T) {
	set := rule.Set{CatchAll: "desk", Rules: []rule.Rule{
		{ID: "1", Name: "Off", Off: true, When: rule.When{Patient: rule.Named}, Pool: "x"},
		{ID: "2", Name: "Others", When: rule.When{Senders: []string{"x@y.example"}}, Pool: "x"},
		{ID: "3", Name: "Heart", When: rule.When{Words: []string{"chest pain"}}, Pool: "nurses", Owner: "p-1", Category: staff.Question, Urgency: work.Emergency, Sensitive: true},
		{ID: "4", Name: "Rest", When: rule.When{Patient: rule.Named}, Pool: "y"},
	}}
	p := set.Place(facts())
	if p.Rule != "3" || p.Pool != "nurses" || p.Owner != "p-1" || p.Category != staff.Referral || p.Urgency != work.Emergency || !p.Sensitive {
		t.Errorf("%+v", p)
	}
	if p.UrgencyWhy != "the rule “Heart” says so" || p.Because[0] != "it holds the words “chest pain”" {
		t.Errorf("because %q, urgent because %q", p.Because, p.UrgencyWhy)
	}
	set.Rules = set.Rules[:2]
	if p := set.Place(facts()); p.Pool != "desk" || !p.OnlyCatchAll() || p.Because[0] != "no rule wanted it" || p.Category != staff.Referral {
		t.Errorf("without a rule: %+v", p)
	}
}

func TestWordsThatCannotBeRead(t *testing.T) {
	f := facts()
	f.Text = func() (string, bool) { return "", false }
	p := rule.Set{CatchAll: "desk", Rules: []rule.Rule{{ID: "1", Name: "Heart", When: rule.When{Words: []string{"chest"}}, Pool: "x"}}}.Place(f)
	if p.Pool != "desk" || !strings.Contains(strings.Join(p.Because, "; "), "the words could not be read that the rules “Heart” ask for") {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsWrongWithARule(t *testing.T) {
	good := rule.Rule{ID: "1", Name: "Referrals", When: rule.When{Recipients: []string{"a@b.example"}}, Pool: "q"}
	with := func(f func(*rule.Rule)) rule.Rule { r := good; f(&r); return r }
	for _, c := range []struct {
		name, want string
		r          rule.Rule
	}{
		{"nothing", "", good},
		{"no name", "name", with(func(r *rule.Rule) { r.Name = " " })},
		{"two lines", "name", with(func(r *rule.Rule) { r.Name = "a\nb" })},
		{"no condition", "at least one condition", with(func(r *rule.Rule) { r.When = rule.When{} })},
		{"no team", "choose the team", with(func(r *rule.Rule) { r.Pool = "" })},
		{"a team that is closed", "choose the team", with(func(r *rule.Rule) { r.Pool = "z" })},
		{"no address", "not an address", with(func(r *rule.Rule) { r.When.Senders = []string{"nobody"} })},
		{"no domain", "not a domain", with(func(r *rule.Rule) { r.When.Partners = []string{"a b"} })},
		{"no category", "no category", with(func(r *rule.Rule) { r.Category = "x" })},
		{"an empty value", "one line", with(func(r *rule.Rule) { r.When.Words = []string{" "} })},
		{"too many values", "at most 50", with(func(r *rule.Rule) { r.When.Words = make([]string, rule.MaxValues+1) })},
		{"unknown match", "patient is", with(func(r *rule.Rule) { r.When.Patient = "x" })},
	} {
		err := rule.Set{Rules: []rule.Rule{c.r}}.Check(map[string]bool{"q": true})
		var bad *rule.Invalid
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &bad) || !strings.Contains(bad.Text, c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := (rule.Set{Rules: []rule.Rule{good, good}}).Check(map[string]bool{"q": true}); err == nil {
		t.Error("two rules of one id were taken")
	}
	if err := (rule.Set{Rules: make([]rule.Rule, rule.MaxRules+1)}).Check(nil); !errors.Is(err, rule.ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
}

// TestEveryMessageHasAPlace: whatever the rules and the message, it goes to a pool that exists, with a reason.
func TestEveryMessageHasAPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := []string{"desk", "a", "b"}
		pick := func(label string, of []string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(of), 0, 2).Draw(t, label)
		}
		var set rule.Set
		set.CatchAll = "desk"
		for range rapid.IntRange(0, 5).Draw(t, "rules") {
			set.Rules = append(set.Rules, rule.Rule{ID: "r", Name: "n", Off: rapid.Bool().Draw(t, "off"), Pool: rapid.SampledFrom(pools).Draw(t, "pool"),
				When: rule.When{Recipients: pick("to", []string{"a@b.example", "c@d.example"}), Types: pick("types", []string{"referral", "x"}),
					Words: pick("words", []string{"chest", "urgent"}), Urgency: work.Urgency(rapid.IntRange(0, 2).Draw(t, "urgency"))}})
		}
		f := rule.Facts{Recipient: addr.MustParse(rapid.SampledFrom([]string{"a@b.example", "x@y.example"}).Draw(t, "recipient")), Sender: addr.MustParse("s@t.example")}
		f = f.Read(rule.Said{Subject: rapid.String().Draw(t, "subject"), Text: rapid.String().Draw(t, "text"), Types: pick("has", []string{"Referral Note", "x y"})})
		p := set.Place(f)
		if !slices.Contains(pools, p.Pool) || len(p.Because) == 0 || len(p.Because) > work.MaxReasons+1 {
			t.Fatalf("placed in %q because %q", p.Pool, p.Because)
		}
		if (p.Urgency > 0) != (p.UrgencyWhy != "") {
			t.Fatalf("urgency %v because %q", p.Urgency, p.UrgencyWhy)
		}
	})
}
