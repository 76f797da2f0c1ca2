package desk

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"postern/gateway/agent"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/delivery/track"
	"postern/gateway/edge/web"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// threadLine is one message of a conversation: one that came, or an answer of ours with how far it got.
type threadLine struct {
	At        time.Time
	Ours      bool
	From      string
	Subject   string
	What      string
	Path      string // "" is this one, or not to be opened
	Here      bool
	State     string // of one that came: in whose hands it is
	Ladders   []ladderLine
	Principal string
}

// ladderLine is one recipient of an answer and how far it got.
type ladderLine struct {
	To, Words, Class string
	Rungs            []rung
}

// rung is one step of it.
type rung struct {
	Words string
	At    time.Time
}

// conversation gathers what belongs together, in its order, and what is only referred to.
func (d *desk) conversation(q *web.Request, h house, p *itemPage) error {
	lines, err := d.Store.ThreadWork(q.Context(), q.Org, p.E.Inbox, p.E.Thread)
	if err != nil {
		return err
	}
	told := map[message.ID]bool{}
	if err := d.began(q, h, p, told); err != nil {
		return err
	}
	for _, l := range lines {
		if q.Rights.On(l.Pool, l.Scope()) < staff.Read {
			continue
		}
		_, what := about(l.Documents)
		t := threadLine{At: l.Received, From: l.Sender.String(), Subject: l.Subject, What: what, Path: "/item/" + string(l.ID), Here: l.ID == p.E.ID, State: stands(h, l.Entry)}
		p.Thread = append(p.Thread, t)
		answers, err := d.Store.AnswersTo(q.Context(), q.Org, l.ID)
		if err != nil {
			return err
		}
		for _, a := range answers {
			if !told[a.Message] {
				told[a.Message] = true
				if err := d.ours(q, h, p, a.Message, a.By); err != nil {
					return err
				}
			}
		}
	}
	slices.SortStableFunc(p.Thread, func(a, b threadLine) int { return a.At.Compare(b.At) })
	for _, id := range p.E.Refers {
		e, err := d.Store.WorkByRFC(q.Context(), q.Org, p.E.Inbox, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if e.Thread != p.E.Thread && q.Rights.On(e.Pool, e.Scope()) >= staff.Read {
			p.Refers = append(p.Refers, threadLine{At: e.Received, From: e.Sender.String(), Path: "/item/" + string(e.ID), State: stands(h, e)})
		}
	}
	return nil
}

// began adds the message of ours that began the conversation, where it did.
func (d *desk) began(q *web.Request, h house, p *itemPage, told map[message.ID]bool) error {
	id := message.ID(p.E.Thread)
	if (p.E.Kind == work.Failure || p.E.Kind == work.Unconfirmed) && p.E.About != "" {
		id = p.E.About
	}
	m, err := d.Store.Message(q.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (m.Direction != store.Out || m.Submission.Org != q.Org) {
		return nil
	}
	if err != nil {
		return err
	}
	told[m.ID] = true
	return d.ours(q, h, p, m.ID, m.Submission.Principal)
}

// ours adds a message of ours with its ladder.
func (d *desk) ours(q *web.Request, h house, p *itemPage, id message.ID, by string) error {
	m, err := d.Store.Message(q.Context(), id)
	if errors.Is(err, store.ErrNotFound) || err == nil && m.Submission.Org != q.Org {
		return nil
	}
	if err != nil {
		return err
	}
	events, err := d.Store.Events(q.Context(), id)
	if err != nil {
		return err
	}
	t := threadLine{At: m.Received, Ours: true, From: m.Sender.String(), Subject: m.Facts.Subject, Principal: by}
	for _, v := range h.People {
		if v.Login == by {
			t.Principal = v.Name
		}
	}
	ladders := track.Fold(events)
	for _, r := range m.Submission.Recipients {
		t.Ladders = append(t.Ladders, ladderOf(r, ladders[track.Key{Message: id, Recipient: r.Key()}]))
	}
	p.Thread = append(p.Thread, t)
	return nil
}

// ladderOf is a ladder for people: never more than is known.
func ladderOf(r addr.Address, l track.Ladder) ladderLine {
	out := ladderLine{To: r.String(), Words: l.Words, Class: "wait"}
	switch l.State {
	case track.StateDelivered:
		out.Class = "good"
	case track.StateFailed:
		out.Class = "bad"
	case track.StateProcessed, track.StateDone:
		out.Class = "warn"
	}
	for _, v := range l.Rungs {
		if w := rungWords(v.Kind); w != "" && !v.Repeat {
			out.Rungs = append(out.Rungs, rung{w, v.Time})
		}
	}
	return out
}

// rungWords is what happened, for people; "" for what is housekeeping.
func rungWords(k track.Kind) string {
	return map[track.Kind]string{track.Accepted: "Accepted here", track.Refused: "Refused here", track.Sealed: "Signed and encrypted", track.Handed: "Handed to the recipient's gateway",
		track.Rejected: "Refused by the recipient's server", track.Processed: "Their gateway has it", track.Dispatched: "Delivered to their mailbox or system", track.Failed: "They report a failure",
		track.Delayed: "They report a delay", track.Displayed: "Shown to somebody there", track.Deleted: "Deleted there", track.ImportFailed: "Their system could not use it",
		track.NoProcessed: "No confirmation in time", track.NoDispatched: "No confirmation of delivery in time", track.Deferred: "Put off, tried again", track.DeadlinePassed: "Its deadline passed"}[k]
}

// failure is a message of ours that did not arrive, or that nobody confirmed in time, and what can be done instead.
type failure struct {
	Known   bool
	Asked   bool // it is not known to have failed: somebody is to telephone
	Over    bool // nobody is left to be telephoned
	Subject string
	At      time.Time
	Failed  []failed
	Again   string // path to write it anew
	Answers string // path of the message it answered
}

// failed is one recipient that was not reached.
type failed struct {
	To, Words, Reason, Remedy string
	Settled                   bool     // confirmed since
	Phone, Fax, Name          string   // of the address book
	Others                    []string // other addresses of the same partner, from the address book
}

// failureOf explains a failure and lists the alternatives.
func (d *desk) failureOf(q *web.Request, e work.Entry) (*failure, error) {
	f := &failure{Asked: e.Kind == work.Unconfirmed, Over: true}
	m, err := d.Store.Message(q.Context(), e.About)
	if errors.Is(err, store.ErrNotFound) || err == nil && m.Submission.Org != q.Org {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	f.Known, f.Subject, f.At = true, cmp.Or(m.Facts.Subject, "(no subject)"), m.Received
	if d.Again != nil {
		f.Again = d.Again(string(m.ID))
	}
	answered, err := d.Store.Answered(q.Context(), q.Org, m.ID)
	if err != nil {
		return nil, err
	}
	if len(answered) > 0 && q.Rights.On(answered[0].Pool, answered[0].Scope()) >= staff.Read {
		f.Answers = "/item/" + string(answered[0].ID)
	}
	events, err := d.Store.Events(q.Context(), m.ID)
	if err != nil {
		return nil, err
	}
	ladders := track.Fold(events)
	for _, r := range m.Submission.Recipients {
		l := ladders[track.Key{Message: m.ID, Recipient: r.Key()}]
		if f.Asked && !l.Overdue || !f.Asked && l.State != track.StateFailed && !l.ImportFailed {
			continue
		}
		v := failed{To: r.String(), Words: l.Words, Settled: f.Asked && !l.NeedsCall() && l.State != track.StateFailed}
		f.Over = f.Over && !l.NeedsCall()
		v.Reason, v.Remedy = reasonOf(l)
		if err := d.alternatives(q, r, &v); err != nil {
			return nil, err
		}
		f.Failed = append(f.Failed, v)
	}
	return f, nil
}

// reasonOf is why a recipient was not reached, and what would help.
func reasonOf(l track.Ladder) (string, string) {
	for _, r := range slices.Backward(l.Rungs) {
		if r.Kind != l.Failure {
			continue
		}
		var ev struct {
			Reason, Text string
		}
		if json.Unmarshal(r.Evidence, &ev) != nil {
			continue
		}
		if ev.Reason != "" {
			if a := agent.AdviceOn(ev.Reason); a.Explain != "" {
				return a.Explain, a.Remedy
			}
		}
		return ev.Text, ""
	}
	return "", ""
}

// alternatives looks a recipient up in the address book: a number to call, and other addresses there.
func (d *desk) alternatives(q *web.Request, r addr.Address, v *failed) error {
	e, ok, err := d.Store.BookOf(q.Context(), q.Org, r)
	if err != nil {
		return err
	}
	if ok {
		v.Name, v.Phone, v.Fax = e.Name, e.Phone, e.Fax
	}
	find := r.Domain().String()
	if ok && e.Organization != "" {
		find = e.Organization
	}
	same, err := d.Store.Book(q.Context(), q.Org, find, "", 20)
	for _, o := range same {
		if o.Address.Key() != r.Key() && (o.Address.Domain() == r.Domain() || ok && strings.EqualFold(o.Organization, e.Organization)) && len(v.Others) < 3 {
			v.Others = append(v.Others, o.Address.String())
		}
	}
	return err
}
