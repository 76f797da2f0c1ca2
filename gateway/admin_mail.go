package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"postern/gateway/clinic/inbox"
	"postern/gateway/delivery/queue"
	"postern/gateway/delivery/relay"
	"postern/gateway/delivery/track"
	"postern/gateway/message"
	"postern/gateway/store"
	"postern/smime/addr"
)

// Send are the arguments of `send` when the message is complete: the envelope and what is asked for.
type Send struct {
	From       addr.Address   `json:"from"`
	Recipients []addr.Address `json:"recipients"`
	Purpose    string         `json:"purpose,omitempty"`
	Key        string         `json:"key,omitempty"`   // idempotency key
	Asked      []byte         `json:"asked,omitempty"` // SHA-256 of what the message was written from, where it is written anew each time
}

// Send submits a complete message (RFC 5322) for one of our addresses. Line ends are made CRLF where
// the message has only LF; a mixture is refused.
func (a Admin) Send(ctx context.Context, in Send, body io.Reader) (message.ID, error) {
	mb, err := a.s.Store.Resolve(ctx, in.From)
	if err != nil {
		return "", err
	}
	if !mb.Known {
		return "", fmt.Errorf("gateway: %s is not an address of ours: `postern address add %s` first", in.From, in.From)
	}
	if err := a.s.Admit(ctx, 0); err != nil {
		return "", fmt.Errorf("%w (`postern status` says since when); the message was not taken", err)
	}
	sub := message.Submission{Org: mb.Org, Edge: message.EdgeCLI, Principal: a.actor, From: in.From,
		Recipients: in.Recipients, Purpose: in.Purpose, IdempotencyKey: in.Key}
	if len(in.Asked) == sha256.Size {
		sub.EdgeID = message.AskedID + hex.EncodeToString(in.Asked)
	}
	return a.s.submit(ctx, sub, body)
}

// submit accepts a complete message of an edge of ours that is no SMTP edge: checked as one from there is, and durable
// when it returns.
func (s *Site) submit(ctx context.Context, sub message.Submission, body io.Reader) (message.ID, error) {
	switch n := len(sub.Recipients); {
	case n == 0:
		return "", errors.New("gateway: no recipient")
	case n > relay.MaxRecipients:
		return "", fmt.Errorf("gateway: %d recipients, at most %d of one message", n, relay.MaxRecipients)
	}
	w, err := s.Spool.Create(sub.Org)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	var ins message.Inspector
	limited := io.LimitReader(body, s.Config.SMTP.MaxSize+1)
	if _, err := message.Canonical(io.MultiWriter(&ins, w), limited); err != nil {
		return "", err
	}
	if w.Size() > s.Config.SMTP.MaxSize {
		return "", fmt.Errorf("gateway: the message is larger than %d octets", s.Config.SMTP.MaxSize)
	}
	f := ins.Facts()
	if err := ins.Err(); err != nil {
		return "", err
	}
	if flaw := f.CheckSubmission(); flaw != nil {
		return "", flaw
	}
	if !f.SenderMatches(sub.From) {
		return "", fmt.Errorf("gateway: From in the message is not %s", sub.From)
	}
	b, err := w.Commit(ctx)
	if err != nil {
		return "", err
	}
	return s.Pipeline.Accept(ctx, sub, f, b)
}

// Trace is everything known of one message.
type Trace struct {
	Message store.Message `json:"message"`
	Ladders []LadderOf    `json:"recipients"`
	Events  []track.Event `json:"events"`
	Queue   []QueueLine   `json:"queue"`
	Items   []ItemRef     `json:"items,omitempty"`
	Notices []NoticeOf    `json:"notices,omitempty"`
	Held    []store.Held  `json:"held,omitempty"`
}

// LadderOf is one recipient's ladder.
type LadderOf struct {
	Recipient addr.Address `json:"recipient"`
	Ladder    track.Ladder `json:"ladder"`
}

// ItemRef says where a message was filed.
type ItemRef struct {
	Inbox  string `json:"inbox"`
	Number int64  `json:"number"`
}

// NoticeOf is a notice about a message.
type NoticeOf struct {
	Message message.ID   `json:"message"`
	Kind    message.Kind `json:"kind"`
}

// QueueLine is one job, for people.
type QueueLine struct {
	Job        int64          `json:"job"`
	Message    message.ID     `json:"message"`
	Kind       queue.Kind     `json:"kind"`
	Lane       string         `json:"lane,omitempty"`
	Recipients []addr.Address `json:"recipients"`
	Due        time.Time      `json:"due"`
	Attempts   int            `json:"attempts"`
	LastError  string         `json:"last_error,omitempty"`
	Parked     bool           `json:"parked,omitempty"`
	UnderWay   bool           `json:"under_way,omitempty"` // a worker has it; due is when another may take it up
}

// Trace collects what is known of one message of ours or for us.
func (a Admin) Trace(ctx context.Context, id message.ID) (Trace, error) {
	m, err := a.s.Store.Message(ctx, id)
	if err != nil {
		return Trace{}, err
	}
	t := Trace{Message: m}
	t.Message.Facts.Subject = "" // traces stay free of patient data
	if t.Events, err = a.s.Store.Events(ctx, id); err != nil {
		return t, err
	}
	ladders := track.Fold(t.Events)
	for _, r := range m.Submission.Recipients {
		if l, ok := ladders[track.Key{Message: id, Recipient: r.Key()}]; ok {
			t.Ladders = append(t.Ladders, LadderOf{r, l})
		}
	}
	if t.Queue, err = a.Queue(ctx, id); err != nil {
		return t, err
	}
	items, err := a.s.Store.ItemsOf(ctx, string(id))
	for _, it := range items {
		t.Items = append(t.Items, ItemRef{it.Inbox, it.Number})
	}
	if err != nil {
		return t, err
	}
	return t, a.notices(ctx, &t)
}

func (a Admin) notices(ctx context.Context, t *Trace) error {
	about, err := a.s.Store.NoticesAbout(ctx, t.Message.ID)
	for _, n := range about {
		t.Notices = append(t.Notices, NoticeOf{n.ID, n.Kind})
	}
	return err
}

// Queue lists jobs of a message, or all (up to 1,000) when id is "".
func (a Admin) Queue(ctx context.Context, id message.ID) ([]QueueLine, error) {
	jobs, err := a.s.Store.Jobs(ctx, id)
	out := make([]QueueLine, 0, len(jobs))
	for _, j := range jobs {
		out = append(out, QueueLine{j.ID, j.Message, j.Kind, j.Lane, j.Recipients, j.Due, j.Attempts, j.LastError, j.Parked, j.Claimed})
	}
	return out, err
}

// Status is what the gateway that runs this site says of itself; the zero Since means that none does.
func (a Admin) Status(ctx context.Context) (Running, error) {
	r := a.s.running
	r.Mode = a.s.mode.get()
	jobs, err := a.s.Store.Jobs(ctx, "")
	if err != nil {
		return r, err
	}
	held, err := a.s.Store.HeldList(ctx, 1000)
	r.Queue, r.Held = len(jobs), len(held)
	for _, j := range jobs {
		if j.Parked {
			r.Parked++
		}
	}
	return r, err
}

// HeldRelease sends a held message through Open again, under today's trust, for the recipients it was
// held for. It is delivered only by passing, and then sends the notices that are due.
func (a Admin) HeldRelease(ctx context.Context, id string) error {
	h, err := a.s.Store.HeldEntry(ctx, id)
	if err != nil {
		return err
	}
	if h.State != "held" {
		return fmt.Errorf("gateway: %s is not held any more: it was %s", id, h.State)
	}
	_, err = a.s.Store.Commit(ctx, queue.Lease{}, store.Step{Released: []string{id}, Events: a.heldEvents(h, track.Released),
		Jobs:  []queue.Job{{Org: h.Org, Message: h.Message, Kind: queue.Open, Recipients: h.Recipients}},
		Audit: []store.AuditEntry{a.entry("held.release", id, map[string]any{"message": h.Message, "reason": h.Reason})}})
	return err
}

// HeldDiscard gives a held message up.
func (a Admin) HeldDiscard(ctx context.Context, id string) error {
	h, err := a.s.Store.HeldEntry(ctx, id)
	if err != nil {
		return err
	}
	if h.State != "held" {
		return fmt.Errorf("gateway: %s is not held any more: it was %s", id, h.State)
	}
	_, err = a.s.Store.Commit(ctx, queue.Lease{}, store.Step{Discarded: []string{id}, Events: a.heldEvents(h, track.Discarded),
		Audit: []store.AuditEntry{a.entry("held.discard", id, map[string]any{"message": h.Message, "reason": h.Reason})}})
	return err
}

// heldEvents says on each recipient's ladder what a person did with a held message.
func (a Admin) heldEvents(h store.Held, kind track.Kind) []track.Event {
	var out []track.Event
	for _, r := range h.Recipients {
		out = append(out, track.Event{Message: h.Message, Recipient: r, Kind: kind, Time: a.s.now(), Source: a.actor})
	}
	return out
}

// Raw opens the stored inner message of an inbox item.
func (a Admin) Raw(ctx context.Context, inbox string, number int64) (io.ReadCloser, int64, error) {
	it, err := a.s.Store.Item(ctx, inbox, number)
	if err != nil {
		return nil, 0, fmt.Errorf("inbox %s item %d: %w", inbox, number, err)
	}
	row, err := a.s.Store.Blob(ctx, it.Blob)
	if err != nil {
		return nil, 0, err
	}
	r, err := a.s.Spool.Open(row)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{r.Section(), r}, r.Size(), nil
}

// MessageLine is one message in a list, without its subject.
type MessageLine struct {
	ID         message.ID     `json:"id"`
	Direction  string         `json:"direction"`
	Kind       message.Kind   `json:"kind"`
	From       addr.Address   `json:"from"`
	Recipients []addr.Address `json:"recipients"`
	RFCID      string         `json:"message_id,omitempty"`
	Size       int64          `json:"size"`
	Received   time.Time      `json:"received"`
	States     []string       `json:"states"`
	Overdue    []addr.Address `json:"overdue,omitempty"` // recipients to be asked by telephone: the deadline passed, and nothing confirms the message
	Uncertain  []Uncertain    `json:"uncertain,omitempty"`
}

// Uncertain is a recipient of whom nobody knows whether the message arrived.
type Uncertain struct {
	Recipient addr.Address `json:"recipient"`
	Words     string       `json:"words"` // what is known
}

// Messages lists messages with where each recipient stands.
func (a Admin) Messages(ctx context.Context, q store.Query) ([]MessageLine, error) {
	rows, err := a.s.Store.Messages(ctx, q)
	out := make([]MessageLine, 0, len(rows))
	for _, m := range rows {
		l := MessageLine{m.ID, m.Direction, m.Kind, m.Sender, m.Submission.Recipients, m.RFCID, m.Size, m.Received, nil, nil, nil}
		if l.From.IsZero() {
			l.From = m.Submission.From
		}
		events, err := a.s.Store.Events(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		ladders := track.Fold(events)
		for _, r := range m.Submission.Recipients {
			ladder := ladders[track.Key{Message: m.ID, Recipient: r.Key()}]
			if l.States = append(l.States, string(ladder.State)); ladder.NeedsCall() {
				l.Overdue = append(l.Overdue, r)
			}
			if ladder.Uncertain() {
				l.Uncertain = append(l.Uncertain, Uncertain{r, ladder.Words})
			}
		}
		if (!q.Overdue || len(l.Overdue) > 0) && (!q.Uncertain || len(l.Uncertain) > 0) {
			out = append(out, l)
		}
	}
	return out, err
}

// Items lists the items of an inbox, newest first.
func (a Admin) Items(ctx context.Context, in ItemArg) ([]inbox.Item, error) {
	all, err := a.s.Store.Inboxes(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := all[in.Inbox]; !ok {
		return nil, fmt.Errorf("no inbox %q here (`postern inbox list` names them): %w", in.Inbox, store.ErrNotFound)
	}
	return a.s.Store.Items(ctx, in.Inbox, in.Before, in.Limit)
}
