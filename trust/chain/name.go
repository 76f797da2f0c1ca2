package chain

import (
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxNameParts bounds the parts of one name that are compared by meaning; a longer name is compared
// octet for octet.
const maxNameParts = 64

// nameKey is a text that is equal for two distinguished names that RFC 5280 §7.1 calls equal: same
// attributes in the same order, strings compared without regard to case, to spaces at the ends and
// to the number of spaces between words, whichever string type carries them.
func nameKey(raw []byte) string {
	parts, ok := nameParts(raw)
	if !ok {
		return string(raw)
	}
	return strings.Join(parts, "")
}

// SameName reports whether two encoded distinguished names are one name (RFC 5280 §7.1).
func SameName(a, b []byte) bool { return string(a) == string(b) || nameKey(a) == nameKey(b) }

// nameParts is one canonical text for each RDN, each ending in a separator no part contains.
func nameParts(raw []byte) ([]string, bool) {
	in := cryptobyte.String(raw)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, false
	}
	var out []string
	for !seq.Empty() {
		var rdn cryptobyte.String
		if !seq.ReadASN1(&rdn, asn1.SET) || len(out) == maxNameParts {
			return nil, false
		}
		part, ok := rdnKey(rdn)
		if !ok {
			return nil, false
		}
		out = append(out, part)
	}
	return out, true
}

func rdnKey(rdn cryptobyte.String) (string, bool) {
	var atoms []string
	for !rdn.Empty() {
		var atv, value, id cryptobyte.String
		var tag asn1.Tag
		if !rdn.ReadASN1(&atv, asn1.SEQUENCE) || !atv.ReadASN1(&id, asn1.OBJECT_IDENTIFIER) ||
			!atv.ReadAnyASN1(&value, &tag) || !atv.Empty() || len(atoms) == maxNameParts {
			return "", false
		}
		atoms = append(atoms, lengthen(string(id))+lengthen(valueKey(tag, value)))
	}
	slices.Sort(atoms) // an RDN is a set
	return lengthen(strings.Join(atoms, "")), true
}

// lengthen puts the length in front, so that joined texts cannot be cut at another place.
func lengthen(s string) string {
	n := len(s)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n)}) + s
}

// valueKey folds a directory string; other types keep their tag and their octets.
func valueKey(tag asn1.Tag, v []byte) string {
	switch tag {
	case asn1.PrintableString, asn1.UTF8String, asn1.IA5String, asn1.T61String:
		return "s" + fold(string(v))
	case asn1.Tag(30): // BMPString
		if len(v)%2 == 0 {
			u := make([]uint16, len(v)/2)
			for i := range u {
				u[i] = uint16(v[2*i])<<8 | uint16(v[2*i+1])
			}
			return "s" + fold(string(utf16.Decode(u)))
		}
	}
	return string([]byte{'x', byte(tag)}) + string(v)
}

func fold(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }
