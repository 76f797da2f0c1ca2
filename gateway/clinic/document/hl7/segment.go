package hl7

import "strings"

// Len is the number of the last field.
func (s Segment) Len() int { return len(s.fields) - 1 }

// Raw is field n as written, "" when absent.
func (s Segment) Raw(n int) string {
	if n <= 0 || n >= len(s.fields) {
		return ""
	}
	return s.fields[n]
}

// Repeats are the repetitions of field n as written.
func (s Segment) Repeats(n int) []string {
	raw := s.Raw(n)
	if raw == "" {
		return nil
	}
	if s.Name == "MSH" && n <= 2 {
		return []string{raw}
	}
	return splitMax(raw, s.sep.repeat, maxRepeats)
}

// Get is component c (from 1) of the first repetition of field n, unescaped; its first subcomponent.
func (s Segment) Get(n, c int) string {
	r := s.Repeats(n)
	if len(r) == 0 {
		return ""
	}
	return s.Component(r[0], c)
}

// Component is component c (from 1) of one repetition, its first subcomponent, unescaped.
func (s Segment) Component(rep string, c int) string {
	parts := splitMax(rep, s.sep.component, 100)
	if c > len(parts) {
		return ""
	}
	sub, _, _ := strings.Cut(parts[c-1], string(s.sep.sub))
	if sub == `""` {
		return "" // explicit null: delete this value
	}
	return s.unescape(sub)
}

// part is a subcomponent (from 1) of component c of one repetition, unescaped.
func (s Segment) part(rep string, c, sub int) string {
	parts := splitMax(rep, s.sep.component, 100)
	if c > len(parts) {
		return ""
	}
	subs := splitMax(parts[c-1], s.sep.sub, 20)
	if sub > len(subs) || subs[sub-1] == `""` {
		return ""
	}
	return s.unescape(subs[sub-1])
}

// Text is field n for a reader: components joined by a blank, repetitions by a line end, unescaped.
func (s Segment) Text(n int) string {
	var out []string
	for _, r := range s.Repeats(n) {
		if s.Name == "MSH" && n <= 2 {
			return r
		}
		var parts []string
		for _, c := range splitMax(r, s.sep.component, 100) {
			c = strings.ReplaceAll(c, string(s.sep.sub), " ")
			if c = strings.TrimSpace(s.unescape(c)); c != "" && c != `""` {
				parts = append(parts, c)
			}
		}
		if len(parts) > 0 {
			out = append(out, strings.Join(parts, " "))
		}
	}
	if s.overlong(n) {
		out = append(out, "and more in the message as sent")
	}
	return strings.Join(out, "\n")
}

// overlong says whether field n has more repetitions than are read.
func (s Segment) overlong(n int) bool {
	return strings.Count(s.Raw(n), string(s.sep.repeat)) >= maxRepeats
}

func splitMax(s string, sep byte, n int) []string {
	parts := strings.SplitN(s, string(sep), n+1)
	if len(parts) > n {
		parts = parts[:n]
	}
	return parts
}
