// Package xmltree reads any XML, good or bad, into a small tree whose cost is bounded before it starts.
//
// It exists because clinical documents arrive truncated, mislabelled and not well-formed, and because
// a reader of hostile XML must not resolve, fetch or expand anything. Read never fails on content:
// what cannot be understood is mended (a tag never closed, a stray '<', a bare '&', a wrong encoding)
// and the mending is stated in Tree.Repairs. Document type declarations are skipped whole: no entity is
// ever declared, expanded or fetched, so there are no entity bombs and no external entities. Processing
// instructions, style sheets among them, are skipped and named.
//
// Work is linear in the bytes read: no byte is searched more than a fixed number of times (Tree.Work
// counts). Memory is bounded by MaxNodes nodes of 48 bytes and MaxText bytes of text, about 150 MB at
// the very most whatever the size of the source; a text longer than MaxRun is kept as its place in the
// source. Depth MaxDepth, attributes of an element MaxAttrs, names MaxNames, tag MaxTag.
//
// It does not validate, does not keep comments, and does not keep white space between elements
// except where Options.Mixed says text is prose.
package xmltree

import (
	"io"
	"iter"
	"strings"
)

// The limits of one tree. What lies beyond is cut, and Tree.Repairs says so.
const (
	MaxBytes = 256 << 20 // bytes of source that are read
	MaxNodes = 2 << 20   // elements and texts
	MaxText  = 48 << 20  // bytes of text and attribute values that are kept
	MaxRun   = 4 << 20   // bytes of one text that are kept; Node.Long says there is more
	MaxDepth = 200       // nested elements; deeper ones are dissolved into their parent, their text kept
	MaxAttrs = 64        // attributes of one element
	MaxNames = 4096      // different names
	MaxTag   = 256 << 10 // bytes of one tag
)

// maxRepairs is how many different repairs are listed.
const maxRepairs = 40

// Options say how names and white space are treated.
type Options struct {
	// Spaces gives namespaces their short name: "urn:hl7-org:v3": "" makes its elements plain local
	// names, "urn:hl7-org:sdtc": "sdtc" makes them "sdtc:raceCode". Others become "?:local". With a nil
	// map every name is its local part.
	Spaces map[string]string
	// Mixed names elements whose content is prose: white space between their children is kept.
	Mixed []string
	// Label is the encoding named by the transport, "" for none.
	Label string
	// Stop, if set, is asked at every window of the source; an error ends the reading there.
	Stop func() error
}

// Tree is one document.
type Tree struct {
	Encoding  string   // what the text turned out to be
	Repairs   []string // what was mended, in words, each kind once
	Damage    string   // the first thing that is not well-formed, "" = none was met
	Cut       bool     // the end of the document was not reached
	RootSpace string   // namespace of the root element as written
	Styles    []string // targets of xml-stylesheet instructions, never followed (at most 4)
	Entities  []string // entities of the document's own that its text uses: words that are missing (at most maxEntities)
	Work      int64    // bytes looked at while reading

	nodes [][]node
	count int32
	attrs []attr
	text  []byte
	names []string
	src   io.ReaderAt // UTF-8-ish source for long texts
	base  int64
}

const chunkBits = 12

type node struct {
	name        int32 // index of names; -1 = text
	parent      int32
	first, next int32 // 0 = none (node 0 is the document)
	a, n        int32 // attributes or text: start and count
	start, end  int64 // place in the source
}

type attr struct {
	name   int32
	off, n int32
}

// Node is one element or text of a tree; the zero Node is "absent" and safe to ask anything.
type Node struct {
	t *Tree
	i int32
}

func (t *Tree) at(i int32) *node { return &t.nodes[i>>chunkBits][i&(1<<chunkBits-1)] }

// Root is the first element; absent in a text without elements.
func (t *Tree) Root() Node {
	for i := t.at(0).first; i != 0; i = t.at(i).next {
		if t.at(i).name >= 0 {
			return Node{t, i}
		}
	}
	return Node{}
}

// Document is the node above the root: it also holds text that stands outside every element.
func (t *Tree) Document() Node { return Node{t, 0} }

// Nodes is how many nodes the tree has.
func (t *Tree) Nodes() int { return int(t.count) }

// OK says whether the node exists.
func (n Node) OK() bool { return n.t != nil }

// ID is a number that names the node in its tree; 0 for the absent node.
func (n Node) ID() int { return int(n.i) }

// IsText says whether the node is a text.
func (n Node) IsText() bool { return n.t != nil && n.i != 0 && n.t.at(n.i).name < 0 }

// Name is the element's name as Options.Spaces makes it; "" for text.
func (n Node) Name() string {
	if n.t == nil || n.i == 0 || n.t.at(n.i).name < 0 {
		return ""
	}
	return n.t.names[n.t.at(n.i).name]
}

// Parent is the element around the node; absent above the root.
func (n Node) Parent() Node {
	if n.t == nil || n.i == 0 || n.t.at(n.i).parent == 0 {
		return Node{}
	}
	return Node{n.t, n.t.at(n.i).parent}
}

// First is the first child, element or text; Next the following sibling. Both may be absent.
func (n Node) First() Node {
	if n.t == nil || n.t.at(n.i).name < 0 && n.i != 0 {
		return Node{}
	}
	return n.to(n.t.at(n.i).first)
}

// Next is the following sibling.
func (n Node) Next() Node {
	if n.t == nil {
		return Node{}
	}
	return n.to(n.t.at(n.i).next)
}

func (n Node) to(i int32) Node {
	if i == 0 {
		return Node{}
	}
	return Node{n.t, i}
}

// Elements are the child elements, of the given name or of every name when it is "".
func (n Node) Elements(name string) iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for c := n.First(); c.OK(); c = c.Next() {
			if !c.IsText() && (name == "" || c.Name() == name) && !yield(c) {
				return
			}
		}
	}
}

// Child is the first element reached by the names in turn, trying every branch; absent if there is none.
func (n Node) Child(names ...string) Node {
	if len(names) == 0 {
		return n
	}
	for c := range n.Elements(names[0]) {
		if found := c.Child(names[1:]...); found.OK() {
			return found
		}
	}
	return Node{}
}

// Attr is the value of the attribute, "" when absent. Attributes without prefix have plain names.
func (n Node) Attr(name string) string {
	v, _ := n.LookupAttr(name)
	return v
}

// LookupAttr is the value of the attribute and whether it is there.
func (n Node) LookupAttr(name string) (string, bool) {
	if n.t == nil || n.i == 0 || n.t.at(n.i).name < 0 {
		return "", false
	}
	d := n.t.at(n.i)
	for _, a := range n.t.attrs[d.a : d.a+d.n] {
		if n.t.names[a.name] == name {
			return string(n.t.text[a.off : a.off+a.n]), true
		}
	}
	return "", false
}

// Attrs are all attributes in their order.
func (n Node) Attrs() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if n.t == nil || n.i == 0 || n.t.at(n.i).name < 0 {
			return
		}
		d := n.t.at(n.i)
		for _, a := range n.t.attrs[d.a : d.a+d.n] {
			if !yield(n.t.names[a.name], string(n.t.text[a.off:a.off+a.n])) {
				return
			}
		}
	}
}

// Bytes is the kept text of a text node, not to be changed; nil for elements.
func (n Node) Bytes() []byte {
	if !n.IsText() {
		return nil
	}
	d := n.t.at(n.i)
	return n.t.text[d.a : d.a+d.n]
}

// Long says whether a text node was longer than what is kept; Open reads all of it.
func (n Node) Long() bool {
	if !n.IsText() {
		return false
	}
	d := n.t.at(n.i)
	return d.n >= MaxRun && d.end-d.start > int64(d.n)
}

// Open reads the node's span of the source, undecoded (entities and markup as written).
func (n Node) Open() *io.SectionReader {
	if n.t == nil || n.i == 0 {
		return io.NewSectionReader(strings.NewReader(""), 0, 0)
	}
	d := n.t.at(n.i)
	return io.NewSectionReader(n.t.src, d.start, d.end-d.start)
}

// Span is where the node stands in the (decoded) source, in bytes.
func (n Node) Span() (start, end int64) {
	if n.t == nil {
		return 0, 0
	}
	d := n.t.at(n.i)
	return d.start, d.end
}

// Text is all text inside the node, white space as written, at most limit bytes out of the first
// limit + 100 nodes (0 = all that is kept).
func (n Node) Text(limit int) string {
	var b strings.Builder
	looked := 0
	n.Walk(func(c Node) bool {
		if looked++; limit > 0 && looked > limit+100 {
			return false
		}
		if c.IsText() {
			t := c.Bytes()
			if limit > 0 && len(t) > limit-b.Len() {
				t = t[:max(0, limit-b.Len())]
			}
			b.Write(t)
		}
		return limit == 0 || b.Len() < limit
	}, nil)
	return b.String()
}

// Walk visits the node and everything in it in document order, without recursion. enter says whether
// to go inside; leave, if not nil, is called behind every element that was entered.
func (n Node) Walk(enter func(Node) bool, leave func(Node)) {
	if n.t == nil {
		return
	}
	cur := n
	for {
		inside := enter(cur) && !cur.IsText()
		if inside {
			if c := cur.First(); c.OK() {
				cur = c
				continue
			}
			if leave != nil {
				leave(cur)
			}
		}
		for cur.i != n.i {
			if next := cur.Next(); next.OK() {
				cur = next
				break
			}
			cur = Node{n.t, n.t.at(cur.i).parent}
			if leave != nil {
				leave(cur)
			}
		}
		if cur.i == n.i {
			return
		}
	}
}
