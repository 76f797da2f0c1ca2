package patient_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/gateway/clinic/document/chart"
	. "postern/gateway/clinic/patient"
)

// who is a person as a message or a chart states one.
func who(given, family, birth, sex string, more ...func(*chart.Patient)) chart.Patient {
	p := chart.Patient{Name: chart.Name{Given: given, Family: family}, Sex: chart.Code{Code: sex}}
	if birth != "" {
		p.Birth = chart.ParseTime(birth)
	}
	for _, m := range more {
		m(&p)
	}
	return p
}

func number(root, ext string) func(*chart.Patient) {
	return func(p *chart.Patient) {
		p.IDs = append(p.IDs, chart.ID{Root: root, Extension: ext, Authority: "Riverside"})
	}
}

// kind says of what kind the numbers are.
func kind(t string) func(*chart.Patient) {
	return func(p *chart.Patient) {
		for i := range p.IDs {
			p.IDs[i].Type = t
		}
	}
}

func phone(n string) func(*chart.Patient) {
	return func(p *chart.Patient) { p.Telecoms = append(p.Telecoms, chart.Telecom{Value: n}) }
}

func lives(line, city, postal string) func(*chart.Patient) {
	return func(p *chart.Patient) {
		p.Addresses = append(p.Addresses, chart.Address{Lines: []string{line}, City: city, Postal: postal})
	}
}

func former(family string) func(*chart.Patient) {
	return func(p *chart.Patient) {
		p.Others = append(p.Others, chart.Name{Given: p.Name.Given, Family: family})
	}
}

func TestScore(t *testing.T) {
	const mr = "2.16.840.1.113883.19.5"
	for situation, c := range map[string]struct {
		stated, known chart.Patient
		grade         Grade // "" is no candidate
		field         string
		verdict       Verdict
		words         string
	}{
		"all of it agrees but the address": {who("Ana", "Ruiz", "19700102", "F", phone("tel:+1(555)777-0101"), lives("1 A St", "Beaverton", "97005")),
			who("Ana", "Ruiz", "19700102", "F", phone("555-777-0101"), lives("9 B St", "Salem", "97301")), Likely, "address", Differs, "worth asking"},
		"accents, case and hyphens":                     {who("ANA", "NUNEZ LOPEZ", "19700102", "F"), who("Ana", "Núñez-López", "19700102", "F"), Likely, "last name", Agrees, "same last name"},
		"a short form of the first name":                {who("Bill", "Ruiz", "19700102", "M"), who("William", "Ruiz", "19700102", "M"), Likely, "first name", Close, "we know William"},
		"a slip in the last name":                       {who("Ana", "Riuz", "19700102", "F"), who("Ana", "Ruiz", "19700102", "F"), Likely, "last name", Close, "we know"},
		"a name from before the marriage":               {who("Ana", "Olsen", "19700102", "F"), who("Ana", "Ruiz", "19700102", "F", former("Olsen")), Likely, "last name", Agrees, "same"},
		"a twin":                                        {who("Eva", "Ruiz", "19700102", "F", phone("5557770101")), who("Ana", "Ruiz", "19700102", "F", phone("5557770101")), Possible, "first name", Differs, "twins"},
		"day and month exchanged":                       {who("Ana", "Ruiz", "19700201", "F"), who("Ana", "Ruiz", "19700102", "F"), Possible, "birth date", Close, "we know"},
		"only the year of birth is stated":              {who("Ana", "Ruiz", "1970", "F"), who("Ana", "Ruiz", "19700102", "F"), Possible, "birth date", Close, "as far as it is stated"},
		"another birth date":                            {who("Ana", "Ruiz", "19880909", "F"), who("Ana", "Ruiz", "19700102", "F"), "", "", "", ""},
		"another number of the same authority":          {who("Ana", "Ruiz", "19700102", "F", number(mr, "77")), who("Ana", "Ruiz", "19700102", "F", number(mr, "78")), Possible, "identifier", Differs, "we know 78"},
		"the same number under another name":            {who("Eva", "Olsen", "19880909", "F", number(mr, "77")), who("Ana", "Ruiz", "19700102", "F", number(mr, "77")), Possible, "last name", Differs, "we know"},
		"numbers of two authorities":                    {who("Ana", "Ruiz", "19700102", "F", number(mr, "77")), who("Ana", "Ruiz", "19700102", "F", number("1.2.3", "78")), Likely, "identifier", NotStated, "both"},
		"leading noughts of a number":                   {who("Ana", "Ruiz", "19700102", "F", number(mr, "0077")), who("Ana", "Ruiz", "19700102", "F", number(mr, "77")), Likely, "identifier", Agrees, "same number"},
		"a number of a kind that one side does not say": {who("Ana", "Riuz", "19700102", "F", number(mr, "77"), kind("MR")), who("Ana", "Ruiz", "19700102", "F", number(mr, "77")), Likely, "identifier", Agrees, "same number"},
		"other numbers, one of no kind":                 {who("Ana", "Ruiz", "19700102", "F", number(mr, "77"), kind("MR")), who("Ana", "Ruiz", "19700102", "F", number(mr, "78")), Likely, "identifier", NotStated, "both"},
		"one number of two kinds":                       {who("Ana", "Ruiz", "19700102", "F", number(mr, "77"), kind("MR")), who("Ana", "Ruiz", "19700102", "F", number(mr, "77"), kind("PI")), Likely, "identifier", NotStated, "both"},
		"another sex":                                   {who("Sam", "Ruiz", "19700102", "F"), who("Sam", "Ruiz", "19700102", "M"), Possible, "sex", Differs, "we know male"},
		"a name alone":                                  {who("Ana", "Ruiz", "", ""), who("Ana", "Ruiz", "19700102", "F"), Possible, "birth date", NotStated, "not stated"},
		"a birth date alone":                            {who("", "", "19700102", ""), who("Ana", "Ruiz", "19700102", "F"), "", "", "", ""},
		"nothing stated":                                {chart.Patient{}, who("Ana", "Ruiz", "19700102", "F"), "", "", "", ""},
		"a name written without its parts":              {chart.Patient{Name: chart.Name{Text: "Ana Ruiz"}, Birth: chart.ParseTime("19700102")}, who("Ana", "Ruiz", "19700102", "F"), Likely, "last name", Agrees, "same"},
		"ten thousand identifiers do not matter":        {who("Ana", "Ruiz", "19700102", "F", manyNumbers), who("Ana", "Ruiz", "19700102", "F", manyNumbers), Likely, "birth date", Agrees, "same"},
	} {
		t.Run(situation, func(t *testing.T) {
			got, ok := Score(c.stated, Record{ID: "pt-1", State: Confirmed, Stated: c.known})
			if ok != (c.grade != "") || got.Grade != c.grade && ok {
				t.Fatalf("grade %q (%v, %d points), want %q: %+v", got.Grade, ok, got.Points, c.grade, got.Reasons)
			}
			if c.field == "" {
				return
			}
			i := slices.IndexFunc(got.Reasons, func(r Reason) bool { return r.Field == c.field })
			if i < 0 || got.Reasons[i].Verdict != c.verdict || !strings.Contains(got.Reasons[i].Text, c.words) {
				t.Fatalf("%s: %+v, want %s with %q", c.field, got.Reasons, c.verdict, c.words)
			}
		})
	}
}

func manyNumbers(p *chart.Patient) {
	for range 10000 {
		p.IDs = append(p.IDs, chart.ID{Null: "UNK"})
	}
}

func TestMergedIsNoCandidate(t *testing.T) {
	p := who("Ana", "Ruiz", "19700102", "F")
	if _, ok := Score(p, Record{ID: "pt-1", State: Merged, Into: "pt-2", Stated: p}); ok {
		t.Fatal("a merged patient was proposed")
	}
}

func TestCandidatesOrderAndOnly(t *testing.T) {
	stated := who("Ana", "Ruiz", "19700102", "F", phone("5557770101"))
	known := []Record{
		{ID: "pt-3", Stated: who("Eva", "Ruiz", "19700102", "F")},
		{ID: "pt-2", Stated: who("Ana", "Ruiz", "19700102", "F")},
		{ID: "pt-1", Stated: who("Ana", "Ruiz", "19700102", "F", phone("5557770101"))},
		{ID: "pt-4", Stated: who("Tom", "Olsen", "19600102", "M")},
	}
	got := Candidates(stated, known, 10)
	var order []ID
	for _, c := range got {
		order = append(order, c.Record.ID)
	}
	if !slices.Equal(order, []ID{"pt-1", "pt-2", "pt-3"}) {
		t.Fatalf("order %v", order)
	}
	if _, ok := Only(got); ok {
		t.Fatal("two likely ones are not one match")
	}
	if c, ok := Only(Candidates(stated, known[2:], 10)); !ok || c.Record.ID != "pt-1" {
		t.Fatalf("one likely is a match: %v %v", c, ok)
	}
}

func TestKeysMeet(t *testing.T) {
	a := Keys(who("Ana María", "Ruiz", "19700102", "F", number("1.2.3", "007"), phone("+1 555 777 0101")))
	b := Keys(who("ANA", "RUIZ", "1970", "F", number("1.2.3", "7"), phone("(555) 777-0101")))
	for _, k := range []string{"i:1.2.3^7", "n:ruiz|ana", "t:5557770101"} {
		if !slices.Contains(a, k) || !slices.Contains(b, k) {
			t.Errorf("%s is not a key of both: %v, %v", k, a, b)
		}
	}
	if !slices.Contains(a, "b:1970-01-02") || slices.ContainsFunc(b, func(k string) bool { return strings.HasPrefix(k, "b:") }) {
		t.Errorf("birth keys: %v, %v", a, b)
	}
	if got := Keys(chart.Patient{IDs: []chart.ID{{Null: "UNK"}, {Root: "1.2"}}}); len(got) != 0 {
		t.Errorf("keys of nobody: %v", got)
	}
}

func TestScoreIsTheSameFromBothSides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-Za-zé' -]{0,8}`)
		a, b := who(word.Draw(t, "given a"), word.Draw(t, "family a"), "19700102", "F"), who(word.Draw(t, "given b"), word.Draw(t, "family b"), "19700102", "F")
		x, okx := Score(a, Record{Stated: b})
		y, oky := Score(b, Record{Stated: a})
		if okx != oky || x.Points != y.Points || x.Grade != y.Grade {
			t.Fatalf("%+v and %+v", x, y)
		}
	})
}
