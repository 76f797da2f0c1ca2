package route_test

import (
	"encoding/json"
	"strings"
	"testing"

	"postern/gateway/delivery/route"
	"postern/smime/addr"
)

func TestParseEdge(t *testing.T) {
	for s, want := range map[string]string{"ehr.clinic.example:587": "ehr.clinic.example:587", "[2001:db8::1]:25": "[2001:db8::1]:25", "10.0.0.4:2525": "10.0.0.4:2525"} {
		e, err := route.ParseEdge(s)
		if err != nil || e.HostPort() != want || e.TLS != "required" {
			t.Errorf("%s: %+v %v", s, e, err)
		}
	}
	for _, s := range []string{"", "host", "host:", ":25", "host:0", "host:65536", "host:smtp", "user@host:25", "a b:25", "http://host:25"} {
		if e, err := route.ParseEdge(s); err == nil {
			t.Errorf("%q gives %+v", s, e)
		}
	}
}

func TestDestinationIsWrittenAndReadBack(t *testing.T) {
	edge, err := route.ParseEdge("ehr.clinic.example:465")
	if err != nil {
		t.Fatal(err)
	}
	edge.Login, edge.Password = "l", []byte{1, 2}
	for _, c := range []struct {
		d     route.Destination
		words string
	}{
		{route.Destination{}, "as its domain"},
		{route.Destination{Inbox: "desk"}, "inbox desk"},
		{route.Destination{Edge: &edge}, "smtp edge ehr.clinic.example:465"},
		{route.Destination{Alias: addr.MustParse("a@b.example")}, "alias of a@b.example"},
	} {
		b, err := json.Marshal(c.d)
		var back route.Destination
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		if err != nil || back.String() != c.words || c.d.String() != c.words || back.IsZero() != c.d.IsZero() {
			t.Errorf("%s: %s, %v", c.words, b, err)
		}
		if strings.Contains(c.d.String(), "\x01") {
			t.Error("a password is shown")
		}
	}
}
