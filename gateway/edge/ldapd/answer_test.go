package ldapd

import (
	"bytes"
	"testing"

	"postern/certs/ldapwire"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldap "github.com/go-ldap/ldap/v3"
)

// search is a whole search request as a client sends it.
func search(t testing.TB, base string, scope int64, filter string, attrs ...string) []byte {
	t.Helper()
	f, err := ldap.CompileFilter(filter)
	if err != nil {
		t.Fatal(err)
	}
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opSearch, nil, "")
	op.AppendChild(text(base))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, scope, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, 0, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
	op.AppendChild(ber.NewBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, false, ""))
	op.AppendChild(f)
	list := ber.NewSequence("")
	for _, a := range attrs {
		list.AppendChild(text(a))
	}
	op.AppendChild(list)
	return message(1, op)
}

// Whatever passes the check of messages: no panic, and an answer that a client can read, about no entry
// the request did not name.
func FuzzRequest(f *testing.F) {
	f.Add(search(f, DefaultBase, 2, "(mail=a@direct.example.org)", "userCertificate"))
	f.Add(search(f, DefaultBase, 2, "(&(mail=a@direct.example.org)(|(userCertificate=*)(!(cn=x))))"))
	f.Add(search(f, "", 0, "(objectClass=*)", "namingContexts"))
	f.Add(search(f, "cn=a@direct.example.org,"+DefaultBase, 0, "(objectClass=*)"))
	f.Add([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	d, err := NewDirectory("", []Entry{{Mail: "a@direct.example.org"}, {Mail: "hidden@direct.example.org"}})
	if err != nil {
		f.Fatal(err)
	}
	s := New(nil)
	s.Publish(d)
	f.Fuzz(func(t *testing.T, wire []byte) {
		c := ldapwire.NewConn(given{bytes.NewReader(wire)}, ldapwire.Limits{Message: MaxRequest, Elements: MaxElements})
		checked, err := c.Message()
		if err != nil {
			return
		}
		request, err := ber.DecodePacketErr(checked)
		if err != nil || len(request.Children) < 2 {
			return
		}
		id, ok := request.Children[0].Value.(int64)
		if !ok || id <= 0 || request.Children[1].ClassType != ber.ClassApplication {
			return
		}
		answer := s.answer(id, request.Children[1])
		if bytes.Contains(answer, []byte("hidden@")) && !bytes.Contains(bytes.ToLower(wire), []byte("hidden@")) {
			t.Fatalf("gave out an entry that was not named: %x", wire)
		}
		for rest := answer; len(rest) > 0; {
			p, err := ber.DecodePacketErr(rest)
			if err != nil || len(p.Children) < 2 || p.Children[0].Value != id {
				t.Fatalf("unreadable answer %x to %x: %v", answer, wire, err)
			}
			rest = rest[len(p.Bytes()):]
		}
	})
}
