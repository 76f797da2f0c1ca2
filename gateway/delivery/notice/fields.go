package notice

import (
	"strings"

	"postern/smime/addr"
)

// group is one block of report fields; names in lower case, the first of a name counts.
type group map[string]string

// readGroups reads the body of a report part: blocks of fields with blank lines between (RFC 3464
// §2.1). Lines that are no field are passed over and counted; line ends may be LF.
func readGroups(b []byte) (groups []group, strange int) {
	var g group
	last := ""
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(b), "?"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			if len(g) > 0 && len(groups) <= MaxRecipients {
				groups = append(groups, g)
			}
			g, last = nil, ""
			continue
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last == "" {
				strange++
			} else if len(g[last]) < 4*MaxText {
				g[last] += " " + strings.TrimSpace(line)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			strange++
			last = ""
			continue
		}
		if _, again := g[name]; again {
			last = ""
			continue
		}
		if g == nil {
			g = group{}
		}
		g[name], last = strings.TrimSpace(value), name
	}
	if len(g) > 0 && len(groups) <= MaxRecipients {
		groups = append(groups, g)
	}
	return groups, strange
}

// readRecipient reads Final-Recipient or Original-Recipient (DN-46): "rfc822;" and angle brackets,
// blanks and case do not matter. QUIRK: several agents leave the type out.
func readRecipient(v string) (a addr.Address, written string) {
	v = strings.TrimSpace(v)
	if _, after, ok := strings.Cut(v, ";"); ok {
		v = strings.TrimSpace(after)
	}
	a, err := addr.Parse(v)
	if err != nil {
		return addr.Address{}, oneLineText(v, MaxText)
	}
	return a, ""
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
