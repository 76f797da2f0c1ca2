package template_test

import (
	"slices"
	"strings"
	"testing"

	. "postern/gateway/clinic/template"
)

func TestCheck(t *testing.T) {
	for situation, c := range map[string]struct {
		t    Template
		want string // "" is good
	}{
		"good":                     {Template{Name: "Ask", Subject: "About {{patient.name}}", Body: "Dear colleague,\n{{ document.reason }}\n"}, ""},
		"no name":                  {Template{Body: "x"}, "a name"},
		"no text":                  {Template{Name: "Ask", Body: " \n"}, "a text"},
		"an unknown field":         {Template{Name: "Ask", Body: "one\ntwo {{patient.shoe}}"}, "line 2: there is no field {{patient.shoe}}"},
		"an unknown field above":   {Template{Name: "Ask", Subject: "{{x}}", Body: "one"}, "the subject: there is no field {{x}}"},
		"a field that never ends":  {Template{Name: "Ask", Body: "one {{patient.name"}, "line 1: a field is written"},
		"a subject of two lines":   {Template{Name: "Ask", Subject: "a\nBcc: b", Body: "one"}, "one line"},
		"too long":                 {Template{Name: "Ask", Body: strings.Repeat("x", MaxText+1)}, "at most"},
		"too many fields":          {Template{Name: "Ask", Body: strings.Repeat("{{today}}", MaxFields+1)}, "at most"},
		"braces that are no field": {Template{Name: "Ask", Body: "a set {1, 2}"}, ""},
	} {
		err := c.t.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", situation, err, c.want)
		}
	}
}

func TestFill(t *testing.T) {
	facts := map[string]string{"patient.name": "Ana {{today}} Ruiz", "today": "2 March", "document.reason": "  "}
	got, missing := Fill("{{patient.name}}, {{ today }}: {{document.reason}} {{document.reason}} {{nonsense}}", facts)
	if want := "Ana {{today}} Ruiz, 2 March: {{document.reason}} {{document.reason}} {{nonsense}}"; got != want {
		t.Errorf("%q, want %q: a fact is never a template itself", got, want)
	}
	if !slices.Equal(missing, []string{"document.reason", "nonsense"}) {
		t.Errorf("missing %v", missing)
	}
}

func TestOpenFieldsAreFound(t *testing.T) {
	if got := Open("a {{today}} b {{ patient.name }} {{today}} {{not.a.field}}"); !slices.Equal(got, []string{"today", "patient.name"}) {
		t.Errorf("open %v", got)
	}
	if got := Open("a set {{1, 2}}"); len(got) != 0 {
		t.Errorf("open %v", got)
	}
}

func TestEveryFieldCanBeFilled(t *testing.T) {
	facts := map[string]string{}
	var body string
	for _, f := range Fields() {
		facts[f.Name] = "x"
		body += "{{" + f.Name + "}}"
		if f.Text == "" {
			t.Errorf("%s is not explained", f.Name)
		}
	}
	if got, missing := Fill(body, facts); len(missing) > 0 || len(Open(got)) > 0 {
		t.Errorf("%q %v", got, missing)
	}
}
