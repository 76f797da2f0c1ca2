package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"postern/gateway/clinic/inbox"
	"postern/gateway/clinic/staff"
	"postern/gateway/clinic/work"
	"postern/gateway/message"
	"postern/smime/addr"
)

// Place is what the pipeline found out about one item before it is filed; the zero Place is for the catch-all.
type Place struct {
	work.Placement
	Kind    work.Kind
	About   message.ID // a failure, or what is unconfirmed: the message of ours it is about
	Patient string     // "" or a patient's id, where the item's own words leave no doubt
}

// work files the work row of an item that was just filed (one step, one commit). A pool that does not exist
// any more, or none at all, is the catch-all: an item without work cannot come about.
func (w *writer) work(it inbox.Item, p Place) {
	if p.Kind == "" {
		p.Kind = map[string]work.Kind{"system": work.Failure, "notice": work.Notice}[it.Origin.String()]
	}
	if p.Kind == "" {
		p.Kind = work.Message
	}
	e := work.Entry{ID: work.NewID(), Org: it.Org, Kind: p.Kind, Inbox: it.Inbox, Number: it.Number, Message: it.Message, About: p.About,
		Pool: p.Pool, Owner: p.Owner, State: work.New, Category: p.Category, Urgency: p.Urgency, Sensitive: p.Sensitive, Why: p.Placement,
		Patient: p.Patient, Thread: it.Thread, Refers: w.refers(it), Received: it.Received, Changed: w.s.now(), Version: 1}
	w.veiled(&e)
	w.continued(&e)
	w.failed(&e)
	switch {
	case e.Pool == "":
		e.Pool = w.catchAll(e.Org)
	case !w.exists("SELECT 1 FROM pool WHERE id=? AND org=? AND retired=''", e.Pool, e.Org):
		e.Why.Because = append([]string{"the team it was meant for is closed"}, e.Why.Because...)
		e.Pool, e.Why.Rule, e.Why.RuleName = w.catchAll(e.Org), "", ""
	}
	if e.Owner != "" && w.levelOf(e.Org, e.Owner, e.Pool, e.Scope()) < staff.Draft { // nothing is in hands that cannot open it
		e.Why.Because, e.Owner = append(e.Why.Because, "whom it was meant for may not work on it here"), ""
	}
	if e.Owner != "" {
		e.State = work.Taken
	}
	if len(e.Why.Because) == 0 {
		e.Why.Because = []string{"no rule wanted it"}
	}
	w.exec("INSERT INTO work VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", e.ID, e.Org, e.Kind, e.Inbox, e.Number, e.Message, e.About,
		e.Pool, e.Owner, e.State, e.Category, e.Scope(), work.Emergency-e.Urgency, e.Sensitive, e.Why.Rule, column(e.Why), string(p.Facts),
		e.Patient, e.Thread, column(e.Refers), stamp(e.Received), "", stamp(e.Changed), "", e.Version)
	w.exec("INSERT INTO search_pending VALUES (?,?)", e.ID, e.Org)
}

// catchAll is the pool for what no rule wants; an organisation that has none gets one.
func (w *writer) catchAll(org string) (id string) {
	if w.err != nil {
		return ""
	}
	err := w.tx.QueryRow("SELECT id FROM pool WHERE org=? AND catch_all=1", org).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return w.firstPool(org)
	}
	if err != nil {
		w.err = fmt.Errorf("store: catch-all: %w", err)
	}
	return id
}

// veiled makes sensitive what belongs to something that is: a message of a sensitive conversation, and the failure of a
// sensitive message of ours. Who may not see the one learns nothing of it from the other.
func (w *writer) veiled(e *work.Entry) {
	ours := message.ID(e.Thread)
	if e.Kind == work.Failure || e.Kind == work.Unconfirmed {
		ours = e.About
	}
	if !e.Sensitive && (e.Thread != "" && w.exists("SELECT 1 FROM work WHERE inbox=? AND thread=? AND scope='sensitive'", e.Inbox, e.Thread) ||
		ours != "" && w.exists(`SELECT 1 FROM sent s LEFT JOIN work k ON k.id=s.work AND k.org=s.org WHERE s.message=? AND s.org=? AND (s.category='sensitive' OR k.scope='sensitive')
			UNION ALL SELECT 1 FROM answer a JOIN work k ON k.id=a.work WHERE a.message=? AND a.org=? AND k.scope='sensitive'`, ours, e.Org, ours, e.Org)) {
		e.Sensitive, e.Why.Sensitive = true, true
		e.Why.Because = append(e.Why.Because, "what it belongs to is sensitive")
	}
}

// continued puts an entry where its conversation is being worked on, and ends the wait for it there.
func (w *writer) continued(e *work.Entry) {
	if w.err != nil || e.Thread == string(e.Message) {
		return
	}
	var other, pool, state string
	var owner staff.PersonID
	err := w.tx.QueryRow(`SELECT id, pool, owner, state FROM work WHERE inbox=? AND thread=? AND state<>'done' AND owner<>'' ORDER BY number DESC LIMIT 1`,
		e.Inbox, e.Thread).Scan(&other, &pool, &owner, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return
	}
	if err != nil {
		w.err = fmt.Errorf("store: conversation: %w", err)
		return
	}
	e.Pool, e.Owner, e.Why.Rule, e.Why.RuleName = pool, owner, "conversation", "the conversation goes on"
	e.Why.Because = append([]string{"it belongs to a conversation that its owner works on"}, e.Why.Because...)
	if state == string(work.Waiting) { // what was waited for has come
		w.exec("UPDATE work SET due=?, changed=?, version=version+1 WHERE id=? AND due>?", stamp(w.s.now()), stamp(w.s.now()), other, stamp(w.s.now()))
	}
}

// failed gives a failure, or what nobody has confirmed, to whoever sent the message, in the team it was sent for, else
// that whose message it answered, else one of their own.
func (w *writer) failed(e *work.Entry) {
	if w.err != nil || e.Kind != work.Failure && e.Kind != work.Unconfirmed {
		return
	}
	what, why := "did not arrive", "something sent from here did not arrive"
	e.Why.Rule, e.Why.RuleName = "failure", "what did not arrive comes back"
	if e.Kind == work.Unconfirmed {
		what, why = "nobody has confirmed", "something sent from here was not confirmed in its time"
		e.Why.Rule, e.Why.RuleName = "deadline", "what nobody confirms comes back"
	}
	if e.Urgency < work.Urgent {
		e.Urgency, e.Why.Urgency, e.Why.UrgencyWhy = work.Urgent, work.Urgent, why
	}
	if e.About == "" || e.Owner != "" {
		return
	}
	var pools string
	err := w.tx.QueryRow(`SELECT p.id, coalesce((SELECT s.pool FROM sent s WHERE s.message=m.id), '') || ' ' || coalesce((SELECT k.pool FROM answer a JOIN work k ON k.id=a.work WHERE a.message=m.id LIMIT 1), '') || ' ' ||
		coalesce((SELECT string_agg(pool, ' ') FROM (SELECT DISTINCT pool FROM membership WHERE person=p.id ORDER BY pool) theirs), '')
		FROM message m JOIN person p ON p.org=m.org AND p.login=m.principal AND p.disabled='' WHERE m.id=? AND m.org=? AND m.principal<>''`, e.About, e.Org).Scan(&e.Owner, &pools)
	if errors.Is(err, sql.ErrNoRows) {
		return
	}
	if err != nil {
		w.err = fmt.Errorf("store: failure: %w", err)
		return
	}
	e.Why.Because = append([]string{"its owner sent the message that " + what}, e.Why.Because...)
	for _, p := range strings.Fields(pools) {
		if w.levelOf(e.Org, e.Owner, p, e.Scope()) >= staff.Draft {
			e.Pool = p
			return
		}
	}
}

// levelOf is what a person may do with such messages of a pool; None for who is not there or disabled.
func (w *writer) levelOf(org string, id staff.PersonID, pool string, c staff.Category) staff.Level {
	if w.err != nil {
		return staff.None
	}
	people, err := listTx(w, "SELECT "+personColumns+" FROM person WHERE org=? AND id=?", []any{org, id}, scanPerson)
	if err != nil || len(people) == 0 {
		w.err = err
		return staff.None
	}
	ms, err := listTx(w, "SELECT pool, category, level FROM membership WHERE org=? AND person=? AND pool=?", []any{org, id, pool}, scanMembership)
	if err != nil {
		w.err = err
	}
	return staff.Of(people[0], ms, nil, w.s.now()).On(pool, c)
}

// answering records that a message of ours answers an entry. When more answers to it have left than its writer knew of,
// nothing is written and the error is a *work.Collision: of two who press Send at the same moment the second is told.
func (w *writer) answering(m Message, a message.Answering) {
	if w.err != nil {
		return
	}
	before, err := listTx(w, "SELECT message, principal, at FROM answer WHERE work=? AND org=? ORDER BY at, message", []any{a.Entry, m.Submission.Org}, scanAnswer)
	switch {
	case err != nil:
		w.err = err
	case len(before) > max(a.Known, 0):
		w.err = &work.Collision{Answered: before[max(a.Known, 0):]}
	default:
		w.exec("INSERT INTO answer SELECT id, ?, org, ?, ? FROM work WHERE id=? AND org=? ON CONFLICT DO NOTHING", m.ID, m.Submission.Principal, stamp(m.Received),
			a.Entry, m.Submission.Org)
	}
}

// answers records that a message of ours answers items: those whose sender it goes to and to which it refers.
// The items are told apart by the organisation and by the address the answer leaves from.
func (w *writer) answers(m Message) {
	if m.Direction != Out || m.Kind != message.Mail || w.err != nil {
		return
	}
	refs := append([]string{m.Facts.InReplyTo}, m.Facts.References...)
	refs = refs[:min(len(refs), maxAnswered)]
	seen := map[string]bool{"": true}
	to := column(lowerAll(m.Submission.Recipients))
	for _, ref := range refs {
		id := message.NormalID(ref)
		if seen[id] {
			continue
		}
		seen[id] = true
		if w.exec(`INSERT INTO answer SELECT k.id, ?, k.org, ?, ? FROM message o JOIN item i ON i.message=o.id JOIN work k ON k.inbox=i.inbox AND k.number=i.number
			WHERE o.rfc_id=? AND o.direction='in' AND k.org=? AND replace(?, '"'||lower(i.sender)||'"', '')<>? ON CONFLICT DO NOTHING`,
			m.ID, m.Submission.Principal, stamp(m.Received), id, m.Submission.Org, to, to) > 0 {
			return // the nearest is what it answers; the others are history
		}
	}
}

// maxAnswered bounds how many references of an answer are looked at.
const maxAnswered = 20

const workColumns = `k.id, k.org, k.kind, k.inbox, k.number, k.message, k.about, k.pool, k.owner, k.state, k.category, k.rank, k.sensitive, k.why,
	k.patient, k.thread, k.refers, k.received, k.due, k.changed, k.finished, k.version, i.sender, i.recipient`

const workFrom = " FROM work k JOIN item i ON i.inbox=k.inbox AND i.number=k.number "

func scanWork(r *sql.Rows, more ...any) (e work.Entry, err error) {
	var rank work.Urgency
	var why, refers, received, due, changed, finished, sender, rcpt string
	if err = r.Scan(append([]any{&e.ID, &e.Org, &e.Kind, &e.Inbox, &e.Number, &e.Message, &e.About, &e.Pool, &e.Owner, &e.State, &e.Category, &rank,
		&e.Sensitive, &why, &e.Patient, &e.Thread, &refers, &received, &due, &changed, &finished, &e.Version, &sender, &rcpt}, more...)...); err != nil {
		return e, err
	}
	e.Urgency = work.Emergency - rank
	e.Received, e.Due, e.Changed, e.Finished = parseStamp(received), parseStamp(due), parseStamp(changed), parseStamp(finished)
	if e.Sender, err = addr.Parse(sender); err != nil {
		return e, err
	}
	if e.Recipient, err = addr.Parse(rcpt); err != nil {
		return e, err
	}
	return e, errors.Join(json.Unmarshal([]byte(why), &e.Why), json.Unmarshal([]byte(refers), &e.Refers))
}

func scanEntry(r *sql.Rows) (work.Entry, error) { return scanWork(r) }

// Work is one entry of an organisation (ErrNotFound otherwise, another's included).
func (s *Store) Work(ctx context.Context, org string, id work.ID) (work.Entry, error) {
	return one(ctx, s, "SELECT "+workColumns+workFrom+"WHERE k.id=? AND k.org=?", []any{id, org}, scanEntry)
}

// WorkOfItem is the entry of one item.
func (s *Store) WorkOfItem(ctx context.Context, org, inboxID string, number int64) (work.Entry, error) {
	return one(ctx, s, "SELECT "+workColumns+workFrom+"WHERE k.inbox=? AND k.number=? AND k.org=?", []any{inboxID, number, org}, scanEntry)
}

// WorkOfMessage lists the entries one message became in an organisation.
func (s *Store) WorkOfMessage(ctx context.Context, org string, id message.ID) ([]work.Entry, error) {
	return list(ctx, s, "SELECT "+workColumns+workFrom+"WHERE k.message=? AND k.org=? ORDER BY k.inbox, k.number", []any{id, org}, scanEntry)
}

// ChangeWork writes an entry as work.Apply made it, with its audit entry and, where there is one, a note, in one
// commit. It fails with a *work.Refusal (Stale) when somebody changed the entry first.
func (s *Store) ChangeWork(ctx context.Context, e work.Entry, note *work.Note, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		w.changeWork(e)
		if note != nil {
			w.note(*note)
		}
		w.audit(entry)
		return w.err
	})
}

// changeWork writes what an act may change; where it came from, and what it is about, stay.
func (w *writer) changeWork(e work.Entry) {
	if !w.exists("SELECT 1 FROM pool WHERE id=? AND org=? AND retired=''", e.Pool, e.Org) && w.err == nil {
		w.err = &work.Refusal{Reason: work.NowhereTo, Text: "There is no such team any more."}
		return
	}
	if w.exec(`UPDATE work SET pool=?, owner=?, state=?, category=?, scope=?, rank=?, sensitive=?, due=?, changed=?, finished=?, version=?
		WHERE id=? AND org=? AND version=?`, e.Pool, e.Owner, e.State, e.Category, e.Scope(), work.Emergency-e.Urgency, e.Sensitive, stamp(e.Due),
		stamp(e.Changed), stamp(e.Finished), e.Version, e.ID, e.Org, e.Version-1) == 0 && w.err == nil {
		w.err = &work.Refusal{Reason: work.Stale, Text: "Somebody acted on this at the same moment. Look at what changed, then decide again."}
	}
	if e.State == work.Done {
		w.exec("DELETE FROM writing WHERE work=?", e.ID)
	}
}

// HandOver writes several entries of an organisation, as work.Apply made them, with notes for whoever has them
// now, in one commit: all or none, so that nothing is left between two people.
func (s *Store) HandOver(ctx context.Context, org string, changed []work.Entry, notes []work.Note, entry AuditEntry) error {
	return s.doDesk(ctx, func(w *writer) error {
		for _, e := range changed {
			if e.Org != org {
				return fmt.Errorf("store: work %s: %w", e.ID, ErrNotFound)
			}
			w.changeWork(e)
		}
		for _, n := range notes {
			w.note(n)
		}
		w.audit(entry)
		return w.err
	})
}

// setWorkPatient says whose message it is; "" is nobody known. The caller has checked the patient's organisation.
func (w *writer) setWorkPatient(org string, id work.ID, patient string) {
	if w.exec("UPDATE work SET patient=?, version=version+1, changed=? WHERE id=? AND org=?", patient, stamp(w.s.now()), id, org) == 0 && w.err == nil {
		w.err = fmt.Errorf("work %s: %w", id, ErrNotFound)
	}
	w.rejoin(id, patient)
}

// rejoin lets a message into the conversation it refers to once the patient is known to be the same, and out again
// when that was a mistake and its sender does not belong there by himself.
func (w *writer) rejoin(id work.ID, patient string) {
	if w.err != nil {
		return
	}
	var box, own, thread, refers, sender string
	var number int64
	if err := w.tx.QueryRow("SELECT k.inbox, k.number, k.message, k.thread, k.refers, lower(i.sender)"+workFrom+"WHERE k.id=?", id).Scan(&box, &number, &own, &thread, &refers, &sender); err != nil {
		w.err = fmt.Errorf("store: conversation: %w", err)
		return
	}
	var refs []string
	if w.err = json.Unmarshal([]byte(refers), &refs); w.err != nil || len(refs) == 0 {
		return
	}
	to := own
	if patient != "" {
		to = w.threadAbout(box, refs, patient)
	} else if w.exists("SELECT 1 FROM item WHERE inbox=? AND thread=? AND number<>? AND lower(sender)=?", box, thread, number, sender) ||
		w.exists("SELECT 1 FROM message WHERE id=? AND direction='out' AND lower(recipients)"+holds, thread, holding(`"`+sender+`"`)) {
		return
	}
	if to == "" || to == thread {
		return
	}
	w.exec("UPDATE item SET thread=? WHERE inbox=? AND number=?", to, box, number)
	w.exec("UPDATE work SET thread=? WHERE id=?", to, id)
}

// threadAbout is the conversation about a patient that one of the messages named belongs to, the nearest last; "" is none.
func (w *writer) threadAbout(box string, refs []string, patient string) (thread string) {
	for i := len(refs) - 1; i >= 0 && w.err == nil; i-- {
		err := w.tx.QueryRow("SELECT i.thread FROM item i WHERE i.inbox=? AND i.rfc_id=? AND EXISTS (SELECT 1 FROM work k WHERE k.inbox=i.inbox AND k.thread=i.thread AND k.patient<>'' AND k.patient=?) LIMIT 1",
			box, refs[i], patient).Scan(&thread)
		if err == nil {
			return thread
		}
		if !errors.Is(err, sql.ErrNoRows) {
			w.err = fmt.Errorf("store: conversation: %w", err)
		}
	}
	return ""
}

// doDesk runs one change of people's work inside the next group commit; pages that are open hear of it.
func (s *Store) doDesk(ctx context.Context, apply func(*writer) error) error {
	return s.enqueue(ctx, &change{reply: make(chan error, 1), apply: func(tx *sql.Tx) error {
		w := &writer{tx: tx, s: s}
		return apply(w)
	}, desk: true})
}

// DeskChanged is readable after the next commit of this process that pages of people's work may show.
func (s *Store) DeskChanged() <-chan struct{} { return s.desk.wait() }

// refers lists the messages in this inbox that an item refers to without belonging to their conversation.
func (w *writer) refers(it inbox.Item) []string {
	out := []string{}
	for _, ref := range it.References[:min(len(it.References), maxAnswered)] {
		var thread string
		if w.err != nil {
			return out
		}
		err := w.tx.QueryRow("SELECT thread FROM item WHERE inbox=? AND rfc_id=? AND rfc_id<>'' AND number<>? ORDER BY number LIMIT 1", it.Inbox, ref, it.Number).Scan(&thread)
		switch {
		case errors.Is(err, sql.ErrNoRows) || thread == it.Thread:
		case err != nil:
			w.err = fmt.Errorf("store: refers: %w", err)
		default:
			out = append(out, ref)
		}
	}
	return out
}

// forgetWork removes what people did with an item that is removed, notes included.
func (w *writer) forgetWork(inboxID string, number int64) {
	w.unindexItem(inboxID, number)
	for _, table := range []string{"note", "mention", "writing", "answer", "patient_merge_move", "patient_link", "search_pending"} {
		w.exec("DELETE FROM "+table+" WHERE work IN (SELECT id FROM work WHERE inbox=? AND number=?)", inboxID, number)
	}
	w.exec("DELETE FROM work WHERE inbox=? AND number=?", inboxID, number)
}

// WorkOfThread lists the entries of one conversation in one inbox, oldest first: at most n. What of them the asker may
// see is for the caller to tell.
func (s *Store) WorkOfThread(ctx context.Context, org, inboxID, thread string, n int) ([]work.Entry, error) {
	return list(ctx, s, "SELECT "+workColumns+workFrom+"WHERE k.inbox=? AND k.thread=? AND k.org=? ORDER BY k.number LIMIT ?", []any{inboxID, thread, org, n}, scanEntry)
}
