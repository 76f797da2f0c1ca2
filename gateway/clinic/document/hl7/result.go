package hl7

import (
	"strings"

	"postern/gateway/clinic/document/chart"
)

// result is an OBX: its value by its data type (chapter 7.4.2), as written.
func result(s Segment) chart.Line {
	l := chart.Line{Group: "Results", Name: words(s, 3), Code: coded(s, 3), Time: chart.ParseTime(s.Get(14, 1)), Flag: flags(s), Value: value(s)}
	unit := s.Get(6, 1)
	if unit == "" {
		unit = s.Get(6, 2)
	}
	if unit = chart.UnitWords(unit); unit != "" && l.Value != "" {
		l.Value += " " + unit
	}
	if r := s.Text(7); r != "" {
		l.Note = "usual " + r
	}
	if l.Name == "" && l.Value != "" {
		if l.Name = named(s.Get(3, 5)); s.Get(3, 5) == "" && (s.Get(2, 1) == "TX" || s.Get(2, 1) == "FT") {
			l.Name = "Text" // a line of a report
		}
	}
	if l.Value == "" && l.Name != "" {
		l.Value = "(no value)"
	}
	return l
}

// value is OBX-5: every repetition, by the data type of OBX-2.
func value(s Segment) string {
	if s.Raw(5) == `""` {
		return "(value deleted by the sender)"
	}
	var one func(rep string) string
	sep := ", "
	switch s.Get(2, 1) {
	case "ED":
		one = func(r string) string { return encapsulated(s, r) }
	case "RP":
		one = func(r string) string { return label("file kept elsewhere, not fetched:", s.Component(r, 1)) }
	case "CE", "CWE", "CNE", "CF":
		one = func(r string) string { return codeWords(s, r) }
	case "DT", "TS", "DTM":
		one = func(r string) string { return chart.ParseTime(s.Component(r, 1)).String() }
	case "SN": // comparator, number, separator, number
		one = func(r string) string {
			return join("", s.Component(r, 1), s.Component(r, 2), s.Component(r, 3), s.Component(r, 4))
		}
	case "NR":
		one = func(r string) string { return join(" to ", s.Component(r, 1), s.Component(r, 2)) }
	case "CQ":
		one = func(r string) string { return join(" ", s.Component(r, 1), s.Component(r, 2)) }
	case "NM":
		one = func(r string) string { return s.Component(r, 1) }
	case "XCN":
		one = func(r string) string { return name(s, r, 2).String() }
	default:
		return s.Text(5) // TX, FT, ST and whatever else: all of it
	}
	var out []string
	for _, r := range s.Repeats(5) {
		if v := one(r); v != "" {
			out = append(out, v)
		}
	}
	if s.overlong(5) {
		out = append(out, "and more in the message as sent")
	}
	return strings.Join(out, sep)
}

// encapsulated is what stands in place of a file: that it is one, or its words where it is plain text.
func encapsulated(s Segment, rep string) string {
	parts := splitMax(rep, s.sep.component, 10)
	switch {
	case len(parts) < 5 || strings.TrimSpace(parts[4]) == "":
		return "(attached file, but nothing is in it)"
	case strings.EqualFold(parts[3], "A"):
		return s.unescape(parts[4])
	case strings.EqualFold(parts[3], "Base64"), strings.EqualFold(parts[3], "Hex"):
		return "attached file"
	}
	return "(attached file in an encoding that is not read)"
}

// flags are all of OBX-8 in words; "normal" goes without saying.
func flags(s Segment) string {
	var out []string
	for _, r := range s.Repeats(8) {
		if w := flag(s.Component(r, 1), s.Component(r, 2)); w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

// flag is a code of table 0078 in words.
func flag(code, display string) string {
	if strings.EqualFold(strings.TrimSpace(code), "N") {
		return ""
	}
	if w := chart.FlagName(code); w != "" {
		return w
	}
	if display != "" {
		return display
	}
	return code
}
