package desk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// handOverPage is what a person leaves, and to whom.
type handOverPage struct {
	Rows   []row
	People []staff.Person
	Note   string
	More   bool // there is more than one page of it
}

func (d *desk) showHandOver(q *web.Request) error {
	p, _, err := d.leaves(q)
	if err != nil {
		return err
	}
	return q.Page(d.handOver, "Hand over", p)
}

// leaves is what the person has open.
func (d *desk) leaves(q *web.Request) (handOverPage, []store.Line, error) {
	var p handOverPage
	h, err := d.house(q)
	if err != nil {
		return p, nil, err
	}
	lines, err := d.Store.WorkList(q.Context(), store.WorkQuery{Org: q.Org, Reach: h.reach(q), View: store.ViewMine, Owner: q.Person.ID, N: store.MaxLines})
	if err != nil {
		return p, nil, err
	}
	p.Rows, p.More, p.Note = d.rows(q, h, lines), len(lines) == store.MaxLines, handOverNote(q, lines)
	for _, v := range h.People {
		if v.ID != q.Person.ID && !v.Disabled {
			p.People = append(p.People, v)
		}
	}
	slices.SortFunc(p.People, func(a, b staff.Person) int { return strings.Compare(a.Name+string(a.ID), b.Name+string(b.ID)) })
	return p, lines, nil
}

// handOverNote is what who leaves would write, from what is left.
func handOverNote(q *web.Request, lines []store.Line) string {
	urgent, waiting, failed, due := 0, 0, 0, 0
	for _, l := range lines {
		if l.Urgency > 0 {
			urgent++
		}
		if l.State == work.Waiting {
			waiting++
			if l.Overdue(q.Now) {
				due++
			}
		}
		if l.Kind == work.Failure {
			failed++
		}
	}
	s := fmt.Sprintf("From %s, %s: %d open", q.Person.Name, q.Now.In(q.Person.Location()).Format("Mon 2 Jan 15:04"), len(lines))
	for _, v := range []struct {
		n    int
		word string
	}{{urgent, "urgent"}, {waiting, "waiting"}, {due, "due again"}, {failed, "did not arrive"}} {
		if v.n > 0 {
			s += fmt.Sprintf(", %d %s", v.n, v.word)
		}
	}
	return s + "."
}

// doHandOver passes what was chosen on in one commit: to a person, or back to the teams.
func (d *desk) doHandOver(q *web.Request) error {
	p, lines, err := d.leaves(q)
	if err != nil {
		return err
	}
	to := staff.PersonID(q.PostForm.Get("to"))
	text := strings.TrimSpace(q.PostForm.Get("note"))
	if r := work.CheckNote(text); text != "" && r != nil {
		return q.Again(d.handOver, "Hand over", p, &web.Invalid{Field: "note", Text: r.Text})
	}
	target, theirs, err := d.taker(q, to)
	if err != nil {
		return d.handOverAgain(q, p, err)
	}
	var changed []work.Entry
	var notes []work.Note
	var stuck int
	for _, l := range lines {
		if !slices.Contains(q.PostForm["item"], string(l.ID)) {
			continue
		}
		after, err := handed(q, l.Entry, target.ID, theirs)
		if err != nil {
			stuck++
			continue
		}
		changed = append(changed, after)
		if text != "" {
			n := work.Note{ID: work.NewNoteID(), Org: q.Org, Work: l.ID, By: q.Person.ID, At: q.Now, Text: text}
			if to != "" && len(notes) == 0 {
				n.Mentions = []staff.PersonID{to}
			}
			notes = append(notes, n)
		}
	}
	switch {
	case len(changed) == 0 && stuck > 0:
		return d.handOverAgain(q, p, &web.Refusal{Text: "None of it can go there: they may not work on these messages."})
	case len(changed) == 0:
		return d.handOverAgain(q, p, &web.Refusal{Text: "Choose what to hand over."})
	}
	detail := map[string]any{"to": to, "items": len(changed), "kept": stuck}
	if err := d.Store.HandOver(q.Context(), q.Org, changed, notes, entry(q, "work.handover", string(q.Person.ID), detail)); err != nil {
		return d.handOverAgain(q, p, err)
	}
	words := fmt.Sprintf("Handed over: %d.", len(changed))
	if stuck > 0 {
		words += fmt.Sprintf(" %d stay with you: they may not work on them.", stuck)
	}
	return q.See("/", words)
}

func (d *desk) handOverAgain(q *web.Request, p handOverPage, err error) error {
	var r *work.Refusal
	if errors.As(err, &r) {
		err = &web.Refusal{Text: r.Text}
	}
	return q.Again(d.handOver, "Hand over", p, err)
}

// taker is who takes over, with their rights; the zero person stands for the teams.
func (d *desk) taker(q *web.Request, to staff.PersonID) (staff.Person, staff.Rights, error) {
	if to == "" {
		return staff.Person{}, staff.Rights{}, nil
	}
	p, err := d.Store.Person(q.Context(), q.Org, to)
	if errors.Is(err, store.ErrNotFound) {
		return p, staff.Rights{}, &web.Refusal{Text: "There is no such person."}
	}
	if err != nil {
		return p, staff.Rights{}, err
	}
	ms, err := d.Store.Memberships(q.Context(), q.Org, to)
	return p, staff.Of(p, ms, nil, q.Now), err
}

// handed is an entry in other hands. What waits goes on waiting, for whoever has it now.
func handed(q *web.Request, e work.Entry, to staff.PersonID, theirs staff.Rights) (work.Entry, error) {
	who := work.Actor{ID: q.Person.ID, Here: q.Rights.On(e.Pool, e.Scope()), There: staff.Read, Theirs: theirs.On(e.Pool, e.Scope())}
	if to == "" {
		return e.Apply(work.Change{Act: work.GiveBack, Version: e.Version}, who, q.Now)
	}
	after, err := e.Apply(work.Change{Act: work.Pass, Version: e.Version, To: to}, who, q.Now)
	if err == nil && e.State == work.Waiting {
		after.State, after.Due = work.Waiting, e.Due
	}
	return after, err
}
