package ccda

import (
	"strings"

	"postern/gateway/clinic/document/chart"
	"postern/gateway/clinic/document/xmltree"
)

func readID(n xmltree.Node) chart.ID {
	return chart.ID{Root: trim(n.Attr("root")), Extension: trim(n.Attr("extension")), Authority: trim(n.Attr("assigningAuthorityName")), Null: n.Attr("nullFlavor")}
}

// readIDs are the id children; sdtc:identifiedBy gives an identifier its type (table 0203).
func readIDs(n xmltree.Node) []chart.ID {
	var out []chart.ID
	for id := range n.Elements("id") {
		if len(out) < maxIDs {
			out = append(out, readID(id))
		}
	}
	return out
}

// readCode reads a CD or CE with its original text; a null flavour's translation stands in for it.
func readCode(n xmltree.Node) chart.Code {
	if !n.OK() {
		return chart.Code{}
	}
	c := chart.Code{Code: trim(n.Attr("code")), System: trim(n.Attr("codeSystem")), Display: words(n.Attr("displayName")), Null: n.Attr("nullFlavor")}
	if ot := n.Child("originalText"); ot.OK() {
		c.Text = squeeze(ot.Text(maxWords))
	}
	if c.Code == "" && c.Display == "" {
		for t := range n.Elements("translation") {
			if d := t.Attr("displayName"); d != "" || t.Attr("code") != "" {
				c.Code, c.System, c.Display = trim(t.Attr("code")), trim(t.Attr("codeSystem")), words(d)
				break
			}
		}
	}
	return c
}

// words is a display name; the word null is none. QUIRK: Meditech writes it for a missing name.
func words(s string) string {
	if s = squeeze(clip(s, maxWords)); s == "null" {
		return ""
	}
	return s
}

// readTime reads a TS, or the low or center of an IVL_TS.
func readTime(n xmltree.Node) chart.Time {
	if !n.OK() {
		return chart.Time{}
	}
	if v, ok := n.LookupAttr("value"); ok {
		t := chart.ParseTime(v)
		t.Null = n.Attr("nullFlavor")
		return t
	}
	for _, part := range []string{"low", "center", "high"} {
		if v := n.Child(part).Attr("value"); v != "" {
			return chart.ParseTime(v)
		}
	}
	return chart.Time{Null: n.Attr("nullFlavor")}
}

// readName reads an EN: parts in their order, or plain text. A part that is the word "null" is left
// out: QUIRK: Kareo exports write it for a missing middle name.
func readName(n xmltree.Node) chart.Name {
	name := chart.Name{Use: n.Attr("use")}
	add := func(to *string, part xmltree.Node) {
		s := squeeze(part.Text(maxWords))
		if s == "" || s == "null" || len(*to)+len(s) > maxWords {
			return
		}
		if *to != "" {
			*to += " "
		}
		*to += s
	}
	for part := range n.Elements("") {
		switch part.Name() {
		case "given":
			add(&name.Given, part)
		case "family":
			add(&name.Family, part)
		case "prefix":
			add(&name.Prefix, part)
		case "suffix":
			add(&name.Suffix, part)
		}
	}
	if name.Given == "" && name.Family == "" {
		name.Text = squeeze(n.Text(maxWords))
	}
	return name
}

func readAddresses(n xmltree.Node) []chart.Address {
	var out []chart.Address
	for a := range n.Elements("addr") {
		addr := chart.Address{Use: a.Attr("use")}
		for part := range a.Elements("") {
			s := squeeze(part.Text(maxWords))
			switch part.Name() {
			case "streetAddressLine", "additionalLocator", "unitID", "houseNumber", "streetName", "delimiter":
				if s != "" && len(addr.Lines) < maxIDs {
					addr.Lines = append(addr.Lines, s)
				}
			case "city":
				addr.City = s
			case "state":
				addr.State = s
			case "postalCode":
				addr.Postal = s
			case "country":
				addr.Country = s
			}
		}
		if addr.Zero() {
			if s := squeeze(a.Text(maxWords)); s != "" {
				addr.Lines = []string{s}
			}
		}
		if !addr.Zero() && len(out) < maxIDs {
			out = append(out, addr)
		}
	}
	return out
}

func readTelecoms(n xmltree.Node) []chart.Telecom {
	var out []chart.Telecom
	for t := range n.Elements("telecom") {
		if v := trim(t.Attr("value")); v != "" && len(out) < maxIDs {
			out = append(out, chart.Telecom{Value: v, Use: t.Attr("use")})
		}
	}
	return out
}

func trim(s string) string { return strings.TrimSpace(clip(s, maxWords)) }

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
