package smime

import (
	"crypto/x509/pkix"
	"slices"
	"strings"
)

// nameOf is a certificate's name as pkix.Name.String writes it (RFC 2253), in one piece of memory for the
// attributes that names are usually made of.
func nameOf(n pkix.Name) string {
	for _, a := range n.Names {
		if t := a.Type; len(t) != 4 || t[0] != 2 || t[1] != 5 || t[2] != 4 || !slices.Contains([]int{3, 5, 6, 7, 8, 9, 10, 11, 17}, t[3]) {
			return n.String()
		}
	}
	if len(n.ExtraNames) > 0 {
		return n.String()
	}
	var b strings.Builder
	b.Grow(128)
	for _, part := range [...]struct {
		label  string
		one    string
		values []string
	}{{"SERIALNUMBER", n.SerialNumber, nil}, {"CN", n.CommonName, nil}, {"OU", "", n.OrganizationalUnit}, {"O", "", n.Organization},
		{"POSTALCODE", "", n.PostalCode}, {"STREET", "", n.StreetAddress}, {"L", "", n.Locality}, {"ST", "", n.Province}, {"C", "", n.Country}} {
		sep := ","
		if part.one != "" {
			writeName(&b, sep, part.label, part.one)
		}
		for _, v := range part.values {
			writeName(&b, sep, part.label, v)
			sep = "+" // of one relative name
		}
	}
	return b.String()
}

func writeName(b *strings.Builder, sep, label, value string) {
	if b.Len() > 0 {
		b.WriteString(sep)
	}
	b.WriteString(label)
	b.WriteByte('=')
	for i, c := range value {
		switch c {
		case ',', '+', '"', '\\', '<', '>', ';':
			b.WriteByte('\\')
		case ' ':
			if i == 0 || i == len(value)-1 {
				b.WriteByte('\\')
			}
		case '#':
			if i == 0 {
				b.WriteByte('\\')
			}
		}
		b.WriteRune(c)
	}
}
