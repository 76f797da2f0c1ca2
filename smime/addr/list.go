package addr

import (
	"fmt"
	"strings"
)

// Limits of one address-list header.
const (
	MaxListOctets = 64 << 10
	MaxList       = 1000
)

// ParseList reads an RFC 5322 §3.4 address-list: addr-specs, "Display Name" <addr-spec>, groups and
// comments. Display names, group names and comments are dropped (AS-05). An entry that is not a
// Direct address fails the whole list, so that no check ever runs on part of a header.
func ParseList(header string) ([]Address, error) {
	if len(header) > MaxListOctets {
		return nil, fmt.Errorf("%w: address list longer than %d octets", ErrSyntax, MaxListOctets)
	}
	p := listParser{in: header}
	return p.list()
}

// listParser is one pass over the header: it copies the octets of the current entry, without
// comments, and knows whether it stands in a quoted string or in angle brackets.
type listParser struct {
	in    string
	pos   int
	entry strings.Builder
	angle string
	seen  bool // an angle address was read in this entry
	out   []Address
}

func (p *listParser) list() ([]Address, error) {
	inGroup := false
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		var err error
		switch c {
		case '(':
			if err := p.comment(); err != nil {
				return nil, err
			}
			continue
		case '"':
			if err := p.quoted(); err != nil {
				return nil, err
			}
			continue
		case '<':
			if err := p.angled(); err != nil {
				return nil, err
			}
			continue
		case ':':
			if inGroup || p.seen {
				return nil, p.fail("misplaced colon")
			}
			inGroup = true
			p.entry.Reset()
		case ';':
			if !inGroup {
				return nil, p.fail("semicolon outside a group")
			}
			inGroup = false
			err = p.flush()
		case ',':
			err = p.flush()
		default:
			p.entry.WriteByte(c)
		}
		if err != nil {
			return nil, err
		}
		p.pos++
	}
	if inGroup {
		return nil, p.fail("unclosed group")
	}
	return p.out, p.flush()
}

func (p *listParser) fail(why string) error {
	return fmt.Errorf("%w: address list %q: %s", ErrSyntax, clip(p.in), why)
}

// comment skips an RFC 5322 §3.2.2 comment; comments nest, so depth is counted, not recursed into.
func (p *listParser) comment() error {
	depth := 0
	for ; p.pos < len(p.in); p.pos++ {
		switch p.in[p.pos] {
		case '\\':
			p.pos++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.pos++
				return nil
			}
		}
	}
	return p.fail("unclosed comment")
}

// quoted copies a quoted string, quotes and escapes included, into the entry.
func (p *listParser) quoted() error {
	start := p.pos
	for p.pos++; p.pos < len(p.in); p.pos++ {
		switch p.in[p.pos] {
		case '\\':
			p.pos++
		case '"':
			p.pos++
			p.entry.WriteString(p.in[start:p.pos])
			return nil
		}
	}
	return p.fail("unclosed quoted string")
}

// angled reads <addr-spec>; what stood before it in this entry was a display name.
func (p *listParser) angled() error {
	if p.seen {
		return p.fail("two addresses without a comma")
	}
	p.entry.Reset()
	for p.pos++; p.pos < len(p.in); {
		switch c := p.in[p.pos]; c {
		case '>':
			p.pos++
			p.angle, p.seen = p.entry.String(), true
			p.entry.Reset()
			return nil
		case '"':
			if err := p.quoted(); err != nil {
				return err
			}
		case '(':
			if err := p.comment(); err != nil {
				return err
			}
		case '<':
			return p.fail("angle bracket inside angle brackets")
		default:
			p.entry.WriteByte(c)
			p.pos++
		}
	}
	return p.fail("unclosed angle bracket")
}

// flush ends the current entry. An empty entry is allowed (RFC 5322 §4.4 obs-addr-list).
func (p *listParser) flush() error {
	text := strings.Trim(p.entry.String(), blanks)
	if p.seen {
		if text != "" {
			return p.fail("text after an address")
		}
		text = p.angle
	}
	p.entry.Reset()
	p.seen, p.angle = false, ""
	if text == "" {
		return nil
	}
	a, err := Parse(text)
	if err != nil {
		return err
	}
	if len(p.out) == MaxList {
		return p.fail(fmt.Sprintf("more than %d addresses", MaxList))
	}
	p.out = append(p.out, a)
	return nil
}
