package xmltree

import (
	"bytes"
	"strings"
)

// binding is one namespace prefix in scope.
type binding struct{ prefix, uri string }

// maxBindings is how many namespace declarations count at once; a resolution looks at no more.
const maxBindings = 64

func nameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= 0x80
}

func nameEnd(b []byte) int {
	for i, c := range b {
		if c <= ' ' || c == '=' || c == '/' || c == '>' || c == '<' || c == '"' || c == '\'' {
			return i
		}
	}
	return len(b)
}

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] <= ' ' || b[0] == '/') {
		b = b[1:]
	}
	return b
}

// startTag reads <name a="v" …> or <name …/>.
func (b *builder) startTag() {
	start := b.s.offset()
	n, ok := b.s.tag(MaxTag)
	if !ok {
		b.literal("a tag is never closed; it is shown as text")
		return
	}
	raw := b.s.rest()[:n]
	b.inText = false
	body := raw[1 : len(raw)-1]
	empty := len(body) > 0 && body[len(body)-1] == '/'
	end := nameEnd(body)
	if len(b.stack) > MaxDepth {
		b.repair("elements nested too deeply are dissolved into the one around them")
		if !empty {
			b.lost++
		}
		b.s.pos += n
		return
	}
	f := frame{binds: len(b.binds), raw: b.raw(body[:end])}
	id := b.add(node{start: start, end: start + int64(n)})
	if b.full {
		return
	}
	b.link(id)
	b.attributes(id, body[end:])
	b.t.at(id).name = b.resolve(body[:end], true)
	b.s.pos += n
	if len(b.stack) == 1 {
		if b.stack[0].hasEle {
			b.damage("the document has more than one root element")
		} else {
			b.stack[0].hasEle = true
			prefix, _, _ := strings.Cut(f.raw, ":")
			if !strings.Contains(f.raw, ":") {
				prefix = ""
			}
			b.t.RootSpace, _ = b.uri(prefix)
		}
	}
	if empty {
		b.unbind(f.binds)
		return
	}
	f.id = id
	if b.special[b.t.names[b.t.at(id).name]] {
		f.mixed = true
		b.mixed++
	}
	b.stack = append(b.stack, f)
}

// rawAttr is an attribute before its prefix is resolved: every declaration of the tag counts first.
type rawAttr struct{ name, value []byte }

func (b *builder) attributes(id int32, body []byte) {
	var list [MaxAttrs]rawAttr
	n := 0
	for body = skipSpace(body); len(body) > 0; body = skipSpace(body) {
		var a rawAttr
		a, body = b.nextAttr(body)
		if len(a.name) == 0 {
			continue
		}
		if n == MaxAttrs {
			b.repair("an element has too many attributes; the rest of them is ignored")
			break
		}
		switch prefix, local, _ := bytes.Cut(a.name, []byte(":")); {
		case string(a.name) == "xmlns":
			b.bind("", a.value)
		case string(prefix) == "xmlns":
			b.bind(string(local), a.value)
		default:
			list[n] = a
			n++
		}
	}
	b.t.at(id).a = int32(len(b.t.attrs))
	for _, a := range list[:n] {
		off := int32(len(b.t.text))
		b.t.text = b.decodeText(b.t.text, a.value)
		b.t.attrs = append(b.t.attrs, attr{b.resolve(a.name, false), off, int32(len(b.t.text)) - off})
	}
	b.t.at(id).n = int32(n)
	if len(b.t.text) >= MaxText || len(b.t.attrs) >= 2*MaxNodes {
		b.overflow("attributes beyond the limit are not read")
	}
}

// nextAttr cuts one attribute off the front of a tag's body, forgiving missing quotes and values.
func (b *builder) nextAttr(body []byte) (rawAttr, []byte) {
	end := nameEnd(body)
	a := rawAttr{name: body[:end]}
	if end == 0 {
		b.damage("a tag holds something that is no attribute")
		return a, body[1:]
	}
	body = bytes.TrimLeft(body[end:], " \t\r\n")
	if len(body) == 0 || body[0] != '=' {
		b.damage("an attribute has no value")
		return a, body
	}
	body = bytes.TrimLeft(body[1:], " \t\r\n")
	if len(body) == 0 {
		return a, body
	}
	if body[0] == '"' || body[0] == '\'' {
		if i := bytes.IndexByte(body[1:], body[0]); i >= 0 {
			a.value = body[1 : 1+i]
			return a, body[i+2:]
		}
		b.damage("an attribute's quotes are not closed")
		a.value = body[1:]
		return a, nil
	}
	b.damage("an attribute is not quoted")
	i := bytes.IndexAny(body, " \t\r\n")
	if i < 0 {
		i = len(body)
	}
	a.value = body[:i]
	return a, body[i:]
}

func (b *builder) bind(prefix string, uri []byte) {
	if len(b.binds) >= maxBindings {
		b.repair("too many namespace declarations; the rest of them is ignored")
		return
	}
	b.binds = append(b.binds, binding{prefix, string(b.decodeText(nil, uri))})
	b.scope++
}

func (b *builder) uri(prefix string) (string, bool) {
	for i := len(b.binds) - 1; i >= 0; i-- {
		if b.binds[i].prefix == prefix {
			return b.binds[i].uri, true
		}
	}
	return "", false
}

func (b *builder) unbind(n int) {
	if len(b.binds) != n {
		b.binds = b.binds[:n]
		b.scope++
	}
}

// raw is a name as written, the same string each time.
func (b *builder) raw(name []byte) string {
	if s, ok := b.raws[string(name)]; ok {
		return s
	}
	s := string(name)
	if len(b.raws) < maxKnown {
		b.raws[s] = s
	}
	return s
}

// resolve is the number of a name as written, in the scope at hand.
func (b *builder) resolve(name []byte, element bool) int32 {
	cache := b.known[0]
	if element {
		cache = b.known[1]
	}
	k, ok := cache[string(name)]
	if ok && k.scope == b.scope {
		return k.id
	}
	raw := b.raw(name)
	id := b.lookup(raw, element)
	if ok || len(cache) < maxKnown {
		cache[raw] = known{b.scope, id}
	}
	return id
}

// lookup makes the short name of a qualified name and its number in the table of names.
func (b *builder) lookup(raw string, element bool) int32 {
	prefix, local, ok := strings.Cut(raw, ":")
	if !ok {
		prefix, local = "", raw
	}
	name := local
	if b.o.Spaces != nil && (element || prefix != "") {
		name = b.short(prefix, local)
	}
	name = strings.ToValidUTF8(name, "\uFFFD")
	if id, ok := b.names[name]; ok {
		return id
	}
	if len(b.t.names) >= MaxNames {
		b.repair("too many different names; the rest of them is not kept")
		return b.intern("?:?")
	}
	return b.intern(name)
}

func (b *builder) short(prefix, local string) string {
	uri, bound := b.uri(prefix)
	if !bound || uri == "" {
		// A fragment cut out of its document: an undeclared prefix is taken by its usual meaning.
		switch prefix {
		case "":
			return local
		case "xsi", "sdtc", "xml":
			return prefix + ":" + local
		case "cda", "hl7", "n1", "ns0", "ns1":
			return local
		}
		return "?:" + local
	}
	if s, ok := b.o.Spaces[uri]; ok {
		if s == "" {
			return local
		}
		return s + ":" + local
	}
	return "?:" + local
}

func (b *builder) intern(name string) int32 {
	if id, ok := b.names[name]; ok {
		return id
	}
	id := int32(len(b.t.names))
	b.t.names = append(b.t.names, name)
	b.names[name] = id
	return id
}

// endTag closes the innermost open element of that name, and those inside it that were never closed.
func (b *builder) endTag() {
	n, ok := b.s.tag(MaxTag)
	if !ok {
		b.literal("a tag is never closed; it is shown as text")
		return
	}
	body := b.s.rest()[2 : n-1]
	name := body[:nameEnd(body)]
	b.inText = false
	b.s.pos += n
	if b.lost > 0 {
		b.lost--
		return
	}
	at := len(b.stack) - 1
	for at > 0 && b.stack[at].raw != string(name) {
		at--
		b.s.work++
	}
	if at <= 0 {
		b.damage("an end tag </" + clip(string(name)) + "> closes nothing and is ignored")
		return
	}
	if at < len(b.stack)-1 {
		b.damage("<" + clip(b.stack[len(b.stack)-1].raw) + "> is not closed before </" + clip(string(name)) + ">")
	}
	for len(b.stack) > at {
		b.pop(b.s.offset())
	}
}

func (b *builder) pop(end int64) {
	f := b.stack[len(b.stack)-1]
	b.stack = b.stack[:len(b.stack)-1]
	b.t.at(f.id).end = end
	b.unbind(f.binds)
	b.inText = false
	if f.mixed {
		b.mixed--
	}
}
