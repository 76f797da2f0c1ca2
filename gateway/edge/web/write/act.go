package write

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/template"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// next does what the form's button says with a draft that is kept.
func (p *pen) next(q *web.Request, id letter.ID) error {
	d, err := p.Desk.Load(q.Context(), q.Org, id)
	if err != nil {
		return err
	}
	do, which, _ := strings.Cut(q.PostForm.Get("do"), " ")
	here := "/write/draft/" + string(id)
	switch do {
	case "check":
		return p.check(q, d)
	case "send":
		if n, err := strconv.Atoi(which); err == nil { // "send all the same": so many answers its writer was told of
			d.Known = max(d.Known, n)
		}
		return p.send(q, d)
	case "ask":
		return p.ask(q, d)
	case "fill":
		return p.fill(q, d)
	case "throw":
		if err := errors.Join(p.Desk.Throw(q.Context(), q.Person, d), p.end(q, d)); err != nil {
			return err
		}
		return q.See("/write", "The draft is thrown away.")
	case "detach":
		n, err := strconv.Atoi(which)
		if err != nil {
			return web.ErrNotFound
		}
		if err := p.Desk.Detach(q.Context(), q.Person, d, n); err != nil {
			return err
		}
		return q.See(here, "The file is off.")
	}
	return q.See(here, "Saved.")
}

// end tells that nobody writes any more.
func (p *pen) end(q *web.Request, d letter.Draft) error {
	if d.Work == "" {
		return nil
	}
	return p.Store.EndAnswer(q.Context(), q.Org, d.Work, d.Person)
}

// check shows what stands in the draft's way.
func (p *pen) check(q *web.Request, d letter.Draft) error {
	r, err := p.Desk.Check(q.Context(), d)
	if err != nil {
		return err
	}
	return p.show(q, d, func(x *draftData) { x.Stored, x.Report = true, &r })
}

// send sends the draft, or shows why not.
func (p *pen) send(q *web.Request, d letter.Draft) error {
	may, err := p.level(q, d)
	if err != nil {
		return err
	}
	if may < staff.Send {
		return p.again(q, d, func(x *draftData) { x.Stored = true }, &web.Refusal{Text: "You may write this but not send it: ask somebody of the team to send it."})
	}
	if d.SignFor != "" && may < staff.Sign {
		return p.again(q, d, func(x *draftData) { x.Stored = true }, &web.Refusal{Text: "You may not sign for " + d.SignFor + "."})
	}
	if err := p.mayFrom(q, d, staff.Send); err != nil {
		return p.again(q, d, func(x *draftData) { x.Stored = true }, err)
	}
	id, r, err := p.Desk.Send(q.Context(), q.Person, d, q.PostForm.Get("confirm"))
	var met *work.Collision
	if errors.As(err, &met) {
		return p.again(q, d, func(x *draftData) { x.Stored, x.Report = true, &r }, err)
	}
	if err != nil {
		return err
	}
	if id == "" {
		text := "It was not sent: something stands in its way."
		if len(r.Blocks) == 0 {
			text = "It was not sent yet: please confirm what is shown."
		}
		return p.again(q, d, func(x *draftData) { x.Stored, x.Report = true, &r }, &web.Refusal{Text: text})
	}
	if err := p.end(q, d); err != nil {
		return err
	}
	return q.See("/sent/"+string(id), "Accepted. What is known of each recipient stands below, and grows.")
}

// ask leaves the draft to somebody of the team who may send it.
func (p *pen) ask(q *web.Request, d letter.Draft) error {
	d.State = letter.Asked
	if err := p.Desk.Save(q.Context(), q.Person, d); err != nil {
		return stale(err)
	}
	if err := p.end(q, d); err != nil { // whoever sends it is who answers
		return err
	}
	return q.See("/write", "Asked. Whoever of the team may send it sees it under Write.")
}

// fill puts a ready text in front of what is written, its fields filled from the message.
func (p *pen) fill(q *web.Request, d letter.Draft) error {
	t, err := p.Store.Template(q.Context(), q.Org, q.PostForm.Get("template"))
	if errors.Is(err, store.ErrNotFound) {
		return p.again(q, d, func(x *draftData) { x.Stored = true }, &web.Invalid{Field: "template", Text: "Choose a ready text."})
	}
	if err != nil {
		return err
	}
	team, err := p.Store.Pool(q.Context(), q.Org, d.Pool)
	if err != nil {
		return err
	}
	facts, err := p.Desk.Facts(q.Context(), q.Person, d, team.Name)
	if err != nil {
		return err
	}
	body, missing := template.Fill(t.Body, facts)
	d.Text = strings.TrimRight(body, "\n") + "\n" + strings.TrimPrefix(d.Text, "\n")
	if d.Subject == "" {
		var more []string
		d.Subject, more = template.Fill(t.Subject, facts)
		missing = append(missing, more...)
	}
	if c := staff.Category(t.Category); d.Category == "" && c.Valid() && q.Rights.On(d.Pool, c) >= staff.Draft {
		d.Category = c
	}
	if err := p.Desk.Save(q.Context(), q.Person, d); err != nil {
		return stale(err)
	}
	notice := "The text is in."
	if len(missing) > 0 {
		notice = fmt.Sprintf("The text is in. The message does not say: %s. Fill that in yourself; it is not sent so.", strings.Join(missing, ", "))
	}
	return q.See("/write/draft/"+string(d.ID), notice)
}
