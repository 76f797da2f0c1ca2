package ber

import "fmt"

// node is one element found by Definite, in the order of the stream.
type node struct {
	header  []byte // as received
	content []byte // of a primitive, or of a definite element that was kept whole
	length  int    // content octets in definite form
	parent  int
	open    bool // constructed: its length is the sum of its children
	kept    bool // header is written as received
}

// Definite rewrites one BER element so that every length in it is definite. Elements that already
// are keep their octets, so DER comes back as it went in (the same slice). The work is one pass
// over the octets, then one over the elements.
func Definite(raw []byte) ([]byte, error) {
	if isDefinite(raw) {
		return raw, nil
	}
	d := definiter{raw: raw}
	if err := d.scan(); err != nil {
		return nil, err
	}
	if !d.indefinite {
		return raw, nil
	}
	return d.write(), nil
}

// isDefinite walks one element without allocating and reports that nothing in it is of indefinite
// length and that it is well formed: the usual case, DER. Anything else is left to the full scan.
func isDefinite(raw []byte) bool {
	var ends [MaxDepth]int
	depth, pos := 0, 0
	for count := 0; count < MaxElements; count++ {
		h, n, err := parseHeader(raw[pos:])
		if err != nil || n == 0 || h.Length < 0 || h.endOfContents() || h.Length > int64(len(raw)-pos-n) {
			return false
		}
		end := pos + n + int(h.Length)
		if depth > 0 && end > ends[depth-1] {
			return false
		}
		if pos = end; h.Constructed {
			if depth == MaxDepth {
				return false
			}
			pos, ends[depth] = end-int(h.Length), end
			depth++
		}
		for depth > 0 && pos == ends[depth-1] {
			depth--
		}
		if depth == 0 {
			return pos == len(raw)
		}
	}
	return false
}

type frame struct {
	node int
	end  int // -1 when indefinite
}

type definiter struct {
	raw        []byte
	pos        int
	nodes      []node
	stack      []frame
	indefinite bool
}

func (d *definiter) scan() error {
	for {
		if err := d.closeFull(); err != nil {
			return err
		}
		if len(d.nodes) > 0 && len(d.stack) == 0 {
			if d.pos != len(d.raw) {
				return fmt.Errorf("%w: %d octets after the element", ErrSyntax, len(d.raw)-d.pos)
			}
			return nil
		}
		if err := d.element(); err != nil {
			return err
		}
	}
}

// closeFull closes definite containers that end here.
func (d *definiter) closeFull() error {
	for len(d.stack) > 0 {
		top := d.stack[len(d.stack)-1]
		if top.end < 0 || d.pos < top.end {
			return nil
		}
		if d.pos > top.end {
			return fmt.Errorf("%w: element is longer than its container", ErrSyntax)
		}
		d.pop()
	}
	return nil
}

func (d *definiter) pop() {
	d.stack = d.stack[:len(d.stack)-1]
}

func (d *definiter) element() error {
	h, n, err := parseHeader(d.raw[d.pos:])
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrTruncated
	}
	if h.endOfContents() {
		if len(d.stack) == 0 || d.stack[len(d.stack)-1].end >= 0 {
			return fmt.Errorf("%w: stray end-of-contents", ErrSyntax)
		}
		d.pos += n
		d.pop()
		return nil
	}
	if len(d.nodes) >= MaxNodes {
		return fmt.Errorf("%w: more than %d elements", ErrLimit, MaxNodes)
	}
	parent := -1
	if len(d.stack) > 0 {
		parent = d.stack[len(d.stack)-1].node
	}
	nd := node{header: d.raw[d.pos : d.pos+n], parent: parent}
	d.pos += n
	end := -1
	if h.Length >= 0 {
		if h.Length > int64(len(d.raw)-d.pos) {
			return ErrTruncated
		}
		end = d.pos + int(h.Length)
	} else {
		d.indefinite = true
	}
	if !h.Constructed {
		nd.content, nd.length = d.raw[d.pos:end], end-d.pos
		d.pos = end
		d.nodes = append(d.nodes, nd)
		return nil
	}
	if len(d.stack) >= MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxDepth)
	}
	nd.open = true
	d.stack = append(d.stack, frame{len(d.nodes), end})
	d.nodes = append(d.nodes, nd)
	return nil
}

// write sums the lengths from the last element to the first (children come after their parent),
// then emits in order. A constructed element whose length did not change keeps its header.
func (d *definiter) write() []byte {
	for i := len(d.nodes) - 1; i >= 0; i-- {
		nd := &d.nodes[i]
		if nd.open {
			if h, _, _ := parseHeader(nd.header); h.Length == int64(nd.length) {
				nd.kept = true
			}
		} else {
			nd.kept = true
		}
		if nd.parent >= 0 {
			d.nodes[nd.parent].length += nd.headerSize() + nd.length
		}
	}
	out := make([]byte, 0, d.nodes[0].headerSize()+d.nodes[0].length)
	for i := range d.nodes {
		nd := &d.nodes[i]
		if nd.kept {
			out = append(out, nd.header...)
		} else {
			out = append(out, nd.identifier()...)
			out = AppendLength(out, int64(nd.length))
		}
		out = append(out, nd.content...)
	}
	return out
}

func (nd *node) identifier() []byte {
	n := 1
	if nd.header[0]&0x1f == 0x1f {
		for nd.header[n]&0x80 != 0 {
			n++
		}
		n++
	}
	return nd.header[:n]
}

func (nd *node) headerSize() int {
	if nd.kept {
		return len(nd.header)
	}
	return len(nd.identifier()) + LengthSize(int64(nd.length))
}
