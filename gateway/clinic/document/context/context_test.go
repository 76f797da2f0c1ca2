package context_test

import (
	"reflect"
	"strings"
	"testing"

	"postern/gateway/clinic/document/context"
)

func parse(t testing.TB, s string) *context.Context {
	t.Helper()
	c, err := context.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const sample = "version: 1.1\r\nid: <case-9@direct.example.org>\r\npatient-id: 2.16.840.1.113883.19.1:A123;\r\n 2.25.1234567890:Z9\r\n" +
	"Type: general/notification\r\npurpose: treatment\r\npatient: givenName=Ann; surname=Lee; dateOfBirth=1970-02-03; gender=F\r\n" +
	"format-code: dt-org:dsm:adt-en:1.0\r\ncontent-type-code: 2.16.840.1.113883.6.1:79429-7\r\nx-other: kept\r\n\r\nafter: the end\r\n"

func TestSampleIsReadWhole(t *testing.T) {
	c := parse(t, sample)
	if c.Version != "1.1" || c.ID != "<case-9@direct.example.org>" || len(c.PatientIDs) != 2 || c.PatientIDs[1] != (context.PatientID{Context: "2.25.1234567890", ID: "Z9"}) ||
		c.Category != "general" || c.Action != "notification" || c.Get("SURNAME") != "Lee" || len(c.Unknown) != 1 || len(c.Faults) != 0 {
		t.Errorf("%+v", c)
	}
	if !context.Looks([]byte(sample)) || context.Looks([]byte("Subject: hello\nversion: 1.0\n")) {
		t.Error("a context is not told from a mail")
	}
}

func TestFaultsAreNamedAndTheRestIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []context.Fault
	}{
		"no version":         {"id: 1\r\n", []context.Fault{context.MissingVersion}},
		"later version":      {"version: 2.0\r\n", []context.Fault{context.UnsupportedVersion}},
		"unparsable type":    {"version: 1.0\r\ntype: cooking\r\n", []context.Fault{context.InvalidType}},
		"unknown action":     {"version: 1.0\r\ntype: referral/dance\r\n", []context.Fault{context.InvalidType}},
		"unparsable patient": {"version: 1.0\r\npatient: Ann Lee\r\n", []context.Fault{context.InvalidPatient}},
		"patient id bare":    {"version: 1.0\r\npatient-id: 77\r\n", []context.Fault{context.InvalidPatientID}},
		"format code short":  {"version: 1.1\r\nformat-code: a:b\r\n", []context.Fault{context.InvalidFormatCode}},
		"type code bare":     {"version: 1.1\r\ntype-code: x\r\ncontent-type-code: y\r\n", []context.Fault{context.InvalidTypeCode, context.InvalidContentType}},
		"no field":           {"version: 1.0\r\nhello\r\n", []context.Fault{context.InvalidFields}},
		"field twice":        {"version: 1.0\r\nversion: 1.1\r\n", []context.Fault{context.InvalidFields}},
		"fine":               {"version: 1.0\r\ntype: referral/order\r\n", nil},
	} {
		if got := parse(t, c.in).Faults; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: faults %q, want %q", name, got, c.want)
		}
	}
}

func TestWrittenContextReadsBack(t *testing.T) {
	c := parse(t, sample)
	var w strings.Builder
	if err := c.Write(&w); err != nil {
		t.Fatal(err)
	}
	if again := parse(t, w.String()); !reflect.DeepEqual(c, again) {
		t.Errorf("wrote %q\nread %+v\nwant %+v", w.String(), again, c)
	}
	for _, bad := range []context.Context{{ID: "a\r\nb"}, {Patient: []context.Pair{{Name: "surname", Value: "a;b"}}}} {
		w.Reset()
		if err := bad.Write(&w); err == nil || w.Len() > 0 {
			t.Errorf("%+v was written: %q", bad, w.String())
		}
	}
}

func TestLimitsHold(t *testing.T) {
	c := parse(t, "version: 1.0\r\n"+strings.Repeat("a", context.MaxBytes)+"\r\ntype: general/order\r\n")
	if c.Category != "" {
		t.Error("a field beyond the limit was read")
	}
	var b strings.Builder
	for range context.MaxFields * 2 {
		b.WriteString("x" + strings.Repeat("y", b.Len()%50) + ": 1\r\n")
	}
	if c := parse(t, b.String()); len(c.Unknown) > context.MaxFields {
		t.Errorf("%d fields", len(c.Unknown))
	}
}
