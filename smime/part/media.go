package part

import (
	"mime"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// ParseMedia reads a Content-Type or Content-Disposition value: the type in lower case and its
// parameters with lower-case names. It takes what senders write: missing semicolons and quotes,
// comments, unquoted special characters, RFC 2231 continuations, RFC 2047 words in parameters.
// The first of doubled parameters counts; repaired says that something was not as it should be.
func ParseMedia(value string) (typ string, params map[string]string, repaired bool) {
	s := scan{in: value}
	typ = strings.ToLower(strings.TrimSpace(s.until(';')))
	if i := strings.IndexAny(typ, " \t"); i >= 0 {
		typ, repaired = typ[:i], true
	}
	raw := map[string]string{}
	for s.pos < len(s.in) && len(raw) < maxParams {
		name, val, ok := s.param()
		if !ok {
			if name != "" {
				repaired = true
			}
			continue
		}
		if _, doubled := raw[name]; doubled {
			repaired = true
			continue
		}
		raw[name] = val
	}
	for name := range raw {
		if strings.IndexByte(name, '*') >= 0 {
			return typ, joinParams(raw), repaired
		}
	}
	return typ, raw, repaired
}

// MediaType is what ParseMedia gives for the type, where nobody asks for parameters.
func MediaType(value string) string {
	s := scan{in: value}
	typ := strings.ToLower(strings.TrimSpace(s.until(';')))
	if i := strings.IndexAny(typ, " \t"); i >= 0 {
		typ = typ[:i]
	}
	return typ
}

type scan struct {
	in     string
	pos    int
	looked int // octets searched for an equals sign: the work done, for tests of linear cost
}

// until copies text up to stop, dropping comments (RFC 2045 §5.1).
func (s *scan) until(stop byte) string {
	rest := s.in[s.pos:]
	end := strings.IndexByte(rest, stop)
	if end < 0 {
		end = len(rest)
	}
	if !strings.ContainsAny(rest[:end], "()") {
		s.pos = min(s.pos+end+1, len(s.in))
		return rest[:end]
	}
	var b strings.Builder
	depth := 0
	for ; s.pos < len(s.in); s.pos++ {
		c := s.in[s.pos]
		switch {
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case c == stop:
			s.pos++
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// param reads one name=value and the semicolon behind it.
func (s *scan) param() (name, value string, ok bool) {
	start := s.pos
	rest := s.in[s.pos:]
	if semi := strings.IndexByte(rest, ';'); semi >= 0 {
		rest = rest[:semi] // or a flood of semicolons would be searched to its end once for each
	}
	s.looked += len(rest)
	if strings.IndexByte(rest, '=') < 0 {
		name = strings.TrimSpace(s.until(';'))
		if s.pos == start {
			s.pos++
		}
		return name, "", false
	}
	name = strings.ToLower(strings.TrimSpace(s.until('=')))
	for s.pos < len(s.in) && (s.in[s.pos] == ' ' || s.in[s.pos] == '\t') {
		s.pos++
	}
	if s.pos < len(s.in) && s.in[s.pos] == '"' {
		value = s.quoted()
		s.until(';')
	} else {
		value = strings.TrimSpace(s.until(';'))
	}
	return name, value, name != ""
}

func (s *scan) quoted() string {
	if i := strings.IndexAny(s.in[s.pos+1:], `"\\`); i >= 0 && s.in[s.pos+1+i] == '"' { // nothing to take out
		text := s.in[s.pos+1 : s.pos+1+i]
		s.pos += i + 2
		return text
	}
	var b strings.Builder
	for s.pos++; s.pos < len(s.in); s.pos++ {
		c := s.in[s.pos]
		if c == '"' {
			s.pos++
			break
		}
		if c == '\\' && s.pos+1 < len(s.in) {
			s.pos++
			c = s.in[s.pos]
		}
		b.WriteByte(c)
	}
	return b.String()
}

// joinParams puts RFC 2231 continuations (name*0, name*1*, name*) together and decodes them.
func joinParams(raw map[string]string) map[string]string {
	out := map[string]string{}
	type piece struct {
		n       int
		text    string
		encoded bool
	}
	pieces := map[string][]piece{}
	for name, v := range raw {
		base, rest, star := strings.Cut(name, "*")
		if !star || base == "" {
			out[name] = v
			continue
		}
		encoded := rest == "" || strings.HasSuffix(rest, "*")
		n := 0
		if t := strings.TrimSuffix(rest, "*"); t != "" {
			k, err := strconv.Atoi(t)
			if err != nil {
				continue
			}
			n = k
		}
		pieces[base] = append(pieces[base], piece{n, v, encoded})
	}
	for base, list := range pieces {
		sort.Slice(list, func(i, j int) bool { return list[i].n < list[j].n })
		var b strings.Builder
		charset := ""
		for i, p := range list {
			text := p.text
			if p.encoded {
				if i == 0 {
					if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
						charset, text = parts[0], parts[2]
					}
				}
				if un, err := url.PathUnescape(text); err == nil {
					text = un
				}
			}
			b.WriteString(text)
		}
		out[base] = toUTF8(charset, b.String())
	}
	return out
}

func toUTF8(charset, s string) string {
	if strings.EqualFold(charset, "iso-8859-1") {
		r := make([]rune, len(s))
		for i := range len(s) {
			r[i] = rune(s[i])
		}
		return string(r)
	}
	return s
}

// DecodeWords decodes RFC 2047 encoded words; what it cannot decode stays.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	var d mime.WordDecoder
	if t, err := d.DecodeHeader(s); err == nil {
		return t
	}
	return s
}

// describe fills what a header says of its part.
func (p *Part) describe(digestParent bool) {
	h := p.Header
	p.MediaType, p.Params = "text/plain", map[string]string{}
	if digestParent {
		p.MediaType = "message/rfc822" // RFC 2046 §5.1.5
	}
	if v := h.Get("Content-Type"); v != "" {
		typ, params, repaired := ParseMedia(v)
		p.Params = params
		if strings.Count(typ, "/") == 1 && !strings.HasPrefix(typ, "/") && !strings.HasSuffix(typ, "/") {
			p.MediaType = typ
		} else {
			repaired = true
		}
		if repaired {
			p.repair("content type is malformed")
		}
	}
	if len(p.Params["boundary"]) > maxBoundary {
		p.repair("boundary is too long to be one")
		delete(p.Params, "boundary")
	}
	p.Encoding = strings.ToLower(strings.TrimSpace(strings.Trim(h.Get("Content-Transfer-Encoding"), `";`)))
	if i := strings.IndexAny(p.Encoding, " \t;("); i >= 0 {
		p.Encoding = p.Encoding[:i]
		p.repair("transfer encoding is malformed")
	}
	if p.Encoding == "" {
		p.Encoding = "7bit"
	}
	name := ""
	if v := h.Get("Content-Disposition"); v != "" {
		typ, params, _ := ParseMedia(v)
		p.Disposition, name = typ, params["filename"]
	}
	if name == "" {
		name = p.Params["name"]
	}
	p.Filename = DecodeWords(name)
	if len(p.Filename) > maxFilename {
		p.Filename = strings.ToValidUTF8(p.Filename[:maxFilename], "")
	}
	p.Repairs = append(p.Repairs, h.Repairs...)
}

func (p *Part) repair(what string) { p.Repairs = append(p.Repairs, what) }
