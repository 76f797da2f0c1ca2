package desk

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/edge/web"
	"postern/gateway/store"
)

// act does one act on an item: the form names it, and the version of the entry its author saw.
func (d *desk) act(q *web.Request) error {
	c, err := d.change(q)
	if err != nil {
		return d.againOn(q, err)
	}
	who, err := d.actor(q, c)
	if err != nil {
		return err
	}
	insisted := q.PostForm.Get("insist") == "yes"
	if err := d.unseen(q, c); err != nil && !insisted {
		return d.againOn(q, err)
	}
	after, err := q.Work.Apply(c, who, q.Now)
	if err != nil {
		return d.againOn(q, err)
	}
	var note *work.Note
	if text := strings.TrimSpace(q.PostForm.Get("note")); text != "" {
		if note, err = d.note(q, text, after); err != nil {
			return d.againOn(q, err)
		}
		if c.To != "" {
			note.Mentions = append(note.Mentions, c.To)
		}
	}
	detail := map[string]any{"act": c.Act, "from": q.Work.State, "state": after.State, "pool": after.Pool, "version": after.Version}
	for name, v := range map[string]string{"to": string(c.To), "category": string(c.Category), "urgency": c.Urgency.Words()} {
		if v != "" {
			detail[name] = v
		}
	}
	if !c.Until.IsZero() {
		detail["until"] = c.Until
	}
	if c.Act == work.SetSensitive {
		detail["sensitive"] = c.Sensitive
	}
	if insisted {
		detail["insisted"] = true
	}
	if err := d.Store.ChangeWork(q.Context(), after, note, entry(q, "work.act", string(q.Work.ID), detail)); err != nil {
		return d.againOn(q, err)
	}
	return q.See(d.next(q, after), said(c, after))
}

// change reads the form.
func (d *desk) change(q *web.Request) (work.Change, error) {
	f := q.PostForm
	version, err := strconv.ParseInt(f.Get("version"), 10, 64)
	c := work.Change{Act: work.Act(f.Get("act")), Version: version, Pool: f.Get("pool"), Category: staff.Category(f.Get("category")), Sensitive: f.Get("sensitive") == "yes"}
	if err != nil {
		return c, &web.Refusal{Text: "The form is not whole. Open the page again."}
	}
	if c.Act != work.Finish && c.Act != work.SetCategory {
		c.Category = ""
	}
	if c.Act == work.Pass {
		if to, ok := strings.CutPrefix(f.Get("to"), "pool:"); ok {
			c.Pool = to
		} else {
			c.To = staff.PersonID(f.Get("to"))
		}
	} else {
		c.Pool = ""
	}
	if c.Act == work.Wait {
		zone := q.Person.Location()
		day, err := time.ParseInLocation(time.DateOnly, f.Get("until"), zone)
		if err != nil {
			return c, &web.Invalid{Field: "until", Text: "Give a day, such as " + q.Now.In(zone).AddDate(0, 0, 7).Format(time.DateOnly) + "."}
		}
		c.Until = day.Add(waitHour * time.Hour)
	}
	if c.Act == work.SetUrgency {
		u, ok := work.ParseUrgency(f.Get("urgency"))
		if !ok {
			return c, &web.Refusal{Text: "There is no such urgency."}
		}
		c.Urgency = u
	}
	return c, nil
}

// waitHour is the hour of the day at which a wait ends: when people begin.
const waitHour = 8

// actor is who acts, with the rights that this change needs.
func (d *desk) actor(q *web.Request, c work.Change) (work.Actor, error) {
	e := q.Work
	who := work.Actor{ID: q.Person.ID, Here: q.Rights.On(e.Pool, e.Scope()), Hidden: q.Rights.On(e.Pool, staff.Sensitive)}
	if c.Act != work.Pass {
		return who, nil
	}
	to := cmp.Or(c.Pool, e.Pool)
	who.There = q.Rights.On(to, e.Scope())
	if _, err := d.Store.Pool(q.Context(), q.Org, to); err == nil && who.There < staff.Read {
		who.There = staff.Read // any team of one's own organisation may be given work, also one whose list is closed to oneself
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return who, err
	}
	if c.To == "" {
		return who, nil
	}
	p, err := d.Store.Person(q.Context(), q.Org, c.To)
	if errors.Is(err, store.ErrNotFound) {
		return who, nil // Apply refuses: they may not work on it
	}
	if err != nil {
		return who, err
	}
	ms, err := d.Store.Memberships(q.Context(), q.Org, c.To)
	who.Theirs = staff.Of(p, ms, nil, q.Now).On(to, e.Scope())
	return who, err
}

// againOn shows the page of the item once more with what was refused, as it stands now.
func (d *desk) againOn(q *web.Request, err error) error {
	var r *work.Refusal
	if errors.As(err, &r) {
		err = &web.Refusal{Text: r.Text}
	}
	var unseen *unseenError
	insist := ""
	if errors.As(err, &unseen) {
		insist, err = q.PostForm.Get("act"), &web.Refusal{Text: unseen.text + " Choose another way, or do it all the same below."}
	}
	var refusal *web.Refusal
	var invalid *web.Invalid
	if !errors.As(err, &refusal) && !errors.As(err, &invalid) {
		return err
	}
	e, werr := d.Store.Work(q.Context(), q.Org, q.Work.ID)
	if werr != nil {
		return werr
	}
	if q.Rights.On(e.Pool, e.Scope()) < staff.Read { // it went where whoever asks cannot see it
		return q.See("/work", "Somebody passed it on in the meantime.")
	}
	q.Work = e
	p, perr := d.itemOf(q)
	if perr != nil {
		return perr
	}
	p.Back, p.Insist, p.To = web.Local(cmp.Or(q.PostForm.Get("next"), "/work")), insist, q.PostForm.Get("to")
	return q.Again(d.item, "Message", p, err)
}

// next is where an act leads: back to the list for what is done with it, else to the message.
func (d *desk) next(q *web.Request, after work.Entry) string {
	next := q.PostForm.Get("next")
	if q.Rights.On(after.Pool, after.Scope()) < staff.Read { // it is no longer to be seen
		return "/work"
	}
	if next != "" && web.Local(next) == next {
		return next
	}
	return "/item/" + string(after.ID)
}

// said is the notice after an act; it names no patient.
func said(c work.Change, after work.Entry) string {
	switch c.Act {
	case work.Take, work.TakeOver:
		return "You have it now."
	case work.GiveBack:
		return "Given back: nobody has it now."
	case work.Pass:
		return "Passed on."
	case work.Finish:
		return "Finished as " + string(after.Category) + "."
	case work.Wait:
		return "It comes back on " + c.Until.Format("2 Jan 2006") + "."
	case work.Reopen:
		return "Open again; you have it."
	case work.SetSensitive:
		if c.Sensitive {
			return "Marked as sensitive."
		}
		return "No longer marked as sensitive."
	}
	return "Saved."
}

// note makes a note of a text on an entry as it is from now on: whom it names is told. Who may not read the message
// would never see it, and its author is told that instead.
func (d *desk) note(q *web.Request, text string, on work.Entry) (*work.Note, error) {
	if r := work.CheckNote(text); r != nil {
		return nil, &web.Invalid{Field: "note", Text: r.Text}
	}
	n := &work.Note{ID: work.NewNoteID(), Org: q.Org, Work: q.Work.ID, By: q.Person.ID, At: q.Now, Text: text}
	for _, login := range work.Mentioned(text) {
		p, err := d.Store.PersonByLogin(q.Context(), q.Org, login)
		if errors.Is(err, store.ErrNotFound) {
			continue // an @ that names nobody is a word like any other
		}
		if err != nil {
			return nil, err
		}
		ms, err := d.Store.Memberships(q.Context(), q.Org, p.ID)
		if err != nil {
			return nil, err
		}
		if staff.Of(p, ms, nil, q.Now).On(on.Pool, on.Scope()) < staff.Read {
			return nil, &web.Invalid{Field: "note", Text: "@" + login + " may not read this message, so the note would not reach them. Take the name out, or pass it to somebody who may."}
		}
		n.Mentions = append(n.Mentions, p.ID)
	}
	return n, nil
}

// addNote writes a note for the others of the clinic.
func (d *desk) addNote(q *web.Request) error {
	n, err := d.note(q, strings.TrimSpace(q.PostForm.Get("note")), q.Work)
	if err != nil {
		return d.againOn(q, err)
	}
	if err := d.Store.AddNote(q.Context(), *n, entry(q, "work.note", string(q.Work.ID), map[string]any{"note": n.ID, "names": len(n.Mentions)})); err != nil {
		return err
	}
	return q.See("/item/"+string(q.Work.ID)+"#notes", "Noted.")
}

// finishPage asks for the category that every finished message has.
type finishPage struct {
	E          work.Entry
	Subject    string
	Categories []staff.Category
	Next       string
}

func (d *desk) showFinish(q *web.Request) error {
	it, err := d.Store.Item(q.Context(), q.Work.Inbox, q.Work.Number)
	if err != nil {
		return err
	}
	return q.Page(d.finish, "Finish", finishPage{q.Work, cmp.Or(strings.TrimSpace(it.Subject), "(no subject)"), staff.Categories(), web.Local(cmp.Or(q.URL.Query().Get("next"), "/work"))})
}

// collisionPage says who else answers or has answered.
type collisionPage struct {
	E        work.Entry
	How      string
	Writing  []person
	Answered []person
}

type person struct {
	Name string
	At   time.Time
}

// beginAnswer leads into the writing room, unless somebody else is there already: then it says so first.
func (d *desk) beginAnswer(q *web.Request) error { return d.answerOr(q, false) }

// answerAnyway is the explicit act of who was told and goes on.
func (d *desk) answerAnyway(q *web.Request) error { return d.answerOr(q, true) }

func (d *desk) answerOr(q *web.Request, again bool) error {
	how := q.FormValue("how")
	switch how {
	case "reply", "reply_all", "forward", "redirect":
	default:
		return web.ErrNotFound
	}
	if d.Answer == nil {
		return web.ErrNotFound
	}
	if how == "forward" { // it answers nobody
		return q.See(d.Answer(q.Work.ID, how), "")
	}
	err := d.Store.BeginAnswer(q.Context(), q.Org, q.Work.ID, q.Person, again)
	var c *work.Collision
	if errors.As(err, &c) {
		h, err := d.house(q)
		if err != nil {
			return err
		}
		return q.Page(d.collision, "Somebody answers this", collided(h, q.Work, how, c))
	}
	if err != nil {
		return err
	}
	if err := d.Store.AuditAct(q.Context(), entry(q, "work.answer", string(q.Work.ID), map[string]any{"how": how, "again": again})); err != nil {
		return err
	}
	return q.See(d.Answer(q.Work.ID, how), "")
}

func collided(h house, e work.Entry, how string, c *work.Collision) collisionPage {
	p := collisionPage{E: e, How: how}
	for _, w := range c.Writing {
		p.Writing = append(p.Writing, person{h.Person(w.Person), w.Since})
	}
	for _, a := range c.Answered {
		name := a.By
		for _, v := range h.People {
			if v.Login == a.By {
				name = v.Name
			}
		}
		p.Answered = append(p.Answered, person{name, a.At})
	}
	return p
}
