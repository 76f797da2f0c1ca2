package fhir

import (
	"encoding/json"
	"strconv"
	"strings"

	"postern/gateway/clinic/document/xmltree"
)

// element is a FHIR element in either syntax.
type element interface {
	kind() string               // resource type, for resources
	get(name string) []element  // the children of that name, a list as its members
	text() string               // a primitive's value
	narrative(limit int) string // the text of an xhtml div
}

type jsonElement struct{ v any }

func (e jsonElement) kind() string {
	o, _ := e.v.(map[string]any)
	t, _ := o["resourceType"].(string)
	return t
}

func (e jsonElement) get(name string) []element {
	o, _ := e.v.(map[string]any)
	switch v := o[name].(type) {
	case nil:
		return nil
	case []any:
		out := make([]element, 0, len(v))
		for _, x := range v {
			out = append(out, jsonElement{x})
		}
		return out
	default:
		return []element{jsonElement{v}}
	}
}

func (e jsonElement) text() string {
	switch v := e.v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (e jsonElement) narrative(limit int) string {
	s := e.text()
	t, err := xmltree.Read(strings.NewReader(s), int64(len(s)), xmltree.Options{Mixed: []string{"div"}})
	if err != nil {
		return ""
	}
	return narrative(t.Document(), limit)
}

type xmlElement struct{ n xmltree.Node }

func (e xmlElement) kind() string { return local(e.n.Name()) }

func (e xmlElement) get(name string) []element {
	var out []element
	for c := range e.n.Elements("") {
		if local(c.Name()) != name {
			continue
		}
		if name == "resource" || name == "contained" { // the resource stands inside
			for r := range c.Elements("") {
				out = append(out, xmlElement{r})
			}
			continue
		}
		out = append(out, xmlElement{c})
	}
	return out
}

func (e xmlElement) text() string               { return e.n.Attr("value") }
func (e xmlElement) narrative(limit int) string { return narrative(e.n, limit) }

func local(name string) string {
	if _, after, ok := strings.Cut(name, ":"); ok {
		return after
	}
	return name
}

// narrative is the text of an xhtml div, its blocks on lines of their own. Words that are struck through
// are said to be: read without the stroke they would be taken as current.
func narrative(n xmltree.Node, limit int) string {
	var b strings.Builder
	n.Walk(func(c xmltree.Node) bool {
		if c.IsText() {
			if b.Len() <= limit {
				b.Write(c.Bytes())
			}
			return true
		}
		switch strings.ToLower(local(c.Name())) {
		case "script", "style", "head":
			return false
		case "p", "div", "li", "tr", "br", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dt":
			b.WriteByte('\n')
		case "td", "th", "dd":
			b.WriteString(" \u00B7 ")
		}
		if struck(c) {
			b.WriteString(" [struck out: ")
		}
		return true
	}, func(c xmltree.Node) {
		if !c.IsText() && struck(c) {
			b.WriteString("] ")
		}
	})
	var out []string
	for line := range strings.Lines(b.String()) {
		line = strings.TrimPrefix(strings.Join(strings.Fields(line), " "), "\u00B7 ")
		if line != "" {
			out = append(out, line)
		}
	}
	s := strings.Join(out, "\n")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "\u2026 (cut)"
	}
	return s
}

func struck(c xmltree.Node) bool {
	switch strings.ToLower(local(c.Name())) {
	case "s", "del", "strike":
		return true
	}
	return strings.Contains(strings.ToLower(c.Attr("style")), "line-through")
}

// at is the first element along the path, or nil.
func at(e element, path ...string) element {
	for _, p := range path {
		list := e.get(p)
		if len(list) == 0 {
			return nil
		}
		e = list[0]
	}
	return e
}

func str(e element, path ...string) string {
	if e = at(e, path...); e == nil {
		return ""
	}
	return strings.TrimSpace(e.text())
}
