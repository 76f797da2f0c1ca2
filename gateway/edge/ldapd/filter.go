package ldapd

import (
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// Kinds of filters, by their context tag (RFC 4511 §4.5.1).
const (
	filterAnd      = 0
	filterOr       = 1
	filterNot      = 2
	filterEquality = 3
	filterPresent  = 7
)

// matches evaluates a filter on an entry. Kinds nobody needs here (substrings, ordering, approximate,
// extensible) match nothing. Depth is bounded by the message's own.
func matches(n *node, f *ber.Packet) bool {
	switch f.Tag {
	case filterAnd:
		for _, c := range f.Children {
			if !matches(n, c) {
				return false
			}
		}
		return true
	case filterOr:
		for _, c := range f.Children {
			if matches(n, c) {
				return true
			}
		}
		return false
	case filterNot:
		return len(f.Children) == 1 && known(f.Children[0]) && !matches(n, f.Children[0])
	case filterPresent:
		return len(n.values(string(octets(f)))) > 0
	case filterEquality:
		name, value, ok := assertion(f)
		if !ok {
			return false
		}
		for _, v := range n.values(name) {
			if strings.EqualFold(v, value) {
				return true
			}
		}
	}
	return false
}

// known says whether a filter is of a kind evaluated here: the negation of "undefined" stays undefined
// (RFC 4511 §4.5.1.7).
func known(f *ber.Packet) bool {
	switch f.Tag {
	case filterAnd, filterOr, filterNot:
		for _, c := range f.Children {
			if !known(c) {
				return false
			}
		}
		return true
	}
	return f.Tag == filterEquality || f.Tag == filterPresent
}

// wanted is the mail value a filter insists on: entries are found by it and in no other way, so that
// the directory cannot be read out.
func wanted(f *ber.Packet) (mail string, ok bool) {
	switch f.Tag {
	case filterEquality:
		name, value, ok := assertion(f)
		return value, ok && strings.EqualFold(bare(name), "mail")
	case filterAnd:
		for _, c := range f.Children {
			if mail, ok := wanted(c); ok {
				return mail, true
			}
		}
	}
	return "", false
}

func assertion(f *ber.Packet) (name, value string, ok bool) {
	if len(f.Children) != 2 {
		return "", "", false
	}
	return string(octets(f.Children[0])), string(octets(f.Children[1])), true
}

// octets is a primitive element's content, whatever its class.
func octets(p *ber.Packet) []byte {
	if p.ByteValue != nil {
		return p.ByteValue
	}
	return p.Data.Bytes()
}
