package write

import (
	"context"
	"errors"
	"time"

	"postern/gateway/clinic/letter"
	"postern/gateway/clinic/pool"
	"postern/gateway/clinic/staff"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// draftLine is one draft in a list.
type draftLine struct {
	letter.Draft
	Writer, Team string
	Subjected    string
}

// roomsData is the dot of the page /write.
type roomsData struct {
	Mine, Asked []draftLine
	Sent        []sentLine
	May         bool
}

// showRooms lists one's drafts, those one is asked to send, and what left lately.
func (p *pen) showRooms(q *web.Request) error {
	teams, err := p.teams(q)
	if err != nil {
		return err
	}
	data := roomsData{May: len(teams) > 0}
	mine, err := p.Store.DraftsOf(q.Context(), q.Org, q.Person.ID, PageLines)
	if err != nil {
		return err
	}
	if data.Mine, err = p.draftLines(q, mine, teams); err != nil {
		return err
	}
	for _, t := range teams {
		asked, err := p.Store.DraftsAsked(q.Context(), q.Org, t.ID, PageLines)
		if err != nil {
			return err
		}
		lines, err := p.draftLines(q, asked, teams)
		if err != nil {
			return err
		}
		for _, l := range lines {
			may, err := p.level(q, l.Draft)
			if err != nil {
				return err
			}
			if may >= staff.Send && l.Person != q.Person.ID {
				data.Asked = append(data.Asked, l)
			}
		}
	}
	if data.Sent, _, err = p.sentLines(q, 10, time.Time{}); err != nil {
		return err
	}
	return q.Page(p.rooms, "Write", data)
}

func (p *pen) draftLines(q *web.Request, rows []store.DraftRow, teams []pool.Pool) ([]draftLine, error) {
	people, err := p.Store.People(q.Context(), q.Org)
	if err != nil {
		return nil, err
	}
	var out []draftLine
	for _, r := range rows {
		d, err := p.Desk.Load(q.Context(), q.Org, r.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		l := draftLine{Draft: d, Subjected: d.Subject}
		for _, x := range people {
			if x.ID == d.Person {
				l.Writer = x.Name
			}
		}
		for _, t := range teams {
			if t.ID == d.Pool {
				l.Team = t.Name
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// sentLine is one message that left.
type sentLine struct {
	store.SentRow
	Subject, Writer string
	To              []Ladder
	Text            string   // on its own page
	Files           []string // names
}

// Worst is the state that needs a look first.
func (l sentLine) Worst() string {
	for _, state := range []string{"failed", "unknown", "under way", "delivered"} {
		for _, x := range l.To {
			if x.State == state {
				return state
			}
		}
	}
	return "under way"
}

// sentLines is what the teams of the person sent, newest first; older is where to go on, zero where there is no more.
func (p *pen) sentLines(q *web.Request, n int, before time.Time) (out []sentLine, older time.Time, err error) {
	rows, err := p.Store.SentBy(q.Context(), q.Org, q.Rights.Pools(), before, n+1)
	if err != nil {
		return nil, older, err
	}
	if len(rows) > n {
		older = rows[n-1].At
	}
	for _, r := range rows[:min(len(rows), n)] {
		scope, err := p.scope(q, r.Work, r.Category)
		if err != nil {
			return nil, older, err
		}
		if q.Rights.On(r.Pool, scope) < staff.Read {
			continue
		}
		l, err := p.sentLine(q, r)
		if err != nil {
			return nil, older, err
		}
		out = append(out, l)
	}
	return out, older, nil
}

func (p *pen) sentLine(q *web.Request, r store.SentRow) (l sentLine, err error) {
	l.SentRow = r
	m, err := p.Store.Message(q.Context(), r.Message)
	if err != nil {
		return l, err
	}
	l.Subject = m.Facts.Subject
	if who, err := p.Store.Person(q.Context(), q.Org, r.Person); err == nil {
		l.Writer = who.Name
	} else if !errors.Is(err, store.ErrNotFound) {
		return l, err
	}
	l.To, err = p.ladders(q.Context(), q.Org, r.Message)
	return l, err
}

func (p *pen) ladders(ctx context.Context, org string, id message.ID) ([]Ladder, error) {
	return p.Ladders(ctx, org, id)
}

// showSentList lists what left.
func (p *pen) showSentList(q *web.Request) error {
	before, _ := time.Parse(time.RFC3339Nano, q.URL.Query().Get("before")) // what is no time is the newest
	lines, older, err := p.sentLines(q, PageLines, before)
	if err != nil {
		return err
	}
	data := struct {
		Lines []sentLine
		Older string
	}{Lines: lines}
	if !older.IsZero() {
		data.Older = "/sent?before=" + older.UTC().Format(time.RFC3339Nano)
	}
	return q.Page(p.sentList, "Sent", data)
}

// anew begins a message again that did not arrive, with its text and files, to the recipient whose button was pressed.
func (p *pen) anew(q *web.Request) error {
	r, err := p.Store.SentMessage(q.Context(), q.Org, message.ID(q.PathValue("message")))
	if err != nil {
		return err
	}
	scope, err := p.scope(q, r.Work, r.Category)
	if err != nil {
		return err
	}
	switch may := q.Rights.On(r.Pool, scope); {
	case may < staff.Read:
		return web.ErrNotFound
	case may < staff.Draft:
		return &web.Refusal{Text: "You may read this but not write for the team."}
	}
	var to []addr.Address
	if a, err := addr.Parse(q.PostForm.Get("to")); err == nil {
		to = []addr.Address{a}
	}
	id, err := p.Desk.Again(q.Context(), q.Person, r, to)
	if errors.Is(err, store.ErrNotFound) {
		return &web.Refusal{Text: "The message itself is not kept any more: write it anew."}
	}
	if err != nil {
		return err
	}
	return q.See("/write/draft/"+string(id), "Its text and files are here. Choose another address, or try again.")
}

// showSent shows one message that left, with the ladder of each recipient.
func (p *pen) showSent(q *web.Request) error {
	r, err := p.Store.SentMessage(q.Context(), q.Org, message.ID(q.PathValue("message")))
	if err != nil {
		return err
	}
	scope, err := p.scope(q, r.Work, r.Category)
	if err != nil {
		return err
	}
	if q.Rights.On(r.Pool, scope) < staff.Read {
		return web.ErrNotFound
	}
	l, err := p.sentLine(q, r)
	if err != nil {
		return err
	}
	if err := p.Store.AuditAct(q.Context(), entry(q, "view_sent", string(r.Message), nil)); err != nil {
		return err
	}
	if l.Text, l.Files, err = p.Desk.Sent(q.Context(), r.Blob); err != nil && !errors.Is(err, store.ErrNotFound) { // it goes in time, its ladder stays
		return err
	}
	return q.Page(p.sent, "Sent message", l)
}
