package write

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"postern/gateway/clinic/document"
	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/template"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// templatesData is the dot of the list of ready texts.
type templatesData struct {
	Lines []templateLine
	May   bool
}

type templateLine struct {
	template.Template
	OwnerName string
	Due       bool // it is to be read again
}

func (p *pen) showTemplates(q *web.Request) error {
	all, err := p.Store.Templates(q.Context(), q.Org)
	if err != nil {
		return err
	}
	people, err := p.Store.People(q.Context(), q.Org)
	if err != nil {
		return err
	}
	data := templatesData{May: q.Rights.Can(staff.ManageTemplates)}
	for _, t := range all {
		l := templateLine{Template: t, Due: !t.Review.IsZero() && t.Review.Before(q.Now)}
		for _, x := range people {
			if string(x.ID) == t.Owner {
				l.OwnerName = x.Name
			}
		}
		data.Lines = append(data.Lines, l)
	}
	return q.Page(p.templates, "Ready texts", data)
}

// templateData is the dot of one ready text's page.
type templateData struct {
	template.Template
	Fields     []template.Field
	Categories []staff.Category
	People     []staff.Person
	Review     string
}

func (p *pen) templateData(q *web.Request) (d templateData, err error) {
	d.Fields, d.Categories, d.Owner = template.Fields(), staff.Categories(), string(q.Person.ID)
	if id := q.URL.Query().Get("id"); id != "" {
		if d.Template, err = p.Store.Template(q.Context(), q.Org, id); err != nil {
			return d, err
		}
	}
	if !d.Template.Review.IsZero() {
		d.Review = d.Template.Review.In(q.Person.Location()).Format(time.DateOnly)
	}
	d.People, err = p.Store.People(q.Context(), q.Org)
	return d, err
}

func (p *pen) showTemplate(q *web.Request) error {
	d, err := p.templateData(q)
	if err != nil {
		return err
	}
	return q.Page(p.template, "Ready text", d)
}

func (p *pen) saveTemplate(q *web.Request) error {
	d, err := p.templateData(q)
	if err != nil {
		return err
	}
	f := q.PostForm
	t := template.Template{ID: d.ID, Org: q.Org, Name: strings.TrimSpace(f.Get("name")), Subject: strings.TrimSpace(f.Get("subject")),
		Body: strings.ReplaceAll(f.Get("body"), "\r\n", "\n"), Owner: f.Get("owner"), Category: f.Get("category")}
	again := func(err error) error { return q.Again(p.template, "Ready text", d, err) }
	if r := f.Get("review"); r != "" {
		if t.Review, err = time.ParseInLocation(time.DateOnly, r, q.Person.Location()); err != nil {
			return again(&web.Invalid{Field: "review", Text: "Write the day as 2026-11-30."})
		}
	}
	if c := staff.Category(t.Category); c != "" && !c.Valid() {
		return again(&web.Invalid{Field: "category", Text: "There is no such category."})
	}
	owned := false
	for _, x := range d.People {
		owned = owned || string(x.ID) == t.Owner && !x.Disabled
	}
	if !owned {
		return again(&web.Invalid{Field: "owner", Text: "Choose who answers for the text."})
	}
	if err := t.Check(); err != nil {
		field := "body"
		if errors.Is(err, template.ErrName) {
			field = "name"
		}
		return again(&web.Invalid{Field: field, Text: sentence(err)})
	}
	if _, err := p.Store.SaveTemplate(q.Context(), t, entry(q, "template.save", t.Name, nil)); errors.Is(err, store.ErrExists) {
		return again(&web.Invalid{Field: "name", Text: "Another text has this name."})
	} else if err != nil {
		return err
	}
	return q.See("/templates", "Saved.")
}

func (p *pen) removeTemplate(q *web.Request) error {
	id := q.PostForm.Get("id")
	if err := p.Store.RemoveTemplate(q.Context(), q.Org, id, entry(q, "template.remove", id, nil)); err != nil {
		return err
	}
	return q.See("/templates", "The text is gone. Drafts that used it stay as they are.")
}

// policyData is the dot of the page about files.
type policyData struct {
	Rules []policyLine
	Kinds []document.Kind

	Scanner string // what is scanned, in words; "" is nothing
}

type policyLine struct {
	letter.FileRule
	KB int64
}

// kinds are those a rule is usually made for; Any is the rest.
func kinds() []document.Kind {
	return []document.Kind{document.CCDA, document.XDM, document.PDF, document.Zip, document.Office, document.HTML, document.Text, document.RTF, document.PNG, document.JPEG,
		document.TIFF, document.DICOM, document.HL7v2, document.FHIRJSON, document.FHIRXML, document.Program, document.Unknown, letter.Any}
}

func (p *pen) policyData(q *web.Request) (d policyData, err error) {
	rules, err := p.Store.FilePolicy(q.Context(), q.Org)
	for _, r := range rules {
		d.Rules = append(d.Rules, policyLine{r, r.MaxSize >> 10})
	}
	d.Kinds, d.Scanner = kinds(), p.Scanner
	return d, err
}

func (p *pen) showPolicy(q *web.Request) error {
	d, err := p.policyData(q)
	if err != nil {
		return err
	}
	return q.Page(p.policy, "Files", d)
}

// savePolicy adds a rule, or takes one away.
func (p *pen) savePolicy(q *web.Request) error {
	d, err := p.policyData(q)
	if err != nil {
		return err
	}
	f := q.PostForm
	var rules letter.Policy
	r := letter.FileRule{Direction: letter.Direction(f.Get("direction")), Kind: document.Kind(f.Get("kind")), Action: letter.Action(f.Get("action")), Reason: strings.TrimSpace(f.Get("reason"))}
	for _, l := range d.Rules {
		if l.Direction != r.Direction || l.Kind != r.Kind {
			rules = append(rules, l.FileRule)
		}
	}
	if f.Get("do") != "remove" {
		if size := f.Get("size"); size != "" {
			kb, err := strconv.ParseInt(size, 10, 32)
			if err != nil || kb < 0 {
				return q.Again(p.policy, "Files", d, &web.Invalid{Field: "size", Text: "A number of kilobytes, or nothing."})
			}
			r.MaxSize = kb << 10
		}
		if err := r.Check(); err != nil {
			return q.Again(p.policy, "Files", d, &web.Refusal{Text: sentence(err)})
		}
		rules = append(rules, r)
	}
	if err := p.Store.SetFilePolicy(q.Context(), q.Org, rules, entry(q, "file_policy", "", map[string]any{"direction": r.Direction, "kind": r.Kind, "do": f.Get("do"), "action": r.Action})); err != nil {
		return err
	}
	return q.See("/files", "Saved. It holds from now on.")
}
