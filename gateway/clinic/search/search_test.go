package search_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"postern/gateway/clinic/document"
	. "postern/gateway/clinic/search"
)

var zone = time.FixedZone("here", -5*3600)

func day(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, zone) }

func TestParse(t *testing.T) {
	for situation, c := range map[string]struct {
		query string
		want  Query
		match string
	}{
		"nothing":             {"   ", Query{}, ""},
		"words":               {"chest pain", Query{Terms: []Term{{Text: "chest"}, {Text: "pain"}}}, `("chest") AND ("pain")`},
		"words side by side":  {`"chest pain"`, Query{Terms: []Term{{Text: "chest pain"}}}, `("chest pain")`},
		"the beginning":       {"diab*", Query{Terms: []Term{{Text: "diab", Prefix: true}}}, `("diab" *)`},
		"what must be absent": {"pain -chest", Query{Terms: []Term{{Text: "pain"}, {Text: "chest", Not: true}}}, `(("pain")) NOT ("chest")`},
		"operators are words": {`a OR NEAR(b) "x`, Query{Terms: []Term{{Text: "a"}, {Text: "OR"}, {Text: "NEAR(b)"}, {Text: "x"}}}, `("a") AND ("OR") AND ("NEAR(b)") AND ("x")`},
		"a place":             {`from:lee PATIENT:"ana ruiz"`, Query{Terms: []Term{{Place: Sender, Text: "lee"}, {Place: Patient, Text: "ana ruiz"}}}, `(sender : "lee") AND (patient : "ana ruiz")`},
		"a colon in a word":   {"re: 12:30 ratio:3", Query{Terms: []Term{{Text: "re:"}, {Text: "12:30"}, {Text: "ratio:3"}}}, `("re:") AND ("12:30") AND ("ratio:3")`},
		"punctuation alone":   {"-- ,", Query{}, ""},
		"filters":             {"category:Referral state:NEW owner:me is:urgent has:document pool:\"Front desk\"", Query{Category: "referral", State: "new", Owner: "me", Urgent: true, Document: true, Pool: "Front desk"}, ""},
		"a day":               {"on:2026-03-02", Query{After: day(2026, 3, 2), Before: day(2026, 3, 3)}, ""},
		"between days":        {"after:2026-03-02 before:2026-03-09", Query{After: day(2026, 3, 3), Before: day(2026, 3, 9)}, ""},
	} {
		t.Run(situation, func(t *testing.T) {
			got, err := Parse(c.query, zone)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("%+v %v, want %+v", got, err, c.want)
			}
			if m, err := got.Match(); err != nil || strings.ReplaceAll(m, "{sender recipient patient subject kind text} : ", "") != c.match {
				t.Fatalf("match %s %v, want %s", m, err, c.match)
			}
			if got.Empty() != reflect.DeepEqual(c.want, Query{}) {
				t.Fatalf("empty: %v", got.Empty())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for situation, c := range map[string]struct{ query, words string }{
		"too long":           {strings.Repeat("a", MaxQuery+1), "longer than 500"},
		"too many words":     {strings.Repeat("a ", MaxTerms+1), "at most 24"},
		"no text":            {"a\xff", "no text"},
		"a bad date":         {"after:yesterday", "2026-11-30"},
		"a state of no item": {"state:lost", "new, taken, waiting, done"},
		"an unknown feature": {"has:wings", "has:document"},
		"an empty filter":    {"from: lee", "nothing follows from:"},
		"minus and a filter": {"-state:new", "a minus goes before words"},
	} {
		var e *Error
		if _, err := Parse(c.query, zone); !errors.As(err, &e) || !strings.Contains(e.Text, c.words) {
			t.Errorf("%s: %v, want %q", situation, err, c.words)
		}
	}
	if m, err := (Query{Terms: []Term{{Text: "a"}}}).Match(); err != nil || m != `({sender recipient patient subject kind text} : "a")` {
		t.Errorf("a word anywhere stays out of the organisation's column: %s, %v", m, err)
	}
	q, err := Parse("-chest", zone)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Match(); err == nil || !strings.Contains(err.Error(), "only for what is not there") {
		t.Errorf("only what is absent: %v", err)
	}
}

func TestWords(t *testing.T) {
	for situation, c := range map[string]struct{ name, body, has, hasNot string }{
		"plain text":            {"a.txt", "Chest pain since Monday.", "Chest pain since Monday.", ""},
		"a page":                {"a.html", "<html><head><style>b{color:red}</style></head><body><p>Chest<br>pain<script>evil()</script></body></html>", "Chest pain", "evil"},
		"an HL7 v2 message":     {"a.hl7", "MSH|^~\\&|A|B|C|D|20260102||ORU^R01|1|P|2.5.1\rPID|1||77^^^X||Ruiz^Ana||19700102|F\rOBR|1|||24323-8^Panel^LN\rOBX|1|NM|2345-7^Glucose^LN||99|mg/dL|||||F\r", "Glucose", "OBX"},
		"text beyond the limit": {"a.txt", strings.Repeat("word ", MaxWords/5+1000) + "beyond", "word", "beyond"},
	} {
		t.Run(situation, func(t *testing.T) {
			got, err := Words(bytes.NewReader([]byte(c.body)), int64(len(c.body)), document.Hint{Filename: c.name})
			if err != nil || !strings.Contains(got, c.has) || c.hasNot != "" && strings.Contains(got, c.hasNot) || len(got) > MaxWords {
				t.Fatalf("%.300q %v (%d octets), want %q and not %q", got, err, len(got), c.has, c.hasNot)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`from:"a" -b* c`, `"`, "on:2026-01-02", "-", "subject:\"x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := Parse(s, time.UTC)
		if err != nil {
			return
		}
		if m, err := q.Match(); err == nil && strings.Count(m, `"`)%2 != 0 {
			t.Fatalf("%q leaves a quote open: %s", s, m)
		}
	})
}
