package notice

import (
	"strconv"
	"strings"

	"postern/smime/addr"
)

// group is one block of report fields: every value of a name in lower case, in the order they stand in.
type group map[string][]string

// maxValues is how many values of one name are kept.
const maxValues = 8

func (g group) has(name string) bool { return len(g[name]) > 0 }

// get is the first value.
func (g group) get(name string) string {
	if !g.has(name) {
		return ""
	}
	return g[name][0]
}

// merge adds what another block says.
func (g group) merge(more group) {
	for name, values := range more {
		g[name] = append(g[name], values...)
		g[name] = g[name][:min(len(g[name]), maxValues)]
	}
}

// readGroups reads the body of a report part: blocks of fields with blank lines between (RFC 3464
// §2.1). QUIRK: some systems leave the blank line out, so a second recipient begins a block too. Lines
// that are no field are passed over and counted; line ends may be LF.
func readGroups(b []byte) (groups []group, strange int) {
	r := groupReader{}
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(b), "?"), "\n") {
		r.line(strings.TrimRight(line, " \t\r"))
	}
	r.end()
	return r.groups, r.strange
}

type groupReader struct {
	groups  []group
	g       group
	last    string // the field a folded line goes on with; "" for none
	strange int
}

func (r *groupReader) end() {
	if len(r.g) > 0 && len(r.groups) <= MaxRecipients {
		r.groups = append(r.groups, r.g)
	}
	r.g, r.last = nil, ""
}

func (r *groupReader) line(line string) {
	if line == "" {
		r.end()
		return
	}
	if line[0] == ' ' || line[0] == '\t' {
		if r.last == "" {
			r.strange++
		} else if v := r.g[r.last]; len(v[len(v)-1]) < 4*MaxText {
			v[len(v)-1] += " " + strings.TrimSpace(line)
		}
		return
	}
	name, value, ok := strings.Cut(line, ":")
	name = strings.ToLower(strings.TrimSpace(name))
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		r.strange++
		r.last = ""
		return
	}
	if (name == "final-recipient" || name == "original-recipient") && r.g.has(name) {
		r.end()
	}
	if r.g == nil {
		r.g = group{}
	}
	if len(r.g[name]) >= maxValues {
		r.last = ""
		return
	}
	r.g[name], r.last = append(r.g[name], strings.TrimSpace(value)), name
}

// readRecipient reads Final-Recipient or Original-Recipient (DN-46): the type, angle brackets, blanks
// and case do not matter. QUIRK: several agents leave the type out, some write a display name or a
// comment beside the address, some lose an angle bracket.
func readRecipient(v string) (a addr.Address, written string) {
	v = strings.TrimSpace(v)
	if kind, after, ok := strings.Cut(v, ";"); ok && !strings.ContainsAny(kind, `"<@`) {
		v = strings.TrimSpace(after)
		if strings.EqualFold(strings.TrimSpace(kind), "utf-8") {
			v = readUnitext(v)
		}
	}
	if a, err := addr.Parse(v); err == nil {
		return a, ""
	}
	if l, err := addr.ParseList(v); err == nil && len(l) == 1 {
		return l[0], ""
	}
	if a, err := addr.Parse(strings.Trim(v, "<> \t")); err == nil {
		return a, ""
	}
	return addr.Address{}, oneLineText(v, MaxText)
}

// readUnitext decodes the characters that an address of type utf-8 may spell as \x{HEX} (RFC 6533 §3).
func readUnitext(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		digits, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(digits, 16, 21)
		if !found || !closed || err != nil {
			b.WriteString(s[len(before):])
			return b.String()
		}
		b.WriteRune(rune(n))
		s = after
	}
}

// cleanStatus takes the code of RFC 3463 from a Status field, which may go on with a comment or, in
// the field, with bare words: digits.digits.digits, class 2, 4 or 5. Else "".
func cleanStatus(v string) string {
	v = strings.TrimSpace(v)
	if i := strings.IndexAny(v, " \t("); i >= 0 {
		v = v[:i]
	}
	parts := strings.Split(v, ".")
	if len(parts) != 3 || len(parts[0]) != 1 || !strings.Contains("245", parts[0]) {
		return ""
	}
	for _, p := range parts[1:] {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return ""
		}
	}
	return v
}

// cleanAction is the action's word in lower case, without a comment or words after it.
func cleanAction(v string) Action {
	v = strings.ToLower(strings.TrimSpace(v))
	if i := strings.IndexAny(v, " \t(;"); i >= 0 {
		v = v[:i]
	}
	return Action(oneLineText(v, 40))
}

// diagnostic drops the type in front of a Diagnostic-Code.
func diagnostic(v string) string {
	if kind, after, ok := strings.Cut(v, ";"); ok && !strings.ContainsAny(strings.TrimSpace(kind), " \t") {
		v = after
	}
	return oneLineText(v, MaxText)
}
