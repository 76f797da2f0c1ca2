package addr_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"postern/smime/addr"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"ada@hospital.example":          "ada@hospital.example",
		"  <Ada@Hospital.Example> ":     "Ada@hospital.example",
		"a.b+c@x-y.example":             "a.b+c@x-y.example",
		`"a b"@x.example`:               `"a b"@x.example`,
		`"a\"b"@x.example`:              `"a\"b"@x.example`,
		`"ab"@x.example`:                "ab@x.example",
		"a@x.example.":                  "a@x.example",
		"!#$%&'*+-/=?^_`{|}~@x.example": "!#$%&'*+-/=?^_`{|}~@x.example",
		long + "@x.example":             long + "@x.example",
		`"a@b"@x.example`:               `"a@b"@x.example`,
		"a@_x.example":                  "a@_x.example",
	} {
		a, err := addr.Parse(in)
		if err != nil || a.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, a, err, want)
		}
	}
	for _, in := range []string{
		"", "ada", "@x.example", "ada@", "ada@localhost", "ada@x..example", "ada@.example", "ada@-x.example", "ada@x-.example", "a b@x.example",
		".a@x.example", "a.@x.example", "a..b@x.example", `"a@x.example`, `""@x.example`, `"a"b@x.example`, "a@[127.0.0.1]", "a@127.0.0.1",
		"a\x00@x.example", "a@x\x00.example", "gr\xc3\xbc\xc3\x9fe@x.example", "a@gr\xc3\xbc.example", "a@x.example\r\nBcc: b@y.example", "a@x.exam ple",
		long + "a@x.example", "a@" + strings.Repeat("a", 64) + ".example", "a@" + strings.Repeat("a.", 127) + "example", "<a@x.example", "a@x.example>", "a,b@x.example",
		`"a` + "\n" + `b"@x.example`, "a@x.example;b@y.example", "a(c)@x.example", "аda@hospital.example",
		"a@ban\u212a.example", "a@cl\u0130nic.example", "a@x.example\u00a0", "\u2003a@x.example", "a@x.example\v", "<a@x.example>\u0085",
	} {
		if a, err := addr.Parse(in); !errors.Is(err, addr.ErrSyntax) {
			t.Errorf("%q: %q, %v", in, a, err)
		}
	}
}

func TestComparing(t *testing.T) {
	p := addr.MustParse
	if !p("ADA@HOSPITAL.EXAMPLE").Equal(p("ada@hospital.example")) || p("ada@hospital.example").Equal(p("ada@other.example")) {
		t.Error("equality without case (AS-03)")
	}
	if !p("ada+lab@x.example").SameMailbox(p("ADA+x@x.example")) || p("ada@x.example").SameMailbox(p("adab@x.example")) {
		t.Error("same mailbox without +tag (AS-04)")
	}
	if got := p("+tag@x.example").WithoutTag().String(); got != "+tag@x.example" {
		t.Errorf("a local part of a tag alone became %q", got)
	}
	if got := p("ada@a.b.example").Domain(); got != addr.MustDomain("A.B.Example.") {
		t.Errorf("domain %q", got)
	}
	if !(addr.Address{}).IsZero() || p("a@x.example").IsZero() || (addr.Address{}).String() != "" || !(addr.Domain{}).IsZero() {
		t.Error("zero values")
	}
}

func TestText(t *testing.T) {
	type both struct {
		A addr.Address
		D addr.Domain
	}
	for _, v := range []both{{addr.MustParse(`"a b"@x.example`), addr.MustDomain("y.example")}, {}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back both
		if err := json.Unmarshal(b, &back); err != nil || back != v {
			t.Errorf("%s: %+v, %v", b, back, err)
		}
	}
	var v both
	if err := json.Unmarshal([]byte(`{"A":"nonsense"}`), &v); err == nil {
		t.Error("nonsense was read")
	}
	if err := json.Unmarshal([]byte(`{"D":"nonsense"}`), &v); err == nil {
		t.Error("nonsense was read as a domain")
	}
}

func TestLists(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"a@x.example":                           "a@x.example",
		"a@x.example, b@y.example":              "a@x.example b@y.example",
		`"Doe, Jane" <jane@x.example>`:          "jane@x.example",
		`Jane Doe <jane@x.example> (hello)`:     "jane@x.example",
		`(a (nested) comment) a@x.example`:      "a@x.example",
		`Team: a@x.example, B <b@y.example>;`:   "a@x.example b@y.example",
		`undisclosed-recipients:;`:              "",
		",, a@x.example ,,":                     "a@x.example",
		`"a b"@x.example`:                       `"a b"@x.example`,
		`<"a,b"@x.example>, c@y.example`:        `"a,b"@x.example c@y.example`,
		"Jane\t<jane@x.example>":                "jane@x.example",
		`"evil@y.example" <ada@x.example>`:      "ada@x.example",
		`A: a@x.example;, b@y.example`:          "a@x.example b@y.example",
		`< a@x.example >`:                       "a@x.example",
		`=?utf-8?Q?J=C3=BCrgen?= <j@x.example>`: "j@x.example",
	} {
		list, err := addr.ParseList(in)
		var got []string
		for _, a := range list {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"nonsense", "a@x.example b@y.example", "<a@x.example> <b@y.example>", "a@x.example, nonsense", `"open <a@x.example>`, "(open a@x.example",
		"<a@x.example", "T: a@x.example", "a@x.example;", "A: B: a@x.example;;", "<<a@x.example>>", "<a@x.example> trailing", "a@x.example <b@y.example> c",
		strings.Repeat("a@x.example,", 1001), strings.Repeat(" ", 64<<10+1),
	} {
		if list, err := addr.ParseList(in); !errors.Is(err, addr.ErrSyntax) {
			t.Errorf("%.60q: %d addresses, %v", in, len(list), err)
		}
	}
}

// FuzzList: whatever parses writes itself and parses to the same; nothing strange gets into an address.
func FuzzList(f *testing.F) {
	for _, s := range []string{`"Doe, J" <a@x.example>, B: c@y.example;`, `"a\"b"@x.example`, "(c(d))<a@x.example>", "a+b@x.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := addr.ParseList(s)
		if err != nil {
			return
		}
		var text []string
		for _, a := range list {
			if strings.ContainsAny(a.String(), "\r\n\x00") || a.IsZero() || a.Domain().IsZero() {
				t.Fatalf("%q gave %q", s, a.String())
			}
			text = append(text, a.String())
		}
		again, err := addr.ParseList(strings.Join(text, ", "))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q: %d addresses, written and read again %d, %v", s, len(list), len(again), err)
		}
		for i := range list {
			if again[i] != list[i] {
				t.Fatalf("%q: %q became %q", s, list[i], again[i])
			}
		}
	})
}
