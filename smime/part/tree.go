package part

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// chunk is the unit of reading; a line's first maxBoundary+8 octets are looked at, never more.
const chunk = 64 << 10

// Parse finds the whole tree of the message in src in one pass over its lines: open multiparts
// are a stack, and each line that starts with two hyphens is compared with their boundaries.
func Parse(src io.ReaderAt, size int64, lim Limits) (*Part, error) {
	b := &builder{src: src, size: size, lim: lim.orDefault(), lines: newLines(src, size)}
	root := &Part{}
	b.begin(root)
	for {
		l, ok, err := b.lines.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if err := b.line(l); err != nil {
			return nil, err
		}
	}
	return root, b.end()
}

// level is one part that is open: its header is being read, or its body.
type level struct {
	p        *Part
	boundary []byte // of a multipart, nil otherwise
	inHeader bool
	closed   bool // its closing delimiter was seen: the rest is epilogue
}

type builder struct {
	src   io.ReaderAt
	size  int64
	lim   Limits
	lines *lines
	stack []level
	parts int
}

func (b *builder) top() *level { return &b.stack[len(b.stack)-1] }

func (b *builder) begin(p *Part) {
	b.parts++
	p.Start = b.lines.pos
	b.stack = append(b.stack, level{p: p, inHeader: true})
}

func (b *builder) line(l line) error {
	if len(l.head) >= 2 && l.head[0] == '-' && l.head[1] == '-' {
		if i, closing := b.delimiter(l.head); i >= 0 {
			return b.delimit(i, closing, l)
		}
	}
	t := b.top()
	if !t.inHeader {
		return nil
	}
	if l.start-t.p.Start > b.lim.Header {
		return fmt.Errorf("%w: header longer than %d octets", ErrLimit, b.lim.Header)
	}
	if isBlank(l.head) && l.size == int64(len(l.head)) {
		return b.headerDone(l.start + l.size)
	}
	first := l.start == t.p.Start
	folded := !first && (l.head[0] == ' ' || l.head[0] == '\t')
	if _, field := fieldName(l.head); !field && !folded && !(first && bytes.HasPrefix(l.head, []byte("From "))) {
		return b.headerDone(l.start) // the body begins here without a blank line
	}
	return nil
}

// delimiter finds the innermost open multipart whose boundary the line is. The line must be the
// boundary and nothing but blanks after it, or one that looks alike would cut a part.
func (b *builder) delimiter(head []byte) (int, bool) {
	text := bytes.TrimRight(head, " \t\r\n")
	for i := len(b.stack) - 1; i >= 0; i-- {
		bd := b.stack[i].boundary
		if bd == nil || b.stack[i].closed || !bytes.HasPrefix(text[2:], bd) {
			continue
		}
		switch rest := text[2+len(bd):]; {
		case len(rest) == 0:
			return i, false
		case string(rest) == "--":
			return i, true
		}
	}
	return -1, false
}

// delimit ends every part inside level i at the line end before l, and begins the next one.
func (b *builder) delimit(i int, closing bool, l line) error {
	end := b.beforeLineEnd(l.start)
	end = max(end, b.top().p.Start, b.top().p.Offset) // an empty part right behind its delimiter or header
	for len(b.stack) > i+1 {
		if err := b.endPart(end); err != nil {
			return err
		}
	}
	t := b.top()
	if closing {
		t.closed = true
		return nil
	}
	if b.parts >= b.lim.Parts {
		return fmt.Errorf("%w: more than %d parts", ErrLimit, b.lim.Parts)
	}
	if t.p.Depth+1 > b.lim.Depth {
		return fmt.Errorf("%w: parts nested deeper than %d", ErrLimit, b.lim.Depth)
	}
	child := &Part{Depth: t.p.Depth + 1, Path: join(t.p.Path, len(t.p.Children)+1)}
	t.p.Children = append(t.p.Children, child)
	b.begin(child)
	b.top().p.Start = l.start + l.size
	return nil
}

func join(path string, n int) string {
	if path == "" {
		return strconv.Itoa(n)
	}
	return path + "." + strconv.Itoa(n)
}

// beforeLineEnd is the offset of the line end in front of at, which belongs to the delimiter.
func (b *builder) beforeLineEnd(at int64) int64 {
	n := min(at, 2)
	var two [2]byte
	if _, err := b.src.ReadAt(two[2-n:], at-n); err != nil && err != io.EOF {
		return at
	}
	switch {
	case n >= 1 && two[1] != '\n':
		return at
	case n == 2 && two[0] == '\r':
		return at - 2
	}
	return at - min(n, 1)
}

// headerDone parses the header that ends at offset body and opens what it announces.
func (b *builder) headerDone(body int64) error {
	t := b.top()
	p := t.p
	size := body - p.Start
	if size > b.lim.Header {
		return fmt.Errorf("%w: header longer than %d octets", ErrLimit, b.lim.Header)
	}
	raw := make([]byte, size)
	if n, err := b.src.ReadAt(raw, p.Start); err != nil && int64(n) < size {
		return fmt.Errorf("part: read header: %w", err)
	}
	h, _, err := ParseHeader(raw, true, b.lim)
	if err != nil {
		return err
	}
	p.Header, p.Offset, t.inHeader = h, body, false
	parentDigest := len(b.stack) > 1 && b.stack[len(b.stack)-2].p.MediaType == "multipart/digest"
	p.describe(parentDigest)
	switch {
	case p.Multipart():
		t.boundary = []byte(strings.TrimRight(p.Params["boundary"], " \t"))
		if len(t.boundary) == 0 {
			t.boundary = nil
		}
		if !p.Identity() {
			p.repair("multipart with a transfer encoding; read as it stands")
		}
	case strings.HasPrefix(p.MediaType, "multipart/"):
		p.repair("multipart without a boundary; read as one part")
	case p.MediaType == "message/rfc822" && p.Identity():
		return b.enclosed(p, body)
	}
	return nil
}

// enclosed begins the message inside a message/rfc822 part.
func (b *builder) enclosed(p *Part, at int64) error {
	if b.parts >= b.lim.Parts {
		return fmt.Errorf("%w: more than %d parts", ErrLimit, b.lim.Parts)
	}
	if p.Depth+1 > b.lim.Depth {
		return fmt.Errorf("%w: parts nested deeper than %d", ErrLimit, b.lim.Depth)
	}
	child := &Part{Depth: p.Depth + 1, Path: join(p.Path, 1)}
	p.Children = append(p.Children, child)
	b.begin(child)
	b.top().p.Start = at
	return nil
}

// endPart closes the innermost part at offset end.
func (b *builder) endPart(end int64) error {
	t := b.top()
	if t.inHeader {
		if err := b.headerDone(max(end, t.p.Start)); err != nil {
			return err
		}
		if b.top().p != t.p { // an enclosed message began with no octet left
			if err := b.endPart(end); err != nil {
				return err
			}
		}
		t = b.top()
	}
	if t.boundary != nil && !t.closed {
		if len(t.p.Children) == 0 {
			t.p.repair("multipart without its boundary in the body")
		} else {
			t.p.repair("multipart without a closing delimiter")
		}
	}
	t.p.Length = max(0, end-t.p.Offset)
	b.stack = b.stack[:len(b.stack)-1]
	return nil
}

func (b *builder) end() error {
	for len(b.stack) > 0 {
		if err := b.endPart(b.size); err != nil {
			return err
		}
	}
	return nil
}

// line is one line of the source: where it is and how it begins.
type line struct {
	start, size int64  // size includes the line end
	head        []byte // its first octets, all of it when short; valid until the next call
}

// lines walks the lines of a source without holding more than a chunk of it.
type lines struct {
	src  io.ReaderAt
	size int64
	pos  int64 // start of the next line
	buf  []byte
	base int64 // source offset of buf[0]
	head []byte
}

func newLines(src io.ReaderAt, size int64) *lines {
	return &lines{src: src, size: size, buf: make([]byte, 0, min(chunk, max(size, 1)))}
}

// window is the buffered octets from offset at on, at least one unless the source ends there.
func (l *lines) window(at int64) ([]byte, error) {
	if at >= l.base && at < l.base+int64(len(l.buf)) {
		return l.buf[at-l.base:], nil
	}
	n := min(int64(cap(l.buf)), l.size-at)
	if n <= 0 {
		return nil, nil
	}
	l.buf, l.base = l.buf[:n], at
	if got, err := l.src.ReadAt(l.buf, at); int64(got) < n {
		l.buf = l.buf[:0]
		return nil, fmt.Errorf("part: read at octet %d: %w", at, err)
	}
	return l.buf, nil
}

const headSize = maxBoundary + 8

func (l *lines) next() (line, bool, error) {
	w, err := l.window(l.pos)
	if err != nil || len(w) == 0 {
		return line{}, false, err
	}
	out := line{start: l.pos}
	if i := bytes.IndexByte(w, '\n'); i >= 0 {
		out.size = int64(i + 1)
		out.head = w[:min(i+1, headSize)]
		l.pos += out.size
		return out, true, nil
	}
	// The line goes on beyond the window: keep its beginning, then look for its end.
	l.head = append(l.head[:0], w[:min(len(w), headSize)]...)
	for {
		out.size += int64(len(w))
		if w, err = l.window(l.pos + out.size); err != nil {
			return line{}, false, err
		}
		if len(w) == 0 {
			break
		}
		i := bytes.IndexByte(w, '\n')
		take := len(w)
		if i >= 0 {
			take = i + 1
		}
		if room := headSize - len(l.head); room > 0 {
			l.head = append(l.head, w[:min(take, room)]...)
		}
		if i >= 0 {
			out.size += int64(take)
			break
		}
	}
	out.head = l.head
	l.pos += out.size
	return out, true, nil
}
