package ber

import (
	"fmt"
)

// Element is one definite-length element held in memory. Full and Content are views of the
// octets it was read from.
type Element struct {
	Header
	Full    []byte
	Content []byte
}

// Cursor reads consecutive definite-length elements. Pass what came from outside through Definite first.
type Cursor struct{ b []byte }

// NewCursor reads the elements of b one after the other.
func NewCursor(b []byte) Cursor { return Cursor{b} }

// Children reads the elements inside a constructed element.
func (e Element) Children() Cursor {
	if !e.Constructed {
		return Cursor{}
	}
	return Cursor{e.Content}
}

// Empty reports that nothing is left.
func (c *Cursor) Empty() bool { return len(c.b) == 0 }

// Next reads one element.
func (c *Cursor) Next() (Element, error) {
	h, n, err := parseHeader(c.b)
	switch {
	case err != nil:
		return Element{}, err
	case n == 0:
		return Element{}, ErrTruncated
	case h.Length < 0:
		return Element{}, fmt.Errorf("%w: indefinite length where none is left", ErrSyntax)
	case h.Length > int64(len(c.b)-n):
		return Element{}, ErrTruncated
	}
	end := n + int(h.Length)
	e := Element{h, c.b[:end:end], c.b[n:end:end]}
	c.b = c.b[end:]
	return e, nil
}

// Expect reads one element that must have this universal tag.
func (c *Cursor) Expect(tag uint32) (Element, error) {
	e, err := c.Next()
	if err != nil {
		return e, err
	}
	if !e.Is(Universal, tag) {
		return e, fmt.Errorf("%w: universal tag %d expected, class %d tag %d found", ErrSyntax, tag, e.Class, e.Tag)
	}
	return e, nil
}

// Optional reads the next element if it has this class and tag number.
func (c *Cursor) Optional(class byte, tag uint32) (Element, bool, error) {
	h, n, err := parseHeader(c.b)
	if err != nil || n == 0 || !h.Is(class, tag) {
		return Element{}, false, err
	}
	e, err := c.Next()
	return e, err == nil, err
}

// One reads b as exactly one element.
func One(b []byte) (Element, error) {
	c := NewCursor(b)
	e, err := c.Next()
	if err == nil && !c.Empty() {
		return e, fmt.Errorf("%w: %d octets after the element", ErrSyntax, len(c.b))
	}
	return e, err
}

// Octets is the content of an OCTET STRING element, its segments concatenated.
func (e Element) Octets() ([]byte, error) {
	if !e.Constructed {
		return e.Content, nil
	}
	var out []byte
	stack := []Cursor{e.Children()}
	for len(stack) > 0 {
		c := &stack[len(stack)-1]
		if c.Empty() {
			stack = stack[:len(stack)-1]
			continue
		}
		seg, err := c.Expect(TagOctetString)
		if err != nil {
			return nil, err
		}
		if !seg.Constructed {
			out = append(out, seg.Content...)
			continue
		}
		if len(stack) >= MaxDepth {
			return nil, fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxDepth)
		}
		stack = append(stack, seg.Children())
	}
	return out, nil
}

// Uint is the value of a small non-negative INTEGER.
func (e Element) Uint() (int, error) {
	if !e.Is(Universal, TagInteger) || e.Constructed || len(e.Content) == 0 {
		return 0, fmt.Errorf("%w: integer expected", ErrSyntax)
	}
	b := e.Content
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if e.Content[0]&0x80 != 0 || len(b) > 4 {
		return 0, fmt.Errorf("%w: integer", ErrLimit)
	}
	v := 0
	for _, c := range b {
		v = v<<8 | int(c)
	}
	if v > 1<<31-1 {
		return 0, fmt.Errorf("%w: integer", ErrLimit)
	}
	return v, nil
}
