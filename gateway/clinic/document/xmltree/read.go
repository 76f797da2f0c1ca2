package xmltree

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"postern/gateway/clinic/document/charset"
)

// Read reads the size bytes of src into a tree. The error is only the source's own or Options.Stop's,
// and the tree read so far is returned with it; content never makes an error.
func Read(src io.ReaderAt, size int64, o Options) (*Tree, error) {
	b, err := newBuilder(src, size, o)
	if err != nil {
		return nil, err
	}
	for !b.full && b.s.fill(1) {
		if b.s.rest()[0] == '<' {
			b.markup()
		} else {
			b.chars()
		}
	}
	b.finish()
	return b.t, b.s.err
}

// builder makes the tree from what the scanner finds.
type builder struct {
	t       *Tree
	s       *scanner
	o       Options
	single  bool
	stack   []frame // open elements, the document first
	lost    int     // open elements beyond MaxDepth
	inText  bool    // the last node is a text that may grow
	mixed   int     // open elements named in o.Mixed
	full    bool
	dtd     bool // a document type declaration was met
	names   map[string]int32
	binds   []binding
	scope   int                 // changes whenever binds does
	known   [2]map[string]known // names resolved in a scope: attributes, elements
	raws    map[string]string   // names as written, so that each is one string
	special map[string]bool
	own     map[string]bool // entities the document declares for itself
}

// known is what a name as written stands for in one scope.
type known struct {
	scope int
	id    int32
}

// maxKnown is how many names as written are remembered.
const maxKnown = 8192

type frame struct {
	id     int32
	last   int32 // last child, 0 = none
	binds  int   // bindings in scope before this element
	raw    string
	mixed  bool
	hasEle bool
}

func newBuilder(src io.ReaderAt, size int64, o Options) (*builder, error) {
	text, err := charset.Open(src, size, o.Label)
	if err != nil {
		return nil, err
	}
	t := &Tree{Encoding: text.Name, src: text.Src, base: max(0, text.Base)}
	b := &builder{t: t, o: o, single: text.Single, names: map[string]int32{}, special: map[string]bool{},
		known: [2]map[string]known{{}, {}}, raws: map[string]string{}}
	for _, r := range text.Repairs {
		b.repair(r)
	}
	limit := text.Size
	if limit > MaxBytes {
		limit, t.Cut = MaxBytes, true
		b.repair(fmt.Sprintf("only the first %d MiB are read", MaxBytes>>20))
	}
	for _, m := range o.Mixed {
		b.special[m] = true
	}
	b.s = newScanner(text.Src, limit, o.Stop)
	t.text = make([]byte, 0, min(limit, MaxText))
	b.add(node{name: -1}) // the document
	b.stack = append(b.stack, frame{})
	return b, nil
}

func (b *builder) repair(s string) {
	if len(b.t.Repairs) < maxRepairs && !slices.Contains(b.t.Repairs, s) {
		b.t.Repairs = append(b.t.Repairs, s)
	}
}

// damage is a repair of something that is not well-formed.
func (b *builder) damage(s string) {
	if b.t.Damage == "" {
		b.t.Damage = s
	}
	b.repair(s)
}

// add appends a node and returns its index.
func (b *builder) add(n node) int32 {
	i := b.t.count
	if int(i>>chunkBits) == len(b.t.nodes) {
		b.t.nodes = append(b.t.nodes, make([]node, 1<<chunkBits))
	}
	*b.t.at(i) = n
	b.t.count++
	if b.t.count >= MaxNodes {
		b.overflow(fmt.Sprintf("only the first %d elements and texts are read", MaxNodes))
	}
	return i
}

func (b *builder) overflow(why string) {
	b.full, b.t.Cut = true, true
	b.repair(why)
}

// link hangs node i below the innermost open element.
func (b *builder) link(i int32) {
	f := &b.stack[len(b.stack)-1]
	b.t.at(i).parent = f.id
	if f.last == 0 {
		b.t.at(f.id).first = i
	} else {
		b.t.at(f.last).next = i
	}
	f.last = i
}

// markup reads what starts with '<'.
func (b *builder) markup() {
	s := b.s
	switch {
	case s.prefix("<!--"):
		s.advance(4)
		if !s.through("-->") {
			b.damage("a comment is never closed; what follows it cannot be shown")
		}
	case s.prefix("<![CDATA["):
		s.advance(9)
		b.cdata()
	case s.prefix("<?"):
		b.instruction()
	case s.prefix("<!"):
		b.doctype()
	case s.prefix("</"):
		b.endTag()
	case s.fill(2) && nameStart(s.rest()[1]):
		b.startTag()
	default:
		b.literal("a stray < stands for itself")
	}
}

// literal takes the '<' at hand as text.
func (b *builder) literal(why string) {
	b.damage(why)
	b.addText(b.s.rest()[:1], false)
	b.s.advance(1)
}

func (b *builder) cdata() {
	for {
		rest := b.s.rest()
		if i := bytes.Index(rest, []byte("]]>")); i >= 0 {
			b.addText(rest[:i], true)
			b.s.advance(i + 3)
			return
		}
		n := max(0, len(rest)-2)
		n -= charset.Incomplete(rest[:n])
		b.addText(rest[:n], true)
		b.s.advance(n)
		if b.full {
			return
		}
		if !b.s.fill(len(b.s.rest()) + 1) {
			b.damage("a CDATA section is never closed")
			b.addText(b.s.rest(), true)
			b.s.advance(len(b.s.rest()))
			return
		}
	}
}

// instruction skips a processing instruction and remembers that a style sheet was asked for.
func (b *builder) instruction() {
	s := b.s
	s.fill(512)
	head := string(s.rest()[:min(len(s.rest()), 512)])
	if strings.HasPrefix(head, "<?xml-stylesheet") {
		if end := strings.Index(head, ">"); end > 0 && len(b.t.Styles) < 4 {
			b.t.Styles = append(b.t.Styles, href(head[:end]))
		}
		b.repair("the style sheet the document asks for is ignored")
	}
	if i := strings.IndexByte(head, '>'); i > 0 && !strings.Contains(head, "?>") {
		b.damage("a processing instruction is not closed properly")
		s.advance(i + 1)
		return
	}
	s.advance(2)
	s.through("?>")
}

func href(pi string) string {
	_, after, ok := strings.Cut(pi, "href=")
	if !ok || len(after) < 2 {
		return ""
	}
	v, _, _ := strings.Cut(after[1:], after[:1])
	return v
}

// maxDTD is how far the end of a document type declaration is looked for, in bytes.
const maxDTD = 64 << 10

// doctype skips a document type declaration with everything it declares.
func (b *builder) doctype() {
	b.repair("a document type declaration is ignored; nothing it declares is used")
	s := b.s
	if !b.dtd {
		b.dtd = true
		s.fill(maxDTD)
		if n := doctypeEnd(s.rest()[:min(len(s.rest()), maxDTD)]); n > 0 {
			b.declared(s.rest()[:n])
			s.advance(n)
			return
		}
	}
	s.through(">")
}

func doctypeEnd(d []byte) int {
	depth, quote := 0, byte(0)
	for i, c := range d {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == '>' && depth <= 0:
			return i + 1
		}
	}
	return 0
}

// chars reads character data up to the next '<' or the end of the window.
func (b *builder) chars() {
	rest := b.s.rest()
	n := bytes.IndexByte(rest, '<')
	if n < 0 {
		n = len(rest)
		if !b.s.last() {
			if i := bytes.LastIndexByte(rest[max(0, n-maxEntity):], '&'); i >= 0 {
				n = max(0, n-maxEntity) + i
			}
			n -= charset.Incomplete(rest[:n])
			if n <= 0 {
				if b.s.fill(len(rest) + 1) {
					return
				}
				n = len(b.s.rest())
				rest = b.s.rest()
			}
		}
	}
	b.addText(rest[:n], false)
	b.s.advance(n)
}

// addText hangs text below the open element, joining it to the text in front of it.
func (b *builder) addText(raw []byte, cdata bool) {
	if len(raw) == 0 || b.full {
		return
	}
	start := b.s.offset()
	if !b.inText {
		if b.mixed == 0 && blank(raw) {
			return
		}
		if len(b.stack) == 1 && blank(raw) {
			return
		}
		i := b.add(node{name: -1, a: int32(len(b.t.text)), start: start})
		if b.full {
			return
		}
		b.link(i)
		b.inText = true
	}
	d := b.t.at(b.t.count - 1)
	d.end = start + int64(len(raw))
	if d.n >= MaxRun {
		return // Node.Open reads the rest from the source
	}
	if cdata {
		b.t.text = b.decodeRaw(b.t.text, raw)
	} else {
		b.t.text = b.decodeText(b.t.text, raw)
	}
	d.n = int32(len(b.t.text)) - d.a
	if len(b.t.text) >= MaxText {
		b.overflow(fmt.Sprintf("only the first %d MiB of text are read", MaxText>>20))
	}
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

func (b *builder) finish() {
	end := b.s.offset()
	if open := len(b.stack) - 1; open > 0 && b.s.err == nil && !b.full {
		b.damage("the document ends before <" + clip(b.stack[len(b.stack)-1].raw) + "> is closed")
		b.t.Cut = true
	}
	for len(b.stack) > 1 {
		b.pop(end)
	}
	b.t.at(0).end = end
	b.t.Work = b.s.work
	if b.s.err != nil {
		b.t.Cut = true
	}
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
